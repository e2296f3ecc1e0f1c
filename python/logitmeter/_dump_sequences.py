"""Which sequence each row of a dump is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import SequenceError, SettingsError

if TYPE_CHECKING:
    from logitmeter._core import Columns
    from logitmeter.sources.memory_numpy import Array

__all__ = ["DumpSequences"]


class DumpSequences:
    """Sequences by the ids that are given, else by number.

    Parameters
    ----------
    numbered
        By number even where there are ids.
    """

    def __init__(self, *, numbered: bool) -> None:
        self._numbered = numbered
        self._given: bool | None = None
        self._seen: set[Any] = set()
        self._number = -1
        self._last: tuple[Any, ...] | None = None

    def begin(self, *, given: bool) -> None:
        """Start a call."""
        if self._given not in {None, given}:
            raise SettingsError(
                "sequence_id is given in some calls only", expected="in all or none"
            )
        self._given = given

    def end(self) -> None:
        """End the open sequence."""
        self._last = None

    def of(self, columns: Columns, batch: pa.RecordBatch) -> tuple[pa.Array, Array]:
        """Give the ids of a batch, and the rows where a sequence begins."""
        names = [columns["scope"], columns["sequence_id"] if self._given else None]
        keys = [batch.column(name) for name in names if name is not None]
        starts = self._starts(keys, batch.num_rows)
        numbers = np.zeros(batch.num_rows, np.int64)
        numbers[starts] = 1
        ids = pa.array(np.cumsum(numbers) + self._number)
        self._number += len(starts)
        if self._given and not self._numbered:
            ids = keys[-1]
            self._remember(ids.take(pa.array(starts)).to_pylist())
        return ids, starts

    def _starts(self, keys: list[pa.Array], rows: int) -> Array:
        """Give the rows whose keys are not those of the row before."""
        changes = np.zeros(rows, bool)
        for key in keys:
            codes = key.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
            changes[1:] |= codes[1:] != codes[:-1]
        if rows:
            changes[0] = self._last != tuple(key[0].as_py() for key in keys)
            self._last = tuple(key[-1].as_py() for key in keys)
        return np.flatnonzero(changes)

    def _remember(self, ids: list[Any]) -> None:
        for one in ids:
            if one is None:
                raise SequenceError("sequence_id: null", expected="an id", got="null")
            if one in self._seen:
                message = f"sequence_id {one!r} comes back; make ids unique, or leave them out"
                raise SequenceError(message, expected="a new id", got=repr(one))
            self._seen.add(one)
