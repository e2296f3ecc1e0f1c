"""The bytes of a state: one value, whatever the threads, batches, merges, inputs and tiers."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import logitmeter as lm
import numpy as np
import pytest
import same_bits
import tiers
from logitmeter import _core
from same_bits import Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREADS = (1, 2, 3, 8)
HARD = "hidden, shifted, weighted"
each_dtype = pytest.mark.parametrize("dtype", same_bits.DTYPES)
each_setting = pytest.mark.parametrize("name", same_bits.SETTINGS)

# Of the scores of rows, by numeric version: a change of bits needs a new one.
SCORES = {
    1: "b57ed14baa1a2ae17d40dcec92c52f4056d4d1e5f4b8de5973e157d0fee3aace",
    2: "98adf86a65b95e59880a3b91477e11d4308ba9bbd0afbea3fe8540cea5a8cc9d",
}


def test_rows_score_to_the_pinned_bits() -> None:
    version = _core.environment()["numeric_version"]
    assert same_bits.digest_of_scores() == SCORES[version]


@each_dtype
@each_setting
def test_threads_batches_and_inputs_give_the_same_bytes(
    dtype: str, name: str, tmp_path: Path
) -> None:
    corpus, setting = same_bits.Corpus.whole(dtype), same_bits.SETTINGS[name]
    want = same_bits.read(corpus, setting).to_bytes()
    for way in ways(dtype, name):
        assert same_bits.read(corpus, setting, way, tmp_path).to_bytes() == want, way


def ways(dtype: str, name: str) -> Iterator[Way]:
    """Give ways to read a corpus.

    Small batches are scored by the calling thread alone, so that one number of threads will do, and
    a call or a read for each row is slow: those of float32 stand for all.
    """
    for source in ("arrays", "table", "file"):
        yield from (Way(source, 1024, threads) for threads in THREADS)
        yield Way(source, same_bits.ROWS, 3)
        yield Way(source, 17, 3)
        if source == "table" or (dtype, name) == ("float32", HARD):
            yield Way(source, 1, 2)


@each_dtype
@each_setting
def test_shuffled_merges_give_the_same_bytes(dtype: str, name: str) -> None:
    corpus, setting = same_bits.Corpus.whole(dtype), same_bits.SETTINGS[name]
    want = same_bits.read(corpus, setting).to_bytes()
    rng = random.Random(f"{dtype} {name}")
    for _ in range(2):
        places = corpus.borders() if setting.known else corpus.between_runs(setting)
        cuts = [0, *sorted(rng.sample(places, 24)), same_bits.ROWS]
        forest = []
        for start, stop in itertools.pairwise(cuts):
            source, batch = rng.choice(("arrays", "table")), rng.choice((3, 17, 1024))
            way = Way(source, batch, rng.choice(THREADS))
            forest.append(same_bits.read(corpus.part(start, stop), setting, way))
        for _ in range(10):  # other trees of the same leaves
            assert merged(forest, rng).to_bytes() == want


def merged(leaves: list[lm.Meter], rng: random.Random) -> lm.Meter:
    """Merge two of a forest, in any order, until one tree is left."""
    forest = [meter.copy() for meter in leaves]
    while len(forest) > 1:
        tree = forest.pop(rng.randrange(len(forest)))
        if rng.random() < 0.2:
            tree = lm.Meter.from_bytes(tree.to_bytes())
        forest[rng.randrange(len(forest))].merge(tree)
    return forest[0]


def test_tiers_give_the_pinned_bytes() -> None:
    want = same_bits.PINNED.read_text()
    assert same_bits.listing() == want
    assert len(set(want.splitlines())) == 1 + len(same_bits.DTYPES) * len(same_bits.SETTINGS)
    for isa in tiers.OTHERS:
        assert tiers.run(isa, "import same_bits; print(same_bits.listing(), end='')") == want, isa


def test_the_corpus_is_not_easy() -> None:
    """It has ties, rows at -inf, second passes, weights that are no binary fractions."""
    corpus = same_bits.Corpus.whole("float32")
    report = lm.evaluate(corpus.logits, **corpus.sides, nonfinite="omit")
    assert report.num_ties > 50
    assert report.num_neginf_labels > 10
    assert len(corpus.borders()) > 60
    assert np.isneginf(corpus.logits).any()
    assert 15 < report.num_correct < 600
