"""`DumpWriter`: the other half, for loops that make logits to be scored later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from logitmeter._dump_files import DumpFiles
from logitmeter._dump_sequences import DumpSequences
from logitmeter._rounding import rounded, stored_type
from logitmeter.arguments import flag, one_of, whole
from logitmeter.exceptions import SettingsError, ShapeError
from logitmeter.sources import data_of, open_source
from logitmeter.sources.base import SCOPE
from logitmeter.sources.dtypes import arrow_type, element_name, element_of
from logitmeter.sources.memory_numpy import list_array, row_blocks
from logitmeter.sources.vocab import METADATA_KEY, storage_of, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Literal

    from logitmeter._core import Columns
    from logitmeter.sources import SourceLike
    from logitmeter.sources.feed import Feed
    from logitmeter.sources.memory_numpy import Array

__all__ = ["DumpWriter"]

PIECE_BYTES = 16 << 20
"""A batch holds about so many bytes, which is what writing and reading needs of memory."""
PARTS = ("labels", "mask", "weight")


class DumpWriter:
    """Writes logits with their labels as Arrow IPC that `evaluate` reads without an option.

    Every row keeps what was said of it, in columns ``logits``, ``labels``, ``mask``, ``weight``,
    ``sequence_id`` and those of `columns`. The files have hidden names until the writer is closed
    without an error, so that a run that dies leaves no dump that looks whole: what was written up
    to then is in ``.NAME.*.part`` (closed, if Python ended the run; else an Arrow stream from its
    byte 8 on).

    Parameters
    ----------
    path
        The file. With `shard_bytes`, ``dump.arrow`` stands for ``dump-00000-of-00003.arrow`` and so
        on.
    vocab_size
        The V of the logits.
    dtype
        The element type that is written, ``"bf16"`` for one; by default that of the first logits.
        Numbers are rounded to nearest, ties to even.
    model, tokenizer
        Names, kept among the metadata.
    shard_bytes
        A file that has come to so many bytes is ended where the next sequence begins.
    compression
        ``"lz4"`` or ``"zstd"``; logits hardly get smaller, and are read several times as slowly.
    number_sequences
        Number the sequences even where ids are given: those of several files may be the same.

    Attributes
    ----------
    num_rows
        Rows written.
    paths
        The files, once they have their names; empty if nothing was written.

    Raises
    ------
    FileExistsError
        There is such a dump already.

    Examples
    --------
    A model, here of NumPy, is run over two texts and scored later:

    >>> import os, tempfile
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> table = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
    >>> texts = [[3, 1, 4, 1, 5], [9, 2, 6]]
    >>> path = os.path.join(tempfile.mkdtemp(), "dump.arrow")
    >>> with lm.DumpWriter(path, vocab_size=50, dtype="bf16", model="bigram") as writer:
    ...     for tokens in texts:
    ...         writer.write(table[tokens][np.newaxis], np.array([tokens]))
    >>> lm.evaluate(path, shift=True).num_tokens
    6
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        vocab_size: int,
        dtype: Any = None,
        model: str | None = None,
        tokenizer: str | None = None,
        shard_bytes: int | None = None,
        compression: Literal["lz4", "zstd"] | None = None,
        number_sequences: bool = False,
    ) -> None:
        if compression is not None:
            one_of("compression", compression, ("lz4", "zstd"))
        self._vocab = whole("vocab_size", vocab_size, 1)
        self._element = element_name(dtype)
        self._names = {"model": model, "tokenizer": tokenizer}
        self._limit = None if shard_bytes is None else whole("shard_bytes", shard_bytes, 1)
        sharded = shard_bytes is not None
        self._files = DumpFiles(os.fspath(path), sharded=sharded, compression=compression)
        self._schema: pa.Schema | None = None
        self._sequences = DumpSequences(numbered=flag("number_sequences", number_sequences))
        self._closed = False
        self._before = 0
        self.num_rows = 0
        self.paths: list[str] = []

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<logitmeter.DumpWriter: {self.num_rows:,} rows, {state}>"

    def write(
        self,
        logits: SourceLike,
        labels: Any = None,
        *,
        mask: Any = None,
        weight: Any = None,
        sequence_id: Any = None,
        columns: Mapping[str, Any] | Sequence[str] = (),
        final: bool = True,
    ) -> None:
        """Append some rows; each call must give the same parts.

        Parameters
        ----------
        logits
            ``[N, V]`` or ``[B, T, V]`` of NumPy, torch or jax, or anything else that `scan` takes.
        labels, mask, weight
            As of `evaluate`.
        sequence_id
            Integers or strings; no id may come back. Without it sequences are numbered: each b of
            ``[B, T, V]``, or the rows of a call.
        columns
            ``{name: array}``, or names of columns of the source: more columns, to group by.
        final
            False if the last sequence goes on in the next call; not for ``[B, T, V]``.

        Raises
        ------
        ShapeError, DTypeError, SettingsError
            Arguments that do not fit together, or with those of the calls before.
        SequenceError
            An id that comes back.
        NonFiniteError
            A logit too large for the element type. (Those too low for it become -inf.)

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> path = os.path.join(tempfile.mkdtemp(), "dump.arrow")
        >>> with lm.DumpWriter(path, vocab_size=4) as writer:
        ...     writer.write(np.zeros((2, 4)), [0, 1], final=False)
        ...     writer.write(np.zeros((1, 4)), [2])
        >>> lm.sequence_scores(path).read_all()["num_tokens"].to_pylist()
        [3]
        """
        if self._closed:
            raise SettingsError("the writer is closed", expected="an open writer")
        taken = {"logits", "sequence_id", *PARTS} & set(columns)
        if taken:
            message = f"columns: {min(taken)!r} is a name of ours"
            raise SettingsError(message, expected="other names", got=min(taken))
        data = data_of(labels, mask=mask, weight=weight, sequence_id=sequence_id, by=columns)
        feed = open_source(logits).feed(data)
        if feed.columns["labels"] is None:
            raise SettingsError("a dump needs labels", expected="labels", got="None")
        element_of(feed.logits_element, None)  # 16-bit integers that nobody says what they are
        if feed.vocab_size != self._vocab:
            message = f"logits of {feed.vocab_size} entries, but vocab_size is {self._vocab}"
            raise ShapeError(message, expected=str(self._vocab), got=str(feed.vocab_size))
        if not flag("final", final) and feed.columns["scope"] is not None:
            message = "final=False: the logits say themselves where sequences end"
            raise SettingsError(message, expected="[N, V]", got="[B, T, V] or files")
        self._sequences.begin(given=feed.columns["sequence_id"] not in {None, SCOPE})
        self._before = self.num_rows
        try:
            for batch in feed.batches():
                self._append(feed, batch)
        except BaseException as error:
            self._abandon(error)
            raise
        if final:
            self._sequences.end()

    def close(self) -> None:
        """Give the files their names; a second time does nothing."""
        if not self._closed:
            self._closed = True
            self.paths = self._files.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abandon(error)

    def _abandon(self, error: BaseException) -> None:
        """Leave what there is under its hidden names: it is not whole."""
        if self._closed:
            return
        self._closed = True
        self._files.abandon()
        if self._files.parts:
            parts = ", ".join(map(str, self._files.parts))
            error.add_note(f"the dump was not finished; what was written before is in {parts}")

    def _append(self, feed: Feed, batch: pa.RecordBatch) -> None:
        """Write a batch of the feed in pieces, cut where a file must end."""
        element = feed.logits_element
        if self._element is None:
            self._element = element
        sides = self._sides(feed.columns, batch)
        ids, starts = self._sequences.of(feed.columns, batch)
        sides["sequence_id"] = ids
        size = self._vocab * stored_type(self._element).itemsize
        for begin, end in row_blocks(batch.num_rows, size, PIECE_BYTES):
            at = begin
            for start in map(int, starts[(starts >= begin) & (starts < end)]):
                if self._is_full((start - at) * size):
                    self._write(feed, batch, sides, at, start)
                    self._files.end_file()
                    at = start
            self._write(feed, batch, sides, at, end)

    def _is_full(self, more: int) -> bool:
        """Whether the open file, with so many bytes more, is as large as a file may be."""
        return self._limit is not None and self._files.size + more >= self._limit

    def _write(
        self, feed: Feed, batch: pa.RecordBatch, sides: dict[str, pa.Array], start: int, end: int
    ) -> None:
        if start == end:
            return
        element = self._element or feed.logits_element
        found = batch.column(feed.columns["logits"]).slice(start, end - start)
        rows = _matrix(found, self._vocab, feed.logits_element)
        kind = pa.list_(arrow_type(element), self._vocab)
        stored = rounded(rows, feed.logits_element, element, self.num_rows - self._before)
        logits = list_array(np.ascontiguousarray(stored), kind)
        if found.null_count:
            logits = pa.FixedSizeListArray.from_arrays(
                logits.values, type=kind, mask=found.is_null()
            )
        arrays = {"logits": logits}
        arrays |= {name: array.slice(start, end - start) for name, array in sides.items()}
        self._files.write(self._batch(arrays, element))
        self.num_rows += end - start

    def _sides(self, columns: Columns, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Give what is said of each row, by our names."""
        named = {part: name for part in PARTS if isinstance(name := columns.get(part), str)}
        named |= {name: name for name in columns["by"]}
        return {part: batch.column(name) for part, name in named.items()}

    def _batch(self, arrays: dict[str, pa.Array], element: str) -> pa.RecordBatch:
        """Give a batch of the columns that all batches have."""
        if self._schema is None:
            self._schema = self._schema_of(arrays, element)
        names = set(self._schema.names)
        if set(arrays) != names:
            found, wanted = ", ".join(sorted(arrays)), ", ".join(sorted(names))
            message = f"columns {found}, but {wanted} in the calls before"
            raise SettingsError(message, expected=wanted, got=found)
        fitted = [
            array if array.type == field.type else array.cast(field.type)
            for field in self._schema
            for array in [arrays[field.name]]
        ]
        return pa.RecordBatch.from_arrays(fitted, schema=self._schema)

    def _schema_of(self, arrays: dict[str, pa.Array], element: str) -> pa.Schema:
        fields = [pa.field(name, array.type) for name, array in arrays.items()]
        fields[0] = fields[0].with_metadata({METADATA_KEY: element})
        said = {"vocab_size": str(self._vocab), **self._names}
        metadata = {f"logitmeter.{key}": value for key, value in said.items() if value is not None}
        return pa.schema(fields, metadata=metadata)


def _matrix(array: pa.Array, vocab: int, element: str) -> Array:
    """Give rows of logits ``[n, V]``, as they are stored."""
    storage = stored(array)
    dtype = stored_type(element)
    if pa.types.is_fixed_size_binary(storage.type):
        start, width = storage.offset, storage.type.byte_width
        found = np.frombuffer(storage.buffers()[1], np.uint8)[start * width :]
        return found[: len(storage) * width].view(dtype).reshape(len(storage), vocab)
    if not pa.types.is_fixed_size_list(storage.type):
        storage = storage.cast(pa.list_(storage_of(storage.type.value_type), vocab))
    start = storage.offset * vocab
    values = stored(storage.values.slice(start, len(storage) * vocab))
    buffer = values.buffers()[1]
    first = values.offset * dtype.itemsize
    found = np.frombuffer(buffer, np.uint8)[first : first + len(values) * dtype.itemsize]
    return found.view(dtype).reshape(len(storage), vocab)
