"""SGLang's `meta_info`: lists of (logprob, token id, text), of the input or of the output.

``input_token_logprobs`` tells of the text that was given, from ``logprob_start_len`` on; its first
token has null. ``output_token_logprobs`` tells of what was sampled. Beside each stand the likeliest
tokens of every position, ``input_top_logprobs`` and ``output_top_logprobs``.
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
    from logitmeter.finetune._responses.reply import At

__all__ = ["meta_info"]

SIDES = ("input", "output")


def meta_info(value: object, place: At, *, sampled: bool) -> Reply:
    """Read the input, if it was scored and what was sampled is not asked for; else the output."""
    facts = object_at(value, place)
    given = {side: facts.get(f"{side}_token_logprobs") for side in SIDES}
    side = "output" if sampled and given["output"] else "input" if given["input"] else "output"
    if not given[side]:
        raise place.wrong("input_token_logprobs or output_token_logprobs", "neither")
    names = f"{side}_token_logprobs", f"{side}_top_logprobs"
    tokens, top = list_at(given[side], place[names[0]]), facts.get(names[1]) or None
    same_length(tokens, {names[1]: top}, place)
    steps = [
        Step(
            _entry(token, place[names[0]][i]),
            () if top is None else _top(top[i], place[names[1]][i]),
        )
        for i, token in enumerate(tokens)
    ]
    return Reply(steps, forced=side == "input", place=place[names[0]])


def _top(value: Any, place: At) -> tuple[Entry, ...]:
    if value is None:
        return ()
    return tuple(_entry(item, place[i]) for i, item in enumerate(list_at(value, place)))


def _entry(value: object, place: At) -> Entry:
    if value is None:
        return Entry(None)
    parts = list_at(value, place)
    if len(parts) not in {2, 3}:
        raise place.wrong("(logprob, token id, text)", f"a list of {len(parts)}")
    text = parts[2] if len(parts) == 3 and isinstance(parts[2], str) else None  # noqa: PLR2004
    return Entry(
        log_probability(parts[0], place[0]),
        text,
        None,
        None if parts[1] is None else whole_at(parts[1], place[1]),
    )
