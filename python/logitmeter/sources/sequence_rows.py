"""Rows that hold whole sequences, ``logits: list<list<V>>`` and ``labels: list<int>``, unrolled.

Every row is a sequence of its own; what it has one value of (an id, a task) holds for all its
positions. The values are not copied, only lengths are looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import ShapeError
from logitmeter.sources.base import SCOPE, Block, Facts, Reader
from logitmeter.sources.lists import lengths_of
from logitmeter.sources.vocab import is_list, storage_of, stored

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from logitmeter.sources.memory_numpy import Array

__all__ = ["unrolled"]

BFLOAT16_BYTES = 2
MATRIX = 2
"""Axes of a tensor ``[T, V]``."""


def unrolled(reader: Reader, logits: str, by_position: Collection[str]) -> Reader:
    """Give one row a position, if each row of the reader is a sequence; else the reader itself.

    Raises
    ------
    ShapeError
        One of the columns that are `by_position` has but one value for a sequence.
    """
    schema = reader.schema
    if logits not in schema.names or not _is_sequence(schema.field(logits).type):
        return reader
    for name in by_position:
        if name in schema.names and not is_list(schema.field(name).type):
            kind = schema.field(name).type
            message = (
                f"column {name!r} is {kind}, one value a row, but a row of {logits!r} is a "
                "whole sequence: a list with one value a position is needed"
            )
            raise ShapeError(message, expected="lists", got=str(kind))
    return SequenceRows(reader, logits)


class SequenceRows(Reader):
    """A reader whose rows are sequences, as one row a position."""

    def __init__(self, inner: Reader, logits: str) -> None:
        self.inner = inner
        self._logits = logits
        self._lengths: list[Array] = []

    @property
    def schema(self) -> pa.Schema:
        """The columns of the reader inside, by position."""
        fields = [
            field.with_type(_position_type(field.type, matrix=field.name == self._logits))
            for field in self.inner.schema
            if field.name != SCOPE
        ]
        return pa.schema([*fields, (SCOPE, pa.int64())], metadata=self.inner.schema.metadata)

    @property
    def facts(self) -> Facts:
        """How many positions there are is not known before they are read."""
        return replace(
            self.inner.facts,
            num_rows=None,
            shape=None,
            scope=SCOPE,
            sequence=SCOPE,
            row_period=None,
        )

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the blocks of the reader inside, unrolled."""
        self._lengths = []
        row = 0
        wanted = {name for name in names if name != SCOPE}
        if not any(is_list(self.inner.schema.field(name).type) for name in wanted):
            wanted.add(self._logits)  # nothing else tells how long a sequence is
        for block in self.inner.blocks(wanted):
            yield self._unrolled(block, row, names)
            row += block.num_rows

    def element(self, logits: str) -> str | None:
        """As the reader inside."""
        return self.inner.element(logits)

    def locate(self, position: int) -> tuple[str, int] | None:
        """Give the file of a position, and its place among the positions of that file."""
        ends = np.cumsum(np.concatenate([*self._lengths, np.zeros(0, np.int64)]))
        row = int(np.searchsorted(ends, position, side="right"))
        place = self.inner.locate(row)
        if place is None:
            return None
        path, inside = place
        before = row - inside
        return path, position - (int(ends[before - 1]) if before else 0)

    def _unrolled(self, block: Block, row: int, names: Collection[str]) -> Block:
        arrays = {
            name: _plain(array, matrix=name == self._logits)
            for name, array in block.columns.items()
            if name != SCOPE
        }
        lengths = self._checked_lengths(arrays, row)
        self._lengths.append(lengths)
        rows = np.repeat(np.arange(block.num_rows), lengths)
        columns = {
            name: array.flatten() if is_list(array.type) else _repeated(array, rows)
            for name, array in arrays.items()
            if name in names
        }
        columns[SCOPE] = pa.array(rows + row)
        return Block(len(rows), columns)

    def _checked_lengths(self, arrays: dict[str, pa.Array], row: int) -> Array:
        """Give the length of each sequence, on which all columns must agree."""
        found = {name: lengths_of(array) for name, array in arrays.items() if is_list(array.type)}
        first = self._logits if self._logits in found else next(iter(found))
        for name, lengths in found.items():
            differ = np.flatnonzero(lengths != found[first])
            if differ.size:
                at = int(differ[0])
                raise self._unequal(row + at, (first, found[first][at]), (name, lengths[at]))
        return found[first]

    def _unequal(self, row: int, one: tuple[str, int], other: tuple[str, int]) -> ShapeError:
        (first, wanted), (name, length) = one, other
        place = self.inner.locate(row)
        path, inside = (None, row) if place is None else place
        hint = ""
        if first == self._logits and length == wanted + 1:
            hint = "; logits of the last position may be anything under shift=True, but not missing"
        message = f"sequence {inside} has {wanted} of {first!r}, but {length} of {name!r}{hint}"
        return ShapeError(message, path=path, expected=str(wanted), got=str(length))


def _is_sequence(kind: Any) -> bool:
    """Whether a value of this type is a sequence of rows of logits."""
    if _is_matrix(kind):
        return True
    storage = storage_of(kind)
    if not is_list(storage):
        return False
    inner = storage_of(storage.value_type)
    opaque = pa.types.is_fixed_size_binary(inner) and inner.byte_width != BFLOAT16_BYTES
    return opaque or (is_list(inner) and not is_list(storage_of(inner.value_type)))


def _is_matrix(kind: Any) -> bool:
    return isinstance(kind, pa.FixedShapeTensorType) and len(kind.shape) == MATRIX


def _position_type(kind: Any, *, matrix: bool) -> Any:
    """Give the type of one position."""
    if matrix and _is_matrix(kind):
        return pa.list_(kind.value_type, kind.shape[1])
    storage = storage_of(kind)
    if is_list(storage):
        return storage_of(storage.value_type)
    return pa.large_string() if pa.types.is_string_view(kind) else kind


def _plain(array: pa.Array, *, matrix: bool) -> pa.Array:
    """Give lists in place of an extension type, also within lists."""
    kind = array.type
    storage = stored(array)
    if matrix and _is_matrix(kind):
        rows, vocab = kind.shape
        if not rows * vocab:  # pyarrow would divide by it
            message = f"sequences of shape {list(kind.shape)}: neither may be 0"
            raise ShapeError(message, expected="[T, V]", got=str(list(kind.shape)))
        size = storage.type.list_size
        values = storage.values.slice(storage.offset * size, len(storage) * size)
        flat = pa.FixedSizeListArray.from_arrays(values, vocab)
        nulls = array.is_null() if array.null_count else None
        return pa.FixedSizeListArray.from_arrays(flat, rows, mask=nulls)
    if not is_list(storage.type) or not isinstance(storage.type.value_type, pa.BaseExtensionType):
        return storage
    return storage.cast(_plain_type(storage.type))


def _plain_type(kind: Any) -> Any:
    inner = pa.field("item", storage_of(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(inner, kind.list_size)
    return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)


def _repeated(array: pa.Array, rows: Array) -> pa.Array:
    """Give the value of each of these rows; Arrow cannot take from views of text."""
    plain = array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array
    return plain.take(pa.array(rows))
