"""The core against the plain oracle of counting, with the same input cut everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from law import (
    check_case,
    check_labels_first,
    check_report,
    cut_every,
    dice,
    evaluated,
    outcome,
    tokens,
)
from logitmeter.exceptions import LabelError, LogitmeterError, NonFiniteError
from oracle.cases import (
    EXAMPLES,
    VOCAB,
    Example,
    case,
    counting_cases,
    random_case,
    random_role_case,
)
from oracle.counting import Case, Counted, Failure, count


@given(counting_cases())
@settings(max_examples=150)
def test_the_law_under_hypothesis(c: Case) -> None:
    check_case(c, dice(len(c["labels"])))
    check_labels_first(c)


@pytest.mark.parametrize("seed", range(12))
def test_the_law_in_bulk(seed: int) -> None:
    rng = dice(seed)
    for _ in range(60):
        c = random_case(rng)
        check_case(c, rng)
        check_labels_first(c)


@pytest.mark.parametrize("seed", range(4))
def test_the_law_of_roles_in_bulk(seed: int) -> None:
    rng = dice(100 + seed)
    for _ in range(40):
        c = random_role_case(rng)
        check_case(c, rng)
        check_labels_first(c)


EVERYTHING = {
    "sequence_id": None,
    "group": None,
    "allowed": None,
    "ignore_index": -100,
    "shift": True,
    "leading": 2,
    "trailing": 3,
    "on_short": "count",
    "nonfinite": "omit",
    "null_labels": "ignore",
}


def test_batches_of_a_thousand_rows() -> None:
    """Long inputs, so that batches of 1,000 rows cut them too; no errors, everything else on."""
    rng = dice(5)
    c: Case | None = None
    while c is None or len(c["labels"]) < 3000:
        new = random_case(rng)
        new |= EVERYTHING  # type: ignore[typeddict-item]
        if new["mask"] is None or new["weight"] is None or isinstance(count(**new), Failure):
            continue
        c = new if c is None else joined(c, new)
    whole = outcome(c, [])
    assert isinstance(whole, bytes)
    want = count(**c)
    assert isinstance(want, Counted)
    check_report(c, want, evaluated(c, cut_every(7, len(c["labels"]))).summary())
    for size in (1, 7, 1000):
        assert outcome(c, cut_every(size, len(c["labels"])), threads=3) == whole


def joined(a: Case, b: Case) -> Case:
    """One input after the other, in scopes of their own."""
    offset = len(a["labels"])
    scope = a["scope"] or [0] * offset
    start = max(scope, default=0) + 1
    both = case(a["labels"] + b["labels"])
    return both | {  # type: ignore[return-value]
        **{name: a[name] for name in a if name not in both},  # type: ignore[literal-required]
        "vocab": VOCAB,
        "mask": (a["mask"] or []) + (b["mask"] or []),
        "weight": (a["weight"] or []) + (b["weight"] or []),
        "scope": [*scope, *(start + s for s in b["scope"] or [0] * len(b["labels"]))],
        "bad_rows": a["bad_rows"] | {row + offset for row in b["bad_rows"]},
        **EVERYTHING,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_the_worked_examples(example: Example) -> None:
    c = example.case
    if example.settings_error:
        with pytest.raises(LogitmeterError, match="mask = labels != -100"):
            evaluated(c, [])
        return
    counting: Any = c | {"on_short": "count"}
    assert [t["position"] for t in tokens(counting, [])] == example.positions
    summary = evaluated(counting, []).summary()
    assert (summary["num_short_left"], summary["num_short_right"]) == example.short
    if example.failure is not None:
        with pytest.raises(LabelError) as caught:
            evaluated(c, [])
        assert caught.value.position == example.failure.position


def test_an_error_keeps_the_report_of_all_before_it() -> None:
    labels: list[int | None] = [1, 2, 3, 1, 2]
    c: Any = case(labels, vocab=VOCAB) | {"bad_rows": {3}}
    with pytest.raises(NonFiniteError) as caught:
        evaluated(c, [2])
    partial: Any = caught.value.partial  # still the core's dictionary here
    assert partial["total"]["whole"]["num_tokens"] == 3
