"""A look at some rows of logits: a softmax taken twice, and ids that are padding.

What it finds hangs on differences within a row alone, so that it looks at log-probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e
from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter import _core
from logitmeter.running import reading
from logitmeter.scores import Scores

if TYPE_CHECKING:
    from logitmeter.sources.feed import Feed

__all__ = ["LOOK_BYTES", "Look", "looked_at"]

LOOK_BYTES = 64 << 20
"""Log-probabilities that are held at once: fewer rows are looked at where they are long."""
SLACK = 1.02
"""Float16 rounds what a softmax of [0, 1] gives."""
ENOUGH = 8
"""Fewer rows may agree by chance."""


@dataclass(slots=True)
class Look:
    """What was seen in the rows.

    Attributes
    ----------
    rows
        How many were looked at, of those that have a distribution.
    spread
        The widest of them: the difference of its largest and smallest logit.
    odds
        The largest ratio of two values in a row, if the values are probabilities.
    num_padded
        So many ids at the end hold one value in every row.
    padded_mass
        The mean of their probability; None where there are none, or if `valid_vocab` was given
        that of the ids from it on.
    """

    rows: int = 0
    spread: float = 0.0
    odds: float = 0.0
    num_padded: int | None = None
    padded_mass: float | None = None

    @property
    def nearly_uniform(self) -> bool:
        """Whether no row could be flatter if its logits were in [0, 1]."""
        return self.rows >= ENOUGH and 0 < self.spread <= SLACK

    @property
    def twice(self) -> bool:
        """Whether probabilities are those of a softmax of probabilities."""
        return self.rows >= ENOUGH and 1 < self.odds <= e * SLACK


def looked_at(feed: Feed, valid_vocab: int | None) -> Look:
    """Look at the rows of a feed of logits."""
    stream = _core.log_softmax(
        feed, out_dtype="float64", nonfinite="propagate", **reading(feed, None)
    )
    look, last = Look(), 0.0
    for batch in Scores(stream, feed):
        column = batch.column("logprobs")
        width = column.type.list_size
        rows = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        rows = rows[~np.isnan(rows).any(axis=1)]
        if len(rows):
            _add(look, rows)
            beyond = rows[:, -1:] if valid_vocab is None else rows[:, valid_vocab:]
            last += float(np.exp(beyond).sum())
    if look.rows and valid_vocab is not None:
        look.padded_mass = last / look.rows
    elif look.rows >= ENOUGH and look.num_padded:
        look.padded_mass = last / look.rows * look.num_padded
    return look


def _add(look: Look, rows: np.ndarray[Any, Any]) -> None:
    look.rows += len(rows)
    finite = np.isfinite(rows)
    low = np.where(finite, rows, np.inf).min(axis=1)
    spread = rows.max(axis=1) - low
    look.spread = max(look.spread, float(spread.max()))
    if finite.all():
        # Probabilities p are their own logits, and have a mean of 1 / V.
        shift = 1.0 / rows.shape[1] - rows.mean(axis=1)
        smallest = low + shift
        odds = np.where(smallest > 0, (rows.max(axis=1) + shift) / smallest, np.inf)
        look.odds = max(look.odds, float(odds.max()))
    else:
        look.odds = np.inf
    same = (rows == rows[:, -1:]).all(axis=0)[::-1]
    equal = len(same) if same.all() else int(same.argmin())
    # One id is equal to itself, and a row of one value says nothing.
    equal = 0 if equal in {1, len(same)} else equal
    look.num_padded = equal if look.num_padded is None else min(look.num_padded, equal)
