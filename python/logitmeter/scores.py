"""Streams of results: one row a token, a sequence or a row of logits, computed as they are read."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from logitmeter.border import named, named_errors
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logitmeter._core import ScoreStream
    from logitmeter.sources.feed import Feed

__all__ = ["Scores", "TokenScores", "kept_columns"]


OURS = ("position", "row", "hidden", "nll", "logprob", "lse", "rank", "ties")
"""The columns of `token_scores`."""
BOUNDS = ("nll_high", "rank_high")
"""Those that it has of scores as well."""


def kept_columns(keep: str | Sequence[str], *, scored: bool = False) -> list[str]:
    """Give the names of the columns to pass through; a lone string is one."""
    names = [keep] if isinstance(keep, str) else list(keep)
    ours = (*OURS, *BOUNDS) if scored else OURS
    taken = [name for name in names if name in ours or names.count(name) > 1]
    if taken:
        found = ", ".join(dict.fromkeys(taken))
        raise SettingsError(
            f"keep: the scores have or would have several columns named {found}; "
            "rename those of the source",
            expected=f"other names than {', '.join(ours)}, each once",
            got=found,
        )
    return names


class Scores:
    """An Arrow stream of results that can be read once.

    Pass it to anything that reads Arrow streams (pyarrow, polars, DuckDB), iterate over it, or
    read it all. Nothing is computed before it is read, and no more is held than a batch.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> scores = lm.token_scores(np.zeros((2, 4), np.float32), np.array([0, 1]))
    >>> [batch.num_rows for batch in scores]
    [2]
    """

    def __init__(self, stream: ScoreStream, feed: Feed) -> None:
        self._stream = stream
        self._feed = feed
        self._taken = False

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand out the stream. An error arrives as text only and is kept in `error`."""
        self._take()
        return self._stream.__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Go over the batches; an error is raised by its name."""
        self._take()
        return self._batches()

    @property
    def schema(self) -> pa.Schema:
        """The columns of the results."""
        return pa.schema(self._stream)

    @property
    def error(self) -> BaseException | None:
        """What ended the stream before its time, if anything did."""
        error = self._stream.error or self._feed.error
        return None if error is None else named(error, self._feed)

    def read_all(self) -> pa.Table:
        """Read everything into one table."""
        return pa.Table.from_batches(self, self.schema)

    def _take(self) -> None:
        if self._taken:
            raise SettingsError(
                "these scores have been read; read_all() keeps them, or ask for them again",
                expected="one read",
                got="a second one",
            )
        self._taken = True

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        with named_errors(self._feed):
            batch = self._stream.next_batch()
        return None if batch is None else pa.record_batch(batch)


class TokenScores(Scores):
    """Scores of tokens, which can take the labels' shape.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> labels = np.array([[0, -100, 1]])
    >>> scores = lm.token_scores(np.zeros((1, 3, 4), np.float32), labels)
    >>> scores.numpy("nll").round(3)
    array([[1.386,   nan, 1.386]])
    """

    def __init__(
        self,
        stream: ScoreStream,
        feed: Feed,
        shape: tuple[int, ...] | None = None,
        *,
        all_rows: bool = False,
    ) -> None:
        super().__init__(stream, feed)
        self._shape = shape
        self._all_rows = all_rows

    def numpy(self, *names: str) -> Any:
        """Read everything, and give columns in the shape of the labels.

        Parameters
        ----------
        names
            The columns; for several a tuple is returned.

        Returns
        -------
        numpy.ndarray
            float64, nan where a token is not counted, whole numbers and booleans too; other
            columns as objects, None where a token is not counted.

        Raises
        ------
        SettingsError
            If there is no such column, if the scores have been read, or if the number of rows is
            not known (a stream); ``rows="all"`` then helps.
        """
        self._check_names(names)
        if self._shape is None and not self._all_rows:
            raise SettingsError(
                'the number of positions is not known of a stream; ask for rows="all"'
            )
        table = self.read_all()
        places = table["position"].to_numpy()
        shape = self._shape or (len(places),)
        arrays = tuple(_scattered(table[name], places, shape) for name in names)
        return arrays[0] if len(arrays) == 1 else arrays

    def _check_names(self, names: tuple[str, ...]) -> None:
        present = self.schema.names
        missing = [repr(name) for name in names if name not in present]
        if not names or missing:
            problem = f"no column {', '.join(missing)}" if names else "no column is named"
            raise SettingsError(
                f"{problem}; the scores have: {', '.join(present)}",
                expected=" or ".join(present),
                got=", ".join(missing) or "no name",
            )


def _scattered(
    column: pa.ChunkedArray, places: np.ndarray[Any, Any], shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    out = np.full(prod(shape), np.nan if numeric else None)
    out[places] = _floats(column) if numeric else column.to_pylist()
    return out.reshape(shape)


def _floats(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Numbers as float64, nan for null."""
    numbers = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
    floats: np.ndarray[Any, Any] = numbers.cast(pa.float64(), safe=False).to_numpy()
    return floats
