"""The value of one row, slowly: mpmath with 60 digits, and a float64 version for wide rows.

Entries outside `allowed` are absent: unseen, in neither rank nor ties.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

DIGITS = 60
Real = Any  # an mpmath value of 60 digits, or a float from the float64 version


class Score(NamedTuple):
    """One row's value, in nats.

    `ties` counts the other entries equal to the label's, `greater` those above it. The high ends
    are None where nll and rank are exact, as those of a row of logits are.
    """

    nll: Real
    lse: Real
    rank: int
    ties: int
    greater: int
    nll_high: Real | None = None
    rank_high: int | None = None

    def high(self) -> tuple[Real, int]:
        """Give the high ends of nll and rank."""
        nll = self.nll if self.nll_high is None else self.nll_high
        return nll, self.rank if self.rank_high is None else self.rank_high


@dataclass(frozen=True)
class Invalid:
    """The marker of an invalid row: "any NaN", "+inf anywhere" or "all -inf" (both False)."""

    has_nan: bool
    has_posinf: bool


@dataclass(frozen=True)
class Unknown:
    """The marker of a token of which a list of scores says nothing."""


@contextmanager
def digits() -> Iterator[None]:
    """60 digits for one computation; what comes out keeps them."""
    with mpmath.workdps(DIGITS):
        yield


def entries(row: Sequence[float], allowed: Collection[int] | None) -> dict[int, float]:
    """Quote: "an entry left out is absent: a NaN there is unseen"."""
    return {j: float(x) for j, x in enumerate(row) if allowed is None or j in allowed}


def invalid(values: Collection[float]) -> Invalid | None:
    """Quote: "all -inf: invalid row; +inf anywhere: invalid row; any NaN: invalid row"."""
    has_nan = any(math.isnan(x) for x in values)
    has_posinf = math.inf in values
    if has_nan or has_posinf or all(x == -math.inf for x in values):
        return Invalid(has_nan, has_posinf)
    return None


def rank_of(x: dict[int, float], label: int) -> tuple[int, int, int]:
    """Quote: "rank = #(x > x[y]) + #(x == x[y] at a lower index)"; gives (rank, ties, greater).

    "+0 and -0 tie": so they do for Python's ==.
    """
    greater = sum(v > x[label] for v in x.values())
    lower = sum(v == x[label] for j, v in x.items() if j < label)
    ties = sum(v == x[label] for j, v in x.items() if j != label)
    return greater + lower, ties, greater


def relative_sum(x: dict[int, float], reference: int) -> Real:
    """Sum over j != reference of exp(x[j] - x[reference]); "-inf: legal, p = 0"."""
    return sum(
        (
            mpmath.exp(mpmath.mpf(v) - mpmath.mpf(x[reference]))
            for j, v in x.items()
            if j != reference and v != -math.inf
        ),
        mpmath.mpf(0),
    )


def score(
    row: Sequence[float], label: int, allowed: Collection[int] | None = None
) -> Score | Invalid:
    """Give nll = ln(1 + sum over j != y of exp(x[j] - x[y])) with lse and the ranks.

    "Label at -inf: nll = +inf, counted"; "V = 1: +0.0". lse is over all allowed entries.
    """
    x = entries(row, allowed)
    if label not in x:
        raise ValueError(f"label {label} is not an allowed entry")
    bad = invalid(x.values())
    if bad is not None:
        return bad
    with digits():
        top = max(x, key=lambda j: x[j])
        lse = mpmath.mpf(x[top]) + mpmath.log1p(relative_sum(x, top))
        at_neginf = x[label] == -math.inf
        nll = mpmath.inf if at_neginf else mpmath.log1p(relative_sum(x, label))
    return Score(nll, lse, *rank_of(x, label))


def log_softmax(
    row: Sequence[float], allowed: Collection[int] | None = None
) -> list[Real] | Invalid:
    """Quote: "x - lse; lse here is over all allowed columns"; "excluded entries are -inf"."""
    x = entries(row, allowed)
    bad = invalid(x.values())
    if bad is not None:
        return bad
    with digits():
        top = max(x, key=lambda j: x[j])
        above = mpmath.log1p(relative_sum(x, top))  # lse - x[top]
        return [
            (mpmath.mpf(x[j]) - mpmath.mpf(x[top])) - above if j in x else mpmath.mpf("-inf")
            for j in range(len(row))
        ]


def top_k(
    row: Sequence[float], k: int, allowed: Collection[int] | None = None
) -> tuple[list[Real], list[int]] | Invalid:
    """(logprobs, ids) "by value, then by lower id". All allowed entries if there are under k."""
    logprobs = log_softmax(row, allowed)
    if isinstance(logprobs, Invalid):
        return logprobs
    x = entries(row, allowed)
    ids = sorted(x, key=lambda j: (-x[j], j))[:k]
    return [logprobs[j] for j in ids], ids


# The same in float64, for wide rows.


def two_diff(a: Any, b: Any) -> tuple[Any, Any]:
    """Give the rounded a - b and its exact error (Knuth)."""
    d = a - b
    z = d - a
    return d, (a - (d - z)) - (b + z)


def relative_sum_f64(x: NDArray[np.float64], top: int) -> float:
    """Do as relative_sum, where x[top] is the largest: terms in [0, 1], summed exactly.

    The rounding of each difference is made good. Terms under e^-746 are 0 in float64.
    """
    others = np.delete(x, top)
    with np.errstate(over="ignore"):
        others = others[others - x[top] > -746.0]
    d, low = two_diff(others, x[top])
    return math.fsum(np.exp(d) * (1.0 + low))


def score_f64(
    row: Sequence[float] | NDArray[Any], label: int, allowed: Collection[int] | None = None
) -> Score | Invalid:
    """Do as score, to about 1e-14 relative for nll down to 1e-300: all terms are positive.

    lse is good to about 1e-15 of the largest logit, since it can cancel.
    """
    full = np.asarray(row, dtype=np.float64)
    ids = np.arange(full.size) if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    ids = ids[(ids >= 0) & (ids < full.size)]
    if label not in ids:
        raise ValueError(f"label {label} is not an allowed entry")
    x, y = full[ids], int(np.flatnonzero(ids == label)[0])
    has_nan, has_posinf = bool(np.isnan(x).any()), bool((x == np.inf).any())
    if has_nan or has_posinf or bool((x == -np.inf).all()):
        return Invalid(has_nan, has_posinf)
    xy = float(x[y])
    greater = int(np.count_nonzero(x > xy))
    ties = int(np.count_nonzero(x == xy)) - 1
    rank = greater + int(np.count_nonzero(x[:y] == xy))
    top = y if greater == 0 else int(np.argmax(x))
    above = math.log1p(relative_sum_f64(x, top))  # lse - x[top]
    if xy == -math.inf:
        nll = math.inf
    elif math.isinf(float(x[top]) - xy):
        nll = math.inf  # beyond float64
    else:
        nll = math.fsum((*two_diff(float(x[top]), xy), above))
    return Score(nll, float(x[top]) + above, rank, ties, greater)


def scores_f64(x: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Do as score_f64 for rows of one length, none of them invalid: a column for each figure."""
    at = np.arange(len(labels))
    own = x[at, labels][:, None]
    above, same = x > own, x == own
    greater = above.sum(1)
    top = np.where(greater == 0, labels, x.argmax(1))
    with np.errstate(over="ignore", invalid="ignore"):
        d, low = two_diff(x, x[at, top][:, None])
        terms = np.where(d > -746.0, np.exp(d) * (1.0 + low), 0.0)
        terms[at, top] = 0.0
        rest = np.log1p(terms.sum(1, dtype=np.longdouble).astype(np.float64))  # lse - x[top]
        gap, lost = two_diff(x[at, top], own[:, 0])
        nll = np.where(np.isinf(gap), np.inf, gap + (lost + rest))
    return {
        "nll": nll,
        "lse": x[at, top] + rest,
        "rank": greater + (same & (np.arange(x.shape[1]) < labels[:, None])).sum(1),
        "ties": same.sum(1) - 1,
        "greater": greater,
    }
