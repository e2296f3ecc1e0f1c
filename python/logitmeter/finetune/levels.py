"""What a model reports that knows the answers but not which one is due: the levels of chance.

A curve that levels off there has learnt the form of the replies and nothing of the task.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from logitmeter.arguments import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import tiktoken

__all__ = ["Baseline", "Chance", "baseline", "chance"]

_END = -1
"""Behind the last visible token of a reply: the first of its hidden tokens, if it has one."""


class Chance(NamedTuple):
    """A level: the loss in nats a token that counts, and the accuracy."""

    loss: float
    accuracy: float


class Baseline(NamedTuple):
    """What guessing from the replies' frequencies reports.

    Attributes
    ----------
    loss, accuracy
        Over all tokens that count, the loss in nats.
    visible_loss, visible_accuracy
        Over the visible tokens alone.
    num_replies, num_distinct
        Replies, and different ones.
    num_tokens
        Visible and hidden tokens of all replies.
    """

    loss: float
    accuracy: float
    visible_loss: float
    visible_accuracy: float
    num_replies: int
    num_distinct: int
    num_tokens: int


def chance(k: int, *, visible: int = 1, hidden: int = 2) -> Chance:
    """Give the level of guessing among k answers that are equally likely.

    The answers differ in one token; their other tokens and the hidden ones are certain. With
    N = visible + hidden::

        loss = ln(k) / N,   accuracy = 1 - (1 - 1/k) / N

    which is ln(k)/3 and 2/3 + 1/(3k) for answers of one token with two hidden ones.

    Parameters
    ----------
    k
        How many answers there are.
    visible, hidden
        Tokens of each answer.

    Returns
    -------
    Chance
        The level of the figures that a dashboard shows; with ``hidden=0``, that of the reply.

    Raises
    ------
    SettingsError
        For k or visible below 1, hidden below 0.

    Notes
    -----
    Source: jorio and Chua, "OpenAI finetuning metrics" (lesswrong.com/posts/zDnA4SEbkeCj2CDHp).

    Examples
    --------
    >>> [round(level, 4) for level in chance(5)]
    [0.5365, 0.7333]
    >>> [round(level, 4) for level in chance(5, hidden=0)]
    [1.6094, 0.2]
    """
    answers = whole("k", k, 1)
    tokens = whole("visible", visible, 1) + whole("hidden", hidden, 0)
    return Chance(math.log(answers) / tokens, 1 - (1 - 1 / answers) / tokens)


def baseline(
    train: Any,
    *,
    hidden: int = 2,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
) -> Baseline:
    """Give the level of a model that knows how often each reply comes, but not when.

    It predicts each token from those before it in the reply alone, as often as they went on so in
    the training data: its loss is the entropy of the replies (of their visible tokens, one after
    the other), its accuracy that of always naming the most frequent continuation. With H the
    entropy of the replies in nats, each as a whole::

        loss = replies * H / (visible + hidden tokens)

    The end of a reply is a continuation too, where there is a hidden token to say so (``hidden``
    >= 1); the other hidden tokens are certain. Where no reply comes twice the level is low and
    means little: the model would have to know all of them by heart.

    Parameters
    ----------
    train
        A path of JSONL, or conversations.
    hidden
        Hidden tokens a reply, as `infer` finds them.
    model, encoding
        How text becomes tokens, as in `visible_counts`.

    Returns
    -------
    Baseline
        The levels.

    Raises
    ------
    CorruptInputError, VocabularyMissingError, SettingsError
        As `chat_tokens`.

    Examples
    --------
    >>> def asked(colour):
    ...     asks = {"role": "user", "content": "?"}
    ...     return {"messages": [asks, {"role": "assistant", "content": colour}]}
    >>> level = baseline([asked("BLUE"), asked("GREEN")], model="gpt-4o-mini")
    >>> round(level.loss, 4), round(level.accuracy, 4), level.visible_accuracy
    (0.231, 0.8333, 0.5)
    """
    number = whole("hidden", hidden, 0)
    replies = _replies(train, model, encoding)
    ended = [(*reply, _END) if number else reply for reply in replies]
    visible = sum(map(len, replies))
    total = visible + number * len(replies)
    every, ends = _guessed(ended)
    certain = max(0, number - 1) * len(replies)
    return Baseline(
        loss=every.loss / total,
        accuracy=(every.correct + certain) / total,
        visible_loss=(every.loss - ends.loss) / visible,
        visible_accuracy=(every.correct - ends.correct) / visible,
        num_replies=len(replies),
        num_distinct=len(set(replies)),
        num_tokens=total,
    )


@dataclass
class _Guesses:
    """The loss of some tokens, and how many of them are guessed."""

    loss: float = 0.0
    correct: int = 0


def _replies(
    train: Any, model: str | None, encoding: str | tiktoken.Encoding | None
) -> list[tuple[int, ...]]:
    """Give the visible tokens of each reply: of each stretch of tokens that count."""
    from logitmeter.finetune.chat import chat_tokens

    table = chat_tokens(train, model=model, encoding=encoding)
    columns = (table[name].to_pylist() for name in ("sequence_id", "role", "labels"))
    replies: list[list[int]] = []
    before = None
    for sequence, role, label in zip(*columns, strict=True):
        here = None if role == "prompt" else sequence
        if here is not None and here != before:
            replies.append([])
        if role == "visible":
            replies[-1].append(label)
        before = here
    return [tuple(reply) for reply in replies]


def _guessed(replies: Iterable[Sequence[int]]) -> tuple[_Guesses, _Guesses]:
    """Give what guessing from the frequencies makes of all tokens, and of those that end replies.

    Replies that begin alike share the nodes of a tree; a node counts its continuations.
    """
    nodes: dict[tuple[int, int], int] = {}
    continuations: dict[int, Counter[int]] = {}
    for reply in replies:
        node = 0
        for token in reply:
            continuations.setdefault(node, Counter())[token] += 1
            node = nodes.setdefault((node, token), len(nodes) + 1)
    every, ends = _Guesses(), _Guesses()
    for counts in continuations.values():
        total = counts.total()
        named = max(counts, key=lambda token: (counts[token], token))
        for token, number in counts.items():
            for guesses in (every, ends) if token == _END else (every,):
                guesses.loss += number * math.log(total / number)
                guesses.correct += number if token == named else 0
    return every, ends
