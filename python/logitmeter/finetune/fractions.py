"""The exact fractions behind reported accuracies.

An accuracy is j correct tokens of N, reported with some precision::

    |reported - j/N| <= half a unit of the last digit that is reported

`results.csv` has five decimals, event JSON has float32 numbers; either leaves few fractions of
a given N, and often none, which is what `infer` lives on.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter.arguments import whole
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Rounding", "consistent", "half_widths", "recover_fractions", "rounding_of"]

Array = np.ndarray[Any, Any]

FEWEST_DECIMALS = 5
"""What the services print: a column of nothing but 0.5 and 1.0 is not taken for one decimal."""

MOST_DECIMALS = 12
"""More digits than these are a float's own, not a rounded figure's."""

_FLOAT32_DIGITS = 7
_FLOAT64_ERROR = 1e-10
"""Of a figure with all its digits, added up in any order."""

_SLACK = 1e-9
"""In numerators, for the arithmetic here."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How the figures of a column were rounded.

    Attributes
    ----------
    decimals
        Digits after the point, or None for the binary numbers of `bits`.
    bits
        32 or 64: the width of the floats that were reported.
    """

    decimals: int | None
    bits: int = 64

    def half_widths(self, figures: Array) -> Array:
        """Give how far each figure may lie from what it stands for."""
        float32 = np.spacing(np.abs(figures).astype(np.float32)).astype(np.float64) / 2
        if self.decimals is None:
            return float32 if self.bits == 32 else np.full(figures.shape, _FLOAT64_ERROR)  # noqa: PLR2004
        half = np.full(figures.shape, 0.5 * 10.0**-self.decimals)
        # So many digits are those of a float32 written out, which was rounded before.
        return half + float32 if self.decimals >= _FLOAT32_DIGITS else half

    def __str__(self) -> str:
        return f"float{self.bits}" if self.decimals is None else f"{self.decimals} decimals"


def rounding_of(figures: Array, decimals: int | None = None) -> Rounding:
    """Tell how a column of figures was rounded, from the figure with the most digits.

    Examples
    --------
    >>> str(rounding_of(np.array([0.5, 0.76316])))
    '5 decimals'
    >>> str(rounding_of(np.array([0.9444444179534912])))
    'float32'
    """
    if decimals is not None:
        return Rounding(whole("decimals", decimals, 1, 17))
    most = max(map(_decimals, figures.tolist()), default=0)
    if most <= MOST_DECIMALS:
        return Rounding(max(most, FEWEST_DECIMALS))
    is_float32 = bool(np.all(figures.astype(np.float32) == figures))
    return Rounding(None, bits=32 if is_float32 else 64)


def half_widths(figures: Any) -> Any:
    """Give how far reported figures, one or an array, may lie from the exact ones."""
    flat = np.ravel(np.asarray(figures, dtype=np.float64))
    half = np.zeros(flat.shape)
    finite = np.isfinite(flat)
    if finite.any():
        half[finite] = rounding_of(flat[finite]).half_widths(flat[finite])
    return half.reshape(np.shape(figures))


def _decimals(figure: float) -> int:
    exponent = Decimal(repr(figure)).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def consistent(figures: Array, half_widths: Array, tokens: Array) -> Array:
    """Count, for each figure and each number of tokens, the numerators that give the figure.

    Returns
    -------
    array
        Whole numbers as float64 ``[figures, tokens]``; 0 where the figure is no j/N.
    """
    low = np.outer(figures - half_widths, tokens)
    high = np.outer(figures + half_widths, tokens)
    low -= _SLACK
    high += _SLACK
    np.maximum(np.ceil(low, out=low), 0, out=low)
    np.minimum(np.floor(high, out=high), tokens, out=high)
    high -= low - 1
    counts: Array = np.maximum(high, 0, out=high)
    return counts


def recover_fractions(
    accuracy: float,
    tokens: Iterable[int] = range(1, 301),
    *,
    decimals: int | None = None,
) -> dict[int, Fraction]:
    """Find every j/N that an accuracy can stand for.

    Parameters
    ----------
    accuracy
        As it was reported, from 0 to 1.
    tokens
        The numbers of tokens N to try.
    decimals
        Digits after the point to which it was rounded; by default those that it has, at least
        five; a float's own digits are recognised.

    Returns
    -------
    dict
        For each N with such a fraction, the nearest j/N (in lowest terms: the key holds N). Empty
        if the figure is no fraction of any N tried.

    Raises
    ------
    SettingsError
        For an accuracy outside of 0 to 1, or an N below 1.

    Examples
    --------
    >>> recover_fractions(0.9444444179534912, range(1, 40))
    {18: Fraction(17, 18), 36: Fraction(17, 18)}
    >>> recover_fractions(0.66667, range(1, 7))
    {3: Fraction(2, 3), 6: Fraction(2, 3)}
    >>> recover_fractions(0.76543, range(1, 80))
    {}
    """
    figure = np.array([accuracy], dtype=np.float64)
    if not 0 <= accuracy <= 1:
        raise SettingsError(
            f"accuracy={accuracy!r}: a number from 0 to 1 is needed",
            expected="a number from 0 to 1",
            got=repr(accuracy),
        )
    sizes = np.array([whole("tokens", size, 1) for size in tokens], dtype=np.int64)
    half = rounding_of(figure, decimals).half_widths(figure)
    fits = consistent(figure, half, sizes)[0] > 0
    return {int(size): Fraction(round(accuracy * int(size)), int(size)) for size in sizes[fits]}
