"""The report, slowly: every sum is a Fraction, every result is rounded once at its end."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import mpmath

from .rows import Invalid, Score, Unknown, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .counting import Counted, Token

Sum = Fraction | float  # a float only for inf or nan
NOWHERE = 2**32 - 1  # the high end of a rank of which nothing is known


def to_float(x: Sum) -> float:
    """Round once; beyond float64 it is infinite."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def exact_sum(values: Sequence[float]) -> Sum:
    """Quote: "totals are an exact sum"; nan and +inf as IEEE would have them (no -inf occurs)."""
    if any(math.isnan(v) for v in values):
        return math.nan
    if math.inf in values:
        return math.inf
    return sum((Fraction(v) for v in values), Fraction(0))


def ratio(total: Sum, weight: Sum) -> float:
    """Quote: "nothing counted: count 0, values nan"; else total / weight, rounded once."""
    if weight == 0:
        return math.nan
    if not isinstance(total, Fraction) or not isinstance(weight, Fraction):
        return to_float(total)
    return to_float(total / weight)


def clustered_se(sums: Sequence[Sum], weights: Sequence[Sum]) -> float:
    """Quote: "SE = sqrt(G/(G-1) * sum (S_g - m n_g)^2) / N".

    For G sequences with n_g > 0, N = sum n_g, m = sum S_g / N; "S_g is an exact
    sum rounded once" (n_g too); "G = 1 or an infinite sum: nan".
    """
    pairs = [(to_float(s), to_float(n)) for s, n in zip(sums, weights, strict=True) if n > 0]
    if len(pairs) < 2 or not all(math.isfinite(v) for pair in pairs for v in pair):
        return math.nan
    sums_g = [Fraction(s) for s, _ in pairs]
    n_g = [Fraction(w) for _, w in pairs]
    g, total = len(pairs), sum(n_g, Fraction(0))
    m = sum(sums_g, Fraction(0)) / total
    squares = sum(((s - m * w) ** 2 for s, w in zip(sums_g, n_g, strict=True)), Fraction(0))
    variance = Fraction(g, g - 1) * squares / total**2
    with digits():
        return float(mpmath.sqrt(mpmath.mpf(variance.numerator) / variance.denominator))


def naive_se(terms: Sequence[float], weights: Sequence[float]) -> float:
    """Quote: "the naive error beside the clustered one": as if tokens were independent.

    For n tokens with t_i = w_i nll_i, W = sum w_i and m = sum t_i / W:
    sqrt(n/(n-1) * sum (t_i - m w_i)^2) / W.
    """
    n = len(terms)
    if n < 2 or not all(math.isfinite(t) for t in terms):
        return math.nan
    t, w = [Fraction(x) for x in terms], [Fraction(x) for x in weights]
    total = sum(w, Fraction(0))
    m = sum(t, Fraction(0)) / total
    squares = sum(((x - m * y) ** 2 for x, y in zip(t, w, strict=True)), Fraction(0))
    variance = Fraction(n, n - 1) * squares / total**2
    with digits():
        return float(mpmath.sqrt(mpmath.mpf(variance.numerator) / variance.denominator))


def effective_number(weights: Sequence[Sum]) -> float:
    """Quote: "the effective number (sum n)^2 / sum n^2"; each n an exact sum rounded once."""
    n_g = [Fraction(to_float(n)) for n in weights if n > 0]
    return to_float(sum(n_g) ** 2 / sum(n**2 for n in n_g)) if n_g else math.nan


def perplexity(loss: float) -> float:
    """Quote: "perplexity = exp(loss)"; "label at -inf: perplexity inf"."""
    with digits():
        return float(mpmath.exp(loss))


def part(  # noqa: C901 - one figure after another
    tokens: Sequence[Token],
    scores: Mapping[int, Score | Invalid | Unknown],
    *,
    sequences_known: bool,
    nonfinite: Literal["raise", "omit", "propagate"],
    ks: Sequence[int],
) -> dict[str, Any]:
    """Give the figures of some of the tokens; scores by row number.

    "omit" (leaves loss, accuracy and num_tokens, is counted in num_invalid; its sequence
    leaves whole-sequence accuracy), "propagate" (counted, nll nan, rank null, not correct).

    Scores may be intervals: every figure is then its own low end, as if each token had the loss
    of its low end and the rank of its high end; `loss_bounds` and its like have both ends. Unknown
    tokens leave the figures as omitted ones do, and are counted in num_unknown.
    """
    found = {t: scores[t.row] for t in tokens}
    invalid = {t: s for t, s in found.items() if isinstance(s, Invalid)}
    valid = {t: s for t, s in found.items() if isinstance(s, Score)}
    unknown = [t for t, s in found.items() if isinstance(s, Unknown)]
    kept = [t for t in found if t in valid or (t in invalid and nonfinite == "propagate")]

    def value(t: Token, f: Callable[[Score], float], otherwise: float = 0.0) -> float:
        return f(valid[t]) if t in valid else otherwise

    def loss_term(t: Token) -> float:
        """Quote: "w * nll is rounded once to f64, then summed exactly"."""
        return t.weight * value(t, lambda s: float(s.nll), math.nan)

    def high_term(t: Token) -> float:
        return t.weight * value(t, lambda s: float(s.high()[0]), math.nan)

    def mean(term: Callable[[Token], float]) -> float:
        return ratio(exact_sum([term(t) for t in kept]), exact_sum([t.weight for t in kept]))

    def weighted(test: Callable[[Score], bool]) -> Callable[[Token], float]:
        return lambda t: t.weight * value(t, lambda s: float(test(s)))

    by_sequence: dict[int, list[Token]] = {}
    for t in kept:
        by_sequence.setdefault(t.sequence, []).append(t)

    def se(term: Callable[[Token], float]) -> float:
        """Quote: "no ids: ...standard errors and whole-sequence accuracy are nan"."""
        if not sequences_known:
            return math.nan
        return clustered_se(
            [exact_sum([term(t) for t in g]) for g in by_sequence.values()],
            [exact_sum([t.weight for t in g]) for g in by_sequence.values()],
        )

    def naive(term: Callable[[Token], float]) -> float:
        return naive_se([term(t) for t in kept], [t.weight for t in kept])

    def reciprocal_rank(t: Token) -> Fraction:
        last = valid[t].high()[1] if t in valid else NOWHERE
        return Fraction(0) if last == NOWHERE else Fraction(t.weight) * Fraction(1, last + 1)

    correct = weighted(lambda s: s.high()[1] == 0)
    perhaps_correct = weighted(lambda s: s.rank == 0)
    spoilt = {t.sequence for t in unknown}
    spoilt |= {t.sequence for t in invalid} if nonfinite == "omit" else set()
    whole = [
        all(t in valid and valid[t].high()[1] == 0 for t in g)
        for s, g in by_sequence.items()
        if s not in spoilt
    ]
    weight = exact_sum([t.weight for t in kept])
    loss, high = mean(loss_term), mean(high_term)
    intervals = [s for s in valid.values() if s.high() != (s.nll, s.rank)]
    return {
        "loss": loss,
        "loss_bounds": (loss, high),
        "perplexity_bounds": (perplexity(loss), perplexity(high)),
        "accuracy_bounds": (mean(correct), mean(perhaps_correct)),
        "loss_stderr": se(loss_term),
        "loss_stderr_naive": naive(loss_term),
        "perplexity": perplexity(loss),
        "accuracy": mean(correct),
        "accuracy_stderr": se(correct),
        "accuracy_stderr_naive": naive(correct),
        # "Accuracy can be given under first, strict and optimistic ties".
        "accuracy_strict": mean(weighted(lambda s: s.high()[1] == 0 and s.ties == 0)),
        "accuracy_optimistic": mean(weighted(lambda s: s.greater == 0)),
        "mrr": ratio(sum((reciprocal_rank(t) for t in kept), Fraction(0)), weight),
        "top_k_accuracy": {k: mean(weighted(lambda s, k=k: s.high()[1] < k)) for k in ks},  # type: ignore[misc]
        "sequence_accuracy": (
            ratio(Fraction(sum(whole)), Fraction(len(whole))) if sequences_known else math.nan
        ),
        "effective_number": (
            effective_number([exact_sum([t.weight for t in g]) for g in by_sequence.values()])
            if sequences_known
            else math.nan
        ),
        "sum_weight": to_float(weight),
        "sum_loss": to_float(exact_sum([loss_term(t) for t in kept])),
        "num_tokens": len(kept),
        "num_correct": sum(s.high()[1] == 0 for s in valid.values()),
        "num_sequences": len(by_sequence) if sequences_known else 0,
        "num_ties": sum(s.ties > 0 for s in valid.values()),
        "num_invalid": len(invalid),
        "num_bounded": len(intervals),
        "num_unknown": len(unknown),
        "num_nan_rows": sum(s.has_nan for s in invalid.values()),
        "num_posinf_rows": sum(s.has_posinf for s in invalid.values()),
        "num_neginf_labels": sum(s.nll == math.inf for s in valid.values()),
    }


def report(
    counted: Counted,
    scores: Mapping[int, Score | Invalid | Unknown],
    *,
    sequences_known: bool,
    nonfinite: Literal["raise", "omit", "propagate"] = "raise",
    ks: Sequence[int] = (1, 5, 10, 100),
) -> dict[str, Any]:
    """Quote: "`report.visible` and `report.hidden` beside the whole", and so for each group.

    Under "groups" stands such a triple for each group; a group that counts nothing is absent.
    """

    def triple(tokens: Sequence[Token]) -> dict[str, Any]:
        return {
            name: part(chosen, scores, sequences_known=sequences_known, nonfinite=nonfinite, ks=ks)
            for name, chosen in (
                ("whole", list(tokens)),
                ("visible", [t for t in tokens if not t.hidden]),
                ("hidden", [t for t in tokens if t.hidden]),
            )
        }

    groups = dict.fromkeys(t.group for t in counted.tokens)
    return {
        **triple(counted.tokens),
        "groups": {g: triple([t for t in counted.tokens if t.group == g]) for g in groups},
        "num_runs": counted.num_runs,
        "num_short_left": counted.num_short_left,
        "num_short_right": counted.num_short_right,
        "num_unscored": counted.num_unscored,
        "hidden_label_ids": counted.hidden_label_ids,
    }
