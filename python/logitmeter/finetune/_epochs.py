"""What holds for the steps of an epoch together: each example is used once.

Batches of one: steps and examples are matched. Larger ones whose tokens are pooled: their sums add
up to the tokens T of all examples, which tells in two ways. Steps that cannot all be explained at
once are counted, and what the steps say of their sums weighs for or against the total::

    evidence = ln P(sum of D = T | the accuracies) - ln P(sum of D = T)

which follows from Bayes' rule for batches drawn at random.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter.finetune._matching import most_matched
from logitmeter.finetune._sums import batch_sums, fewest_left_out, log_chance_of_total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logitmeter.finetune._fit import Fit
    from logitmeter.finetune._steps import Plan, Steps

__all__ = ["Epochs"]

Array = np.ndarray[Any, Any]

MOST_BITS = 10**8
"""Larger sums over an epoch are not searched: so many batches add up to anything."""

MOST_SUMS = 2**14
"""Nor is their distribution worked out."""


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """The least that a batch can hold, and the chances of that and of one token more each."""

    least: int
    chances: Array

    @classmethod
    def holding(cls, sums: Array, chances: Array) -> _Batch:
        dense = np.zeros(int(sums[-1] - sums[0]) + 1)
        dense[sums - sums[0]] = chances
        return cls(int(sums[0]), dense)

    @property
    def spread(self) -> int:
        return self.chances.size - 1


@dataclass(frozen=True, slots=True)
class Epochs:
    """The steps of a run, epoch by epoch, under one hypothesis of the examples' lengths.

    `full` and `short` tell what a full batch and the one that ends an epoch can hold.
    """

    steps: Steps
    lengths: Array
    plan: Plan
    full: Fit
    short: Fit

    def possible(self, explained: Array, gain: Array) -> Array:
        """Tell which steps can be explained at once, with no example used twice."""
        if self.plan.batch_size == 1:
            return self._matched()
        return ~self._left_out(explained, gain)

    def _matched(self) -> Array:
        """Tell which steps of batches of one are matched to an example of their own."""
        copies = np.unique(self.lengths, return_counts=True)[1]
        explains = [np.flatnonzero(row).tolist() for row in self.full.explains]
        matched = np.zeros(len(self.steps), dtype=bool)
        for members in self._members():
            kinds = self.steps.kind[members]
            numbers = np.bincount(kinds, minlength=self.steps.values.size)
            found = most_matched(numbers.tolist(), copies.tolist(), explains)
            for kind in np.flatnonzero(numbers):
                matched[members[kinds == kind][: found[kind]]] = True
        return matched

    def _left_out(self, explained: Array, gain: Array) -> Array:
        """Tell which steps must be left out so that the batches of each epoch add up.

        It is only known how many; those that were explained with the least gain are named.
        """
        left_out = np.zeros(len(self.steps), dtype=bool)
        informative = self.steps.informative[self.steps.kind]
        for members in self._members():
            listed = members[(explained & informative)[members]]
            number = self._fewest_left_out(listed)
            if number:
                left_out[listed[np.argsort(gain[listed], kind="stable")[:number]]] = True
        return left_out

    def evidence(self, certain: Array) -> float:
        """Give the nats that the totals of the epochs add.

        `certain` is, for each step, the chance that its accuracy is what its batch gives.
        """
        batches = [*self._batches(), *self._dropped()]
        if sum(batch.chances.size for batch in batches) > MOST_SUMS:
            return 0.0
        total = int(self.lengths.sum()) - sum(batch.least for batch in batches)
        unknown = _log_chance(batches, total)
        number, kind = self.steps.number, self.steps.kind.tolist()
        place, short = (number - 1) % self.plan.steps_per_epoch, self.plan.is_short(number).tolist()
        told = cache(self._told)  # steps that are told alike are added up at once
        found = 0.0
        for members in self._members():
            after = list(batches)
            for step in members.tolist():
                after[place[step]] = told(kind[step], float(certain[step]), short=short[step])
            found += _log_chance(after, total) - unknown
        return found

    def _batches(self) -> list[_Batch]:
        """Give what each batch of an epoch can hold, before anything is reported."""
        places = np.arange(1, self.plan.steps_per_epoch + 1)
        full, short = (
            _Batch.holding(fit.sums, fit.probabilities) for fit in (self.full, self.short)
        )
        return [short if ends else full for ends in self.plan.is_short(places)]

    def _dropped(self) -> list[_Batch]:
        """Give what the examples that are dropped can hold, if there are any."""
        if self.plan.last_batch != "dropped":
            return []
        return [_Batch.holding(*batch_sums(self.lengths, self.plan.left_over))]

    def _told(self, kind: int, certain: float, *, short: bool) -> _Batch:
        """Give what a step's batch can hold, after its accuracy."""
        fit = self.short if short else self.full
        chances = fit.probabilities
        fitting = np.where(fit.explains[kind], chances / (fit.sums + 1), 0.0)
        if self.steps.informative[kind] and fitting.any():
            chances = certain * fitting / fitting.sum() + (1 - certain) * chances
        return _Batch.holding(fit.sums, chances)

    def _fewest_left_out(self, listed: Array) -> int:
        batches, dropped = self._batches(), self._dropped()
        high = int(self.lengths.sum()) - sum(batch.least for batch in (*batches, *dropped))
        low = high - sum(batch.spread for batch in dropped)
        if high * max(1, listed.size) > MOST_BITS:
            return 0
        reach = max(batch.spread for batch in batches)
        free = (len(batches) - listed.size) * reach
        return fewest_left_out(self._choices(listed), low, high, free=free, reach=reach)

    def _choices(self, listed: Array) -> Sequence[Sequence[int]]:
        """List for each step the sums that explain it, from the least that its batch can hold."""
        ends = self.plan.is_short(self.steps.number[listed])
        fits = [self.short if short else self.full for short in ends]
        kinds = self.steps.kind[listed]
        return [
            (fit.sums[fit.explains[kind]] - fit.sums[0]).tolist()
            for fit, kind in zip(fits, kinds, strict=True)
        ]

    def _members(self) -> Iterator[Array]:
        """Give the places of the steps of each epoch."""
        epoch = self.plan.epoch(self.steps.number)
        for number in np.unique(epoch):
            yield np.flatnonzero(epoch == number)


def _log_chance(batches: Sequence[_Batch], total: int) -> float:
    """Give the logarithm of the chance that batches hold so much more than their least."""
    parts = [(batch.chances, times) for batch, times in Counter(batches).items()]
    return log_chance_of_total(parts, total)
