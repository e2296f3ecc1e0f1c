"""Top-k dumps: a list of token ids and one of their values a row, as scores within bounds.

Any source that has such columns can be read so; what the lists say of the label is in
`top_k_bounds`. Labels are those of the row itself, under ``shift`` those of the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logitmeter.exceptions import DTypeError, SettingsError
from logitmeter.sources.base import Block, Facts, Reader
from logitmeter.sources.lists import integers, numbers, read_lists, unit_of
from logitmeter.sources.memory_numpy import row_blocks
from logitmeter.sources.roles import LISTS, SCORES, missing
from logitmeter.sources.top_k_bounds import Kind, Rows, scores_of
from logitmeter.sources.top_k_faults import Noted
from logitmeter.sources.vocab import is_list, storage_of, stored

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from logitmeter.sources.memory_numpy import Array
    from logitmeter.sources.top_k_faults import Reason

__all__ = ["PARTS", "ListColumns", "TopK", "TopKOptions"]

PIECE_ENTRIES = 1 << 18
"""Entries that are looked at together."""
PARTS = {part: f"__{part}__" for part in SCORES}
"""The columns that are added, by the part that each plays; no column of a dump is so named."""


@dataclass(frozen=True, slots=True)
class TopKOptions:
    """What `scan` was told of the lists: see there."""

    values: str
    largest: bool = True
    vocab_size: int | None = None
    element: str | None = None

    def columns(
        self, given: Mapping[str, str | None], present: Sequence[str], labels: str | None
    ) -> ListColumns:
        """Find the columns: as named, else `ids`, `values` (or the kind of value), lse and tail."""
        if self.values != "logits" and given.get("lse") is not None:
            raise SettingsError(
                f'an lse makes log-probabilities of raw logits, and values="{self.values}" needs'
                " none",
                expected='values="logits"',
                got=self.values,
            )
        defaults = {"values": ("values", self.values)}
        found = {
            part: given[part]
            if part in given
            else next((name for name in defaults.get(part, (part,)) if name in present), None)
            for part in LISTS
        }
        for part in ("ids", "values"):
            if found[part] is None:
                raise missing(part, present, f"; name it with columns={{{part!r}: ...}}")
        for name in found.values():
            if name is not None and name not in present:
                raise missing(name, present)
        lse = found["lse"] if self.values == "logits" else None
        return ListColumns(str(found["ids"]), str(found["values"]), lse, found["tail"], labels)


@dataclass(frozen=True, slots=True)
class ListColumns:
    """The names of the columns that are looked at."""

    ids: str
    values: str
    lse: str | None
    tail: str | None
    labels: str | None

    def by_part(self) -> dict[str, str]:
        """Give those that there are, by the part that each plays."""
        found = {part: getattr(self, part) for part in (*LISTS, "labels")}
        return {part: name for part, name in found.items() if name is not None}

    def present(self) -> set[str]:
        """Give those that there are."""
        return set(self.by_part().values())


class TopK(Reader):
    """A reader of lists, with columns of scores."""

    def __init__(
        self, inner: Reader, columns: ListColumns, options: TopKOptions, *, shift: bool
    ) -> None:
        self.inner = inner
        self.columns = columns
        self.vocab_size = options.vocab_size
        self.shift = shift
        self._kind = self._checked(options)
        self._noted = Noted(options.vocab_size)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the reader inside, and the scores."""
        fields = [pa.field(PARTS[part], kind) for part, kind in SCORES.items()]
        return pa.schema([*self.inner.schema, *fields], metadata=self.inner.schema.metadata)

    @property
    def facts(self) -> Facts:
        """Those of the reader inside, and the vocabulary, if it was stated."""
        return replace(self.inner.facts, vocab_size=self.vocab_size)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the blocks of the reader inside; lists are read only for the scores."""
        if not any(name in names for name in PARTS.values()):
            return self.inner.blocks(names)
        return self._scored({name for name in names if name not in PARTS.values()})

    def locate(self, position: int) -> tuple[str, int] | None:
        """As the reader inside."""
        return self.inner.locate(position)

    def reason(self, loss: float) -> Reason | None:
        """Say what is wrong with the row that has this loss, if it stands for a fault."""
        return self._noted.reason(loss)

    def _scored(self, names: set[str]) -> Iterator[Block]:
        self._noted = Noted(self.vocab_size)
        blocks = self.inner.blocks(names | self.columns.present())
        for block, labels in self._with_labels(blocks):
            entries = _most(block.columns[self.columns.ids], block.columns[self.columns.values])
            for start, end in row_blocks(block.num_rows, entries, PIECE_ENTRIES):
                piece = block.slice(start, end - start)
                yield piece.joined(Block(piece.num_rows, self._scores(piece, labels[start:end])))

    def _with_labels(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Array]]:
        """Give each block with the label that each of its rows predicts, -1 for none."""
        filled = ((block, self._labels(block)) for block in blocks if block.num_rows)
        if not self.shift:
            yield from filled
            return
        before = next(filled, None)
        while before is not None:
            after = next(filled, None)
            following = [-1] if after is None else after[1][:1]
            yield before[0], np.concatenate([before[1][1:], following])
            before = after

    def _labels(self, block: Block) -> Array:
        """Give the labels; what is no token is refused by the core, where it counts."""
        column = None if self.columns.labels is None else block.columns[self.columns.labels]
        if column is None or not pa.types.is_integer(column.type):
            return np.full(block.num_rows, -1)
        return integers(column.fill_null(-1) if pa.types.is_signed_integer(column.type) else column)

    def _scores(self, piece: Block, labels: Array) -> dict[str, pa.Array]:
        columns = self.columns
        lists = read_lists(piece.columns[columns.ids], piece.columns[columns.values])
        lse, tail = (self._numbers(piece, name) for name in (columns.lse, columns.tail))
        found, known, faults = scores_of(Rows(lists, labels, *lse, *tail), self._kind)
        found["nll"] = self._noted.losses(faults, found["nll"])
        unknown = ~(known | (faults.kind > 0))
        scores = {PARTS[part]: pa.array(found[part], SCORES[part], mask=unknown) for part in found}
        scores[PARTS["lse"]] = pa.array(lse[0], mask=~lse[1])
        return scores

    def _numbers(self, piece: Block, name: str | None) -> tuple[Array, Array]:
        """Give a column of one number a row, and where it has one."""
        if name is None:
            return np.full(piece.num_rows, np.nan), np.zeros(piece.num_rows, bool)
        column = piece.columns[name]
        return numbers(column), integers(column.is_valid()).astype(bool)

    def _checked(self, options: TopKOptions) -> Kind:
        """Check the types, and give what the values are."""
        schema, columns = self.inner.schema, self.columns
        for name in (columns.ids, columns.values):
            kind = schema.field(name).type
            if not is_list(kind):
                message = f"column {name!r} is {kind}: a list of each row's entries is needed"
                raise DTypeError(message, expected="lists", got=str(kind))
        ids = schema.field(columns.ids).type
        if not pa.types.is_integer(storage_of(ids).value_type):
            message = f"column {columns.ids!r} is {ids}: token ids are integers"
            raise DTypeError(message, expected="lists of integers", got=str(ids))
        for number in (columns.lse, columns.tail):
            if number is not None:
                unit_of(number, schema.field(number).type, options.element)
        unit = unit_of(columns.values, schema.field(columns.values).type, options.element)
        return Kind(options.values, options.largest, options.vocab_size, unit)


def _most(ids: pa.Array, values: pa.Array) -> int:
    """Give how many entries the longer lists have, on average."""
    lengths = [pc.list_value_length(stored(array)) for array in (ids, values)]
    entries = max(pc.sum(length).as_py() or 0 for length in lengths)
    return max(1, entries // max(1, len(ids)))
