"""Record batches too large to hold: their widest column is read in slices.

A file written as one batch would otherwise be in memory as a whole. Where the column lies is found
by mapping the file, of which nothing but metadata is touched; the rows themselves are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import CorruptInputError
from logitmeter.sources.base import Block
from logitmeter.sources.memory_numpy import row_blocks
from logitmeter.sources.vocab import row_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LARGE_BYTES", "SLICE_BYTES", "LargeFile", "widest"]

LARGE_BYTES = 256 << 20
"""Smaller files have no batch that is looked at in this way."""
SLICE_BYTES = 64 << 20


def widest(schema: pa.Schema, names: list[str]) -> str | None:
    """Give the column of fixed-size lists with the longest rows, if there is one."""
    sizes = {name: row_bytes(schema.field(name).type) for name in names}
    sizes = {name: size for name, size in sizes.items() if size and _is_list(schema, name)}
    return max(sizes, key=lambda name: sizes[name] or 0, default=None)


class LargeFile:
    """A file whose batches are given as slices of their widest column.

    Parameters
    ----------
    path
        For mapping it.
    file
        The same, open for reading.
    names
        The columns wanted.
    wide
        The one among them that is read in slices.
    """

    def __init__(self, path: str, file: pa.NativeFile, names: list[str], wide: str) -> None:
        self._path = path
        self._file = file
        self._wide = wide
        self._map = pa.memory_map(path)
        self._mapped = self._map.read_buffer()
        # Without included_fields, which would read where a map needs only to be looked at.
        self._layout = pa.ipc.open_file(self._map)
        schema = self._layout.schema
        self._kind = schema.field(wide).type
        self._compressed = False
        self._others = [name for name in names if name != wide]
        self._rest = _reader(file, schema, self._others)
        self._whole = _reader(file, schema, names)

    def blocks(self) -> Iterator[Block]:
        """Give all rows, in order."""
        for index in range(self._layout.num_record_batches):
            start, rows = self._place(index)
            if start is None:
                yield _block(self._whole.get_batch(index))
            else:
                yield from self._slices(index, start, rows)

    def _place(self, index: int) -> tuple[int | None, int]:
        """Where in the file the rows of a batch begin; None if it must be read as a whole.

        That is so where they are few, hold nulls, or are compressed; then so is all of the file.
        """
        if self._compressed:
            return None, 0
        column = self._layout.get_batch(index).column(self._wide)
        values = column.values.buffers()[1]
        start = values.address - self._mapped.address
        self._compressed = not 0 <= start <= self._mapped.size - values.size
        plain = column.null_count == 0 and column.values.null_count == 0
        sliced = plain and not self._compressed and values.size > SLICE_BYTES
        return (start if sliced else None), len(column)

    def _slices(self, index: int, start: int, rows: int) -> Iterator[Block]:
        rest = _block(self._rest.get_batch(index)) if self._others else Block(rows)
        size = row_bytes(self._kind) or 0
        for begin, end in row_blocks(rows, size, SLICE_BYTES):
            found = self._read(start + begin * size, (end - begin) * size)
            values = pa.Array.from_buffers(
                self._kind.value_type, (end - begin) * self._kind.list_size, [None, found]
            )
            array = pa.FixedSizeListArray.from_arrays(values, type=self._kind)
            yield rest.slice(begin, end - begin).joined(Block(end - begin, {self._wide: array}))

    def _read(self, start: int, size: int) -> pa.Buffer:
        self._file.seek(start)
        found = self._file.read_buffer(size)
        if found.size != size:
            raise CorruptInputError(
                f"cut short: of {size} bytes of {self._wide}, {found.size} are there",
                path=self._path,
                offset=start + found.size,
                expected=f"{size} bytes",
                got=f"{found.size} bytes",
            )
        return found


def _is_list(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type))


def _reader(file: pa.NativeFile, schema: pa.Schema, names: list[str]) -> pa.RecordBatchFileReader:
    fields = [schema.get_field_index(name) for name in names]
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))


def _block(batch: pa.RecordBatch) -> Block:
    batch.validate(full=True)
    return Block(batch.num_rows, {name: batch.column(name) for name in batch.schema.names})
