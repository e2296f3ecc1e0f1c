"""Datasets of Hugging Face's ``datasets``, recognised without importing it.

They hand out Arrow tables by themselves: rows that were selected, filtered or shuffled come as they
say, and iterable ones as they stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.exceptions import DTypeError, SettingsError
from logitmeter.sources.base import Block, Facts, Reader
from logitmeter.sources.memory_arrow import table_blocks
from logitmeter.sources.vocab import stated_element

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

__all__ = ["dataset_reader"]

BATCH_BYTES = 16 << 20


def dataset_reader(thing: Any) -> Reader | None:
    """Give a reader of this object, if it is such a dataset.

    Raises
    ------
    DTypeError
        Several of them by split: one must be chosen.
    """
    if type(thing).__module__.partition(".")[0] != "datasets":
        return None
    if isinstance(thing, dict):
        splits = ", ".join(map(str, thing))
        message = f"a {type(thing).__name__} holds several datasets ({splits}); pass one of them"
        raise DTypeError(message, expected="one dataset", got=type(thing).__name__)
    return DatasetReader(thing) if hasattr(thing, "with_format") else None


class DatasetReader(Reader):
    """One dataset; its rows are read in batches of about 16 MiB."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset.with_format("arrow")
        self._sized = hasattr(dataset, "__len__")
        self._schema = _schema(self._dataset)

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._schema

    @property
    def facts(self) -> Facts:
        """Its rows, unless it is iterable."""
        rows = len(self._dataset) if self._sized else None
        shape = None if rows is None else (rows,)
        return Facts(num_rows=rows, shape=shape, labels_apart=self._sized, waits=True)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give its rows, reduced to the columns named."""
        chosen = [name for name in self.schema.names if name in names]
        columns = self._dataset.select_columns(chosen)
        first = next(iter(columns.iter(batch_size=1)), None)
        if first is None:
            return
        size = max(1, BATCH_BYTES // max(1, first.nbytes))
        for table in columns.iter(batch_size=size):
            yield from table_blocks(table.select(chosen))

    def element(self, logits: str) -> str | None:
        """Give what the metadata state."""
        return stated_element(self.schema, logits)


def _schema(dataset: Any) -> pa.Schema:
    """Give its columns; of an iterable one that does not know them, those of its first row."""
    if dataset.features is not None:
        return dataset.features.arrow_schema
    first = next(iter(dataset.iter(batch_size=1)), None)
    if first is None:
        raise SettingsError("an iterable dataset without a row has no columns", expected="rows")
    return first.schema
