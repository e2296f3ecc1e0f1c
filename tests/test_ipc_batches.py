"""Arrow IPC batches above the limit: cut by rows where they are plain, else refused by size."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import fsspec
import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import BatchSizeError, CorruptInputError, InputChangedError
from logitmeter.sources import place as places
from logitmeter.sources.source import Data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N, V = 23, 5
PIECE = 4 * V * 4
"""Bytes of four rows: what is read at once here."""
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)
FIXED = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), V)
NULLS = pa.array(np.arange(N) % 7 == 3)
each_format = pytest.mark.parametrize("way", ["file", "stream"])
each_place = pytest.mark.parametrize("where", ["here", "store"])


def with_nulls(array: pa.Array) -> pa.Array:
    """Give the same, of which some rows are null."""
    return pa.compute.if_else(NULLS, pa.scalar(None, array.type), array)


def opaque() -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(4 * V), N, [None, pa.py_buffer(LOGITS.tobytes())]
    )


def tensor() -> pa.Array:
    kind = pa.fixed_shape_tensor(pa.float32(), [V])
    return pa.ExtensionArray.from_storage(kind, FIXED.cast(kind.storage_type))


LAYOUTS: dict[str, Callable[[], pa.Array]] = {
    "fixed": lambda: FIXED,
    "fixed, nulls": lambda: pa.FixedSizeListArray.from_arrays(FIXED.values, V, mask=NULLS),
    "lists": lambda: FIXED.cast(pa.list_(pa.float32())),
    "large lists": lambda: FIXED.cast(pa.large_list(pa.float32())),
    "lists, nulls": lambda: with_nulls(FIXED.cast(pa.list_(pa.float32()))),
    "opaque": opaque,
    "opaque, nulls": lambda: with_nulls(opaque()),
    "tensor": tensor,
}
BESIDE: dict[str, Callable[[], pa.Array]] = {
    "text": lambda: pa.array([f"row {i}" * 9 for i in range(N)]),
    "views": lambda: pa.array([f"row {i}" * 9 for i in range(N)]).cast(pa.string_view()),
    "dictionary": lambda: pa.array([f"kind {i % 3}" for i in range(N)]).dictionary_encode(),
    "struct": lambda: pa.array([{"a": i, "b": [i] * (i % 4)} for i in range(N)]),
    "nothing": lambda: pa.nulls(N),
    "truth": lambda: pa.array([i % 3 == 0 or None for i in range(N)]),
    "union": lambda: pa.UnionArray.from_sparse(
        pa.array(np.arange(N) % 2, pa.int8()), [pa.array(LABELS), pa.array(LABELS * 0.5)]
    ),
    "runs": lambda: pa.compute.run_end_encode(pa.array(np.arange(N) // 5)),
    "map": lambda: pa.array([[("a", i)] for i in range(N)], pa.map_(pa.string(), pa.int64())),
    "list views": lambda: pa.array([[i] for i in range(N)], pa.list_view(pa.int32())),
    "logits too": lambda: pa.FixedSizeListArray.from_arrays(pa.array(-LOGITS.ravel()), V),
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "READ_BYTES", PIECE)
    monkeypatch.setattr(places, "REQUEST_BYTES", PIECE)


def written(table: pa.Table, way: str, codec: str | None = None, rows: int = N) -> bytes:
    out = io.BytesIO()
    opened = pa.ipc.new_file if way == "file" else pa.ipc.new_stream
    with opened(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


def put(folder: Path, where: str, data: bytes) -> str:
    """Give the path of a file, or the URL of an object, with these bytes."""
    if where == "here":
        (folder / "dump").write_bytes(data)
        return str(folder / "dump")
    fsspec.filesystem("memory").pipe_file("/ipc/dump", data)
    return "memory://ipc/dump"


def batches(source: Any, names: list[str]) -> list[pa.RecordBatch]:
    others = [name for name in names if name not in {"logits", "labels"}]
    found = lm.scan(source).feed(Data(by=others)).batches()
    return [batch.select(names) for batch in found]


@each_format
@each_place
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_plain_layout_is_cut(layout: str, way: str, where: str, tmp_path: Path) -> None:
    table = pa.table({"labels": LABELS, "logits": LAYOUTS[layout]()})
    found = batches(put(tmp_path, where, written(table, way)), table.column_names)
    assert pa.Table.from_batches(found).equals(table)
    assert max(batch.num_rows for batch in found) <= 5


@each_format
@pytest.mark.parametrize("mapped", [False, True])
def test_batches_are_cut_each_at_its_rows(way: str, tmp_path: Path, *, mapped: bool) -> None:
    table = pa.table({"logits": FIXED, "labels": LABELS})
    path = put(tmp_path, "here", written(table, way, rows=10))
    batches = lm.scan(path, memory_map=mapped).feed().batches()
    found = [batch.select(["logits", "labels"]) for batch in batches]
    assert pa.Table.from_batches(found).equals(table)
    lengths = [10, 10, 3] if mapped else [4, 4, 2, 4, 4, 2, 3]
    assert [batch.num_rows for batch in found] == lengths


@each_format
@pytest.mark.parametrize("beside", BESIDE)
def test_columns_of_any_type_may_lie_beside(beside: str, way: str, tmp_path: Path) -> None:
    column = BESIDE[beside]()
    table = pa.table({"a": column, "logits": FIXED, "b": column, "labels": LABELS})
    source = put(tmp_path, "here", written(table, way))
    found = batches(source, ["a", "logits", "b", "labels"])
    assert len(found) > 4
    assert pa.Table.from_batches(found).to_pylist() == table.to_pylist()
    assert lm.evaluate(source).loss == lm.evaluate(LOGITS, LABELS).loss


class Watched:
    """A file that notes how much is asked for at once."""

    closed = False

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size)
        return self._data.read(size)

    def close(self) -> None:
        """Stay open: the file is opened several times."""


@each_format
def test_no_more_than_a_piece_is_read_at_once(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.zeros((400, 100), np.float32)
    monkeypatch.setattr(places, "READ_BYTES", 16_000)
    table = pa.table({"logits": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 100),
                      "labels": np.zeros(400, int)})  # fmt: skip
    path = put(tmp_path, "here", written(table, way, rows=400))
    watched = Watched((tmp_path / "dump").read_bytes())

    def opened(*_: object, **__: object) -> pa.NativeFile:
        watched.seek(0)
        return pa.PythonFile(watched, mode="r")

    monkeypatch.setattr(places.Place, "open", opened)
    assert lm.evaluate(path).num_tokens == 400
    assert 0 < watched.most <= 16_000


@each_format
def test_the_other_byte_order_is_read_as_a_whole(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"logits": FIXED, "labels": LABELS})
    path = put(tmp_path, "here", written(table, way))
    monkeypatch.setattr("logitmeter.sources.ipc_layout._is_native", lambda _: False)
    assert [batch.num_rows for batch in batches(path, ["logits", "labels"])] == [N]


# ---- what cannot be cut --------------------------------------------------------------------------


def piped(_: Path, data: bytes) -> Any:
    return io.BytesIO(data)


SOURCES: dict[str, tuple[str, Callable[[Path, bytes], Any]]] = {
    "file": ("file", lambda folder, data: put(folder, "here", data)),
    "stream": ("stream", lambda folder, data: put(folder, "here", data)),
    "file in a store": ("file", lambda folder, data: put(folder, "store", data)),
    "stream in a store": ("stream", lambda folder, data: put(folder, "store", data)),
    "pipe": ("stream", piped),
}
each_source = pytest.mark.parametrize("source", SOURCES)


@pytest.fixture
def little_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logitmeter.sources.ipc_batches.MOST_HELD", 1 << 20)


def zeros(rows: int) -> pa.Table:
    values = pa.array(np.zeros(rows * 1000, np.float32))
    rows_of = pa.FixedSizeListArray.from_arrays(values, 1000)
    return pa.table({"logits": rows_of, "labels": np.zeros(rows, int)})


@each_source
@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.usefixtures("little_held")
def test_a_compressed_batch_above_the_limit_is_refused(
    source: str, codec: str, tmp_path: Path
) -> None:
    way, opened = SOURCES[source]
    small = opened(tmp_path, written(zeros(500), way, codec, rows=250))
    assert lm.evaluate(small).num_tokens == 500
    thing = opened(tmp_path, written(zeros(500), way, codec, rows=500))
    with pytest.raises(BatchSizeError, match=r"batch .*compressed.* takes 2 MiB") as caught:
        lm.evaluate(thing)
    assert caught.value.path == (thing if isinstance(thing, str) else "-")
    assert "write smaller batches" in str(caught.value)
    assert (caught.value.expected, caught.value.got) == ("at most 1 MiB", "2 MiB")


@pytest.mark.usefixtures("little_held")
def test_its_labels_can_be_read(tmp_path: Path) -> None:
    path = put(tmp_path, "here", written(zeros(500), "file", "zstd", rows=500))
    logits = np.zeros((500, 7), np.float32)
    assert lm.evaluate(lm.scan(logits, labels=path)).num_tokens == 500


@pytest.mark.usefixtures("little_held")
def test_a_pipe_cannot_be_cut() -> None:
    assert lm.evaluate(io.BytesIO(written(zeros(500), "stream", rows=250))).num_tokens == 500
    with pytest.raises(BatchSizeError, match=r"of a pipe.* takes 2 MiB"):
        lm.evaluate(io.BytesIO(written(zeros(500), "stream", rows=500)))


# ---- damage --------------------------------------------------------------------------------------


@each_format
@each_place
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.LogitmeterWarning")
def test_flipped_metadata_are_an_error_or_other_rows(way: str, where: str, tmp_path: Path) -> None:
    table = pa.table({"logits": FIXED, "labels": LABELS})
    whole = written(table, way, rows=12)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(8, len(whole), 3):
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        source = put(tmp_path, where, bytes(data))
        try:
            assert lm.evaluate(source, nonfinite="propagate").num_tokens <= N
        except lm.exceptions.LogitmeterError:
            refused += 1
    assert 5 < refused < 40


@each_format
def test_a_batch_that_is_cut_short_is_named(way: str, tmp_path: Path) -> None:
    path = put(tmp_path, "here", written(pa.table({"logits": FIXED, "labels": LABELS}), way))
    found = lm.scan(path).feed().batches()
    found.read_next_batch()
    with open(path, "r+b") as file:  # noqa: PTH123
        file.truncate(300)
    with pytest.raises(InputChangedError) as caught:
        found.read_all()
    assert caught.value.path == path


def test_offsets_that_point_elsewhere_are_refused(tmp_path: Path) -> None:
    lists = FIXED.cast(pa.large_list(pa.float32()))
    data = written(pa.table({"logits": lists, "labels": LABELS}), "file")
    offsets = np.arange(N + 1, dtype="<i8") * V
    assert offsets.tobytes() in data
    for at, wrong in ((3, 2**40), (7, -5), (N, 2**62)):
        changed = offsets.copy()
        changed[at] = wrong
        path = put(tmp_path, "here", data.replace(offsets.tobytes(), changed.tobytes()))
        with pytest.raises(CorruptInputError) as caught:
            lm.evaluate(path)
        assert caught.value.path == path
