"""vLLM's `prompt_logprobs`: a dict a position, or its flat columns (FlatLogprobs).

Position by position ``null`` (the first) or ``{token id: {logprob, rank, decoded_token}}``, where
the prompt's own token comes first and ranks count from 1. Flat, the entries of position i are those
from ``start_indices[i]`` to ``end_indices[i]``. The text was given: nothing was sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    from collections.abc import Iterator

    from logitmeter.finetune._responses.reply import At

__all__ = ["is_flat", "is_positions", "prompt"]

COLUMNS = ("start_indices", "end_indices", "token_ids", "logprobs", "ranks")
Listed = tuple[Entry, int | None]
NOTHING = Step(Entry(None))


def is_flat(value: object) -> bool:
    """Whether this has the flat columns."""
    names = COLUMNS[:4]
    if isinstance(value, Mapping):
        return all(name in value for name in names)
    return all(hasattr(value, name) for name in names)


def is_positions(value: list[Any]) -> bool:
    """Whether a list is one of positions, rather than of responses."""
    return any(isinstance(item, Mapping) for item in value) and all(
        item is None or (isinstance(item, Mapping) and all(map(_is_entry, item.values())))
        for item in value
    )


def prompt(value: Any, place: At, ids: Any = None) -> Reply:
    """Read the prompt's tokens; `ids` are theirs, where the response has them too."""
    flat = is_flat(value)
    positions = list(_flat(value, place) if flat else _dicts(value, place))
    if ids is not None:
        same_length(positions, {"prompt_token_ids": ids}, place)
    steps = [
        _step(listed, None if ids is None else ids[i], place[i])
        for i, listed in enumerate(positions)
    ]
    return Reply(steps, forced=True, place=place)


def _step(listed: list[Listed], number: int | None, place: At) -> Step:
    if not listed:
        return NOTHING
    own, rank = listed[0]
    if number is not None:
        found = next((pair for pair in listed if pair[0].id == number), None)
        if found is None:
            raise place.wrong(f"token {number} of prompt_token_ids", "a list without it")
        own, rank = found
    top = tuple(entry for entry, _ in listed if entry.id != own.id)
    return Step(own, top, None if rank is None else rank - 1)


def _dicts(value: object, place: At) -> Iterator[list[Listed]]:
    for i, position in enumerate(list_at(value, place)):
        listed = {} if position is None else object_at(position, place[i])
        yield [
            _listed(
                _id(number, place[i]),
                _part(entry, "logprob"),
                _part(entry, "rank"),
                _part(entry, "decoded_token"),
                place[i][str(number)],
            )
            for number, entry in listed.items()
        ]


def _flat(value: object, place: At) -> Iterator[list[Listed]]:
    columns = {name: _column(value, name, place) for name in COLUMNS}
    starts, numbers = columns["start_indices"], columns["token_ids"]
    same_length(starts, {"end_indices": columns["end_indices"]}, place)
    same_length(numbers, {name: columns[name] for name in ("logprobs", "ranks")}, place)
    for i, (start, end) in enumerate(zip(starts, columns["end_indices"], strict=True)):
        if not 0 <= start <= end <= len(numbers):
            expected = f"indices that rise from 0 to {len(numbers)}"
            raise place["start_indices"][i].wrong(expected, f"{start} and {end}")
        yield [
            _listed(
                whole_at(numbers[j], place["token_ids"][j]),
                columns["logprobs"][j],
                columns["ranks"][j],
                None,
                place["logprobs"][j],
            )
            for j in range(start, end)
        ]


def _listed(number: int, logprob: object, rank: object, text: object, place: At) -> Listed:
    given = None if rank is None else whole_at(rank, place["rank"])
    if given is not None and given < 1:
        raise place["rank"].unlike("a rank, from 1", rank)
    name = text if isinstance(text, str) else None
    return Entry(log_probability(logprob, place), name, None, number), given


def _column(value: object, name: str, place: At) -> list[Any]:
    column: Any = _part(value, name)
    if column is None and name == "ranks":
        return [None] * len(_column(value, "token_ids", place))
    return list_at(column.tolist() if hasattr(column, "tolist") else column, place[name])


def _is_entry(value: object) -> bool:
    return hasattr(value, "logprob") or (isinstance(value, Mapping) and "logprob" in value)


def _part(entry: object, name: str) -> Any:
    """Give a part of an entry: of JSON's, or of vLLM's own object."""
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)


def _id(value: object, place: At) -> int:
    """Give a token's id; JSON has it as text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return whole_at(value, place)
