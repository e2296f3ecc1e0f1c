"""Options as users spell them, checked, as the core takes them."""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np

from logitmeter.exceptions import DTypeError, SettingsError, ShapeError

__all__ = ["NonFinite", "OnEmpty", "OnShort", "Precision", "one_of", "vocab_bytes", "whole"]

OnShort = Literal["raise", "count"]
OnEmpty = Literal["nan", "raise"]
NonFinite = Literal["raise", "omit", "propagate"]
Precision = Literal["fast", "exact"]


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        wanted = " or ".join(map(repr, choices))
        raise SettingsError(
            f"{name}={value!r}: supported is {wanted}", expected=wanted, got=repr(value)
        )


def whole(name: str, value: Any, least: int) -> int:
    """Give a whole number of at least so much."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        wanted = f"an integer >= {least}"
        raise SettingsError(
            f"{name}={value!r}: {wanted} is needed", expected=wanted, got=repr(value)
        )
    return number


def vocab_bytes(mask: Any, vocab_size: int | None) -> bytes | None:
    """Give the entries of a row that are allowed, one byte each."""
    if mask is None or isinstance(mask, bytes):
        return mask
    from logitmeter.sources.memory_numpy import refuse_masked
    from logitmeter.sources.memory_torch import to_numpy

    refuse_masked(mask, "vocab_mask")
    allowed = to_numpy(mask)
    if allowed.dtype != np.bool_:
        raise DTypeError(
            f"vocab_mask given as {allowed.dtype.name}: one bool for each entry of a row is needed",
            expected="bool",
            got=allowed.dtype.name,
        )
    if allowed.ndim != 1 or vocab_size not in {None, allowed.size}:
        wanted = "[V]" if vocab_size is None else f"[{vocab_size}]"
        raise ShapeError(
            f"vocab_mask has shape {list(allowed.shape)}, but rows of logits have length {wanted}",
            expected=wanted,
            got=str(list(allowed.shape)),
        )
    return allowed.tobytes()
