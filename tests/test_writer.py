"""`DumpWriter`: what it writes gives the figures of what was written, or is not there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter._rounding import rounded
from logitmeter.exceptions import (
    DTypeError,
    InputWarning,
    NonFiniteError,
    SequenceError,
    SettingsError,
    ShapeError,
)

B, T, V = 4, 6, 9
RANDOM = np.random.default_rng(8)
LOGITS = RANDOM.normal(size=(B, T, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, (B, T))
MASK = RANDOM.random((B, T)) > 0.4
WEIGHT = RANDOM.random((B, T))
TASKS = ["a", "b", "a", "b"]


def same(one: lm.Report, other: lm.Report) -> None:
    assert one.to_json() == other.to_json()


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.part"))


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# ---- what is written is what is read -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64", None])
@pytest.mark.parametrize("given", ["f4", "f8", "f2", "bfloat16"])
def test_a_dump_gives_the_figures_of_its_calls(dtype: Any, given: str, tmp_path: Path) -> None:
    logits = LOGITS.astype(ml_dtypes.bfloat16 if given == "bfloat16" else given)
    meter = lm.Meter(shift=True, trailing=1, on_short="count")
    with lm.DumpWriter(tmp_path / "x.arrow", vocab_size=V, dtype=dtype) as writer:
        for b in range(0, B, 2):
            cut = slice(b, b + 2)
            parts: Any = {"mask": MASK[cut], "weight": WEIGHT[cut]}
            writer.write(logits[cut], LABELS[cut], columns={"task": TASKS[cut]}, **parts)
            stored = logits[cut] if dtype is None else logits[cut].astype(NUMPY[dtype])
            meter.update(stored, LABELS[cut], by={"task": TASKS[cut]}, **parts)
    assert writer.paths == [str(tmp_path / "x.arrow")]
    assert writer.num_rows == B * T
    found = lm.evaluate(writer.paths, shift=True, trailing=1, on_short="count", by="task")
    same(found, meter.compute())
    assert hidden(tmp_path) == []


NUMPY = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}


def test_ids_are_kept(tmp_path: Path) -> None:
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        writer.write(LOGITS[:2], LABELS[:2], sequence_id=["first", "second"])
        writer.write(LOGITS[2], LABELS[2], sequence_id=["third"] * T)
    scores = lm.sequence_scores(tmp_path / "x").read_all()
    assert scores["sequence_id"].to_pylist() == ["first", "second", "third"]


def test_packed_sequences_are_told_apart(tmp_path: Path) -> None:
    ids = np.arange(B * T).reshape(B, T) // 4 * 2
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        writer.write(LOGITS.reshape(-1, V), LABELS.ravel(), sequence_id=ids.ravel())
    same(
        lm.evaluate(tmp_path / "x", shift=True),
        lm.evaluate(LOGITS.reshape(-1, V), LABELS.ravel(), sequence_id=ids.ravel(), shift=True),
    )


def test_a_sequence_goes_on_where_it_is_said(tmp_path: Path) -> None:
    flat, labels = LOGITS.reshape(-1, V), LABELS.ravel()
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        for start, end, final in ((0, 3, False), (3, 5, True), (5, 9, True)):
            writer.write(flat[start:end], labels[start:end], final=final)
    ids = np.repeat([0, 1], [5, 4])
    wanted = lm.evaluate(flat[:9], labels[:9], sequence_id=ids, shift=True)
    same(lm.evaluate(tmp_path / "x", shift=True), wanted)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), V)])
def test_any_source_is_written(kind: pa.DataType, tmp_path: Path) -> None:
    rows = pa.array(LOGITS.reshape(-1, V).tolist(), kind)
    table = pa.table({"logits": rows, "labels": LABELS.ravel(), "task": np.repeat(TASKS, T)})
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        writer.write(table.slice(5), columns=["task"])
    found = lm.evaluate(tmp_path / "x", by="task")
    wanted = lm.evaluate(table.slice(5), sequence_id=np.zeros(B * T - 5, int), by="task")
    same(found, wanted)


def test_metadata_say_what_it_is(tmp_path: Path) -> None:
    names: Any = {"model": "gpt-2", "tokenizer": "r50k"}
    with lm.DumpWriter(tmp_path / "x", vocab_size=V, dtype="bf16", **names) as writer:
        writer.write(LOGITS, LABELS)
    schema = pa.ipc.open_file(tmp_path / "x").schema
    assert schema.field("logits").metadata == {b"logitmeter.dtype": b"bfloat16"}
    assert schema.metadata == {
        b"logitmeter.vocab_size": str(V).encode(),
        b"logitmeter.model": b"gpt-2",
        b"logitmeter.tokenizer": b"r50k",
    }


def test_batches_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logitmeter.writer.PIECE_BYTES", 5 * V * 4)
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        writer.write(LOGITS, LABELS)
    opened = pa.ipc.open_file(tmp_path / "x")
    sizes = [opened.get_batch(i).num_rows for i in range(opened.num_record_batches)]
    assert sizes == [5, 5, 5, 5, 4]


# ---- shards --------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [3, 1000])
def test_shards_end_where_sequences_do(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logitmeter.writer.PIECE_BYTES", piece * V * 4)
    with lm.DumpWriter(tmp_path / "x.arrow", vocab_size=V, shard_bytes=2000) as writer:
        for _ in range(3):
            writer.write(LOGITS, LABELS, mask=MASK)
    total = len(writer.paths)
    assert total > 2
    names = [f"x-{n:05}-of-{total:05}.arrow" for n in range(total)]
    assert [Path(path).name for path in writer.paths] == names
    assert visible(tmp_path) == names
    assert hidden(tmp_path) == []
    whole = lm.evaluate(
        np.tile(LOGITS, (3, 1, 1)), np.tile(LABELS, (3, 1)), mask=np.tile(MASK, (3, 1)), shift=True
    )
    same(lm.evaluate(tmp_path, shift=True), whole)


def test_a_missing_shard_is_noticed(tmp_path: Path) -> None:
    with lm.DumpWriter(tmp_path / "x.arrow", vocab_size=V, shard_bytes=1) as writer:
        writer.write(LOGITS, LABELS)
    Path(writer.paths[2]).unlink()
    with pytest.warns(InputWarning, match="3 of 4 files are there; missing is .*x-00002-of-00004"):
        lm.scan(tmp_path)
    assert lm.evaluate(writer.paths[0]).num_tokens == T


# ---- what goes wrong -----------------------------------------------------------------------------


def test_nothing_is_there_before_it_is_closed(tmp_path: Path) -> None:
    writer = lm.DumpWriter(tmp_path / "x", vocab_size=V)
    writer.write(LOGITS, LABELS)
    assert visible(tmp_path) == []
    writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with pytest.raises(SettingsError, match="closed"):
        writer.write(LOGITS, LABELS)


def test_nothing_written_is_no_file(tmp_path: Path) -> None:
    with lm.DumpWriter(tmp_path / "x", vocab_size=V) as writer:
        pass
    assert writer.paths == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shard_bytes", [None, 1500])
def test_an_error_leaves_a_readable_part_under_a_hidden_name(
    shard_bytes: int | None, tmp_path: Path
) -> None:
    def fails() -> None:
        with lm.DumpWriter(tmp_path / "x", vocab_size=V, shard_bytes=shard_bytes) as writer:
            writer.write(LOGITS, LABELS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fails()
    assert visible(tmp_path) == []
    assert "not finished" in caught.value.__notes__[0]
    same(lm.evaluate([str(path) for path in hidden(tmp_path)]), lm.evaluate(LOGITS, LABELS))


KILLED = """
import os, signal, sys, numpy as np, logitmeter as lm
writer = lm.DumpWriter(sys.argv[1], vocab_size=9)
writer.write(np.zeros((4, 6, 9), np.float32), np.zeros((4, 6), int))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_a_prefix_under_a_hidden_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "x")]
    ended = subprocess.run(command, check=False)  # noqa: S603 - our own words
    assert ended.returncode == -signal.SIGKILL
    assert visible(tmp_path) == []
    (part,) = hidden(tmp_path)
    with part.open("rb") as file:
        file.seek(8)
        assert pa.ipc.open_stream(file).read_all().num_rows == B * T


def test_a_failed_call_ends_the_dump(tmp_path: Path) -> None:
    writer = lm.DumpWriter(tmp_path / "x", vocab_size=V, dtype="f16")
    writer.write(LOGITS, LABELS)
    bad = LOGITS.copy()
    bad[2, 3, 4] = 1e6
    with pytest.raises(NonFiniteError, match=r"row 15 holds the logit 1e\+06.*float16") as caught:
        writer.write(bad, LABELS)
    assert caught.value.row == 15
    writer.close()
    assert visible(tmp_path) == []


@pytest.mark.parametrize("shard_bytes", [None, 100])
def test_a_dump_is_not_overwritten(shard_bytes: int | None, tmp_path: Path) -> None:
    options: Any = {"vocab_size": V, "shard_bytes": shard_bytes}
    with lm.DumpWriter(tmp_path / "x.arrow", **options) as writer:
        writer.write(LOGITS, LABELS)
    with pytest.raises(FileExistsError):
        lm.DumpWriter(tmp_path / "x.arrow", **options)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"logits": LOGITS[..., :-1]}, ShapeError, "8 entries, but vocab_size is 9"),
        ({"labels": LABELS[:, :-1]}, ShapeError, "labels has shape"),
        ({"labels": None}, SettingsError, "needs labels"),
        ({"logits": LOGITS.astype(int)}, DTypeError, "cannot be read"),
        ({"mask": MASK}, SettingsError, "in the calls before"),
        ({"sequence_id": [7, 8, 9, 10]}, SettingsError, "in some calls only"),
        ({"columns": {"labels": TASKS}}, SettingsError, "a name of ours"),
        ({"final": False}, SettingsError, "final=False"),
    ],
)
def test_calls_must_fit_together(
    given: dict[str, Any], error: type[Exception], says: str, tmp_path: Path
) -> None:
    writer = lm.DumpWriter(tmp_path / "x", vocab_size=V)
    writer.write(LOGITS, LABELS)
    with pytest.raises(error, match=says):
        writer.write(**({"logits": LOGITS, "labels": LABELS} | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("ids", [[1, 2, 1, 3], [[0] * 3 + [1] * 3] * 4])
def test_ids_that_come_back_are_refused(ids: Any, tmp_path: Path) -> None:
    writer = lm.DumpWriter(tmp_path / "x", vocab_size=V)
    with pytest.raises(SequenceError, match=r"sequence_id \d comes back"):
        writer.write(LOGITS, LABELS, sequence_id=ids)


# ---- rounding ------------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.0, 3.38e38, -3.4e38, 65504.0, -7e4]


def patterns(dtype: Any) -> np.ndarray[Any, Any]:
    """Numbers of all magnitudes, and those half way between two of a smaller type."""
    size = np.dtype(dtype).itemsize
    bits = RANDOM.integers(0, 256, (20_000, size), np.uint8).view(dtype).ravel()
    halves = (RANDOM.integers(0, 1 << 15, 5_000).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    near = np.nextafter(halves.astype(dtype), dtype(0 if size == 8 else 1))
    return np.concatenate([bits, halves.astype(dtype), near, np.array(SPECIAL, dtype)])


@pytest.mark.parametrize("given", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("to", ["bfloat16", "float16", "float32"])
def test_rounding_is_to_nearest_with_ties_to_even(given: Any, to: str) -> None:
    with np.errstate(all="ignore"):
        numbers = patterns(given)
        kind = ml_dtypes.bfloat16 if to == "bfloat16" else np.dtype(to)
        exact = numbers.astype(np.longdouble)
        wanted = numbers.astype(kind)
        kept = ~((wanted.astype(np.float64) == np.inf) & (exact != np.inf))
    found = rounded(numbers[kept].reshape(1, -1), np.dtype(given).name, to)
    if to == "bfloat16":
        found = found.view(ml_dtypes.bfloat16)
        if given is np.float64:
            wanted = nearest(numbers)
    assert np.array_equal(found.ravel(), wanted[kept], equal_nan=True)


def nearest(numbers: Any) -> Any:
    """Give the nearest bfloat16 of float64, by looking at the two that may be."""
    with np.errstate(all="ignore"):
        once = numbers.astype(np.float32).astype(ml_dtypes.bfloat16)
        bits = once.view(np.uint16).astype(np.int32)
        best, distance = once.copy(), np.abs(once.astype(np.float64) - numbers)
        for step in (-1, 1):
            other = (bits + step).astype(np.uint16).view(ml_dtypes.bfloat16)
            away = np.abs(other.astype(np.float64) - numbers)
            even = (away == distance) & (bits % 2 == 1)
            best = np.where((away < distance) | even, other, best)
    return np.where(np.isfinite(numbers) & np.isfinite(once.astype(np.float64)), best, once)
