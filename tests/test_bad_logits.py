"""Logits that cannot be scored: what, where, expected and got, by every way in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import CorruptInputError, DTypeError, NonFiniteError, ShapeError
from ways import (
    LABELS,
    LOGITS,
    N,
    V,
    column,
    each_arrow_way,
    each_way,
    evaluate,
    fixed,
    said,
    source,
)

if TYPE_CHECKING:
    from pathlib import Path

AT = 3
REST = np.arange(N) != AT


def holding(value: float, columns: Any = 1) -> Any:
    logits = LOGITS.copy()
    logits[AT, columns] = value
    return logits


NONFINITE = pytest.mark.parametrize(
    ("logits", "got", "counter"),
    [
        (holding(np.nan), "NaN", "num_nan_rows"),
        (holding(np.inf), "+inf", "num_posinf_rows"),
        (holding(-np.inf, slice(None)), "-inf in every", "num_empty_rows"),
    ],
    ids=["nan", "inf", "all -inf"],
)

# ---- not finite ----------------------------------------------------------------------------------


@each_way
@NONFINITE
def test_nonfinite_rows_raise(
    way: str, logits: Any, got: str, counter: str, tmp_path: Path
) -> None:
    del counter
    with pytest.raises(NonFiniteError, match=r'row 3 .*nonfinite="omit"') as caught:
        evaluate(way, tmp_path, logits)
    said(caught.value, position=AT, expected="finite logits or -inf", got=got)
    before, partial = lm.evaluate(LOGITS[:AT], LABELS[:AT]), caught.value.partial
    assert partial is not None
    assert (partial.loss, partial.num_tokens) == (before.loss, AT)


@each_way
@NONFINITE
def test_nonfinite_rows_are_omitted_and_counted(
    way: str, logits: Any, got: str, counter: str, tmp_path: Path
) -> None:
    del got
    found = evaluate(way, tmp_path, logits, nonfinite="omit")
    rest = lm.evaluate(LOGITS[REST], LABELS[REST])
    assert (found.loss, found.accuracy) == (rest.loss, rest.accuracy)
    assert (found.num_tokens, found.num_invalid, getattr(found, counter)) == (N - 1, 1, 1)


@each_way
@NONFINITE
def test_nonfinite_rows_propagate(
    way: str, logits: Any, got: str, counter: str, tmp_path: Path
) -> None:
    del got
    found = evaluate(way, tmp_path, logits, nonfinite="propagate")
    assert math.isnan(found.loss)
    assert math.isnan(found.perplexity)
    assert (found.num_tokens, found.num_invalid, getattr(found, counter)) == (N, 1, 1)


@each_way
def test_a_label_of_no_probability_is_a_loss_of_inf_and_no_error(way: str, tmp_path: Path) -> None:
    found = evaluate(way, tmp_path, holding(-np.inf, LABELS[AT]))
    assert found.loss == math.inf
    assert found.num_neginf_labels == 1


def test_under_shift_the_row_is_named_beside_the_label() -> None:
    with pytest.raises(NonFiniteError, match=r"row 3 .* position 4 counts") as caught:
        lm.evaluate(holding(np.nan), LABELS, shift=True)
    assert (caught.value.position, caught.value.row) == (AT + 1, AT)


# ---- null ----------------------------------------------------------------------------------------

NULL_ROW: list[Any] = [None if row == AT else LOGITS[row].tolist() for row in range(N)]
NULL_ENTRY: list[Any] = LOGITS.tolist()
NULL_ENTRY[AT] = [*NULL_ENTRY[AT][:-1], None]


@each_arrow_way
@pytest.mark.parametrize("rows", [NULL_ROW, NULL_ENTRY], ids=["row", "entry"])
@pytest.mark.parametrize("nonfinite", ["raise", "omit", "propagate"])
def test_null_logits_are_never_scored(
    way: str, rows: list[Any], nonfinite: str, tmp_path: Path
) -> None:
    with pytest.raises(NonFiniteError, match="nulls are never scored") as caught:
        evaluate(way, tmp_path, rows, nonfinite=nonfinite)
    said(caught.value, position=AT, expected="finite logits", got="null")


@each_arrow_way
@pytest.mark.parametrize("rows", [NULL_ROW, NULL_ENTRY], ids=["row", "entry"])
def test_null_logits_that_do_not_count_are_fine(way: str, rows: list[Any], tmp_path: Path) -> None:
    found = evaluate(way, tmp_path, rows, mask=REST)
    assert found.loss == lm.evaluate(LOGITS, LABELS, mask=REST).loss


@each_arrow_way
def test_a_null_entry_that_the_vocabulary_leaves_out_is_unseen(way: str, tmp_path: Path) -> None:
    labels = LABELS % (V - 1)
    found = evaluate(way, tmp_path, NULL_ENTRY, labels=labels, valid_vocab=V - 1)
    assert found.loss == lm.evaluate(LOGITS, labels, valid_vocab=V - 1).loss


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32())])
def test_null_lists_that_take_no_room(kind: pa.DataType) -> None:
    table = pa.table({"logits": pa.array(NULL_ROW, kind), "labels": LABELS, "mask": REST})
    assert len(table["logits"].chunk(0).values) == (N - 1) * V
    assert lm.evaluate(table).loss == lm.evaluate(LOGITS, LABELS, mask=REST).loss


def test_a_first_batch_of_null_lists_that_do_not_count() -> None:
    kind = pa.list_(pa.float32())
    batches = [
        pa.record_batch({"logits": pa.array(rows, kind), "labels": labels})
        for rows, labels in (([None, None], np.array([-100, -100])), (LOGITS.tolist(), LABELS))
    ]
    assert lm.evaluate(pa.Table.from_batches(batches)).loss == lm.evaluate(LOGITS, LABELS).loss


def test_null_lists_alone_that_count() -> None:
    logits = pa.array([None, None], pa.list_(pa.float32()))
    with pytest.raises(NonFiniteError):
        lm.evaluate(pa.table({"logits": logits, "labels": [0, 0]}))


# ---- shapes --------------------------------------------------------------------------------------


def empty_vocabulary(way: str) -> pa.Array:
    kinds = {"lists": pa.list_(pa.float32()), "large lists": pa.large_list(pa.float32())}
    return pa.array([[]] * N, kinds.get(way, pa.list_(pa.float32(), 0)))


@each_arrow_way
def test_an_empty_vocabulary(way: str, tmp_path: Path) -> None:
    table = pa.table({"logits": empty_vocabulary(way), "labels": LABELS})
    with pytest.raises(ShapeError, match="vocabulary") as caught:
        lm.evaluate(source(way, tmp_path, table))
    assert caught.value.expected == "at least one logit a row"
    assert caught.value.got == "0"


@pytest.mark.parametrize("shape", [(N, 0), (2, 3, 0), (0, 0)])
def test_an_array_without_a_vocabulary(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"vocabulary.*cannot be that") as caught:
        lm.evaluate(np.zeros(shape, np.float32), np.zeros(shape[:-1], int))
    assert caught.value.expected == "1 to 2147483647"
    assert caught.value.got == "0"


def test_opaque_bytes_of_no_width() -> None:
    table = pa.table({"logits": pa.array([b""] * N, pa.binary(0)), "labels": LABELS})
    with pytest.raises(ShapeError, match="vocabulary"):
        lm.evaluate(lm.scan(table, dtype="bf16"))


def test_opaque_bytes_that_are_no_whole_number_of_logits() -> None:
    table = pa.table({"logits": pa.array([b"abc"] * N, pa.binary(3)), "labels": LABELS})
    with pytest.raises(ShapeError, match="rows of 3 bytes, which is no whole number of bfloat16"):
        lm.evaluate(lm.scan(table, dtype="bf16"))


def test_the_vocabulary_differs_between_files(tmp_path: Path) -> None:
    paths = []
    for vocab in (V, V - 1):
        logits = fixed(LOGITS[:, :vocab], vocab)
        table = pa.table({"logits": logits, "labels": LABELS % vocab})
        paths.append(str(tmp_path / f"{V - vocab}.arrow"))
        with pa.ipc.new_file(paths[-1], table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(ShapeError, match=r"1\.arrow.*'logits' is fixed_size_list") as caught:
        lm.evaluate(paths)
    assert caught.value.path == paths[1]
    assert f"[{V}]" in str(caught.value.expected)
    assert f"[{V - 1}]" in str(caught.value.got)


@each_way
def test_the_vocabulary_differs_between_updates(way: str, tmp_path: Path) -> None:
    meter = lm.Meter().update(LOGITS, LABELS)
    before = meter.to_bytes()
    wide = np.zeros((N, V + 1), np.float32)
    table = pa.table({"logits": column(way, wide, V + 1), "labels": LABELS})
    more = (wide, LABELS) if way == "arrays" else (source(way, tmp_path, table),)
    with pytest.raises(ShapeError, match=f"rows of {V + 1} logits follow rows of {V}") as caught:
        meter.update(*more)
    assert (caught.value.expected, caught.value.got) == (str(V), str(V + 1))
    assert meter.to_bytes() == before


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32())])
@pytest.mark.parametrize("length", [V - 1, V + 1, 0])
@pytest.mark.parametrize("way", ["table", "reader", "file", "stream"])
def test_lists_of_varying_length(way: str, kind: pa.DataType, length: int, tmp_path: Path) -> None:
    rows = LOGITS.tolist()
    rows[2] = [0.0] * length
    table = pa.table({"logits": pa.array(rows, kind), "labels": LABELS})
    with pytest.raises(ShapeError, match=r"varying length.* row 2 of the batch") as caught:
        lm.evaluate(source(way, tmp_path, table))
    assert str(V) in str(caught.value.expected)
    assert caught.value.got == str(length)


def test_the_row_of_another_length_is_named_after_null_lists() -> None:
    rows = [None, *LOGITS[1:].tolist()]
    rows[2] = [0.0]
    table = pa.table({"logits": pa.array(rows, pa.list_(pa.float32())), "labels": LABELS})
    with pytest.raises(ShapeError, match="row 2 of the batch"):
        lm.evaluate(table)


@pytest.mark.parametrize("length", [V - 1, V + 1])
def test_a_batch_of_another_length(length: int) -> None:
    kind = pa.list_(pa.float32())
    one = pa.table({"logits": pa.array(LOGITS.tolist(), kind), "labels": LABELS})
    other = pa.table({"logits": pa.array([[0.0] * length], kind), "labels": [0]})
    with pytest.raises(ShapeError, match="one vocabulary") as caught:
        lm.evaluate(pa.concat_tables([one, other]))
    assert (caught.value.expected, caught.value.got) == (str(V), str(length))


@pytest.mark.parametrize("values", [[], [0.0] * 3 * V])
def test_a_batch_of_empty_lists_after_others(values: list[float]) -> None:
    kind = pa.list_(pa.float32())
    offsets = pa.array([0, 0, 0], pa.int32())
    empty = pa.ListArray.from_arrays(offsets, pa.array(values, pa.float32()))
    one = pa.table({"logits": pa.array(LOGITS.tolist(), kind), "labels": LABELS})
    other = pa.table({"logits": empty, "labels": [0, 0]})
    with pytest.raises(ShapeError, match="one vocabulary") as caught:
        lm.evaluate(pa.concat_tables([one, other]))
    assert caught.value.got == "0"


def test_a_vocabulary_in_the_middle() -> None:
    with pytest.raises(ShapeError, match=r"\[B, V, T\], pass logits\.transpose") as caught:
        lm.evaluate(np.zeros((2, V, 3), np.float32), np.zeros((2, 3), int))
    assert (caught.value.expected, caught.value.got) == (f"[2, {V}]", "[2, 3]")


@pytest.mark.parametrize("part", ["labels", "mask", "weight"])
def test_sequences_of_logits_need_sequences_of_labels(part: str) -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, V, 3), np.float32))
    columns = {"logits": tensors, "labels": [[0] * V] * 2, part: [0, 0]}
    with pytest.raises(ShapeError, match=f"column '{part}' is int64, one value a row") as caught:
        lm.evaluate(pa.table(columns))
    assert (caught.value.expected, caught.value.got) == ("lists", "int64")


def test_tensors_of_three_axes_are_no_logits() -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, 2, V, 3), np.float32))
    with pytest.raises(ShapeError, match="one row a position") as caught:
        lm.evaluate(pa.table({"logits": tensors, "labels": [0, 0]}))
    assert (caught.value.expected, caught.value.got) == ("[V]", f"[2,{V},3]")


def test_lists_of_lists_of_lists_are_no_logits() -> None:
    deep = pa.array([[LOGITS[:3].tolist()]], pa.list_(pa.list_(pa.list_(pa.float32()))))
    with pytest.raises(ShapeError, match="one row a position is expected"):
        lm.evaluate(pa.table({"logits": deep, "labels": [[0, 0, 0]]}))


# ---- types ---------------------------------------------------------------------------------------


@each_arrow_way
@pytest.mark.parametrize("kind", [pa.uint16(), pa.int16()])
def test_16_bit_integers_of_unknown_element_type(
    way: str, kind: pa.DataType, tmp_path: Path
) -> None:
    bits = column(way, np.zeros((N, V), np.float32))
    lists = bits.cast(
        pa.list_(kind, V) if pa.types.is_fixed_size_list(bits.type) else pa.list_(kind)
    )
    table = pa.table({"logits": lists, "labels": LABELS})
    with pytest.raises(DTypeError, match='dtype="bfloat16"') as caught:
        lm.evaluate(source(way, tmp_path, table))
    assert caught.value.expected == "a stated dtype"
    assert str(kind) in str(caught.value.got).lower()


@pytest.mark.parametrize("kind", [pa.int32(), pa.string(), pa.bool_(), pa.decimal128(9, 2)])
@pytest.mark.parametrize("size", [-1, V])
def test_other_element_types_are_named(kind: pa.DataType, size: int) -> None:
    value = "x" if pa.types.is_string(kind) else None
    table = pa.table(
        {"logits": pa.array([[value] * V] * N, pa.list_(kind, size)), "labels": LABELS}
    )
    with pytest.raises(DTypeError, match=r"column \"logits\" has type") as caught:
        lm.evaluate(table)
    assert "float16" in str(caught.value.expected)
    assert caught.value.got


def test_check_names_logits_that_are_no_lists() -> None:
    with pytest.raises(DTypeError, match="'logits' has type float, which does not say") as caught:
        lm.check(pa.table({"logits": pa.array([0.5], pa.float32()), "labels": [0]}))
    assert (caught.value.expected, caught.value.got) == ("lists of logits", "float")


# ---- Arrow data that points nowhere --------------------------------------------------------------


@pytest.mark.parametrize("index", [2, 7, -1])
@pytest.mark.parametrize("where", ["column", "array", "group"])
def test_an_index_beyond_its_dictionary(index: int, where: str) -> None:
    indices = pa.array([0, 0, 0, 1, 1, index])
    ids = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False)
    table = pa.table({"logits": fixed(LOGITS), "labels": LABELS, "ids": ids})
    given: dict[str, Any] = {"array": {"sequence_id": ids}, "group": {"by": "ids"}}.get(
        where, {"sequence_id": "ids"}
    )
    with pytest.raises(CorruptInputError, match=f"out of bounds: {index}") as caught:
        lm.evaluate(table, **given)
    assert caught.value.expected == "valid Arrow data"


@pytest.mark.parametrize("given", [{"by": "text"}, {"sequence_id": "text"}])
def test_text_that_is_not_unicode(given: dict[str, Any]) -> None:
    offsets = pa.py_buffer(np.arange(N + 1, dtype=np.int32))
    text = pa.StringArray.from_buffers(N, offsets, pa.py_buffer(b"aa\xff\xfebb"))
    table = pa.table({"logits": fixed(LOGITS), "labels": LABELS, "text": text})
    with pytest.raises(CorruptInputError, match="UTF8"):
        lm.evaluate(table, **given)
