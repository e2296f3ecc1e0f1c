"""Lists of tokens with `top_logprobs`: OpenAI's chat ``logprobs.content``, and llama.cpp's server.

OpenAI: ``{token, logprob, bytes, top_logprobs: [{token, logprob, bytes}]}``, where -9999.0 stands
for a token beyond the likeliest 20. llama.cpp has the same with an ``id``, under
``completion_probabilities``. Both describe what was sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.finetune._responses.reply import (
    Entry,
    Reply,
    Step,
    list_at,
    log_probability,
    object_at,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logitmeter.finetune._responses.reply import At

__all__ = ["is_content", "token_list"]

AFTER_SAMPLING = ("prob", "probs", "top_probs")


def is_content(value: list[Any]) -> bool:
    """Whether a list is one of tokens, rather than of responses."""
    return bool(value) and all(hasattr(item, "keys") and "logprob" in item for item in value)


def token_list(value: object, place: At) -> Reply:
    """Read a list of sampled tokens."""
    items = list_at(value, place)
    return Reply([_step(item, place[i]) for i, item in enumerate(items)], forced=False, place=place)


def _step(value: object, place: At) -> Step:
    token = object_at(value, place)
    _refuse_after_sampling(token, place)
    top = list_at(token.get("top_logprobs") or [], place["top_logprobs"])
    entries = [_entry(item, place["top_logprobs"][i]) for i, item in enumerate(top)]
    return Step(_entry(token, place), tuple(entries))


def _entry(value: object, place: At) -> Entry:
    token = object_at(value, place)
    text, raw, number = token.get("token"), token.get("bytes"), token.get("id")
    if not isinstance(text, str):
        raise place["token"].unlike("the text of a token", text)
    return Entry(
        log_probability(token.get("logprob"), place["logprob"]),
        text,
        None if raw is None else _bytes(raw, place["bytes"]),
        None if number is None else whole_at(number, place["id"]),
    )


def _bytes(value: object, place: At) -> bytes:
    try:
        return bytes(list_at(value, place))
    except (TypeError, ValueError):
        raise place.wrong("bytes, from 0 to 255", "something else") from None


def _refuse_after_sampling(token: Mapping[str, Any], place: At) -> None:
    found = next((name for name in AFTER_SAMPLING if name in token), None)
    if found is not None:
        raise place.wrong(
            "log-probabilities of the model",
            f"{found!r}, probabilities after the sampling chain; "
            "ask llama.cpp's server for post_sampling_probs=false",
        )
