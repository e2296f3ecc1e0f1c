"""Loss and accuracy from log-probabilities: figures worked out by hand."""

from __future__ import annotations

import json
import math
from math import exp, log
from typing import Any

import pytest
from api_responses import INF, LN2, RED_BLUE, chat, echo, entry, sampled, visible
from logitmeter import finetune
from logitmeter.exceptions import LabelError, SettingsError, ShapeError

GOOD = chat(sampled(("RED", RED_BLUE)))


# Chat: what was sampled, and what was wanted.


def test_the_colour_of_a_reply() -> None:
    """One visible token, two hidden ones that are certain: loss -ln p / 3, accuracy 2/3 or 1."""
    response = chat(sampled(("RED", RED_BLUE)))
    missed = finetune.evaluate_logprobs(response, labels=[["BLUE"]])
    assert missed.loss == pytest.approx(-log(0.3) / 3, rel=1e-15)
    assert missed.accuracy == 2 / 3
    assert (missed.visible.num_tokens, missed.hidden.num_tokens) == (1, 2)
    assert missed.visible.loss == -log(0.3)
    assert missed.hidden.loss == 0
    assert missed.loss_bounds == (missed.loss, missed.loss)
    hit = finetune.evaluate_logprobs(response, labels=[["RED"]])
    assert hit.loss == pytest.approx(-log(0.6) / 3, rel=1e-15)
    assert hit.accuracy == 1
    assert hit.num_sequences == 1


def test_hidden_tokens_are_assumed_and_the_report_says_so() -> None:
    response = chat(sampled(("RED", RED_BLUE)))
    report = finetune.evaluate_logprobs(
        response, labels=[["RED"]], hidden=3, hidden_logprob=-0.1, hidden_correct=False
    )
    assert report.loss == pytest.approx((-log(0.6) + 0.3) / 4, rel=1e-15)
    assert report.accuracy == 1 / 4
    assert report.heading == (
        "Assumed, not measured: 3 hidden tokens a reply, log-probability -0.1000, not correct.",
    )
    assert report.settings["hidden"] == 3
    assert report.settings["trailing"] == 3
    assert (report.settings["hidden_logprob"], report.settings["hidden_correct"]) == (-0.1, False)
    assert report.hidden_label_ids == {}
    assert str(report).startswith("Assumed, not measured: 3 hidden tokens")
    assert "<p>Assumed, not measured" in report._repr_html_()
    assert json.loads(report.to_json())["heading"] == list(report.heading)
    assert visible(response, labels=[["RED"]]).heading == ()


def test_without_labels_it_is_sampled_text() -> None:
    report = visible(chat(sampled(("RED", RED_BLUE), ("!", {"!": log(0.5), "?": log(0.4)}))))
    assert report.loss == pytest.approx(-log(0.3) / 2, rel=1e-15)
    assert report.accuracy == 1
    assert "sampled text, not a training loss" in report.heading[0]
    assert "sampled text, not a training loss" in str(report)


def test_behind_the_first_difference_nothing_is_known() -> None:
    """Wanted A B C D, sampled A X C: A and B are known (of B the list tells), C and D are not."""
    response = chat(
        sampled(
            ("A", {"A": log(0.5), "Z": log(0.25)}),
            ("X", {"X": log(0.5), "B": log(0.25)}),
            ("C", {"C": log(0.9)}),
        )
    )
    report = visible(response, labels=[["A", "B", "C", "D"]])
    assert (report.num_tokens, report.num_unknown) == (2, 2)
    assert report.loss == pytest.approx((LN2 + log(4)) / 2, rel=1e-15)
    assert report.accuracy == 1 / 2
    assert math.isnan(report.sequence_accuracy)
    assert "nothing is known of them: 2 tokens." in " ".join(str(report).split())


def test_what_was_sampled_beyond_the_wanted_ones_does_not_count() -> None:
    response = chat(sampled(("A", {"A": log(0.5)}), ("B", {"B": log(0.5)})))
    assert visible(response, labels=[["A"]]).num_tokens == 1
    longer = visible(response, labels=[["A", "B", "C"]])
    assert (longer.num_tokens, longer.num_unknown) == (2, 1)


def test_a_wanted_token_beyond_the_list_has_bounds() -> None:
    """Listed 0.5 and 0.1: nll >= -ln 0.1 = 2.30; of 0.6, 0.3 and 0.09: nll >= -ln 0.01 = 4.61."""
    few = visible(chat(sampled(("A", {"A": log(0.5), "B": log(0.1)}))), labels=[["C"]])
    assert few.loss_bounds == pytest.approx((-log(0.1), INF), rel=1e-15)
    assert few.perplexity_bounds == pytest.approx((10, INF), rel=1e-14)
    assert few.accuracy_bounds[1] == 0
    assert few.top_k_accuracy(2) == 0
    assert few.num_bounded == 1
    assert ">= 2.3026" in repr(few)
    top = {"A": log(0.6), "B": log(0.3), "C": log(0.09)}
    left = visible(chat(sampled(("A", top))), labels=[["D"]])
    assert left.loss == pytest.approx(-log(1 - 0.99), rel=1e-12)
    sure = visible(chat(sampled(("A", {"A": 0.0, "B": -30.0}))), labels=[["C"]])
    assert sure.loss == 30.0  # what is left of 1 is rounding, and says only nll >= 9.2
    alone = visible(chat(sampled(("A", {"A": 0.0}))), labels=[["C"]])
    assert alone.loss == pytest.approx(-log(1e-4), rel=1e-15)


def test_a_sampled_token_beyond_the_list_has_its_sentinel() -> None:
    """OpenAI writes -9999.0 for a token beyond the likeliest 20."""
    report = visible(chat(sampled(("Z", {"A": log(0.5), "B": log(0.25)}))))
    assert report.loss_bounds == pytest.approx((log(4), INF), rel=1e-15)
    assert report.accuracy_bounds[1] == 0
    wanted = visible(chat(sampled(("Z", {"A": log(0.5), "B": log(0.25)}))), labels=[["B"]])
    assert wanted.loss == pytest.approx(log(4), rel=1e-15)


def test_a_sampled_token_below_the_list_leaves_less() -> None:
    """A list of 0.5 and 0.3, and 0.1 sampled below it: of the wanted one 0.1 is left at most."""
    content = sampled(("S", {"A": log(0.5), "B": log(0.3)}))
    content[0]["logprob"] = log(0.1)
    own = visible(chat(content))
    assert own.loss == pytest.approx(-log(0.1), rel=1e-15)
    assert own.accuracy_bounds[1] == own.top_k_accuracy(100) == 0  # of rank 2 or more
    wanted = visible(chat(content), labels=[["W"]])
    assert wanted.loss == pytest.approx(-log(1 - 0.9), rel=1e-12)


def test_ties_at_the_top_are_ambiguous() -> None:
    tied = {"A": log(0.4), "B": log(0.4), "C": log(0.1)}
    report = visible(chat(sampled(("A", tied))), labels=[["B"]])
    assert report.accuracy_bounds == (0.0, 1.0)
    assert (report.accuracy_strict, report.accuracy_optimistic) == (0, 1)
    assert report.loss_bounds == (report.loss, report.loss)
    assert (report.num_bounded, report.num_ties) == (1, 1)
    assert report.top_k_accuracy(2) == 1


def test_without_a_list_only_half_of_all_is_an_arg_max() -> None:
    sure = visible(chat([entry("A", log(0.6))]))
    assert (sure.accuracy_bounds, sure.num_bounded) == ((1, 1), 0)
    unsure = visible(chat([entry("A", log(0.4))]))
    assert (unsure.accuracy_bounds, unsure.num_bounded) == ((0, 1), 1)
    unknown = visible(chat([entry("A", -9999.0), entry("B", log(0.6))]))
    assert (unknown.num_unknown, unknown.num_tokens) == (1, 1)


@pytest.mark.parametrize("labels", [["é"], ["é".encode()]], ids=["by text", "by bytes"])
def test_tokens_are_named_by_text_or_bytes(labels: list[Any]) -> None:
    report = visible(chat(sampled(("RED", {"RED": log(0.5), "é": log(0.25)}))), labels=[labels])
    assert report.loss == pytest.approx(log(4), rel=1e-15)


def test_choices_and_responses_are_sequences() -> None:
    two = chat(sampled(("RED", RED_BLUE)), sampled(("BLUE", RED_BLUE)))
    report = visible([two, two], labels=[["RED"], None, ["RED"], ["BLUE"]])
    assert (report.num_sequences, report.num_tokens) == (4, 4)
    assert report.sequence_accuracy == 2 / 4
    assert "sampled text" in report.heading[0]  # of one reply


def test_many_replies_pool_over_tokens_and_warn_of_nothing() -> None:
    """Tokens without ids are no two the same: none seems to end every reply."""
    pair = sampled(("A", {"A": log(0.5)}), ("B", {"B": log(0.8), "C": log(0.1)}))
    report = finetune.evaluate_logprobs([chat(pair)] * 400, labels=[["A"], ["A", "C"]] * 200)
    assert (report.num_tokens, report.visible.num_tokens) == (200 * 3 + 200 * 4, 600)
    assert report.loss == pytest.approx((2 * LN2 + log(10)) / 7, rel=1e-14)
    assert report.accuracy == pytest.approx(6 / 7, rel=1e-15)
    assert report.warnings == ()


# Labels and options that do not fit.


def test_labels_and_starts_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="labels has 2 values, but the responses hold 1 reply"):
        visible(GOOD, labels=[["RED"], ["RED"]])
    with pytest.raises(ShapeError, match="labels has 1 value, but the responses hold more replies"):
        visible([GOOD, GOOD], labels=[["RED"]])
    with pytest.raises(LabelError, match=r"labels have a list of tokens for each reply.* a str"):
        visible(GOOD, labels=["RED"])
    with pytest.raises(SettingsError, match="labels has one value for each reply"):
        visible(GOOD, labels="RED")
    with pytest.raises(LabelError, match="no label 7: this response names tokens by text or bytes"):
        visible(GOOD, labels=[[7]])
    with pytest.raises(LabelError, match="no label None: this response"):
        visible(GOOD, labels=[[None]])
    with pytest.raises(LabelError, match="a reply without tokens"):
        visible(GOOD, labels=[[]])
    with pytest.raises(LabelError, match="a reply without tokens"):
        visible(chat([]))
    with pytest.raises(LabelError, match="there are no responses"):
        visible([])
    with pytest.raises(
        SettingsError, match="labels are the tokens wanted of text that was sampled"
    ):
        visible(echo(), labels=[["x"]])
    with pytest.raises(SettingsError, match="reply_start is for text that was given"):
        visible(GOOD, reply_start=1)
    with pytest.raises(ShapeError, match="reply_start is 3, and there are 3 tokens"):
        visible(echo(), reply_start=3)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("hidden", -1),
        ("hidden", 1.5),
        ("hidden_logprob", 0.1),
        ("hidden_logprob", -INF),
        ("hidden_logprob", None),
        ("hidden_correct", 1),
        ("reply_start", -1),
        ("reply_start", True),
    ],
)
def test_assumptions_that_are_none(option: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"{option}="):
        finetune.evaluate_logprobs(echo(), **{option: value})


def test_a_certain_token_by_rounding() -> None:
    """A log-probability a little above 0 is 0: some servers round so."""
    report = visible(chat([entry("A", 1e-7)]))
    assert report.loss == 0
    assert math.copysign(1, report.loss) == 1
    assert exp(-report.loss) == 1
