"""Pairing: columns from elsewhere (arrays, label files) beside the rows of a reader."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from logitmeter.exceptions import ShapeError
from logitmeter.sources.base import Block, Facts, Reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["Blocks", "Columns", "Paired", "zip_blocks"]


class Blocks(Protocol):
    """What both halves of a pair offer; every `Reader` does."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its rows."""


class Columns:
    """Columns in memory, all of one length."""

    def __init__(self, columns: dict[str, pa.ChunkedArray]) -> None:
        self._table = pa.table(columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """Their names and types."""
        return self._table.schema

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """One block a chunk."""
        chosen = [name for name in self.schema.names if name in names]
        for batch in self._table.select(chosen).to_batches():
            yield Block(batch.num_rows, dict(zip(chosen, batch.columns, strict=True)))


class Paired(Reader):
    """A reader with more columns; where both have a column of one name, the added one is used."""

    def __init__(self, inner: Reader, added: Blocks, what: str) -> None:
        self.inner = inner
        self.added = added
        self.what = what

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of both."""
        return merged_schema(self.inner.schema, self.added.schema)

    @property
    def facts(self) -> Facts:
        """Those of the reader inside."""
        return self.inner.facts

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the blocks of both, cut where either ends."""
        return paired_blocks(self.inner, self.added, names, ("the logits", self.what))

    def element(self, logits: str) -> str | None:
        """As the reader inside."""
        return self.inner.element(logits)

    def vocab(self, logits: str) -> int | None:
        """As the reader inside."""
        return self.inner.vocab(logits)

    def locate(self, position: int) -> tuple[str, int] | None:
        """As the reader inside."""
        return self.inner.locate(position)


def merged_schema(left: pa.Schema, right: pa.Schema) -> pa.Schema:
    """Give the fields of both; those on the right win."""
    fields = [field for field in left if field.name not in right.names]
    return pa.schema([*fields, *right], metadata=left.metadata)


def paired_blocks(
    left: Blocks, right: Blocks, names: Collection[str], what: tuple[str, str]
) -> Iterator[Block]:
    """Give the columns named, from whichever side has them; a side that has none is not read."""
    from_right = [name for name in right.schema.names if name in names]
    from_left = [name for name in left.schema.names if name in names and name not in from_right]
    if not from_left:
        return right.blocks(from_right)
    if not from_right:
        return left.blocks(from_left)
    return zip_blocks(left.blocks(from_left), right.blocks(from_right), what)


def zip_blocks(
    left: Iterable[Block], right: Iterable[Block], what: tuple[str, str]
) -> Iterator[Block]:
    """Two streams of rows as one; a `ShapeError` that names both where one ends early."""
    sides = (iter(left), iter(right))
    rows = 0
    a, b = (next_block(side) for side in sides)
    while a is not None and b is not None:
        size = min(a.num_rows, b.num_rows)
        yield a.slice(0, size).joined(b.slice(0, size))
        rows += size
        a = rest(a, size) or next_block(sides[0])
        b = rest(b, size) or next_block(sides[1])
    if a is not None or b is not None:
        raise _unequal(rows, b is None, what)


def next_block(blocks: Iterator[Block]) -> Block | None:
    """Give the next block that has rows."""
    return next((block for block in blocks if block.num_rows), None)


def rest(block: Block, start: int) -> Block | None:
    """Give what is left of a block, if anything is."""
    left = block.num_rows - start
    return block.slice(start, left) if left else None


def _unequal(rows: int, right_ended: bool, what: tuple[str, str]) -> ShapeError:  # noqa: FBT001
    ended, longer = (what[1], what[0]) if right_ended else what
    message = f"{ended} end after {rows} rows, but {longer} go on: they need as many rows"
    return ShapeError(message, expected=f"more than {rows} rows", got=str(rows))
