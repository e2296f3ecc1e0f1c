"""Training data as `infer` needs it: visible tokens and replies of each conversation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from logitmeter.arguments import whole
from logitmeter.exceptions import SettingsError, ShapeError

if TYPE_CHECKING:
    import tiktoken

__all__ = ["Counts", "counted", "is_text", "reusable"]

Array = np.ndarray[Any, Any]

ENCODINGS = ("cl100k_base", "o200k_base")
"""What OpenAI's chat models use: hypotheses where neither model nor encoding is known."""

_KINDS = "a path, conversations, visible token counts or pairs (visible tokens, replies) are needed"


class Counts(NamedTuple):
    """The conversations, counted one way.

    Attributes
    ----------
    visible, replies
        Of each conversation.
    encoding
        The encoding, where it is a hypothesis; else None.
    """

    visible: Array
    replies: Array
    encoding: str | None

    def lengths(self, hidden: int) -> Array | None:
        """Give the tokens of each conversation; None if one would have too few."""
        lengths = self.visible + hidden * self.replies
        return (
            None if bool(np.any((lengths < 0) | ((lengths == 0) & (self.visible > 0)))) else lengths
        )


def counted(
    train: Any, *, model: str | None, encoding: str | tiktoken.Encoding | None
) -> list[Counts]:
    """Count the conversations; twice, where neither model nor encoding says how."""
    listed = reusable(train)
    if is_text(listed):
        return _of_text(listed, model, encoding)
    if model is not None or encoding is not None:
        raise SettingsError("model and encoding count the tokens of text; these are counts already")
    return [_counts([_pair(item, number) for number, item in enumerate(listed)], None)]


def reusable(train: Any) -> Any:
    """Give training data that can be read more than once: a path, or a list that holds something.

    Raises
    ------
    SettingsError, ShapeError
        For what is no training data, and for an empty list.
    """
    if isinstance(train, str | os.PathLike):
        return train
    if isinstance(train, Mapping | bytes) or not isinstance(train, Iterable):
        raise SettingsError(f"train: {_KINDS}, got a {type(train).__name__}")
    listed = list(train)
    if not listed:
        raise ShapeError("train: no conversations", expected="at least one", got="none")
    return listed


def is_text(train: Any) -> bool:
    """Tell text, a path or conversations, from counts."""
    return isinstance(train, str | os.PathLike) or any(isinstance(item, Mapping) for item in train)


def _of_text(
    train: Any, model: str | None, encoding: str | tiktoken.Encoding | None
) -> list[Counts]:
    from logitmeter.finetune.chat import visible_counts

    if model is not None or encoding is not None:
        return [_counts(visible_counts(train, model=model, encoding=encoding), None)]
    return [_counts(visible_counts(train, encoding=name), name) for name in ENCODINGS]


def _counts(pairs: list[tuple[int, int]], encoding: str | None) -> Counts:
    if not pairs:
        raise ShapeError("train: no conversations", expected="at least one", got="none")
    visible, replies = np.array(pairs, dtype=np.int64).T
    return Counts(visible, replies, encoding)


def _pair(item: Any, number: int) -> tuple[int, int]:
    """Give the visible tokens and replies of one conversation; a bare count is of one reply."""
    name = f"train[{number}]"
    parts = item.tolist() if hasattr(item, "tolist") else item
    if not isinstance(parts, list | tuple):
        return whole(name, parts, 0), 1
    if len(parts) != 2:  # noqa: PLR2004 - a pair
        raise SettingsError(f"{name}={item!r}: {_KINDS}", expected="a pair", got=repr(item))
    return whole(name, parts[0], 0), whole(name, parts[1], 0)
