"""A small language model: the softmax over the next token depends on the token before it.

    logits = table[token before],   p = softmax(logits),   loss = -ln p[next token]

It learns by stochastic gradient descent with Adam's step sizes (Kingma and Ba, 2015; the second
moment forgets after 20 steps, 1 / (1 - 0.95), as is usual for language models). Of a batch only
the rows that it touches move, as in sparse implementations.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FIRST_MOMENT, SECOND_MOMENT, TINY = 0.9, 0.95, 1e-8

Ids = NDArray[np.int32]
Table = NDArray[np.float64]


@dataclass
class NextToken:
    """The model and the state of its optimiser."""

    table: Table  # [V, V]: a row of logits for each token before
    mean: Table = field(init=False)
    square: Table = field(init=False)
    visits: Table = field(init=False)

    def __post_init__(self) -> None:
        """Start the optimiser afresh."""
        self.mean = np.zeros_like(self.table)
        self.square = np.zeros_like(self.table)
        self.visits = np.zeros((len(self.table), 1))

    def learn(self, before: Ids, after: Ids, rate: float) -> None:
        """Take one step down the mean loss of the tokens `after`."""
        rows, gradient = self.gradient(before, after)
        self.visits[rows] += 1
        self.mean[rows] += (1 - FIRST_MOMENT) * (gradient - self.mean[rows])
        self.square[rows] += (1 - SECOND_MOMENT) * (gradient**2 - self.square[rows])
        mean = self.mean[rows] / (1 - FIRST_MOMENT ** self.visits[rows])
        square = self.square[rows] / (1 - SECOND_MOMENT ** self.visits[rows])
        self.table[rows] -= rate * mean / (np.sqrt(square) + TINY)

    def gradient(self, before: Ids, after: Ids) -> tuple[NDArray[np.intp], Table]:
        """Give the rows that the mean loss depends on, and its gradient there: p - onehot."""
        each = softmax(self.table[before])
        each[np.arange(len(after)), after] -= 1
        order = np.argsort(before, kind="stable")
        rows, first = np.unique(before[order], return_index=True)
        return rows, np.add.reduceat(each[order], first) / len(after)


def softmax(logits: Table) -> Table:
    """Give the probabilities of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
