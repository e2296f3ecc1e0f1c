"""Logits in memory, ``[N, V]`` or ``[B, T, V]``, zero-copy where rows follow each other.

Other layouts are copied in small blocks as they are read. Each b of ``[B, T, V]`` is a sequence.
Where all of the array is contiguous it is one block; where each ``x[b]`` is (as in ``x[:, :-1]``),
one block per b.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import DTypeError, ShapeError
from logitmeter.sources.base import LOGITS, SCOPE, Block, Facts, Reader
from logitmeter.sources.dtypes import arrow_type, element_of_array

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["ArrayRows", "Dense", "Rows", "check_shape", "list_array", "refuse_masked"]

Array: TypeAlias = np.ndarray[Any, Any]
COPIED_BYTES = 1 << 20
"""What is copied at once of rows that do not follow each other."""
LARGEST_VOCAB = 2**31 - 1


class Rows(Protocol):
    """Where a `Dense` reader gets its rows from."""

    shape: tuple[int, ...]
    element: str
    waits: bool

    def whole(self) -> Array | None:
        """All rows as one C-contiguous ``[rows, V]`` view, if that needs no copy."""

    def parts(self, b: int | None) -> Iterator[Array]:
        """Give the rows of ``x[b]``, or of ``[N, V]`` for None, as C-contiguous ``[rows, V]``."""


class ArrayRows:
    """Rows of a NumPy array."""

    waits = False

    def __init__(self, array: Array, dtype: str | None = None) -> None:
        self.shape = check_shape(array.shape)
        self.element = element_of_array(array, dtype)
        self._array = array.view(np.uint16) if self.element == "bfloat16" else array

    def whole(self) -> Array | None:
        """Give the array itself, as rows."""
        if not _plain(self._array):
            return None
        return self._array.reshape(prod(self.shape[:-1]), self.shape[-1])

    def parts(self, b: int | None) -> Iterator[Array]:
        """One view, or copies of about a mebibyte."""
        rows = self._array if b is None else self._array[b]
        if _plain(rows):
            yield rows
            return
        native = rows.dtype.newbyteorder("=")
        for start, stop in row_blocks(rows.shape[0], rows.shape[1] * rows.itemsize, COPIED_BYTES):
            yield np.ascontiguousarray(rows[start:stop], dtype=native)


class Dense(Reader):
    """Rows in memory, or on a device.

    ``padded`` adds one row to each b, null and never read: the place of the last label under
    ``shift=True``, whose logits would predict nothing.
    """

    def __init__(self, rows: Rows, *, padded: bool = False) -> None:
        self.rows = rows
        self.padded = padded
        self._type = pa.list_(arrow_type(rows.element), rows.shape[-1])

    @cached_property
    def schema(self) -> pa.Schema:
        """The logits, and for ``[B, T, V]`` the number b."""
        fields = [pa.field(LOGITS, self._type)]
        return pa.schema(fields if self.flat else [*fields, pa.field(SCOPE, pa.int64())])

    @property
    def flat(self) -> bool:
        """Whether this is ``[N, V]``: no sequences are known."""
        return len(self.rows.shape) == 2  # noqa: PLR2004 - [N, V]

    @cached_property
    def facts(self) -> Facts:
        """All is known of an array."""
        *outer, last = self.rows.shape[:-1]
        shape = (*outer, last + self.padded)
        scope = None if self.flat else SCOPE
        return Facts(
            prod(shape),
            shape=shape,
            labels_apart=True,
            waits=self.rows.waits,
            scope=scope,
            sequence=scope,
            row_period=shape[-1] if self.padded else None,
        )

    def element(self, logits: str) -> str | None:  # noqa: ARG002 - there is one column
        """Bfloat16 has no Arrow type."""
        return self.rows.element if self.rows.element == "bfloat16" else None

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """One block where the rows allow it, else one or more per b."""
        blocks = self._numbers() if LOGITS not in names else self._logits()
        return (block for block in blocks if block.num_rows)

    def _numbers(self) -> Iterator[Block]:
        shape = self.facts.shape or ()
        if self.flat:
            yield Block(prod(shape))
        else:
            numbers = np.repeat(np.arange(shape[0]), prod(shape[1:]))
            yield Block(len(numbers), {SCOPE: pa.array(numbers)})

    def _logits(self) -> Iterator[Block]:
        whole = None if self.padded else self.rows.whole()
        if whole is not None:
            numbers = next(self._numbers())
            yield numbers.joined(Block(numbers.num_rows, {LOGITS: self._array(whole)}))
        elif self.flat:
            for part in self.rows.parts(None):
                yield Block(len(part), {LOGITS: self._array(part)})
        else:
            for b in range(self.rows.shape[0]):
                yield from self._sequence(b)

    def _sequence(self, b: int) -> Iterator[Block]:
        last = [pa.nulls(1, self._type)] if self.padded else []
        for array in chain(map(self._array, self.rows.parts(b)), last):
            numbers = pa.array(np.full(len(array), b, np.int64))
            yield Block(len(array), {LOGITS: array, SCOPE: numbers})

    def _array(self, rows: Array) -> pa.Array:
        return list_array(rows, self._type)


def list_array(rows: Array, kind: pa.DataType) -> pa.Array:
    """Give C-contiguous rows as a column of fixed-size lists, without a copy."""
    values = pa.Array.from_buffers(kind.value_type, rows.size, [None, pa.py_buffer(rows)])
    return pa.FixedSizeListArray.from_arrays(values, type=kind)


def row_blocks(rows: int, row_bytes: int, block_bytes: int) -> Iterator[tuple[int, int]]:
    """Where to cut rows into blocks of about so many bytes, at least one row each."""
    step = max(1, block_bytes // max(1, row_bytes))
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape, if it is one of logits."""
    wanted = "[N, V] or [B, T, V]"
    if len(shape) not in {2, 3}:
        message = f"logits have shape {list(shape)}; {wanted} is needed"
        raise ShapeError(message, expected=wanted, got=str(list(shape)))
    if not 0 < shape[-1] <= LARGEST_VOCAB:
        message = (
            f"logits have shape {list(shape)}: the vocabulary, their last axis, cannot be that"
        )
        raise ShapeError(message, expected=f"1 to {LARGEST_VOCAB}", got=str(shape[-1]))
    return tuple(shape)


def refuse_masked(thing: object, what: str) -> None:
    """Refuse `numpy.ma` arrays: their mask says True for what is left out, ours for what counts."""
    if isinstance(thing, np.ma.MaskedArray):
        message = (
            f"{what} given as a numpy.ma array, whose mask is True where a value is left out; "
            "pass the plain data, and mask=~array.mask, which is True where a token counts"
        )
        raise DTypeError(message, expected="a plain array", got="numpy.ma.MaskedArray")


def _plain(array: Array) -> bool:
    """Whether the bytes can be handed over as they are."""
    return array.flags.c_contiguous and array.dtype.isnative
