"""What every reader gives: blocks of columns, and what is known before anything is read.

A new format is one new file with one subclass of `Reader`. Pairing with labels from elsewhere
(`align.py`) and reading only the first rows (`limit.py`) are readers around a reader, so every
format has them for nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

    from logitmeter.sources.top_k_faults import Reason

__all__ = ["LOGITS", "SCOPE", "Block", "Facts", "Reader"]

LOGITS = "logits"
SCOPE = "__scope__"
"""The column that a reader adds where its files, or its ``b`` of ``[B, T, V]``, end sequences."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of some columns."""

    num_rows: int
    columns: dict[str, pa.Array] = field(default_factory=dict)

    def slice(self, start: int, length: int) -> Block:
        """`length` rows from `start` on, zero-copy."""
        columns = {name: array.slice(start, length) for name, array in self.columns.items()}
        return Block(length, columns)

    def joined(self, other: Block) -> Block:
        """Give the same rows with the columns of another block of as many rows."""
        return Block(self.num_rows, self.columns | other.columns)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an input before it is read."""

    num_rows: int | None = None
    num_bytes: int | None = None
    """The size of files; of arrays it follows from the rows."""
    shape: tuple[int, ...] | None = None
    """The shape of the labels: ``(N,)`` or ``(B, T)``; None if rows come as a stream."""
    read_again: bool = True
    labels_apart: bool = False
    """The other columns can be read without reading a logit."""
    waits: bool = False
    """A block takes time to come (files, devices, queries), so that reading ahead pays."""
    scope: str | None = None
    """The column whose change ends a sequence."""
    sequence: str | None = None
    """The column of sequence ids where the caller names none."""
    vocab_size: int | None = None
    """Of scores: over how many entries they were made."""
    row_period: int | None = None
    """The last position of each so many has a label but no row of logits."""


class Reader(ABC):
    """One input of one format."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """All the columns there are, in order."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is known before reading."""

    @abstractmethod
    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the input from its start, as blocks that hold at least the columns named."""

    def element(self, logits: str) -> str | None:  # noqa: ARG002 - for overriding
        """Give the element type, where the input states what its Arrow type cannot: "bfloat16"."""
        return None

    def vocab(self, logits: str) -> int | None:  # noqa: ARG002 - for overriding
        """Give the length of a row, where the input says it but the column's type does not."""
        return None

    def reason(self, loss: float) -> Reason | None:  # noqa: ARG002 - for overriding
        """Say what is wrong with a row that was given this loss, which no loss can be."""
        return None

    def locate(self, position: int) -> tuple[str, int] | None:  # noqa: ARG002 - for overriding
        """Give the file that holds this row of the input, and the row's place there."""
        return None
