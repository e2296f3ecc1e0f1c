"""Rows of one column of a record batch, read from where its buffers lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from logitmeter.sources.vocab import is_list, row_bytes, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logitmeter.sources.ipc_layout import BatchPlace, Span
    from logitmeter.sources.memory_numpy import Array

__all__ = ["Ranges", "Read", "widest"]

VARYING_BYTES = 1 << 10
"""What a row is taken to be where the type does not say its length."""
Read: TypeAlias = "Callable[[int, int], pa.Buffer]"
"""Gives so many bytes from some place on."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """A column whose rows follow each other: lists of numbers, of any length, or opaque bytes.

    Parameters
    ----------
    kind
        Its type.
    rows
        Its length.
    width
        Bytes of a row; of lists of any length those of a number.
    validity, offsets, values
        Where its buffers lie, and their bytes; nothing where there are none.
    """

    kind: Any
    rows: int
    width: int
    validity: tuple[int, int]
    offsets: tuple[int, int]
    values: tuple[int, int]

    @classmethod
    def of(cls, kind: Any, batch: BatchPlace, span: Span, size: int) -> Ranges | None:
        """Give the column, if it can be cut: no number in a list is null, and no list is nested.

        None also where a buffer is too short, or lies outside of the file, which has this size:
        pyarrow says what is wrong when it reads the batch.
        """
        storage = storage_of(kind)
        nulls = [batch.nulls[node] for node in span.nodes]
        buffers = [batch.buffers[index] for index in span.buffers]
        offsets = (0, 0)
        if pa.types.is_fixed_size_binary(storage):
            width = storage.byte_width
        elif not _is_list_of_numbers(storage) or nulls[1]:
            return None
        elif pa.types.is_fixed_size_list(storage):
            width = storage.list_size * storage.value_type.bit_width // 8
        else:
            width, offsets = storage.value_type.bit_width // 8, buffers[1]
        validity = buffers[0] if nulls[0] else (0, 0)
        found = cls(kind, batch.rows, width, validity, offsets, buffers[-1])
        inside = all(0 <= start <= start + length <= size for start, length in buffers)
        return found if inside and found._holds_its_rows else None

    @property
    def num_bytes(self) -> int:
        """Bytes of all rows."""
        return self.values[1]

    @property
    def _holds_its_rows(self) -> bool:
        """Whether the buffers are as long as they must be."""
        rows, width = self.rows, self.width
        bits, (_, offsets), (_, values) = self.validity[1], self.offsets, self.values
        if not self._varies:
            return 0 <= rows * width <= values and (not bits or rows <= 8 * bits)
        return 0 <= rows < offsets // self._offset_type.itemsize and (not bits or rows <= 8 * bits)

    @property
    def _varies(self) -> bool:
        return bool(self.offsets[1])

    @property
    def _offset_type(self) -> np.dtype[Any]:
        large = pa.types.is_large_list(storage_of(self.kind))
        return np.dtype(np.int64 if large else np.int32)

    def cutter(self, read: Read) -> Callable[[int, int], pa.Array]:
        """Give what reads the rows from one to another; what says where they lie is read now."""
        valid = self._valid(read)
        offsets = self._offsets(read)

        def cut(begin: int, end: int) -> pa.Array:
            bits = None if valid is None else pa.py_buffer(_packed(valid[begin:end]))
            if offsets is None:
                return self._fixed(read, begin, end, bits)
            return self._varying(read, offsets[begin : end + 1], bits)

        return cut

    def _fixed(self, read: Read, begin: int, end: int, bits: pa.Buffer | None) -> pa.Array:
        storage, rows = storage_of(self.kind), end - begin
        found = read(self.values[0] + begin * self.width, rows * self.width)
        if pa.types.is_fixed_size_binary(storage):
            return self._wrapped(rows, [bits, found], ())
        values = pa.Array.from_buffers(storage.value_type, rows * storage.list_size, [None, found])
        return self._wrapped(rows, [bits], (values,))

    def _varying(self, read: Read, offsets: Array, bits: pa.Buffer | None) -> pa.Array:
        first, last = int(offsets[0]), int(offsets[-1])
        if not 0 <= first <= last or last * self.width > self.values[1]:
            message = f"offsets {first} to {last}, of {self.values[1] // self.width} numbers"
            raise pa.ArrowInvalid(message)
        found = read(self.values[0] + first * self.width, (last - first) * self.width)
        kind = storage_of(self.kind).value_type
        values = pa.Array.from_buffers(kind, last - first, [None, found])
        here = pa.py_buffer(np.ascontiguousarray(offsets - offsets[0]))
        return self._wrapped(len(offsets) - 1, [bits, here], (values,))

    def _wrapped(
        self, rows: int, buffers: list[pa.Buffer | None], children: Sequence[pa.Array]
    ) -> pa.Array:
        storage = storage_of(self.kind)
        array = pa.Array.from_buffers(storage, rows, buffers, children=list(children) or None)
        array.validate(full=True)
        if storage is not self.kind:
            array = pa.ExtensionArray.from_storage(self.kind, array)
        return array

    def _valid(self, read: Read) -> Array | None:
        """Whether each row is one, where some are null."""
        if not self.validity[1]:
            return None
        found = np.frombuffer(read(self.validity[0], (self.rows + 7) // 8), np.uint8)
        return np.unpackbits(found, count=self.rows, bitorder="little")

    def _offsets(self, read: Read) -> Array | None:
        """Where each row begins, where that varies."""
        if not self._varies:
            return None
        kind = self._offset_type
        return np.frombuffer(read(self.offsets[0], (self.rows + 1) * kind.itemsize), kind)


def widest(schema: pa.Schema, names: list[str]) -> str | None:
    """Give the column that can be cut whose rows are the longest, if there is one."""
    sizes = {name: _size(storage_of(schema.field(name).type)) for name in names}
    wide = {name: size for name, size in sizes.items() if size}
    return max(wide, key=lambda name: wide[name], default=None)


def _size(kind: Any) -> int:
    if pa.types.is_fixed_size_binary(kind):
        return int(kind.byte_width)
    if not _is_list_of_numbers(kind):
        return 0
    return row_bytes(kind) or 0 if pa.types.is_fixed_size_list(kind) else VARYING_BYTES


def _is_list_of_numbers(kind: Any) -> bool:
    if not is_list(kind):
        return False
    number = kind.value_type
    return bool(pa.types.is_floating(number) or pa.types.is_integer(number))


def _packed(bits: Array) -> Array:
    return np.packbits(bits, bitorder="little")
