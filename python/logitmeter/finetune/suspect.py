"""Rows of results that cannot be what they say.

Each token that is not predicted has p <= 1/2, hence a loss of ln 2 at least, so that in every row
that counts the same tokens for both::

    loss >= (1 - accuracy) * ln 2

And an accuracy is a fraction j/N of the tokens that count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from logitmeter.arguments import whole
from logitmeter.finetune.fractions import consistent, half_widths
from logitmeter.finetune.results import read_results

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = [
    "CAUSES",
    "BrokenRow",
    "ImpossibleAccuracy",
    "broken_rows",
    "impossible_accuracies",
]

CAUSES = (
    "the loss and the accuracy do not count the same tokens",
    "the loss is weighted, smoothed, cut off, or a mean over other batches",
    "a tie at the highest logit counted as wrong",
    "the figures were cut or edited",
)
"""What breaks the bound, as far as is known."""

_PAIRS = (
    ("train", "train_loss", "train_accuracy"),
    ("valid", "valid_loss", "valid_accuracy"),
    ("full_valid", "full_valid_loss", "full_valid_accuracy"),
)


class BrokenRow(NamedTuple):
    """A row whose loss is below what its accuracy leaves.

    Attributes
    ----------
    step
        Its number.
    split
        ``"train"``, ``"valid"`` or ``"full_valid"``.
    loss, accuracy
        As reported.
    least
        The lowest loss, in nats, that goes with the accuracy.
    """

    step: int
    split: str
    loss: float
    accuracy: float
    least: float


class ImpossibleAccuracy(NamedTuple):
    """A training accuracy that is no fraction of any number of tokens tried."""

    step: int
    accuracy: float


def broken_rows(results: Any) -> list[BrokenRow]:
    """List the rows that break ``loss >= (1 - accuracy) * ln 2``, beyond what rounding explains.

    Parameters
    ----------
    results
        What `read_results` reads.

    Returns
    -------
    list of BrokenRow
        By split, then by step; `CAUSES` says what is usually behind it.

    Raises
    ------
    CorruptInputError
        As `read_results`.

    Examples
    --------
    >>> rows = [{"step": 1, "train_loss": 1.52347, "train_accuracy": 0.0}]
    >>> rows += [{"step": 2, "train_loss": 0.57719, "train_accuracy": 0.0}]
    >>> [(row.step, round(row.least, 4)) for row in broken_rows(rows)]
    [(2, 0.6931)]
    """
    table = read_results(results)
    return [row for names in _PAIRS for row in _broken(table, *names)]


def _broken(table: pa.Table, split: str, loss_name: str, accuracy_name: str) -> list[BrokenRow]:
    columns = [table[name].to_numpy() for name in ("step", loss_name, accuracy_name)]
    known = ~np.isnan(columns[1]) & ~np.isnan(columns[2])
    steps, losses, accuracies = (column[known] for column in columns)
    least = (1 - accuracies - half_widths(accuracies)) * math.log(2)
    broken = losses + half_widths(losses) < least
    rows = (column[broken].tolist() for column in (steps, losses, accuracies))
    return [
        BrokenRow(step, split, loss, accuracy, (1 - accuracy) * math.log(2))
        for step, loss, accuracy in zip(*rows, strict=True)
    ]


def impossible_accuracies(
    results: Any, tokens: Iterable[int] = range(1, 301)
) -> list[ImpossibleAccuracy]:
    """List the training accuracies that are no j/N for any of these N.

    Parameters
    ----------
    results
        What `read_results` reads.
    tokens
        The numbers of tokens N that a batch may hold. With five decimals and N up to about 600
        there is a fraction for every figure.

    Returns
    -------
    list of ImpossibleAccuracy
        By step.

    Raises
    ------
    CorruptInputError
        As `read_results`.
    SettingsError
        For an N below 1.

    Examples
    --------
    >>> rows = [{"step": 1, "train_accuracy": 0.66667}, {"step": 2, "train_accuracy": 0.7}]
    >>> impossible_accuracies(rows, tokens=[3, 6, 9])
    [ImpossibleAccuracy(step=2, accuracy=0.7)]
    """
    sizes = np.array([whole("tokens", size, 1) for size in tokens], dtype=np.int64)
    table = read_results(results)
    steps, accuracies = table["step"].to_numpy(), table["train_accuracy"].to_numpy()
    known = ~np.isnan(accuracies)
    values, place = np.unique(accuracies[known], return_inverse=True)
    possible = consistent(values, half_widths(values), sizes).sum(axis=1)[place] > 0
    rows = zip(steps[known].tolist(), accuracies[known].tolist(), possible.tolist(), strict=True)
    return [ImpossibleAccuracy(step, accuracy) for step, accuracy, fits in rows if not fits]
