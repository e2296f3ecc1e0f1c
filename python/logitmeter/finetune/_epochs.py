"""What holds for the steps of an epoch together: each example is used once.

Batches of one: steps and examples are matched. Larger ones whose tokens are pooled: their sums add
up to the tokens T of all examples, which tells in two ways. Steps that cannot all be explained at
once are counted, and what the steps say of their sums weighs for or against the total::

    evidence = ln P(sum of D = T | the accuracies) - ln P(sum of D = T)

which follows from Bayes' rule for batches drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        per_epoch, plan = self.plan.steps_per_epoch, self.plan
        spread = int(self.full.sums[-1] - self.full.sums[0]) + 1
        if per_epoch * spread > MOST_SUMS:
            return 0.0
        full, short = _shifted(self.full), _shifted(self.short)
        outside = self._dropped()
        total = int(self.lengths.sum()) - sum(first for first, _ in outside)
        number_short = int(plan.last_batch == "short")
        number_full = per_epoch - number_short
        total -= number_full * full[0] + number_short * short[0]
        rest = [chances for _, chances in outside]
        before = log_chance_of_total(
            [full[1]] * number_full + [short[1]] * number_short + rest, total
        )
        is_short = plan.is_short(self.steps.number)
        found = 0.0
        for members in self._members():
            known = [self._told(step, certain[step], short=is_short[step]) for step in members]
            shorts = number_short - int(is_short[members].sum())
            fulls = number_full - len(known) + int(is_short[members].sum())
            if fulls < 0:
                continue
            chances = known + [full[1]] * fulls + [short[1]] * shorts + rest
            found += log_chance_of_total(chances, total) - before
        return found

    def _told(self, step: int, certain: float, *, short: bool) -> Array:
        """Give the chances of a step's sums, after its accuracy."""
        fit = self.short if short else self.full
        kind = self.steps.kind[step]
        before = fit.probabilities
        after = np.where(fit.explains[kind], before / (fit.sums + 1), 0.0)
        if not self.steps.informative[kind] or not after.any():
            return _dense(fit.sums, before)
        return _dense(fit.sums, certain * after / after.sum() + (1 - certain) * before)

    def _dropped(self) -> list[tuple[int, Array]]:
        """Give what the examples that are dropped can hold, if there are any."""
        if self.plan.last_batch != "dropped":
            return []
        sums, probabilities = batch_sums(self.lengths, self.plan.left_over)
        return [(int(sums[0]), _dense(sums, probabilities))]

    def _fewest_left_out(self, listed: Array) -> int:
        full, short, plan = self.full.sums, self.short.sums, self.plan
        number_short = int(plan.last_batch == "short")
        base = int(full[0]) * (plan.steps_per_epoch - number_short) + int(short[0]) * number_short
        low = high = int(self.lengths.sum()) - base
        for first, chances in self._dropped():
            low, high = low - first - chances.size + 1, high - first
        if high * max(1, listed.size) > MOST_BITS:
            return 0
        reach = int(full[-1] - full[0])
        free = (plan.steps_per_epoch - listed.size) * reach
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


def _shifted(fit: Fit) -> tuple[int, Array]:
    """Give the least sum, and the chances of it and of all above."""
    return int(fit.sums[0]), _dense(fit.sums, fit.probabilities)


def _dense(sums: Array, chances: Array) -> Array:
    dense = np.zeros(int(sums[-1] - sums[0]) + 1)
    dense[sums - sums[0]] = chances
    return dense
