"""One scoring in a process of its own, so that its time and peak memory are its own.

    python score.py logitmeter PATH [--threads N]
    python score.py chunked|naive PATH

Prints JSON. The clock runs around scoring alone: not around Python's start and the imports, but
around opening the file. Memory is what the process allocated (RssAnon); pages of a memory-mapped
file are not counted, since the kernel can drop them at any time.
"""

import argparse
import importlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import baseline

TRAILING = 2
_STATUS = Path("/proc/self/status")


def allocated() -> int | None:
    """Return the bytes that this process has allocated and touched, where the system tells."""
    try:
        status = _STATUS.read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("RssAnon:")), None)
    return int(line.split()[1]) * 1024 if line else None


class PeakMemory:
    """Watch `allocated()` from a thread every few milliseconds; `peak` is None off Linux."""

    def __init__(self, interval: float = 0.003) -> None:
        self.before = self.peak = allocated()
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self.peak is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._done.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        self.peak = max(self.peak or 0, allocated() or 0) or None


def logitmeter(threads: int | None) -> Callable[[str], baseline.Parts]:
    """Return a scorer through logitmeter's public face."""
    import logitmeter as lm

    # Loaded at their first use, which for the baselines is before the clock starts, too.
    importlib.import_module("pyarrow")
    evaluate, scan = lm.evaluate, lm.scan

    def score(path: str) -> baseline.Parts:
        # As the baselines do; by default files are read, which is safe if one shrinks meanwhile.
        source = scan(path, memory_map=True)
        report = evaluate(source, shift=True, trailing=TRAILING, threads=threads)
        parts = {"visible": report.visible, "hidden": report.hidden, "whole": report}
        return {
            name: baseline.Part(part.loss, part.num_tokens, part.num_correct)
            for name, part in parts.items()
        }

    return score


def main() -> None:
    """Score once, print what came out, how long it took and what it needed."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("method", choices=["logitmeter", "chunked", "naive"])
    parser.add_argument("path")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.method == "logitmeter":
        score = logitmeter(args.threads)
    else:
        score = baseline.chunked if args.method == "chunked" else baseline.naive
    with PeakMemory() as memory:
        start = time.perf_counter()
        parts = score(args.path)
        seconds = time.perf_counter() - start
    result = {
        "seconds": seconds,
        "memory_before": memory.before,
        "memory_peak": memory.peak,
        "parts": {name: vars(part) for name, part in parts.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
