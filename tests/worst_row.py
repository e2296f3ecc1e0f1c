"""A search for the row whose nll errs most: hill climbing over the 32 vectors of a block.

A block of 512 columns is summed as four accumulators of 16 lanes, eight vectors each. If all 16
columns of a vector are equal, so are the roundings of all lanes, and nothing averages out: such a
row has 32 numbers to choose. Its label has a block of its own, where every other column is -inf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import row_bound
from oracle.hostile import stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

VECTORS, LANES, BLOCK = 32, 16, 512


class Found(NamedTuple):
    """The largest error of nll, as a share of min(1, nll), and the vectors' values."""

    error: float
    rows: int
    values: list[float]


def errors(vectors: Any, label: float) -> NDArray[np.float64]:
    """Give the error of rows made of these vectors, in long double from the same numbers."""
    rows = np.full((len(vectors), BLOCK + LANES), -np.inf, vectors.dtype)
    rows[:, :BLOCK] = np.repeat(vectors, LANES, axis=1)
    rows[:, BLOCK] = label
    x = vectors.astype(np.longdouble)
    top = x.max(1)
    total = LANES * np.exp(x - top[:, None]).sum(1)
    true = np.logaddexp(top + np.log(total), np.longdouble(label)) - np.longdouble(label)
    nll = row_bound.scored(rows, np.full(len(rows), BLOCK), "fast")["nll"]
    found: NDArray[np.float64] = (np.abs(nll - true) / np.minimum(1, true)).astype(np.float64)
    return found


def climb(dtype: str, seed: int, steps: int, width: int = 64) -> Found:
    """Climb from many places at once; each step changes a few numbers of every row."""
    rng = np.random.default_rng(seed)
    best = stored(rng.uniform(-3, 0, (width, VECTORS)) + rng.uniform(-30, 30, (width, 1)), dtype)
    score = errors(best, 0.0)
    for step in range(steps):
        scale = 10 ** rng.uniform(-6, 0.5, (width, 1))
        moved = rng.random((width, VECTORS)) < rng.choice([0.03, 0.2, 1.0], (width, 1))
        change = np.where(moved, scale * rng.standard_normal((width, VECTORS)), 0.0)
        tried = stored(best.astype(np.float64) + change, dtype)
        found = errors(tried, 0.0)
        better = found > score
        best[better], score[better] = tried[better], found[better]
        if step % 500 == 499:  # the weaker half starts again beside the best
            order = score.argsort()
            half = width // 2
            best[order[:half]], score[order[:half]] = best[order[-1]], score[order[-1]]
    winner = int(score.argmax())
    return Found(float(score[winner]), width * steps, best[winner].astype(np.float64).tolist())
