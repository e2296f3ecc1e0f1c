"""Options as users spell them, checked, as the core takes them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from logitmeter import _core
from logitmeter.exceptions import DTypeError, SettingsError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NonFinite",
    "OnEmpty",
    "OnShort",
    "Precision",
    "check_progress",
    "counting_settings",
    "flag",
    "one_of",
    "vocab_options",
    "whole",
]

OnShort = Literal["raise", "count"]
OnEmpty = Literal["nan", "raise"]
NonFinite = Literal["raise", "omit", "propagate"]
Precision = Literal["fast", "exact"]

INT64 = (-(2**63), 2**63 - 1)
MOST_HIDDEN = 2**31
"""The most leading or trailing tokens of a run."""


def counting_settings(
    vocab_size: int | None,
    *,
    ignore_index: int,
    shift: bool,
    leading: int,
    trailing: int,
    on_short: OnShort,
    valid_vocab: int | None,
    vocab_mask: Any,
    nonfinite: NonFinite = "raise",
    precision: Precision = "fast",
    hidden: bool = True,
    pooling: str = "tokens",
    accuracy: str = "tokens",
    profile: tuple[str, str] | None = None,
) -> _core.Settings:
    """Check the counting options one by one, and give them as the core takes them."""
    one_of("on_short", on_short, ("raise", "count"))
    one_of("nonfinite", nonfinite, ("raise", "omit", "propagate"))
    one_of("pooling", pooling, ("tokens", "sequences", "batches", "samples"))
    one_of("accuracy", accuracy, ("tokens", "sequences"))
    return _core.Settings(
        ignore_index=whole("ignore_index", ignore_index, *INT64),
        shift=flag("shift", shift),
        leading=whole("leading", leading, 0, MOST_HIDDEN),
        trailing=whole("trailing", trailing, 0, MOST_HIDDEN),
        on_short=on_short,
        nonfinite=nonfinite,
        hidden=flag("hidden", hidden),
        pooling=pooling,  # type: ignore[arg-type] # checked above
        accuracy=accuracy,  # type: ignore[arg-type]
        profile=profile,
        **vocab_options(vocab_size, valid_vocab, vocab_mask, precision),
    )


def vocab_options(
    vocab_size: int | None, valid_vocab: int | None, vocab_mask: Any, precision: Precision
) -> dict[str, Any]:
    """Check the options that say how a row is read, and give them as the core takes them."""
    one_of("precision", precision, ("fast", "exact"))
    return {
        "valid_vocab": None if valid_vocab is None else whole("valid_vocab", valid_vocab, 1),
        "vocab_mask": vocab_bytes(vocab_mask, vocab_size),
        "precision": precision,
    }


def check_progress(progress: bool | Callable[[int, int, float], object]) -> None:  # noqa: FBT001 - as the option is spelt
    """Refuse what is neither a switch nor a function."""
    if not (isinstance(progress, bool | np.bool_) or callable(progress)):
        raise _unfit("progress", progress, "True, False or a function of rows, bytes and loss")


def flag(name: str, value: Any) -> bool:
    """Give a bool, Python's or NumPy's."""
    if not isinstance(value, bool | np.bool_):
        raise _unfit(name, value, "True or False")
    return bool(value)


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if not (isinstance(value, str) and value in choices):
        wanted = " or ".join(map(repr, choices))
        raise SettingsError(
            f"{name}={value!r}: supported is {wanted}", expected=wanted, got=repr(value)
        )


def whole(name: str, value: Any, least: int, most: int = INT64[1]) -> int:
    """Give a whole number of at least, and at most, so much."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise _unfit(name, value, f"an integer >= {least}")
    if number > most:
        raise _unfit(name, value, f"an integer <= {most}")
    return number


def _unfit(name: str, value: object, wanted: str) -> SettingsError:
    message = f"{name}={value!r}: {wanted} is needed"
    return SettingsError(message, expected=wanted, got=repr(value))


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
