"""Responses of APIs to replies: one file a shape, each recognised by its keys and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logitmeter.finetune._responses.chat import is_content, token_list
from logitmeter.finetune._responses.completions import UNKNOWN, is_lists, token_lists
from logitmeter.finetune._responses.reading import responses_of
from logitmeter.finetune._responses.reply import (
    At,
    Reply,
    Step,
    Wanted,
    list_at,
    object_at,
    whole_at,
)
from logitmeter.finetune._responses.sglang import meta_info
from logitmeter.finetune._responses.vllm import is_flat, is_positions, prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Reply", "Step", "Wanted", "replies_of"]

KNOWN = (
    "choices[].logprobs (chat's content, or tokens and token_logprobs), prompt_logprobs of vLLM or "
    "its flat columns, meta_info of SGLang, completion_probabilities of llama.cpp's server"
)


def replies_of(responses: Any, *, sampled: bool = False) -> Iterator[Reply]:
    """Give every reply in order; where a response tells of both, `sampled` asks for what was."""
    for response, place in responses_of(responses):
        yield from _replies(response, At(place), sampled=sampled)


def _replies(value: Any, place: At, *, sampled: bool) -> Iterator[Reply]:
    if is_flat(value) or (isinstance(value, list) and is_positions(value)):
        yield prompt(value, place)
    elif isinstance(value, list) and is_content(value):
        yield token_list(value, place)
    else:
        yield from _of_object(object_at(value, place), place, sampled=sampled)


def _of_object(value: Mapping[str, Any], place: At, *, sampled: bool) -> Iterator[Reply]:
    if isinstance(value.get("response"), Mapping) and "body" in value["response"]:
        body = object_at(
            value["response"]["body"], place["response"]["body"]
        )  # of OpenAI's batches
        yield from _of_object(body, place["response"]["body"], sampled=sampled)
        return
    _refuse(value, place)
    if "completion_probabilities" in value:
        yield token_list(value["completion_probabilities"], place["completion_probabilities"])
    elif "meta_info" in value:
        yield meta_info(value["meta_info"], place["meta_info"], sampled=sampled)
    elif value.get("prompt_logprobs") is not None and not (sampled and _has_sampled(value)):
        yield _prompt(value, place)
    elif "choices" in value:
        yield from _of_choices(value, place, sampled=sampled)
    elif isinstance(value.get("content"), list):
        yield token_list(value["content"], place["content"])
    elif is_lists(value):
        yield token_lists(value, place)
    else:
        raise place.unlike(KNOWN, value)


def _of_choices(value: Mapping[str, Any], place: At, *, sampled: bool) -> Iterator[Reply]:
    echoed = value.get("prompt")
    if isinstance(echoed, list) and echoed and not sampled:  # of Together: apart from the choices
        for i, item in enumerate(echoed):
            at = place["prompt"][i]
            yield token_lists(object_at(item, at).get("logprobs"), at["logprobs"])
        return
    choices = list_at(value["choices"], place["choices"])
    if not choices:
        raise place["choices"].wrong("at least one choice", "none")
    for i, item in enumerate(choices):
        at = place["choices"][i]
        choice = object_at(item, at)
        if choice.get("prompt_logprobs") is not None and not (sampled and choice.get("logprobs")):
            yield _prompt(choice, at)
        else:
            yield _of_choice(choice, at, _prompt_tokens(value, place))


def _prompt_tokens(value: Mapping[str, Any], place: At) -> int | None:
    """Give how many tokens an echoed prompt has; None if all of the tokens are its."""
    usage = value.get("usage")
    if not isinstance(usage, Mapping) or not usage.get("completion_tokens"):
        return None
    if len(value["choices"]) > 1:
        return UNKNOWN
    return whole_at(usage.get("prompt_tokens"), place["usage"]["prompt_tokens"])


def _of_choice(choice: Mapping[str, Any], place: At, prompt_tokens: int | None) -> Reply:
    found = choice.get("logprobs")
    at = place["logprobs"]
    if found is None:
        raise at.wrong("log-probabilities (ask for logprobs)", "null")
    logprobs = object_at(found, at)
    if logprobs.get("content") is not None:
        return token_list(logprobs["content"], at["content"])
    if is_lists(logprobs):
        return token_lists(logprobs, at, prompt_tokens)
    raise at.unlike("content, or tokens and token_logprobs", logprobs)


def _prompt(value: Mapping[str, Any], place: At) -> Reply:
    return prompt(value["prompt_logprobs"], place["prompt_logprobs"], value.get("prompt_token_ids"))


def _has_sampled(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, Mapping) and choice.get("logprobs") for choice in choices
    )


def _refuse(value: Mapping[str, Any], place: At) -> None:
    """Refuse what an API says instead of a response."""
    error = value.get("error")
    if error:
        message = error.get("message", error) if isinstance(error, Mapping) else error
        raise place["error"].wrong("a response", f"an error of the API: {message}")
    kind = value.get("object")
    if isinstance(kind, str) and kind.endswith(".chunk"):
        raise place["object"].wrong("a whole response", f"{kind!r}, a part of a streamed one")
