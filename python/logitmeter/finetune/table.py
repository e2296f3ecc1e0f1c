"""The tokens of conversations as an Arrow table, one row a token."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logitmeter.finetune.rendering import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable

    import tiktoken
    from numpy.typing import NDArray

    from logitmeter.finetune.encodings import Chat
    from logitmeter.finetune.rendering import Fragment, Stretch
    from logitmeter.finetune.training import Conversation

__all__ = ["token_table"]

_BLOCK = 1 << 14
"""Stretches a block: their texts are repeated for each token, and a column has room for 2 GiB."""

_SCHEMA = pa.schema(
    {
        "labels": pa.int32(),
        "mask": pa.bool_(),
        "sequence_id": pa.int32(),
        "speaker": pa.string(),
        "role": pa.string(),
        "message": pa.int32(),
        "field": pa.string(),
        "start": pa.int32(),
        "end": pa.int32(),
    }
)


def token_table(conversations: Iterable[Conversation], chat: Chat) -> pa.Table:
    """Give one row a token, see `chat_tokens`."""
    said = (
        (sequence, stretch)
        for sequence, conversation in enumerate(conversations)
        for stretch in rendered(conversation, chat.template)
    )
    blocks = iter(lambda: list(islice(said, _BLOCK)), [])
    return pa.concat_tables([_SCHEMA.empty_table(), *(_table(block, chat) for block in blocks)])


class _Tokens(NamedTuple):
    """The tokens of a fragment, and the characters of the field that each covers; -1 is none."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


def _tokens(fragment: Fragment, chat: Chat) -> _Tokens:
    ids = np.array(chat.ids(fragment), np.int32)
    if fragment.field is None:
        none = np.full(len(ids), -1, np.int32)
        return _Tokens(ids, none, none)
    num_bytes = _num_bytes(chat.encoding)[ids]
    ends = np.cumsum(num_bytes)
    character = _characters(fragment.text)
    first = np.maximum(character[ends - num_bytes], fragment.start)
    last = np.minimum(character[ends - 1], fragment.end - 1)
    within = first <= last
    starts = np.where(within, first - fragment.start, -1)
    return _Tokens(ids, starts, np.where(within, last - fragment.start + 1, -1))


@lru_cache(maxsize=4)
def _num_bytes(encoding: tiktoken.Encoding) -> NDArray[np.int32]:
    """Give the length of each ordinary token; tiktoken tells it of one token at a time."""
    ranks = encoding._mergeable_ranks  # noqa: SLF001
    lengths = np.zeros(1 + max(ranks.values()), np.int32)
    lengths[list(ranks.values())] = list(map(len, ranks))
    return lengths


def _characters(text: str) -> NDArray[np.int32]:
    """Give, for each byte of the text in UTF-8, the number of its character."""
    data = np.frombuffer(text.encode(), np.uint8)
    return np.cumsum((data & 0xC0) != 0x80, dtype=np.int32) - 1  # noqa: PLR2004 - 10xxxxxx goes on


def _table(said: list[tuple[int, Stretch]], chat: Chat) -> pa.Table:
    tokens = [_tokens(stretch.fragment, chat) for _, stretch in said]
    stretch_of = pa.array(np.repeat(np.arange(len(said)), [len(each.ids) for each in tokens]))
    starts = np.concatenate([each.starts for each in tokens])
    ends = np.concatenate([each.ends for each in tokens])
    by_stretch = {
        "mask": [stretch.role == "visible" for _, stretch in said],
        "sequence_id": [sequence for sequence, _ in said],
        "speaker": [stretch.speaker for _, stretch in said],
        "role": [stretch.role for _, stretch in said],
        "message": [stretch.message for _, stretch in said],
        "field": [stretch.fragment.field for _, stretch in said],
    }
    columns = {
        name: pa.array(values, _SCHEMA.field(name).type).take(stretch_of)
        for name, values in by_stretch.items()
    }
    columns["labels"] = pa.array(np.concatenate([each.ids for each in tokens]))
    columns["field"] = pc.if_else(starts < 0, None, columns["field"])
    columns["start"] = pa.array(starts, pa.int32(), mask=starts < 0)
    columns["end"] = pa.array(ends, pa.int32(), mask=starts < 0)
    return pa.table(columns).select(_SCHEMA.names).cast(_SCHEMA)
