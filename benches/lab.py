"""Contenders in turns: the parent's side of `worker.py`.

A ratio is taken within a round, in which every contender runs once: a machine that slows down for a
while slows all of them. Of the ratios of all rounds the median, the least and the greatest are
given. Every answer is checked against NumPy in float64 before anything is timed.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import data
import numpy as np
from cases import BLOCK_COLUMNS, PLAIN, RUN_ROWS
from process import PEERS, Process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cases import Case

Array = np.ndarray[Any, Any]

IN_PEERS = frozenset({"torch cross_entropy + argmax", "torch.compile, fused"})

# How far a loss may be off, relatively: ours by what is promised, peers' by what float32 gives.
OURS = frozenset({"logitmeter", "log_softmax"})
CLOSE, CLOSE_EXACT, CLOSE_PEER = 1.1e-6, 1e-12, 1e-4


@dataclass(frozen=True)
class Work:
    """Labels and options beside logits of a name; its `truth` is what contenders must find."""

    logits: str
    dtype: str
    labels: Array
    truth: data.Truth
    mask: Array | None = None
    vocab_mask: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)
    num_bytes: int = 0

    @property
    def fraction(self) -> float:
        """Of the bytes of the logits, the part that has to be read."""
        rows = 1.0 if self.mask is None else float(self.mask.mean())
        return rows * (1.0 if self.vocab_mask is None else float(self.vocab_mask.mean()))


@dataclass(frozen=True)
class Entry:
    """A contender at some work."""

    contender: str
    work: Work
    isa: str = ""

    @property
    def place(self) -> str:
        """The process that runs it."""
        return "peers" if self.contender in IN_PEERS else self.isa or "main"


@dataclass
class Result:
    """Seconds of each round."""

    seconds: list[float]
    extra_bytes: int = 0
    note: str = ""
    missing: str = ""

    def by(self, other: Result, factor: float = 1.0) -> list[float]:
        """Give this time by that of another, round by round; nothing for what is missing."""
        if self.missing or other.missing:
            return []
        return [
            factor * mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)
        ]


class Lab:
    """Logits in a folder of memory, and the processes that work on them."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        shared = Path("/dev/shm")  # noqa: S108 - memory that files live in; private below it
        self._folder = tempfile.TemporaryDirectory(dir=shared if shared.exists() else None)
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        # Killed, too, it leaves no gigabytes in memory.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.close()
        self._folder.cleanup()

    def path(self, name: str) -> Path:
        """Where logits of that name lie until they are dropped."""
        return Path(self._folder.name) / f"{name}.npy"

    def work(
        self, shape: tuple[int, int], dtype: str, case: Case = PLAIN, name: str = "plain"
    ) -> Work:
        """Make the logits of that name, unless they are there, and labels with their truth."""
        rows, vocab = shape
        path = self.path(name)
        if not path.exists():
            data.write_logits(path, dtype, shape, case.change)
        logits = np.load(path, mmap_mode="r")
        mask = np.arange(rows) // RUN_ROWS % 2 == 0 if case.masked_rows else None
        allowed = np.arange(vocab) // BLOCK_COLUMNS % 2 == 0 if case.masked_vocab else None
        labels = data.make_labels(logits, dtype, allowed)
        truth = data.true_answer(logits, dtype, labels, mask, allowed)
        return Work(name, dtype, labels, truth, mask, allowed, case.options, logits.nbytes)

    def drop(self, name: str) -> None:
        """Free logits everywhere."""
        for process in self._processes.values():
            process.ask("drop", names=[name])
            process.loaded.discard(name)
        self.path(name).unlink(missing_ok=True)

    def measure(
        self, entries: Sequence[Entry], threads: int, *, rounds: int = 0, repeat: int = 1
    ) -> list[Result]:
        """Run all entries in turns; one that cannot run here has a reason instead of seconds."""
        results = [self._prepare(str(key), e, threads) for key, e in enumerate(entries)]
        able = [key for key, result in enumerate(results) if not result.missing]
        for number in range(rounds or self.rounds):
            for key in able if number % 2 else reversed(able):
                process = self._processes[entries[key].place]
                reply = process.ask("time", key=str(key), repeat=repeat)
                results[key].seconds.append(reply["seconds"])
        for process in self._processes.values():
            process.ask("drop", names=[])
        return results

    def _prepare(self, key: str, entry: Entry, threads: int) -> Result:
        if entry.place == "peers" and not PEERS.exists():
            return Result([], missing="`make bench-peers` installs it")
        process = self._processes.get(entry.place) or Process(entry.place)
        self._processes[entry.place] = process
        work = entry.work
        if work.logits not in process.loaded:
            process.ask("load", name=work.logits, path=str(self.path(work.logits)))
            process.loaded.add(work.logits)
        arrays = {"labels": work.labels, "mask": work.mask, "vocab_mask": work.vocab_mask}
        file = self.path("arrays").with_suffix(".npz")
        present: dict[str, Any] = {name: x for name, x in arrays.items() if x is not None}
        np.savez(file, **present)
        reply = process.ask(
            "prepare",
            key=key,
            contender=entry.contender,
            logits=work.logits,
            dtype=work.dtype,
            arrays=str(file),
            threads=threads,
            options=work.options,
        )
        if "missing" in reply:
            return Result([], missing=reply["missing"])
        if reply["answer"]:
            _check(entry, *reply["answer"])
        return Result([], reply["extra_bytes"], reply["note"])


def _check(entry: Entry, loss: float, num_correct: int | None) -> None:
    """Stop the bench where a contender is wrong: its speed means nothing then."""
    truth = entry.work.truth
    exact = entry.work.dtype == "float64" or entry.work.options.get("precision") == "exact"
    close = CLOSE_PEER if entry.contender not in OURS else CLOSE_EXACT if exact else CLOSE
    if not abs(loss - truth.loss) <= close * truth.loss:
        raise SystemExit(f"{entry.contender}: loss {loss!r}, but NumPy finds {truth.loss!r}")
    if num_correct not in {None, truth.num_correct}:
        raise SystemExit(
            f"{entry.contender}: {num_correct} correct, but NumPy finds {truth.num_correct}"
        )


def gigabytes(work: Work, result: Result) -> float:
    """Bytes of the logits a second, by the median time."""
    return work.num_bytes / statistics.median(result.seconds) / 1e9


def row(cells: Sequence[object]) -> str:
    """Write a line of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def spread(ratios: Sequence[float], digits: int = 2) -> str:
    """Median, least and greatest."""
    if not ratios:
        return ""
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    return f"{middle:.{digits}f} [{low:.{digits}f} {high:.{digits}f}]"
