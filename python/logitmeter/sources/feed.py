"""What the core is given: one Arrow stream, and which of its columns plays which part.

An error raised while the stream is read crosses to the core as text only; it is kept here in
``error``, so that the caller can raise the original.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa

from logitmeter.exceptions import DTypeError, LabelError, SettingsError
from logitmeter.sources.roles import DATA, SCORES
from logitmeter.sources.vocab import row_bytes, storage_of, vocab_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter._core import Columns
    from logitmeter.sources.base import Block, Reader

__all__ = ["Feed"]


class Feed:
    """A reader bound to its columns, ready to be read from its start.

    Attributes
    ----------
    columns
        For the core; every part is stated, None where it is not used.
    dtype
        The element type, where it was stated or the Arrow type cannot say it.
    error
        What went wrong while the stream was read, if anything.
    """

    def __init__(
        self,
        reader: Reader,
        columns: Columns,
        *,
        dtype: str | None = None,
        null_labels: Literal["raise", "ignore"] = "raise",
    ) -> None:
        self.reader = reader
        self.columns = columns
        self.dtype = dtype
        self.null_labels = null_labels
        self.error: BaseException | None = None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand out the stream, from the start of the input."""
        stream: object = self.batches().__arrow_c_stream__(requested_schema)
        return stream

    def batches(self) -> pa.RecordBatchReader:
        """Give the same for pyarrow."""
        return pa.RecordBatchReader.from_batches(self.schema, self._kept())

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that are read."""
        names = self.names
        return pa.schema([field for field in self.reader.schema if field.name in names])

    @cached_property
    def names(self) -> set[str]:
        """The columns that are read, by name."""
        return set(_names(self.columns))

    @property
    def scored(self) -> bool:
        """Whether the rows hold scores in place of logits."""
        return self.columns.get("nll") is not None

    def without_logits(self) -> Feed:
        """Give the same rows, of all columns but the logits or the scores in their place."""
        scorers = {"logits", *SCORES}
        kept = {part: column for part, column in self.columns.items() if part not in scorers}
        return Feed(self.reader, cast("Columns", kept), null_labels=self.null_labels)

    def of_logits(self) -> Feed:
        """Give the same rows, of the logits and the mask alone."""
        if self.scored:
            raise _no_logits()
        columns: Columns = {"logits": self.columns["logits"], "mask": self.columns["mask"]}
        columns |= {"labels": None, "weight": None, "sequence_id": None, "scope": None}
        return Feed(self.reader, columns, dtype=self.dtype)

    @property
    def read_ahead(self) -> bool:
        """Whether blocks take time to come."""
        return self.reader.facts.waits

    @property
    def labels_first(self) -> bool:
        """Whether all but the logits can be checked before a logit is read."""
        known = self.scored or self.stated_vocab is not None
        return self.reader.facts.labels_apart and known

    @property
    def num_rows(self) -> int | None:
        """Positions, if known."""
        return self.reader.facts.num_rows

    @property
    def num_logits_rows(self) -> int | None:
        """Rows of logits, if known: positions without those that have none."""
        return None if self.num_rows is None else self.logits_rows(self.num_rows)

    def logits_rows(self, positions: int) -> int:
        """Count the rows of logits among the first so many positions."""
        period = self.reader.facts.row_period
        return positions if period is None else positions - positions // period

    @property
    def num_bytes(self) -> int | None:
        """Bytes of logits, if known; of files, their size."""
        size = None if self.scored else row_bytes(self._logits_type)
        rows = self.num_logits_rows
        return self.reader.facts.num_bytes if rows is None or size is None else rows * size

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the labels, if known."""
        return self.reader.facts.shape

    @cached_property
    def stated_vocab(self) -> int | None:
        """The length of a row, if type or file state it; of scores what the input says it was."""
        if self.scored:
            return self.columns.get("vocab_size")
        return vocab_of(self._logits_type, self.dtype) or self.reader.vocab(self.columns["logits"])

    @property
    def vocab_size(self) -> int | None:
        """The length of a row; where only the rows tell, the first one is looked at.

        None where rows hold scores, which do not say it.
        """
        stated = self.stated_vocab
        return self._peeked_vocab() if stated is None and not self.scored else stated

    @property
    def element(self) -> str | None:
        """The element type of the logits, as NumPy names it; None where there are none."""
        if self.dtype is not None or self.scored:
            return self.dtype
        kind = self._logits_type
        while hasattr(kind, "value_type") or hasattr(kind, "storage_type"):
            kind = getattr(kind, "storage_type", None) or kind.value_type
        return {"halffloat": "float16", "float": "float32", "double": "float64"}.get(
            str(kind), str(kind)
        )

    @property
    def logits_element(self) -> str:
        """The same, for what needs logits."""
        element = self.element
        if element is None:
            raise _no_logits()
        return element

    def locate(self, position: int) -> tuple[str, int] | None:
        """Give the file of this position, and the row in it."""
        return self.reader.locate(position)

    def refused(self, error: LabelError) -> LabelError:
        """Give the error in the reader's words, if the core refused a loss that stands for them."""
        reason = self.reader.reason(float(error.got or 0)) if _of_loss(error) else None
        if reason is None:
            return error
        message, expected, got = reason
        return LabelError(
            f"{message}, at position {error.position}; expected {expected}",
            position=error.position,
            row=error.row,
            path=error.path,
            expected=expected,
            got=got,
            partial=error.partial,
        )

    @cached_property
    def _logits_type(self) -> Any:
        return None if self.scored else self.reader.schema.field(self.columns["logits"]).type

    def _peeked_vocab(self) -> int:
        if not self.reader.facts.read_again:
            raise SettingsError(
                "the length of a row is not known before the reader is read; "
                "give logits as FixedSizeList, or a table instead of a reader"
            )
        name, kind = self.columns["logits"], storage_of(self._logits_type)
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            message = (
                f"column {name!r} has type {kind}, which does not say how many logits a row holds; "
                'lists are needed, or opaque bytes with their element type stated (dtype="bf16")'
            )
            raise DTypeError(message, expected="lists of logits", got=str(kind))
        blocks = self.reader.blocks({name})
        lengths = (len(row) for block in blocks for row in block.columns[name] if row.is_valid)
        return next(lengths, 1)

    def _kept(self) -> Iterator[pa.RecordBatch]:
        """Give the batches; an error is kept before it crosses the border."""
        schema = self.schema
        try:
            for block in self.reader.blocks(self.names):
                yield _batch(block, schema)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


def _of_loss(error: LabelError) -> bool:
    return str(error.args[0]).startswith("nll is -")


def _no_logits() -> SettingsError:
    message = "the source holds scores of tokens, and this needs rows of logits"
    return SettingsError(message, expected="logits", got="scores")


def _names(columns: Columns) -> Iterator[str]:
    parts = ("logits", *SCORES, *DATA, "scope")
    yield from (name for part in parts if isinstance(name := columns.get(part), str))
    yield from columns.get("by", ())
    yield from columns.get("keep", ())


def _batch(block: Block, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([block.columns[name] for name in schema.names], schema=schema)
