"""What a contender gets, and what it gives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
Answer = tuple[float, "int | None"]  # loss, tokens correct (None where it does not say)


class MissingError(Exception):
    """Why a contender cannot run here."""


@dataclass(frozen=True)
class Job:
    """A whole job: logits ``[N, V]`` as they are stored, and what is asked of them."""

    logits: Array
    dtype: str
    labels: Array
    threads: int = 1
    mask: Array | None = None
    vocab_mask: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def typed(self) -> Array:
        """The logits in their own type."""
        if self.dtype != "bfloat16":
            return self.logits
        import ml_dtypes

        return self.logits.view(ml_dtypes.bfloat16)

    def first(self, num_bytes: int) -> Job:
        """Give a job of the first rows, to try variants on."""
        rows = max(1, num_bytes * len(self.labels) // self.logits.nbytes)
        return Job(self.logits[:rows], self.dtype, self.labels[:rows], self.threads)


@dataclass(frozen=True)
class Ready:
    """`run` is what is timed; `answer` turns what it returned into what is checked."""

    run: Callable[[], Any]
    answer: Callable[[Any], Answer] | None = None
    note: str = ""


def loss_of_rows(logprobs: Array, labels: Array) -> float:
    """Give the mean loss of rows of log-softmax."""
    return -float(logprobs[np.arange(len(labels)), labels].mean(dtype=np.float64))


def best_seconds(run: Callable[[], object], times: int = 3) -> float:
    """Give the shortest time of a few: what variants are chosen by, not what is reported."""

    def seconds() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return min(seconds() for _ in range(times))
