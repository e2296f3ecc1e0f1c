"""A warm Arrow IPC file beside the same rows in memory: `make bench-streaming`.

The file lies in the page cache; it is scored mapped, and read as is the default, and read without
being scored, which bounds the default from above.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import data
import machine
import numpy as np
import pyarrow as pa
from lab import Entry, Lab, gigabytes, row, spread

if TYPE_CHECKING:
    from lab import Array

VOCAB = 128_256
BATCH_BYTES = 64 << 20
PLACE = Path(__file__).parent.parent / "target" / "bench"


def write_file(path: Path, logits: Array, labels: Array) -> None:
    """Write an uncompressed file of batches of 64 MiB, and read it once."""
    kind = pa.list_(pa.from_numpy_dtype(logits.dtype), logits.shape[1])
    schema = pa.schema([("logits", kind), ("labels", pa.int64())])
    step = max(1, BATCH_BYTES // (logits.shape[1] * logits.itemsize))
    with pa.ipc.new_file(path, schema) as file:
        for start in range(0, len(labels), step):
            values = pa.array(logits[start : start + step].reshape(-1))
            rows = pa.FixedSizeListArray.from_arrays(values, type=kind)
            here = pa.array(labels[start : start + step])
            file.write_batch(pa.record_batch([rows, here], schema))
    path.read_bytes()


def measured(lab: Lab, file: Path, dtype: str, megabytes: int) -> list[str]:
    """Give a line for each number of threads."""
    work = lab.work((data.num_rows(dtype, VOCAB, megabytes), VOCAB), dtype)
    write_file(file, np.load(lab.path("plain"), mmap_mode="r"), work.labels)
    options = {"path": str(file)}
    mapped = dataclasses.replace(work, options=options | {"memory_map": True})
    read = dataclasses.replace(work, options=options | {"memory_map": False})
    entries = [
        Entry("logitmeter", work),
        Entry("logitmeter, file", mapped),
        Entry("logitmeter, file", read),
        Entry("reading the file", read),
    ]
    lines = []
    for threads in (1, 2):
        memory, by_map, by_read, only = lab.measure(entries, threads)
        cells = [spread(memory.by(other)) for other in (by_map, by_read, only)]
        more = [f"{result.extra_bytes / 1e6:.0f}" for result in (by_map, by_read)]
        lines.append(row([dtype, threads, f"{gigabytes(work, memory):.1f}", *cells, *more]))
        print(lines[-1], flush=True)
    lab.drop("plain")
    return lines


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of logits in the file")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    head = [
        *machine.heading("A warm Arrow file"),
        f"- {args.megabytes} MiB, V = {VOCAB:,}, {args.rounds} rounds; median [least greatest]",
        "- shares: time in memory by time from the file",
        "- MB: what a call adds to resident memory; mapped pages of the page cache count",
        "",
    ]
    columns = ["type", "threads", "in memory GB/s", "mapped", "read (default)", "only reading"]
    table = [row([*columns, "mapped MB", "read MB"]), row(["---"] * 8)]
    PLACE.mkdir(parents=True, exist_ok=True)
    with Lab(args.rounds) as lab, tempfile.TemporaryDirectory(dir=PLACE) as folder:
        for dtype in ("float32", "float16"):
            table += measured(lab, Path(folder) / "dump.arrow", dtype, args.megabytes)
    print("written to", machine.write("streaming", [*head, *table]))


if __name__ == "__main__":
    main()
