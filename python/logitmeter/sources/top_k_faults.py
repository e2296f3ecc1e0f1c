"""What cannot be right in lists of entries: found row by row, told only where the row counts.

The core learns of it as a loss of ``-n``, which no loss can be; n numbers the faults of one read,
and is how the fault is found again when the core refuses it.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from logitmeter.sources.memory_numpy import Array

__all__ = ["Fault", "Faults", "Noted", "Reason"]

KEPT = 64
"""Pieces whose faults are kept: the core reads a few ahead of the row that it refuses."""


class Fault(IntEnum):
    """What is wrong."""

    NONE = 0
    LENGTHS = 1
    NOT_FINITE = 2
    NEGATIVE = 3
    ABOVE_ONE = 4
    ABOVE_ZERO = 5
    OUTSIDE = 6
    TWICE = 7
    LSE = 8
    TAIL = 9
    MASS = 10
    NOT_ONE = 11
    TAIL_MASS = 12


class Reason(NamedTuple):
    """A fault in words."""

    message: str
    expected: str
    got: str


WORDS = {
    Fault.LENGTHS: ("a list of {id} ids beside one of {number:g} values", "lists of one length"),
    Fault.NOT_FINITE: ("the value of id {id} is {number:g}", "a finite number, or an absent one"),
    Fault.NEGATIVE: ("the probability of id {id} is {number:g}", "0 to 1"),
    Fault.ABOVE_ONE: ("the probability of id {id} is {number:g}", "0 to 1"),
    Fault.ABOVE_ZERO: ("the log-probability of id {id} is {number:g}", "at most 0"),
    Fault.OUTSIDE: ("id {id} is listed, which is outside the vocabulary", "0 to V - 1"),
    Fault.TWICE: ("id {id} is listed twice", "each id once"),
    Fault.LSE: ("lse is {number:g}", "a finite number"),
    Fault.TAIL: ("tail is {number:g}", "the logarithm of a mass, at most 0"),
    Fault.MASS: ("the listed probabilities add up to {number:g}", "at most 1"),
    Fault.NOT_ONE: (
        "the listed probabilities add up to {number:g}, and they are said to be renormalised",
        "1",
    ),
    Fault.TAIL_MASS: ("the listed probabilities and the tail add up to {number:g}", "1"),
}
"""What each says, and what was expected."""
BY_ID = {Fault.OUTSIDE, Fault.TWICE}
"""Those whose id is what was got."""


class Faults:
    """The first fault of each of some rows."""

    def __init__(self, rows: int) -> None:
        self.kind = np.zeros(rows, np.uint8)
        self.number = np.zeros(rows)
        self.id = np.zeros(rows, np.int64)

    def mark(self, fault: Fault, bad: Array, number: Array, ids: Array | None = None) -> None:
        """Note a fault of rows that have none yet."""
        new = bad & (self.kind == Fault.NONE)
        self.kind[new] = fault
        self.number[new] = number[new]
        if ids is not None:
            self.id[new] = ids[new]

    def mark_entries(self, fault: Fault, bad: Array, row: Array, number: Array, ids: Array) -> None:
        """Note a fault of entries: of each row the first."""
        rows, first = np.unique(row[bad], return_index=True)
        if not len(rows):
            return
        entries = np.flatnonzero(bad)[first]
        new = self.kind[rows] == Fault.NONE
        rows, entries = rows[new], entries[new]
        self.kind[rows] = fault
        self.number[rows] = number[entries]
        self.id[rows] = ids[entries]

    def reason(self, row: int, vocab_size: int | None) -> Reason:
        """Give a row's fault in words."""
        fault, number, token = Fault(self.kind[row]), float(self.number[row]), int(self.id[row])
        message, expected = WORDS[fault]
        if fault is Fault.OUTSIDE:
            expected = "0 or more" if vocab_size is None else f"0 to {vocab_size - 1}"
        got = str(token) if fault in BY_ID else f"{number:g}"
        return Reason(message.format(id=token, number=number), expected, got)


class Noted:
    """The faults of one read, by number; those of long ago are forgotten."""

    def __init__(self, vocab_size: int | None) -> None:
        self._vocab_size = vocab_size
        self._last = 0
        self._pieces: deque[tuple[int, Array, Faults]] = deque(maxlen=KEPT)

    def losses(self, faults: Faults, losses: Array) -> Array:
        """Give the losses of a piece, with that of each faulty row in the place of its own."""
        rows = np.flatnonzero(faults.kind)
        if not len(rows):
            return losses
        self._pieces.append((self._last, rows, faults))
        losses = losses.copy()
        losses[rows] = -np.arange(self._last + 1, self._last + 1 + len(rows), dtype=np.float64)
        self._last += len(rows)
        return losses

    def reason(self, loss: float) -> Reason | None:
        """Give the fault that this loss stands for."""
        for before, rows, faults in self._pieces:
            place = -loss - before - 1
            if place.is_integer() and 0 <= place < len(rows):
                return faults.reason(int(rows[int(place)]), self._vocab_size)
        return None
