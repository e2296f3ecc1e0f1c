"""Which figures batches of one size can report, and how likely each is.

For batches whose tokens are pooled, with P(D) the chance that a batch holds D tokens::

    q(a) = sum over D of P(D) * #{j: j/D rounds to a} / (D + 1) / P(0 < j < D)

that is, all numbers of correct tokens are taken as alike. Accuracies of 0 and 1 are fractions of
everything and say nothing, so that q is the likelihood among the other figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from logitmeter.finetune._sums import batch_means, batch_sums
from logitmeter.finetune.fractions import consistent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter.finetune._steps import Plan, Steps

__all__ = ["Fit", "Fits", "Pooling"]

Array = np.ndarray[Any, Any]
Pooling = Literal["tokens", "examples"]

MOST_ALIKE = 10.0
"""Where so many fractions round to the same figure, every figure is explained: not worth a try."""

_CELLS = 4 * 10**6
_JITTER = (-17.0, -11.0, -7.0, -3.0, 3.0, 7.0, 11.0, 17.0)
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Fit:
    """What batches of one size make of each distinct accuracy.

    Attributes
    ----------
    likelihood
        q, for each accuracy.
    sums, probabilities
        The tokens that a batch can hold, with P(D); empty for means.
    explains
        Booleans ``[accuracies, sums]``: which D gives which accuracy.
    """

    likelihood: Array
    sums: Array
    probabilities: Array
    explains: Array


class Fits:
    """The fits of one run under one hypothesis of the examples' lengths, each worked out once."""

    def __init__(self, steps: Steps, lengths: Array) -> None:
        self._steps = steps
        self._lengths = lengths
        self._fits: dict[tuple[int, Pooling], Fit | None] = {}
        self._shares: dict[tuple[int, Pooling], float] = {}

    def of(self, plan: Plan, pooling: Pooling) -> tuple[Fit, Fit] | None:
        """Give those of full batches and of the short one that ends an epoch.

        None if they can give any figure.
        """
        full = self._of_size(plan.batch_size, pooling)
        short = self._of_size(plan.left_over, pooling) if plan.last_batch == "short" else full
        return None if full is None or short is None else (full, short)

    def share_by_chance(self, plan: Plan, pooling: Pooling) -> float:
        """Estimate the share of arbitrary figures, close to the real ones, that are explained."""
        key = plan.batch_size, pooling
        if key not in self._shares:
            self._shares[key] = self._share_by_chance(*key)
        return self._shares[key]

    def _of_size(self, size: int, pooling: Pooling) -> Fit | None:
        key = size, pooling
        if key not in self._fits:
            steps = self._steps
            self._fits[key] = _fit(steps.values, steps.half_widths, self._lengths, size, pooling)
        return self._fits[key]

    def _share_by_chance(self, size: int, pooling: Pooling) -> float:
        steps = self._steps
        every = max(1, int(steps.informative.sum()) // _SAMPLE)
        kinds = np.flatnonzero(steps.informative)[::every]
        values, half_widths = steps.values[kinds], steps.half_widths[kinds]
        near = (values + np.outer(_JITTER, 2 * half_widths)).ravel()
        inside = (near > 0) & (near < 1)
        if not inside.any():
            return 0.0
        cells = np.tile(half_widths, len(_JITTER))
        fit = _fit(near[inside], cells[inside], self._lengths, size, pooling)
        return 1.0 if fit is None else float((fit.likelihood > 0).mean())


def _fit(
    values: Array, half_widths: Array, lengths: Array, size: int, pooling: Pooling
) -> Fit | None:
    if pooling == "examples" and size > 1:
        return _fit_means(values, half_widths, lengths, size)
    if _alike(half_widths, lengths, size) > MOST_ALIKE:
        return None
    sums, probabilities = batch_sums(lengths, size)
    weights = probabilities / (sums + 1)
    likelihood = np.empty(values.size)
    explains = np.empty((values.size, sums.size), dtype=bool)
    for rows in _blocks(values.size, sums.size):
        numerators = consistent(values[rows], half_widths[rows], sums)
        numerators[:, sums == 0] = 0  # a batch without a token reports no accuracy
        likelihood[rows] = numerators @ weights
        explains[rows] = numerators > 0
    between = float(weights @ np.maximum(sums - 1, 0))
    return Fit(likelihood / (between or 1.0), sums, probabilities, explains)


def _fit_means(values: Array, half_widths: Array, lengths: Array, size: int) -> Fit | None:
    listed = batch_means(lengths[lengths > 0], size)
    if listed is None:
        return None
    means, weights = listed
    below = np.concatenate([[0.0], weights.cumsum()])
    reach = half_widths * (1 + 1e-6) + 1e-9  # the means are added up as floats
    low = np.searchsorted(means, values - reach)
    high = np.searchsorted(means, values + reach, side="right")
    between = 1.0 - float(weights[0] + weights[-1])
    likelihood = np.where(high > low, below[high] - below[low], 0.0) / (between or 1.0)
    nothing = np.empty(0, dtype=np.int64)
    return Fit(likelihood, nothing, np.empty(0), np.empty((values.size, 0), dtype=bool))


def _alike(half_widths: Array, lengths: Array, size: int) -> float:
    """Estimate how many fractions of all sums round to one figure."""
    spread = size * (int(lengths.max()) - int(lengths.min())) + 1
    return float(spread * size * lengths.mean() * 2 * np.median(half_widths))


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _CELLS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, start + step)
