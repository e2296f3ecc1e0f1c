"""Anything that speaks the Arrow protocols: tables, batches, columns of logits, readers, queries.

What lies in memory (pyarrow, polars) is read as often as needed. Other streams are read as they
come; a reader can be read once, and a second time is an error rather than no rows.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pyarrow as pa

from logitmeter.exceptions import CorruptInputError, SettingsError
from logitmeter.sources.base import LOGITS, Block, Facts, Reader
from logitmeter.sources.vocab import stated_element

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["ArrowStream", "ArrowTable", "arrow_reader", "table_blocks", "validated"]

IN_MEMORY = {"polars"}
consumed: WeakSet[pa.RecordBatchReader] = WeakSet()


def arrow_reader(thing: Any) -> Reader | None:
    """Give a reader of this object, if it is one of Arrow's."""
    if isinstance(thing, pa.RecordBatchReader):
        return ArrowStream(thing)
    if hasattr(thing, "__arrow_c_array__") or isinstance(thing, pa.Table | pa.ChunkedArray):
        return ArrowTable(_table(thing))
    if not hasattr(thing, "__arrow_c_stream__"):
        return None
    in_memory = type(thing).__module__.partition(".")[0] in IN_MEMORY
    return ArrowTable(_table(thing)) if in_memory else _stream(thing)


class ArrowTable(Reader):
    """Columns in memory."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._table.schema

    @cached_property
    def facts(self) -> Facts:
        """Its rows; columns lie apart."""
        rows = int(self._table.num_rows)
        return Facts(num_rows=rows, shape=(rows,), labels_apart=True)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """One block where chunks end."""
        return table_blocks(self._table.select(_present(self.schema, names)))

    def element(self, logits: str) -> str | None:
        """Give what the metadata state."""
        return stated_element(self.schema, logits)


class ArrowStream(Reader):
    """Batches that come one after the other."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._one_shot = isinstance(thing, pa.RecordBatchReader)
        self._opened: pa.RecordBatchReader | None = _open(thing)
        self._schema = self._opened.schema

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._schema

    @cached_property
    def facts(self) -> Facts:
        """Nothing is known before it is read."""
        return Facts(read_again=not self._one_shot, waits=True)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its batches, as they come."""
        present = _present(self.schema, names)
        return _blocks(batch.select(present) for batch in self._take())

    def element(self, logits: str) -> str | None:
        """Give what the metadata state."""
        return stated_element(self.schema, logits)

    def _take(self) -> pa.RecordBatchReader:
        """Give the stream, opened anew if it was read before."""
        opened, self._opened = self._opened, None
        if self._one_shot:
            _take_once(self._thing)
            return self._thing
        return _open(self._thing) if opened is None else opened


def _open(thing: Any) -> pa.RecordBatchReader:
    if isinstance(thing, pa.RecordBatchReader):
        return thing
    try:
        return pa.RecordBatchReader.from_stream(thing)
    except pa.ArrowException:
        raise
    except Exception as error:
        message = f"this {type(thing).__name__} hands out no stream (any more): {error}"
        raise SettingsError(message, expected="a stream that can be read") from error


def _take_once(reader: pa.RecordBatchReader) -> None:
    if reader in consumed:
        raise SettingsError(
            "this reader has been consumed; read it into a table, or make a new one for each call",
            expected="a reader not read before",
            got="a consumed reader",
        )
    consumed.add(reader)


def _stream(thing: Any) -> Reader:
    """Give a stream of batches, or of chunks of one column."""
    try:
        return ArrowStream(thing)
    except pa.ArrowInvalid:
        return ArrowTable(_table(pa.chunked_array(thing)))


def _table(thing: Any) -> pa.Table:
    """Give a table, zero-copy: of batches, of structs, or of one column of logits."""
    if isinstance(thing, pa.Table):
        return thing
    if isinstance(thing, pa.RecordBatch):
        return pa.Table.from_batches([thing])
    if not isinstance(thing, pa.ChunkedArray):
        thing = _imported(thing)
    if isinstance(thing, pa.Table):
        return thing
    if pa.types.is_struct(thing.type):
        schema = pa.schema(list(thing.type))
        batches = [pa.RecordBatch.from_struct_array(chunk) for chunk in thing.chunks]
        return pa.Table.from_batches(batches, schema)
    return pa.table({LOGITS: thing})


def _imported(thing: Any) -> pa.Table | pa.ChunkedArray:
    if hasattr(thing, "__arrow_c_array__"):
        return pa.chunked_array([pa.array(thing)])
    try:
        return pa.RecordBatchReader.from_stream(thing).read_all()
    except pa.ArrowInvalid:  # not of structs: one column
        return pa.chunked_array(thing)


def table_blocks(table: pa.Table) -> Iterator[Block]:
    """One block where chunks end."""
    return _blocks(table.to_batches())


def _blocks(batches: Any) -> Iterator[Block]:
    for batch in batches:
        validated(batch)
        yield Block(batch.num_rows, dict(zip(batch.schema.names, batch.columns, strict=True)))


def validated(data: Any) -> None:
    """Refuse Arrow data whose offsets, indices or text point nowhere: the core trusts them."""
    try:
        data.validate(full=True)
    except pa.ArrowException as error:
        text = str(error).partition("\n")[0]
        raise CorruptInputError(
            f"invalid Arrow data: {text}", expected="valid Arrow data", got=text
        ) from error


def _present(schema: pa.Schema, names: Collection[str]) -> list[str]:
    return [name for name in schema.names if name in names]
