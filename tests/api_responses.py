"""Responses of APIs as their documentation has them, built by hand."""

from __future__ import annotations

import math
from math import log
from typing import TYPE_CHECKING, Any

from logitmeter import finetune

if TYPE_CHECKING:
    from logitmeter import Report

INF = math.inf
RED_BLUE = {"RED": log(0.6), "BLUE": log(0.3)}
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
