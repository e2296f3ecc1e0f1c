"""One file of any format, as `Files` joins them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

from logitmeter.sources.vocab import stated_element

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

    from logitmeter.sources.base import Block
    from logitmeter.sources.place import Place, Stamp

__all__ = ["File"]


class File(ABC):
    """A file that is opened anew for each read."""

    def __init__(self, place: Place, *, memory_map: bool = False) -> None:
        self.place = place
        self.path = place.path
        self.memory_map = memory_map

    @cached_property
    def stamp(self) -> Stamp:
        """What the file was when it was first looked at."""
        return self.place.stamp()

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return self.stamp.size

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Its columns."""

    @property
    @abstractmethod
    def labels_apart(self) -> bool:
        """Its other columns can be read without reading a logit."""

    @property
    def scored(self) -> bool:
        """It holds scores of tokens, and no logits."""
        return False

    @property
    def vocab_size(self) -> int | None:
        """Of scores: over how many entries they were made, if it says so."""
        return None

    @property
    def num_rows(self) -> int | None:
        """Its rows, where they are known before it is read."""
        return None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of its labels, ``(N,)`` or ``(B, T)``; None where it holds rows alone."""
        return None

    @property
    def sequences(self) -> bool:
        """Its column `SCOPE` says which rows are one sequence."""
        return False

    @property
    def row_period(self) -> int | None:
        """The last of each so many rows has a label but no logits."""
        return None

    def padded(self, labels: tuple[int, ...]) -> File | None:  # noqa: ARG002 - for overriding
        """Give the same for labels ``[B, T]``, if its logits are ``[B, T - 1, V]``."""
        return None

    def element(self, logits: str) -> str | None:
        """Give the element type that it states where its Arrow type cannot."""
        return stated_element(self.schema, logits)

    def vocab(self, logits: str) -> int | None:  # noqa: ARG002 - for overriding
        """Give the length of a row, where the file says it but the column's type does not."""
        return None

    @abstractmethod
    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give its rows."""

    def check_unchanged(self) -> None:
        """Refuse a file that is not what it was when it was first looked at."""
        self.place.check_unchanged(self.stamp)
