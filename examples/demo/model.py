"""An honest language model small enough to be learnt while you wait: a Kneser-Ney 4-gram.

    P_k(w | h) = max(c(h w) - D_k, 0) / c(h)  +  g(h) P_(k-1)(w | h without its first token)
    g(h) = D_k * (number of different w after h) / c(h),    D_k = n1 / (n1 + 2 n2)

down to a uniform distribution over *all* ids. Counts of the highest order are occurrences; below
it they are the number of different tokens seen before (Kneser and Ney, "Improved backing-off for
m-gram language modeling", 1995; interpolated as in Chen and Goodman, 1999). Each order hands on
exactly the mass that it discounts, so every row sums to 1 and no id has probability 0.

All ids but the few seen after the context share the unigram distribution times one factor. A
prediction is therefore that factor and a short list: a row of 100,000 logits costs one addition.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDER = 4
SUM_TOLERANCE = 1e-9
_START = -1  # stands for the tokens before the first one

Gram = tuple[int, ...]


@dataclass(frozen=True)
class Continuations:
    """What follows one context: ids, their discounted probabilities, the mass handed down."""

    ids: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    handed_down: float


@dataclass(frozen=True)
class Prediction:
    """P(w) is `probabilities` for the listed ids and `factor * unigram(w)` for all others."""

    factor: float
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float64]


class NGram:
    """Interpolated Kneser-Ney over `vocab_size` ids, learnt from whole conversations."""

    def __init__(self, conversations: Iterable[NDArray[np.int32]], vocab_size: int) -> None:
        counts: Counter[Gram] = Counter()
        for ids in conversations:
            padded = [_START] * (ORDER - 1) + ids.tolist()
            counts.update(zip(*(padded[i:] for i in range(ORDER)), strict=False))
        self._orders: list[dict[Gram, Continuations]] = []  # the highest first
        for _ in range(ORDER - 1):
            self._orders.append(_by_context(counts))
            counts = Counter(gram[1:] for gram in counts)
        self.unigram = _unigram(counts, vocab_size)
        self._scratch = np.zeros(vocab_size)
        if abs(self.unigram.sum() - 1) > SUM_TOLERANCE:
            raise AssertionError(f"the unigram sums to {self.unigram.sum()}, not to 1")

    @property
    def vocab_size(self) -> int:
        """How many ids the distribution covers."""
        return len(self.unigram)

    def predict(self, history: NDArray[np.int32]) -> Prediction:
        """Predict the token after `history`, the conversation so far."""
        padded = (_START,) * (ORDER - 1) + tuple(history[1 - ORDER :].tolist())
        factor, scratch = 1.0, self._scratch
        ids = np.empty(0, np.int64)
        for order, table in enumerate(self._orders):
            seen = table.get(padded[order + 1 - ORDER :])
            if seen is not None:
                scratch[seen.ids] += factor * seen.probabilities
                factor *= seen.handed_down
                ids = seen.ids  # a shorter context has all continuations of a longer one
        listed = scratch[ids] + factor * self.unigram[ids]
        scratch[ids] = 0.0
        total = listed.sum() + factor * (1.0 - self.unigram[ids].sum())
        if abs(total - 1) > SUM_TOLERANCE:
            raise AssertionError(f"the distribution after {padded} sums to {total}, not to 1")
        return Prediction(factor, ids, listed)

    def probabilities(self, prediction: Prediction) -> NDArray[np.float64]:
        """Return the whole distribution, one number an id."""
        dense = prediction.factor * self.unigram
        dense[prediction.ids] = prediction.probabilities
        return dense

    def probability(self, prediction: Prediction, token: int) -> float:
        """Return the probability of one token."""
        (at,) = np.nonzero(prediction.ids == token)
        if len(at):
            return float(prediction.probabilities[at[0]])
        return prediction.factor * float(self.unigram[token])


def _by_context(counts: Counter[Gram]) -> dict[Gram, Continuations]:
    discount = _discount(counts)
    grouped: defaultdict[Gram, list[tuple[int, int]]] = defaultdict(list)
    for gram, count in counts.items():
        grouped[gram[:-1]].append((gram[-1], count))
    table = {}
    for context, pairs in grouped.items():
        ids, occurrences = np.array(pairs).T
        total = int(occurrences.sum())
        table[context] = Continuations(
            ids, (occurrences - discount) / total, discount * len(ids) / total
        )
    return table


def _unigram(counts: Counter[Gram], vocab_size: int) -> NDArray[np.float64]:
    discount, total = _discount(counts), counts.total()
    unigram = np.full(vocab_size, discount * len(counts) / total / vocab_size)
    for (token,), count in counts.items():
        unigram[token] += (count - discount) / total
    return unigram


def _discount(counts: Counter[Gram]) -> float:
    once = sum(count == 1 for count in counts.values())
    twice = sum(count == 2 for count in counts.values())  # noqa: PLR2004
    return once / (once + 2 * twice) if once and twice else 0.75
