"""Logits to measure with, and what is true of them by NumPy in float64.

A row is noise N(-2, 2.5), a window of one long pool, with 50 boosted tokens N(10, 3) in it. Of the
labels 60% are the best token, 30% a boosted one, 10% any: most rows then end as those of a model
that knows its text, and some need the rank's second look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Array = np.ndarray[Any, Any]

POOL = 1 << 23
BOOSTED = 50
BLOCK_BYTES = 16 << 20
BEST, LIKELY = 0.6, 0.9
NUM_NEG_INF = 1_000


@dataclass(frozen=True)
class Truth:
    """What every contender has to find."""

    loss: float
    num_correct: int


def element_size(dtype: str) -> int:
    """Bytes of one logit."""
    return int(stored_type(dtype).itemsize)


def stored_type(dtype: str) -> np.dtype[Any]:
    """Give how it lies in a ``.npy`` file; bfloat16 as its bits."""
    return np.dtype(np.uint16 if dtype == "bfloat16" else dtype)


def widened(stored: Array, dtype: str) -> Array:
    """Turn stored logits into float64."""
    logits = stored.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else stored
    wide: Array = logits.astype(np.float64)
    return wide


def num_rows(dtype: str, vocab: int, megabytes: int) -> int:
    """Rows of so many mebibytes."""
    return max(16, (megabytes << 20) // (vocab * element_size(dtype)))


def boosted_ids(shape: tuple[int, ...]) -> Array:
    """Give the boosted tokens ``[N, 50]`` of logits of this shape."""
    rows, vocab = shape
    return np.random.default_rng(vocab).integers(0, vocab, (rows, BOOSTED))


def write_logits(path: Path, dtype: str, shape: tuple[int, int], change: str = "") -> None:
    """Fill a ``.npy`` file, block by block; `change` as in `cases.Case`."""
    rows, vocab = shape
    rng = np.random.default_rng([rows, vocab])
    pool = rng.standard_normal(POOL + vocab, np.float32) * np.float32(2.5) - np.float32(2)
    windows = np.lib.stride_tricks.sliding_window_view(pool, vocab)
    boosted = boosted_ids(shape)
    out = np.lib.format.open_memmap(path, "w+", stored_type(dtype), shape)
    for rows_here in row_blocks(rows, vocab):
        here = boosted[rows_here]
        block = windows[rng.integers(0, POOL, len(here))]
        if change == "neg_inf":
            absent = rng.integers(0, vocab, (len(here), NUM_NEG_INF))
            np.put_along_axis(block, absent, np.float32(-np.inf), axis=1)
        np.put_along_axis(block, here, rng.normal(10, 3, here.shape).astype(np.float32), axis=1)
        if change == "two_passes":  # what no look at a row's beginning foresees
            block[:, -2:] = 200, 199
        elif change.startswith("offset "):
            block += np.float32(change.removeprefix("offset "))
        cast = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        out[rows_here] = block.astype(cast).view(out.dtype)


def make_labels(logits: Array, dtype: str, allowed: Array | None = None) -> Array:
    """Draw labels: tokens that are allowed and not -inf, else the best one."""
    rows, vocab = logits.shape
    rng = np.random.default_rng(rows)
    labels: Array = rng.integers(0, vocab, rows)
    kind = rng.random(rows)
    labels[kind < LIKELY] = boosted_ids(logits.shape)[kind < LIKELY, 0]
    ids = np.arange(vocab) if allowed is None else np.flatnonzero(allowed)
    for here in row_blocks(rows, vocab):
        x = widened(logits[here], dtype)
        absent = np.isneginf(x[np.arange(len(x)), labels[here]])
        if allowed is not None:
            absent |= ~allowed[labels[here]]
            x = x[:, allowed]
        best = ids[x.argmax(axis=1)]
        labels[here] = np.where((kind[here] < BEST) | absent, best, labels[here])
    return labels


def true_answer(
    logits: Array,
    dtype: str,
    labels: Array,
    mask: Array | None = None,
    allowed: Array | None = None,
) -> Truth:
    """Loss and correct tokens of the counted rows, in float64, row by row and with no tricks."""
    total, correct = 0.0, 0
    for here in row_blocks(*logits.shape):
        x, y = widened(logits[here], dtype), labels[here]
        if mask is not None:
            x, y = x[mask[here]], y[mask[here]]
        if not len(y):
            continue
        rows = np.arange(len(y))
        label = x[rows, y]
        if allowed is not None:
            x = np.where(allowed, x, -np.inf)
        top = x.max(axis=1)
        correct += int((x.argmax(axis=1) == y).sum())
        lse = np.log(np.exp(x - top[:, np.newaxis]).sum(axis=1)) + top
        total += float((lse - label).sum())
    counted = len(labels) if mask is None else int(mask.sum())
    return Truth(total / counted, correct)


def row_blocks(rows: int, vocab: int) -> Iterator[slice]:
    """Cut rows into blocks of a bounded size."""
    step = max(1, BLOCK_BYTES // (vocab * 4))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
