"""Top-k lists by every way in: one input, the same report to the bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import datasets
import duckdb
import logitmeter as lm
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.ipc
import pyarrow.parquet
import pytest
from logitmeter import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

V, K = 9, 3
LENGTHS = (4, 1, 5, 2)
N = sum(LENGTHS)
CUTS = np.cumsum(LENGTHS)[:-1]
RANDOM = np.random.default_rng(6)
LOGITS = RANDOM.normal(size=(N, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, N)
IDS = np.argsort(-LOGITS, 1)[:, :K]
VALUES = np.take_along_axis(LOGITS, IDS, 1)
LSE = np.log(np.exp(LOGITS.astype(np.float64)).sum(1))
SEQUENCES = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
MASK = np.arange(N) % 4 > 0
HOW: dict[str, Any] = {"columns": {"ids": "ids"}, "vocab_size": V}
OPTIONS: dict[str, Any] = {"shift": True, "trailing": 1, "on_short": "count"}


def table(lists: Any = pa.list_) -> pa.Table:
    columns = {
        "ids": pa.array(IDS.tolist(), lists(pa.int32())),
        "values": pa.array(VALUES.tolist(), lists(pa.float32())),
    }
    sides = {"lse": LSE, "labels": LABELS, "mask": MASK, "sequence_id": SEQUENCES}
    return pa.table(columns | sides)


def fixed(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind, K)


def ipc(folder: Path, opened: Any) -> Path:
    with opened(folder / "x", table().schema) as writer:
        writer.write_table(table(), max_chunksize=3)
    return folder / "x"


def parquet(folder: Path) -> Path:
    pa.parquet.write_table(table(), folder / "x", row_group_size=3)
    return folder / "x"


def two_files(folder: Path) -> list[Path]:
    """Cut inside a sequence: the label that a row predicts is in the next file."""
    paths = [folder / "a", folder / "b"]
    for path, part in zip(paths, (table().slice(0, 7), table().slice(7)), strict=True):
        pa.parquet.write_table(part, path)
    return paths


def sequence_rows(_: Path) -> pa.Table:
    """Whole sequences: lists [T][K], as TRL's server and Axolotl have them."""

    def cut(array: Any) -> list[Any]:
        return [part.tolist() for part in np.split(array, CUTS)]

    columns = {"ids": IDS, "values": VALUES, "lse": LSE, "labels": LABELS, "mask": MASK}
    values = {"values": pa.array(cut(VALUES), pa.list_(pa.list_(pa.float32())))}
    return pa.table({name: cut(column) for name, column in columns.items()} | values)


WAYS: dict[str, Callable[[Path], Any]] = {
    "lists": lambda _: table(),
    "large lists": lambda _: table(pa.large_list),
    "fixed-size lists": lambda _: table(fixed),
    "sliced": lambda _: pa.concat_tables([table(fixed)] * 2).slice(N),
    "reader": lambda _: table().to_reader(5),
    "polars": lambda _: pl.from_arrow(table()),
    "duckdb": lambda _: duckdb.from_arrow(table()).select("*"),
    "dataset": lambda _: pyarrow.dataset.dataset(table()),
    "hugging face": lambda _: datasets.Dataset(table()),
    "ipc file": lambda folder: ipc(folder, pa.ipc.new_file),
    "ipc stream": lambda folder: ipc(folder, pa.ipc.new_stream),
    "parquet": parquet,
    "two files": two_files,
    "sequences": sequence_rows,
}
each_way = pytest.mark.parametrize("way", WAYS)


def source(way: str, folder: Path, **more: Any) -> lm.Source:
    return lm.scan(WAYS[way](folder), **HOW, join_files=way == "two files", **more)


def wanted(**more: Any) -> lm.Report:
    return lm.evaluate(lm.scan(table(), **HOW, **more), **OPTIONS)


@each_way
@pytest.mark.parametrize("entries", [1, 1 << 18])
def test_all_ways_give_one_report(
    way: str, entries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logitmeter.sources.top_k.PIECE_ENTRIES", entries)
    found = lm.evaluate(source(way, tmp_path), **OPTIONS)
    assert found.to_json() == wanted().to_json()
    assert found.num_bounded > 0


def test_the_bounds_hold_what_the_logits_give() -> None:
    exact = lm.evaluate(LOGITS, LABELS, mask=MASK, sequence_id=SEQUENCES, **OPTIONS)
    found = wanted()
    assert found.loss <= exact.loss <= found.loss_bounds[1]
    assert found.accuracy_bounds == (exact.accuracy, exact.accuracy)
    assert (found.num_tokens, found.vocab_size) == (exact.num_tokens, V)


@each_way
def test_what_is_read_is_what_there_is(way: str, tmp_path: Path) -> None:
    if way == "sequences":
        return
    found = pa.table(source(way, tmp_path))
    assert [name for name in found.schema.names if name.startswith("__")] in ([], ["__scope__"])
    assert found["ids"].to_pylist() == IDS.tolist()


@each_way
def test_labels_of_a_second_file(way: str, tmp_path: Path) -> None:
    if way == "sequences":
        return
    with (tmp_path / "labels").open("wb") as file:
        np.save(file, (LABELS + 1) % V)
    one = lm.evaluate(source(way, tmp_path), pa.array((LABELS + 1) % V), **OPTIONS)
    if way == "two files":
        return
    other = lm.evaluate(source(way, tmp_path, labels=str(tmp_path / "labels")), **OPTIONS)
    assert one.to_json() == other.to_json() != wanted().to_json()


@each_way
def test_a_limit(way: str, tmp_path: Path) -> None:
    found = lm.evaluate(source(way, tmp_path, limit=8), **OPTIONS)
    assert found.to_json() == wanted(limit=8).to_json()


def test_labels_are_checked_before_a_list_is_read(tmp_path: Path) -> None:
    bad = table().set_column(3, "labels", pa.array([*[0] * (N - 1), V]))
    pa.parquet.write_table(bad, tmp_path / "x")
    with pytest.raises(lm.exceptions.LabelError, match=f"label {V} at position {N - 1}") as caught:
        lm.evaluate(lm.scan(tmp_path / "x", **HOW), **OPTIONS)
    assert caught.value.partial is None
    found = lm.check(lm.scan(tmp_path / "x", **HOW), **OPTIONS)
    assert [problem.position for problem in found.problems] == [N - 1]


def test_sequences_need_a_list_of_each_column() -> None:
    columns = table().select(["ids", "values"]).to_pydict()
    nested = pa.table({name: [lists] for name, lists in columns.items()} | {"labels": [3]})
    with pytest.raises(lm.exceptions.ShapeError, match="one value a row"):
        lm.evaluate(lm.scan(nested, **HOW))


@pytest.mark.parametrize("values", ["logits", "logprobs"])
def test_the_command_line(values: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "ids=ids,values=x"
    columns = table().rename_columns({"values": "x"})
    if values == "logprobs":
        logprobs = (VALUES - LSE[:, None]).tolist()
        columns = columns.drop_columns("lse").set_column(1, "x", pa.array(logprobs))
    pa.parquet.write_table(columns, tmp_path / "dump.parquet")
    flags = ["--values", values, "--columns", names, "--vocab-size", str(V), "--listed", "largest"]
    path = str(tmp_path / "dump.parquet")
    assert cli.main(["evaluate", path, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss_bounds"][1] is None
    assert found["num_bounded"] == sum(LABELS[row] not in IDS[row] for row in np.flatnonzero(MASK))
