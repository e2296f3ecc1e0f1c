"""What a report says, in figures and in words; the summaries are built by hand."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from logitmeter import _words
from logitmeter._numbers import width
from logitmeter.exceptions import SettingsError
from summaries import (
    REPORTS,
    SETTINGS,
    chat_summary,
    grouped,
    infinite,
    nothing,
    part,
    report,
    sequences_unknown,
    summary,
    triple,
    unknown,
    with_hidden,
)

if TYPE_CHECKING:
    from logitmeter.report import Report


@pytest.fixture(params=list(REPORTS.values()), ids=list(REPORTS))
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


PARTS = """\
visible  56,001      2.41 ± 0.10      10.122     0.512 ± 0.022
hidden    2,408  0.0123 ± 0.0012      1.0124   0.9979 ± 0.0012
whole    58,409  2.3147 ± 0.0041      10.122   0.5323 ± 0.0020"""


def test_text_shows_visible_hidden_and_whole_side_by_side() -> None:
    table = str(grouped("math", None)).split("\n\n")[1:4]
    assert table == [
        f"         tokens     loss ± (95%)  perplexity  accuracy ± (95%)\n{PARTS}",
        f"task = math\n{PARTS}",
        f"task = (null)\n{PARTS}",
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


def test_a_warning_of_few_sequences_stands_for_its_flag() -> None:
    few = [("FewSequencesWarning", "the effective number of sequences is 12.0")]
    shown = str(report(summary(flags=["few_sequences"], warnings=few)))
    assert shown.count("effective number") == 1


def test_text_says_why_a_group_has_no_error() -> None:
    lone = triple(whole=unknown(num_sequences=1, flags=["one_sequence"]))
    found = report(summary(by=["task"], groups=[(("a",), lone), (("b",), triple())]))
    assert str(found).splitlines()[-1] == "Note: 1 group without ±: only one sequence."
    assert "a      58,409           2.3147      10.122            0.5323" in str(found)


def test_text_of_errors_by_batch() -> None:
    by_batch = {"settings": SETTINGS | {"pooling": "batches"}, "flags": ["few_batches"]}
    found = report(summary(total=triple(whole=part(num_batches=37)), **by_batch))
    assert str(found).startswith("loss 2.3147 ± 0.0041 (95%, 37 batches)\n")
    assert _words.FLAGS["few_batches"] in " ".join(str(found).split())
    lone = triple(whole=unknown(num_batches=1, flags=["one_batch"]))
    found = report(summary(by=["task"], groups=[(("a",), lone)], **by_batch))
    assert str(found).splitlines()[-1] == "Note: 1 group without ±: only one batch."


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
    (
        {"num_unscored": 1, "has_mask": True},
        "1 token inside the mask has no score (the first token of a shifted",
    ),
    ({"num_unscored": 2, "has_mask": True}, "2 tokens inside the mask have no score"),
    (
        {"num_unscored": 2, "has_mask": False},
        "2 tokens have no score (the first token of a shifted sequence).",
    ),
    ({"num_short_left": 1, "num_short_right": 2}, "1 run short on the left and 2 runs short on"),
    (
        {"settings": SETTINGS | {"pooling": "sequences"}},
        "Loss and accuracy are each the mean of per-sequence means; other figures are over tokens.",
    ),
    (
        {"settings": SETTINGS | {"accuracy": "sequences", "pooling": "samples"}},
        "right as a whole; the loss is the mean of per-batch means, each batch weighing as many as",
    ),
    ({"weighted": True}, "weighted means (sum of weights 58,409); counts are not."),
    ({"num_nan_rows": 2, "num_posinf_rows": 1}, "2 rows holding nan, 1 row holding +inf."),
    (
        {"total": triple(whole=part(loss_stderr_naive=0.00104))},
        "Standard error of the loss 0.0021, 0.0010 if tokens were independent.",
    ),
    (
        {"total": triple(whole=part(accuracy_stderr_naive=0.00041))},
        "Standard error of the accuracy 0.0010, 0.00041 if tokens were independent.",
    ),
    ({"num_empty_rows": 1}, "1 row holding nothing but -inf."),
    ({"settings": SETTINGS | {"valid_vocab": 50257}}, "151,936 (only the first 50,257), fast"),
    ({"settings": SETTINGS | {"vocab_mask": b"\1"}}, "(only those in vocab_mask)"),
    ({"settings": SETTINGS | {"ignore_index": 0}}, "labels equal to 0 left out"),
    ({"settings": SETTINGS | {"precision": "exact"}}, "exact precision"),
    ({"elements": ["float16", "bfloat16"]}, "Logits: float16, bfloat16, vocabulary"),
    ({"elements": [], "vocab_size": None}, "Logits: none, fast precision"),
    ({"hidden_label_ids": dict.fromkeys(range(11), 1)}, "6 x 1, 7 x 1 and 3 more."),
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


def test_a_perplexity_keeps_digits_under_the_widest_interval() -> None:
    wide = {"perplexity": 70.84, "perplexity_ci": (0.484, 10374.0)}
    found = report(summary(total=triple(whole=part(**wide))))
    assert " 70.8 " in next(line for line in str(found).splitlines() if line.startswith("whole"))
    assert "Perplexity 70.8 (95%: 0.484 to 10,400)." in _words.sentences(found)


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
