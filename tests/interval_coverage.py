"""How often a 95% interval holds the truth: sequences drawn from a model, many times over.

Sequence g has n_g tokens; a token's loss is mu + sqrt(rho) a_g + sqrt(1 - rho) e, with a_g common
to the sequence: rho is the intraclass correlation. Only sums over sequences enter the formula::

    m = sum S_g / N,   SE = sqrt(G / (G - 1) sum (S_g - m n_g)^2) / N,   m +- t_(G-1) SE

so these are drawn at once. Correct tokens are beta-binomial with the same rho. The formula is the
package's; `check_formula` says so on tokens that the package itself scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

MU, ACCURACY = 2.0, 0.8
TOKENS = 50  # of a sequence; the median, where lengths differ
CORRELATIONS = (0.0, 0.01, 0.05, 0.2)


@dataclass(frozen=True)
class Design:
    """G sequences, the spread of their lengths, and the correlation within them."""

    sequences: int
    sigma: float  # of the logarithm of the lengths; 0: all of one length
    rho: float
    skewed: bool = False  # losses as of an exponential distribution, not a normal one


def lengths(rng: np.random.Generator, design: Design, replicates: int) -> NDArray[np.float64]:
    """Draw [replicates, G] lengths of at least one token."""
    shape = replicates, design.sequences
    drawn = TOKENS * np.exp(design.sigma * rng.standard_normal(shape))
    rounded: NDArray[np.float64] = np.maximum(1, np.round(drawn))
    return rounded


def losses(rng: np.random.Generator, design: Design, n: NDArray[Any]) -> NDArray[np.float64]:
    """Draw the sum of losses of each sequence."""
    if design.skewed:
        common, own = rng.standard_exponential(n.shape) - 1, rng.standard_gamma(n) - n
    else:
        common, own = rng.standard_normal(n.shape), np.sqrt(n) * rng.standard_normal(n.shape)
    sums: NDArray[np.float64] = n * (MU + math.sqrt(design.rho) * common)
    sums += math.sqrt(1 - design.rho) * own
    return sums


def corrects(rng: np.random.Generator, design: Design, n: NDArray[Any]) -> NDArray[np.float64]:
    """Draw the number of correct tokens of each sequence."""
    p: Any = ACCURACY
    if design.rho > 0:
        both = 1 / design.rho - 1
        p = rng.beta(ACCURACY * both, (1 - ACCURACY) * both, n.shape)
    return rng.binomial(n.astype(np.int64), p).astype(np.float64)


def intervals(s: NDArray[Any], n: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the mean and the half width of the interval of each replicate."""
    g, total = n.shape[1], n.sum(1)
    m = s.sum(1) / total
    squares = ((s - m[:, None] * n) ** 2).sum(1)
    half = stats.t.ppf(0.975, g - 1) * np.sqrt(g / (g - 1) * squares) / total
    return m, half


def covered(design: Design, replicates: int, seed: int) -> dict[str, float]:
    """Give the share of intervals that hold the truth: loss, accuracy, and the naive loss."""
    found: dict[str, list[Any]] = {"loss": [], "accuracy": [], "naive loss": []}
    rng = np.random.default_rng(seed)
    for _ in range(0, replicates, 500):  # in parts, for memory
        n = lengths(rng, design, 500)
        m, half = intervals(losses(rng, design, n), n)
        found["loss"].append(abs(m - MU) <= half)
        # As if tokens were independent; their variance is 1.
        found["naive loss"].append(abs(m - MU) <= 1.96 / np.sqrt(n.sum(1)))
        m, half = intervals(corrects(rng, design, n), n)
        found["accuracy"].append(abs(m - ACCURACY) <= half)
    return {name: float(np.mean(np.concatenate(parts))) for name, parts in found.items()}


def check_formula(design: Design, seed: int) -> None:
    """Let the package score tokens of one replicate; its errors are those of `intervals`."""
    rng = np.random.default_rng(seed)
    n = lengths(rng, design, 1)[0].astype(int)
    ids = np.repeat(np.arange(len(n)), n)
    common = rng.exponential(size=len(n))[ids]
    nll = 0.01 + math.sqrt(design.rho) * common + rng.exponential(size=len(ids))
    logits = np.stack([np.zeros(len(ids)), np.log(np.expm1(nll))], axis=1)  # nll = ln(1 + e^x)
    labels = np.zeros(len(ids), int)
    report = lm.evaluate(logits, labels, sequence_id=ids)
    scores = lm.token_scores(logits, labels).read_all()
    right = np.asarray(scores["rank"]) == 0
    for column, mean, interval in (
        (np.asarray(scores["nll"]), report.loss, report.loss_ci),
        (right.astype(float), report.accuracy, report.accuracy_ci),
    ):
        s = np.array([math.fsum(part) for part in np.split(column, np.cumsum(n)[:-1])])
        m, half = intervals(s[None], n[None].astype(float))
        close = {"rel_tol": 1e-12, "abs_tol": 0.0}
        assert math.isclose(mean, m[0], **close)
        assert math.isclose((interval[1] - interval[0]) / 2, half[0], **close)
    close = {"rel_tol": 1e-12, "abs_tol": 0.0}
    assert math.isclose(report.perplexity_ci[0], math.exp(report.loss_ci[0]), **close)
    assert math.isclose(report.perplexity_ci[1], math.exp(report.loss_ci[1]), **close)
