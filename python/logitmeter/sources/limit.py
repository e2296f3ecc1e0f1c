"""The first rows of an input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from logitmeter.sources.base import Block, Facts, Reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

__all__ = ["Limited"]


class Limited(Reader):
    """A reader that stops after some rows; what lies beyond is not read."""

    def __init__(self, inner: Reader, rows: int) -> None:
        self.inner = inner
        self.rows = rows

    @property
    def schema(self) -> pa.Schema:
        """That of the reader inside."""
        return self.inner.schema

    @property
    def facts(self) -> Facts:
        """Those of the reader inside, cut to the rows that are read."""
        facts = self.inner.facts
        if facts.num_rows is None:
            return replace(facts, num_bytes=None)
        if facts.num_rows <= self.rows:
            return facts
        return replace(facts, num_rows=self.rows, num_bytes=None, shape=(self.rows,))

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the blocks of the reader inside; the last one is cut."""
        left = self.rows
        if left == 0:
            return
        for block in self.inner.blocks(names):
            yield block if block.num_rows <= left else block.slice(0, left)
            left -= block.num_rows
            if left <= 0:
                return

    def element(self, logits: str) -> str | None:
        """As the reader inside."""
        return self.inner.element(logits)

    def vocab(self, logits: str) -> int | None:
        """As the reader inside."""
        return self.inner.vocab(logits)

    def locate(self, position: int) -> tuple[str, int] | None:
        """As the reader inside."""
        return self.inner.locate(position)
