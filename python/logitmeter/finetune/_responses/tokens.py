"""Which tokens of a reply count as its visible ones, and what is known of each."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from logitmeter.arguments import whole
from logitmeter.exceptions import LabelError, SettingsError, ShapeError
from logitmeter.finetune._responses.scores import UNKNOWN, Score, score_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logitmeter.finetune._responses.reply import Reply, Step, Wanted

__all__ = ["Token", "visible_tokens"]

Token: TypeAlias = tuple[Score, int | None]
"""A token's score and its id, where it is known."""


def visible_tokens(reply: Reply, wanted: Any, start: int | None) -> list[Token]:
    """Give the visible tokens: from `start` of a text that was given; else those wanted, or all."""
    tokens = _given(reply, wanted, start) if reply.forced else _sampled(reply, wanted, start)
    if not tokens:
        raise LabelError(f"{reply.place}: a reply without tokens", expected="a token", got="none")
    return tokens


def _given(reply: Reply, wanted: object, start: int | None) -> list[Token]:
    steps = reply.steps
    if wanted is not None:
        raise SettingsError(
            f"{reply.place}: labels are the tokens wanted of text that was sampled, and this text "
            "was given, so that it is its own label: pass None for it, and say by reply_start "
            "where the reply begins",
            expected="None",
            got="labels",
        )
    if start is None:
        scored = (i for i, step in enumerate(steps) if step.own.logprob is not None)
        start = next(scored, len(steps))
    elif whole("reply_start", start, 0) >= len(steps):
        message = f"{reply.place}: reply_start is {start}, and there are {len(steps)} tokens"
        raise ShapeError(message, expected=f"below {len(steps)}", got=str(start))
    return [(score_of(step), step.own.id) for step in steps[start:]]


def _sampled(reply: Reply, wanted: Any, start: int | None) -> list[Token]:
    if start is not None:
        raise SettingsError(
            f"{reply.place}: reply_start is for text that was given, and this was sampled",
            expected="None",
            got=str(start),
        )
    if wanted is None:
        return [(score_of(step), step.own.id) for step in reply.steps]
    return list(_looked_up(reply.steps, _checked(wanted, reply)))


def _looked_up(steps: Sequence[Step], wanted: Sequence[Wanted]) -> Iterator[Token]:
    """Score the wanted tokens as long as what was sampled is what was wanted."""
    agree = True
    for i, token in enumerate(wanted):
        known = agree and i < len(steps)
        number = token if isinstance(token, int) else None
        yield (score_of(steps[i], token) if known else UNKNOWN), number
        agree = known and steps[i].own.is_token(token)


def _checked(wanted: Any, reply: Reply) -> list[Wanted]:
    """Give the wanted tokens, if they are named as the response names its own."""
    if isinstance(wanted, str | bytes) or not hasattr(wanted, "__iter__"):
        kind = type(wanted).__name__
        message = (
            f"{reply.place}: labels have a list of tokens for each reply, and this is a {kind}"
        )
        raise LabelError(message, expected="a list of tokens", got=kind)
    return [_token(token, reply) for token in wanted]


def _token(token: Any, reply: Reply) -> Wanted:
    try:
        plain: Wanted = token if isinstance(token, str | bytes) else index(token)
    except TypeError:
        raise _unnamed(token, reply) from None
    # Some special tokens have no bytes: they are none that could be named by them.
    named = not reply.steps or any(step.own.carries(plain) for step in reply.steps)
    if isinstance(token, bool) or not named:
        raise _unnamed(token, reply)
    return plain


def _unnamed(token: object, reply: Reply) -> LabelError:
    kinds: dict[str, Wanted] = {"text": "", "bytes": b"", "ids": 0}
    carried = [
        name
        for name, kind in kinds.items()
        if not reply.steps or any(step.own.carries(kind) for step in reply.steps)
    ]
    expected = " or ".join(carried)
    message = f"{reply.place}: no label {token!r}: this response names tokens by {expected}"
    return LabelError(message, expected=expected, got=repr(token))
