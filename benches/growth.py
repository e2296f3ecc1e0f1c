"""How cost grows: time against N, V and threads, as straight lines: `make bench-growth`.

Prints slopes, what is left at zero, and the largest residual as a share of the time; for threads
the speeds, and by arithmetic what binds on machines with many cores.
"""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING

import data
import machine
import numpy as np
from lab import Entry, Lab, Work, gigabytes, row, spread
from logitmeter.threads import num_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

DTYPE = "float32"
VOCAB = 32_000
FRACTIONS = (1 / 4, 1 / 2, 3 / 4, 1)
VOCABS = (16_000, 32_000, 64_000, 128_000, 256_000)
ROWS = 1_000
# Published: channels of memory times their rate times 8 bytes, GB/s a socket of 64 cores.
SOCKETS = {
    "AMD EPYC 7713 (8 x DDR4-3200)": 204.8,
    "AWS Graviton3 (8 x DDR5-4800)": 307.2,
    "AMD EPYC 9554 (12 x DDR5-4800)": 460.8,
    "AMD EPYC 9575F (12 x DDR5-6000)": 576.0,
}
CORES = 64


def over_rows(lab: Lab, megabytes: int) -> str:
    """Time against N, V being fixed."""
    rows = [int(f * data.num_rows(DTYPE, VOCAB, megabytes)) for f in FRACTIONS]
    seconds = times(lab, [lab.work((n, VOCAB), DTYPE, name=f"rows {n}") for n in rows])
    slope, start, residual = line(rows, seconds)
    return (
        f"- N = {rows[0]:,} to {rows[-1]:,}, V = {VOCAB:,}: {slope * 1e6:.3f} us a row and "
        f"{start * 1e6:.0f} us a call; the largest residual is {residual:.1%} of the time"
    )


def over_columns(lab: Lab, rows: int) -> str:
    """Time against V, N being fixed."""
    seconds = times(lab, [lab.work((rows, v), DTYPE, name=f"columns {v}") for v in VOCABS])
    slope, start, residual = line(VOCABS, [s / rows for s in seconds])
    return (
        f"- V = {VOCABS[0]:,} to {VOCABS[-1]:,}, N = {rows:,}: {slope * 1e12:.1f} ps a logit and "
        f"{start * 1e9:.0f} ns a row; the largest residual is {residual:.1%} of the time"
    )


def times(lab: Lab, works: list[Work]) -> list[float]:
    """Median seconds of each, measured in turns."""
    results = lab.measure([Entry("logitmeter", work) for work in works], 1)
    for work in works:
        lab.drop(work.logits)
    return [statistics.median(result.seconds) for result in results]


def line(x: list[int] | tuple[int, ...], y: list[float]) -> tuple[float, float, float]:
    """Least squares of relative residuals: slope, intercept, the largest residual."""
    slope, start = np.polyfit(x, y, 1, w=1 / np.asarray(y))
    residuals = np.abs(slope * np.asarray(x) + start - y) / y
    return float(slope), float(start), float(residuals.max())


def over_threads(lab: Lab, megabytes: int) -> Iterator[str]:
    """Speed against threads, and what binds with many."""
    alone: dict[str, float] = {}
    yield row(["type", "threads", "GB/s", "roof GB/s", "share of the roof"])
    yield row(["---"] * 5)
    for dtype in ("float32", "bfloat16", "float16", "float64"):
        work = lab.work((data.num_rows(dtype, VOCAB, megabytes), VOCAB), dtype)
        for threads in range(1, num_threads() + 1):
            entries = [Entry("logitmeter", work), Entry("roofline", work)]
            ours, roof = lab.measure(entries, threads)
            speed = gigabytes(work, ours)
            alone.setdefault(dtype, speed)
            cells = [f"{speed:.1f}", f"{gigabytes(work, roof):.1f}", spread(roof.by(ours))]
            yield row([dtype, threads, *cells])
        lab.drop("plain")
    yield ""
    yield f"By arithmetic, {CORES} cores like this one do the lesser of {CORES} x the speed of one"
    yield "thread and the speed of memory. How many of them fill the memory:"
    yield ""
    yield row(["socket", "memory GB/s", *alone])
    yield row(["---"] * (2 + len(alone)))
    for name, memory in SOCKETS.items():
        needed = [memory / speed for speed in alone.values()]
        cells = [f"{n:.0f}" if n <= CORES else "the cores bind" for n in needed]
        yield row([name, memory, *cells])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of logits at most")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    lines = machine.heading("How cost grows")
    lines += [f"- {args.rounds} rounds in turns, medians; one thread unless it says more", ""]
    rows = max(16, ROWS * args.megabytes // 1024)
    with Lab(args.rounds) as lab:
        lines += ["## Rows and columns (float32)", "", over_rows(lab, args.megabytes)]
        lines += [over_columns(lab, rows), "", f"## Threads (V = {VOCAB:,})", ""]
        lines += over_threads(lab, args.megabytes)
    print("\n".join(lines))
    print("written to", machine.write("growth", lines))


if __name__ == "__main__":
    main()
