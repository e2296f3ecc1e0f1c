"""Bad and awkward input by source: what is written or passed, and the sources that show it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import fsspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import safetensors.numpy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array: TypeAlias = "np.ndarray[Any, Any]"
Columns: TypeAlias = "dict[str, Any]"

N, V = 12, 5
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)
RAGGED = {b"ragged": b"yes"}
"""Of a table one of whose lists is to be longer."""
SMALLEST_TORCH = b"\x80\x02}q\x00."
"""A pickle, as torch.save began its files with."""


@dataclass
class Given:
    """What is written or passed, before a case changes it."""

    logits: Any = field(default_factory=LOGITS.copy)
    columns: Columns = field(default_factory=lambda: {"labels": LABELS.copy()})
    null_row: int | None = None
    ragged: bool = False
    """One list is longer than the others."""
    start: int = 0
    """The first row of the table that is passed on: a slice."""
    beside: Columns = field(default_factory=dict)
    """Passed to the call, whatever the source."""
    scan: Columns = field(default_factory=dict)
    call: Columns = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """The same as columns."""
        width = self.logits.shape[-1]
        flat = np.ascontiguousarray(self.logits).reshape(-1)
        nulls = None
        if self.null_row is not None:
            nulls = pa.array(np.arange(len(self.logits)) == self.null_row)
        kind = pa.list_(pa.from_numpy_dtype(flat.dtype), width)
        if width:
            rows = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind, mask=nulls)
        else:  # of which pyarrow dies (a division by zero)
            rows = pa.array([[]] * len(self.logits), kind)
        columns = {
            name: pa.array(np.asarray(x).ravel().tolist() if _holds_none(x) else np.ravel(x))
            for name, x in self.columns.items()
        }
        metadata = RAGGED if self.ragged else None
        return pa.table({"logits": rows, **columns}, metadata=metadata).slice(self.start)


def _holds_none(column: Any) -> bool:
    return np.asarray(column).dtype == object


# ---- the sources ---------------------------------------------------------------------------------

Passed: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""For `scan` and for the call."""
Make: TypeAlias = "Callable[[Path, Given], Passed]"


@dataclass(frozen=True)
class Source:
    """A way in, and what it can show.

    Parameters
    ----------
    make
        Gives the arguments of `scan`, whose first is ``source``, and those of the call.
    can
        ``columns`` that are named, ``nulls``, ``file`` (with a path), ``array`` (of any layout),
        ``cube`` (``[B, T, V]``), ``once`` (read once), ``lists`` (of any length).
    """

    make: Make
    can: frozenset[str]


def of_table(make: Callable[[Path, pa.Table], Any]) -> Make:
    return lambda folder, given: ({"source": make(folder, given.table)}, {})


def as_lists(table: pa.Table, kind: Callable[[pa.DataType], pa.DataType] = pa.list_) -> pa.Table:
    rows = table["logits"].cast(kind(table["logits"].type.value_type))
    if table.schema.metadata == RAGGED:
        lists = rows.to_pylist()
        lists[2] = [*lists[2], 0.5]
        rows = pa.array(lists, rows.type)
    return table.set_column(0, "logits", rows)


def arrow_file(
    folder: Path, table: pa.Table, *, stream: bool = False, codec: str | None = None
) -> Path:
    path = folder / "dump"
    path.write_bytes(arrow_bytes(table, stream=stream, codec=codec))
    return path


def arrow_bytes(table: pa.Table, *, stream: bool = False, codec: str | None = None) -> bytes:
    out = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=5)
    return out.getvalue()


def parquet_file(folder: Path, table: pa.Table) -> Path:
    pa.parquet.write_table(table, folder / "dump", row_group_size=5)
    return folder / "dump"


def parquet_bytes(folder: Path, given: Given) -> Passed:
    logits = np.ascontiguousarray(given.logits)
    width = logits.itemsize * logits.shape[-1]
    buffer = pa.py_buffer(logits.tobytes())
    rows = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(logits), [None, buffer])
    table = given.table.set_column(0, "logits", rows)
    return {"source": parquet_file(folder, table), "dtype": logits.dtype.name}, {}


def stored(folder: Path, table: pa.Table) -> str:
    name = f"/bad/{folder.name}"
    fsspec.filesystem("memory").pipe_file(name, arrow_bytes(table))
    return f"memory:/{name}"


def dataset(folder: Path, table: pa.Table) -> Any:
    parquet_file(folder, table)
    return pa.dataset.dataset(folder / "dump", format="parquet")


def arrays(_: Path, given: Given) -> Passed:
    return {"source": given.logits}, dict(given.columns)


def npy_files(folder: Path, given: Given) -> Passed:
    for name, array in {"dump": given.logits, **given.columns}.items():
        with (folder / name).open("wb") as file:
            np.save(file, array)
    return {"source": folder / "dump"}, {name: folder / name for name in given.columns}


def tensors(folder: Path, given: Given) -> Passed:
    arrays = {"logits": given.logits, **given.columns}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.numpy.save_file(whole, folder / "dump")
    return {"source": folder / "dump"}, {}


def mapped(make: Make) -> Make:
    def made(folder: Path, given: Given) -> Passed:
        scan, call = make(folder, given)
        return scan | {"memory_map": True}, call

    return made


TABLE = frozenset({"columns", "nulls"})
FILE = TABLE | {"file"}
SOURCES: dict[str, Source] = {
    "array": Source(arrays, frozenset({"array", "cube"})),
    "table": Source(of_table(lambda _, table: table), TABLE | {"sliced"}),
    "table of lists": Source(of_table(lambda _, table: as_lists(table)), TABLE | {"lists"}),
    "table of large lists": Source(
        of_table(lambda _, table: as_lists(table, pa.large_list)), TABLE | {"lists"}
    ),
    "reader": Source(of_table(lambda _, table: table.to_reader(5)), TABLE | {"once", "sliced"}),
    "polars": Source(of_table(lambda _, table: pl.from_arrow(table)), TABLE),
    "dataset": Source(of_table(dataset), TABLE),
    "pipe": Source(
        of_table(lambda _, table: io.BytesIO(arrow_bytes(table, stream=True))), TABLE | {"once"}
    ),
    "store": Source(of_table(stored), TABLE),
    "IPC file": Source(of_table(arrow_file), FILE | {"sliced"}),
    "IPC file, mapped": Source(mapped(of_table(arrow_file)), FILE),
    "IPC file, compressed": Source(of_table(lambda d, t: arrow_file(d, t, codec="zstd")), FILE),
    "IPC stream": Source(of_table(lambda d, t: arrow_file(d, t, stream=True)), FILE),
    "Parquet": Source(of_table(parquet_file), FILE),
    "Parquet of lists": Source(
        of_table(lambda folder, table: parquet_file(folder, as_lists(table))), FILE | {"lists"}
    ),
    "Parquet of bytes": Source(parquet_bytes, FILE - {"nulls"}),
    "npy": Source(npy_files, frozenset({"file", "cube", "array"})),
    "npy, mapped": Source(mapped(npy_files), frozenset({"file", "cube"})),
    "safetensors": Source(tensors, frozenset({"file", "cube", "columns"})),
    "safetensors, mapped": Source(mapped(tensors), frozenset({"file", "columns"})),
    "llama.cpp": Source(lambda *_: ({}, {}), frozenset()),
}
