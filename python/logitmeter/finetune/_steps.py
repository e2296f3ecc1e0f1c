"""The steps of a run: what was reported for them, and to which epoch they belong."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from logitmeter.finetune.fractions import rounding_of

if TYPE_CHECKING:
    from logitmeter.finetune.fractions import Rounding

__all__ = ["Plan", "Rest", "Steps", "plans"]

Array = np.ndarray[Any, Any]
LastBatch = Literal["full", "short", "dropped"]
Rest = Literal["full", "short", "dropped", "carried"]

MOST_EPOCHS = 25
"""More than these are not taken for a run's full length unless they are stated."""

_STOPPED_EARLY = 0.01
"""The odds that a file does not hold its run to the end."""

_TOO_LONG = 1e-6
"""The odds of more steps than the examples and epochs make."""


@dataclass(frozen=True)
class Steps:
    """The steps whose accuracy was reported.

    Attributes
    ----------
    number
        Their numbers, rising, from 1.
    accuracy
        As reported.
    last
        The number of the last step of the run as far as it is known.
    """

    number: Array
    accuracy: Array
    last: int

    def __len__(self) -> int:
        return int(self.number.size)

    @cached_property
    def rounding(self) -> Rounding:
        """How the accuracies were rounded."""
        return rounding_of(self.accuracy)

    @cached_property
    def values(self) -> Array:
        """The distinct accuracies; those that say something come first."""
        distinct = np.unique(self.accuracy)
        return distinct[np.argsort(~says_something(distinct), kind="stable")]

    @cached_property
    def half_widths(self) -> Array:
        """How far each of `values` may lie from what it stands for."""
        return self.rounding.half_widths(self.values)

    @cached_property
    def kind(self) -> Array:
        """For each step the place of its accuracy in `values`."""
        place = {value: index for index, value in enumerate(self.values.tolist())}
        return np.array([place[value] for value in self.accuracy.tolist()], dtype=np.int64)

    @cached_property
    def informative(self) -> Array:
        """For each of `values` whether it says something."""
        return says_something(self.values)


def says_something(accuracy: Array) -> Array:
    """Tell which accuracies are not 0 or 1, which are fractions of every number of tokens."""
    return (accuracy > 0) & (accuracy < 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the examples of an epoch are dealt out in batches.

    Attributes
    ----------
    examples, batch_size
        Examples of an epoch, and of a batch.
    last_batch
        What becomes of the examples that fill no batch: there are none (``"full"``), they are a
        short batch, or they are dropped.
    n_epochs
        None if it is not known.
    joined
        Epochs that make one here: where batches go on over the end of an epoch, all of them do, and
        `examples` counts each example as often.
    """

    examples: int
    batch_size: int
    last_batch: LastBatch
    n_epochs: int | None
    joined: int = 1

    @property
    def rest(self) -> Rest:
        """What becomes of the examples that fill no batch, in a word."""
        return self.last_batch if self.joined == 1 else "carried"

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.examples // self.batch_size + (self.last_batch == "short")

    @property
    def left_over(self) -> int:
        """Examples that fill no batch."""
        return self.examples % self.batch_size

    def epoch(self, number: Array) -> Array:
        """Give the epoch of each step, from 0."""
        return (number - 1) // self.steps_per_epoch

    def is_short(self, number: Array) -> Array:
        """Tell which steps hold the examples left over."""
        if self.last_batch != "short":
            return np.zeros(number.shape, dtype=bool)
        ends: Array = number % self.steps_per_epoch == 0
        return ends

    def is_complete(self, last: int) -> bool:
        """Whether a run that ends with this step has come to its end."""
        epochs, beyond = divmod(last, self.steps_per_epoch)
        return not beyond and (epochs == self.n_epochs or self._could_be(epochs))

    def _could_be(self, epochs: int) -> bool:
        return self.n_epochs is None and 1 <= epochs <= MOST_EPOCHS

    def log_prior(self, last: int) -> float:
        """Say how likely it is, in nats, that the run has just so many steps.

        One that is complete has 0. One that stopped early could have stopped anywhere.
        """
        if self.is_complete(last):
            return 0.0
        if self.n_epochs is not None and last > self.n_epochs * self.steps_per_epoch:
            return math.log(_TOO_LONG)
        possible = self.steps_per_epoch * (self.n_epochs or 1)
        return math.log(_STOPPED_EARLY / possible)


def plans(examples: int, batch_size: int, n_epochs: int | None) -> list[Plan]:
    """List the ways to deal out an epoch in batches of one size."""
    if examples % batch_size == 0:
        return [Plan(examples, batch_size, "full", n_epochs)]
    found = [Plan(examples, batch_size, "short", n_epochs)]
    if examples > batch_size:
        found.append(Plan(examples, batch_size, "dropped", n_epochs))
    if n_epochs is not None and n_epochs > 1:
        found += [
            replace(plan, joined=n_epochs) for plan in plans(examples * n_epochs, batch_size, 1)
        ]
    return found
