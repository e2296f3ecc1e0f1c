"""One corpus, made of integers alone, and the state of a meter that has read it in some way.

The corpus is the same on every machine, whatever NumPy it has, so that digests of it can be pinned:
``python tests/same_bits.py > tests/data/state_digests.txt`` does so after a change of bits. The
tests in Rust make the corpus and the states a second time, for tiers that no Python here can run.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import logitmeter as lm
import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.ipc
from logitmeter import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ROWS, COLUMNS = 1031, 601  # more than one batch of 1,024, and rows for three threads
DTYPES = ("float32", "float16", "bfloat16", "float64")
PINNED = Path(__file__).parent / "data" / "state_digests.txt"
SIDES = ("labels", "mask", "weight", "sequence_id")


@dataclass(frozen=True)
class Setting:
    """Options of a meter, and which columns go with them."""

    options: dict[str, Any] = field(default_factory=dict)
    sides: tuple[str, ...] = ("labels", "sequence_id")

    @property
    def known(self) -> bool:
        """Whether sequences are known: then meters are cut at their borders alone."""
        return "sequence_id" in self.sides


EVERYTHING = {"leading": 1, "trailing": 2, "on_short": "count", "shift": True}
SETTINGS = {
    "plain": Setting(),
    "hidden, shifted, weighted": Setting(EVERYTHING, SIDES),
    "exact, omit": Setting({"precision": "exact", "nonfinite": "omit"}),
    "masked vocabulary": Setting({"vocab_mask": np.arange(COLUMNS) % 3 != 1, "nonfinite": "omit"}),
    "unknown sequences": Setting(sides=("labels", "weight")),
    "unknown sequences, masked": Setting(sides=("labels", "mask")),
}


def integers(seed: int, count: int) -> NDArray[np.uint64]:
    """Give splitmix64's numbers, counted from a seed."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def logits(dtype: str) -> Any:
    """Give rows of many sorts: spread, far from 0, with -inf, of one number, with a peak."""
    drawn = integers(1, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    parts = [
        (drawn >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.float64) for shift in (0, 16)
    ]
    x = (parts[0] + parts[1]) / 2.0**13 - 8.0  # exact: 17 bits
    row, column = np.arange(ROWS)[:, None], np.arange(COLUMNS)
    x = np.where(row % 7 == 1, x + np.where(row % 2, 300.0, -700.0), x)
    x = np.where((row % 7 == 2) & (drawn % np.uint64(5) == 0), -np.inf, x)
    x = np.where(row % 11 == 3, 2.0, x)
    x = np.where((row % 7 == 4) & (column == row % COLUMNS), 40.0, x)
    x = np.where((row % 13 == 5) & (column >= 64), x + 100.0, x)
    return x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def sides() -> dict[str, Any]:
    """Give labels (some are at -inf), mask, weights and sequences of 1 to 23 tokens."""
    drawn = integers(2, ROWS)
    lengths = (integers(3, ROWS) % np.uint64(23)).astype(np.int64) + 1
    ids = np.repeat(np.arange(ROWS), lengths)[:ROWS]
    labels = (drawn % np.uint64(COLUMNS)).astype(np.int64)
    best = integers(4, ROWS) % np.uint64(2) == 0
    labels = np.where(best, np.arange(ROWS) % COLUMNS, labels)  # where the peaks are
    labels -= labels % 3 == 1  # an entry that the mask of the vocabulary allows
    return {
        "labels": labels,
        "mask": drawn >> np.uint64(20) & np.uint64(3) > 0,
        "weight": (drawn >> np.uint64(30) & np.uint64(7)).astype(np.float64) / 10,
        "sequence_id": ids,
    }


def storage(x: Any) -> pa.Array:
    """Give rows as Arrow holds them; bfloat16 as the integers that it has there."""
    flat = x.ravel()
    values = pa.array(flat.view(np.uint16) if x.dtype == ml_dtypes.bfloat16 else flat)
    return pa.FixedSizeListArray.from_arrays(values, COLUMNS)


@dataclass(frozen=True)
class Corpus:
    """Rows and what goes with them, or a part of them."""

    dtype: str
    logits: Any
    sides: dict[str, Any]

    @classmethod
    @functools.cache
    def whole(cls, dtype: str) -> Corpus:
        """Give all of it."""
        return cls(dtype, logits(dtype), sides())

    def part(self, start: int, stop: int) -> Corpus:
        """Give rows of it."""
        some = {name: column[start:stop] for name, column in self.sides.items()}
        return Corpus(self.dtype, self.logits[start:stop], some)

    def borders(self) -> list[int]:
        """Give the places where a sequence begins."""
        ids = self.sides["sequence_id"]
        found: list[int] = (np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()
        return found

    def between_runs(self, setting: Setting) -> list[int]:
        """Give the places where a cut parts no run of the mask: it would be counted as two."""
        inside = self.sides["mask"] if "mask" in setting.sides else np.zeros(len(self.logits), bool)
        found: list[int] = (np.flatnonzero(~(inside[1:] & inside[:-1])) + 1).tolist()
        return found

    def table(self, setting: Setting) -> pa.Table:
        """Give it as a table."""
        columns = {name: self.sides[name] for name in setting.sides}
        return pa.table({"logits": storage(self.logits), **columns})


class Way(NamedTuple):
    """How a corpus is read: as arrays, as a table or from a file, in batches, on threads."""

    source: str
    batch: int
    threads: int


AT_ONCE = Way("arrays", ROWS, 1)


def read(corpus: Corpus, setting: Setting, way: Way = AT_ONCE, folder: Path = Path()) -> lm.Meter:
    """Give a meter that has read a corpus; a file is put into the folder."""
    meter = lm.Meter(**setting.options)
    if way.source == "arrays":
        for start in range(0, len(corpus.logits), way.batch):
            part = corpus.part(start, start + way.batch)
            given = {name: part.sides[name] for name in setting.sides}
            meter.update(part.logits, **given, threads=way.threads, final=False)
        meter.close()
        return meter
    table = corpus.table(setting)
    source: Any = pa.Table.from_batches(table.to_batches(max_chunksize=way.batch))
    if way.source == "file":
        source = folder / "corpus.arrow"
        with pa.ipc.new_file(source, table.schema) as writer:
            writer.write_table(table, max_chunksize=way.batch)
    stated = "bf16" if corpus.dtype == "bfloat16" else None
    return meter.update(lm.scan(source, dtype=stated), threads=way.threads)


def states() -> Iterator[tuple[str, str, bytes]]:
    """Give the state of every element type and setting, each read at once."""
    for dtype in DTYPES:
        corpus = Corpus.whole(dtype)
        for name, setting in SETTINGS.items():
            yield dtype, name, read(corpus, setting).to_bytes()


def digest(states: Sequence[tuple[str, str, bytes]]) -> list[str]:
    """Give a line a state."""
    return [f"{dtype}, {name}: {hashlib.sha256(data).hexdigest()}" for dtype, name, data in states]


def listing() -> str:
    """Give the numeric version and the digest of every state: what is pinned."""
    version = f"numeric version {_core.environment()['numeric_version']}"
    return "\n".join((version, *digest(list(states())), ""))


def digest_of_scores() -> str:
    """Give one digest of the score of every row, for every element type, fast and exact."""
    found = hashlib.sha256()
    for dtype in DTYPES:
        corpus = Corpus.whole(dtype)
        for precision in ("fast", "exact"):
            given = {"labels": corpus.sides["labels"], "precision": precision}
            table = lm.token_scores(corpus.logits, **given).read_all()
            for name in ("nll", "lse", "rank", "ties"):
                found.update(np.asarray(table[name]).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(listing())
