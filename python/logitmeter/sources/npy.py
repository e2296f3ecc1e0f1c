"""NumPy's `.npy`: one array. Never a pickle; the header is parsed here, within hard limits.

Layout: the byte 0x93 and ``NUMPY``, a byte each for the major and minor version, the length of the
header (2 bytes in version 1, then 4; little-endian), the header (a Python dictionary as text), the
numbers.

Source: NumPy's ``numpy.lib.format``.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from logitmeter.exceptions import CorruptInputError, DTypeError
from logitmeter.sources.damage import named_file
from logitmeter.sources.dtypes import element_of
from logitmeter.sources.tensors import Group, Tensor, TensorFile

if TYPE_CHECKING:
    from logitmeter.sources.place import Place

__all__ = ["NpyFile"]

PREFIX = 8
"""Bytes before the length of the header."""
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""How long that is, by version."""
LONGEST_HEADER = 10_000
"""As NumPy's own limit: the text is parsed."""
MOST_AXES = 64
SIDE_KINDS = re.compile(r"[<>=|]?(?:f[248]|[iu][1248]|b1|\?)")
LOGITS_KINDS = re.compile(SIDE_KINDS.pattern + "|[<>=|]?V2")
"""NumPy writes bfloat16 as V2: two opaque bytes."""
KEYS = {"descr", "fortran_order", "shape"}


class NpyFile(TensorFile):
    """One array: logits ``[N, V]`` or ``[B, T, V]``, or what is said of each of their rows.

    Parameters
    ----------
    place
        The file.
    column
        What it holds: the name of the column that it becomes.
    logits
        The name of the column of logits.
    dtype
        The element type of the logits, where the file cannot say it: NumPy writes bfloat16 as two
        opaque bytes.
    memory_map, padded
        As in `TensorFile`.
    """

    def __init__(
        self,
        place: Place,
        column: str,
        *,
        logits: str,
        dtype: str | None = None,
        memory_map: bool = False,
        padded: bool = False,
    ) -> None:
        super().__init__(place, logits, memory_map=memory_map, padded=padded)
        self._column = column
        self._dtype = dtype

    def _copy_padded(self) -> NpyFile:
        return NpyFile(
            self.place,
            self._column,
            logits=self._logits,
            dtype=self._dtype,
            memory_map=self.memory_map,
            padded=True,
        )

    @cached_property
    def groups(self) -> list[Group]:
        """The array."""
        tensor = self._tensor()
        if self._column != self._logits:
            return [Group(None, {self._column: tensor})]
        with named_file(self.path):
            element = element_of(tensor.dtype.name, self._dtype)
        return [Group(replace(tensor, element=element), {})]

    def _tensor(self) -> Tensor:
        """Parse the header, and check it against the size of the file."""
        head = self.place.head(PREFIX + 4 + LONGEST_HEADER)
        version = head[6] if len(head) > PREFIX else 0
        width = LENGTH_BYTES.get(version)
        if width is None:
            self._refuse(f"version {version} of the format", 6, "version 1, 2 or 3", str(version))
        start = PREFIX + width
        length = int.from_bytes(head[PREFIX:start], "little")
        if length > LONGEST_HEADER:
            self._refuse(f"a header of {length} bytes", PREFIX, f"at most {LONGEST_HEADER}", length)
        text = head[start : start + length]
        if len(text) < length:
            self._refuse("the file ends in its header", len(head), f"{start + length} bytes", "")
        tensor = self._parsed(text, start)
        if tensor.offset + tensor.num_bytes != self.num_bytes:
            self._refuse_size(tensor)
        return tensor

    def _parsed(self, text: bytes, start: int) -> Tensor:
        try:
            found = ast.literal_eval(text.decode("utf-8" if text.isascii() else "latin-1"))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            self._refuse(f"a header that cannot be parsed ({error})", start, "a dictionary", "")
        if not isinstance(found, dict) or set(found) != KEYS:
            self._refuse("a header of other keys", start, ", ".join(sorted(KEYS)), repr(found))
        descr, fortran, shape = found["descr"], found["fortran_order"], found["shape"]
        if not isinstance(fortran, bool):
            self._refuse("fortran_order that is no truth value", start, "True or False", fortran)
        if not _is_shape(shape):
            self._refuse(f"shape {shape!r}", start, "sizes, none negative", repr(shape))
        if not isinstance(descr, str) or not self._numbers_of().fullmatch(descr):
            self._refuse_kind(descr)
        dtype = np.dtype(descr.replace("V", "u"))
        return Tensor(start + len(text), shape, dtype, fortran=fortran and len(shape) > 1)

    def _numbers_of(self) -> re.Pattern[str]:
        return LOGITS_KINDS if self._column == self._logits else SIDE_KINDS

    def _refuse_kind(self, descr: object) -> NoReturn:
        message = f"numbers of type {descr!r} cannot be read"
        if "O" in str(descr):
            message = "Python objects, which are pickled: they can run code when they are read"
        raise DTypeError(message, path=self.path, expected="numbers", got=repr(descr))

    def _refuse_size(self, tensor: Tensor) -> NoReturn:
        wanted, found = tensor.offset + tensor.num_bytes, self.num_bytes
        what = "cut short" if found < wanted else f"{found - wanted} bytes behind the array"
        shape = f"{list(tensor.shape)} of {tensor.dtype.itemsize} bytes each"
        message = f"{what}, at {found} bytes: an array {shape} needs {wanted}"
        self._refuse(message, min(found, wanted), f"{wanted} bytes", f"{found} bytes")

    def _refuse(self, message: str, offset: int, expected: str, got: Any) -> NoReturn:
        raise CorruptInputError(
            f".npy: {message}", path=self.path, offset=offset, expected=expected, got=str(got)
        )


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MOST_AXES
        and all(type(size) is int and 0 <= size < 2**63 for size in shape)
        and prod(shape) < 2**63
    )
