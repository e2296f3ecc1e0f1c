"""Where something stands in training data, so that a message can name it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from logitmeter._numbers import clip, printable
from logitmeter.exceptions import CorruptInputError

__all__ = ["ABSENT", "Place", "shown"]

_WIDEST = 60


class _Absent:
    """What stands where a key is missing; None is a value, JSON's null."""


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class Place:
    """A file, an example in it, and a path within that.

    Attributes
    ----------
    path
        The file, where there is one.
    example
        ``"line 12"``, or ``"example 12"`` of what was given as Python objects.
    field
        The path within, as Python spells it: ``messages[2].content``.
    """

    path: str | None
    example: str
    field: str = ""

    def __getitem__(self, key: str | int) -> Place:
        step = f"[{key}]" if isinstance(key, int) else f".{key}"
        return Place(self.path, self.example, (self.field + step).lstrip("."))

    def __str__(self) -> str:
        return f"{self.example}: {self.field}" if self.field else self.example

    def wrong(self, expected: str, got: str) -> CorruptInputError:
        """Give the error to raise for what stands here."""
        message = f"{self}: expected {expected}, got {got}"
        return CorruptInputError(message, path=self.path, expected=expected, got=got)

    def unlike(self, expected: str, value: object) -> CorruptInputError:
        """Give the error to raise for a value that is not as expected."""
        return self.wrong(expected, shown(value))


def shown(value: object) -> str:
    """Write a value as JSON does, cut short; a container by its size, for it may be huge.

    Examples
    --------
    >>> shown("hi"), shown(None), shown([1, 2]), shown(ABSENT)
    ('"hi"', 'null', 'a list of 2', 'nothing')
    """
    if value is ABSENT:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, value)) or 'no keys'}"
    if isinstance(value, str | int | float | bool | None):
        return clip(printable(json.dumps(value, ensure_ascii=False)), _WIDEST)
    return f"a Python {type(value).__name__}"
