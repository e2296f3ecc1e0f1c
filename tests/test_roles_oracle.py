"""The oracle of roles by hand, and against the oracle of masks where the two must agree."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from oracle.cases import case, random_case
from oracle.counting import Case, Counted, Failure, count
from oracle.roles import count_by_role

NAN = math.nan
LETTERS = {"p": "prompt", "v": "visible", "h": "hidden", "n": None, "x": "user"}


def roles(text: str) -> list[str | None]:
    return [LETTERS[letter] for letter in text]


def counted(text: str, **settings: Any) -> Counted | Failure:
    labels = settings.pop("labels", [1] * len(text))
    return count_by_role(**case(labels, role=roles(text), **settings))


def weights(text: str, weight: list[float], **settings: Any) -> list[tuple[int, float, bool]]:
    result = counted(text, weight=weight, **settings)
    assert isinstance(result, Counted)
    return [(t.position, t.weight, t.hidden) for t in result.tokens]


def test_a_tool_call_has_hidden_tokens_inside() -> None:
    result = counted("pphvvhvvhpp")
    assert isinstance(result, Counted)
    assert [t.position for t in result.tokens] == [2, 3, 4, 5, 6, 7, 8]
    assert [t.position for t in result.tokens if t.hidden] == [2, 5, 8]
    assert (result.num_runs, result.hidden_label_ids) == (1, {1: 3})
    bare = counted("pphvvhvvhpp", hidden=False)
    assert isinstance(bare, Counted)
    assert [t.position for t in bare.tokens] == [3, 4, 6, 7]


@pytest.mark.parametrize(
    ("text", "weight", "expected"),
    [
        # The nearest visible position; of two equally near the earlier.
        ("hvhhhv", [9, 1, 9, 9, 9, 2],
         [(0, 1, True), (1, 1, False), (2, 1, True), (3, 1, True), (4, 2, True), (5, 2, False)]),
        # Weight 0: not counted. Its own weight is ignored, also an invalid one.
        ("vhpvh", [0, NAN, NAN, 2, NAN], [(3, 2, False), (4, 2, True)]),
        # A reply without a visible position: its own.
        ("phhp", [1, 0.5, 0, 1], [(1, 0.5, True)]),
    ],
)  # fmt: skip
def test_weights(text: str, weight: list[float], expected: list[Any]) -> None:
    assert weights(text, weight) == expected


def test_an_ignored_visible_position_lends_its_weight() -> None:
    assert weights("vh", [3, 1], labels=[-100, 1]) == [(1, 3, True)]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("pnv", {}, "1 role"),
        ("vxp", {"sequence_id": [1, None, 1]}, "1 role"),
        ("vpx", {"labels": [11, 1, 1]}, "0 label"),
        ("ppp", {"labels": [None, 99, 1]}, None),
        ("pvh", {"group": ["a", "a", "b"]}, "2 group"),
        ("pvp", {"group": ["a", "b", "c"]}, None),
        ("vh", {"weight": [NAN, 1], "labels": [-100, 1]}, "0 weight"),
        ("hv", {"weight": [1, NAN], "labels": [1, -100]}, "1 weight"),
        ("hv", {"weight": [1, NAN], "labels": [1, -100], "hidden": False}, None),
        ("hp", {"weight": [NAN, 1]}, "0 weight"),
        ("hv", {"labels": [99, 1], "bad_rows": {0}}, "0 label"),
        ("hv", {"bad_rows": {0}}, "0 nonfinite"),
        ("hv", {"bad_rows": {0}, "hidden": False}, None),
    ],
)
def test_failures(text: str, settings: Any, expected: str | None) -> None:
    result = counted(text, **settings)
    assert (f"{result.position} {result.kind}" if isinstance(result, Failure) else None) == expected


def test_the_first_token_of_a_shifted_sequence_is_no_position() -> None:
    result = counted("hvhvp", shift=True, weight=[7, 2, 9, 3, 9], sequence_id=[1, 1, 1, 2, 2])
    assert isinstance(result, Counted)
    assert [(t.position, t.row, t.weight) for t in result.tokens] == [(1, 0, 2), (2, 1, 2)]
    assert result.num_unscored == 2
    hidden = counted("hv", shift=True, hidden=False)
    assert isinstance(hidden, Counted)
    assert hidden.num_unscored == 0


def as_roles(c: Case) -> list[str | None]:
    assert c["mask"] is not None
    return [None if m is None else "visible" if m else "prompt" for m in c["mask"]]


def test_without_hidden_roles_it_is_the_mask() -> None:
    compared = 0
    for seed in range(1500):
        c = random_case(Random(seed))
        if c["mask"] is None:
            continue
        c |= {"leading": 0, "trailing": 0}
        by_role, by_mask = count_by_role(**(c | {"role": as_roles(c)})), count(**c)
        if isinstance(by_mask, Failure):
            assert isinstance(by_role, Failure)
            assert by_role.position == by_mask.position
            assert by_role.kind == {"mask": "role"}.get(by_mask.kind, by_mask.kind)
        else:
            assert by_role == by_mask
            compared += 1
    assert compared > 500


def test_where_every_weight_is_one_a_mask_that_touches_agrees() -> None:
    """Hidden roles where claims would be: the same tokens, if nothing is short or shared."""
    for seed in range(1500):
        c = random_case(Random(seed))
        if c["mask"] is None or c["weight"] is not None:
            continue
        by_mask = count(**(c | {"on_short": "raise", "group": None}))
        if isinstance(by_mask, Failure):
            continue
        marks = as_roles(c)
        for t in by_mask.tokens:
            marks[t.position] = "hidden" if t.hidden else "visible"
        by_role = count_by_role(**(c | {"group": None, "role": marks}))
        assert isinstance(by_role, Counted)
        assert by_role.tokens == by_mask.tokens
