"""Means of means, slowly: loss and accuracy as trainers pool them, by sequence or by batch.

Quote: "mean of per-sequence means"; `"hf"`: "batch means weighted by samples" (the number of
sequences in the batch); `"trl"`: "mean of step ratios"; "each ratio rounded once, summed
exactly". Units in which no token counts are left out.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from .counting import Case, split_batches, split_sequences
from .metrics import clustered_se, exact_sum, ratio, to_float
from .rows import Invalid, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .counting import Token
    from .metrics import Sum

Pooling = Literal["sequences", "batches", "samples"]


def units(c: Case, pooling: Pooling) -> list[tuple[range, int]]:
    """Give the positions of each unit, and how much it weighs."""
    sequences, _ = split_sequences(c)
    if pooling == "sequences":
        return [(range(first, last + 1), 1) for first, last, _ in sequences]
    batches, _ = split_batches(c)
    ranges = [range(first, last + 1) for first, last, _ in batches]
    if pooling == "batches":
        return [(batch, 1) for batch in ranges]
    return [(batch, sum(first in batch for first, _, _ in sequences)) for batch in ranges]


def times_ratio(k: int, total: Sum, weight: Sum) -> float:
    """Give k * total / weight, rounded once."""
    return ratio(k * total, weight) if isinstance(total, Fraction) else to_float(total)


def pooled(
    tokens: Sequence[Token],
    scores: Mapping[int, Score | Invalid],
    c: Case,
    pooling: Pooling,
) -> dict[str, float]:
    """Give loss and accuracy with their errors, clustered by unit, of some of the tokens."""
    kept = [t for t in tokens if isinstance(scores[t.row], Score) or c["nonfinite"] == "propagate"]
    weights: list[Sum] = []
    losses: list[Sum] = []
    shares: list[Sum] = []
    for positions, k in units(c, pooling):
        unit = [t for t in kept if t.position in positions]
        if not unit:
            continue
        found = [(t.weight, scores[t.row]) for t in unit]
        n = exact_sum([w for w, _ in found])
        s = exact_sum([w * float(x.nll) if isinstance(x, Score) else math.nan for w, x in found])
        right = exact_sum([w for w, x in found if isinstance(x, Score) and x.rank == 0])
        weights.append(Fraction(k))
        losses.append(times_ratio(k, s, n))
        shares.append(times_ratio(k, right, n))
    total = sum(weights, Fraction(0))
    return {
        "loss": ratio(exact_sum([to_float(x) for x in losses]), total),
        "accuracy": ratio(exact_sum([to_float(x) for x in shares]), total),
        "loss_stderr": clustered_se([float_sum(x) for x in losses], weights),
        "accuracy_stderr": clustered_se([float_sum(x) for x in shares], weights),
        "units": len(weights),
    }


def float_sum(x: Sum) -> Sum:
    """Give a rounded ratio as what `clustered_se` takes."""
    return Fraction(x) if math.isfinite(x) else float(x)


def whole_sequences(
    tokens: Sequence[Token], scores: Mapping[int, Score | Invalid], *, omit: bool
) -> dict[str, float]:
    """Give the share of sequences all of whose tokens are right, each judged one counted once."""
    by_sequence: dict[int, list[Score | Invalid]] = {}
    for t in tokens:
        by_sequence.setdefault(t.sequence, []).append(scores[t.row])
    judged = [
        all(isinstance(x, Score) and x.rank == 0 for x in found)
        for found in by_sequence.values()
        if not (omit and any(isinstance(x, Invalid) for x in found))
    ]
    ones: list[Sum] = [Fraction(1)] * len(judged)
    right: list[Sum] = [Fraction(x) for x in judged]
    return {
        "accuracy": ratio(sum(map(Fraction, judged), Fraction(0)), Fraction(len(judged))),
        "accuracy_stderr": clustered_se(right, ones),
    }
