"""Files and readers that cannot be read: path, offset, expected and got, from the functions."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import (
    CorruptInputError,
    DTypeError,
    InputChangedError,
    SettingsError,
)
from ways import LABELS, LOGITS, N, V, fixed, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TABLE = pa.table({"logits": fixed(LOGITS), "labels": LABELS})
both_formats = pytest.mark.parametrize("way", ["file", "stream"])


def dump(folder: Path, way: str) -> Path:
    source(way, folder, TABLE, N)
    return folder / "dump.arrow"


def replaced(path: Path, old: int, new: int) -> None:
    """Put another 64-bit number where one is written down for the first time."""
    whole = path.read_bytes()
    assert struct.pack("<q", old) in whole
    path.write_bytes(whole.replace(struct.pack("<q", old), struct.pack("<q", new), 1))


# ---- damage --------------------------------------------------------------------------------------


@both_formats
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.InputWarning")
@pytest.mark.parametrize("call", [lm.evaluate, lambda path: lm.token_scores(path).read_all()])
def test_a_file_cut_short(
    way: str, share: float, call: Callable[[str], object], tmp_path: Path
) -> None:
    path = dump(tmp_path, way)
    size = int(path.stat().st_size * share)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptInputError, match=f"cut short, at {size} bytes") as caught:
        call(str(path))
    assert (caught.value.path, caught.value.offset) == (str(path), size)
    assert str(path) in str(caught.value)


@both_formats
@pytest.mark.parametrize("declared", [2**31, 2**40, 2**62])
def test_a_declared_size_larger_than_the_file(way: str, declared: int, tmp_path: Path) -> None:
    path = dump(tmp_path, way)
    replaced(path, LOGITS.nbytes, declared)
    with pytest.raises(CorruptInputError, match=f"able to read {declared} bytes") as caught:
        lm.evaluate(path)
    assert caught.value.path == str(path)


@both_formats
@pytest.mark.parametrize("declared", [N + 1, 2**40, 2**62, -1])
def test_more_rows_declared_than_there_are(way: str, declared: int, tmp_path: Path) -> None:
    path = dump(tmp_path, way)
    replaced(path, N, declared)
    with pytest.raises(CorruptInputError) as caught:
        lm.evaluate(path)
    assert caught.value.path == str(path)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "dump.arrow"
    path.write_bytes(b"hello world")
    with pytest.raises(CorruptInputError, match=r"unknown format.*68 65 6c 6c 6f") as caught:
        lm.evaluate(path)
    assert (caught.value.path, caught.value.offset) == (str(path), 0)
    assert "Arrow IPC (file or stream), Parquet" in str(caught.value.expected)
    assert caught.value.got == "68 65 6c 6c 6f 20 77 6f"


# ---- change --------------------------------------------------------------------------------------


@both_formats
def test_a_file_that_changes_while_it_is_read(way: str, tmp_path: Path) -> None:
    path = dump(tmp_path, way)
    before = path.stat().st_size
    scores = lm.token_scores(str(path))
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputChangedError, match="changed while it was read") as caught:
        scores.read_all()
    assert caught.value.path == str(path)
    assert (caught.value.expected, caught.value.got) == (f"{before} bytes", f"{before + 4} bytes")


# ---- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [lm.evaluate, lm.check, lambda reader: lm.token_scores(reader).read_all(), lm.Meter().update],
)
def test_a_consumed_reader(call: Callable[[Any], object]) -> None:
    reader = TABLE.to_reader()
    assert lm.evaluate(reader).num_tokens == N
    with pytest.raises(SettingsError, match="has been consumed; read it into a table") as caught:
        call(reader)
    assert caught.value.expected == "a reader not read before"
    assert caught.value.got == "a consumed reader"


def test_a_stream_of_one_read() -> None:
    scores = lm.token_scores(LOGITS, LABELS)
    pa.table(scores)
    with pytest.raises(SettingsError, match="these scores have been read"):
        pa.table(scores)


def test_a_reader_that_fails_gives_its_own_error() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield TABLE.to_batches()[0]
        raise ZeroDivisionError("in mid-stream")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, batches())
    with pytest.raises(ZeroDivisionError, match="in mid-stream"):
        lm.evaluate(reader)


# ---- what runs code, and what means the opposite -------------------------------------------------


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


def torch_archive() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x/data.pkl", pickle.dumps(Bomb()))
    return archive.getvalue()


@pytest.mark.parametrize("saved", [pickle.dumps(Bomb()), torch_archive()], ids=["old", "zip"])
@pytest.mark.parametrize("name", ["x.pt", "x.arrow", "x.bin"])
@pytest.mark.parametrize("role", ["logits", "labels"])
def test_torch_pickles_are_refused_unread(
    saved: bytes, name: str, role: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(saved)
    given = (str(path), None) if role == "logits" else (LOGITS, path)
    says = r"run code.*torch\.load\('.*', mmap=True, weights_only=True\)"
    with pytest.raises(CorruptInputError, match=says) as caught:
        lm.evaluate(*given)
    assert (caught.value.path, caught.value.offset) == (str(path), 0)


@pytest.mark.parametrize(
    "role", ["logits", "labels", "mask", "weight", "sequence_id", "vocab_mask"]
)
def test_masked_arrays(role: str) -> None:
    arrays: dict[str, Any] = {
        "labels": LABELS,
        "mask": np.ones(N, bool),
        "weight": np.ones(N),
        "sequence_id": np.zeros(N, int),
        "vocab_mask": np.ones(V, bool),
    }
    given = {"logits": LOGITS, "labels": LABELS} | {role: arrays.get(role, LOGITS)}
    given[role] = np.ma.masked_array(given[role])
    with pytest.raises(DTypeError, match=f"{role} given as a numpy.ma array.*True where") as caught:
        lm.evaluate(given.pop("logits"), **given)
    assert (caught.value.expected, caught.value.got) == ("a plain array", "numpy.ma.MaskedArray")
