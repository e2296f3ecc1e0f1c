"""One input by every way in: arrays, tables of each list type, a reader, files of both formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from logitmeter.exceptions import LogitmeterError

N, V = 6, 5
LOGITS = np.random.default_rng(7).normal(size=(N, V)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])
WAYS = ("arrays", "table", "lists", "large lists", "reader", "file", "stream")
ARROW_WAYS = WAYS[1:]
each_way = pytest.mark.parametrize("way", WAYS)
each_arrow_way = pytest.mark.parametrize("way", ARROW_WAYS)


def fixed(logits: Any, vocab: int = V) -> pa.Array:
    """Give a column of rows of one length, of an array or of lists that may hold None."""
    kind = pa.list_(pa.float32(), vocab)
    return pa.array(logits.tolist() if isinstance(logits, np.ndarray) else logits, kind)


def column(way: str, logits: Any, vocab: int = V) -> pa.Array:
    """Give the logits as this way holds them."""
    kinds = {"lists": pa.list_(pa.float32()), "large lists": pa.large_list(pa.float32())}
    rows = fixed(logits, vocab)
    return rows.cast(kinds[way]) if way in kinds else rows


def source(way: str, folder: Path, table: pa.Table, batch: int = 4) -> Any:
    """Give a table as something that can be read: two batches, or one file."""
    if way == "reader":
        return table.to_reader(batch)
    if way not in {"file", "stream"}:
        return table
    path = folder / "dump.arrow"
    opened = pa.ipc.new_file if way == "file" else pa.ipc.new_stream
    with opened(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch)
    return str(path)


def evaluate(way: str, folder: Path, logits: Any = LOGITS, **given: Any) -> lm.Report:
    """Evaluate; what is given as labels, mask, ... becomes a column where the way has columns."""
    data = {name: given.pop(name) for name in list(given) if name in DATA}
    data.setdefault("labels", LABELS)
    if way == "arrays":
        return lm.evaluate(logits, **data, **given)
    vocab = logits.shape[-1] if isinstance(logits, np.ndarray) else V
    table = pa.table({"logits": column(way, logits, vocab), **data})
    return lm.evaluate(source(way, folder, table), **given)


DATA = ("labels", "mask", "weight", "sequence_id")


def said(error: LogitmeterError, *, expected: str, got: str, position: int | None = None) -> None:
    """Check that an error says what, where, what was expected and what was found."""
    assert error.position == position
    assert error.row == position
    assert expected in str(error.expected)
    assert got in str(error.got)
    message = str(error)
    assert position is None or str(position) in message
    assert got in message
