"""The same logits as a file of each format."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import safetensors.numpy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab import Array

BATCH_BYTES = 64 << 20
PAGE_BYTES = 8 << 20
"""Rows of a row group of opaque bytes, which is one page."""
STEPS, WIDTH = 65535, 16
"""Of llama.cpp's rounding: steps, and nats below the largest entry at which it ends."""
ROUNDED = "llama.cpp"
"""It keeps rounded log-probabilities, so that its loss is another."""


def _batch(logits: Array, labels: Array, *, opaque: bool = False) -> pa.RecordBatch:
    if opaque:
        kind = pa.binary(logits.shape[1] * logits.itemsize)
        buffer = pa.py_buffer(np.ascontiguousarray(logits))
        rows = pa.Array.from_buffers(kind, len(logits), [None, buffer])
    else:
        kind = pa.list_(pa.from_numpy_dtype(logits.dtype), logits.shape[1])
        rows = pa.FixedSizeListArray.from_arrays(pa.array(logits.reshape(-1)), type=kind)
    return pa.record_batch({"logits": rows, "labels": pa.array(labels)})


def _step(logits: Array, size: int) -> int:
    return int(max(1, size // (logits.shape[1] * logits.itemsize)))


def ipc(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """Uncompressed, in batches of 64 MiB."""
    step = _step(logits, BATCH_BYTES)
    with pa.ipc.new_file(path, _batch(logits[:1], labels[:1]).schema) as file:
        for start in range(0, len(labels), step):
            file.write_batch(_batch(logits[start : start + step], labels[start : start + step]))
    return {"path": str(path)}


def npy(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """Two arrays."""
    for name, array in ((path, logits), (path.with_suffix(".labels"), labels)):
        with name.open("wb") as file:
            np.save(file, array)
    return {"path": str(path), "labels": str(path.with_suffix(".labels"))}


def tensors(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """Two tensors of one file."""
    safetensors.numpy.save_file({"logits": np.array(logits), "labels": labels}, path)
    return {"path": str(path)}


def parquet_lists(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """Fixed-size lists."""
    return _parquet(path, logits, labels)


def parquet_opaque(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """Rows of opaque bytes."""
    return _parquet(path, logits, labels, opaque=True) | {"dtype": logits.dtype.name}


def _parquet(path: Path, logits: Array, labels: Array, *, opaque: bool = False) -> dict[str, str]:
    step = _step(logits, PAGE_BYTES)
    schema = _batch(logits[:1], labels[:1], opaque=opaque).schema
    with pa.parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for start in range(0, len(labels), step):
            here = slice(start, start + step)
            file.write_batch(_batch(logits[here], labels[here], opaque=opaque))
    return {"path": str(path)}


def llama(path: Path, logits: Array, labels: Array) -> dict[str, str]:
    """One chunk of all rows, each with its scale and its least log-probability."""
    rows, vocab = logits.shape
    tokens = np.concatenate([np.zeros(rows + 1, "<i4"), labels.astype("<i4")])
    with path.open("wb") as file:
        file.write(struct.pack("<8siii", b"_logits_", 2 * rows + 1, vocab, 1) + tokens.tobytes())
        for row in logits:
            x = row.astype(np.float32)
            low = max(float(x.min()), float(x.max()) - WIDTH)
            scale = (float(x.max()) - low) / STEPS
            words = np.rint(np.clip(x - low, 0, None) / scale).astype("<u2")
            total = float(np.log(np.exp(x - x.max(), dtype=np.float64).sum()) + x.max())
            file.write(struct.pack("<ff", scale, low - total) + words.tobytes())
    return {"path": str(path)}


WRITERS: dict[str, Callable[[Path, Array, Array], dict[str, str]]] = {
    "Arrow IPC": ipc,
    "npy": npy,
    "safetensors": tensors,
    ROUNDED: llama,
    "Parquet, opaque": parquet_opaque,
    "Parquet, lists": parquet_lists,
}
