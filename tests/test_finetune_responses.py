"""Every shape of a response, every way in, and what is none of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from api_responses import (
    INF,
    LN2,
    PROMPT,
    RED_BLUE,
    chat,
    echo,
    entry,
    flat,
    logprob,
    sampled,
    visible,
)
from logitmeter import finetune
from logitmeter.exceptions import CorruptInputError, DTypeError

if TYPE_CHECKING:
    from pathlib import Path


# The shapes.


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
