"""A file of logits with a file of its labels (or its mask, weights, ids), paired in order."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from logitmeter.exceptions import ShapeError
from logitmeter.sources.align import merged_schema, paired_blocks
from logitmeter.sources.file import File

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from logitmeter.sources.base import Block

__all__ = ["FilePair", "SideFile", "pair_files"]


class Around(File):
    """A file as it is, for what differs in part."""

    def __init__(self, inner: File) -> None:
        super().__init__(inner.place)
        self.inner = inner

    @property
    def schema(self) -> pa.Schema:
        """As the file inside."""
        return self.inner.schema

    @property
    def labels_apart(self) -> bool:
        """As the file inside."""
        return self.inner.labels_apart

    @property
    def scored(self) -> bool:
        """As the file inside."""
        return self.inner.scored

    @property
    def vocab_size(self) -> int | None:
        """As the file inside."""
        return self.inner.vocab_size

    @property
    def num_rows(self) -> int | None:
        """As the file inside."""
        return self.inner.num_rows

    @property
    def shape(self) -> tuple[int, ...] | None:
        """As the file inside."""
        return self.inner.shape

    @property
    def sequences(self) -> bool:
        """As the file inside."""
        return self.inner.sequences

    @property
    def row_period(self) -> int | None:
        """As the file inside."""
        return self.inner.row_period

    def element(self, logits: str) -> str | None:
        """As the file inside."""
        return self.inner.element(logits)

    def vocab(self, logits: str) -> int | None:
        """As the file inside."""
        return self.inner.vocab(logits)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """As the file inside."""
        return self.inner.blocks(names)

    def check_unchanged(self) -> None:
        """As the file inside."""
        self.inner.check_unchanged()


class SideFile(Around):
    """A file of labels, whose logits, if it has some too, are not those that are scored."""

    def __init__(self, inner: File, logits: str) -> None:
        super().__init__(inner)
        self._logits = logits

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns without logits."""
        return pa.schema([field for field in self.inner.schema if field.name != self._logits])


class FilePair(Around):
    """A file of logits with one of labels; where both have a column, that of the labels is used."""

    def __init__(self, logits: File, side: File) -> None:
        super().__init__(logits)
        self._side = side

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of both."""
        self._check_shapes()
        return merged_schema(self.inner.schema, self._side.schema)

    def padded(self, labels: tuple[int, ...]) -> File | None:
        """As the file of logits; what was paired with it has its rows still."""
        padded = self.inner.padded(labels)
        return None if padded is None else FilePair(padded, self._side)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the rows of both, which must be as many."""
        what = (f"the rows of {self.path}", f"those of {self._side.path}")
        return paired_blocks(self.inner, self._side, names, what)

    def check_unchanged(self) -> None:
        """Check both."""
        self.inner.check_unchanged()
        self._side.check_unchanged()

    def _check_shapes(self) -> None:
        """Refuse ``[T, B]`` beside ``[B, T, V]``, which would be as many rows."""
        logits, side = self.inner.shape, self._side.shape
        if logits is None or side is None or logits == side:
            return
        wanted, found = str(list(logits)), str(list(side))
        message = f"shape {found}, but {wanted} is needed for the logits of {self.path}"
        if len(side) == len(logits) == 2 and side == (logits[0], logits[1] + 1):  # noqa: PLR2004
            message += "; logits [B, T - 1, V] go with labels [B, T] under shift=True"
        raise ShapeError(message, path=self._side.path, expected=wanted, got=found)


def pair_files(logits: Sequence[File], sides: Sequence[File], *, shift: bool) -> list[File]:
    """Each file of logits with its file of labels, in order."""
    if len(logits) != len(sides):
        message = (
            f"{len(logits)} files of logits, but {len(sides)} of labels; they are paired in order"
        )
        raise ShapeError(message, expected=f"{len(logits)} files of labels", got=str(len(sides)))
    return [_pair(*pair, shift=shift) for pair in zip(logits, sides, strict=True)]


def _pair(logits: File, side: File, *, shift: bool) -> FilePair:
    """Pair two files; under shift, labels may be one more for each sequence than the logits."""
    padded = logits.padded(side.shape) if shift and side.shape is not None else None
    return FilePair(padded or logits, side)
