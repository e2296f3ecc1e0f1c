"""How many tokens a batch can hold, and which batches can make up an epoch.

A batch of b examples whose tokens are pooled reports j/D, where D is a sum of b of the lengths;
over an epoch, which uses each example once, all D add up to the total of the lengths.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["batch_means", "batch_sums", "fewest_left_out", "log_chance_of_total"]

Array = np.ndarray[Any, Any]

MOST_LEFT_OUT = 12
"""The search for steps to leave out ends here: such a hypothesis has lost anyway."""

MOST_MEANS = 50_000
"""More means than these are not worth listing: printed figures cannot tell them apart."""

_MEAN_DIGITS = 10
_LEAST_CHANCE = 1e-13
"""What Fourier transforms leave of a chance that is none."""


def batch_sums(lengths: Array, size: int) -> tuple[Array, Array]:
    """List the sums of `size` of the lengths, each used once, with their probabilities.

    With c copies of a length drawn from m, a polynomial in x (examples) and y (tokens) counts the
    ways, and the coefficients of x^size are wanted::

        prod over lengths of sum_c C(m, c) x^c y^(c * length)

    Examples
    --------
    >>> sums, probabilities = batch_sums(np.array([3, 3, 5]), 2)
    >>> sums.tolist(), probabilities.round(3).tolist()
    ([6, 8], [0.333, 0.667])
    """
    distinct, copies = np.unique(lengths, return_counts=True)
    shortest = int(distinct[0])
    above = tuple((distinct - shortest).tolist())
    offsets, probabilities = _sums_above(above, tuple(copies.tolist()), size)
    return offsets + size * shortest, probabilities


@lru_cache(maxsize=512)  # a hidden token more on every example moves all sums alike
def _sums_above(above: tuple[int, ...], copies: tuple[int, ...], size: int) -> tuple[Array, Array]:
    width = size * above[-1] + 1
    ways = np.zeros((size + 1, width))
    ways[0, 0] = 1.0
    scale = size / sum(copies)  # keeps the powers of x from overflowing; it cancels below
    for length, copy in zip(above, copies, strict=True):
        more, weight = ways.copy(), 1.0
        for drawn in range(1, min(copy, size) + 1):
            weight *= scale * (copy - drawn + 1) / drawn
            more[drawn:, drawn * length :] += weight * ways[:-drawn, : width - drawn * length]
        ways = more
    found = np.flatnonzero(ways[size])
    return found, ways[size][found] / ways[size].sum()


def batch_means(lengths: Array, size: int) -> tuple[Array, Array] | None:
    """List the means of `size` accuracies j/length, with their probabilities if all j are alike.

    Returns
    -------
    tuple of array, or None
        None where there are too many to tell apart.

    Examples
    --------
    >>> means, probabilities = batch_means(np.array([1, 2]), 1)
    >>> means.tolist(), probabilities.round(3).tolist()
    ([0.0, 0.5, 1.0], [0.417, 0.167, 0.417])
    """
    distinct, copies = np.unique(lengths, return_counts=True)
    added = _added_accuracies(tuple(distinct.tolist()), tuple(copies.tolist()), size)
    return None if added is None else (added[0] / size, added[1])


@lru_cache(maxsize=64)
def _added_accuracies(
    lengths: tuple[int, ...], copies: tuple[int, ...], size: int
) -> tuple[Array, Array] | None:
    """List the sums of so many accuracies, from those of one less."""
    if size == 1:
        return _accuracies(lengths, copies)
    fewer = _added_accuracies(lengths, copies, size - 1)
    one = _added_accuracies(lengths, copies, 1)
    if fewer is None or one is None or fewer[0].size * one[0].size > MOST_MEANS:
        return None
    sums, chances = (np.add.outer(fewer[0], one[0]), np.multiply.outer(fewer[1], one[1]))
    return _collected(sums.ravel(), chances.ravel())


def _accuracies(lengths: tuple[int, ...], copies: tuple[int, ...]) -> tuple[Array, Array] | None:
    """List the accuracies of one example."""
    if sum(lengths) > MOST_MEANS:
        return None
    values = [np.arange(length + 1) / length for length in lengths]
    chances = [
        np.full(length + 1, copy / ((length + 1) * sum(copies)))
        for length, copy in zip(lengths, copies, strict=True)
    ]
    return _collected(np.concatenate(values), np.concatenate(chances))


def _collected(values: Array, weights: Array) -> tuple[Array, Array]:
    """Add up the weights of values that differ only by the arithmetic."""
    rounded = values.round(_MEAN_DIGITS)
    _, first, place = np.unique(rounded, return_index=True, return_inverse=True)
    return values[first], np.bincount(place.ravel(), weights)


def fewest_left_out(
    steps: Sequence[Sequence[int]], low: int, high: int, *, free: int, reach: int
) -> int:
    """Count the steps to leave out so that the rest can add up to what an epoch holds.

    Parameters
    ----------
    steps
        For each step the sums that explain it, each counted from the least that a batch can hold.
    low, high
        The total, counted likewise, lies between these.
    free
        What the steps that are not listed can add to it, at the most.
    reach
        What a listed step can add when it is left out, and so holds any sum.

    Returns
    -------
    int
        At most `MOST_LEFT_OUT`.

    Examples
    --------
    >>> fewest_left_out([[0, 3], [1]], 4, 4, free=0, reach=9)
    0
    >>> fewest_left_out([[0, 3], [1]], 8, 8, free=0, reach=9)
    1
    """
    within = (1 << (high + 1)) - 1
    reached = [0] * (len(steps) + 1)
    for left_out in range(min(len(steps), MOST_LEFT_OUT) + 1):
        reached = _reached(steps, reached, within, first=left_out == 0)
        lowest = max(0, low - free - left_out * reach)
        if reached[-1] >> lowest:
            return left_out
    return min(len(steps), MOST_LEFT_OUT)


def _reached(
    steps: Sequence[Sequence[int]], fewer: Sequence[int], within: int, *, first: bool
) -> list[int]:
    """Give the totals after each step, as bits, with one step more left out than in `fewer`."""
    reached = [1 if first else 0]
    for place, sums in enumerate(steps):
        bits = 0 if first else fewer[place]
        for held in sums:
            bits |= reached[place] << held
        reached.append(bits & within)
    return reached


def log_chance_of_total(parts: Iterable[tuple[Array, int]], total: int) -> float:
    """Give the logarithm of the chance that independent numbers add up to a total.

    Chances of a sum are a convolution, hence a product of Fourier transforms.

    Parameters
    ----------
    parts
        The chances of 0, 1, 2, ..., and how many numbers have them.
    total
        Their sum.

    Examples
    --------
    >>> die = np.array([0, 1, 1, 1, 1, 1, 1]) / 6
    >>> round(float(np.exp(log_chance_of_total([(die, 2)], 7))), 6)
    0.166667
    """
    listed = list(parts)
    size = 1 + sum((chances.size - 1) * times for chances, times in listed)
    if not 0 <= total < size:
        return float(np.log(_LEAST_CHANCE))
    fast = 1 << size.bit_length()
    product = np.ones(fast // 2 + 1, dtype=np.complex128)
    for chances, times in listed:
        product *= np.fft.rfft(chances, fast) ** times
    return float(np.log(max(float(np.fft.irfft(product, fast)[total]), _LEAST_CHANCE)))
