"""Errors, flags and facts of real evaluations, against the oracle and by hand."""

from __future__ import annotations

import math
import warnings
from typing import Any

import logitmeter as lm
import numpy as np
import pytest
from oracle.cases import case
from oracle.counting import Counted, count
from oracle.metrics import report as oracle_report
from oracle.rows import Invalid, Score, score

INF, NAN = math.inf, math.nan
RANDOM = np.random.default_rng(11)


def ragged(lengths: list[int], vocab: int = 5) -> dict[str, Any]:
    """Give sequences of these lengths: rows with ties, labels, weights, groups, a mask."""
    n = sum(lengths)
    ids = np.repeat(np.arange(len(lengths)), lengths)
    return {
        "logits": np.round(RANDOM.normal(size=(n, vocab)) * 2),
        "labels": RANDOM.integers(0, vocab, n),
        "weight": RANDOM.choice([1.0, 0.25, 3.5], n),
        "sequence_id": ids,
        "group": ids % 3,
        "mask": RANDOM.random(n) < 0.6,
    }


def evaluated(data: dict[str, Any], **options: Any) -> lm.Report:
    data = dict(data)
    by = {"group": data.pop("group")}
    logits, labels = data.pop("logits"), data.pop("labels")
    return lm.evaluate(logits, labels, **data, by=by, precision="exact", **options)


def expected(data: dict[str, Any], **options: Any) -> dict[str, Any]:
    columns = {name: data[name].tolist() for name in ("mask", "weight", "sequence_id", "group")}
    counted = count(**case(data["labels"].tolist(), vocab=5, **columns, **options))
    assert isinstance(counted, Counted)
    scores = {
        row: score(values, label)
        for row, (values, label) in enumerate(
            zip(data["logits"].tolist(), data["labels"].tolist(), strict=True)
        )
    }
    return oracle_report(counted, scores, sequences_known=True)


NAMES = ("loss_stderr", "loss_stderr_naive", "accuracy_stderr", "accuracy_stderr_naive",
         "effective_number")  # fmt: skip


def check_errors(part: lm.report.Part, want: dict[str, Any]) -> None:
    for name in NAMES:
        assert getattr(part, name) == pytest.approx(want[name], rel=1e-9, nan_ok=True), name


def test_errors_of_the_whole_its_parts_and_every_group() -> None:
    data = ragged([1, 9, 4, 30, 2, 2, 17, 5])
    options: dict[str, Any] = {"trailing": 1, "on_short": "count"}
    report, want = evaluated(data, **options), expected(data, **options)
    check_errors(report, want["whole"])
    check_errors(report.visible, want["visible"])
    check_errors(report.hidden, want["hidden"])
    assert set(report.groups) == set(want["groups"]) == {0, 1, 2}
    for key, group in report.groups.items():
        for name, part in (("whole", group), ("visible", group.visible), ("hidden", group.hidden)):
            check_errors(part, want["groups"][key][name])
    assert report.loss_stderr != report.loss_stderr_naive


def test_intervals_are_students_and_of_perplexity_on_the_log_scale() -> None:
    report = evaluated(ragged([3, 5, 8, 2]))
    half = 3.182446305283709 * report.loss_stderr  # 3 degrees of freedom
    assert report.loss_ci == pytest.approx((report.loss - half, report.loss + half), rel=1e-12)
    low, high = map(math.exp, report.loss_ci)
    assert report.perplexity_ci == pytest.approx((low, high), rel=1e-12)


def test_without_sequences_the_naive_error_is_the_only_one() -> None:
    data = ragged([40])
    del data["sequence_id"], data["weight"]
    report = evaluated(data)
    chosen = data["mask"]
    x = data["logits"] - np.log(np.exp(data["logits"]).sum(-1, keepdims=True))
    nll = -x[np.arange(40), data["labels"]][chosen]
    assert math.isnan(report.loss_stderr)
    assert report.loss_stderr_naive == pytest.approx(nll.std(ddof=1) / math.sqrt(len(nll)))
    assert report.flags == ("no_sequences",)
    assert math.isnan(report.effective_number)


def test_an_infinite_loss_has_no_error_and_a_flag() -> None:
    logits = np.zeros((4, 2, 3), np.float32)
    logits[1, 0, 0] = -INF
    report = lm.evaluate(logits, np.zeros((4, 2), int))
    assert math.isnan(report.loss_stderr)
    assert math.isnan(report.loss_stderr_naive)
    assert report.accuracy_stderr > 0
    assert "infinite" in report.flags


def test_few_sequences_are_flagged_and_warned_of_but_nothing_is_issued() -> None:
    logits, labels = np.zeros((299, 1, 2), np.float32), np.arange(299)[:, None] % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = lm.evaluate(logits, labels, by={"half": np.arange(299) % 2})
    assert report.flags == ("few_sequences",)
    (warned,) = report.warnings
    assert warned.kind == "FewSequencesWarning"
    assert "is 299.0, and as low in 2 groups; below 300" in warned.message
    assert report.groups[0].flags == report.groups[0].visible.flags == ("few_sequences",)
    assert report.hidden.flags == ("empty",)


def test_three_hundred_equal_sequences_are_enough() -> None:
    report = lm.evaluate(np.zeros((300, 1, 2), np.float32), np.zeros((300, 1), int))
    assert (report.flags, report.warnings) == ((), ())
    grouped = lm.evaluate(
        np.zeros((300, 1, 2), np.float32),
        np.zeros((300, 1), int),
        by={"one": np.arange(300) == 0},
    )
    assert "is low in 1 of 2 groups" in grouped.warnings[0].message
    assert grouped.groups[True].flags == ("one_sequence",)
    assert math.isnan(grouped.groups[True].loss_stderr)


# Facts, under each policy for rows without a distribution.

ROWS: list[tuple[list[float], int]] = [
    ([0.0, 1.0, 2.0], 0),
    ([NAN, 1.0, 2.0], 1),
    ([1.0, 2.0, INF], 0),
    ([INF, NAN, 0.0], 2),  # both: counted under either
    ([-INF, -INF, -INF], 1),
    ([-INF, 1.0, 1.0], 0),  # the label at -inf, legal
    ([2.0, 2.0, 1.0], 1),  # tied, not first
    ([2.0, 2.0, 1.0], 0),  # tied, first
    ([3.0, -INF, 3.0], 0),
    ([0.0, 0.0, -0.0], 2),  # zeros tie
]
SEQUENCES = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
FACTS = ("num_nan_rows", "num_posinf_rows", "num_neginf_labels", "num_ties", "num_invalid",
         "num_tokens", "num_correct", "accuracy", "accuracy_strict", "accuracy_optimistic",
         "sequence_accuracy", "mrr")  # fmt: skip


def facts(policy: Any, dtype: Any) -> lm.Report:
    logits = np.array([row for row, _ in ROWS], dtype)
    labels = np.array([label for _, label in ROWS])
    return lm.evaluate(logits, labels, sequence_id=SEQUENCES, nonfinite=policy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("policy", ["omit", "propagate"])
def test_facts_of_rows_and_labels(policy: Any, dtype: Any) -> None:
    counted = count(**case([y for _, y in ROWS], vocab=3, sequence_id=SEQUENCES))
    assert isinstance(counted, Counted)
    scores: dict[int, Score | Invalid] = {i: score(row, y) for i, (row, y) in enumerate(ROWS)}
    want = oracle_report(counted, scores, sequences_known=True, nonfinite=policy)["whole"]
    report = facts(policy, dtype)
    for name in FACTS:
        assert getattr(report, name) == want[name], name
    assert report.num_empty_rows == 1
    assert (report.num_nan_rows, report.num_posinf_rows, report.num_invalid) == (2, 2, 4)
    assert (report.num_neginf_labels, report.num_ties) == (1, 4)
    assert report.num_tokens == (10 if policy == "propagate" else 6)


@pytest.mark.parametrize(("row", "fault"), [(1, "NaN"), (2, "inf"), (3, "NaN"), (4, "-inf in ev")])
def test_raising_names_the_row_and_keeps_the_facts_before_it(row: int, fault: str) -> None:
    logits = np.array([ROWS[0][0]] * 3 + [ROWS[row][0]] + [ROWS[1][0]])
    with pytest.raises(lm.exceptions.NonFiniteError, match=fault) as caught:
        lm.evaluate(logits, np.zeros(5, int), threads=2)
    assert (caught.value.position, caught.value.row) == (3, 3)
    partial = caught.value.partial
    assert partial is not None
    assert (partial.num_tokens, partial.num_nan_rows, partial.num_invalid) == (3, 0, 0)


def test_what_is_left_out_or_does_not_count_is_no_fact() -> None:
    allowed = np.array([False, True, True])
    report = lm.evaluate(
        np.array([[NAN, 1.0, 2.0], [INF, 0.0, 0.0], [NAN, NAN, NAN]]),
        np.array([1, 1, 2]),
        mask=np.array([1, 1, 0]),
        vocab_mask=allowed,
    )
    assert (report.num_nan_rows, report.num_posinf_rows, report.num_ties) == (0, 0, 1)
    emptied = lm.evaluate(
        np.array([[9.0, -INF, -INF]]), np.array([1]), vocab_mask=allowed, nonfinite="propagate"
    )
    assert (emptied.num_empty_rows, emptied.num_neginf_labels) == (1, 0)
