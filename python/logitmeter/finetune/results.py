"""The results of a fine-tuning run as one table, whoever trained it and however they came."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from logitmeter._numbers import printable
from logitmeter.exceptions import CorruptInputError, LogitmeterWarning
from logitmeter.finetune._columns import (
    ACCURACIES,
    COLUMNS,
    METRICS,
    canonical,
    expected_names,
    refuse_rewards,
)
from logitmeter.finetune._rows import rows_of
from logitmeter.notices import warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from logitmeter.finetune._rows import Row
    from logitmeter.finetune.place import Place

__all__ = ["read_results"]

_RUN_TOTAL = "train_runtime"
"""Stands in the last row of Hugging Face's log, whose train_loss is the mean of the whole run."""

_ABSENT = -1.0
"""Older files hold it where there is no figure; neither a loss nor an accuracy can be so."""

Figures = dict[str, float]


def read_results(source: Any) -> pa.Table:
    r"""Read what a service reported, step by step, into one set of columns.

    Parameters
    ----------
    source
        A path, the bytes or the text of a file: `results.csv` (plain or in base64), or the JSON or
        JSONL of events, checkpoints or metrics. Or rows in memory: a list of dicts, a dict of
        columns, an Arrow table, a data frame, the objects that OpenAI's client lists.

    Returns
    -------
    pyarrow.Table
        ``step`` (int64, rising; numbered from 1 where there is none), ``epoch``, ``train_loss``,
        ``train_accuracy``, ``train_sequence_accuracy``, ``valid_loss``, ``valid_accuracy``,
        ``valid_sequence_accuracy`` (of one validation batch), ``full_valid_loss``,
        ``full_valid_accuracy`` (of the whole validation set): float64. Losses are in nats,
        accuracies from 0 to 1, of tokens unless they say sequence. What was not reported is null:
        an empty cell, nan, or the -1 of older files. Rows of one step are joined. The schema's
        metadata list ``unknown_columns`` as JSON.

    Raises
    ------
    CorruptInputError
        A malformed line, by its number; a figure that is no loss or accuracy; a step reported
        twice with different figures; no known metric; a run that learns from rewards.
    FileNotFoundError
        There is no such file.

    Warns
    -----
    LogitmeterWarning
        Columns that are not known; they are left out.

    Examples
    --------
    >>> table = read_results("step,train_loss,train_accuracy,valid_loss\n1,1.5,0.66667,\n")
    >>> table["train_accuracy"].to_pylist(), table["valid_loss"].to_pylist()
    ([0.66667], [None])
    >>> events = [{"type": "metrics", "data": {"step": 7, "train_mean_token_accuracy": 0.75}}]
    >>> read_results(events).select(["step", "train_accuracy"]).to_pylist()
    [{'step': 7, 'train_accuracy': 0.75}]
    """
    rows = [row for row in rows_of(source) if _RUN_TOTAL not in row.cells]
    path = rows[0].place.path if rows else None
    names = list(dict.fromkeys(name for row in rows for name in row.cells))
    refuse_rewards(names, path)
    ours = {name: canonical(name, names) for name in names}
    unknown = [name for name in names if ours[name] is None]
    _require_metrics(ours.values(), names, path)
    _warn_unknown(unknown)
    figures = [(row.place, _figures(row, ours)) for row in rows]
    return _table(_joined(_numbered(figures)), unknown)


def _require_metrics(known: Iterable[str | None], names: Sequence[str], path: str | None) -> None:
    if set(known).isdisjoint(METRICS):
        found = ", ".join(map(printable, names)) or "no columns"
        raise CorruptInputError(
            f"no loss and no accuracy: expected {expected_names()}; got {found}",
            path=path,
            expected=expected_names(),
            got=found,
        )


def _warn_unknown(unknown: Sequence[str]) -> None:
    if unknown:
        warn(
            f"unknown columns left out: {', '.join(map(printable, unknown))};"
            f" known are {expected_names()}",
            LogitmeterWarning,
        )


def _figures(row: Row, ours: dict[str, str | None]) -> Figures:
    """Give a row's figures by our names, each checked."""
    found: Figures = {}
    for name, cell in row.cells.items():
        column = ours[name]
        value = _figure(column, cell, row.place[name]) if column else None
        if not column or value is None:
            continue
        if found.setdefault(column, value) != value:
            raise row.place.wrong(f"one {column}", f"two: {found[column]} and {value} ({name})")
    return found


def _figure(column: str, cell: Any, place: Place) -> float | None:
    """Give a cell's figure, or None where there is none."""
    value = _number(cell, place)
    if value is None or (value == _ABSENT and column in METRICS):
        return None
    if column == "step" and not value.is_integer():
        raise place.wrong("a whole number", repr(value))
    if column in ACCURACIES and not 0 <= value <= 1:
        raise place.wrong("an accuracy from 0 to 1 (a percentage must be divided)", repr(value))
    if value < 0:
        raise place.wrong("a number >= 0", repr(value))
    return value


def _number(cell: Any, place: Place) -> float | None:
    """Give a cell's number, or None for an empty one and nan."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        raise place.unlike("a number or nothing", cell)
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise place.unlike("a number or nothing", cell) from None
    return None if math.isnan(value) else value


def _numbered(rows: list[tuple[Place, Figures]]) -> list[tuple[Place, Figures]]:
    """Give each row a step, counted from 1 where none has one; rows without a figure are none."""
    if not any("step" in figures for _, figures in rows):
        return [(place, {"step": n, **figures}) for n, (place, figures) in enumerate(rows, 1)]
    for place, figures in rows:
        if "step" not in figures and not figures.keys().isdisjoint(METRICS):
            raise place.wrong("a step, as other rows have", "none")
    return [(place, figures) for place, figures in rows if "step" in figures]


def _joined(rows: list[tuple[Place, Figures]]) -> list[Figures]:
    """Join the rows of one step: services report training and validation apart."""
    steps: dict[float, Figures] = {}
    for place, figures in rows:
        known = steps.setdefault(figures["step"], {})
        for name, value in figures.items():
            if known.setdefault(name, value) != value and name != "epoch":
                step = f"{figures['step']:.0f}"
                raise place.wrong(f"one {name} of step {step}", f"{value} after {known[name]}")
    return sorted(steps.values(), key=lambda figures: figures["step"])


def _table(rows: list[Figures], unknown: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    fields = [(name, pa.int64() if name == "step" else pa.float64()) for name in COLUMNS]
    schema = pa.schema(fields, metadata={"unknown_columns": json.dumps(unknown)})
    columns = [pa.array([row.get(name) for row in rows], kind) for name, kind in fields]
    return pa.Table.from_arrays(columns, schema=schema)
