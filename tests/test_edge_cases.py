"""The table of strange rows: each with every element type, both precisions, on every tier."""

from __future__ import annotations

import json
import math
from typing import Any

import edge_cases
import logitmeter as lm
import numpy as np
import pytest
import tiers
from edge_cases import CASES, PRECISIONS
from logitmeter.exceptions import LabelError, ShapeError
from oracle.hostile import DTYPES

each_case = pytest.mark.parametrize("name", CASES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def real(figure: str) -> float:
    return float.fromhex(figure)


@each_case
@each_dtype
@each_precision
def test_a_strange_row_is_worth(name: str, dtype: str, precision: str) -> None:
    case = CASES[name]
    found = edge_cases.outcome(case, dtype, precision)
    if case.nll is None:
        check_invalid(found, case.fact)
    else:
        check_valid(found, case.nll, case.fact)


def check_valid(found: dict[str, Any], nll: float, fact: str | None) -> None:
    """It counts under every policy, and the report of one row says what the row says."""
    assert found["raise"] == found["omit"] == found["propagate"]
    row = found["raise"]
    assert real(row["nll"]) == pytest.approx(nll, rel=1e-6, abs=0)
    assert math.copysign(1, real(row["nll"])) == 1
    assert real(row["logprob"]) == -real(row["nll"])
    assert row["loss"] == row["nll"]
    assert real(row["perplexity"]) == pytest.approx(math.exp(nll) if nll < 700 else math.inf)
    assert (row["num_tokens"], row["num_invalid"]) == (1, 0)
    assert real(row["accuracy"]) == (row["rank"] == 0)
    assert [name for name in FACTS if row[name]] == ([fact] if fact else [])


def check_invalid(found: dict[str, Any], fact: str | None) -> None:
    """Raised by name and row; or left out; or counted as nan and as not correct."""
    assert found["raise"]["error"] == "NonFiniteError"
    assert found["raise"]["row"] == 0
    omitted, counted = found["omit"], found["propagate"]
    assert (omitted["num_tokens"], omitted["num_invalid"]) == (0, 1)
    assert math.isnan(real(omitted["loss"]))
    assert all(omitted[name] is None for name in ("nll", "logprob", "lse", "rank", "ties"))
    assert (counted["num_tokens"], counted["num_invalid"]) == (1, 1)
    assert math.isnan(real(counted["nll"]))
    assert math.isnan(real(counted["loss"]))
    assert real(counted["accuracy"]) == 0.0
    assert counted["rank"] is None
    for policy in (omitted, counted):
        assert [name for name in FACTS if policy[name]] == [fact]


FACTS = ("num_nan_rows", "num_posinf_rows", "num_neginf_labels", "num_empty_rows")


@pytest.mark.parametrize("isa", tiers.OTHERS)
def test_every_tier_says_the_same(isa: str) -> None:
    code = "import edge_cases, json; print(json.dumps(edge_cases.outcomes()))"
    found = json.loads(tiers.run(isa, code))
    want = edge_cases.outcomes()
    assert [key for key in want if found[key] != want[key]] == []


@each_dtype
@pytest.mark.parametrize("label", [3, -1, 2**31, 2**63 - 1])
def test_a_label_that_is_no_entry(dtype: str, label: int) -> None:
    logits = np.zeros((2, 3), DTYPES[dtype])
    with pytest.raises(LabelError, match=str(label)) as raised:
        lm.evaluate(logits, [0, label])
    assert raised.value.row == 1


@each_dtype
def test_an_ignored_row_is_not_read(dtype: str) -> None:
    logits = np.array([[0, 0], [math.nan, math.inf]], DTYPES[dtype])
    report = lm.evaluate(logits, [1, -100])
    assert report.loss == pytest.approx(math.log(2), rel=1e-6)
    assert (report.num_tokens, report.num_nan_rows, report.num_posinf_rows) == (1, 0, 0)


@each_dtype
def test_nothing_counted(dtype: str) -> None:
    logits = np.zeros((2, 3), DTYPES[dtype])
    with pytest.warns(lm.exceptions.NothingCountedWarning):
        report = lm.evaluate(logits, [-100, -100])
    assert report.num_tokens == 0
    assert "empty" in report.flags
    for figure in ("loss", "perplexity", "accuracy", "loss_stderr", "mrr"):
        assert math.isnan(getattr(report, figure))
    with pytest.raises(LabelError, match="nothing counted"), pytest.warns():
        lm.evaluate(logits, [-100, -100], on_empty="raise")


@each_dtype
def test_no_vocabulary(dtype: str) -> None:
    with pytest.raises(ShapeError):
        lm.evaluate(np.zeros((2, 0), DTYPES[dtype]), [0, 0])
