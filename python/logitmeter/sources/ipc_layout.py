"""Where the buffers of record batches lie: what pyarrow knows, but does not hand out.

A message is four bytes 0xFF, the length of its metadata (i32), the metadata (a flatbuffer) and its
body. A record batch lists in its metadata, in the order of the schema and depth first, a node of
each column (its length and nulls) and the place of each buffer in its body. The file format has the
same messages, and a footer that says where they are.

Source: ``Message.fbs``, ``File.fbs`` and "Serialization and IPC" of the Arrow format.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from logitmeter.sources.vocab import storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter.sources.memory_numpy import Array

__all__ = [
    "BatchPlace",
    "Span",
    "batches_of_file",
    "batches_of_stream",
    "held_bytes",
    "spans",
    "true_bytes",
]

CONTINUATION = b"\xff\xff\xff\xff"
PREFIX = 8
"""Bytes before metadata: the continuation and their length."""
TRAILER = 10
"""Bytes after the footer: its length and the magic."""
LENGTH_BYTES = 8
"""Before each compressed buffer: its true length."""
MOST_METADATA = 64 << 20
SCHEMA, RECORD_BATCH = 1, 3
"""In the union of what a message holds."""
BLOCK = np.dtype([("offset", "<i8"), ("metadata", "<i4"), ("pad", "<i4"), ("body", "<i8")])
NODE = np.dtype([("length", "<i8"), ("nulls", "<i8")])
BUFFER = np.dtype([("offset", "<i8"), ("length", "<i8")])


class BatchPlace(NamedTuple):
    """A record batch in its file.

    Parameters
    ----------
    rows
        Its rows.
    nulls
        How many there are in each node.
    buffers
        Where each buffer begins in the file, and its bytes.
    variadic
        Of each column of views, how many buffers its data have.
    compressed
        Each buffer is compressed, behind its true length (i64; -1 if it is as it was).
    native
        Numbers have the byte order of this machine.
    """

    rows: int
    nulls: list[int]
    buffers: list[tuple[int, int]]
    variadic: list[int]
    compressed: bool
    native: bool


class Span(NamedTuple):
    """Which nodes and buffers of a batch are those of a column."""

    nodes: range
    buffers: range


def batches_of_file(file: pa.NativeFile, size: int) -> Iterator[BatchPlace]:
    """Give the record batches of the file format, in the order of its footer."""
    end = size - TRAILER
    length = int.from_bytes(_read(file, end, 4), "little", signed=True)
    footer = _Table.root(_read(file, end - _checked(length), length))
    native = _is_native(footer.table(1))
    for block in footer.structs(3, BLOCK):
        at = int(block["offset"])
        head = _read(file, at, _checked(int(block["metadata"])))
        skipped = PREFIX if head.startswith(CONTINUATION) else PREFIX // 2
        yield _batch(_Table.root(head[skipped:]), at + len(head), native=native)


def batches_of_stream(file: pa.NativeFile, size: int) -> Iterator[BatchPlace]:
    """Give the record batches of a stream, as far as its messages go."""
    at, native = 0, True
    while at + PREFIX <= size:
        head = _read(file, at, PREFIX)
        length = int.from_bytes(head[4:], "little", signed=True)
        if head[:4] != CONTINUATION or length == 0:
            return
        message = _Table.root(_read(file, at + PREFIX, _checked(length)))
        body = at + PREFIX + length
        if message.number(1, "<B") == SCHEMA:
            native = _is_native(message.table(2))
        if message.number(1, "<B") == RECORD_BATCH:
            yield _batch(message, body, native=native)
        at = body + max(0, message.number(3, "<q"))


def spans(schema: pa.Schema, batch: BatchPlace) -> list[Span] | None:
    """Give what belongs to each column of a batch; None for a layout that is not known here."""
    walk = _Walk(batch.variadic)
    found = [walk.column(field.type) for field in schema]
    fits = (walk.nodes, walk.buffers) == (len(batch.nulls), len(batch.buffers))
    return found if fits else None


def true_bytes(length: int, prefix: bytes) -> int:
    """Give the size of a buffer when it is no longer compressed, by its length and first bytes."""
    if length < LENGTH_BYTES:
        return 0
    found = int.from_bytes(prefix[:LENGTH_BYTES], "little", signed=True)
    return length - LENGTH_BYTES if found < 0 else found


def held_bytes(metadata: memoryview, body: memoryview) -> int:
    """Give what the columns of a compressed record batch take when they are no longer so."""
    message = _Table.root(bytes(metadata))
    if message.number(1, "<B") != RECORD_BATCH:
        return 0
    batch = _batch(message, 0, native=True)
    sizes = (true_bytes(size, bytes(body[max(0, at) :][:8])) for at, size in batch.buffers)
    return sum(sizes) if batch.compressed else 0


class _Walk:
    """Counts nodes and buffers, depth first."""

    def __init__(self, variadic: list[int]) -> None:
        self.nodes = 0
        self.buffers = 0
        self._variadic = iter(variadic)

    def column(self, kind: Any) -> Span:
        nodes, buffers = self.nodes, self.buffers
        self._skip(storage_of(kind))
        return Span(range(nodes, self.nodes), range(buffers, self.buffers))

    def _skip(self, kind: Any) -> None:
        self.nodes += 1
        self.buffers += self._own_buffers(kind)
        if not pa.types.is_dictionary(kind):  # of one only the indices are here
            for index in range(kind.num_fields):
                self._skip(storage_of(kind.field(index).type))

    def _own_buffers(self, kind: Any) -> int:
        types = pa.types
        if types.is_null(kind) or types.is_run_end_encoded(kind):
            return 0
        if types.is_union(kind):
            return 1 if kind.mode == "sparse" else 2
        if types.is_struct(kind) or types.is_fixed_size_list(kind):
            return 1
        if types.is_string_view(kind) or types.is_binary_view(kind):
            return 2 + next(self._variadic, 0)
        if types.is_list_view(kind) or types.is_large_list_view(kind):
            return 3
        text = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
        return 3 if any(is_kind(kind) for is_kind in text) else 2


class _Table:
    """A table of a flatbuffer; what lies outside of the buffer is an error."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - self._number("<i", at)
        self._size = self._number("<H", self._vtable)

    @classmethod
    def root(cls, data: bytes) -> _Table:
        if len(data) < PREFIX // 2:
            message = "metadata that end early"
            raise pa.ArrowInvalid(message)
        return cls(data, int.from_bytes(data[:4], "little"))

    def number(self, index: int, kind: str) -> int:
        """Give the number in a slot; 0 where it is left out."""
        place = self._slot(index)
        return 0 if place is None else self._number(kind, place)

    def table(self, index: int) -> _Table | None:
        """Give the table that a slot points to."""
        place = self._slot(index)
        return None if place is None else _Table(self._data, self._target(place))

    def structs(self, index: int, kind: Any) -> Array:
        """Give the structs or numbers of the vector that a slot points to."""
        place = self._slot(index)
        if place is None:
            return np.zeros(0, kind)
        at = self._target(place)
        count = self._number("<I", at)
        if at + 4 + count * np.dtype(kind).itemsize > len(self._data):
            message = "a list that ends beyond its metadata"
            raise pa.ArrowInvalid(message)
        return np.frombuffer(self._data, kind, count, at + 4)

    def _slot(self, index: int) -> int | None:
        entry = 4 + 2 * index
        if entry + 2 > self._size:
            return None
        return self._at + found if (found := self._number("<H", self._vtable + entry)) else None

    def _target(self, place: int) -> int:
        return place + self._number("<I", place)

    def _number(self, kind: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(kind):
            message = "metadata that point outside of themselves"
            raise pa.ArrowInvalid(message)
        return int(struct.unpack_from(kind, self._data, at)[0])


def _batch(message: _Table, body: int, *, native: bool) -> BatchPlace:
    """Give what a message says of its record batch, whose body begins there."""
    header = message.table(2)
    if message.number(1, "<B") != RECORD_BATCH or header is None:
        text = "a message that is no record batch"
        raise pa.ArrowInvalid(text)
    buffers = header.structs(2, BUFFER)
    return BatchPlace(
        header.number(0, "<q"),
        header.structs(1, NODE)["nulls"].tolist(),
        [(body + int(offset), int(length)) for offset, length in buffers.tolist()],
        header.structs(4, "<i8").tolist(),
        header.table(3) is not None,
        native,
    )


def _is_native(schema: _Table | None) -> bool:
    """Whether a schema says the byte order of this machine; little-endian is 0."""
    big = schema is not None and schema.number(0, "<h") == 1
    return big == (sys.byteorder == "big")


def _checked(length: int) -> int:
    if not 0 <= length <= MOST_METADATA:
        message = f"metadata of {length} bytes"
        raise pa.ArrowInvalid(message)
    return length


def _read(file: pa.NativeFile, at: int, size: int) -> bytes:
    found = b""
    if at >= 0:
        file.seek(at)
        found = file.read(size)
    if len(found) != size:
        message = f"{size} bytes of metadata at {at}, of which {len(found)} are there"
        raise pa.ArrowInvalid(message)
    return found
