"""What is read without an error and yet looks wrong: a warning, and the very same result."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pytest
from logitmeter.exceptions import InputWarning, LabelShiftWarning, TerminatorWarning
from ways import each_way, evaluate

if TYPE_CHECKING:
    from pathlib import Path

ROWS, V, END = 400, 30, 7
RANDOM = np.random.default_rng(3)
LABELS = RANDOM.integers(0, V, ROWS)
LOGITS = RANDOM.normal(size=(ROWS, V)).astype(np.float32)
LOGPROBS = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
PLACE = np.arange(ROWS) % 10
MASK = (PLACE > 2) & (PLACE < 8)


def fitting(place: int) -> np.ndarray[Any, Any]:
    """Give logits that are sure of the label so many places to the right."""
    logits = LOGITS.copy()
    rows = np.arange(max(0, -place), ROWS - max(0, place))
    logits[rows, LABELS[rows + place]] = 9
    return logits


def mean_nll(logits: Any, labels: Any) -> float:
    wide = logits.astype(np.float64)
    nll = np.log(np.exp(wide).sum(1)) - wide[np.arange(len(wide)), labels]
    return float(nll.mean())


@each_way
@pytest.mark.parametrize(
    ("place", "shift", "says"),
    [
        (1, False, "to the right .*pass shift=True"),
        (0, True, "to the left .*pass shift=False"),
        (-1, False, "to the left .*check how labels and rows"),
        (2, True, "to the right .*check how labels and rows"),
    ],
)
def test_labels_that_fit_better_one_place_away(
    way: str, place: int, says: str, tmp_path: Path, *, shift: bool
) -> None:
    logits = fitting(place)
    with pytest.warns(LabelShiftWarning, match=says) as caught:
        found = evaluate(way, tmp_path, logits, labels=LABELS, shift=shift)
    assert len(caught) == 1
    assert [warning.kind for warning in found.warnings] == ["LabelShiftWarning"]
    rows, labels = (logits[:-1], LABELS[1:]) if shift else (logits, LABELS)
    assert found.loss == pytest.approx(mean_nll(rows, labels), rel=1e-6)


def test_labels_that_fit_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lm.evaluate(fitting(0), LABELS)
        lm.evaluate(fitting(1), LABELS, shift=True)
        lm.evaluate(LOGITS, LABELS)


@each_way
@pytest.mark.parametrize("side", ["leading", "trailing"])
def test_the_end_token_inside_the_mask(way: str, side: str, tmp_path: Path) -> None:
    labels = np.where(PLACE == 7, END, LABELS)
    with pytest.warns(TerminatorWarning, match=f"40 of 40 runs end in label {END}") as caught:
        found = evaluate(way, tmp_path, LOGITS, labels=labels, mask=MASK, **{side: 1})
    assert len(caught) == 1
    assert [warning.kind for warning in found.warnings] == ["TerminatorWarning"]
    moved: np.ndarray[Any, Any] = np.isin(PLACE, [2 if side == "leading" else 8])
    counted = MASK | moved
    assert (found.visible.num_tokens, found.hidden.num_tokens) == (MASK.sum(), moved.sum())
    assert found.loss == pytest.approx(mean_nll(LOGITS[counted], labels[counted]), rel=1e-6)


def test_other_ends_of_runs_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lm.evaluate(LOGITS, LABELS, mask=MASK, trailing=1)
        lm.evaluate(LOGITS, np.where(PLACE == 7, END, LABELS), mask=MASK)


@each_way
@pytest.mark.parametrize(
    ("values", "says"),
    [(LOGPROBS, "log-probabilities"), (np.exp(LOGPROBS), r"probabilities \(all in \[0, 1\]")],
    ids=["logprobs", "probs"],
)
def test_what_looks_like_no_logits(way: str, values: Any, says: str, tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match=f"looks like {says}") as caught:
        found = evaluate(way, tmp_path, values, labels=LABELS)
    assert len(caught) == 1
    assert [warning.kind for warning in found.warnings] == ["InputWarning"]
    assert found.loss == pytest.approx(mean_nll(values, LABELS), rel=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f8"])
def test_rounded_log_probabilities_are_seen_too(dtype: str) -> None:
    with pytest.warns(InputWarning, match="log-probabilities"):
        lm.evaluate(LOGPROBS.astype(dtype), LABELS)
