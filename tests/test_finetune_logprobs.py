"""Log-probabilities of APIs: each shape as its documentation has it, figures worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from logitmeter import finetune
from logitmeter.exceptions import (
    CorruptInputError,
    DTypeError,
    LabelError,
    SettingsError,
    ShapeError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from logitmeter import Report

INF = math.inf
LN2 = log(2)


def entry(token: str, logprob: float, **more: Any) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), **more}


def sampled(*steps: tuple[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Give a content list: each sampled token with the likeliest ones, itself among them or not."""
    return [
        entry(
            token,
            top.get(token, -9999.0),
            top_logprobs=[entry(*pair) for pair in top.items()],
        )
        for token, top in steps
    ]


def chat(*contents: list[dict[str, Any]]) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"role": "assistant"}, "logprobs": {"content": content}}
        for i, content in enumerate(contents)
    ]
    return {"object": "chat.completion", "choices": choices, "usage": {"prompt_tokens": 9}}


def visible(responses: Any, **options: Any) -> Report:
    return finetune.evaluate_logprobs(responses, hidden=0, **options)


# Chat: what was sampled, and what was wanted.

RED_BLUE = {"RED": log(0.6), "BLUE": log(0.3)}


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


# The same in other shapes.


def test_llama_cpp_names_tokens_by_ids_too() -> None:
    """`completion_probabilities`; a probability of 0 is the lowest float there."""
    top = [entry("A", log(0.5), id=5), entry("B", log(0.25), id=6), entry("C", -3.4e38, id=7)]
    response = {
        "content": "A",
        "completion_probabilities": [entry("A", log(0.5), id=5, top_logprobs=top)],
    }
    for wanted in (6, "B", b"B", np.int64(6)):
        report = visible(response, labels=[[wanted]])
        assert report.loss == pytest.approx(log(4), rel=1e-15)
    beyond = visible(response, labels=[np.array([7])])
    assert beyond.loss_bounds == pytest.approx((log(4), INF), rel=1e-15)
    content = [entry("A", log(0.5), id=5, probs=[{"tok_str": "A", "prob": 0.5}])]
    with pytest.raises(CorruptInputError, match="'probs', probabilities after the sampling chain"):
        visible({"completion_probabilities": content})


def test_completions_without_echo_were_sampled() -> None:
    lists = {
        "tokens": [" A", " B"],
        "token_logprobs": [log(0.5), log(0.2)],
        "top_logprobs": [{" A": log(0.5), " C": log(0.3)}, {" D": log(0.6), " B": log(0.2)}],
        "text_offset": [0, 2],
    }
    report = visible({"choices": [{"text": " A B", "logprobs": lists}]})
    assert report.loss == pytest.approx((LN2 + log(5)) / 2, rel=1e-15)
    assert report.accuracy == 1 / 2
    assert "sampled text" in report.heading[0]
    wanted = visible({"choices": [{"logprobs": lists}]}, labels=[[" C"]])
    assert wanted.loss == pytest.approx(-log(0.3), rel=1e-15)


def echo(completion_tokens: int | None = 1) -> dict[str, Any]:
    """Three tokens of a prompt and one that was generated."""
    lists = {
        "tokens": ["The", " sky", " is", " blue"],
        "token_logprobs": [None, log(0.1), log(0.5), log(0.9)],
        "top_logprobs": [
            None,
            {" cat": log(0.2), " sky": log(0.1)},
            {" is": log(0.5)},
            {" blue": log(0.9)},
        ],
        "text_offset": [0, 3, 7, 10],
    }
    usage = {"prompt_tokens": 3, "completion_tokens": completion_tokens}
    return {"choices": [{"logprobs": lists}], "usage": usage}


def test_an_echo_is_a_text_that_was_given() -> None:
    report = visible(echo())
    assert (report.num_tokens, report.num_unknown) == (2, 0)
    assert report.loss == pytest.approx((log(10) + LN2) / 2, rel=1e-15)
    assert report.accuracy == 1 / 2
    assert report.heading == ()
    assert visible(echo(), reply_start=2).loss == pytest.approx(LN2, rel=1e-15)
    assert visible([echo(), echo()], reply_start=[2, None]).num_tokens == 3
    first = visible(echo(), reply_start=0)
    assert (first.num_tokens, first.num_unknown) == (2, 1)  # the first token has no score
    whole = visible(echo(completion_tokens=0))
    assert whole.num_tokens == 3


def test_an_echo_of_several_choices_must_say_where_the_prompt_ends() -> None:
    several = echo() | {"choices": echo()["choices"] * 2}
    with pytest.raises(CorruptInputError, match=r"choices\[0\].logprobs: .*ask for max_tokens=0"):
        visible(several)
    several["usage"] = {"prompt_tokens": 8, "completion_tokens": 0}
    assert visible(several).num_tokens == 6


def test_together_puts_the_echo_apart() -> None:
    prompt = {"tokens": ["a", "b"], "token_logprobs": [None, log(0.5)], "token_ids": [11, 12]}
    response = {
        "prompt": [{"text": "ab", "logprobs": prompt}],
        "choices": [{"logprobs": {"tokens": ["c"], "token_logprobs": [log(0.1)]}}],
    }
    assert visible(response).loss == pytest.approx(LN2, rel=1e-15)
    plain = response | {"prompt": []}
    assert visible(plain).loss == pytest.approx(log(10), rel=1e-15)


def logprob(value: float, rank: int, text: str = "") -> dict[str, Any]:
    return {"logprob": value, "rank": rank, "decoded_token": text}


PROMPT: list[Any] = [
    None,
    {"271": logprob(log(0.05), 3), "40": logprob(log(0.5), 1), "41": logprob(log(0.2), 2)},
    {"785": logprob(log(0.9), 1), "786": logprob(log(0.05), 2)},
    {"9": logprob(-9999.0, 900), "40": logprob(log(0.5), 1)},
]
"""The prompt's own tokens come first: of rank 3, of rank 1, and of probability 0."""


def flat() -> dict[str, Any]:
    """The same prompt in flat columns, where the own token is written twice if it is likely."""
    return {
        "start_indices": [0, 0, 3, 6],
        "end_indices": [0, 3, 6, 8],
        "token_ids": [271, 40, 41, 785, 785, 786, 9, 40],
        "logprobs": [log(p) for p in (0.05, 0.5, 0.2, 0.9, 0.9, 0.05)] + [-INF, log(0.5)],
        "ranks": [3, 1, 2, 1, 1, 2, 900, 1],
        "decoded_tokens": [None] * 8,
    }


@dataclass
class Logprob:
    """As vLLM's own, of its offline API."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


class RequestOutput:
    """As vLLM's own."""

    def __init__(self, prompt_logprobs: Any) -> None:
        self.prompt_logprobs = prompt_logprobs
        self.prompt_token_ids = [1, 271, 785, 9]


@dataclass
class Flat:
    """As vLLM's FlatLogprobs: columns that are also a sequence."""

    columns: dict[str, Any] = field(default_factory=flat)

    def __getattr__(self, name: str) -> Any:
        if name == "columns" or name not in self.columns:
            raise AttributeError(name)
        return np.array(self.columns[name])

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Any:
        raise AssertionError("the columns are to be read")


def objects() -> list[Any]:
    return [
        position and {int(token): Logprob(**part) for token, part in position.items()}
        for position in PROMPT
    ]


IDS = [1, 271, 785, 9]
VLLM: dict[str, Any] = {
    "completions": {"choices": [{"text": "x", "prompt_logprobs": PROMPT, "logprobs": None}]},
    "chat": {"choices": [{"message": {}}], "prompt_logprobs": PROMPT, "prompt_token_ids": IDS},
    "alone": PROMPT,
    "flat": flat(),
    "flat in a response": {"choices": [{"prompt_logprobs": flat()}]},
    "flat object": Flat(),
    "offline": RequestOutput(objects()),
    "offline, flat": RequestOutput(Flat()),
    "JSON": json.dumps({"choices": [{"prompt_logprobs": PROMPT}]}),
}


@pytest.mark.parametrize("shape", list(VLLM))
def test_vllm_scores_a_prompt(shape: str) -> None:
    """Losses ln 20, -ln 0.9 and at least ln 2; rank 1 alone is correct, of three."""
    report = visible(VLLM[shape])
    assert (report.num_tokens, report.num_bounded) == (3, 1)
    assert report.loss == pytest.approx((log(20) - log(0.9) + LN2) / 3, rel=1e-14)
    assert report.loss_bounds[1] == INF
    assert report.accuracy_bounds == (1 / 3, 1 / 3)
    assert report.top_k_accuracy(3) == 2 / 3
    assert report.heading == ()
    begun = visible(VLLM[shape], reply_start=2)
    assert begun.num_tokens == 2


def test_vllm_by_the_ids_of_the_prompt() -> None:
    """The order of keys may be lost on the way; the ids say which token is the prompt's."""
    turned = [None, dict(sorted(PROMPT[1].items(), key=str))]
    response = {"prompt_logprobs": turned, "prompt_token_ids": [1, 41], "choices": []}
    assert visible(response).loss == pytest.approx(log(5), rel=1e-15)
    with pytest.raises(CorruptInputError, match=r"\[1\]: expected token 77 of prompt_token_ids"):
        visible(response | {"prompt_token_ids": [1, 77]})


def test_vllm_equal_to_the_likeliest_one() -> None:
    """Its ranks count equal ones into the rank; as likely as the first, it may be the first."""
    tied = [None, {"5": logprob(log(0.4), 2), "6": logprob(log(0.4), 1)}]
    assert visible(tied).accuracy_bounds == (0, 1)


def test_sglang_scores_the_input_or_what_was_sampled() -> None:
    meta = {
        "input_token_logprobs": [[None, 1, "<s>"], [log(0.1), 2, "a"], [log(0.5), 3, None]],
        "input_top_logprobs": [None, [[log(0.6), 9, "z"], [log(0.1), 2, "a"]], [[log(0.5), 3]]],
        "output_token_logprobs": [[log(0.7), 4, "b"]],
        "output_top_logprobs": [[[log(0.7), 4, "b"], [log(0.2), 5, "c"]]],
    }
    given = visible({"text": "b", "meta_info": meta})
    assert given.loss == pytest.approx((log(10) + LN2) / 2, rel=1e-15)
    assert (given.accuracy, given.heading) == (1 / 2, ())
    wanted = visible({"meta_info": meta}, labels=[[5]])
    assert wanted.loss == pytest.approx(log(5), rel=1e-15)
    only_output = {"meta_info": meta | {"input_token_logprobs": [], "input_top_logprobs": []}}
    assert visible(only_output).loss == pytest.approx(-log(0.7), rel=1e-15)
    with pytest.raises(CorruptInputError, match="meta_info: expected input_token_logprobs or"):
        visible({"meta_info": {"prompt_tokens": 3}})


# The ways in.


class Sdk:
    """As a pydantic model, over which one can go, too."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    def model_dump(self) -> dict[str, Any]:
        return self.value

    def __iter__(self) -> Any:
        return iter(self.value.items())


def test_every_way_in_is_the_same(tmp_path: Path) -> None:
    responses = [chat(sampled(("RED", RED_BLUE))), chat(sampled(("BLUE", RED_BLUE)))]
    labels = [["RED"], ["RED"]]
    lines = "\n\n".join(map(json.dumps, responses)) + "\n"
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8-sig")
    (tmp_path / "b.json").write_text("\n" + json.dumps(responses, indent=1))
    batch = [{"custom_id": "1", "response": {"status_code": 200, "body": r}} for r in responses]
    want = finetune.evaluate_logprobs(responses, labels=labels)
    ways = [
        (response for response in responses),
        [Sdk(response) for response in responses],
        lines,
        lines.encode(),
        [json.dumps(response) for response in responses],
        tmp_path / "a.jsonl",
        str(tmp_path / "b.json"),
        [response["choices"][0]["logprobs"] for response in responses],
        [response["choices"][0]["logprobs"]["content"] for response in responses],
        batch,
    ]
    for way in ways:
        assert finetune.evaluate_logprobs(way, labels=labels) == want
    both = finetune.evaluate_logprobs(
        [tmp_path / "a.jsonl", tmp_path / "b.json"], labels=labels * 2
    )
    assert both.num_sequences == 4


# What cannot be read, or does not fit.

GOOD = chat(sampled(("RED", RED_BLUE)))


def with_token(**parts: Any) -> dict[str, Any]:
    return chat([entry("A", -1.0) | parts])


BAD: dict[str, tuple[Any, str]] = {
    "no known shape": ({"id": "x"}, "response 0: expected choices.*got an object with 'id'"),
    "no log-probabilities": (
        {"choices": [{"message": {}, "logprobs": None}]},
        r"choices\[0\].logprobs: expected log-probabilities \(ask for logprobs\), got null",
    ),
    "a refusal": (
        {"choices": [{"logprobs": {"content": None, "refusal": []}}]},
        "expected content, or tokens and token_logprobs",
    ),
    "an error": (
        {"error": {"message": "rate limit"}},
        "error: expected a response, got an error of the API: rate limit",
    ),
    "a failed line of a batch": (
        {"response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
        "response.body.error: .*got an error of the API: no",
    ),
    "a part of a stream": ({"object": "chat.completion.chunk", "choices": []}, "a streamed one"),
    "no choices": ({"choices": []}, "at least one choice"),
    "choices that are none": ({"choices": 3}, "choices: expected a list, got 3"),
    "text for a number": (with_token(logprob="-1"), r"content\[0\].logprob: expected a log-prob"),
    "a truth value": (with_token(logprob=True), "got true"),
    "nan": (with_token(logprob=math.nan), "got NaN"),
    "above 0": (with_token(logprob=0.5), "expected a log-probability, at most 0, got 0.5"),
    "no text": (with_token(token=None), "expected the text of a token, got null"),
    "bytes beyond 255": (with_token(bytes=[300]), "bytes: expected bytes, from 0 to 255"),
    "a negative id": (with_token(id=-100), "id: expected a whole number, at least 0, got -100"),
    "a list that is none": (with_token(top_logprobs=3), "top_logprobs: expected a list, got 3"),
    "unequal lists": (
        {"tokens": ["a", "b"], "token_logprobs": [-1.0]},
        "token_logprobs: expected a list of 2, got one of 1",
    ),
    "an echo shorter than its prompt": (
        echo() | {"usage": {"prompt_tokens": 9, "completion_tokens": 1}},
        "expected the 9 tokens that usage says, got 4 tokens",
    ),
    "indices beyond the columns": (
        flat() | {"end_indices": [0, 3, 6, 99]},
        r"start_indices\[3\]: expected indices that rise from 0 to 8, got 6 and 99",
    ),
    "a rank of 0": ([None, {"5": logprob(-1.0, 0)}], "rank: expected a rank, from 1, got 0"),
    "an id that is none": ([None, {"five": logprob(-1.0, 1)}], 'a whole number, .*got "five"'),
    "three numbers for a token": (
        {"meta_info": {"input_token_logprobs": [[-1.0]]}},
        r"input_token_logprobs\[0\]: expected \(logprob, token id, text\), got a list of 1",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_no_response(name: str) -> None:
    response, message = BAD[name]
    with pytest.raises(CorruptInputError, match=message) as caught:
        visible([GOOD, response] if not isinstance(response, Mapping) else response)
    assert caught.value.expected
    assert caught.value.got


def test_what_is_no_json_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(GOOD) + '\n\n{"choices": [\n')
    with pytest.raises(CorruptInputError, match="line 3: expected a response as JSON") as caught:
        visible(path)
    assert caught.value.path == str(path)
    path.write_text("[1,\n2,\nx]")
    with pytest.raises(CorruptInputError, match="line 3: expected a response as JSON"):
        visible(path)
    path.write_text(json.dumps(GOOD) + "\n" + "[" * 100_000)
    with pytest.raises(CorruptInputError, match=r"line 2: .*nested too deeply"):
        visible(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(CorruptInputError, match="line 1: expected a response as JSON"):
        visible(path)
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({"id": 3}))
    with pytest.raises(CorruptInputError, match="line 2: expected choices") as caught:
        visible(path)
    assert caught.value.path == str(path)
    with pytest.raises(FileNotFoundError):
        visible(tmp_path / "absent.jsonl")
    with pytest.raises(DTypeError, match=r"response 0: a builtins.int is no response"):
        visible([3])


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
