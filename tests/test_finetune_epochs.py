"""The parts that `infer` is made of, each against every possibility listed or another library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logitmeter.finetune._matching import most_matched
from logitmeter.finetune._steps import Plan, plans
from logitmeter.finetune._sums import (
    MOST_LEFT_OUT,
    batch_means,
    batch_sums,
    fewest_left_out,
    log_chance_of_total,
)
from oracle import epochs
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(LENGTHS, st.data())
def test_batch_sums_are_those_of_all_batches(lengths: list[int], data: Any) -> None:
    size = data.draw(st.integers(1, len(lengths)))
    sums, probabilities = batch_sums(np.array(lengths), size)
    expected = epochs.sums(lengths, size)
    assert sums.tolist() == sorted(expected)
    assert probabilities == pytest.approx([float(expected[value]) for value in sums.tolist()])


def test_batch_sums_of_many_examples_neither_overflow_nor_vanish() -> None:
    sums, probabilities = batch_sums(np.array([3] * 40_000 + [4] * 10_000), 256)
    assert probabilities.sum() == pytest.approx(1)
    assert sums @ probabilities == pytest.approx(256 * 3.2)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3))
def test_batch_means_are_those_of_all_batches(lengths: list[int], size: int) -> None:
    found = batch_means(np.array(lengths), size)
    assert found is not None
    expected = epochs.means(lengths, size)
    assert found[0] == pytest.approx([float(value) for value in sorted(expected)])
    assert found[1] == pytest.approx([float(expected[value]) for value in sorted(expected)])


def test_too_many_means_are_not_listed() -> None:
    assert batch_means(np.arange(100, 200), 2) is None


@given(
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=4),
    st.integers(1, 4),
)
def test_matched_steps_are_as_many_as_any_assignment_gives(
    fits: list[set[int]], examples: int
) -> None:
    fits = [{one for one in fit if one < examples} for fit in fits]
    matched = most_matched([1] * len(fits), [1] * examples, [sorted(fit) for fit in fits])
    assert set(matched) <= {0, 1}
    assert sum(matched) == epochs.most_explained(fits, examples)


@given(st.data())
def test_matching_kinds_is_matching_their_members(data: Any) -> None:
    steps = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    examples = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    kinds = st.sets(st.integers(0, len(examples) - 1))
    fits = [sorted(data.draw(kinds)) for _ in steps]
    matched = most_matched(steps, examples, fits)
    assert all(found <= number for found, number in zip(matched, steps, strict=True))
    rows = [kind for kind, number in enumerate(steps) for _ in range(number)]
    columns = [kind for kind, number in enumerate(examples) for _ in range(number)]
    graph = np.array([[column in fits[row] for column in columns] for row in rows], dtype=bool)
    if graph.size:
        expected = maximum_bipartite_matching(csr_matrix(graph), perm_type="column")
        assert sum(matched) == int((expected >= 0).sum())


def test_a_step_matched_first_stays_matched() -> None:
    assert most_matched([1, 1, 1], [1, 1], [[0], [0, 1], [0, 1]]) == [1, 1, 0]


@given(
    st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=3), max_size=4),
    st.integers(0, 30),
    st.integers(0, 4),
    st.integers(0, 6),
    st.integers(0, 8),
)
def test_fewest_left_out_of_all_choices(
    steps: list[list[int]], low: int, more: int, free: int, reach: int
) -> None:
    found = fewest_left_out(steps, low, low + more, free=free, reach=reach)
    assert found == epochs.fewest_left_out(steps, low, low + more, free, reach)


def test_the_search_for_steps_to_leave_out_ends() -> None:
    assert fewest_left_out([[0]] * 100, 10**4, 10**4, free=0, reach=1) == MOST_LEFT_OUT


def test_the_chance_of_a_total_is_that_of_dice() -> None:
    die = np.array([0, 1, 1, 1, 1, 1, 1]) / 6
    assert log_chance_of_total([(die, 5)], 17) == pytest.approx(math.log(780 / 6**5))
    coin = np.array([0.5, 0.5])
    assert log_chance_of_total([(die, 1), (coin, 2)], 8) == pytest.approx(math.log(1 / 24))
    assert log_chance_of_total([(die, 1)], 7) < math.log(1e-12)
    assert log_chance_of_total([], 0) == 0


@pytest.mark.parametrize(
    ("examples", "size", "n_epochs", "expected"),
    [
        (12, 3, None, [("full", 4, 0)]),
        (14, 3, None, [("short", 5, 2), ("dropped", 4, 2)]),
        (3, 3, 2, [("full", 1, 0)]),
        (14, 3, 3, [("short", 5, 2), ("dropped", 4, 2), ("carried", 14, 0)]),
        (2, 3, 1, [("short", 1, 2)]),
    ],
)
def test_plans(
    examples: int, size: int, n_epochs: int | None, expected: list[tuple[str, int, int]]
) -> None:
    found = [
        (plan.rest, plan.steps_per_epoch, plan.left_over)
        for plan in plans(examples, size, n_epochs)
    ]
    assert found == expected


def test_where_the_steps_of_a_plan_stand() -> None:
    plan = Plan(examples=14, batch_size=3, last_batch="short", n_epochs=2)
    numbers = np.arange(1, 12)
    assert plan.epoch(numbers).tolist() == [0] * 5 + [1] * 5 + [2]
    assert numbers[plan.is_short(numbers)].tolist() == [5, 10]


def test_the_number_of_steps_weighs() -> None:
    known = Plan(examples=12, batch_size=3, last_batch="full", n_epochs=2)
    assert known.log_prior(8) == 0
    assert known.log_prior(7) == pytest.approx(math.log(0.01 / 8))
    assert known.log_prior(9) == pytest.approx(math.log(1e-6))
    unknown = Plan(examples=12, batch_size=3, last_batch="full", n_epochs=None)
    assert [unknown.is_complete(last) for last in (4, 7, 100, 104)] == [True, False, True, False]
