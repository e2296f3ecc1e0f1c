"""Parquet files, in batches sized by bytes: a row group is never held as a whole.

Parquet keeps every number of a list with two levels, so that logits are slow to decode; rows of
opaque bytes (FixedSizeBinary) are not. Labels are read without the logits.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

from logitmeter.exceptions import CorruptInputError
from logitmeter.sources.base import Block
from logitmeter.sources.damage import named_damage
from logitmeter.sources.file import File

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["ParquetFile"]

MAGIC = b"PAR1"
BATCH_BYTES = 4 << 20
BUFFER_BYTES = 1 << 20
"""What is read at once of a column; without it, all that a row group has of the column.

A page is held whole all the same, and writers may put 1,024 rows into one. Mapped, what a row group
has of a column takes no memory, and neither do pages that are not compressed.
"""
WIDEST_NUMBER = 8


class ParquetFile(File):
    """One file."""

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        with named_damage(self, MAGIC), self.place.open() as file:
            return self._opened(file).schema_arrow

    @property
    def labels_apart(self) -> bool:
        """Columns lie apart."""
        return True

    @property
    def num_rows(self) -> int:
        """Its rows, as its footer says."""
        return int(self._metadata.num_rows)

    def vocab(self, logits: str) -> int | None:
        """Give the length of lists of logits, if the footer says that all may have one length."""
        kind = self.schema.field(logits).type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not self.num_rows:
            return None
        values = sum(column.num_values for _, column in self._chunks({logits}))
        vocab, rest = divmod(values, self.num_rows)
        return None if rest or pa.types.is_nested(kind.value_type) else vocab or None

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its rows, reduced to the columns named."""
        chosen = [name for name in self.schema.names if name in names]
        self.check_unchanged()
        rows = 0
        with named_damage(self, MAGIC), self.place.open(memory_map=self.memory_map) as file:
            opened = self._opened(file)
            size = max(1, BATCH_BYTES // self._row_bytes(chosen))
            for batch in opened.iter_batches(size, columns=chosen, use_threads=False):
                batch.validate(full=True)
                rows += batch.num_rows
                yield Block(batch.num_rows, {name: batch.column(name) for name in chosen})
        self.check_unchanged()
        if rows != self.num_rows:
            message = f"{rows} rows, where its footer says {self.num_rows}"
            raise CorruptInputError(
                message, path=self.path, expected=f"{self.num_rows} rows", got=f"{rows} rows"
            )

    @cached_property
    def _metadata(self) -> Any:
        with named_damage(self, MAGIC), self.place.open() as file:
            return self._opened(file).metadata

    def _opened(self, file: pa.NativeFile) -> Any:
        buffered = 0 if self.memory_map else BUFFER_BYTES
        return pa.parquet.ParquetFile(
            file, buffer_size=buffered, pre_buffer=False, page_checksum_verification=True
        )

    def _chunks(self, names: Collection[str]) -> Iterator[tuple[int, Any]]:
        """Give the rows and the description of each chunk of some columns."""
        for index in range(self._metadata.num_row_groups):
            group = self._metadata.row_group(index)
            for number in range(group.num_columns):
                column = group.column(number)
                if _top(column.path_in_schema, names):
                    yield max(1, group.num_rows), column

    def _row_bytes(self, names: Collection[str]) -> int:
        """Give the most bytes that a row takes, on average over a row group."""
        sizes: list[int] = [
            max(column.num_values * WIDEST_NUMBER, column.total_uncompressed_size) // rows
            for rows, column in self._chunks(names)
        ]
        return max(1, *sizes, 1)


def _top(path: str, names: Collection[str]) -> bool:
    """Whether a leaf lies in one of these columns; names may hold dots themselves."""
    return any(path == name or path.startswith(f"{name}.") for name in names)
