"""The oracles against the page's examples, SciPy, and laws that need no second rendering."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle.cases import EXAMPLES, Example, case, counting_cases, random_case
from oracle.counting import Case, Counted, Failure, Token, count
from oracle.metrics import NOWHERE, clustered_se, effective_number, naive_se, report
from oracle.rows import Invalid, Score, Unknown, log_softmax, score, score_f64, top_k

INF, NAN = math.inf, math.nan
many = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)


def change(c: Case, **settings_: Any) -> Case:
    return {**c, **settings_}  # type: ignore[typeddict-item]


def valid(c: Case) -> Counted:
    """Give the result, where it is one (other cases are left out)."""
    result = count(**c)
    assume(isinstance(result, Counted))
    assert isinstance(result, Counted)
    return result


# Counting: the table of the page.


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: str(e.name))
def test_worked_example(example: Example) -> None:
    if example.settings_error:
        with pytest.raises(ValueError, match="mask"):
            count(**example.case)
        return
    counted = count(**change(example.case, on_short="count"))
    assert isinstance(counted, Counted)
    assert [t.position for t in counted.tokens] == example.positions
    assert (counted.num_short_left, counted.num_short_right) == example.short
    assert counted.num_unscored == example.unscored
    strict = count(**change(example.case, on_short="raise"))
    assert strict == (counted if example.failure is None else example.failure)


def bits(text: str) -> list[bool]:
    return [c == "1" for c in text]


ONES: list[int | None] = [1] * 5


@pytest.mark.parametrize(
    ("given_case", "expected"),
    [
        # At one position: mask, id, group, label, weight, short, nonfinite.
        (case([11], mask=[None], sequence_id=[None], weight=[NAN], bad_rows={0}), "0 mask"),
        (case([11], mask=[True], sequence_id=[None], weight=[NAN], bad_rows={0}), "0 id"),
        (case([11], mask=[True], weight=[NAN], bad_rows={0}), "0 label"),
        (case([1], mask=[True], weight=[NAN], bad_rows={0}), "0 weight"),
        (case([1], mask=[True], bad_rows={0}), "0 nonfinite"),
        (case([1, 11], mask=bits("11"), group=["a", "b"]), "1 group"),
        # The nearest missing position; the left one if both sides miss.
        (case([1], mask=[True], leading=2, trailing=2), "-1 short"),
        (case([1], mask=[True], trailing=2), "1 short"),
        (case([-100, -100, 1], mask=bits("001"), leading=2), "1 short"),
        # Null labels.
        (case([None], mask=[True]), "0 label"),
        (case([None, 1], mask=bits("01"), leading=1), "0 label"),
        (case([None, 1], mask=bits("01"), leading=1, null_labels="ignore"), "0 short"),
        # An id that returns; in another scope it may.
        (case(ONES, sequence_id=[1, 2, 1, 1, 2]), "2 id"),
        (case(ONES, sequence_id=[1, 2, 1, 1, 2], scope=[0, 0, 1, 1, 1]), None),
        # Entries left out.
        (case([1, 2], allowed={1}), "1 label"),
        # Weights: what a hidden token takes is checked if it is taken, its own never.
        (case([1, -100], mask=bits("01"), weight=[1, NAN], leading=1), None),  # inactive
        (case([1, -100, 1], mask=bits("011"), weight=[1, NAN, 1], leading=1), "1 weight"),
        (case([1, -100, 1], mask=bits("011"), weight=[1, NAN, 1]), None),
        (case([1, 1], mask=bits("01"), weight=[NAN, 1], leading=1), None),
        (case([11, 1, 1], mask=bits("011"), weight=[1, 0, 1], leading=1), None),
        (case([1, 1], mask=bits("01"), weight=[1, 0], leading=2), None),  # never short
    ],
)
def test_failure(given_case: Case, expected: str | None) -> None:
    result = count(**given_case)
    said = f"{result.position} {result.kind}" if isinstance(result, Failure) else None
    assert said == expected


def test_gap_of_two_runs() -> None:
    """Quote: "counts once and satisfies both"; the larger weight, the earlier run's group."""
    result = count(
        **case(
            [1, 2, 3], mask=bits("101"), weight=[1, NAN, 5], group=list("abc"), leading=1,
            trailing=1, on_short="count",
        )
    )  # fmt: skip
    assert isinstance(result, Counted)
    assert result.tokens[1] == Token(
        position=1, row=1, label=2, weight=5.0, hidden=True, group="a", sequence=0, invalid=False
    )
    assert result.hidden_label_ids == {2: 1}
    assert (result.num_short_left, result.num_short_right) == (1, 1)


def test_labels_first() -> None:
    c = case([1, 11], bad_rows={0})
    assert count(**c) == Failure(0, "nonfinite")
    assert count(**c, labels_first=True) == Failure(1, "label")


# Counting: laws.


@many
@given(counting_cases())
def test_without_growth_the_mask_decides(c: Case) -> None:
    c = change(c, leading=0, trailing=0)
    result = valid(c)
    first = {s[0] for s in result.sequences} if c["shift"] else set()
    unusable = (c["ignore_index"], *([None] if c["null_labels"] == "ignore" else []))
    assert [t.position for t in result.tokens] == [
        p
        for p, y in enumerate(c["labels"])
        if (c["mask"] is None or c["mask"][p])
        and y not in unusable
        and (c["weight"] is None or c["weight"][p] != 0)
        and p not in first
    ]


@many
@given(counting_cases())
def test_mirror(c: Case) -> None:
    """Reversed input with leading and trailing exchanged counts the mirrored tokens."""
    c = change(c, shift=False, on_short="count", group=None)
    result, n = valid(c), len(c["labels"])
    columns: dict[str, Any] = {
        k: v[::-1]
        for k in ("labels", "mask", "weight", "sequence_id", "scope")
        if (v := c[k]) is not None
    }
    mirrored = valid(
        change(
            c,
            **columns,
            bad_rows={n - 1 - r for r in c["bad_rows"]},
            leading=c["trailing"],
            trailing=c["leading"],
        )
    )
    assert [(n - 1 - t.position, t.weight, t.hidden) for t in mirrored.tokens[::-1]] == [
        (t.position, t.weight, t.hidden) for t in result.tokens
    ]
    assert mirrored.num_short_left == result.num_short_right
    assert mirrored.num_short_right == result.num_short_left


@many
@given(counting_cases())
def test_scopes_are_independent(c: Case) -> None:
    """Quote: "the same data cut into files at sequence borders": the parts add up."""
    scope = c["scope"]
    assume(scope is not None)
    assert scope is not None
    whole = valid(c)
    parts = []
    for s in dict.fromkeys(scope):
        lo, hi = scope.index(s), len(scope) - scope[::-1].index(s)
        columns: dict[str, Any] = {
            k: v[lo:hi]
            for k in ("labels", "mask", "weight", "sequence_id", "scope", "group")
            if (v := c[k]) is not None
        }
        bad = {r - lo for r in c["bad_rows"]}
        parts.append((lo, valid(change(c, **columns, bad_rows=bad))))
    assert [t.position for t in whole.tokens] == [
        lo + t.position for lo, part in parts for t in part.tokens
    ]
    for name in ("num_runs", "num_short_left", "num_short_right", "num_unscored"):
        assert getattr(whole, name) == sum(getattr(part, name) for _, part in parts)


@many
@given(counting_cases())
def test_shift_drops_the_first_token(c: Case) -> None:
    """Shifted sequences count as unshifted ones without their first tokens."""
    c = change(c, shift=True, on_short="count", nonfinite="omit")
    result = valid(c)
    keep = [p for first, last, _ in result.sequences for p in range(first + 1, last + 1)]
    number = {p: s for s, (a, b, _) in enumerate(result.sequences) for p in range(a, b + 1)}
    columns: dict[str, Any] = {
        k: [v[p] for p in keep]
        for k in ("labels", "mask", "weight", "group")
        if (v := c[k]) is not None
    }
    plain = valid(
        change(c, **columns, sequence_id=None, scope=[number[p] for p in keep], shift=False)
    )
    assert [keep[t.position] for t in plain.tokens] == [t.position for t in result.tokens]
    assert [keep[t.position] - 1 for t in plain.tokens] == [t.row for t in result.tokens]
    assert [t.weight for t in plain.tokens] == [t.weight for t in result.tokens]
    assert plain.num_short_left == result.num_short_left


@many
@given(counting_cases())
def test_what_does_not_count_may_hold_anything(c: Case) -> None:
    """Rubbish where nothing counts changes nothing."""
    result = valid(c)
    kept = {t.position for t in result.tokens}
    rows = {t.row for t in result.tokens}
    unmasked = [c["mask"] is not None and not m for m in c["mask"] or c["labels"]]
    assert result == count(
        **change(
            c,
            bad_rows=c["bad_rows"] | (set(range(len(c["labels"]))) - rows),
            weight=c["weight"]
            and [NAN if u else w for u, w in zip(unmasked, c["weight"], strict=True)],
        )
    )
    assert len(kept) == len(result.tokens)
    assert sum(result.hidden_label_ids.values()) == sum(t.hidden for t in result.tokens)
    assert all(t.weight > 0 for t in result.tokens)


@many
@given(counting_cases())
def test_modes(c: Case) -> None:
    """More claims count no less; raising fails no later; labels first ends the same."""
    lenient = count(**change(c, on_short="count", nonfinite="omit"))
    strict = count(**change(c, on_short="raise", nonfinite="raise"))
    if isinstance(lenient, Failure):
        assert isinstance(strict, Failure)
        assert strict.position <= lenient.position
        return
    shorts = lenient.num_short_left + lenient.num_short_right
    assert isinstance(strict, Failure) == (shorts > 0 or any(t.invalid for t in lenient.tokens))
    assert count(**change(c, on_short="count", nonfinite="omit"), labels_first=True) == lenient
    bare = valid(change(c, leading=0, trailing=0, on_short="count", nonfinite="omit"))
    assert bare.tokens == [t for t in lenient.tokens if not t.hidden]
    assert bare.num_runs == lenient.num_runs


def test_proportions() -> None:
    """The random cases hold enough of everything."""
    found: Counter[str] = Counter()
    for seed in range(4000):
        result = count(**random_case(Random(seed)))  # no secret
        found[result.kind if isinstance(result, Failure) else "counted"] += 1
    assert 0.4 < found["counted"] / 4000 < 0.7
    for kind in ("mask", "id", "group", "label", "weight", "short", "nonfinite"):
        assert found[kind] > 60, kind


# Rows.


@pytest.mark.parametrize("of", [score, score_f64])
@pytest.mark.parametrize(
    ("arguments", "nll", "ranks"),
    [
        (([0.0, -INF], 0, None), 0.0, (0, 0, 0)),
        (([0.0, 0.0, -INF], 2, None), INF, (2, 0, 2)),
        (([-INF, 0.0, -INF], 2, None), INF, (2, 1, 1)),
        (([3.4e38] * 3, 1, None), math.log(3), (1, 2, 0)),
        (([1.7e308, -1.7e308], 0, None), 0.0, (0, 0, 0)),
        (([-7.0], 0, None), 0.0, (0, 0, 0)),
        (([0.0, -40.0], 0, None), 4.248354255291589e-18, (0, 0, 0)),
        (([0.0, -1000.0], 1, None), 1000.0, (1, 0, 1)),
        (([0.0, -0.0], 0, None), math.log(2), (0, 1, 0)),
        (([-0.0, 0.0], 1, None), math.log(2), (1, 1, 0)),
        (([NAN, 1.0, 1.0], 2, {1, 2}), math.log(2), (1, 1, 0)),
        (([INF, 1.0], 1, {1}), 0.0, (0, 0, 0)),
    ],
)
def test_special_rows(of: Any, arguments: Any, nll: float, ranks: Any) -> None:
    result = of(*arguments)
    assert float(result.nll) == pytest.approx(nll, rel=1e-15, abs=0)
    assert math.copysign(1, result.nll) == 1
    assert (result.rank, result.ties, result.greater) == ranks


@pytest.mark.parametrize("of", [score, score_f64])
def test_invalid_rows(of: Any) -> None:
    assert of([-INF, -INF], 0) == Invalid(has_nan=False, has_posinf=False)
    assert of([0.0, INF], 0) == Invalid(has_nan=False, has_posinf=True)
    assert of([NAN, INF], 1) == Invalid(has_nan=True, has_posinf=True)
    assert of([0.0, -INF], 1, {1}) == Invalid(has_nan=False, has_posinf=False)
    with pytest.raises(ValueError, match="not an allowed entry"):
        of([0.0, 1.0], 0, {1})


logits = st.one_of(
    st.floats(-50, 50, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -INF, -1e30, 1e30]),
    st.floats(-1e5, 1e5),
)


@many
@given(st.lists(logits, min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_rows_agree(row: list[float], rng: Random) -> None:
    label = rng.randrange(len(row))
    slow, fast = score(row, label), score_f64(row, label)
    if isinstance(slow, Invalid) or isinstance(fast, Invalid):
        assert slow == fast
        return
    assert fast[2:] == slow[2:]
    if slow.nll > 1e-300:
        assert abs(fast.nll - slow.nll) <= 1e-14 * slow.nll or fast.nll == slow.nll == INF
    assert abs(fast.lse - slow.lse) <= 1e-15 * max(1, *(abs(x) for x in row if x != -INF))
    order = sorted(range(len(row)), key=lambda j: (-row[j], j))
    assert order[slow.rank] == label
    whole = log_softmax(row)
    best = top_k(row, 3)
    assert isinstance(whole, list)
    assert isinstance(best, tuple)
    assert best == ([whole[j] for j in order[:3]], order[:3])
    with mpmath.workdps(60):
        assert mpmath.almosteq(sum(mpmath.exp(v) for v in whole), 1, 1e-50)
        assert slow.nll == INF or abs(whole[label] + slow.nll) <= 1e-50 * (1 + slow.nll)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_scipy(dtype: Any) -> None:
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(7)
    for v in (1, 2, 17, 300):
        x = rng.normal(0, 4, size=v).astype(dtype)
        x[rng.random(v) < 0.1] = -INF
        x[rng.integers(v)] = 1
        expected = special.log_softmax(x.astype(np.float64))
        lse = special.logsumexp(x.astype(np.float64))
        for label in range(min(v, 9)):
            for result in (score(x, label), score_f64(x, label)):  # type: ignore[arg-type]
                assert isinstance(result, Score)
                assert float(result.nll) == pytest.approx(-expected[label], abs=1e-13)
                assert float(result.lse) == pytest.approx(lse, abs=1e-13)
        rows = log_softmax(x, set(range(0, v, 2)) | {v - 1})  # type: ignore[arg-type]
        left_out = [j for j in range(v) if j % 2 and j != v - 1]
        x[left_out] = -INF
        if isinstance(rows, list):
            expected = special.log_softmax(x.astype(np.float64))
            np.testing.assert_allclose([float(r) for r in rows], expected, atol=1e-13)


def test_wide_row() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(-2, 2.5, size=20_000).astype(np.float32)
    x[11] = 60.0
    for label in (0, 11):
        slow, fast = score(list(map(float, x)), label), score_f64(x, label)
        assert isinstance(slow, Score)
        assert isinstance(fast, Score)
        assert abs(fast.nll - slow.nll) <= 1e-14 * slow.nll
        assert fast[2:] == slow[2:]


# Metrics.


def tokens_of(*entries: tuple[int, float, bool, str]) -> Counted:
    """(sequence, weight, hidden, group), one row each."""
    tokens = [
        Token(i, i, label=0, weight=w, hidden=h, group=g, sequence=s, invalid=False)
        for i, (s, w, h, g) in enumerate(entries)
    ]
    return Counted(tokens, 0, 0, 0, 0, {}, [])


def test_report_by_hand() -> None:
    counted = tokens_of(
        (0, 1.0, False, "a"), (0, 2.0, True, "a"), (1, 1.0, False, "b"), (2, 4.0, False, "b")
    )
    scores: dict[int, Score | Invalid] = {
        0: Score(1.0, 0.0, 0, 0, 0),
        1: Score(2.0, 0.0, 3, 0, 3),
        2: Score(0.5, 0.0, 0, 1, 0),
        3: Score(3.0, 0.0, 1, 1, 0),
    }
    found = report(counted, scores, sequences_known=True, ks=(2,))
    whole = found["whole"]
    assert whole["loss"] == 17.5 / 8
    assert whole["perplexity"] == pytest.approx(math.exp(17.5 / 8), rel=1e-15)
    assert whole["accuracy"] == 2 / 8
    assert whole["accuracy_strict"] == 1 / 8
    assert whole["accuracy_optimistic"] == 6 / 8
    assert whole["mrr"] == float(Fraction(1 + 1 + 2) / 8 + Fraction(2, 4) / 8)
    assert whole["top_k_accuracy"] == {2: 6 / 8}
    assert whole["sequence_accuracy"] == 1 / 3
    assert (whole["num_tokens"], whole["num_correct"], whole["num_ties"]) == (4, 2, 2)
    sums, n, m = [5.0, 0.5, 12.0], [3.0, 1.0, 4.0], 17.5 / 8
    squares = sum((s - m * w) ** 2 for s, w in zip(sums, n, strict=True))
    assert whole["loss_stderr"] == pytest.approx(math.sqrt(1.5 * squares) / 8, rel=1e-14)
    # Tokens as clusters of their own: t = (1, 4, 0.5, 12), w = (1, 2, 1, 4).
    squares = sum((t - m * w) ** 2 for t, w in ((1, 1), (4, 2), (0.5, 1), (12, 4)))
    naive = math.sqrt(4 / 3 * squares) / 8
    assert whole["loss_stderr_naive"] == pytest.approx(naive, rel=1e-14)
    assert whole["effective_number"] == 64 / 26
    assert found["hidden"]["loss"] == 2.0
    assert math.isnan(found["hidden"]["loss_stderr"])
    assert found["visible"]["num_tokens"] == 3
    assert list(found["groups"]) == ["a", "b"]
    assert found["groups"]["a"]["whole"]["loss"] == 5 / 3
    unknown = report(counted, scores, sequences_known=False)["whole"]
    assert math.isnan(unknown["loss_stderr"])
    assert math.isnan(unknown["sequence_accuracy"])


def test_invalid_and_infinite() -> None:
    counted = tokens_of((0, 1.0, False, ""), (0, 1.0, False, ""), (1, 2.0, False, ""))
    scores: dict[int, Score | Invalid] = {
        0: Score(1.0, 0.0, 0, 0, 0),
        1: Invalid(has_nan=True, has_posinf=False),
        2: Score(INF, 0.0, 5, 0, 5),
    }
    omit = report(counted, scores, sequences_known=True, nonfinite="omit")["whole"]
    assert (omit["num_tokens"], omit["num_invalid"], omit["num_nan_rows"]) == (2, 1, 1)
    assert (omit["loss"], omit["perplexity"], omit["num_neginf_labels"]) == (INF, INF, 1)
    assert omit["accuracy"] == 1 / 3
    assert omit["sequence_accuracy"] == 0.0
    assert omit["num_sequences"] == 2
    assert math.isnan(omit["loss_stderr"])
    keep = report(counted, scores, sequences_known=True, nonfinite="propagate")["whole"]
    assert math.isnan(keep["loss"])
    assert (keep["num_tokens"], keep["accuracy"]) == (3, 1 / 4)
    empty = report(tokens_of(), {}, sequences_known=True)["whole"]
    assert math.isnan(empty["loss"])
    assert empty["num_tokens"] == 0


def test_bounded_and_unknown_by_hand() -> None:
    counted = tokens_of(
        (0, 1.0, False, ""), (0, 1.0, False, ""), (1, 2.0, True, ""), (2, 1.0, False, "")
    )
    scores: dict[int, Score | Invalid | Unknown] = {
        0: Score(0.5, 0.0, 0, 0, 0),
        1: Score(2.0, 0.0, 5, 0, 5, nll_high=INF, rank_high=NOWHERE),
        2: Score(1.0, 0.0, 0, 1, 0, rank_high=1),
        3: Unknown(),
    }
    whole = report(counted, scores, sequences_known=True, ks=(1, 2))["whole"]
    assert (whole["num_tokens"], whole["num_bounded"], whole["num_unknown"]) == (3, 2, 1)
    assert whole["loss"] == 4.5 / 4
    assert whole["loss_bounds"] == (4.5 / 4, INF)
    assert whole["perplexity_bounds"] == (whole["perplexity"], INF)
    assert whole["accuracy"] == 1 / 4
    assert whole["accuracy_bounds"] == (1 / 4, 3 / 4)
    assert (whole["accuracy_strict"], whole["accuracy_optimistic"]) == (1 / 4, 3 / 4)
    assert whole["mrr"] == (1 + 0 + 2 / 2) / 4
    assert whole["top_k_accuracy"] == {1: 1 / 4, 2: 3 / 4}
    assert whole["num_correct"] == 1
    assert whole["sequence_accuracy"] == 0.0  # of two: of the third nothing is known
    assert whole["num_sequences"] == 2
    hidden = report(counted, scores, sequences_known=True)["hidden"]
    assert hidden["loss_bounds"] == (1.0, 1.0)
    assert hidden["accuracy_bounds"] == (0.0, 1.0)


def test_clustered_se_of_equal_clusters() -> None:
    """With clusters of one token it is the usual standard error of a mean."""
    x = np.random.default_rng(5).normal(size=50)
    expected = x.std(ddof=1) / math.sqrt(50)
    assert clustered_se(list(map(float, x)), [1.0] * 50) == pytest.approx(expected, rel=1e-13)
    assert clustered_se([1.0, 2.0], [1.0, 2.0]) == 0.0


def test_naive_se_by_hand() -> None:
    """With equal weights it is the usual standard error of a mean, whatever their scale."""
    x = np.random.default_rng(6).normal(size=40)
    usual = x.std(ddof=1) / math.sqrt(40)
    assert naive_se(list(map(float, x)), [1.0] * 40) == pytest.approx(usual, rel=1e-13)
    assert naive_se(list(map(float, 4 * x)), [4.0] * 40) == pytest.approx(usual, rel=1e-13)
    # t = (3, 1), w = (1, 3), m = 1: residuals (2, -2), so sqrt(2 * 8) / 4.
    assert naive_se([3.0, 1.0], [1.0, 3.0]) == 1.0
    assert math.isnan(naive_se([1.0], [1.0]))
    assert math.isnan(naive_se([1.0, INF], [1.0, 1.0]))


def test_effective_number_by_hand() -> None:
    assert effective_number([Fraction(7)] * 5) == 5.0
    assert effective_number([Fraction(1), Fraction(3), Fraction(0)]) == 16 / 10
    assert math.isnan(effective_number([]))
