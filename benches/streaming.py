"""Warm files of each format beside the same rows in memory: `make bench-streaming`.

The files lie in the page cache; each is scored mapped, and read as is the default. One is read
without being scored, which bounds the default from above.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import containers
import machine
import numpy as np
from data import num_rows
from lab import Entry, Lab, gigabytes, row, spread

if TYPE_CHECKING:
    from lab import Work

VOCAB = 128_256
PLACE = Path(__file__).parent.parent / "target" / "bench"
WAYS = {"mapped": True, "read": False}


def entries_of(work: Work, name: str, files: dict[str, str]) -> list[Entry]:
    """Give a format's file mapped and read."""
    contender = "logitmeter, scores" if name == containers.ROUNDED else "logitmeter, file"
    options = [files | {"memory_map": mapped} for mapped in WAYS.values()]
    return [Entry(contender, dataclasses.replace(work, options=each)) for each in options]


def warm(path: Path) -> None:
    """Let the page cache hold a file as it is when it was read, and not as it was written.

    Which pages a writer leaves there depends on what the machine did before: of the same bytes, one
    file took twice as long as the next.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    path.read_bytes()


def measured(lab: Lab, folder: Path, dtype: str, megabytes: int) -> list[str]:
    """Give a line for each format and number of threads."""
    work = lab.work((num_rows(dtype, VOCAB, megabytes), VOCAB), dtype)
    logits = np.load(lab.path("plain"), mmap_mode="r")
    names = [
        name for name in containers.WRITERS if dtype == "float16" or name != containers.ROUNDED
    ]
    entries = [Entry("logitmeter", work)]
    for name in names:
        path = folder / name.replace(" ", "-")
        files = containers.WRITERS[name](path, logits, work.labels)
        warm(path)
        entries += entries_of(work, name, files)
    plain = dataclasses.replace(work, options={"path": str(folder / "npy")})
    entries.append(Entry("reading the file", plain))
    lines = []
    for threads in (1, 2):
        memory, *others, only = lab.measure(entries, threads)
        pace = f"{gigabytes(work, memory):.1f}"
        bound = spread(memory.by(only))
        for name, mapped, read in zip(names, others[::2], others[1::2], strict=True):
            shares = [spread(memory.by(other)) for other in (mapped, read)]
            lines.append(row([dtype, threads, name, *shares, bound, pace]))
            print(lines[-1], flush=True)
    lab.drop("plain")
    return lines


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of logits in each file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--types", default="float32,float16")
    args = parser.parse_args()
    head = [
        *machine.heading("Warm files"),
        f"- {args.megabytes} MiB, V = {VOCAB:,}, {args.rounds} rounds; median [least greatest]",
        "- shares: time in memory by time from the file",
        "",
    ]
    columns = ["type", "threads", "format", "mapped", "read (default)", "only reading"]
    table = [row([*columns, "in memory GB/s"]), row(["---"] * 7)]
    PLACE.mkdir(parents=True, exist_ok=True)
    with Lab(args.rounds) as lab, tempfile.TemporaryDirectory(dir=PLACE) as folder:
        for dtype in args.types.split(","):
            table += measured(lab, Path(folder), dtype, args.megabytes)
    print("written to", machine.write("streaming", [*head, *table]))


if __name__ == "__main__":
    main()
