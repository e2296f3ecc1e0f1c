"""Parallel lists of completions: `tokens`, `token_logprobs`, `top_logprobs`.

With ``echo`` the prompt comes first, and its first token has no log-probability; what was generated
behind it was sampled, and is not the text that was given.
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
    same_length,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logitmeter.finetune._responses.reply import At

__all__ = ["is_lists", "token_lists"]

UNKNOWN = -1
"""Nobody says where the prompt ends."""
TOKEN_ID = "token_id:"  # noqa: S105 - how vLLM spells a token where it is asked for ids


def is_lists(value: Mapping[str, Any]) -> bool:
    """Whether this is an object of such lists."""
    return value.get("tokens") is not None and value.get("token_logprobs") is not None


def token_lists(value: object, place: At, prompt_tokens: int | None = None) -> Reply:
    """Read the lists of one choice; of an echoed prompt the first so many tokens, None for all."""
    lists = object_at(value, place)
    tokens = list_at(lists["tokens"], place["tokens"])
    beside = {name: lists.get(name) for name in ("token_logprobs", "top_logprobs", "token_ids")}
    same_length(tokens, beside, place)
    steps = [_step(lists, i, place) for i in range(len(tokens))]
    forced = bool(tokens) and lists["token_logprobs"][0] is None
    if forced and prompt_tokens is not None:
        _check_prompt(prompt_tokens, len(tokens), place)
        steps = steps[:prompt_tokens]
    return Reply(steps, forced=forced, place=place)


def _step(lists: Mapping[str, Any], i: int, place: At) -> Step:
    text = lists["tokens"][i]
    if not isinstance(text, str):
        raise place["tokens"][i].unlike("the text of a token", text)
    logprob = log_probability(lists["token_logprobs"][i], place["token_logprobs"][i])
    ids = lists.get("token_ids")
    number = None if ids is None else whole_at(ids[i], place["token_ids"][i])
    top = (lists.get("top_logprobs") or {i: None})[i]
    return Step(_entry(text, logprob, number), _top(top, place["top_logprobs"][i]))


def _top(value: object, place: At) -> tuple[Entry, ...]:
    if value is None:
        return ()
    listed = object_at(value, place).items()
    return tuple(_entry(text, log_probability(logprob, place[text])) for text, logprob in listed)


def _entry(text: str, logprob: float | None, number: int | None = None) -> Entry:
    spelt = text.removeprefix(TOKEN_ID)
    if number is None and spelt != text and spelt.isdecimal():
        number = int(spelt)
    return Entry(logprob, text, None, number)


def _check_prompt(prompt_tokens: int, tokens: int, place: At) -> None:
    if prompt_tokens == UNKNOWN:
        raise place.wrong(
            "an echo whose prompt ends somewhere known",
            "one of several choices with generated tokens: ask for max_tokens=0, or for one prompt "
            "and one choice a request",
        )
    if not 0 < prompt_tokens <= tokens:
        raise place.wrong(f"the {prompt_tokens} tokens that usage says", f"{tokens} tokens")
