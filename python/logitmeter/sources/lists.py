"""Two columns of lists, token ids and their values, as flat arrays and a count a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logitmeter._rounding import widened
from logitmeter.exceptions import DTypeError
from logitmeter.sources.vocab import is_list, storage_of, stored

if TYPE_CHECKING:
    from logitmeter.sources.memory_numpy import Array

__all__ = ["Lists", "integers", "lengths_of", "numbers", "read_lists", "unit_of"]

UNITS = {
    "halffloat": 2.0**-11,
    "float": 2.0**-24,
    "double": 2.0**-53,
    "bfloat16": 2.0**-9,
}
"""By how much of itself a number of each type may have been rounded."""
BFLOAT16_TYPES = {pa.uint16(), pa.int16()}


class Lists(NamedTuple):
    """The lists of some rows.

    Attributes
    ----------
    ids, values
        int64 and float64, of all rows; entries that are null are left out.
    counts
        How many of them each row has.
    known
        Rows that have both lists.
    num_ids, num_values
        The length of each list as it was; where they differ, none of its entries is kept.
    """

    ids: Array
    values: Array
    counts: Array
    known: Array
    num_ids: Array
    num_values: Array


def unit_of(name: str, kind: Any, element: str | None) -> float:
    """Give the unit of rounding of a column of values, or of lists of them.

    Raises
    ------
    DTypeError
        What is no floating-point number, or 16-bit integers whose element type is not stated.
    """
    inner = storage_of(kind)
    inner = storage_of(inner.value_type) if is_list(inner) else inner
    if element == "bfloat16" and inner in BFLOAT16_TYPES:
        return UNITS["bfloat16"]
    unit = UNITS.get(str(inner))
    if unit is None:
        hint = '; if they are bfloat16, say dtype="bf16"' if inner in BFLOAT16_TYPES else ""
        message = f"column {name!r} is {kind}: floating-point numbers are needed{hint}"
        raise DTypeError(message, expected="float16, float32 or float64", got=str(kind))
    return unit


def read_lists(ids: pa.Array, values: pa.Array) -> Lists:
    """Flatten both columns; copies no more than the entries."""
    ids, values = stored(ids), stored(values)
    num_ids, num_values = lengths_of(ids), lengths_of(values)
    known = _valid(ids) & _valid(values)
    keep = known & (num_ids == num_values)
    counts = np.where(keep, num_ids, 0)
    flat_ids, flat_values = _kept(ids, keep, num_ids), _kept(values, keep, num_values)
    if flat_ids.null_count or flat_values.null_count:
        present = pc.and_(pc.is_valid(flat_ids), pc.is_valid(flat_values))
        rows = np.repeat(np.arange(len(counts)), counts)[_to_numpy(present)]
        counts = np.bincount(rows, minlength=len(counts))
        flat_ids, flat_values = flat_ids.filter(present), flat_values.filter(present)
    return Lists(integers(flat_ids), numbers(flat_values), counts, known, num_ids, num_values)


def numbers(array: pa.Array) -> Array:
    """Give floating-point numbers, or the bits of bfloat16, as float64; null becomes nan."""
    found = _to_numpy(array)
    if found.dtype.kind in "iu":
        found = widened(found.astype(np.uint16))
    return found.astype(np.float64)


def integers(array: pa.Array) -> Array:
    """Give integers as int64; what is beyond it becomes negative, and so out of range."""
    return _to_numpy(array.cast(pa.int64(), safe=False))


def _to_numpy(array: pa.Array) -> Array:
    found: Array = array.to_numpy(zero_copy_only=False)
    return found


def _valid(array: pa.Array) -> Array:
    return _to_numpy(array.is_valid())


def lengths_of(array: pa.Array) -> Array:
    """Give the length of each list; a null one has none."""
    return _to_numpy(pc.list_value_length(array).fill_null(0)).astype(np.int64)


def _kept(array: pa.Array, keep: Array, lengths: Array) -> pa.Array:
    """Give the entries of some of the lists; a null one has none."""
    flat = stored(array.flatten())
    return flat if keep.all() else flat.filter(pa.array(np.repeat(keep, lengths)))
