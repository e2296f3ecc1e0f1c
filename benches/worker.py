"""A process that runs contenders: one JSON command a line in, one reply a line out.

Each environment that something needs is a process of its own: another instruction set of
logitmeter, another Python with torch. All of them read the same logits from the same file into
ordinary arrays of their own, and only one of them works at any time.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ours
import peers
from job import Answer, Job, MissingError, Ready

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENDERS = ours.CONTENDERS | peers.CONTENDERS


class Worker:
    """Logits by name, and jobs got ready."""

    def __init__(self) -> None:
        self.logits: dict[str, np.ndarray[Any, Any]] = {}
        self.ready: dict[str, Ready] = {}

    def load(self, name: str, path: str) -> dict[str, Any]:
        """Read a ``.npy`` file into memory."""
        self.logits[name] = np.load(path)
        return {}

    def drop(self, names: list[str]) -> dict[str, Any]:
        """Forget logits, and everything that was got ready."""
        self.ready.clear()
        for name in names:
            self.logits.pop(name, None)
        return {}

    def prepare(
        self, key: str, contender: str, logits: str, dtype: str, arrays: str, **job: Any
    ) -> dict[str, Any]:
        """Get a job ready and run it twice: for its answer, and for the memory that it takes."""
        stored = self.logits[logits]
        with np.load(arrays) as more:
            try:
                ready = CONTENDERS[contender](Job(stored, dtype, **dict(more), **job))
            except (ImportError, MissingError) as error:
                return {"missing": str(error)}
        result = ready.run()
        answer: Answer | None = ready.answer(result) if ready.answer else None
        del result
        self.ready[key] = ready
        return {"answer": answer, "note": ready.note, "extra_bytes": _growth(ready.run)}

    def time(self, key: str, repeat: int) -> dict[str, Any]:
        """Run a job; gives seconds a run."""
        run = self.ready[key].run
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        return {"seconds": (time.perf_counter() - start) / repeat}


def _growth(run: Callable[[], object]) -> int:
    """By how many bytes resident memory grows at its peak, from an allocator that keeps nothing."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
    before = _status("VmRSS")
    run()
    return max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field + ":"))


def main() -> None:
    """Serve until the input ends."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no reply
    worker = Worker()
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "load": worker.load,
        "drop": worker.drop,
        "prepare": worker.prepare,
        "time": worker.time,
    }
    for line in sys.stdin:
        command = json.loads(line)
        reply = commands[command.pop("do")](**command)
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()
