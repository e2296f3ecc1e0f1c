"""The oracle of pooling by hand."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from oracle.cases import case, random_batch_case
from oracle.counting import Counted, Failure, count
from oracle.metrics import clustered_se
from oracle.pooling import pooled, times_ratio, whole_sequences
from oracle.rows import Invalid, Score

# Sequences a (nll 1, 2, 3), b (5), c (0, 4) in batches {a, b} and {c}; of each the first is right.
LOSSES = [1.0, 2.0, 3.0, 5.0, 0.0, 4.0]
CASE = case([1] * 6, sequence_id=list("aaabcc"), batch=[7, 7, 7, 7, 8, 8])
SCORES: dict[int, Score | Invalid] = {
    i: Score(x, 0.0, int(i in {1, 2, 5}), 0, 0) for i, x in enumerate(LOSSES)
}


def of(pooling: Any, c: Any = CASE) -> dict[str, float]:
    counted = count(**c)
    assert isinstance(counted, Counted)
    return pooled(counted.tokens, SCORES, c, pooling)


def test_the_mean_of_sequence_means() -> None:
    found = of("sequences")
    assert (found["loss"], found["units"]) == ((2 + 5 + 2) / 3, 3)
    assert found["accuracy"] == pytest.approx((1 / 3 + 1 + 1 / 2) / 3)
    # Three equal units: the standard deviation of 2, 5, 2 by sqrt(3).
    assert found["loss_stderr"] == pytest.approx(1.0)


def test_the_mean_of_batch_ratios_and_the_same_weighted_by_samples() -> None:
    assert of("batches")["loss"] == (11 / 4 + 2) / 2
    assert of("batches")["accuracy"] == (2 / 4 + 1 / 2) / 2
    assert of("samples")["loss"] == (2 * 11 / 4 + 1 * 2) / 3
    assert of("samples")["loss_stderr"] == clustered_se([5.5, 2.0], [2.0, 1.0])


def test_weights_and_what_counts_nothing() -> None:
    weighted = CASE | {"weight": [1.0, 0.5, 0.5, 0.0, 1.0, 3.0]}
    assert of("sequences", weighted)["loss"] == (3.5 / 2 + 12 / 4) / 2
    # b counts nothing, and is a sample of its batch all the same.
    assert of("samples", weighted)["loss"] == (2 * 3.5 / 2 + 12 / 4) / 3
    assert math.isnan(of("batches", CASE | {"weight": [0.0] * 6})["loss"])


def test_whole_sequences() -> None:
    counted = count(**CASE)
    assert isinstance(counted, Counted)
    found = whole_sequences(counted.tokens, SCORES, omit=True)
    assert found["accuracy"] == 1 / 3
    assert found["accuracy_stderr"] == pytest.approx(1 / 3)  # sqrt(p (1 - p) / 2)


def test_a_ratio_is_rounded_once() -> None:
    assert times_ratio(3, Fraction(1), Fraction(10)) == 0.3 != 3 * (1 / 10)
    assert times_ratio(3, math.inf, Fraction(2)) == math.inf


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch": [1, 1, None, 2, 2, 2]}, "2 id"),
        ({"batch": [1, 1, 1, 2, 1, 1]}, "4 id"),
        ({"batch": [1, 1, 1, 2, 1, 1], "scope": [0, 0, 0, 0, 1, 1]}, None),
        ({"batch": [1, 1, 1, 2, 1, 1], "scope": [0, 0, 0, 0, 1, 1], "scope_ends_batch": False},
         "4 id"),
        # A batch holds whole sequences; unknown ones it ends.
        ({"batch": [1, 1, 2, 2, 2, 2]}, "2 id"),
        ({"batch": [1, 1, 2, 2, 2, 2], "sequence_id": None}, None),
    ],
)  # fmt: skip
def test_batches_that_fail(settings: Any, expected: str | None) -> None:
    result = count(**(CASE | settings))
    assert (f"{result.position} {result.kind}" if isinstance(result, Failure) else None) == expected


def test_a_batch_ends_claims() -> None:
    mask = [False, False, True, False, True, True]
    c = case([1] * 6, mask=mask, trailing=2, on_short="count", batch=[7, 7, 7, 8, 8, 8])
    result = count(**c)
    assert isinstance(result, Counted)
    assert [t.position for t in result.tokens] == [2, 4, 5]
    assert result.num_short_right == 2


def test_proportions() -> None:
    found: Counter[str] = Counter()
    for seed in range(1000):
        result = count(**random_batch_case(Random(seed)))
        found[result.kind if isinstance(result, Failure) else "counted"] += 1
    assert found["counted"] > 300
    assert found["id"] > 150
