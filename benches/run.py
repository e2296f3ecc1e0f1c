"""Logitmeter beside NumPy on arrays in memory: `make bench`.

Each case is timed in turns (read, logitmeter, NumPy, read, ...), so that a machine that slows down
slows all of them; ratios are taken within a turn and given as median, min and max. "Read" is
`numpy.max` over the same bytes: a bound that no pass over memory goes far beyond. Answers are
compared in the same run. The table is printed and written to `benches/results/`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
from logitmeter.versions import versions

if TYPE_CHECKING:
    from collections.abc import Callable

LIKELY = 0.6  # of the labels are the best token
RESULTS = Path(__file__).parent / "results"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """Logits of one shape and element type, with labels of which most are likely."""

    dtype: str
    vocab: int
    logits: Array
    labels: Array


def make(dtype: str, vocab: int, megabytes: int) -> Case:
    """Draw logits N(-2, 2.5) with 50 likely tokens a row; 60% of the labels are the best token."""
    rng = np.random.default_rng(vocab)
    rows = max(16, megabytes * 2**20 // (vocab * np.dtype(dtype).itemsize))
    logits = np.empty((rows, vocab), dtype)
    likely = rng.integers(0, vocab, (rows, 50))
    for start in range(0, rows, 64):
        block = rng.standard_normal((min(64, rows - start), vocab), np.float32) * 2.5 - 2
        np.put_along_axis(block, likely[start : start + 64], 8 + rng.random(), axis=1)
        logits[start : start + 64] = block
    best = logits.argmax(1)
    labels = np.where(rng.random(rows) < LIKELY, best, rng.integers(0, vocab, rows))
    return Case(dtype, vocab, logits, labels)


def chunked(case: Case, rows: int) -> tuple[float, int]:
    """Give loss and number correct by NumPy, so many rows at a time: small chunks stay in cache."""
    loss, correct = 0.0, 0
    for start in range(0, len(case.labels), rows):
        x = case.logits[start : start + rows].astype(np.float32, copy=False)
        y = case.labels[start : start + rows]
        m = x.max(1, keepdims=True)
        lse = np.log(np.exp(x - m).sum(1)) + m[:, 0]
        loss += float((lse - x[np.arange(len(y)), y]).sum(dtype=np.float64))
        correct += int((x.argmax(1) == y).sum())
    return loss / len(case.labels), correct


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def best_chunk(case: Case) -> int:
    """Give NumPy its best number of rows."""
    few = Case(case.dtype, case.vocab, case.logits[:256], case.labels[:256])
    return min((1, 2, 4, 8, 32, 128), key=lambda rows: seconds(lambda: chunked(few, rows)))


def spread(ratios: list[float]) -> str:
    """Median, min and max."""
    return f"{statistics.median(ratios):6.2f} [{min(ratios):.2f} {max(ratios):.2f}]"


def measure(case: Case, turns: int, threads: int) -> str:
    """Give one line of the table; the answers must agree."""
    rows = best_chunk(case)
    report = lm.evaluate(case.logits, case.labels, threads=threads)
    loss, correct = chunked(case, rows)
    if abs(report.loss - loss) > 1e-5 * loss or report.num_correct != correct:
        raise SystemExit(
            f"answers differ: {report.loss} and {loss}, {report.num_correct} and {correct}"
        )
    reads: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(turns):
        reads.append(seconds(case.logits.view(f"u{case.logits.itemsize}").max))
        ours.append(seconds(lambda: lm.evaluate(case.logits, case.labels, threads=threads)))
        theirs.append(seconds(lambda: chunked(case, rows)))
    share = [read / own for read, own in zip(reads, ours, strict=True)]
    ratio = [other / own for other, own in zip(theirs, ours, strict=True)]
    return (
        f"| {case.dtype} | {case.vocab:,} | {threads} | {spread(share)} | {spread(ratio)} "
        f"| {rows} |"
    )


def described(command: list[str]) -> str:
    """Give what a command prints, or that it does not run."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
        return found.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.processor()
    )


def main() -> None:
    """Run every case, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512, help="of logits a case")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    core = versions()
    head = [
        f"# {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"- processor: {processor()}, commit {described(['git', 'rev-parse', '--short', 'HEAD'])}",
        *(f"- {name}: {value}" for name, value in core.items()),
        f"- {args.megabytes} MB a case, {args.turns} turns; median [min max]",
        "- read: time of numpy.max over the same bytes (as integers) by that of logitmeter",
        "- NumPy: time of the best chunked NumPy by that of logitmeter",
        "- missing here: torch, torch.compile, llama.cpp, a roofline with wide loads",
        "",
        "| dtype | V | threads | read | NumPy | rows a chunk |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(head))
    lines = []
    for dtype, vocab in (
        ("float32", 128_256),
        ("float32", 32_000),
        ("float32", 1_000),
        ("float16", 128_256),
        ("float64", 32_000),
    ):
        case = make(dtype, vocab, args.megabytes)
        for threads in (1, 2):
            lines.append(measure(case, args.turns, threads))
            print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    name = RESULTS / f"{dt.datetime.now(dt.UTC):%Y-%m-%d-%H%M}.md"
    name.write_text("\n".join([*head, *lines, ""]))
    print(f"written to {name}")


if __name__ == "__main__":
    main()
