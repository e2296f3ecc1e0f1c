"""The error of single rows against the oracle, and one digest of their scores for every tier.

The promise, wherever the true nll is 2^-126 or more::

    fast:   |error of nll| <= 1e-6 min(1, nll) + 2^-52 nll
    exact:  |error of nll| <= 1e-13 nll               (float64 always)

Below it the nll is >= 0 and < 2^-125. lse is within 1e-6 (exact: 1e-13) and its own rounding.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import logitmeter as lm
import numpy as np
from oracle import hostile
from oracle.rows import scores_f64

if TYPE_CHECKING:
    from numpy.typing import NDArray

Precision = Literal["fast", "exact"]
PRECISIONS: tuple[Precision, ...] = ("fast", "exact")
COLUMNS = ("nll", "lse", "rank", "ties")
FLOOR = 2.0**-126


@dataclass(frozen=True)
class Worst:
    """The largest error found, as a share of the bound, and its row."""

    share: float
    row: str


def scored(logits: Any, labels: Any, precision: Precision) -> dict[str, NDArray[Any]]:
    """Give the scores of rows, a column each."""
    table = lm.token_scores(logits, labels, precision=precision, threads=1).read_all()
    return {name: np.asarray(table[name]) for name in COLUMNS}


def bounds(want: NDArray[np.float64], *, exact: bool) -> NDArray[np.float64]:
    """Give the largest error that is promised for each true nll."""
    bound = 1e-13 * want if exact else 1e-6 * np.minimum(1, want) + 2.0**-52 * want
    return np.where(want < FLOOR, 2 * FLOOR, bound)


def check_rows(
    logits: Any, labels: NDArray[np.int64], want: dict[str, NDArray[Any]], precision: Precision
) -> tuple[float, int]:
    """Check every row; give the largest share of the bound that is used, and its row."""
    got = scored(logits, labels, precision)
    exact = precision == "exact" or logits.dtype == np.float64
    for name in ("rank", "ties"):
        assert np.array_equal(got[name], want[name]), (name, logits.dtype, logits.shape)
    assert np.array_equal(np.isinf(got["nll"]), np.isinf(want["nll"]))
    assert not np.signbit(got["nll"]).any()
    finite = np.isfinite(want["nll"])
    nll, true = np.where(finite, got["nll"], 0), np.where(finite, want["nll"], 0)
    share = np.abs(nll - true) / bounds(true, exact=exact)
    worst = int(share.argmax())
    assert share[worst] <= 1, (
        f"{precision}, {logits.dtype}, V = {logits.shape[1]}, label {labels[worst]}: "
        f"{nll[worst]!r}, truth {true[worst]!r}"
    )
    counts = want["nll"] >= FLOOR  # elsewhere the label towers; lse has a test of its own there
    lse, true_lse = got["lse"][counts], want["lse"][counts]
    slack = (1e-13 if exact else 1e-6) + 1e-15 * np.abs(true_lse)
    assert (np.abs(lse - true_lse) <= slack).all()
    # Where the truth is below the floor nothing is promised but the floor.
    share[true < FLOOR] = 0
    return float(share.max()), int(share.argmax())


def check_all(seed: int, each: int) -> tuple[int, dict[tuple[str, Precision], Worst]]:
    """Check all hostile rows; give their number, and the worst of each element type."""
    count = 0
    worst: dict[tuple[str, Precision], Worst] = {}
    for dtype, logits, labels in hostile.batches(seed, each):
        want = scores_f64(logits.astype(np.float64), labels)
        count += len(labels)
        for precision in PRECISIONS:
            share, row = check_rows(logits, labels, want, precision)
            if share > worst.get((dtype, precision), Worst(-1, "")).share:
                where = f"V = {logits.shape[1]}, row {row}, nll {want['nll'][row]:.6g}"
                worst[dtype, precision] = Worst(share, where)
    return count, worst


def digest(seed: int, each: int) -> str:
    """Give one digest of all scores of all hostile rows."""
    found = hashlib.sha256()
    for _, logits, labels in hostile.batches(seed, each):
        for precision in PRECISIONS:
            for column in scored(logits, labels, precision).values():
                found.update(column.tobytes())
    return found.hexdigest()
