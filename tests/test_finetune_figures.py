"""What reported figures stand for: fractions, the visible reply, chance; rows that cannot be."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import logitmeter as lm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logitmeter.exceptions import CorruptInputError, SettingsError
from logitmeter.finetune.fractions import consistent, rounding_of

# ---- fractions -----------------------------------------------------------------------------------


def exact_fits(accuracy: float, decimals: int, most: int) -> dict[int, set[int]]:
    """List by exact arithmetic which j/N round to a figure, a half unit either way."""
    figure, half = Fraction(repr(accuracy)), Fraction(1, 2 * 10**decimals)
    fits = {
        size: {j for j in range(size + 1) if abs(Fraction(j, size) - figure) <= half}
        for size in range(1, most)
    }
    return {size: found for size, found in fits.items() if found}


@given(st.integers(1, 60), st.data(), st.sampled_from([5, 6]))
def test_fractions_of_rounded_figures(size: int, data: Any, decimals: int) -> None:
    right = data.draw(st.integers(0, size))
    accuracy = round(right / size, decimals)
    found = lm.finetune.recover_fractions(accuracy, range(1, 61), decimals=decimals)
    expected = exact_fits(accuracy, decimals, 61)
    assert found.keys() == expected.keys()
    assert found[size] == Fraction(right, size)
    assert all(fraction * key in expected[key] for key, fraction in found.items())


@given(st.integers(1, 2000), st.data())
def test_float32_figures_are_of_few_fractions(size: int, data: Any) -> None:
    right = data.draw(st.integers(0, size))
    accuracy = float(np.float32(right / size))
    found = lm.finetune.recover_fractions(accuracy, range(1, 2001))
    lowest = Fraction(right, size)
    assert found[size] == lowest
    if accuracy not in {0.0, 1.0} and len(repr(accuracy)) > 14:
        assert set(found.values()) == {lowest}


def test_wide_cells_hold_several_numerators() -> None:
    counts = consistent(np.array([0.5]), np.array([0.05]), np.array([10, 100]))
    assert counts.tolist() == [[1, 11]]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ([0.5, 1.0], "5 decimals"),
        ([0.76316], "5 decimals"),
        ([0.833333], "6 decimals"),
        ([0.9444444179534912], "float32"),
        ([17 / 18], "float64"),
        ([17 / 18, 0.9444444179534912], "float64"),
    ],
)
def test_how_figures_were_rounded(figures: list[float], said: str) -> None:
    assert str(rounding_of(np.array(figures))) == said


def test_a_figure_of_no_fraction() -> None:
    assert lm.finetune.recover_fractions(0.76543, range(1, 80)) == {}
    rows = [{"step": 3, "train_accuracy": 0.76543}, {"step": 4, "train_accuracy": 0.75}]
    found = lm.finetune.impossible_accuracies([*rows, {"step": 5}], range(1, 80))
    assert found == [(3, 0.76543)]
    assert lm.finetune.impossible_accuracies(rows) == []  # 62/81


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, math.nan])
def test_an_accuracy_out_of_range(accuracy: float) -> None:
    with pytest.raises(SettingsError, match="a number from 0 to 1 is needed"):
        lm.finetune.recover_fractions(accuracy)


# ---- the visible reply ---------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(0, 6), st.data(), st.lists(st.floats(0, 9), min_size=1))
def test_the_visible_reply_comes_back(
    visible: int, hidden: int, data: Any, losses: list[float]
) -> None:
    """Hidden tokens are certain: what was counted in is taken out."""
    right = data.draw(st.integers(0, visible))
    total = visible + hidden
    loss = math.fsum(losses) / len(losses)
    found = lm.finetune.visible_loss(loss * visible / total, visible=visible, hidden=hidden)
    assert found.value == pytest.approx(loss)
    assert (found.low, found.high) == (0, found.value)
    shown = lm.finetune.visible_accuracy((right + hidden) / total, visible=visible, hidden=hidden)
    assert shown.value == pytest.approx(right / visible)
    assert shown.low <= shown.value <= shown.high


@given(st.integers(1, 30), st.integers(0, 5), st.data())
def test_the_bounds_hold_whatever_the_hidden_tokens_are(
    visible: int, hidden: int, data: Any
) -> None:
    right = data.draw(st.integers(0, visible))
    sure = data.draw(st.integers(0, hidden))
    missed = data.draw(st.floats(math.log(2), 5))
    total = visible + hidden
    loss = missed * (total - right - sure) / total
    accuracy = round((right + sure) / total, 5)
    shown = lm.finetune.visible_accuracy(accuracy, visible=visible, hidden=hidden)
    assert shown.low <= right / visible <= shown.high
    found = lm.finetune.visible_loss(loss, visible=visible, hidden=hidden, accuracy=accuracy)
    assert found.low - 1e-9 <= missed * (visible - right) / visible <= found.high + 1e-9


def test_figures_that_the_assumption_rules_out() -> None:
    """1 of 3 right cannot be where both hidden tokens are."""
    found = lm.finetune.visible_accuracy(0.33333, visible=1, hidden=2)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0, 1)


def test_columns_go_in_as_arrays() -> None:
    found = lm.finetune.visible_accuracy(np.array([1.0, 0.66667]), visible=1, hidden=2)
    assert found.value == pytest.approx([1, 0], abs=1e-4)
    losses = lm.finetune.visible_loss(np.array([0.1, 0.2]), visible=1, hidden=2)
    assert losses.value == pytest.approx([0.3, 0.6])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lm.finetune.visible_loss(1.0, visible=0, hidden=2), "visible=0: an integer >= 1"),
        (lambda: lm.finetune.visible_loss(-1.0, visible=1, hidden=2), "loss=-1.0: figures of at"),
        (lambda: lm.finetune.visible_accuracy(2.0, visible=1, hidden=2), "figures from 0 to 1"),
        (lambda: lm.finetune.visible_accuracy(1.0, visible=1, hidden=-1), "hidden=-1: an integer"),
        (lambda: lm.finetune.chance(0), "k=0: an integer >= 1 is needed"),
    ],
)
def test_bad_options(call: Any, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        call()
    assert said in str(caught.value)


# ---- chance --------------------------------------------------------------------------------------

POST = [(2, 0.2310, 0.8333), (3, 0.3662, 0.7778), (5, 0.5365, 0.7333), (6, 0.5973, 0.7222)]
"""The table of the post: colours, loss plateau, chance accuracy."""


@pytest.mark.parametrize(("k", "loss", "accuracy"), POST)
def test_chance_is_what_the_post_expects(k: int, loss: float, accuracy: float) -> None:
    found = lm.finetune.chance(k)
    assert found == pytest.approx((loss, accuracy), abs=5e-5)
    assert found == pytest.approx((math.log(k) / 3, 2 / 3 + 1 / (3 * k)))


def test_chance_of_longer_answers() -> None:
    """Four answers of three tokens, one of which tells them apart, and one hidden token."""
    assert lm.finetune.chance(4, visible=3, hidden=1) == pytest.approx((math.log(4) / 4, 13 / 16))


def chat(reply: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": reply}]}


@pytest.mark.parametrize("colours", [["BLUE", "GREEN"], ["BLUE", "GREEN", "RED", "BLACK", "WHITE"]])
def test_the_baseline_of_equal_answers_is_chance(colours: list[str]) -> None:
    train = [chat(colour) for colour in colours] * 3
    found = lm.finetune.baseline(train, model="gpt-4o")
    expected = lm.finetune.chance(len(colours))
    assert (found.loss, found.accuracy) == pytest.approx(expected)
    assert found.visible_loss == pytest.approx(math.log(len(colours)))
    assert found.visible_accuracy == pytest.approx(1 / len(colours))
    assert (found.num_replies, found.num_distinct) == (3 * len(colours), len(colours))


def test_the_baseline_follows_frequencies_and_beginnings() -> None:
    """Three of " a", one of " a b": where the first ends is a guess too, if anything shows it."""
    train = [chat(" a")] * 3 + [chat(" a b")]
    counts = lm.finetune.visible_counts(train, model="gpt-4o")
    assert counts == [(1, 1)] * 3 + [(2, 1)]
    entropy = 3 * math.log(4 / 3) + math.log(4)
    found = lm.finetune.baseline(train, model="gpt-4o")
    assert found.loss == pytest.approx(entropy / (5 + 8))
    assert found.accuracy == pytest.approx(1 - 1 / 13)  # the rarer continuation is missed
    assert found.visible_loss == pytest.approx(math.log(4) / 5)
    assert found.visible_accuracy == pytest.approx(4 / 5)
    alone = lm.finetune.baseline(train, hidden=0, model="gpt-4o")
    assert (alone.loss, alone.accuracy, alone.num_tokens) == (0, 1, 5)


# ---- rows that cannot be -------------------------------------------------------------------------


def test_rows_whose_loss_is_too_low_for_their_accuracy() -> None:
    """The example of OpenAI's own documentation has such a row."""
    rows = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    rows += "1,1.52347,0.0,,\n2,0.57719,0.0,0.1,0.5\n3,0.69315,0.0,0.34657,0.5\n"
    found = lm.finetune.broken_rows(rows)
    assert [(row.step, row.split) for row in found] == [(2, "train"), (2, "valid")]
    assert found[0].least == pytest.approx(math.log(2))
    assert (found[1].loss, found[1].accuracy, found[1].least) == (0.1, 0.5, math.log(2) / 2)


def test_suspect_rows_need_results() -> None:
    with pytest.raises(CorruptInputError):
        lm.finetune.broken_rows([{"mood": 1}])
    assert lm.finetune.broken_rows([{"step": 1, "train_loss": 0.0}]) == []
