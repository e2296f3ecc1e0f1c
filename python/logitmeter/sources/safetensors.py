"""safetensors: named tensors behind a header of JSON.

Layout: the length of the header (8 bytes, little-endian), the header, the numbers. The header says
of each tensor its dtype, shape and place among the numbers, ``data_offsets``. It is parsed here,
since the library of that name maps its files (one that shrinks kills the process) and opens none in
stores; what it refuses is refused here too.

Source: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeGuard

import numpy as np

from logitmeter.exceptions import CorruptInputError, SettingsError, ShapeError
from logitmeter.sources.base import LOGITS
from logitmeter.sources.damage import named_file
from logitmeter.sources.dtypes import check_stated, element_of
from logitmeter.sources.tensors import Group, Tensor, TensorFile

if TYPE_CHECKING:
    from logitmeter.sources.place import Place

__all__ = ["SafetensorsFile"]

LENGTH_BYTES = 8
LONGEST_HEADER = 16 << 20
"""Room for some 100,000 tensors; the text is parsed."""
DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "u2",
    "I64": "i8",
    "U64": "u8",
    "I32": "i4",
    "U32": "u4",
    "I16": "i2",
    "U16": "u2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
ELEMENTS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
SERIES = re.compile(r"(?:logits_|tensor\.)(\d+)")
"""Names of logits where each is one sequence."""
FIELDS = "dtype, shape and data_offsets"


class Entry(NamedTuple):
    """A tensor as the header describes it; of a dtype that we may not know."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def tensor(self) -> Tensor:
        """Give the same, where the dtype is known."""
        return Tensor(self.begin, self.shape, np.dtype(f"<{DTYPES.get(self.kind, 'u1')}"))


class SafetensorsFile(TensorFile):
    """Logits by name with labels beside them, or a series ``logits_0``, ``logits_1``, ...

    A series has one sequence ``[T, V]`` each, and ``labels_0``, ``mask_0`` and so on beside it. All
    tensors of the shape of the labels are columns; others are left alone.

    Parameters
    ----------
    place
        The file.
    logits
        The name of the tensor of logits; None in a file of labels.
    sides
        Names of tensors that, where they are there, must have the shape of the labels; the first is
        the labels.
    dtype
        The element type that was stated, which must be the one there is.
    memory_map, padded
        As in `TensorFile`.
    """

    def __init__(
        self,
        place: Place,
        logits: str | None,
        *,
        sides: tuple[str, ...],
        dtype: str | None = None,
        memory_map: bool = False,
        padded: bool = False,
    ) -> None:
        super().__init__(place, logits or LOGITS, memory_map=memory_map, padded=padded)
        self._key = logits
        self._sides = sides
        self._dtype = dtype

    def _copy_padded(self) -> SafetensorsFile:
        return SafetensorsFile(
            self.place,
            self._key,
            sides=self._sides,
            dtype=self._dtype,
            memory_map=self.memory_map,
            padded=True,
        )

    @cached_property
    def groups(self) -> list[Group]:
        """The tensors that are used."""
        entries = self._entries
        tensors = {name: entry.tensor for name, entry in entries.items() if entry.kind in DTYPES}
        if self._key is None:
            return self._of_labels(tensors)
        if self._key in entries:
            return [self._group(self._key, _without(tensors, self._key))]
        series = sorted((name for name in entries if SERIES.fullmatch(name)), key=_number)
        if self._key != LOGITS or not series:
            raise self._missing(self._key)
        return [self._group(name, _numbered(tensors, _number(name))) for name in series]

    def _group(self, name: str, others: dict[str, Tensor]) -> Group:
        """Logits, and the tensors that have one value for each row of them."""
        logits = self._logits_of(self._entries[name])
        *outer, rows = logits.shape[:-1] or (0,)
        shape = (*outer, rows + self._padded)
        sides = {name: tensor for name, tensor in others.items() if tensor.shape == shape}
        for side in set(self._sides) & others.keys() - sides.keys():
            wanted, found = str(list(shape)), str(list(others[side].shape))
            message = f"{side} has shape {found}, but {wanted} is needed for these logits"
            raise ShapeError(message, path=self.path, expected=wanted, got=found)
        return Group(logits, sides)

    def _logits_of(self, entry: Entry) -> Tensor:
        element = ELEMENTS.get(entry.kind)
        with named_file(self.path):
            if element is None:
                known = entry.kind in DTYPES
                name = entry.tensor.dtype.name if known else entry.kind
                element = element_of(name, self._dtype)
            check_stated(element, self._dtype)
        return replace(entry.tensor, element=element)

    def _of_labels(self, tensors: dict[str, Tensor]) -> list[Group]:
        """Labels, and what has their shape; or a series of them, end to end."""
        name = next((name for name in self._sides if name in tensors), None)
        if name is not None:
            shape = tensors[name].shape
            return [Group(None, {key: t for key, t in tensors.items() if t.shape == shape})]
        numbers = sorted(_number(key) for key in tensors if key.startswith("labels_"))
        if numbers:
            return [Group(None, _numbered(tensors, number)) for number in numbers]
        raise self._missing(self._sides[0])

    def _missing(self, name: str) -> SettingsError:
        present = ", ".join(self._entries)
        message = f"no tensor {name!r}; the file has: {present}"
        return SettingsError(message, path=self.path, expected=name, got=present)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        """Every tensor that the header names; their places must tile the numbers."""
        length = int.from_bytes(self.place.head(LENGTH_BYTES), "little")
        if length > LONGEST_HEADER:
            self._refuse(f"a header of {length} bytes", 0, f"at most {LONGEST_HEADER}", length)
        start = LENGTH_BYTES + length
        head = self.place.head(start)
        if len(head) < start:
            there = f"{len(head)} bytes"
            self._refuse("cut short in its header", len(head), f"{start} bytes", there)
        header = self._parsed(head[LENGTH_BYTES:])
        header.pop("__metadata__", None)
        found = {name: self._entry(name, entry, start) for name, entry in header.items()}
        self._check_tiles(start, list(found.values()))
        return found

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            self._refuse(
                f"a header that cannot be parsed ({error})", LENGTH_BYTES, "JSON", text[:20]
            )
        if not isinstance(found, dict):
            self._refuse("a header that is no object", LENGTH_BYTES, "an object", text[:20])
        return found

    def _entry(self, name: str, entry: Any, start: int) -> Entry:
        """Give one tensor of the header, if it says all that is needed."""
        fields = entry if isinstance(entry, dict) else {}
        kind, shape, place = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
        if not (isinstance(kind, str) and _are_sizes(shape) and _are_sizes(place, 2)):
            self._refuse(f"tensor {name!r} is ill described", LENGTH_BYTES, FIELDS, repr(entry))
        found = Entry(kind, tuple(shape), start + place[0], start + place[1])
        size = found.end - found.begin
        if size < 0 or (kind in DTYPES and found.tensor.num_bytes != size):
            message = f"tensor {name!r} of shape {shape} and dtype {kind} has {size} bytes"
            self._refuse(message, found.begin, f"{prod(shape)} numbers", f"{size} bytes")
        return found

    def _check_tiles(self, start: int, entries: list[Entry]) -> None:
        """Refuse tensors that overlap, leave holes or go beyond the file: as the library does."""
        at = start
        for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
            if entry.begin != at:
                self._refuse("tensors that overlap, or leave a hole", at, str(at), entry.begin)
            at = entry.end
        if at != self.num_bytes:
            what = "cut short" if self.num_bytes < at else "bytes behind the last tensor"
            message = f"{what}, at {self.num_bytes} bytes: its header needs {at}"
            there = f"{self.num_bytes} bytes"
            self._refuse(message, min(at, self.num_bytes), f"{at} bytes", there)

    def _refuse(self, message: str, offset: int, expected: str, got: Any) -> NoReturn:
        raise CorruptInputError(
            f"safetensors: {message}",
            path=self.path,
            offset=offset,
            expected=expected,
            got=str(got),
        )


def _are_sizes(numbers: object, count: int | None = None) -> TypeGuard[list[int]]:
    return (
        isinstance(numbers, list)
        and count in {None, len(numbers)}
        and all(type(number) is int and 0 <= number < 2**63 for number in numbers)
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "a name that is given twice"
        raise ValueError(message)
    return found


def _without(tensors: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != key}


def _number(name: str) -> int:
    """Give the number that a name of a series ends in; -1 if it has none."""
    digits = re.search(r"\d{1,18}$", name)
    return int(digits[0]) if digits else -1


def _numbered(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """Give what lies beside one of a series: ``labels_3`` as labels, but no logits."""
    ending = re.compile(rf"(\w+?)_0*{number}")
    found = {
        match[1]: tensor for name, tensor in tensors.items() if (match := ending.fullmatch(name))
    }
    return _without(found, LOGITS)
