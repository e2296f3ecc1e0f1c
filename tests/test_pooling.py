"""Means of means: the core against the oracle, with the same input cut and merged everywhere."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from law import (
    check_case,
    check_labels_first,
    check_tokens,
    close,
    cut_every,
    dice,
    evaluated,
    oracle_scores,
    random_cuts,
    roles_of,
    settings_of,
    stream,
    table_of,
)
from logitmeter import _core
from logitmeter.exceptions import SequenceError, SettingsError, StateVersionError
from oracle.cases import random_batch_case, random_case
from oracle.counting import Case, Counted, Failure, count, split_batches
from oracle.pooling import pooled, whole_sequences

if TYPE_CHECKING:
    from oracle.counting import Token
    from oracle.pooling import Pooling

POOLINGS: tuple[Pooling, ...] = ("sequences", "batches", "samples")
PARTS = (("whole", None), ("visible", False), ("hidden", True))


def of_part(counted: Counted, hidden: bool | None, group: object = None) -> list[Token]:  # noqa: FBT001
    return [
        t
        for t in counted.tokens
        if hidden in {None, t.hidden} and (group is None or t.group == group)
    ]


def check_pooled(got: dict[str, Any], want: dict[str, float], pooling: str) -> None:
    assert close(got["loss"], want["loss"]), (got["loss"], want["loss"])
    assert close(got["accuracy"], want["accuracy"])
    for name in ("loss_stderr", "accuracy_stderr"):
        assert math.isnan(got[name]) == math.isnan(want[name]), name
        assert math.isnan(got[name]) or abs(got[name] - want[name]) < 1e-4
    assert got["num_batches"] == (0 if pooling == "sequences" else want["units"])
    assert math.isnan(got["loss_stderr_naive"])
    assert math.isnan(got["accuracy_stderr_naive"])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_core_against_the_oracle(pooling: Pooling) -> None:
    rng, compared = dice(len(pooling)), 0
    while compared < 40:
        c = random_batch_case(rng) if pooling != "sequences" else random_case(rng)
        counted = count(**c)
        if isinstance(counted, Failure) or (pooling != "batches" and c["sequence_id"] is None):
            continue
        compared += 1
        length = len(c["labels"])
        meter = evaluated(c, [], pooling=pooling)
        summary: Any = meter.summary()
        scores = oracle_scores(c)
        for name, hidden in PARTS:
            want = pooled(of_part(counted, hidden), scores, c, pooling)
            check_pooled(summary["total"][name], want, pooling)
            for (key,), parts in summary["groups"]:
                want = pooled(of_part(counted, hidden, key), scores, c, pooling)
                check_pooled(parts[name], want, pooling)
        for cuts in (cut_every(1, length), random_cuts(rng, length)):
            updates = random_cuts(rng, length)
            again = evaluated(c, cuts, updates=updates, threads=2, pooling=pooling)
            assert again.to_bytes() == meter.to_bytes()


def test_the_law_of_batches_in_bulk() -> None:
    """What counts, and which error comes first, where batches end sequences."""
    rng = dice(77)
    for _ in range(100):
        c = random_batch_case(rng)
        want = count(**c)
        if isinstance(want, Failure):
            check_case(c, rng)
        else:
            check_tokens(c, want, random_cuts(rng, len(c["labels"])))
        check_labels_first(c)


def test_whole_sequences_are_a_share_with_an_error() -> None:
    rng, compared = dice(5), 0
    while compared < 40:
        c = random_case(rng)
        counted = count(**c)
        if isinstance(counted, Failure) or c["sequence_id"] is None:
            continue
        compared += 1
        summary: Any = evaluated(c, [], accuracy="sequences").summary()
        for name, hidden in PARTS:
            got = summary["total"][name]
            want = whole_sequences(
                of_part(counted, hidden), oracle_scores(c), omit=c["nonfinite"] == "omit"
            )
            assert close(got["accuracy"], want["accuracy"])
            assert close(got["accuracy"], got["sequence_accuracy"])
            assert close(got["accuracy_stderr"], want["accuracy_stderr"])


def evaluated_slice(c: Case, start: int, stop: int, **pooled: Any) -> _core.Meter:
    """Give the meter of some positions."""
    meter = _core.Meter(settings_of(c, **pooled))
    part = stream(table_of(c).slice(start, stop - start), [])
    meter.update(part, columns=roles_of(c), null_labels=c["null_labels"])
    return meter


@pytest.mark.parametrize("pooling", ["batches", "samples"])
def test_meters_of_whole_batches_merge_to_the_bit(pooling: Pooling) -> None:
    rng, compared = dice(9), 0
    while compared < 15:
        c = random_batch_case(rng)
        borders = [*(first for first, _, _ in split_batches(c)[0]), len(c["labels"])]
        if isinstance(count(**c), Failure) or c["sequence_id"] is None or len(borders) < 4:
            continue
        compared += 1
        whole = evaluated(c, [], pooling=pooling).to_bytes()
        parts = [evaluated_slice(c, *ends, pooling=pooling) for ends in itertools.pairwise(borders)]
        rng.shuffle(parts)
        for part in parts[1:]:
            parts[0].merge(part)
        assert parts[0].to_bytes() == whole
        assert _core.Meter.from_bytes(whole).to_bytes() == whole


def test_states_of_other_pooling_do_not_merge() -> None:
    one, other = (_core.Meter(_core.Settings(pooling=p)) for p in ("batches", "samples"))
    with pytest.raises(StateVersionError, match="pooling: batches here, samples there"):
        one.merge(other)


PLAIN: Any = {"logits": np.zeros((6, 3), np.float32).tolist(), "labels": [0] * 6}


@pytest.mark.parametrize(
    ("settings", "columns", "match"),
    [
        ({"pooling": "sequences"}, {}, "means over sequences need to know them: pass sequence_id"),
        ({"accuracy": "sequences"}, {}, "pass sequence_id"),
        ({"pooling": "batches"}, {"sequence_id": "id"}, "means over batches .* pass batch_id"),
        ({"pooling": "samples"}, {"batch_id": "id"}, "pass sequence_id"),
    ],
)
def test_what_is_pooled_must_be_known(settings: Any, columns: Any, match: str) -> None:
    table = pa.table(PLAIN | {"id": [0] * 6})
    with pytest.raises(SettingsError, match=match):
        _core.Meter(_core.Settings(**settings)).update(table, columns=columns)


@pytest.mark.parametrize(
    ("batch", "ids", "match"),
    [
        ([1, 1, None, 2, 2, 2], "aabbcc", "batch_id is null at position 2"),
        ([1, 1, 2, 2, 1, 1], "aabbcc", "batch_id 1 comes back at position 4, after its batch"),
        (
            [1, 1, 2, 2, 2, 2],
            "aaabcc",
            'sequence_id "a" goes on at position 2, where another batch',
        ),
    ],
)
def test_batches_that_cannot_be(batch: Any, ids: str, match: str) -> None:
    table = pa.table(PLAIN | {"batch": batch, "sequence_id": list(ids)})
    meter = _core.Meter(_core.Settings(pooling="batches"))
    with pytest.raises(SequenceError, match=match):
        meter.update(table, columns={"batch_id": "batch"})
    # Where nothing is pooled by batch nobody looks.
    _core.Meter(_core.Settings()).update(table, columns={"batch_id": "batch"})
