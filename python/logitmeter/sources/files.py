"""Several files as one input: each a scope of its own, or joined; with label files beside them."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import DTypeError, SettingsError, ShapeError
from logitmeter.sources.align import merged_schema, paired_blocks
from logitmeter.sources.base import SCOPE, Block, Facts, Reader
from logitmeter.sources.vocab import METADATA_KEY, stated_element, vocab_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["FILE", "File", "FilePair", "Files"]

FILE = "file"
"""The name under which ``by="file"`` finds the path of each row."""


class File(Protocol):
    """One file of any format."""

    path: str

    @property
    def scored(self) -> bool:
        """It holds scores of tokens, and no logits."""

    @property
    def vocab_size(self) -> int | None:
        """Of scores: over how many entries they were made, if it says so."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    @property
    def num_bytes(self) -> int:
        """Its size."""

    @property
    def labels_apart(self) -> bool:
        """Its other columns can be read without reading a logit."""

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its rows."""


class FilePair:
    """A file of logits with the file of its labels; columns of the latter win."""

    def __init__(self, logits: File, labels: File) -> None:
        self.path = logits.path
        self.scored = logits.scored
        self._logits = logits
        self._labels = labels

    @property
    def vocab_size(self) -> int | None:
        """As the file of logits."""
        return self._logits.vocab_size

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of both."""
        return merged_schema(self._logits.schema, self._labels.schema)

    @property
    def num_bytes(self) -> int:
        """The size of the logits."""
        return self._logits.num_bytes

    @property
    def labels_apart(self) -> bool:
        """By the format of the logits, which may hold a mask or ids too."""
        return self._logits.labels_apart

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the rows of both, which must be as many."""
        what = (f"the rows of {self.path}", f"those of {self._labels.path}")
        return paired_blocks(self._logits, self._labels, names, what)


def pair_files(logits: Sequence[File], labels: Sequence[File]) -> list[File]:
    """Each file of logits with its file of labels, in order."""
    if len(logits) != len(labels):
        message = (
            f"{len(logits)} files of logits, but {len(labels)} of labels; they are paired in order"
        )
        raise ShapeError(message, expected=f"{len(logits)} files of labels", got=str(len(labels)))
    return [FilePair(*pair) for pair in zip(logits, labels, strict=True)]


class Files(Reader):
    """Files as one stream, in order."""

    def __init__(self, files: Sequence[File], *, join: bool = False) -> None:
        self._files = list(files)
        self._join = join
        self._starts: dict[int, int] = {}

    def paired(self, labels: Sequence[File]) -> Files:
        """Give the same files, each with the file of its labels."""
        return Files(pair_files(self._files, labels), join=self._join)

    @property
    def scored(self) -> bool:
        """Whether they hold scores, whatever the caller says; their first bytes say so."""
        return self._files[0].scored

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the first file, its path, and its number."""
        schema = self._files[0].schema
        if FILE not in schema.names:
            schema = schema.append(pa.field(FILE, pa.string()))
        return schema if self._join else schema.append(pa.field(SCOPE, pa.int64()))

    @cached_property
    def facts(self) -> Facts:
        """Sizes; the rows are known only when they are read."""
        return Facts(
            num_bytes=sum(file.num_bytes for file in self._files),
            labels_apart=all(file.labels_apart for file in self._files),
            waits=True,
            scope=None if self._join else SCOPE,
            vocab_size=self._files[0].vocab_size,
        )

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the rows of all files, after a look at each file's schema."""
        self._agree(names)
        start = 0
        for index, file in enumerate(self._files):
            self._starts[index] = start
            for block in file.blocks(names):
                start += block.num_rows
                yield block.joined(self._marks(index, block.num_rows, names))

    def element(self, logits: str) -> str | None:
        """Give the element type that the files' metadata state; all must state the same."""
        stated = [stated_element(file.schema, logits) for file in self._files]
        for file, (one, other) in zip(self._files[1:], pairwise(stated), strict=True):
            if one != other:
                message = (
                    f"the metadata {METADATA_KEY!r} is {other}, but {one} in the file before it"
                )
                raise DTypeError(message, path=file.path, expected=str(one), got=str(other))
        return stated[0]

    def locate(self, position: int) -> tuple[str, int] | None:
        """By where each file began, as far as they were read."""
        started = [(start, index) for index, start in self._starts.items() if start <= position]
        if not started:
            return None
        start, index = max(started)
        return self._files[index].path, position - start

    def _marks(self, index: int, rows: int, names: Collection[str]) -> Block:
        """Give the columns that no file holds."""
        marks = {}
        if SCOPE in names and not self._join:
            marks[SCOPE] = pa.array(np.full(rows, index, np.int64))
        if FILE in names and FILE not in self._files[0].schema.names:
            marks[FILE] = pa.repeat(self._files[index].path, rows)
        return Block(rows, marks)

    def _agree(self, names: Collection[str]) -> None:
        first = self._files[0]
        for file in self._files[1:]:
            if file.vocab_size != first.vocab_size:
                message = (
                    f"a vocabulary of {file.vocab_size}, but {first.path} has {first.vocab_size}"
                )
                expected, got = str(first.vocab_size), str(file.vocab_size)
                raise ShapeError(message, path=file.path, expected=expected, got=got)
            for field in first.schema:
                if field.name in names:
                    _check_field(field, file, first.path)


def _check_field(field: pa.Field, file: File, first: str) -> None:
    """Check that a file has a column of this name and type."""
    if field.name not in file.schema.names:
        message = (
            f"no column {field.name!r}, which {first} has; here are: {', '.join(file.schema.names)}"
        )
        raise SettingsError(message, path=file.path, expected=field.name)
    found = file.schema.field(field.name).type
    if found.equals(field.type) or _same_but_nullable(found, field.type):
        return
    sizes = vocab_of(field.type), vocab_of(found)
    kind = ShapeError if None not in sizes and sizes[0] != sizes[1] else DTypeError
    message = f"column {field.name!r} is {found}, but {field.type} in {first}"
    raise kind(message, path=file.path, expected=str(field.type), got=str(found))


def _same_but_nullable(one: pa.DataType, other: pa.DataType) -> bool:
    """Fixed-size lists that differ only in whether an item may be null."""
    lists = pa.types.is_fixed_size_list(one) and pa.types.is_fixed_size_list(other)
    return bool(
        lists and one.list_size == other.list_size and one.value_type.equals(other.value_type)
    )
