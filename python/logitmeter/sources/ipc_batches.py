"""The record batches of a file: large ones as row ranges of their widest column.

A file written as one batch would otherwise be in memory as a whole. What is compressed can only be
read as a whole, and is refused where that is too large. Of a batch in row ranges the other columns
are read as a whole: labels, masks and ids are small.
"""

from __future__ import annotations

import mmap
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import BatchSizeError
from logitmeter.sources.base import Block
from logitmeter.sources.ipc_layout import batches_of_file, batches_of_stream, spans, true_bytes
from logitmeter.sources.ipc_ranges import Ranges, widest
from logitmeter.sources.memory_numpy import row_blocks
from logitmeter.sources.place import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter.sources.ipc import IpcFile
    from logitmeter.sources.ipc_layout import BatchPlace
    from logitmeter.sources.ipc_ranges import Read

__all__ = ["MOST_HELD", "IpcBatches", "check_held"]

MOST_HELD = 256 << 20
"""A batch that must be held as a whole is refused above this; two or three are held at a time."""


class IpcBatches:
    """The record batches of a file, reduced to the columns named."""

    def __init__(self, dump: IpcFile, names: list[str]) -> None:
        self.dump = dump
        self.names = names
        self.schema = dump.schema
        self.wide = None if dump.memory_map else widest(dump.schema, names)
        self.others = [name for name in names if name != self.wide]
        self._most = dump.place.read_bytes

    def blocks(self) -> Iterator[Block]:
        """Give all rows, in order."""
        dump = self.dump
        stream = dump.format == "stream"
        with dump.place.open(memory_map=dump.memory_map) as file:
            found = (batches_of_stream if stream else batches_of_file)(file, dump.num_bytes)
            opened = (_Stream if stream else _File)(self, file)
            read = partial(self._read, file)
            for index in count():
                place = next(found, None)
                ranges = None if place is None else self._ranges(index, place, read)
                block = opened.get(index, ranges)
                if block is None:
                    return
                yield from [block] if ranges is None else self._cut(block, ranges, read)

    def _ranges(self, index: int, batch: BatchPlace, read: Read) -> Ranges | None:
        """Where the rows of the widest column lie; None if the batch is read as a whole.

        That is so where they are few, or where this layout cannot be cut.
        """
        columns = spans(self.schema, batch)
        if columns is None:
            return None
        if batch.compressed:
            chosen = [columns[self.schema.get_field_index(name)] for name in self.names]
            buffers = [batch.buffers[i] for column in chosen for i in column.buffers]
            total = sum(true_bytes(size, bytes(read(at, min(size, 8)))) for at, size in buffers)
            check_held(f"record batch {index} is compressed, and", total, self.dump.path)
        if self.wide is None or batch.compressed or not batch.native:
            return None
        at = self.schema.get_field_index(self.wide)
        ranges = Ranges.of(self.schema.field(at).type, batch, columns[at], self.dump.num_bytes)
        return ranges if ranges and ranges.num_bytes > self._most else None

    def _cut(self, rest: Block, ranges: Ranges, read: Read) -> Iterator[Block]:
        """Give the other columns of a batch with its widest, some rows at a time."""
        cut = ranges.cutter(read)
        size = ranges.num_bytes // max(1, ranges.rows)
        for begin, end in row_blocks(ranges.rows, size, self._most):
            here = Block(end - begin, {str(self.wide): cut(begin, end)})
            yield rest.slice(begin, end - begin).joined(here)

    def _read(self, file: pa.NativeFile, start: int, size: int) -> pa.Buffer:
        if not 0 <= start <= self.dump.num_bytes:
            raise _ends(start)
        return read_exactly(file, start, size, _ends)


def _ends(offset: int) -> Exception:
    return EOFError(f"a record batch ends at {offset}, before its columns do")


def check_held(what: str, size: int, path: str) -> None:
    """Refuse a batch that would have to be held as a whole, and is too large for that."""
    if size <= MOST_HELD:
        return
    most, found = f"{MOST_HELD >> 20} MiB", f"{size / 2**20:,.0f} MiB"
    message = (
        f"{what} takes {found} of memory, of which no more than {most} are held at once: write "
        "smaller batches (max_chunksize=...), or a file without compression"
    )
    raise BatchSizeError(message, path=path, expected=f"at most {most}", got=found)


class _File:
    """Batches of the file format, by their number."""

    def __init__(self, batches: IpcBatches, file: pa.NativeFile) -> None:
        self._names, self._others = batches.names, batches.others
        whole, rest = (
            _options(batches.schema, names) for names in (_fields(batches), self._others)
        )
        self._whole = pa.ipc.open_file(file, options=whole)
        self._rest = pa.ipc.open_file(file, options=rest)

    def get(self, index: int, ranges: Ranges | None) -> Block | None:
        """Give a batch; if there are ranges, without the widest column."""
        if index == self._whole.num_record_batches:
            return None
        if ranges is None:
            return _block(self._whole.get_batch(index), self._names)
        if not self._others:
            return Block(ranges.rows)
        return _block(self._rest.get_batch(index), self._others)


class _Stream:
    """Batches of a stream, one after the other."""

    def __init__(self, batches: IpcBatches, file: pa.NativeFile) -> None:
        self._names, self._others = batches.names, batches.others
        self._holed = _Holed(file, batches.dump.num_bytes)
        options = _options(batches.schema, _fields(batches))
        self._reader = pa.ipc.open_stream(pa.PythonFile(self._holed, mode="r"), options=options)

    def get(self, index: int, ranges: Ranges | None) -> Block | None:  # noqa: ARG002 - as a file
        """Give the next batch; if there are ranges, without the widest column."""
        self._holed.hole = range(0)
        if ranges is not None:
            start, size = ranges.values
            self._holed.hole = range(start, start + size)
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            return None
        return _block(batch, self._names if ranges is None else self._others)


class _Holed:
    """A file of which a part is not read, where pyarrow would read all of a message.

    It keeps its own place: others read from the same file in between.
    """

    closed = False

    def __init__(self, file: pa.NativeFile, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self.hole = range(0)

    def read(self, size: int) -> Any:
        """Give so many bytes."""
        return self.read_buffer(size)

    def read_buffer(self, size: int) -> Any:
        """Give so many bytes; pages of the hole are never touched, so that they take no memory."""
        start, end = self._at, min(self._at + size, self._size)
        self._at = end
        if not self.hole or self.hole.start < start or end < self.hole.stop:
            self._file.seek(start)
            return self._file.read_buffer(end - start)
        whole = mmap.mmap(-1, end - start, access=mmap.ACCESS_COPY)
        for a, b in ((start, self.hole.start), (self.hole.stop, end)):
            self._file.seek(a)
            self._file.readinto(memoryview(whole)[a - start : b - start])
        return whole

    def close(self) -> None:
        """Leave the file open: it is not ours."""


def _fields(batches: IpcBatches) -> list[str] | None:
    """Give the columns to read; all of a map, of which nothing is read before it is used.

    With fields named, pyarrow would copy even from there.
    """
    return None if batches.dump.memory_map else batches.names


def _options(schema: pa.Schema, names: list[str] | None) -> pa.ipc.IpcReadOptions:
    fields = None if names is None else [schema.get_field_index(name) for name in names]
    return pa.ipc.IpcReadOptions(included_fields=fields)


def _block(batch: pa.RecordBatch, names: list[str]) -> Block:
    batch.validate(full=True)
    return Block(batch.num_rows, {name: batch.column(name) for name in names})
