"""What a report says, in figures, words, JSON, Arrow and HTML; no compiled core is needed."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from summaries import (
    INF,
    NAN,
    SETTINGS,
    chat_summary,
    counts,
    empty,
    part,
    summary,
    triple,
    unknown,
    with_hidden,
)

from logitmeter import _words
from logitmeter._numbers import (
    bytes_text,
    clip,
    number_text,
    pad,
    plural,
    printable,
    value_and_error,
    width,
)
from logitmeter.exceptions import SettingsError
from logitmeter.report import Check, Problem, Report

if TYPE_CHECKING:
    from logitmeter._core import Summary

HOSTILE = "</td><script>alert('x')</script>&\"\x1b[31m\u202e\n"


def report(found: Summary | None = None) -> Report:
    return Report._from_summary(found or summary())


def nothing() -> Report:
    none = {"whole": empty(), "visible": empty(), "hidden": empty()}
    return report(summary(total=none, num_runs=0, flags=["empty"]))


def sequences_unknown() -> Report:
    total = {"whole": unknown(), "visible": unknown(), "hidden": empty()}
    return report(
        summary(total=total, sequences_known=False, has_mask=False, flags=["no_sequences"])
    )


def infinite() -> Report:
    whole = unknown(loss=INF, perplexity=INF, num_sequences=1204)
    return report(
        summary(total=triple(whole=whole, visible=whole), flags=["infinite"], num_neginf_labels=1)
    )


def grouped(*keys: Any, by: tuple[str, ...] = ("task",)) -> Report:
    groups = [(key if isinstance(key, tuple) else (key,), with_hidden()) for key in keys]
    return report(chat_summary(by=list(by), groups=groups))


REPORTS = {
    "plain": report,
    "chat": lambda: report(chat_summary()),
    "nothing": nothing,
    "sequences unknown": sequences_unknown,
    "infinite": infinite,
    "groups": lambda: grouped("math", "数学" * 60, None, "", HOSTILE),
    "two columns": lambda: grouped(("a", 1), ("a", True), by=("task", "x" * 90)),
    "huge": lambda: report(summary(total=triple(whole=part(loss=1e300, num_tokens=10**18)))),
}


@pytest.fixture(params=REPORTS.values(), ids=REPORTS.keys())
def any_report(request: pytest.FixtureRequest) -> Report:
    made: Report = request.param()
    return made


# Figures


def test_the_whole_its_parts_and_the_counters_are_attributes() -> None:
    found = report(chat_summary())
    assert (found.loss, found.loss_ci) == (2.314719, (2.310619, 2.318819))
    assert (found.visible.num_tokens, found.hidden.num_tokens) == (56001, 2408)
    assert (found.num_short_left, found.num_short_right) == (0, 3)
    assert found.hidden_label_ids == {100257: 1200, 100265: 1204, 7: 4}
    assert found.elements == ("float16",)
    assert found.settings["trailing"] == 2


def test_top_k_accuracy() -> None:
    assert report().top_k_accuracy(1) == 0.5
    assert report().top_k_accuracy(100) == 0.5 + 99 / 250
    assert report().top_k_accuracy(np.int64(2)) == 0.504  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [0, 101, -1, 1.5, True, "5", None])
def test_top_k_accuracy_outside_the_ranks_kept(k: Any) -> None:
    with pytest.raises(SettingsError, match="from 1 to 100, got") as caught:
        report().top_k_accuracy(k)
    assert (caught.value.expected, caught.value.got) == ("1..100", repr(k))


def test_groups_by_value_and_by_tuple() -> None:
    assert list(grouped("math", None).groups) == ["math", None]
    assert grouped("math").groups["math"].hidden.num_tokens == 2408
    two = grouped(("math", 3), by=("task", "level"))
    assert two.groups["math", 3].visible.num_tokens == 56001


def test_nothing_can_be_changed() -> None:
    found = grouped("math")
    with pytest.raises(FrozenInstanceError):
        found.loss = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.groups["math"] = found  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(found)


def test_equality_takes_nan_for_nan_and_leaves_warnings_aside() -> None:
    assert nothing() == nothing()
    assert report() == report(summary(warnings=[("InputWarning", "looks odd")]))
    assert report() != report(summary(num_rows=7))
    assert report() != report(summary(total=triple(hidden=part())))
    assert grouped("a") != grouped("b")
    assert report() != report().visible
    assert report() != "report"


def test_copies_are_equal(any_report: Report) -> None:
    assert pickle.loads(pickle.dumps(any_report)) == any_report  # noqa: S301 - our own bytes
    assert copy.deepcopy(any_report) == any_report


# Text


def test_text_of_a_plain_report() -> None:
    assert str(report()) == (
        "loss 2.3147 ± 0.0041 (95%, 1,204 sequences)\n"
        "\n"
        "       tokens     loss ± (95%)  perplexity  accuracy ± (95%)\n"
        "whole  58,409  2.3147 ± 0.0041      10.122   0.5323 ± 0.0020\n"
        "\n"
        "Counted 1,204 replies in 1,204 sequences: 58,409 visible tokens. Rows scored\n"
        "against their own label; labels equal to -100 left out. Perplexity 10.122 (95%:\n"
        "10.080 to 10.163). Top-5 accuracy 0.5160, mean reciprocal rank 0.6114, whole\n"
        "sequences right 0.2500. Logits: float16, vocabulary 151,936, fast precision,\n"
        "numeric version 1."
    )


def test_text_shows_visible_hidden_and_whole_side_by_side() -> None:
    found = grouped("math", None)
    table = str(found).split("\n\n")[1:4]
    assert table == [
        "         tokens     loss ± (95%)  perplexity  accuracy ± (95%)\n"
        "visible  56,001      2.41 ± 0.10      10.122     0.512 ± 0.022\n"
        "hidden    2,408  0.0123 ± 0.0012      1.0124   0.9979 ± 0.0012\n"
        "whole    58,409  2.3147 ± 0.0041      10.122   0.5323 ± 0.0020",
        "task = math\n"
        "visible  56,001      2.41 ± 0.10      10.122     0.512 ± 0.022\n"
        "hidden    2,408  0.0123 ± 0.0012      1.0124   0.9979 ± 0.0012\n"
        "whole    58,409  2.3147 ± 0.0041      10.122   0.5323 ± 0.0020",
        "task = (null)\n"
        "visible  56,001      2.41 ± 0.10      10.122     0.512 ± 0.022\n"
        "hidden    2,408  0.0123 ± 0.0012      1.0124   0.9979 ± 0.0012\n"
        "whole    58,409  2.3147 ± 0.0041      10.122   0.5323 ± 0.0020",
    ]


def test_text_says_in_words_what_was_counted() -> None:
    assert str(report(chat_summary())).split("\n\n")[2] == (
        "Counted 1,204 replies in 1,204 sequences: 56,001 visible tokens and 2,408 hidden\n"
        "ones (2 after each reply). Hidden labels: 100265 x 1,204, 100257 x 1,200, 7 x 4.\n"
        "3 runs short on the right. Rows scored against the label of the next position\n"
        "(shift); labels equal to -100 left out. Perplexity 10.122 (95%: 10.080 to\n"
        "10.163). Top-5 accuracy 0.5160, mean reciprocal rank 0.6114, whole sequences\n"
        "right 0.2500. Logits: float16, vocabulary 151,936, fast precision, numeric\n"
        "version 1."
    )


def test_text_without_sequences_says_how_to_get_errors() -> None:
    lines = str(sequences_unknown()).splitlines()
    assert lines[0] == "loss 2.3147 ± unknown: pass sequence_id"
    assert lines[3] == "whole  58,409        2.3147      10.122            0.5323"
    assert lines[5].startswith("Counted 58,409 tokens, without a mask.")
    assert " ".join(lines[-2:]) == f"Note: {_words.FLAGS['no_sequences']}"


def test_text_of_nothing() -> None:
    lines = str(nothing()).splitlines()
    assert lines[0] == "loss nan"
    assert lines[3] == "whole       0             -           -                 -"
    assert lines[-1] == "Note: Nothing counted: every figure is nan."


def test_text_of_an_infinite_loss() -> None:
    shown = str(infinite())
    assert shown.startswith("loss inf\n")
    assert "1 label at logit -inf (probability 0)." in " ".join(shown.split())
    assert shown.endswith("Note: The loss is infinite: a counted label has probability 0.")


@pytest.mark.parametrize("flag", _words.FLAGS)
def test_text_spells_out_every_flag(flag: str) -> None:
    shown = " ".join(str(report(summary(flags=[flag]))).split())
    assert shown.endswith(f"Note: {_words.FLAGS[flag]}")


def test_text_spells_out_warnings() -> None:
    found = report(summary(warnings=[("LabelShiftWarning", "labels fit better\none place left")]))
    assert str(found).splitlines()[-1] == (
        "Warning (LabelShiftWarning): labels fit better one place left"
    )
    assert found.warnings[0].kind == "LabelShiftWarning"


def test_text_fits_80_columns(any_report: Report) -> None:
    assert max(map(width, str(any_report).splitlines())) <= 80
    assert "\x1b" not in str(any_report)
    assert "\u202e" not in str(any_report)


def test_text_does_not_list_groups_without_end() -> None:
    found = report(summary(by=["id"], groups=[((number,), triple()) for number in range(1000)]))
    lines = str(found).splitlines()
    assert "and 950 more: see report.groups" in lines
    assert len(lines) < 80
    assert len(found.groups) == 1000


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"num_unscored": 1}, "1 token inside the mask has no score (the first token of a shifted"),
    ({"num_unscored": 2}, "2 tokens inside the mask have no score"),
    ({"num_short_left": 1, "num_short_right": 2}, "1 run short on the left and 2 runs short on"),
    ({"weighted": True}, "weighted means (sum of weights 58,409); counts are not."),
    ({"num_nan_rows": 2, "num_posinf_rows": 1}, "2 rows holding nan, 1 row holding +inf."),
    ({"num_empty_rows": 1}, "1 row holding nothing but -inf."),
    ({"settings": SETTINGS | {"valid_vocab": 50257}}, "151,936 (only the first 50,257), fast"),
    ({"settings": SETTINGS | {"vocab_mask": b"\1"}}, "(only those in vocab_mask)"),
    ({"settings": SETTINGS | {"ignore_index": 0}}, "labels equal to 0 left out"),
    ({"settings": SETTINGS | {"precision": "exact"}}, "exact precision"),
    ({"elements": ["float16", "bfloat16"]}, "Logits: float16, bfloat16, vocabulary"),
    ({"elements": [], "vocab_size": None}, "Logits: none, fast precision"),
    ({"hidden_label_ids": {n: 1 for n in range(11)}}, "6 x 1, 7 x 1 and 3 more."),
    (
        {"total": triple(whole=part(num_ties=12))},
        "12 tokens tie with another entry: accuracy 0.5322 if that is wrong, 0.5325 if it is right",
    ),
    (
        {
            "total": triple(whole=part(num_invalid=3)),
            "num_nan_rows": 3,
            "settings": SETTINGS | {"nonfinite": "omit"},
        },
        "3 rows holding nan; 3 invalid rows left out.",
    ),
    (
        {
            "total": triple(whole=part(num_invalid=1)),
            "num_nan_rows": 1,
            "settings": SETTINGS | {"nonfinite": "propagate"},
        },
        "1 row holding nan; 1 invalid row counted as nan and not correct.",
    ),
    (
        {
            "total": with_hidden(),
            "settings": SETTINGS | {"leading": 1, "trailing": 2},
        },
        "(1 before and 2 after each reply)",
    ),
]


@pytest.mark.parametrize(("changes", "said"), SENTENCES)
def test_text_has_a_sentence_for(changes: dict[str, Any], said: str) -> None:
    assert said in " ".join(_words.sentences(report(summary(**changes))))


def test_repr_is_one_line(any_report: Report) -> None:
    parts = [any_report, any_report.visible, *any_report.groups.values()]
    assert all("\n" not in repr(one) for one in parts)


def test_repr() -> None:
    assert repr(report()) == (
        "<logitmeter.Report: loss 2.3147 ± 0.0041 (95%, 1,204 sequences), perplexity 10.122,"
        " accuracy 0.5323, 58,409 tokens>"
    )
    assert repr(nothing().visible) == (
        "<logitmeter.Part: loss nan, perplexity nan, accuracy nan, 0 tokens>"
    )


# Dict, JSON, Arrow


def test_to_dict_is_flat_and_plain(any_report: Report) -> None:
    found = any_report.to_dict()
    assert {type(value) for value in found.values()} <= {int, float}


def test_to_dict_names_parts_groups_and_intervals() -> None:
    found = grouped("math").to_dict("eval/")
    assert found["eval/loss"] == 2.314719
    assert found["eval/loss_ci_low"] == 2.310619
    assert found["eval/visible/num_tokens"] == 56001
    assert found["eval/task=math/hidden/loss"] == 0.012345
    assert found["eval/num_short_right"] == 3
    assert found["eval/top_5_accuracy"] == 0.516
    assert all(name.startswith("eval/") for name in found)


def test_to_dict_never_gives_two_groups_one_name() -> None:
    keys = ["a", "a/visible", "a,b", "a=b", "<null>", None, "", "%2F", "/"]
    one = len(grouped("a").to_dict()) - len(report().to_dict())
    assert len(grouped(*keys).to_dict()) == len(report().to_dict()) + len(keys) * one


def strict(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_to_json_is_valid(any_report: Report) -> None:
    found = strict(any_report.to_json())
    assert len(found["groups"]) == len(any_report.groups)
    assert found["num_tokens"] == any_report.num_tokens
    assert "\n" not in any_report.to_json()
    assert strict(any_report.to_json(indent=2)) == found


def test_to_json_keeps_every_bit_of_a_figure() -> None:
    found = strict(report(summary(total=triple(whole=part(loss=0.1 + 0.2)))).to_json())
    assert found["loss"] == 0.1 + 0.2


def test_to_json_lists_what_is_not_finite() -> None:
    found = strict(infinite().to_json())
    assert (found["loss"], found["non_finite"]["loss"]) == (None, "inf")
    assert found["non_finite"]["visible/loss_stderr"] == "nan"
    assert "accuracy" not in found["non_finite"]
    assert strict(report(summary(total=triple(hidden=part()))).to_json())["non_finite"] == {}


def test_to_json_finds_non_finite_figures_of_groups() -> None:
    bad = triple(whole=part(loss=-INF, mrr=NAN))
    found = report(summary(by=["task"], groups=[(("a",), triple()), (("b",), bad)]))
    odd = strict(found.to_json())["non_finite"]
    assert (odd["groups/1/loss"], odd["groups/1/mrr"]) == ("-inf", "nan")


def test_to_json_names_groups_settings_and_warnings() -> None:
    base = chat_summary(
        by=["task", "level"],
        groups=[(("数学", None), triple())],
        settings=SETTINGS | {"vocab_mask": b"\x01"},
        warnings=[("InputWarning", "odd")],
    )
    found = strict(report(base).to_json())
    assert found["groups"][0]["key"] == {"task": "数学", "level": None}
    assert found["settings"]["vocab_mask"].startswith("sha256:")
    assert found["warnings"] == [{"kind": "InputWarning", "message": "odd"}]
    assert found["hidden_label_ids"]["100265"] == 1204


def test_arrow_has_a_row_for_each_group_and_part() -> None:
    table = pa.table(grouped("math", None))
    assert table.column_names[:5] == ["task", "level", "part", "loss", "loss_stderr"]
    assert table["task"].to_pylist() == [None] * 3 + ["math"] * 3 + [None] * 3
    assert table["level"].to_pylist() == ["total"] * 3 + ["group"] * 6
    assert table["part"].to_pylist() == ["whole", "visible", "hidden"] * 3
    assert table["num_tokens"].to_pylist() == [58409, 56001, 2408] * 3
    assert table.schema.field("loss").type == pa.float64()
    assert table.schema.field("num_tokens").type == pa.int64()


def test_arrow_of_any_report(any_report: Report) -> None:
    table = pa.table(any_report)
    assert table.num_rows == 3 * (1 + len(any_report.groups))
    assert len(set(table.column_names)) == table.num_columns


def test_arrow_keeps_names_apart() -> None:
    found = grouped(("a", 1, 2), by=("part", "loss", "by_loss"))
    assert pa.table(found).column_names[:3] == ["by_part", "by_loss", "by_by_loss"]


# HTML


class Page(HTMLParser):
    """Collects tags and text, and insists that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


KNOWN_TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


def test_html_is_well_formed_and_brings_everything_along(any_report: Report) -> None:
    page = Page(any_report._repr_html_())
    assert {tag for tag, _ in page.tags} <= KNOWN_TAGS
    assert not {name for _, attrs in page.tags for name in attrs} & {"src", "href", "onclick"}


def test_html_is_a_table_that_can_be_read_aloud() -> None:
    page = Page(report(chat_summary())._repr_html_())
    heads = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert heads == ["col"] * 5 + ["row"] * 3
    assert "loss 2.3147 ± 0.0041 (95%, 1,204 sequences)" in page.words
    assert "0.9979 ± 0.0012" in page.words


def test_html_sets_no_colour_of_its_own() -> None:
    styles = " ".join(re.findall(r'style="([^"]*)"', report()._repr_html_()))
    assert not re.search(r"#|rgb|background|(?<!-)color:", styles)


def test_html_escapes_hostile_names() -> None:
    page = grouped((HOSTILE, HOSTILE), by=("task", HOSTILE))._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    flat = report(summary(by=[HOSTILE], groups=[((HOSTILE,), triple())]))._repr_html_()
    assert "<script" not in flat
    warned = report(summary(warnings=[("InputWarning", HOSTILE)], flags=[HOSTILE]))._repr_html_()
    assert "<script" not in warned


# Numbers and foreign text


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (2.314719, 0.0041, ("2.3147", "0.0041")),
        (2.314719, 0.00996, ("2.315", "0.010")),
        (2.314719, 0.0996, ("2.31", "0.10")),
        (2.314719, 0.41, ("2.31", "0.41")),
        (2.314719, 4.1, ("2.3", "4.1")),
        (2.314719, 41.0, ("2", "41")),
        (304889.27, 123.4, ("304,890", "120")),
        (12345678.0, 1234.0, ("12,345,700", "1,200")),
        (-0.00001, 0.0041, ("0.0000", "0.0041")),
        (-2.5, 0.25, ("-2.50", "0.25")),
        (2.314719, 4.1e-9, ("2.314719", "4.1e-09")),
        (4.2345e-18, 1.04e-19, ("4.23e-18", "1.0e-19")),
        (0.0, 4.1e-9, ("0", "4.1e-09")),
        (5.0, 1.234e12, ("5.0000", "1.2e+12")),
        (1e26, 1e25, ("1.00e+26", "1.0e+25")),
        (0.5, 0.0, ("0.5000", "0")),
        (0.5, NAN, ("0.5000", "")),
        (0.5, INF, ("0.5000", "")),
        (INF, NAN, ("inf", "")),
        (-INF, 0.1, ("-inf", "")),
        (NAN, 0.1, ("nan", "")),
    ],
)
def test_the_error_decides_the_digits(value: float, error: float, shown: tuple[str, str]) -> None:
    assert value_and_error(value, error) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0"),
        (1.0, "1.0000"),
        (0.99999, "1.0000"),
        (0.001, "0.0010"),
        (0.00099, "9.9000e-04"),
        (10.12345, "10.123"),
        (304889.27, "304,889"),
        (1e9, "1.0000e+09"),
        (1e300, "1.0000e+300"),
        (-0.25, "-0.2500"),
        (NAN, "nan"),
    ],
)
def test_a_figure_without_an_error(value: float, shown: str) -> None:
    assert number_text(value) == shown


def test_counts_and_sizes() -> None:
    assert plural(1, "token") == "1 token"
    assert plural(0, "reply", "replies") == "0 replies"
    sizes = [bytes_text(size) for size in (0, 1, 1023, 1024, 2**20, 3 * 2**40, 2**70)]
    assert sizes == ["0 bytes", "1 byte", "1,023 bytes", "1.0 KiB", "1.0 MiB", "3.0 TiB"] + [
        "1,024.0 EiB"
    ]


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("math", 4, "math"),
        ("maths", 4, "mat…"),
        ("数学数学", 5, "数学…"),
        ("数学数学", 4, "数…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_clip_counts_cells(text: str, cells: int, shown: str) -> None:
    assert clip(text, cells) == shown
    assert width(pad(clip(text, cells), cells)) == cells


def test_printable_keeps_letters_and_spells_out_controls() -> None:
    assert printable("naïve 数学 👩\u200d🔬") == "naïve 数学 👩\u200d🔬"
    assert printable("a\tb\x00\x7f\x9b\u2028\u2066") == r"a\tb\x00\x7f\x9b\u2028\u2066"


# Check


def check(**changes: Any) -> Check:
    facts = {"rows": 12, "vocab_size": 151936, "element": "float16", "bytes": 3646464, "files": 2}
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
        ("CorruptInputError", "cut short", None, "b.arrow"),
        ("ShapeError", "no rows", None, None),
    ]
    found = Check._from_counts(None, problems=problems)
    assert not found.ok
    assert str(found) == (
        "4 problems\n"
        "LabelError at position 1,203 of a\\n.arrow: label 9 is not below 8\n"
        "ShortRunError at position 4: 1 token missing\n"
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


def test_check_as_dict_and_json() -> None:
    found = check(problems=[("LabelError", "bad", 3, "a.arrow")])
    assert found.to_dict()["problems"] == [
        {"kind": "LabelError", "message": "bad", "position": 3, "path": "a.arrow"}
    ]
    read = strict(found.to_json())
    assert (read["ok"], read["num_hidden"], read["hidden_label_ids"]) == (False, 4, {"7": 4})
    assert read["bytes"] == 3646464
    assert check() == check()
