"""What the result of a check says; the counts are made up."""

from __future__ import annotations

from typing import Any

from logitmeter.report import Check, Problem
from summaries import counts, strict


def check(**changes: Any) -> Check:
    facts: dict[str, Any] = {
        "rows": 12,
        "vocab_size": 151936,
        "element": "float16",
        "bytes": 3646464,
        "files": 2,
    }
    return Check._from_counts(counts(), **(facts | changes))


def test_check_without_a_problem() -> None:
    assert check().ok
    assert str(check()) == (
        "ok\n"
        "Source: 12 rows, vocabulary 151,936, float16, 3.5 MiB, 2 files.\n"
        "Counts: 3 visible tokens, 4 hidden, 2 replies, 1 sequence of 12 positions.\n"
        "Hidden labels: 7 x 4."
    )
    assert repr(check()) == "<logitmeter.Check: ok, 7 tokens of 12 positions>"


def test_check_with_problems() -> None:
    problems = [
        Problem("LabelError", "label 9 is not below 8", 1203, "a\n.arrow"),
        ("ShortRunError", "1 token missing", 4, None),
        Problem("LabelError", "label 9 at position 71 is not below 8", 71, "b.arrow", 1003),
        Problem("LabelError", "label 9 at position 71 is not below 8", 71, "b.arrow", 71),
        ("CorruptInputError", "cut short", None, "b.arrow"),
        ("ShapeError", "no rows", None, None),
    ]
    found = Check._from_counts(None, problems=problems)
    assert not found.ok
    assert str(found) == (
        "6 problems\n"
        "LabelError in a\\n.arrow at position 1,203: label 9 is not below 8\n"
        "ShortRunError at position 4: 1 token missing\n"
        "LabelError in b.arrow: label 9 at position 71 is not below 8"
        " (position 1,003 of this file)\n"
        "LabelError in b.arrow: label 9 at position 71 is not below 8\n"
        "CorruptInputError in b.arrow: cut short\n"
        "ShapeError: no rows"
    )
    assert found.problems[0].position == 1203


def test_check_says_what_evaluate_will_say_too() -> None:
    found = Check._from_counts(
        counts(num_short_right=1, num_unscored=2, warnings=[("TerminatorWarning", "end token")])
    )
    assert str(found).splitlines()[-3:] == [
        "1 run short on the right.",
        "2 tokens inside the mask have no score (the first token of a shifted sequence).",
        "Warning (TerminatorWarning): end token",
    ]


def test_check_speaks_of_a_mask_only_where_there_is_one() -> None:
    found = Check._from_counts(counts(num_runs=0, num_unscored=1))
    assert "1 token has no score (the first token of a shifted sequence)." in str(found)


def test_check_as_dict_and_json() -> None:
    found = check(problems=[("LabelError", "bad", 3, "a.arrow")])
    assert found.to_dict()["problems"] == [
        {
            "kind": "LabelError",
            "message": "bad",
            "position": 3,
            "path": "a.arrow",
            "position_in_file": None,
        }
    ]
    read = strict(found.to_json())
    assert (read["ok"], read["num_hidden"], read["hidden_label_ids"]) == (False, 4, {"7": 4})
    assert read["bytes"] == 3646464
    assert check() == check()
