"""Totals are exact sums, rounded once: `math.fsum` and fractions are the oracle."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import logitmeter as lm
import numpy as np
import pytest
from oracle.metrics import clustered_se

ROWS = 3_000


def hostile_losses(seed: int) -> tuple[Any, Any, Any]:
    """Give rows of two logits whose losses lie between 1e-40 and 1e6, and labels and weights.

    The weights span all of float64, so that any order of a plain sum loses some.
    """
    rng = np.random.default_rng(seed)
    gap = np.where(
        rng.random(ROWS) < 0.5, -rng.uniform(0, 90, ROWS), 10 ** rng.uniform(-3, 6, ROWS)
    )
    logits = np.stack([np.zeros(ROWS), gap], axis=1)
    weight = 2.0 ** rng.integers(-1000, 960, ROWS) * rng.uniform(1, 2, ROWS)
    return logits, np.zeros(ROWS, int), weight


def nlls(logits: Any, labels: Any) -> list[float]:
    found: list[float] = lm.token_scores(logits, labels).read_all()["nll"].to_pylist()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_sum_is_the_one_of_fsum(seed: int) -> None:
    logits, labels, _ = hostile_losses(seed)
    losses = nlls(logits, labels)
    assert math.fsum(losses) != sum(losses)  # a plain sum would not do
    sums = lm.sequence_scores(logits, labels, sequence_id=np.zeros(ROWS, int)).read_all()
    assert sums["logprob"].to_pylist() == [-math.fsum(losses)]
    mean = float(sum(map(Fraction, losses)) / ROWS)
    assert lm.evaluate(logits, labels).loss == mean


@pytest.mark.parametrize("seed", range(4))
def test_a_weighted_mean_is_a_fraction_rounded_once(seed: int) -> None:
    """Only w nll is rounded before; whatever the order of the rows."""
    logits, labels, weight = hostile_losses(seed)
    products = [w * nll for w, nll in zip(weight.tolist(), nlls(logits, labels), strict=True)]
    assert all(map(math.isfinite, products))
    want = float(sum(map(Fraction, products)) / sum(map(Fraction, weight.tolist())))
    for order in (range(ROWS), *(random.Random(i).sample(range(ROWS), ROWS) for i in range(3))):
        rows = list(order)
        assert lm.evaluate(logits[rows], labels, weight=weight[rows]).loss == want


@pytest.mark.parametrize("seed", range(3))
def test_squares_and_products_are_exact(seed: int) -> None:
    """Losses far from 0 that hardly differ: a sum of rounded squares would know nothing of them."""
    rng = np.random.default_rng(seed)
    far = 2.0**20 + rng.uniform(0, 2.0**-30, ROWS)
    logits = np.stack([np.zeros(ROWS), far], axis=1)
    ids = np.sort(rng.integers(0, 300, ROWS))
    losses = np.array(nlls(logits, np.zeros(ROWS, int)))
    sums = [math.fsum(losses[ids == i]) for i in np.unique(ids)]
    counts = [float((ids == i).sum()) for i in np.unique(ids)]
    found = lm.evaluate(logits, np.zeros(ROWS, int), sequence_id=ids).loss_stderr
    assert found == pytest.approx(exact_stderr(sums, counts), rel=1e-15)
    assert found > 0


def exact_stderr(sums: list[float], counts: list[float]) -> float:
    """Give the clustered standard error of Miller's formula, in fractions to the root."""
    s, n = list(map(Fraction, sums)), list(map(Fraction, counts))
    m = sum(s) / sum(n)
    squares = sum((a - m * b) ** 2 for a, b in zip(s, n, strict=True))
    return math.sqrt(Fraction(len(s), len(s) - 1) * squares / sum(n) ** 2)


def test_the_oracle_of_the_error_is_the_other_one() -> None:
    sums, counts = [3.0, 5.0, 1.0, 7.5], [2.0, 2.0, 1.0, 4.0]
    assert exact_stderr(sums, counts) == pytest.approx(clustered_se(sums, counts), rel=1e-14)
