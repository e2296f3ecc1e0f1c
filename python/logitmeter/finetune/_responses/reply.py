"""A reply as every API tells of it: token after token, each with its likeliest alternatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from logitmeter.finetune.place import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logitmeter.exceptions import CorruptInputError
    from logitmeter.finetune.place import Place

__all__ = [
    "ROUNDING",
    "At",
    "Entry",
    "Reply",
    "Step",
    "Wanted",
    "list_at",
    "log_probability",
    "object_at",
    "same_length",
    "whole_at",
]

Wanted: TypeAlias = str | bytes | int
"""A token as people name it: its text, its bytes or its id."""

BEYOND = -9999.0
"""What stands for a token beyond the listed ones, or of probability 0: no log-probability."""
ROUNDING = 1e-4
"""A log-probability may be so far above 0 by rounding; it is 0 then."""


class At:
    """A place that is spelt out only where an error needs it: there are some for every number."""

    __slots__ = ("_inside", "_key")

    def __init__(self, inside: At | Place, key: str | int | None = None) -> None:
        self._inside = inside
        self._key = key

    def __getitem__(self, key: str | int) -> At:
        return At(self, key)

    def __str__(self) -> str:
        return str(self._place())

    def wrong(self, expected: str, got: str) -> CorruptInputError:
        """Give the error to raise for what stands here."""
        return self._place().wrong(expected, got)

    def unlike(self, expected: str, value: object) -> CorruptInputError:
        """Give the error to raise for a value that is not as expected."""
        return self._place().unlike(expected, value)

    def _place(self) -> Place:
        inside = self._inside._place() if isinstance(self._inside, At) else self._inside  # noqa: SLF001 - its own class
        return inside if self._key is None else inside[self._key]


class Entry(NamedTuple):
    """A token and its log-probability, None where that is not given."""

    logprob: float | None
    text: str | None = None
    raw: bytes | None = None
    id: int | None = None

    def is_token(self, wanted: Wanted) -> bool:
        """Whether this is the token that somebody named."""
        return self._named_as(wanted) == wanted

    def carries(self, wanted: Wanted) -> bool:
        """Whether its own name is of the kind of that one, so that they can be compared."""
        return self._named_as(wanted) is not None

    def _named_as(self, wanted: Wanted) -> Wanted | None:
        if isinstance(wanted, bytes):
            return self.raw
        return self.text if isinstance(wanted, str) else self.id

    def is_same(self, other: Entry) -> bool:
        """Whether both are one token: by id, else by bytes, else by text."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        if self.raw is not None and other.raw is not None:
            return self.raw == other.raw
        return self.text == other.text


class Step(NamedTuple):
    """One position: its own token, and the likeliest ones there with their log-probabilities.

    `rank` is that of its own token, from 0, where it is given.
    """

    own: Entry
    top: tuple[Entry, ...] = ()
    rank: int | None = None

    def find(self, wanted: Wanted) -> Entry | None:
        """Give the entry of a token, if it is listed."""
        return next((entry for entry in (self.own, *self.top) if entry.is_token(wanted)), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """What was scored: a text that was given (`forced`), or one that was sampled."""

    steps: Sequence[Step]
    forced: bool
    place: At


def log_probability(value: object, place: At) -> float | None:
    """Give a log-probability; None for null, for the sentinels of "unlikely" and for -inf."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise place.unlike("a log-probability", value)
    if value > ROUNDING:
        raise place.unlike("a log-probability, at most 0", value)
    return min(float(value), 0.0) if value > BEYOND else None


def object_at(value: object, place: At) -> Mapping[str, Any]:
    """Give what must be an object."""
    if not isinstance(value, Mapping):
        raise place.unlike("an object", value)
    return value


def list_at(value: object, place: At) -> list[Any]:
    """Give what must be a list."""
    if not isinstance(value, list | tuple):
        raise place.unlike("a list", value)
    return list(value)


def whole_at(value: object, place: At) -> int:
    """Give what must be a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise place.unlike("a whole number, at least 0", value)
    return value


def same_length(values: Sequence[Any], others: Mapping[str, Any], place: At) -> None:
    """Refuse lists beside `values` that are of another length; None is no list."""
    for name, other in others.items():
        if other is None or other is ABSENT:
            continue
        found = len(list_at(other, place[name]))
        if found != len(values):
            raise place[name].wrong(f"a list of {len(values)}", f"one of {found}")
