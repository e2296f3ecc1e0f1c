"""One suite for every format of files: the same figures as from arrays, and named damage."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import pytest
from formats import Format, each_cube_format, each_format, sides
from logitmeter.exceptions import (
    CorruptInputError,
    InputChangedError,
    LabelError,
    LogitmeterError,
    ShapeError,
)
from logitmeter.sources.base import SCOPE

if TYPE_CHECKING:
    from pathlib import Path

B, T, V = 3, 5, 7
N = B * T
RANDOM = np.random.default_rng(5)
LOGITS = RANDOM.normal(size=(N, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, N)
MASK = np.arange(N) % 5 > 1
CUBE = LOGITS.reshape(B, T, V)
SQUARE = LABELS.reshape(B, T)
each_map = pytest.mark.parametrize("memory_map", [False, True])


def same(one: lm.Report, other: lm.Report) -> None:
    """Two reports say the same, to the bit."""
    assert one.to_json() == other.to_json()


# ---- figures -------------------------------------------------------------------------------------


@each_format
@each_map
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "bfloat16"])
def test_rows_give_the_figures_of_arrays(
    form: Format, dtype: str, tmp_path: Path, *, memory_map: bool
) -> None:
    logits = LOGITS.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    source = form.scan(tmp_path, logits, {"labels": LABELS}, memory_map=memory_map)
    same(lm.evaluate(source), lm.evaluate(lm.scan(logits, join_files=True), LABELS))


@each_format
def test_all_that_is_said_of_a_row_is_read(form: Format, tmp_path: Path) -> None:
    ids, weight = np.repeat([7, 3, 9], T), RANDOM.random(N)
    columns = {"labels": LABELS, "mask": MASK, "weight": weight, "ids": ids}
    source = form.scan(tmp_path, LOGITS, columns)
    given = sides(form, tmp_path, mask="mask", weight="weight", sequence_id="ids")
    same(
        lm.evaluate(source, **given, trailing=1, on_short="count"),
        lm.evaluate(
            LOGITS, LABELS, mask=MASK, weight=weight, sequence_id=ids, trailing=1, on_short="count"
        ),
    )


@each_cube_format
@each_map
def test_each_b_is_a_sequence(form: Format, tmp_path: Path, *, memory_map: bool) -> None:
    source = form.scan(tmp_path, CUBE, {"labels": SQUARE}, memory_map=memory_map)
    same(lm.evaluate(source, shift=True), lm.evaluate(CUBE, SQUARE, shift=True))
    found = source.feed().batches().read_all()
    assert found[SCOPE].to_pylist() == np.repeat(np.arange(B), T).tolist()
    assert lm.token_scores(source, rows="all").numpy("nll").shape == (B, T)


@each_cube_format
def test_rows_are_read_in_pieces(
    form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logitmeter.sources.place.READ_BYTES", 4 * V * 4)
    source = form.scan(tmp_path, CUBE, {"labels": SQUARE})
    batches = list(source.feed().batches())
    assert [len(batch) for batch in batches] == [4, 4, 4, 3]
    same(lm.evaluate(source, shift=True), lm.evaluate(CUBE, SQUARE, shift=True))


def written(form: Format, folder: Path, parts: list[tuple[Any, Any]]) -> dict[str, Any]:
    """Write several files; give what `scan` takes to read them all."""
    given = []
    for number, (logits, labels) in enumerate(parts):
        (folder / str(number)).mkdir()
        given.append(form.write(folder / str(number), logits, {"labels": labels}))
    paths = given[0].keys() & {"source", "labels"}
    return given[0] | {key: [one[key] for one in given] for key in paths}


@each_format
def test_files_go_on_after_one_another(form: Format, tmp_path: Path) -> None:
    given = written(form, tmp_path, [(LOGITS[:4], LABELS[:4]), (LOGITS[4:], LABELS[4:])])
    found = lm.evaluate(lm.scan(**given, join_files=True), shift=True)
    same(found, lm.evaluate(LOGITS, LABELS, shift=True))
    report = lm.evaluate(lm.scan(**given), by="file")
    assert [group.num_tokens for group in report.groups.values()] == [4, 11]


@each_cube_format
def test_sequences_are_counted_over_files(form: Format, tmp_path: Path) -> None:
    given = written(form, tmp_path, [(CUBE[:1], SQUARE[:1]), (CUBE[1:], SQUARE[1:])])
    for join in (False, True):
        source = lm.scan(**given, join_files=join)
        found = source.feed().batches().read_all()
        assert found[SCOPE].to_pylist() == np.repeat(np.arange(B), T).tolist()
        same(lm.evaluate(source, shift=True), lm.evaluate(CUBE, SQUARE, shift=True))


@each_format
def test_a_limit_reads_the_first_rows(form: Format, tmp_path: Path) -> None:
    source = form.scan(tmp_path, LOGITS, {"labels": LABELS}, limit=4)
    same(lm.evaluate(source), lm.evaluate(LOGITS[:4], LABELS[:4]))


@each_format
def test_arrays_lie_beside_a_file(form: Format, tmp_path: Path) -> None:
    source = form.scan(tmp_path, LOGITS, {"labels": LABELS})
    same(lm.evaluate(source, mask=MASK), lm.evaluate(LOGITS, LABELS, mask=MASK))
    with pytest.raises(ShapeError):
        lm.evaluate(source, mask=MASK[:-1])


@each_format
def test_a_bad_label_is_found_first_where_labels_lie_apart(form: Format, tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[11] = V
    source = form.scan(tmp_path, LOGITS, {"labels": labels})
    assert source.feed().labels_first == form.labels_apart
    with pytest.raises(LabelError) as caught:
        lm.evaluate(source)
    assert (caught.value.position, caught.value.path) == (11, str(tmp_path / "dump"))


@each_format
def test_no_rows_are_no_error(form: Format, tmp_path: Path) -> None:
    source = form.scan(tmp_path, LOGITS[:0], {"labels": LABELS[:0]})
    with pytest.warns(lm.exceptions.NothingCountedWarning):
        assert lm.evaluate(source).num_tokens == 0


# ---- damage --------------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.InputWarning")
def test_a_file_cut_short_is_named_with_its_end(form: Format, share: float, tmp_path: Path) -> None:
    given = form.write(tmp_path, np.tile(LOGITS, (40, 1)), {"labels": np.tile(LABELS, 40)})
    path = tmp_path / "dump"
    size = max(9, int(path.stat().st_size * share))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptInputError) as caught:
        lm.evaluate(lm.scan(**given))
    assert caught.value.path == str(path)
    assert caught.value.offset == size
    assert str(size) in str(caught.value)


@each_format
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.LogitmeterWarning")
def test_flipped_bytes_are_an_error_or_other_values_but_never_a_crash(
    form: Format, seed: int, tmp_path: Path
) -> None:
    given = form.write(tmp_path, LOGITS, {"labels": LABELS})
    whole = bytearray((tmp_path / "dump").read_bytes())
    flips = random.Random(seed)
    for _ in range(3):
        whole[flips.randrange(len(whole))] ^= 1 << flips.randrange(8)
    (tmp_path / "dump").write_bytes(whole)
    with contextlib.suppress(LogitmeterError):
        report = lm.evaluate(lm.scan(**given), nonfinite="omit")
        assert report.num_tokens + report.num_invalid <= N


@each_format
def test_a_file_that_changes_while_it_is_read_is_named(
    form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logitmeter.sources.place.READ_BYTES", V * 4)
    batches = form.scan(tmp_path, LOGITS, {"labels": LABELS}).feed().batches()
    batches.read_next_batch()
    with (tmp_path / "dump").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputChangedError, match="changed while it was read"):
        batches.read_all()


@each_format
def test_a_file_that_shrinks_while_it_is_read_kills_nothing(
    form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logitmeter.sources.place.READ_BYTES", V * 4)
    batches = form.scan(tmp_path, LOGITS, {"labels": LABELS}).feed().batches()
    batches.read_next_batch()
    with (tmp_path / "dump").open("r+b") as file:
        file.truncate(400)
    with pytest.raises(InputChangedError):
        batches.read_all()


@each_format
def test_labels_come_from_a_second_file_of_any_format(form: Format, tmp_path: Path) -> None:
    given = form.write(tmp_path, LOGITS, {"labels": LABELS})
    labels = tmp_path / ("labels" if form.name == "npy" else "dump")
    same(lm.evaluate(-LOGITS, labels), lm.evaluate(-LOGITS, LABELS))
    same(
        lm.evaluate(lm.scan(given.pop("source"), **given | {"labels": labels})),
        lm.evaluate(LOGITS, LABELS),
    )


# ---- shapes --------------------------------------------------------------------------------------


def npy(path: Path, array: Any) -> str:
    with path.open("wb") as file:
        np.save(file, array)
    return str(path)


def test_labels_with_one_more_position_are_taken_under_shift(tmp_path: Path) -> None:
    logits, labels = npy(tmp_path / "x", CUBE[:, :-1]), npy(tmp_path / "y", SQUARE)
    npy(tmp_path / "m", MASK.reshape(B, T))
    source = lm.scan(logits, labels=labels)
    wanted = lm.evaluate(CUBE[:, :-1], SQUARE, shift=True, mask=MASK.reshape(B, T))
    same(lm.evaluate(source, shift=True, mask=tmp_path / "m"), wanted)
    same(lm.evaluate(CUBE[:, :-1], tmp_path / "y", shift=True, mask=tmp_path / "m"), wanted)
    several = lm.scan([logits, logits], labels=[labels, labels])
    assert lm.evaluate(several, shift=True).num_tokens == 2 * B * (T - 1)
    with pytest.raises(ShapeError, match="shift=True"):
        lm.evaluate(source)


def test_labels_of_the_other_order_are_refused(tmp_path: Path) -> None:
    logits, labels = npy(tmp_path / "x", CUBE), npy(tmp_path / "y", SQUARE.T)
    with pytest.raises(ShapeError, match=r"\[5, 3\], but \[3, 5\]") as caught:
        lm.evaluate(lm.scan(logits, labels=labels))
    assert caught.value.path == labels
    with pytest.raises(ShapeError):
        lm.evaluate(CUBE, tmp_path / "y")


def test_rows_and_sequences_do_not_mix(tmp_path: Path) -> None:
    logits = [npy(tmp_path / "x", CUBE), npy(tmp_path / "y", LOGITS)]
    labels = [npy(tmp_path / "a", SQUARE), npy(tmp_path / "b", LABELS)]
    with pytest.raises(ShapeError, match="sequences") as caught:
        lm.evaluate(lm.scan(logits, labels=labels))
    assert caught.value.path == logits[1]
