"""Files of plain tensors (`.npy`, safetensors): a header, then numbers at known places.

Rows are read in pieces, or given as they lie in a map. Big-endian numbers and Fortran's order are
turned round as they are read; the latter costs a read for each entry of the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import CorruptInputError, ShapeError
from logitmeter.sources.base import SCOPE, Block
from logitmeter.sources.damage import named_file
from logitmeter.sources.dtypes import arrow_type
from logitmeter.sources.file import File
from logitmeter.sources.memory_numpy import Array, check_shape, list_array, row_blocks
from logitmeter.sources.place import read_exactly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from logitmeter.sources.place import Place

__all__ = ["Group", "Tensor", "TensorFile"]

MAPPED_BYTES = 64 << 20
"""What is handed over at once of a map, or gathered at once where a row is not in one place."""
SIDE_ROWS = 1 << 20
"""Rows at once where no logits are read."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where in its file a tensor lies, and what it holds.

    Parameters
    ----------
    offset
        Of its first byte.
    shape
        Its axes.
    dtype
        How a number is stored; 16-bit integers for bfloat16.
    element
        Of logits: the element type, as NumPy names it.
    fortran
        The first axis is the one whose entries follow each other.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    element: str = ""
    fortran: bool = False

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Group:
    """Logits and what is said of each of their rows; of a file of labels, that alone."""

    logits: Tensor | None
    sides: dict[str, Tensor]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the labels."""
        if self.logits is not None:
            return self.logits.shape[:-1]
        return next(iter(self.sides.values())).shape


class TensorFile(File):
    """A file of one group of tensors, or of several, each of which is a sequence then.

    Parameters
    ----------
    place
        The file.
    logits
        The name of the column of logits.
    memory_map
        Map it instead of reading it.
    padded
        One row more for each b, null and never read: the place of the last label under
        ``shift=True``, whose logits would predict nothing.
    """

    def __init__(
        self, place: Place, logits: str, *, memory_map: bool = False, padded: bool = False
    ) -> None:
        super().__init__(place, memory_map=memory_map)
        self._logits = logits
        self._padded = padded

    @property
    @abstractmethod
    def groups(self) -> list[Group]:
        """What the header says, checked against the size of the file."""

    @property
    def labels_apart(self) -> bool:
        """Every tensor lies apart."""
        return True

    @property
    def num_rows(self) -> int:
        """Its rows, of all groups, with those that have no logits."""
        return sum(prod(self._labels_shape(group)) for group in self.groups)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the labels; of several groups, their number."""
        if len(self.groups) > 1:
            return (self.num_rows,)
        return self._labels_shape(self.groups[0])

    @property
    def sequences(self) -> bool:
        """Each b of ``[B, T, V]`` is one, and each of several groups."""
        return self.groups[0].logits is not None and (
            len(self.groups) > 1 or len(self.groups[0].shape) > 1
        )

    @property
    def row_period(self) -> int | None:
        """T, if the last of so many labels has no logits."""
        return self._labels_shape(self.groups[0])[-1] if self._padded else None

    def padded(self, labels: tuple[int, ...]) -> TensorFile | None:
        """Give the same for labels ``[B, T]`` with logits ``[B, T - 1, V]``."""
        shape = self.shape or ()
        fits = len(labels) == len(shape) == 2 and labels == (shape[0], shape[1] + 1)  # noqa: PLR2004
        return self._copy_padded() if fits and len(self.groups) == 1 else None

    @abstractmethod
    def _copy_padded(self) -> TensorFile: ...

    def element(self, logits: str) -> str | None:  # noqa: ARG002 - there is one column of logits
        """Bfloat16 has no Arrow type."""
        tensor = self.groups[0].logits
        return "bfloat16" if tensor and tensor.element == "bfloat16" else None

    @cached_property
    def schema(self) -> pa.Schema:
        """The logits, what lies beside them, and the number of the sequence."""
        fields = self._fields(self.groups[0])
        for group in self.groups[1:]:
            found = self._fields(group)
            if found != fields:
                message = f"tensors that do not go together: {_kinds(found)} after {_kinds(fields)}"
                raise ShapeError(
                    message, path=self.path, expected=_kinds(fields), got=_kinds(found)
                )
        return pa.schema([*fields, (SCOPE, pa.int64())] if self.sequences else fields)

    def _fields(self, group: Group) -> list[pa.Field]:
        sides = [pa.field(name, _side_type(tensor)) for name, tensor in group.sides.items()]
        if group.logits is None:
            return sides
        with named_file(self.path):
            check_shape(group.logits.shape)
        kind = pa.list_(arrow_type(group.logits.element), group.logits.shape[-1])
        return [pa.field(self._logits, kind), *sides]

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give its rows in pieces."""
        chosen = [name for name in self.schema.names if name in names]
        self.check_unchanged()
        scope = 0
        with self.place.open(memory_map=self.memory_map) as file:
            for group in self.groups:
                for start, rows, values in self._pieces(file, group, chosen):
                    columns = {self._logits: values} if values is not None else {}
                    for name in chosen:
                        if name in group.sides:
                            columns[name] = self._side(file, group.sides[name], start, rows)
                    if SCOPE in chosen:
                        columns[SCOPE] = self._numbers(group, start, rows, scope)
                    yield Block(rows, columns)
                scope += prod(group.shape[:-1])
        self.check_unchanged()

    def _pieces(
        self, file: pa.NativeFile, group: Group, chosen: list[str]
    ) -> Iterator[tuple[int, int, pa.Array | None]]:
        """Where rows start, how many they are, and their logits if they are asked for."""
        tensor = group.logits
        if tensor is None or self._logits not in chosen:
            total = prod(self._labels_shape(group))
            yield from ((a, b - a, None) for a, b in row_blocks(total, 1, SIDE_ROWS))
            return
        kind = self.schema.field(self._logits).type
        size = tensor.shape[-1] * tensor.dtype.itemsize
        many = self.memory_map or tensor.fortran
        step = MAPPED_BYTES if many else self.place.read_bytes
        # Without padding, rows follow each other over all b.
        stretch = tensor.shape[-2] if self._padded else prod(tensor.shape[:-1])
        position = 0
        for begin in range(0, prod(tensor.shape[:-1]), max(1, stretch)):
            for a, b in row_blocks(stretch, size, step):
                rows = self._rows(file, tensor, begin + a, begin + b)
                yield position, b - a, list_array(rows, kind)
                position += b - a
            if self._padded:
                yield position, 1, pa.nulls(1, kind)
                position += 1

    def _rows(self, file: pa.NativeFile, tensor: Tensor, start: int, stop: int) -> Array:
        """Give rows of logits, C-contiguous and of this machine's byte order."""
        if tensor.fortran:
            return self._gathered(file, tensor, start, stop)
        width = tensor.shape[-1]
        found = self._read(file, tensor, start * width, stop * width)
        return found.reshape(stop - start, width)

    def _gathered(self, file: pa.NativeFile, tensor: Tensor, start: int, stop: int) -> Array:
        """Give rows whose entries lie far apart: one read for each entry of the vocabulary.

        Row t of b begins at ``b + t * B``, so that each read has the rows of all b between.
        """
        *outer, length, width = tensor.shape
        sequences = prod(outer)
        out = np.empty((stop - start, width), tensor.dtype.newbyteorder("="))
        for b in range(start // length, -(-stop // length)):
            first, last = max(start, b * length), min(stop, (b + 1) * length)
            a, z = (b + (t - b * length) * sequences for t in (first, last - 1))
            for v in range(width):
                plane = v * sequences * length
                found = self._read(file, tensor, plane + a, plane + z + 1)
                out[first - start : last - start, v] = found[::sequences]
        return out

    def _side(self, file: pa.NativeFile, tensor: Tensor, start: int, rows: int) -> pa.Array:
        """Give some values of a tensor with one for each row."""
        if tensor.fortran and len(tensor.shape) > 1:
            whole = self._read(file, tensor, 0, prod(tensor.shape))
            found = whole.reshape(tensor.shape, order="F").ravel()[start : start + rows]
        else:
            found = self._read(file, tensor, start, start + rows)
        return pa.array(found, _side_type(tensor))

    def _read(self, file: pa.NativeFile, tensor: Tensor, start: int, stop: int) -> Array:
        """Give numbers in the order in which they lie, of this machine's byte order."""
        size = tensor.dtype.itemsize
        found = read_exactly(
            file, tensor.offset + start * size, (stop - start) * size, self._cut_short
        )
        array = np.frombuffer(found, tensor.dtype)
        return array.astype(tensor.dtype.newbyteorder("="), copy=False)

    def _numbers(self, group: Group, start: int, rows: int, scope: int) -> pa.Array:
        """Give the number of the sequence of each row."""
        length = self._labels_shape(group)[-1]
        return pa.array(np.arange(start, start + rows, dtype=np.int64) // length + scope)

    def _labels_shape(self, group: Group) -> tuple[int, ...]:
        *outer, last = group.shape
        return (*outer, last + self._padded)

    def _cut_short(self, offset: int) -> CorruptInputError:
        self.check_unchanged()
        message = f"cut short at {offset} bytes"
        return CorruptInputError(message, path=self.path, offset=offset, got=f"{offset} bytes")


def _side_type(tensor: Tensor) -> pa.DataType:
    return pa.from_numpy_dtype(tensor.dtype.newbyteorder("="))


def _kinds(fields: list[pa.Field]) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in fields)
