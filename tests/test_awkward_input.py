"""Awkward input that must work, with the same bits as the plain one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pytest
from logitmeter.exceptions import LabelError, NothingCountedWarning
from ways import LABELS, LOGITS, N, V, column, each_arrow_way, each_way, evaluate, fixed, source

if TYPE_CHECKING:
    from pathlib import Path

MASK = np.array([1, 1, 0, 1, 1, 1], bool)
WEIGHT = np.linspace(0.5, 2.0, N)
IDS = np.array([0, 0, 1, 1, 1, 2])
DATA: dict[str, Any] = {"labels": LABELS, "mask": MASK, "weight": WEIGHT, "sequence_id": IDS}
PLAIN = lm.evaluate(LOGITS, **DATA)


# ---- slices --------------------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("way", ["table", "lists", "large lists"])


def longer(way: str, front: int) -> pa.Table:
    """Give the rows between others that would be errors, were they looked at."""
    rows = [[math.nan] * V] * front + LOGITS.tolist() + [[math.inf] * V] * 3
    around: dict[str, Any] = {"labels": 99, "mask": True, "weight": -1.0, "sequence_id": 7}
    columns = {
        name: [around[name]] * front + array.tolist() + [around[name]] * 3
        for name, array in DATA.items()
    }
    return pa.table({"logits": column(way, rows), **columns})


@KINDS
@pytest.mark.parametrize("front", [1, 3, 8, 9])
def test_sliced_tables_with_offsets(way: str, front: int) -> None:
    assert lm.evaluate(longer(way, front).slice(front, N)) == PLAIN


@KINDS
@pytest.mark.parametrize("size", [1, 4])
def test_readers_of_sliced_batches(way: str, size: int) -> None:
    assert lm.evaluate(longer(way, 5).slice(5, N).to_reader(size)) == PLAIN


@KINDS
def test_arrays_beside_a_slice(way: str) -> None:
    logits = longer(way, 3)["logits"].slice(3, N)
    sliced = {name: pa.array([*array, *array]).slice(N, N) for name, array in DATA.items()}
    assert lm.evaluate(logits, **sliced) == PLAIN
    assert lm.evaluate(pa.table({"logits": logits}), **DATA) == PLAIN


def test_lists_whose_values_are_a_slice() -> None:
    values = pa.array(np.concatenate([np.full(7, np.nan, np.float32), LOGITS.ravel()])).slice(7)
    lists = [
        pa.FixedSizeListArray.from_arrays(values, V),
        pa.ListArray.from_arrays(pa.array(np.arange(N + 1, dtype=np.int32) * V), values),
    ]
    for logits in lists:
        assert lm.evaluate(pa.table({"logits": logits, **DATA})) == PLAIN


@KINDS
def test_log_softmax_and_top_k_of_a_slice(way: str) -> None:
    logits = longer(way, 3)["logits"].slice(3, N)
    found = lm.log_softmax(logits).read_all()["logprobs"].to_pylist()
    assert np.array_equal(np.array(found, np.float32), lm.log_softmax(LOGITS))
    for one, other in zip(lm.top_k(logits, 2), lm.top_k(LOGITS, 2), strict=True):
        assert np.array_equal(one, other)


# ---- layouts -------------------------------------------------------------------------------------


def misaligned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    moved = np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)
    assert not moved.flags.aligned or array.itemsize == 1
    return moved


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    other = array.copy()
    other.flags.writeable = False
    return other


def spread(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give the same with other values between its own."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


LAYOUTS: dict[str, Any] = {
    "negative strides": lambda x: x[::-1].copy()[::-1],
    "negative strides inside": lambda x: x[..., ::-1].copy()[..., ::-1],
    "Fortran order": np.asfortranarray,
    "every second": spread,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": read_only,
    "misaligned": misaligned,
    "misaligned and big-endian": lambda x: misaligned(x.astype(x.dtype.newbyteorder(">"))),
    "a part of wider rows": lambda x: np.concatenate([x, x], axis=-1)[..., : x.shape[-1]],
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))


@each_layout
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_logits_of_any_layout(layout: Any, dtype: str) -> None:
    logits = LOGITS.astype(dtype)
    other = layout(logits)
    assert np.array_equal(other, logits)
    assert lm.evaluate(other, **DATA) == lm.evaluate(logits, **DATA)
    assert lm.log_softmax(other).tobytes() == lm.log_softmax(logits).tobytes()


@each_layout
def test_cubes_of_any_layout(layout: Any) -> None:
    logits, labels = LOGITS.reshape(2, 3, V), LABELS.reshape(2, 3)
    assert lm.evaluate(layout(logits), labels, shift=True) == lm.evaluate(
        logits, labels, shift=True
    )
    turned = layout(np.ascontiguousarray(logits.transpose(1, 0, 2))).transpose(1, 0, 2)
    assert lm.evaluate(turned, labels) == lm.evaluate(logits, labels)


@each_layout
def test_data_of_any_layout(layout: Any) -> None:
    assert lm.evaluate(LOGITS, **{name: layout(array) for name, array in DATA.items()}) == PLAIN


@pytest.mark.parametrize("kind", ["fixed", "list"])
def test_misaligned_arrow_buffers(kind: str) -> None:
    values = pa.Array.from_buffers(
        pa.float32(), N * V, [None, pa.py_buffer(b"\0\0\0" + LOGITS.tobytes()).slice(3)]
    )
    offsets = pa.array(np.arange(N + 1, dtype=np.int32) * V)
    logits = (
        pa.FixedSizeListArray.from_arrays(values, V)
        if kind == "fixed"
        else pa.ListArray.from_arrays(offsets, values)
    )
    labels = pa.Array.from_buffers(
        pa.int64(), N, [None, pa.py_buffer(b"\0" + LABELS.astype(np.int64).tobytes()).slice(1)]
    )
    table = pa.table({"logits": logits, **DATA, "labels": labels})
    assert lm.evaluate(table) == PLAIN
    assert lm.evaluate(table.to_reader(2)) == PLAIN


# ---- size ----------------------------------------------------------------------------------------

ROWS, WIDE = 2**14, 2**17 + 64
LAST = 3


def large() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Over 2^31 logits, of which only the last rows take memory: the rest is never touched."""
    logits = np.zeros((ROWS, WIDE), np.float16)
    assert logits.size > 2**31
    logits[-LAST:] = np.random.default_rng(1).normal(size=(LAST, WIDE))
    return logits, np.arange(ROWS), np.arange(ROWS) >= ROWS - LAST


def test_more_than_2_31_elements() -> None:
    logits, labels, mask = large()
    rest = lm.evaluate(logits[-LAST:].copy(), labels[-LAST:])
    found = lm.evaluate(logits, labels, mask=mask)
    assert (found.loss, found.accuracy, found.num_tokens) == (rest.loss, rest.accuracy, LAST)
    ids, best = lm.top_k(logits, 1, mask=mask)[::-1]
    assert np.array_equal(ids[-LAST:, 0], logits[-LAST:].argmax(1))
    assert np.isnan(best[:-LAST]).all()
    positions = lm.token_scores(logits, labels, mask=mask).read_all()["position"]
    assert positions.to_pylist() == list(range(ROWS - LAST, ROWS))


def test_more_than_2_31_elements_of_arrow() -> None:
    logits, labels, mask = large()
    rest = lm.evaluate(logits[-LAST:].copy(), labels[-LAST:])
    values = pa.Array.from_buffers(pa.float16(), logits.size, [None, pa.py_buffer(logits)])
    offsets = pa.array(np.arange(ROWS + 1, dtype=np.int64) * WIDE)
    lists = pa.LargeListArray.from_arrays(offsets, values)
    for column_of in (lists, pa.FixedSizeListArray.from_arrays(values, WIDE)):
        table = pa.table({"logits": column_of, "labels": labels, "mask": mask})
        for thing in (table, table.to_reader(1000)):
            found = lm.evaluate(thing)
            assert (found.loss, found.num_tokens) == (rest.loss, LAST)


# ---- nothing -------------------------------------------------------------------------------------


def nothing(report: lm.Report) -> None:
    assert report.num_tokens == 0
    assert math.isnan(report.loss)
    assert math.isnan(report.perplexity)
    assert math.isnan(report.accuracy)
    assert "empty" in report.flags


@each_way
def test_zero_rows(way: str, tmp_path: Path) -> None:
    none = {name: array[:0] for name, array in DATA.items()}
    with pytest.warns(NothingCountedWarning):
        nothing(evaluate(way, tmp_path, LOGITS[:0], **none))
    with (
        pytest.warns(NothingCountedWarning),
        pytest.raises(LabelError, match="nothing counted") as caught,
    ):
        evaluate(way, tmp_path, LOGITS[:0], **none, on_empty="raise")
    assert caught.value.partial is not None


@each_way
@pytest.mark.parametrize("data", [{"mask": np.zeros(N, bool)}, {"labels": np.full(N, -100)}])
def test_everything_masked(way: str, data: dict[str, Any], tmp_path: Path) -> None:
    with pytest.warns(NothingCountedWarning):
        nothing(evaluate(way, tmp_path, **data))
    with (
        pytest.warns(NothingCountedWarning),
        pytest.raises(LabelError, match="nothing counted") as caught,
    ):
        evaluate(way, tmp_path, **data, on_empty="raise")
    nothing(caught.value.partial)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 3, V), (2, 0, V), (0, 0, V)])
def test_cubes_without_rows(shape: tuple[int, ...]) -> None:
    with pytest.warns(NothingCountedWarning):
        nothing(lm.evaluate(np.zeros(shape, np.float32), np.zeros(shape[:-1], int)))
    assert lm.log_softmax(np.zeros(shape, np.float32)).shape == shape


def test_empty_batches_between_others() -> None:
    table = pa.table({"logits": fixed(LOGITS), **DATA})
    pieces = [table.slice(i, n) for i, n in ((0, 0), (0, 2), (2, 0), (2, 4), (6, 0))]
    batches = [batch for piece in pieces for batch in piece.to_batches() or [empty_batch(table)]]
    reader = pa.RecordBatchReader.from_batches(table.schema, batches)
    assert lm.evaluate(reader) == PLAIN


def empty_batch(table: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=table.schema)


# ---- rows that do not count ----------------------------------------------------------------------

GARBAGE = [math.nan, math.inf, -math.inf, 3e38, math.nan]


@each_way
@pytest.mark.parametrize("at", [0, 2, N - 1])
def test_rows_that_do_not_count_hold_anything(way: str, at: int, tmp_path: Path) -> None:
    mask = np.arange(N) != at
    logits, labels, weight = LOGITS.copy(), LABELS.copy(), WEIGHT.copy()
    logits[at], labels[at], weight[at] = GARBAGE, 10**9, -math.inf
    given = {"mask": mask, "sequence_id": IDS}
    found = evaluate(way, tmp_path, logits, labels=labels, weight=weight, **given)
    assert found == lm.evaluate(LOGITS, LABELS, weight=WEIGHT, **given)


@each_arrow_way
@pytest.mark.parametrize("at", [0, 2, N - 1])
def test_rows_that_do_not_count_may_be_null(way: str, at: int, tmp_path: Path) -> None:
    null = np.arange(N) == at
    rows = [None if null[i] else row for i, row in enumerate(LOGITS.tolist())]
    columns = {name: pa.array(DATA[name], mask=null) for name in ("labels", "weight")}
    table = pa.table({"logits": column(way, rows), **columns, "mask": ~null})
    found = lm.evaluate(source(way, tmp_path, table))
    assert found == lm.evaluate(LOGITS, LABELS, weight=WEIGHT, mask=~null)


@each_way
def test_ignored_labels_and_weights_of_0_are_not_read(way: str, tmp_path: Path) -> None:
    logits = LOGITS.copy()
    logits[1] = logits[4] = GARBAGE
    labels, weight = LABELS.copy(), WEIGHT.copy()
    labels[1], weight[4] = -100, 0.0
    found = evaluate(way, tmp_path, logits, labels=labels, weight=weight)
    assert found == lm.evaluate(LOGITS, labels, weight=weight)
