"""The tokens of conversations as an Arrow table, one row a token."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING

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


def _table(said: list[tuple[int, Stretch]], chat: Chat) -> pa.Table:
    ids = [chat.ids(stretch.fragment) for _, stretch in said]
    ends = np.cumsum(list(map(len, ids)))
    labels = np.fromiter(chain.from_iterable(ids), np.int32, ends[-1])
    covered = np.full((2, len(labels)), -1, np.int32)
    for (_, stretch), end, own in zip(said, ends, ids, strict=True):
        if stretch.fragment.field is not None:
            covered[:, end - len(own) : end] = _covered(stretch.fragment, own, chat)
    stretch_of = pa.array(np.repeat(np.arange(len(said)), np.diff(ends, prepend=0)))
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
    outside = covered[0] < 0
    columns["labels"] = pa.array(labels)
    columns["field"] = pc.if_else(outside, None, columns["field"])
    columns["start"], columns["end"] = (pa.array(place, mask=outside) for place in covered)
    return pa.table(columns).select(_SCHEMA.names).cast(_SCHEMA)


def _covered(fragment: Fragment, ids: list[int], chat: Chat) -> NDArray[np.int32]:
    """Give the first character of the field that each token covers, and the end; -1 for none."""
    num_bytes = _num_bytes(chat.encoding)[ids]
    ends = np.cumsum(num_bytes)
    character = _characters(fragment.text)
    first = np.maximum(character[ends - num_bytes], fragment.start) - fragment.start
    last = np.minimum(character[ends - 1], fragment.end - 1) - fragment.start
    return np.where(first <= last, [first, last + 1], -1)


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
