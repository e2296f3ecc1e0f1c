"""One input as files of each format: what the suites of `test_formats*.py` run through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import logitmeter as lm
import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
import safetensors.numpy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array: TypeAlias = "np.ndarray[Any, Any]"
Columns: TypeAlias = "dict[str, Array]"


@dataclass(frozen=True)
class Format:
    """A format: how a dump of it is written, and what it can hold."""

    name: str
    write: Callable[[Path, Array, Columns], dict[str, Any]]
    """Writes logits and columns; gives the arguments of `scan` that read them again."""
    cubes: bool = False
    """It keeps the shape ``[B, T, V]``."""
    labels_apart: bool = True
    """Its labels can be read without its logits."""

    def scan(self, folder: Path, logits: Array, columns: Columns, **options: Any) -> lm.Source:
        folder.mkdir(exist_ok=True)
        return lm.scan(**self.write(folder, logits, columns) | options)


def bits(logits: Array) -> Array:
    """Give bfloat16 as the 16-bit integers that Arrow needs."""
    return logits.view(np.uint16) if logits.dtype == ml_dtypes.bfloat16 else logits


def table_of(logits: Array, columns: Columns) -> pa.Table:
    flat = bits(logits).reshape(-1, logits.shape[-1])
    rows = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    sides = {name: pa.array(column.ravel()) for name, column in columns.items()}
    return pa.table({"logits": rows, **sides})


def stated(logits: Array) -> dict[str, Any]:
    return {"dtype": "bf16"} if logits.dtype == ml_dtypes.bfloat16 else {}


def write_ipc(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    table = table_of(logits, columns)
    with pa.ipc.new_file(folder / "dump", table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return {"source": folder / "dump", **stated(logits)}


def write_stream(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    table = table_of(logits, columns)
    with pa.ipc.new_stream(folder / "dump", table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return {"source": folder / "dump", **stated(logits)}


def write_parquet(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    pa.parquet.write_table(table_of(logits, columns), folder / "dump", row_group_size=4)
    return {"source": folder / "dump", **stated(logits)}


def write_parquet_lists(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    """As writers do that know no fixed-size lists, in one row group."""
    table = table_of(logits, columns)
    kind = pa.list_(table["logits"].type.value_type)
    table = table.set_column(0, "logits", table["logits"].cast(kind))
    pa.parquet.write_table(table, folder / "dump", store_schema=False)
    return {"source": folder / "dump", **stated(logits)}


def write_parquet_bytes(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    """Opaque bytes: what Parquet reads fastest."""
    flat = np.ascontiguousarray(logits.reshape(-1, logits.shape[-1]))
    width = flat.shape[1] * flat.itemsize
    rows = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(flat), [None, pa.py_buffer(bits(flat))]
    )
    table = table_of(logits, columns).set_column(0, "logits", rows)
    pa.parquet.write_table(table, folder / "dump")
    return {"source": folder / "dump", "dtype": logits.dtype.name}


def write_npy(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    """One array a file: what is not labels goes to the call."""
    for name, column in {"dump": logits, **columns}.items():
        with (folder / name).open("wb") as file:
            np.save(file, column)
    return {"source": folder / "dump", "labels": str(folder / "labels"), **stated(logits)}


def write_safetensors(folder: Path, logits: Array, columns: Columns) -> dict[str, Any]:
    arrays = {"logits": logits, **columns}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.numpy.save_file(whole, folder / "dump")
    return {"source": folder / "dump"}


FORMATS = (
    Format("ipc", write_ipc),
    Format("stream", write_stream, labels_apart=False),
    Format("parquet", write_parquet),
    Format("parquet lists", write_parquet_lists),
    Format("parquet bytes", write_parquet_bytes),
    Format("npy", write_npy, cubes=True),
    Format("safetensors", write_safetensors, cubes=True),
)
each_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
each_cube_format = pytest.mark.parametrize(
    "form", [form for form in FORMATS if form.cubes], ids=lambda form: form.name
)


def sides(form: Format, folder: Path, **names: str) -> dict[str, Any]:
    """Say where the columns lie that a format keeps in files of their own."""
    own_files = form.name == "npy"
    return {part: folder / name if own_files else name for part, name in names.items()}
