"""Several files as one input: each a scope of its own, or joined.

A file may tell its own sequences apart (the b of ``[B, T, V]``) in its column `SCOPE`; their
numbers then go on from file to file.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logitmeter.exceptions import CorruptInputError, DTypeError, SettingsError, ShapeError
from logitmeter.sources.base import SCOPE, Block, Facts, Reader
from logitmeter.sources.file_pair import pair_files
from logitmeter.sources.vocab import vocab_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from logitmeter.sources.file import File

__all__ = ["FILE", "Files"]

FILE = "file"
"""The name under which ``by="file"`` finds the path of each row."""


class Files(Reader):
    """Files as one stream, in order."""

    def __init__(self, files: Sequence[File], *, join: bool = False) -> None:
        self._files = list(files)
        self._join = join
        self._starts: dict[int, int] = {}

    def paired(self, sides: Sequence[File], *, shift: bool = False) -> Files:
        """Give the same files, each with the file of its labels, masks or the like."""
        return Files(pair_files(self._files, sides, shift=shift), join=self._join)

    def damaged(self) -> Iterator[CorruptInputError]:
        """Look at the head, or the foot, of each file, and give what is wrong there."""
        for file in self._files:
            try:
                _ = file.schema, file.num_rows
            except CorruptInputError as error:
                yield error

    @property
    def scored(self) -> bool:
        """Whether they hold scores, whatever the caller says; their first bytes say so."""
        return self._files[0].scored

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the first file, its path, and the number of the sequence."""
        schema = pa.schema([field for field in self._files[0].schema if field.name != SCOPE])
        schema = schema.with_metadata(self._files[0].schema.metadata)
        if FILE not in schema.names:
            schema = schema.append(pa.field(FILE, pa.string()))
        return schema.append(pa.field(SCOPE, pa.int64())) if self._scoped else schema

    @cached_property
    def facts(self) -> Facts:
        """Sizes; of some formats the rows are known only when they are read."""
        rows = [file.num_rows for file in self._files]
        known = None if None in rows else sum(count for count in rows if count is not None)
        alone = self._files[0].shape if len(self._files) == 1 else None
        return Facts(
            num_rows=known,
            num_bytes=sum(file.num_bytes for file in self._files),
            shape=alone or (None if known is None else (known,)),
            labels_apart=all(file.labels_apart for file in self._files),
            waits=True,
            scope=SCOPE if self._scoped else None,
            sequence=SCOPE if self._sequences else None,
            row_period=self._row_period,
            vocab_size=self._files[0].vocab_size,
        )

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give the rows of all files, after a look at each file's schema."""
        self._agree(names)
        start = scope = 0
        for index, file in enumerate(self._files):
            self._starts[index] = start
            after = scope + 1
            for block in file.blocks(names):
                start += block.num_rows
                marks = self._marks(index, block, scope, names)
                after = max(after, _last(marks) + 1)
                yield block.joined(marks)
            scope = after

    def element(self, logits: str) -> str | None:
        """Give the element type that the files' metadata state; all must state the same."""
        stated = [file.element(logits) for file in self._files]
        for file, (one, other) in zip(self._files[1:], pairwise(stated), strict=True):
            if one != other:
                message = f"the element type is stated as {other}, but as {one} in the file before"
                raise DTypeError(message, path=file.path, expected=str(one), got=str(other))
        return stated[0]

    def vocab(self, logits: str) -> int | None:
        """Give the length of a row, if all files say the same."""
        found = {file.vocab(logits) for file in self._files if logits in file.schema.names}
        return found.pop() if len(found) == 1 else None

    def locate(self, position: int) -> tuple[str, int] | None:
        """By where each file began, as far as they were read."""
        started = [(start, index) for index, start in self._starts.items() if start <= position]
        if not started:
            return None
        start, index = max(started)
        return self._files[index].path, position - start

    @property
    def _sequences(self) -> bool:
        """Whether the files tell their sequences apart."""
        return self._files[0].sequences

    @property
    def _scoped(self) -> bool:
        return self._sequences or not self._join

    @property
    def _row_period(self) -> int | None:
        """Every how many rows one has no logits: the same in each file, since it is counted."""
        first = self._files[0].row_period
        for file in self._files[1:]:
            if file.row_period != first:
                message = f"labels {_period(file)}, but {_period(self._files[0])} in the first file"
                raise ShapeError(message, path=file.path, expected=str(first))
        return first

    def _marks(self, index: int, block: Block, scope: int, names: Collection[str]) -> Block:
        """Give the columns that no file holds."""
        marks = {}
        if SCOPE in names and self._scoped:
            own = block.columns.get(SCOPE)
            marks[SCOPE] = (
                pa.array(np.full(block.num_rows, scope, np.int64))
                if own is None
                else pc.add(own, scope)
            )
        if FILE in names and FILE not in self._files[0].schema.names:
            marks[FILE] = pa.repeat(self._files[index].path, block.num_rows)
        return Block(block.num_rows, marks)

    def _agree(self, names: Collection[str]) -> None:
        first = self._files[0]
        for file in self._files[1:]:
            if file.sequences != first.sequences:
                message = f"{_kind(file)}, but {_kind(first)} in {first.path}"
                raise ShapeError(message, path=file.path, expected=_kind(first), got=_kind(file))
            if file.vocab_size != first.vocab_size:
                message = (
                    f"a vocabulary of {file.vocab_size}, but {first.path} has {first.vocab_size}"
                )
                expected, got = str(first.vocab_size), str(file.vocab_size)
                raise ShapeError(message, path=file.path, expected=expected, got=got)
            for field in first.schema:
                if field.name in names and field.name != SCOPE:
                    _check_field(field, file, first.path)


def _last(marks: Block) -> int:
    scopes = marks.columns.get(SCOPE)
    return int(scopes[-1].as_py()) if scopes is not None and len(scopes) else -1


def _kind(file: File) -> str:
    return "sequences [B, T, V]" if file.sequences else "rows [N, V]"


def _period(file: File) -> str:
    return f"[B, T] with T = {file.row_period}" if file.row_period else "as many as logits"


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
    opaque = pa.types.is_fixed_size_binary(found) and pa.types.is_fixed_size_binary(field.type)
    other_length = None not in sizes and sizes[0] != sizes[1]
    kind = ShapeError if opaque or other_length else DTypeError
    message = f"column {field.name!r} is {found}, but {field.type} in {first}"
    raise kind(message, path=file.path, expected=str(field.type), got=str(found))


def _same_but_nullable(one: pa.DataType, other: pa.DataType) -> bool:
    """Fixed-size lists that differ only in whether an item may be null."""
    lists = pa.types.is_fixed_size_list(one) and pa.types.is_fixed_size_list(other)
    return bool(
        lists and one.list_size == other.list_size and one.value_type.equals(other.value_type)
    )
