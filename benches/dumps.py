"""Dumps of zeros in each format, of any size: what holds no number takes no room on the disk.

Rows of zeros are scored as any others are, and files with holes are read as others are: as pages of
zeros. Parquet, which cannot have holes, is compressed.
"""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VOCAB = 128_256
ROW_BYTES = 2 * VOCAB
BATCH_ROWS = (64 << 20) // ROW_BYTES
HOLE_BYTES = 1 << 20
"""Longer writes are of zeros, and leave a hole."""
PAGE_ROWS = 1024
"""What Parquet's writers put into a page at least, however long the rows are."""
ZEROS = np.zeros(BATCH_ROWS * VOCAB, np.float16)


class Holed(io.RawIOBase):
    """A file in which long writes leave holes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._at = 0

    def writable(self) -> bool:
        """Say that it is."""
        return True

    def tell(self) -> int:
        """Give the place after all that was written."""
        return self._at

    def write(self, data: Any) -> int:
        """Write, or leave room."""
        size = memoryview(data).nbytes
        if size < HOLE_BYTES:
            self._file.seek(self._at)
            self._file.write(data)
        self._at += size
        return size

    def close(self) -> None:
        """End the file where the last write did."""
        if not self._file.closed:
            self._file.truncate(self._at)
            self._file.close()
        super().close()


def _batches(rows: int, kind: Any, step: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, step):
        here = min(step, rows - start)
        # More than one batch of ZEROS only where all of the dump is one: nothing of it is touched.
        zeros = ZEROS if here <= BATCH_ROWS else np.zeros(here * VOCAB, np.float16)
        buffer = pa.py_buffer(zeros[: here * VOCAB])
        if pa.types.is_fixed_size_binary(kind):
            logits = pa.Array.from_buffers(kind, here, [None, buffer])
        else:
            values = pa.Array.from_buffers(pa.float16(), here * VOCAB, [None, buffer])
            logits = pa.FixedSizeListArray.from_arrays(values, type=kind)
        yield pa.record_batch({"logits": logits, "labels": np.zeros(here, np.int64)})


def ipc(
    path: Path | None, rows: int, *, stream: bool = False, codec: str | None = None, step: int = 0
) -> None:
    """Write Arrow IPC, to standard output where there is no path."""
    kind = pa.list_(pa.float16(), VOCAB)
    batches = _batches(rows, kind, step or BATCH_ROWS)
    schema = pa.schema([("logits", kind), ("labels", pa.int64())])
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=codec, allow_64bit=True)
    sink: Any = Holed(path) if path else open(1, "wb", closefd=False)  # noqa: SIM115
    with sink, new(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def npy(path: Path, rows: int) -> None:
    """Write logits, and labels beside them."""
    with path.open("wb") as file:
        head = {"descr": "<f2", "fortran_order": False, "shape": (rows, VOCAB)}
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + rows * ROW_BYTES)
    with path.with_suffix(".labels").open("wb") as file:
        np.save(file, np.zeros(rows, np.int64))


def safetensors(path: Path, rows: int) -> None:
    """Write both into one file."""
    size = rows * ROW_BYTES
    head = {
        "logits": {"dtype": "F16", "shape": [rows, VOCAB], "data_offsets": [0, size]},
        "labels": {"dtype": "I64", "shape": [rows], "data_offsets": [size, size + 8 * rows]},
    }
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)  # as its writers do: numbers lie where they can be used
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(file.tell() + size + 8 * rows)


def llama(path: Path, rows: int) -> None:
    """Write chunks of 256 rows of one sequence each."""
    chunks = max(1, rows // 255)
    with path.open("wb") as file:
        file.write(struct.pack("<8siii", b"_logits_", 512, VOCAB, chunks))
        file.truncate(file.tell() + chunks * (512 * 4 + 255 * (ROW_BYTES + 8)))


def parquet(path: Path, rows: int, *, opaque: bool = False, step: int = BATCH_ROWS) -> None:
    """Write row groups of some rows: of lists, or of opaque bytes, which are one page each."""
    kind = pa.binary(ROW_BYTES) if opaque else pa.list_(pa.float16(), VOCAB)
    schema = pa.schema([("logits", kind), ("labels", pa.int64())])
    with pa.parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as file:
        for batch in _batches(rows, kind, step):
            file.write_batch(batch, row_group_size=step)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "IPC file": ipc,
    "IPC file, mapped": ipc,
    "IPC file, one batch": lambda path, rows: ipc(path, rows, step=rows),
    "IPC file, lz4": lambda path, rows: ipc(path, rows, codec="lz4"),
    "IPC stream": lambda path, rows: ipc(path, rows, stream=True),
    "IPC stream, one batch": lambda path, rows: ipc(path, rows, stream=True, step=rows),
    "npy": npy,
    "npy, mapped": npy,
    "safetensors": safetensors,
    "safetensors, mapped": safetensors,
    "llama.cpp": llama,
    "Parquet, lists": parquet,
    "Parquet, opaque": lambda path, rows: parquet(path, rows, opaque=True),
    "Parquet, opaque, pages of 1,024 rows": lambda path, rows: parquet(
        path, rows, opaque=True, step=PAGE_ROWS
    ),
}
PIPE = "standard input"
"""The same stream, from a process that writes it while it is read."""
