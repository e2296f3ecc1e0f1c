"""Rows that hold whole sequences give the figures of their positions, whatever holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import datasets
import duckdb
import logitmeter as lm
import ml_dtypes
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from logitmeter.exceptions import DTypeError, LabelError, SequenceError, ShapeError
from logitmeter.sources.base import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

V = 5
LENGTHS = (3, 1, 4, 2)
N = sum(LENGTHS)
CUTS = np.cumsum(LENGTHS)[:-1]
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)
MASK = np.arange(N) % 3 > 0
IDS = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
TASKS = np.array(["a", "b", "b", "a"])
WANTED = lm.evaluate(
    LOGITS, LABELS, mask=MASK, sequence_id=IDS, shift=True, by={"task": TASKS[IDS]}
)


def cut(array: Any) -> list[Any]:
    return [part.tolist() for part in np.split(array, CUTS)]


def table(kind: pa.DataType | None = None, **more: Any) -> pa.Table:
    kind = kind or pa.list_(pa.list_(pa.float32()))
    columns = {"logits": pa.array(cut(LOGITS), kind), "labels": cut(LABELS), "mask": cut(MASK)}
    return pa.table(columns | {"task": TASKS} | more)


def ipc(folder: Path, kind: str) -> str:
    opened = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with opened(folder / "x", table().schema) as writer:
        writer.write_table(table(), max_chunksize=3)
    return str(folder / "x")


def parquet(folder: Path) -> str:
    pa.parquet.write_table(table(), folder / "x", row_group_size=3)
    return str(folder / "x")


def query(_: Path) -> Any:
    return duckdb.from_arrow(table()).select("*")


def hugging_face(_: Path) -> Any:
    return datasets.Dataset(table())


def matrices(_: Path) -> Any:
    kinds = datasets.Features(
        logits=datasets.Array2D((None, V), "float32"),
        labels=datasets.List(datasets.Value("int64")),
        mask=datasets.List(datasets.Value("bool")),
        task=datasets.Value("string"),
    )
    rows = table().to_pydict() | {"logits": np.split(LOGITS, CUTS)}
    return datasets.Dataset.from_dict(rows, features=kinds)


def chosen(_: Path) -> Any:
    """Rows that an index puts in order."""
    twice = pa.concat_tables([table(), table()])
    return datasets.Dataset(twice).select([4, 1, 2, 7])


WAYS: dict[str, Callable[[Path], Any]] = {
    "lists": lambda _: table(),
    "lists of fixed-size lists": lambda _: table(pa.list_(pa.list_(pa.float32(), V))),
    "large lists": lambda _: table(pa.large_list(pa.large_list(pa.float32()))),
    "a slice": lambda _: pa.concat_tables([table(), table()]).combine_chunks().slice(4, 4),
    "a reader": lambda _: table().to_reader(3),
    "polars": lambda _: pl.DataFrame(table()),
    "duckdb": query,
    "IPC file": lambda folder: ipc(folder, "file"),
    "IPC stream": lambda folder: ipc(folder, "stream"),
    "Parquet": parquet,
    "datasets": hugging_face,
    "datasets, Array2D": matrices,
    "datasets, chosen rows": chosen,
    "datasets, iterable": lambda folder: matrices(folder).to_iterable_dataset(),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_figures(way: str, tmp_path: Path) -> None:
    found = lm.evaluate(WAYS[way](tmp_path), shift=True, by="task")
    assert found.to_json() == WANTED.to_json()


@pytest.mark.parametrize("way", WAYS)
def test_each_row_is_a_sequence(way: str, tmp_path: Path) -> None:
    found = lm.scan(WAYS[way](tmp_path)).feed().batches().read_all()
    assert found[SCOPE].to_pylist() == IDS.tolist()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "bfloat16"])
def test_every_element_type_is_read(dtype: str) -> None:
    logits = LOGITS.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    bits = logits.view(np.uint16) if dtype == "bfloat16" else logits
    rows = pa.FixedSizeListArray.from_arrays(pa.array(bits.ravel()), V)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int32)
    source = pa.table({"logits": pa.ListArray.from_arrays(offsets, rows), "labels": cut(LABELS)})
    found = lm.evaluate(lm.scan(source, dtype=logits.dtype.name))
    assert found.to_json() == lm.evaluate(logits, LABELS, sequence_id=IDS).to_json()


def test_rows_of_bytes_are_read() -> None:
    rows = pa.array([row.tobytes() for row in LOGITS], pa.binary(4 * V))
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int32)
    source = pa.table({"logits": pa.ListArray.from_arrays(offsets, rows), "labels": cut(LABELS)})
    assert lm.evaluate(lm.scan(source, dtype="f32")).loss == lm.evaluate(LOGITS, LABELS).loss


@pytest.mark.parametrize("start", [0, 2])
def test_tensors_are_sequences_of_one_length(start: int) -> None:
    cube = np.random.default_rng(3).normal(size=(5, 4, V)).astype(np.float32)
    labels = np.random.default_rng(4).integers(0, V, (5, 4))
    source = pa.table(
        {"logits": pa.FixedShapeTensorArray.from_numpy_ndarray(cube), "labels": labels.tolist()}
    )
    found = lm.evaluate(source.slice(start), shift=True)
    assert found.to_json() == lm.evaluate(cube[start:], labels[start:], shift=True).to_json()


def test_the_values_are_not_copied() -> None:
    source = table(pa.list_(pa.list_(pa.float32(), V)))
    address = source["logits"].chunk(0).values.values.buffers()[1].address
    (batch,) = lm.scan(source).feed().batches()
    assert batch["logits"].values.buffers()[1].address == address


def test_labels_are_checked_before_a_logit_is_read() -> None:
    labels = LABELS.copy()
    labels[5] = V
    source = table(pa.list_(pa.list_(pa.float32(), V))).set_column(1, "labels", [cut(labels)])
    assert lm.scan(source).feed().labels_first
    with pytest.raises(LabelError) as caught:
        lm.evaluate(source)
    assert caught.value.position == 5


def test_a_position_is_found_in_its_file(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[5] = V
    for name, values in (("a", LABELS), ("b", labels)):
        rows = table().set_column(1, "labels", [cut(values)])
        pa.parquet.write_table(rows, tmp_path / name)
    with pytest.raises(LabelError) as caught:
        lm.evaluate(tmp_path)
    assert (caught.value.position, caught.value.path) == (N + 5, str(tmp_path / "b"))
    assert "position 5 of this file" in "".join(caught.value.__notes__)


def test_packed_sequences_have_ids_within() -> None:
    ids = np.array([0, 0, 1, 0, 0, 1, 1, 2, 0, 1])
    found = lm.evaluate(table(sequence_id=cut(ids)), shift=True)
    wanted = lm.evaluate(LOGITS, LABELS, mask=MASK, sequence_id=IDS * 10 + ids, shift=True)
    assert found.to_json() == wanted.to_json()
    with pytest.raises(SequenceError):
        lm.evaluate(table(sequence_id=cut(np.array([0, 1, 0, *ids[3:]]))))


def test_arrays_lie_beside_the_positions() -> None:
    found = lm.evaluate(table(), weight=np.arange(N), shift=True)
    wanted = lm.evaluate(
        LOGITS, LABELS, mask=MASK, sequence_id=IDS, weight=np.arange(N), shift=True
    )
    assert found.to_json() == wanted.to_json()


@pytest.mark.parametrize("column", ["labels", "mask"])
@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: [*rows, rows[0]]])
def test_lengths_that_differ_are_named_by_row(
    column: str, change: Callable[[list[Any]], list[Any]], tmp_path: Path
) -> None:
    rows = table().to_pydict()
    rows[column][2] = change(rows[column][2])
    length = len(rows[column][2])
    message = f"sequence 2 has 4 of 'logits', but {length} of '{column}'"
    with pytest.raises(ShapeError, match=message) as caught:
        lm.evaluate(pa.table(rows))
    assert (caught.value.expected, caught.value.got) == ("4", str(length))
    pa.parquet.write_table(pa.table(rows), tmp_path / "x")
    with pytest.raises(ShapeError) as caught:
        lm.evaluate(tmp_path / "x")
    assert caught.value.path == str(tmp_path / "x")


@pytest.mark.parametrize("column", ["logits", "labels", "mask"])
def test_null_sequences_are_named(column: str) -> None:
    rows = table().to_pydict()
    rows[column][2] = None
    with pytest.raises(ShapeError, match="sequence 2"):
        lm.evaluate(pa.table(rows))


def test_empty_sequences_have_no_positions() -> None:
    rows = table().to_pydict()
    for column in ("logits", "labels", "mask"):
        rows[column].insert(1, [])
    rows["task"].insert(1, "c")
    source = pa.table(rows, schema=table().schema)
    assert lm.evaluate(source, shift=True, by="task").to_json() == WANTED.to_json()


def test_several_splits_are_named() -> None:
    several = datasets.DatasetDict(train=datasets.Dataset(table()), test=datasets.Dataset(table()))
    with pytest.raises(DTypeError, match="train, test"):
        lm.scan(several)


def test_a_dataset_is_read_again_and_only_where_it_is_asked_for() -> None:
    source = lm.scan(datasets.Dataset(table()))
    assert lm.evaluate(source).to_json() == lm.evaluate(source).to_json()
    assert source.feed().without_logits().batches().read_all().column_names == [
        "labels",
        "mask",
        SCOPE,
    ]
