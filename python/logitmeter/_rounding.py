"""Logits from one element type to another: round to nearest, ties to even."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter.exceptions import NonFiniteError

if TYPE_CHECKING:
    from typing import TypeAlias

    Array: TypeAlias = np.ndarray[Any, Any]

__all__ = ["rounded", "stored_type"]


def stored_type(element: str) -> np.dtype[Any]:
    """Give how numbers of an element type are stored; bfloat16, which NumPy lacks, as uint16."""
    return np.dtype(np.uint16 if element == "bfloat16" else element)


def rounded(rows: Array, element: str, to: str, first: int = 0) -> Array:
    """Give rows ``[n, V]`` of one element type as they are stored in another.

    Finite numbers above the largest one of the new type are an error; those below the lowest,
    which stand for "no probability" in masked logits, become -inf. NaN stays NaN.

    Raises
    ------
    NonFiniteError
        A logit that would become +inf; its attribute ``row`` counts from `first`.
    """
    if element == to:
        return rows
    wide = widened(rows) if element == "bfloat16" else rows
    with np.errstate(over="ignore", invalid="ignore"):
        out: Array = _to_bfloat16(wide) if to == "bfloat16" else wide.astype(to)
    top = out == 0x7F80 if to == "bfloat16" else out == np.inf  # noqa: PLR2004 - +inf as bfloat16
    lost = np.flatnonzero((top & (wide != np.inf)).any(axis=1))
    if lost.size:
        row = first + int(lost[0])
        found = wide[lost[0]]
        largest = float(np.nanmax(np.where(np.isinf(found), -np.inf, found)))
        message = f"row {row} holds the logit {largest:g}, which is beyond {to}"
        raise NonFiniteError(message, row=row, expected=f"logits of {to}", got=f"{largest:g}")
    return out


def widened(bits: Array) -> Array:
    """Give the bits of bfloat16 as float32, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _to_bfloat16(wide: Array) -> Array:
    """Give the upper half of a float32, rounded; a NaN keeps being one."""
    single = _to_odd(wide) if wide.dtype == np.float64 else wide.astype(np.float32)
    bits = np.ascontiguousarray(single).view(np.uint32)
    upper = bits >> 16
    nearest = (bits + np.uint32(0x7FFF) + (upper & 1)) >> 16
    out: Array = np.where(np.isnan(single), upper | 0x40, nearest)
    return out.astype(np.uint16)


def _to_odd(wide: Array) -> Array:
    """Give float64 as float32, cut off, with the last bit set where anything was lost.

    Rounding that again gives what rounding once would (Boldo and Melquiond, "Emulation of FMA and
    correctly rounded sums: proved algorithms using rounding to odd", 2008).
    """
    single = wide.astype(np.float32)
    beyond = np.abs(single) > np.abs(wide)
    single = np.where(beyond, np.nextafter(single, np.float32(0)), single)
    inexact = (single != wide) & ~np.isnan(wide)
    bits: Array = single.view(np.uint32) | inexact
    return bits.view(np.float32)
