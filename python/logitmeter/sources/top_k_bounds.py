r"""What a list of some entries of a row says of the label's loss and rank.

Let the list hold the log-probabilities :math:`l_j` (natural logarithm), :math:`S = \sum_j e^{l_j}`
their mass and :math:`m = \min_j l_j`. A label in the list has ``nll = -l[label]``. Of one that is
not in it

.. math:: p \le e^m, \qquad p \le 1 - S, \qquad p \le e^{tail}

so that its nll lies between the largest of ``-m``, ``-ln(1 - S)`` and ``-tail``, and infinity. The
first of the three, and every rank, holds where the list has the largest entries of the row.

Where the list's mass is not known (renormalised values, or raw logits without an lse), :math:`l_j`
are its own log-softmax. All that is missing can only lower a probability, and V - k entries of at
most :math:`e^m` are missing, so that

.. math:: -l[label] \le nll \le -l[label] + \ln(1 + (V - k) e^m)

and, of a label that is not in the list, :math:`p \le e^m S \le e^m (1 - p)`, which is
``nll >= ln(1 + exp(-m))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from logitmeter.sources.top_k_faults import Fault, Faults

if TYPE_CHECKING:
    from logitmeter.sources.lists import Lists
    from logitmeter.sources.memory_numpy import Array

__all__ = ["NOWHERE", "Kind", "Rows", "scores_of"]

NOWHERE = 2**32 - 1
"""The high end of a rank that has none."""
ABSENT = -1000.0
"""Values at or below this are sentinels of writers (-1000, -9999, -inf): no entry."""
RESOLUTION = 2.0**-20
"""What float32 leaves of 1 - S: a smaller mass counts as this much."""
ROUGH = 1e-6
"""By how much a writer's log-softmax in float32 may be off."""
TOLERANCE = 1e-3
"""A mass may exceed 1 by so much, and a log-probability 0, besides the rounding of its type."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values are.

    Parameters
    ----------
    values
        ``"logits"``, ``"logprobs"``, ``"probs"`` or ``"renormalised"`` (log-probabilities that add
        up to 1 over the list).
    largest
        The list holds the largest entries of the row.
    vocab_size
        V, where it is known.
    unit
        How far a value may have been rounded, relative to itself.
    """

    values: str
    largest: bool = True
    vocab_size: int | None = None
    unit: float = 0.0


class Rows(NamedTuple):
    """Some rows: their lists, labels (-1 for none that can be used), lse and tail, if they have."""

    lists: Lists
    labels: Array
    lse: Array
    has_lse: Array
    tail: Array
    has_tail: Array


class _Entries(NamedTuple):
    """The entries that are present, row after row; `first` is where those of a row begin."""

    row: Array
    ids: Array
    stored: Array
    logs: Array
    counts: Array

    @classmethod
    def of(cls, lists: Lists, kind: Kind) -> _Entries:
        row = np.repeat(np.arange(len(lists.counts)), lists.counts)
        absent = lists.values <= (0.0 if kind.values == "probs" else ABSENT)
        if kind.values == "probs":  # a negative one is refused, unless it is a sentinel
            absent &= (lists.values == 0) | (lists.values <= ABSENT)
        row, ids, stored = row[~absent], lists.ids[~absent], lists.values[~absent]
        logs = np.log(stored) if kind.values == "probs" else stored
        return cls(row, ids, stored, logs, np.bincount(row, minlength=len(lists.counts)))

    def reduced(self, ufunc: np.ufunc, values: Array, empty: float) -> Array:
        """Reduce each row's values; `empty` where a row has none."""
        out = np.full(len(self.counts), empty)
        some = self.counts > 0
        if some.any():
            first = np.cumsum(self.counts) - self.counts
            out[some] = ufunc.reduceat(values, first[some])
        return out

    def number(self, chosen: Array) -> Array:
        """Count the chosen entries of each row."""
        return np.bincount(self.row[chosen], minlength=len(self.counts))


def scores_of(rows: Rows, kind: Kind) -> tuple[dict[str, Array], Array, Faults]:
    """Give the columns of scores, where they are known, and the rows that cannot be right."""
    with np.errstate(all="ignore"):  # rows that are refused, or that do not count
        entries = _Entries.of(rows.lists, kind)
        mass = _Mass.of(entries, rows, kind)
        columns, known = _scores(entries, mass, rows, kind)
        faults = _faults(entries, mass, rows, kind)
    return columns, known & rows.lists.known & (rows.labels >= 0), faults


class _Mass(NamedTuple):
    """The entries as log-probabilities, and what is known of the probability beside them."""

    logs: Array
    lowest: Array
    total: Array
    slack: Array
    known: Array

    @classmethod
    def of(cls, entries: _Entries, rows: Rows, kind: Kind) -> _Mass:
        known = np.full(len(rows.labels), kind.values in {"logprobs", "probs"})
        offset = np.zeros(len(rows.labels))
        size = np.abs(entries.stored) if kind.values != "probs" else 1.0
        error = ROUGH + kind.unit * size
        if kind.values == "logits":
            known = rows.has_lse
            offset = np.where(known, -rows.lse, -_log_sum(entries))
            error = error + (kind.unit * np.where(known, np.abs(rows.lse), 0.0))[entries.row]
        by_tail = ~known & rows.has_tail
        offset = offset + np.where(by_tail, np.log1p(-np.exp(rows.tail)), 0.0)
        logs = entries.logs + offset[entries.row]
        probabilities = np.exp(logs)
        return cls(
            logs,
            entries.reduced(np.minimum, logs, np.inf),
            entries.reduced(np.add, probabilities, 0.0),
            entries.reduced(np.add, probabilities * error, 0.0),
            known | by_tail,
        )


def _log_sum(entries: _Entries) -> Array:
    """Give ln of the sum of exp of each row's entries."""
    top = entries.reduced(np.maximum, entries.logs, 0.0)
    shares = np.exp(entries.logs - top[entries.row])
    return top + np.log(entries.reduced(np.add, shares, 1.0))


def _scores(
    entries: _Entries, mass: _Mass, rows: Rows, kind: Kind
) -> tuple[dict[str, Array], Array]:
    own_label = rows.labels[entries.row]
    hit = entries.ids == own_label
    place = np.full(len(rows.labels), -1)
    place[entries.row[hit]] = np.flatnonzero(hit)
    inside = place >= 0
    at = np.where(inside, place, 0)
    own = _at(mass.logs, at, inside)
    above, ties, before = _standing(entries, _at(entries.logs, at, inside), own_label, hit)

    low = np.where(inside, -own, _lowest_loss(mass, rows, kind))
    high = np.where(inside, -own + _room(entries, mass, kind), np.inf)
    rank = np.where(inside, above + before, entries.counts if kind.largest else 0)
    last = NOWHERE if kind.vocab_size is None else kind.vocab_size - 1
    rank_high = np.where(inside & kind.largest, rank, np.maximum(last, rank))
    columns = {
        "nll": np.maximum(low, 0.0) + 0.0,  # never -0.0
        "nll_high": np.maximum(high, 0.0) + 0.0,
        "rank": rank,
        "rank_high": rank_high,
        "greater": np.where(inside, above, rank),
        "ties": ties,
    }
    # Any entries of unknown mass say nothing of a label that is not among them.
    return columns, (entries.counts > 0) & (inside | mass.known | kind.largest)


def _at(values: Array, place: Array, inside: Array) -> Array:
    """Give the value of each row's label; nan where it is not in the list."""
    return np.where(inside, values[place], np.nan) if len(values) else np.full(len(place), np.nan)


def _standing(
    entries: _Entries, own: Array, label: Array, hit: Array
) -> tuple[Array, Array, Array]:
    """Count the entries above the label, those equal to it, and of these the lower ids."""
    wanted = own[entries.row]
    equal = (entries.logs == wanted) & ~hit
    before = equal & (entries.ids < label)
    return entries.number(entries.logs > wanted), entries.number(equal), entries.number(before)


def _room(entries: _Entries, mass: _Mass, kind: Kind) -> Array:
    """Give by how much the loss of a listed label may be larger."""
    if kind.vocab_size is None or not kind.largest:
        return np.where(mass.known, 0.0, np.inf)
    missing = np.maximum(kind.vocab_size - entries.counts, 0) * np.exp(mass.lowest)
    return np.where(mass.known, 0.0, np.log1p(missing))


def _lowest_loss(mass: _Mass, rows: Rows, kind: Kind) -> Array:
    """Give the low end of the loss of a label that is not in the list."""
    left = 1.0 - mass.total + mass.slack
    left = np.where(rows.has_tail, np.minimum(left, np.exp(rows.tail)), left)
    by_mass = -np.log(np.clip(left, RESOLUTION, 1.0))
    if not kind.largest:
        return np.where(mass.known, by_mass, 0.0)
    unknown = np.logaddexp(0.0, -mass.lowest)
    return np.where(mass.known, np.maximum(by_mass, -mass.lowest), unknown)


def _faults(entries: _Entries, mass: _Mass, rows: Rows, kind: Kind) -> Faults:
    """Find the rows that cannot be right, the plainest fault first."""
    lists, faults = rows.lists, Faults(len(rows.labels))
    differ = lists.known & (lists.num_ids != lists.num_values)
    faults.mark(Fault.LENGTHS, differ, lists.num_values, lists.num_ids)
    _check_sides(rows, kind, faults)
    _check_values(entries, mass, kind, faults)
    _check_ids(entries, kind, faults)
    _check_mass(mass, rows, kind, faults)
    return faults


def _check_sides(rows: Rows, kind: Kind, faults: Faults) -> None:
    some = rows.lists.counts > 0
    if kind.values == "logits":
        faults.mark(Fault.LSE, some & rows.has_lse & ~np.isfinite(rows.lse), rows.lse)
    faults.mark(Fault.TAIL, some & rows.has_tail & ~(rows.tail <= TOLERANCE), rows.tail)


def _check_values(entries: _Entries, mass: _Mass, kind: Kind, faults: Faults) -> None:
    stored, row, ids = entries.stored, entries.row, entries.ids
    faults.mark_entries(Fault.NOT_FINITE, ~np.isfinite(stored), row, stored, ids)
    if kind.values == "probs":
        faults.mark_entries(Fault.NEGATIVE, stored < 0, row, stored, ids)
    # Both a logit and the lse that is taken from it are rounded.
    above = mass.logs > TOLERANCE + 2 * kind.unit * np.maximum(1.0, np.abs(stored))
    above &= mass.known[row] | (kind.values == "renormalised")
    shown = stored if kind.values == "probs" else mass.logs
    fault = Fault.ABOVE_ONE if kind.values == "probs" else Fault.ABOVE_ZERO
    faults.mark_entries(fault, above, row, shown, ids)


def _check_ids(entries: _Entries, kind: Kind, faults: Faults) -> None:
    ids, row = entries.ids, entries.row
    outside = ids < 0
    if kind.vocab_size is not None:
        outside |= ids >= kind.vocab_size
    faults.mark_entries(Fault.OUTSIDE, outside, row, ids, ids)
    pairs = np.sort(row << 32 | (ids & 0xFFFFFFFF))
    if not np.any(pairs[1:] == pairs[:-1]):  # mostly so, and sorting alone is much faster
        return
    order = np.lexsort((ids, row))
    again = np.zeros(len(ids), bool)
    again[order[1:]] = (np.diff(ids[order]) == 0) & (np.diff(row[order]) == 0)
    faults.mark_entries(Fault.TWICE, again, row, entries.stored, ids)


def _check_mass(mass: _Mass, rows: Rows, kind: Kind, faults: Faults) -> None:
    near, tailed = TOLERANCE + mass.slack, (mass.total > 0) & rows.has_tail
    faults.mark(Fault.MASS, mass.known & (mass.total > 1 + near), mass.total)
    if kind.values == "renormalised":
        total = np.where(rows.has_tail, mass.total / -np.expm1(rows.tail), mass.total)
        faults.mark(Fault.NOT_ONE, (mass.total > 0) & (np.abs(total - 1) > near), total)
    whole = mass.total + np.exp(rows.tail)
    faults.mark(Fault.TAIL_MASS, tailed & (np.abs(whole - 1) > near), whole)
