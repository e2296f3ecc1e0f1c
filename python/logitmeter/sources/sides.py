"""Labels, mask, weight, ids and groups given as arrays: checked, and flattened to columns.

Only the kind of the values and their number are looked at; what a value may be is decided where
it counts, in the core.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import DTypeError, SettingsError, ShapeError
from logitmeter.sources.memory_arrow import validated
from logitmeter.sources.memory_numpy import Array, refuse_masked
from logitmeter.sources.memory_torch import to_numpy

__all__ = ["Layout", "column_of", "shape_of"]

KINDS = {
    "labels": ("iu", "integers"),
    "mask": ("biu", "bool, or integers 0 and 1"),
    "role": ("UT", "strings"),
    "weight": ("fiu", "real numbers"),
    "sequence_id": ("iuUT", "integers or strings"),
    "batch_id": ("iuUT", "integers or strings"),
    "by": ("biuUT", "integers, strings or bool"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape that data beside some logits must have, as far as that is known.

    Parameters
    ----------
    logits
        The shape of the logits, for messages; None for a stream.
    vocab
        The length of a row of logits.
    shape
        The shape of the labels, ``(N,)`` or ``(B, T)``; None for a stream.
    limit
        Rows that are read, if not all: data of just this length are accepted too.
    """

    logits: tuple[int, ...] | None = None
    vocab: int | None = None
    shape: tuple[int, ...] | None = None
    limit: int | None = None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether data of this shape go with the logits."""
        if self.shape is None:
            return len(shape) == 1
        return shape in {self.shape, (self.limit,)}


def column_of(data: object, role: str, layout: Layout, name: str | None = None) -> pa.ChunkedArray:
    """Give data of one role as a column of as many rows as the logits."""
    name = name or role
    refuse_masked(data, name)
    if isinstance(data, str):
        message = f"{name}={data!r}: an array is needed here"
        raise SettingsError(message, expected="an array", got=repr(data))
    arrow = _arrow_column(data, name)
    if arrow is not None:
        _check_shape((len(arrow),), role, name, _flat(layout))
        return arrow
    array = _numpy_column(data, role, name)
    if role in {"by", "sequence_id", "batch_id"}:
        array = _spread(array, layout)
    _check_shape(array.shape, role, name, layout)
    return pa.chunked_array([pa.array(array.ravel())])


def shape_of(data: object) -> tuple[int, ...] | None:
    """Give the shape of an array; None for what has none, as an Arrow column."""
    if isinstance(data, list | tuple):
        return tuple(_listed(data).shape)
    shape = getattr(data, "shape", None)
    return None if shape is None else tuple(shape)


def _arrow_column(data: Any, name: str) -> pa.ChunkedArray | None:
    if isinstance(data, pa.ChunkedArray):
        column = data
    elif hasattr(data, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(data)])
    elif hasattr(data, "__arrow_c_stream__"):
        column = pa.chunked_array(data)
    else:
        return None
    if pa.types.is_nested(column.type):
        message = f"{name} given as {column.type}: one plain column is needed"
        raise DTypeError(message, expected="one value a row", got=str(column.type))
    validated(column)
    return column


def _numpy_column(data: object, role: str, name: str) -> Array:
    array = _listed(data) if isinstance(data, list | tuple) else to_numpy(data)
    if array.dtype.kind == "O":
        array = _of_objects(array)
    kinds, wanted = KINDS[role]
    kind = "f" if array.dtype.name == "bfloat16" else array.dtype.kind
    if kind not in kinds:
        message = f"{name} given as {array.dtype.name}: {wanted} are needed"
        raise DTypeError(message, expected=wanted, got=array.dtype.name)
    native = np.float64 if role == "weight" else array.dtype.newbyteorder("=")
    return array.astype(native, copy=False)


def _listed(data: list[Any] | tuple[Any, ...]) -> Array:
    """Python's own lists, which must be rectangular."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"lists of different lengths: {error}", expected="one length") from error
    return array if array.size else array.astype(np.int64)


def _of_objects(array: Array) -> Array:
    """Python's own strings as NumPy's; other objects stay what they are, and are refused."""
    strings = all(isinstance(value, str) for value in array.flat)
    return array.astype(str) if strings else array


def _spread(array: Array, layout: Layout) -> Array:
    """One group or id for each b of ``[B, T, V]``, given as ``[B]``, for all its rows."""
    shape = layout.shape or ()
    if len(shape) == 2 and array.shape == shape[:1]:  # noqa: PLR2004 - [B, T]
        return np.repeat(array, shape[1]).reshape(shape)
    return array


def _flat(layout: Layout) -> Layout:
    return layout if layout.shape is None else replace(layout, shape=(prod(layout.shape),))


def _check_shape(shape: tuple[int, ...], role: str, name: str, layout: Layout) -> None:
    if layout.fits(shape):
        return
    wanted = "one value a row" if layout.shape is None else str(list(layout.shape))
    logits = "" if layout.logits is None else f" for logits of shape {list(layout.logits)}"
    message = f"{name} has shape {list(shape)}, but {wanted} is needed{logits}"
    raise ShapeError(message + _hint(shape, role, layout), expected=wanted, got=str(list(shape)))


def _hint(shape: tuple[int, ...], role: str, layout: Layout) -> str:
    logits = layout.logits or ()
    if role == "weight" and shape == (layout.vocab,):
        return "; weights are per position, not per class as in torch"
    if len(logits) == 3 and shape == (logits[0], logits[2]):  # noqa: PLR2004 - [B, V, T]
        return "; if the logits are [B, V, T], pass logits.transpose(0, 2, 1)"
    if len(logits) == 2 and shape == logits[1:]:  # noqa: PLR2004 - [V, N]
        return "; if the logits are [V, N], pass logits.T"
    if len(logits) == 3 and shape == (logits[0], logits[1] + 1):  # noqa: PLR2004 - [B, T, V]
        return "; logits [B, T - 1, V] go with labels [B, T] under shift=True"
    return ""
