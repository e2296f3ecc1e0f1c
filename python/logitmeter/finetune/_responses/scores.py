"""Log-probabilities of a few tokens a position, to what is known of one of them.

With lists of the likeliest tokens, p their probabilities and q that of the token wanted::

    nll = -ln q                                      where q is given
    nll >= -ln min p,   nll >= -ln (1 - sum p)       where the token is not among them

The list is complete from the top down to its end: above a token that is listed stand the listed
ones alone, and one that is not listed is no arg-max. Without a list, q > 1/2 still is one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from logitmeter.finetune._responses.reply import ROUNDING

if TYPE_CHECKING:
    from logitmeter.finetune._responses.reply import Entry, Step, Wanted

__all__ = ["NOWHERE", "UNKNOWN", "Score", "exact", "score_of"]

NOWHERE = 2**32 - 1
"""The high end of a rank of which nothing is known."""
HALF = ROUNDING - math.log(2)
LEAST_LEFT = 1e-4
"""What listed tokens leave is a difference of rounded numbers; below this it is not relied on."""


class Score(NamedTuple):
    """What is known of a token, by the columns of a source of scores."""

    nll: float | None
    nll_high: float | None = None
    rank: int | None = None
    rank_high: int | None = None
    ties: int | None = None


UNKNOWN = Score(None)


def exact(logprob: float, rank: int) -> Score:
    """Give the score of a token that is known."""
    return Score(0.0 - logprob, rank=rank)


def score_of(step: Step, wanted: Wanted | None = None) -> Score:
    """Give the score of a token at a position, that of the text itself if none is named."""
    entry = step.own if wanted is None else step.find(wanted)
    if entry is None or entry.logprob is None:
        return _not_listed(step, entry)
    return _listed(step, entry, entry.logprob)


def _not_listed(step: Step, entry: Entry | None) -> Score:
    """Bound a token by those that are more likely."""
    listed = [other for other in step.top if other.logprob is not None]
    top = [_known(other) for other in listed if entry is None or not other.is_same(entry)]
    if not top:
        return UNKNOWN
    seen = sum(map(math.exp, top))
    apart = step.own.logprob is not None and not any(map(step.own.is_same, listed))
    if apart:
        seen += math.exp(_known(step.own))
    low = max(-min(top), -math.log(max(1 - seen, LEAST_LEFT)))
    return Score(low, math.inf, len(top), NOWHERE)


def _listed(step: Step, entry: Entry, logprob: float) -> Score:
    others = [
        _known(other)
        for other in step.top
        if other.logprob is not None and not other.is_same(entry)
    ]
    greater = sum(other > logprob for other in others)
    ties = sum(other == logprob for other in others)
    score = Score(0.0 - logprob, rank=greater, ties=ties)
    if step.rank is not None and entry is step.own:
        first = step.rank if greater or not ties else 0  # equal to the likeliest one
        return score._replace(rank=first, rank_high=step.rank)
    listed = [*others, *(logprob for other in step.top if other.is_same(entry))]
    if (listed and logprob >= min(listed)) or logprob > HALF:
        return score._replace(rank_high=greater + ties)
    return score._replace(rank_high=NOWHERE)


def _known(entry: Entry) -> float:
    """Give a log-probability that is known to be there."""
    return -math.inf if entry.logprob is None else entry.logprob
