"""Rows of logits that have broken such kernels, or could: the adversary of the error bounds.

None of them is invalid. What they hold depends on the seed alone, so that another process can draw
them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Reals = Any  # an array of float64, of numbers that the element type may still round

DTYPES: dict[str, Any] = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float64": np.float64,
}

# The greatest finite number of each.
LARGEST = {
    "float32": 2.0**128 - 2.0**104,
    "float16": 65504.0,
    "bfloat16": 2.0**128 - 2.0**120,
    "float64": 2.0**1023 * (2 - 2.0**-52),
}

# Around every border: vectors of 8 and 16, the 64 columns that the guess of r looks at, blocks
# of 512, and 2,048, up to which rows may be taken together.
SMALL = sorted(
    {
        max(1, border + i)
        for border in (1, 8, 16, 32, 64, 128, 512, 1024, 1536, 2048)
        for i in (-1, 0, 1)
    }
    | {3, 24, 100, 527, 529, 1000, 1039, 3000, 4095, 4097}
)
LARGE = [8191, 16_385, 32_000, 50_257, 65_535, 65_537, 128_256, 151_936, 200_019, 262_144]


def normal(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Everyday logits, at any scale of their spread."""
    del top
    return rng.normal(-2, 1, (n, v)) * 10 ** rng.uniform(-3, 1.2, (n, 1))


def offset(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Everyday logits far from 0, up to 1e6."""
    far = np.minimum(10 ** rng.uniform(1, 6, (n, 1)), top / 2) * rng.choice([-1, 1], (n, 1))
    return far + rng.normal(0, 2.5, (n, v))


def ties(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """A few numbers, many times each; +0 and -0 among them."""
    del top
    few = rng.integers(-4, 5, (n, v)) * rng.choice([0.5, 1.0, 8.0], (n, 1))
    return np.where(rng.random((n, v)) < 0.2, -0.0, few)


def huge(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Numbers next to the largest finite ones, of one sign or of both."""
    sign = rng.choice([-1.0, 1.0], (n, v))
    sign[::3] = 1.0
    sign[1::3] = -1.0
    return sign * top * rng.choice([1.0, 1.0, 0.75, 2.0**-12], (n, v))


def subnormal(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Subnormals of the element type, or numbers that are nearly such."""
    least = {65504.0: 2.0**-24}.get(top, 2.0**-149 if top < 1e300 else 5e-324)
    return least * rng.integers(-2000, 2000, (n, v))


def dominant(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """One entry above all others, by a little or by far."""
    del top
    x = rng.normal(0, 1, (n, v)) * rng.choice([0.0, 1.0], (n, 1))
    x[np.arange(n), rng.integers(0, v, n)] = rng.uniform(1, 110, n)
    return x


def equal(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """All entries are one number."""
    one = rng.choice([0.0, 1.0, 60.0, 61.0, -40.0, -41.0, 85.0, 1e-3], (n, 1)) * rng.uniform(
        -1, 1, (n, 1)
    )
    return np.minimum(np.broadcast_to(one + rng.choice([0.0, 0.0, 70_000.0], (n, 1)), (n, v)), top)


def below_a_peak(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Many equal entries just below one: they add up to as much, and round alike."""
    del top
    peak = rng.uniform(-30, 60, (n, 1))
    x = np.repeat(peak - 10 ** rng.uniform(-4, 1.3, (n, 1)), v, axis=1)
    x[np.arange(n), rng.integers(0, v, n)] = peak[:, 0]
    return x


def patterned(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """A pattern of 64 or 512 columns, again and again: every lane rounds alike."""
    del top
    period = int(rng.choice([64, 512]))
    steps = np.repeat(rng.uniform(-6, 0, (n, period // 16)), 16, axis=1)
    return np.tile(steps, -(-v // period))[:, :v] + rng.uniform(-20, 20, (n, 1))


def absent(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Entries at -inf, few or nearly all."""
    x = offset(rng, n, v, top) if rng.random() < 0.3 else normal(rng, n, v, top)
    x[rng.random((n, v)) < rng.choice([0.05, 0.5, 0.999], (n, 1))] = -np.inf
    x[np.arange(n), rng.integers(0, v, n)] = rng.uniform(-5, 5, n)  # one is there
    return x


def any_magnitude(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Every power of two between 2^-30 and 2^14, both signs."""
    del top
    return rng.choice([-1.0, 1.0], (n, v)) * 2 ** rng.uniform(-30, 14, (n, v))


def late_peak(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Much higher behind the first 64 columns, or much lower: the reference has to be moved."""
    x = rng.normal(0, 2, (n, v))
    step = np.minimum(10 ** rng.uniform(1.5, 5.5, (n, 1)), top / 4) * rng.choice([-1, 1], (n, 1))
    return x + np.where(np.arange(v) >= min(64, v // 2), step, 0.0)


def hopeless(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """One entry far below all others, where the label often is."""
    x = rng.normal(0, 1, (n, v))
    x[np.arange(n), rng.integers(0, v, n)] = -np.minimum(10 ** rng.uniform(1, 5, n), top / 2)
    return x


def decimals(rng: np.random.Generator, n: int, v: int, top: float) -> Reals:
    """Spread evenly, near where exp is reduced to another step of its table."""
    del top
    k = rng.integers(-300, 80, (n, v))
    return (k + 0.5) / 8 * np.log(2) + rng.uniform(-1e-6, 1e-6, (n, v))


KINDS: list[Any] = [
    normal,
    offset,
    ties,
    huge,
    subnormal,
    dominant,
    equal,
    below_a_peak,
    patterned,
    absent,
    any_magnitude,
    late_peak,
    hopeless,
    decimals,
]


def labels(rng: np.random.Generator, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Label rows at every kind of place: ends, borders of blocks, the best, the worst, anywhere."""
    n, v = x.shape
    borders = np.array([0, 15, 16, 63, 64, 511, 512, 513, v - 17, v - 16, v - 1]).clip(0, v - 1)
    choices = np.stack(
        [
            x.argmax(1),
            x.argmin(1),
            rng.choice(borders, n),
            rng.integers(0, v, n),
            rng.integers(0, v, n),
        ]
    )
    chosen: NDArray[np.int64] = choices[rng.integers(0, len(choices), n), np.arange(n)]
    return chosen


def stored(drawn: Reals, dtype: str) -> Any:
    """Round to the element type; what would round to infinity is its largest number."""
    top = DTYPES[dtype](LARGEST[dtype])
    rounded = np.clip(drawn, -float(top), float(top)).astype(DTYPES[dtype])
    over = np.isinf(rounded.astype(np.float64))
    rounded[over] = np.where(drawn[over] > 0, top, -top)
    rounded[np.isneginf(drawn)] = -np.inf
    return rounded


def batches(seed: int, each: int) -> Iterator[tuple[str, Any, NDArray[np.int64]]]:
    """Give (dtype, logits, labels) for every element type and length.

    There are `each` rows of every kind; of long rows `each` altogether, of kinds in turn.
    """
    for number, dtype in enumerate(DTYPES):
        for columns in SMALL + LARGE:
            rng = np.random.default_rng([seed, columns, number])
            kinds = (
                KINDS
                if columns in SMALL
                else [KINDS[i] for i in rng.permutation(len(KINDS))[:each]]
            )
            count = each if columns in SMALL else 1
            drawn = [kind(rng, count, columns, LARGEST[dtype]) for kind in kinds]
            logits = stored(np.concatenate(drawn), dtype)
            yield dtype, logits, labels(rng, logits.astype(np.float64))
