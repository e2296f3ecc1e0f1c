"""What a list of some entries of a row says of a label: one row at a time, by the definitions.

    p(j) = exp(l(j)),   S = sum of p over the list,   m = the smallest p in the list

A label outside the list has at most ``min(m, 1 - S, tail mass)``; where S is not known the list is
as likely as its own softmax says, times a share of at most 1, and of at least
``1 / (1 + (V - k) m)``: each of the V - k others has at most m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

INF = math.inf
NOWHERE = 2**32 - 1
SMALLEST_MASS = 2.0**-20
ROUGH = 1e-6


@dataclass(frozen=True)
class Said:
    """What is known of a token; equal ends are exact."""

    nll: float
    nll_high: float
    rank: int
    rank_high: int
    greater: int
    ties: int


@dataclass(frozen=True)
class Row:
    """A list as it is stored; None in place of either for an absent entry."""

    ids: list[int | None]
    values: list[float | None]
    lse: float | None = None
    tail: float | None = None


def said(
    row: Row,
    label: int,
    kind: str,
    *,
    vocab: int | None = None,
    largest: bool = True,
    unit: float = 0.0,
) -> Said | None:
    """Say what is known of a label; None for nothing. `unit`: the rounding of stored values."""
    stored = {
        token: value
        for token, value in zip(row.ids, row.values, strict=True)
        if token is not None and value is not None and value > -1000
        if not (kind == "probs" and value == 0)
    }
    if not stored:
        return None
    logs, mass_known = log_probabilities(stored, row, kind)
    last = NOWHERE if vocab is None else vocab - 1
    if label in stored:
        own = stored[label]
        greater = sum(value > own for value in stored.values())
        equal = [token for token, value in stored.items() if value == own and token != label]
        rank = greater + sum(token < label for token in equal)
        low, high = -logs[label], -logs[label]
        if not mass_known:
            high = INF
            if vocab is not None and largest:
                others = (vocab - len(stored)) * math.exp(min(logs.values()))
                high = low + math.log(1 + others)
        end = rank if largest else max(last, rank)
        return Said(max(low, 0), max(high, 0), rank, end, greater, len(equal))
    rank = len(stored) if largest else 0
    if mass_known:
        low = -math.log(most_likely(logs, stored, row, kind, largest=largest, unit=unit))
    elif largest:
        smallest = math.exp(min(logs.values()))
        low = -math.log(smallest / (1 + smallest))
    else:
        return None
    return Said(max(low, 0), INF, rank, max(last, rank), rank, 0)


def log_probabilities(
    stored: dict[int, float], row: Row, kind: str
) -> tuple[dict[int, float], bool]:
    """Give the entries as log-probabilities, and whether they are those of the whole row."""
    if kind == "logprobs":
        return stored, True
    if kind == "probs":
        return {token: math.log(p) for token, p in stored.items()}, True
    if kind == "logits" and row.lse is not None:
        return {token: value - row.lse for token, value in stored.items()}, True
    own = 0.0 if kind == "renormalised" else math.log(sum(math.exp(x) for x in stored.values()))
    share = 0.0 if row.tail is None else math.log(1 - math.exp(row.tail))
    return {token: x - own + share for token, x in stored.items()}, row.tail is not None


def most_likely(
    logs: dict[int, float],
    stored: dict[int, float],
    row: Row,
    kind: str,
    *,
    largest: bool,
    unit: float,
) -> float:
    """Give the most that the probability of an unlisted label can be."""
    sum_p = slack = 0.0
    for token, log in logs.items():
        size = 1.0 if kind == "probs" else abs(stored[token])
        if kind == "logits" and row.lse is not None:
            size += abs(row.lse)
        sum_p += math.exp(log)
        slack += math.exp(log) * (ROUGH + unit * size)
    left = 1 - sum_p + slack
    if row.tail is not None:
        left = min(left, math.exp(row.tail))
    left = min(max(left, SMALLEST_MASS), 1.0)
    return min(left, math.exp(min(logs.values()))) if largest else left
