"""Labels, masks, weights and ids that cannot be used: what, where, expected and got, every way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import DTypeError, LabelError, SequenceError, SettingsError, ShapeError
from ways import (
    ARROW_WAYS,
    LABELS,
    LOGITS,
    N,
    V,
    column,
    each_arrow_way,
    each_way,
    evaluate,
    said,
    source,
)

if TYPE_CHECKING:
    from pathlib import Path


def changed(position: int, value: Any, like: Any = LABELS) -> Any:
    """Give labels (or another column) with one other value; null needs Arrow."""
    values = [*like.tolist()]
    values[position] = value
    return pa.array(values) if value is None else np.array(values, dtype=like.dtype)


# ---- labels --------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("label", [V, 2**31, 2**40])
def test_a_label_out_of_range(way: str, label: int, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=f"label {label} at position 3") as caught:
        evaluate(way, tmp_path, labels=changed(3, label))
    said(caught.value, position=3, expected=f"0 to {V - 1}", got=str(label))


@each_way
def test_a_negative_label_that_is_not_ignored(way: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="pass ignore_index=-1") as caught:
        evaluate(way, tmp_path, labels=changed(4, -1))
    said(caught.value, position=4, expected="0 to 4", got="-1")
    assert evaluate(way, tmp_path, labels=changed(4, -1), ignore_index=-1).num_tokens == N - 1


@each_way
def test_an_unsigned_label_that_was_negative_once(way: str, tmp_path: Path) -> None:
    labels = changed(2, 2**64 - 100, LABELS.astype(np.uint64))
    with pytest.raises(LabelError, match=r"it is 2\^64-100: a negative label was cast") as caught:
        evaluate(way, tmp_path, labels=labels)
    said(caught.value, position=2, expected="0 to 4", got=str(2**64 - 100))


@each_way
def test_null_labels_are_ignored_only_if_asked(way: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match='null_labels="ignore"') as caught:
        evaluate(way, tmp_path, labels=changed(1, None))
    said(caught.value, position=1, expected="a token id", got="null")


@each_arrow_way
def test_null_labels_that_are_ignored(way: str) -> None:
    table = pa.table({"logits": column(way, LOGITS), "labels": changed(1, None)})
    found = lm.evaluate(lm.scan(table, null_labels="ignore"))
    assert found == lm.evaluate(LOGITS, changed(1, -100))


@each_way
@pytest.mark.parametrize("kind", ["float32", "bool"])
def test_labels_of_another_type(way: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match=r"labels.*integers") as caught:
        evaluate(way, tmp_path, labels=LABELS.astype(kind))
    assert caught.value.expected == "integers"
    assert {"bool": "bool", "float32": "float"}[kind] in str(caught.value.got).lower()


def test_under_shift_the_row_is_the_one_before() -> None:
    with pytest.raises(LabelError) as caught:
        lm.evaluate(LOGITS, changed(3, 9), shift=True)
    assert (caught.value.position, caught.value.row) == (3, 2)


# ---- masks ---------------------------------------------------------------------------------------

MASK = np.array([1, 1, 0, 0, 1, 1])


@each_way
@pytest.mark.parametrize("value", [2, -1])
def test_a_mask_of_other_values(way: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=f"mask is {value} at position 2") as caught:
        evaluate(way, tmp_path, mask=changed(2, value, MASK))
    said(caught.value, position=2, expected="1 or 0", got=str(value))


@each_way
def test_a_null_in_the_mask(way: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="mask is null at position 3") as caught:
        evaluate(way, tmp_path, mask=changed(3, None, MASK))
    said(caught.value, position=3, expected="1 or 0", got="null")


@each_way
@pytest.mark.parametrize("kind", ["float64", "str"])
def test_a_mask_of_another_type(way: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match=r"mask.*integers 0 and 1") as caught:
        evaluate(way, tmp_path, mask=MASK.astype(kind))
    assert "integers 0 and 1" in str(caught.value.expected)
    assert caught.value.got


@pytest.mark.parametrize("way", ["arrays", "table"])
@pytest.mark.parametrize("shape", [(N - 1,), (N + 1,), (0,), (2, 3), ()])
def test_a_mask_of_another_shape(way: str, shape: tuple[int, ...]) -> None:
    table = pa.table({"logits": column(way, LOGITS), "labels": LABELS})
    logits = LOGITS if way == "arrays" else table
    labels = LABELS if way == "arrays" else None
    with pytest.raises(ShapeError, match="mask has shape") as caught:
        lm.evaluate(logits, labels, mask=np.ones(shape, bool))
    assert (caught.value.expected, caught.value.got) == (f"[{N}]", str(list(shape)))


@pytest.mark.parametrize("way", ["reader", "file", "stream"])
@pytest.mark.parametrize("rows", [N - 1, N + 1])
def test_a_mask_of_another_length_beside_a_stream(way: str, rows: int, tmp_path: Path) -> None:
    table = pa.table({"logits": column(way, LOGITS), "labels": LABELS})
    with pytest.raises(ShapeError, match="they need as many rows") as caught:
        lm.evaluate(source(way, tmp_path, table), mask=np.ones(rows, bool))
    assert caught.value.expected == f"more than {min(rows, N)} rows"
    assert caught.value.got == str(min(rows, N))


# ---- weights -------------------------------------------------------------------------------------

WEIGHT = np.ones(N)


@each_way
@pytest.mark.parametrize(
    ("weight", "got"), [(-0.5, "-0.5"), (np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")]
)
def test_a_weight_that_is_none(way: str, weight: float, got: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=f"weight is {got} at position 5") as caught:
        evaluate(way, tmp_path, weight=changed(5, weight, WEIGHT))
    said(caught.value, position=5, expected="a finite number >= 0", got=got)


@each_way
def test_a_null_weight(way: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"weight is .* at position 5") as caught:
        evaluate(way, tmp_path, weight=changed(5, None, WEIGHT))
    assert caught.value.position == 5


@pytest.mark.parametrize("way", ["arrays", "table"])
def test_weights_of_the_vocabulary_s_length(way: str) -> None:
    table = pa.table({"logits": column(way, LOGITS), "labels": LABELS})
    given = (LOGITS, LABELS) if way == "arrays" else (table,)
    with pytest.raises(ShapeError, match="per position, not per class") as caught:
        lm.evaluate(*given, weight=np.ones(V))
    assert (caught.value.expected, caught.value.got) == (f"[{N}]", f"[{V}]")


# ---- ids -----------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("ids", [[1, 1, 2, 2, 1, 1], ["a", "a", "bb", "bb", "a", "a"]])
def test_an_id_that_comes_back(way: str, ids: list[Any], tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match=f"{ids[0]}.* comes back at position 4") as caught:
        evaluate(way, tmp_path, sequence_id=np.array(ids))
    said(caught.value, position=4, expected="an id not seen before", got=str(ids[0]))


@each_way
def test_a_null_id(way: str, tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="null at position 2") as caught:
        evaluate(way, tmp_path, sequence_id=changed(2, None))
    said(caught.value, position=2, expected="an integer or a string", got="null")


def test_an_id_comes_back_over_updates_until_the_last_one() -> None:
    meter, ids = lm.Meter(), np.arange(N)
    meter.update(LOGITS, LABELS, sequence_id=ids, final=False)
    with pytest.raises(SequenceError, match="comes back"):
        meter.update(LOGITS, LABELS, sequence_id=ids[::-1], final=False)
    meter.update(LOGITS, LABELS, sequence_id=ids + N)
    assert meter.update(LOGITS, LABELS, sequence_id=ids).compute().num_sequences == 3 * N


def test_ids_are_compared_within_one_file(tmp_path: Path) -> None:

    table = pa.table({"logits": column("table", LOGITS), "labels": LABELS, "sequence_id": LABELS})
    paths = [tmp_path / "0.arrow", tmp_path / "1.arrow"]
    for path in paths:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table.slice(0, N - 1))
    assert lm.evaluate(paths).num_sequences == 2 * (N - 1)
    with pytest.raises(SequenceError, match="comes back at position 5") as caught:
        lm.evaluate(lm.scan(paths, join_files=True))
    assert caught.value.position == N - 1


# ---- columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ARROW_WAYS)
@pytest.mark.parametrize("part", ["labels", "mask", "weight", "sequence_id"])
def test_a_missing_column_is_named_with_those_present(way: str, part: str, tmp_path: Path) -> None:
    table = pa.table({"logits": column(way, LOGITS), "labels": LABELS, "note": LABELS})
    with pytest.raises(SettingsError, match=r"'nowhere'.*logits, labels, note") as caught:
        lm.evaluate(lm.scan(source(way, tmp_path, table), columns={part: "nowhere"}))
    assert caught.value.expected == "nowhere"
    assert str(caught.value.got).startswith("logits, labels, note")


@each_arrow_way
def test_no_column_of_logits_or_labels(way: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no column 'logits'.*the source has: labels"):
        lm.evaluate(source(way, tmp_path, pa.table({"labels": LABELS})))
    (tmp_path / "again").mkdir()
    table = pa.table({"logits": column(way, LOGITS), "note": LABELS})
    with pytest.raises(SettingsError, match="the source has: logits, note"):
        lm.evaluate(source(way, tmp_path / "again", table))


# ---- which comes first ---------------------------------------------------------------------------


@each_way
def test_the_smallest_position_wins_and_at_one_position_the_order_of_the_law(
    way: str, tmp_path: Path
) -> None:
    wrong: dict[str, Any] = {
        "mask": pa.array([True, True, True, None, True, True]),
        "sequence_id": pa.array([0, 0, 0, None, 3, 3]),
        "labels": changed(3, 9),
        "weight": changed(3, -1.0, WEIGHT),
    }
    logits = LOGITS.copy()
    logits[3] = np.nan
    for part, error in {
        "mask": "mask is null at position 3",
        "sequence_id": "sequence_id is null at position 3",
        "labels": "label 9 at position 3",
        "weight": "weight is -1 at position 3",
    }.items():
        with pytest.raises(LabelError, match=error):
            evaluate(way, tmp_path, logits, **wrong)
        del wrong[part]
    with pytest.raises(lm.exceptions.NonFiniteError, match="position 3"):
        evaluate(way, tmp_path, logits, **wrong)
    earlier = {"weight": changed(2, -1.0, WEIGHT), "labels": changed(3, 9)}
    with pytest.raises(LabelError, match="weight is -1 at position 2"):
        evaluate(way, tmp_path, logits, **earlier)


@each_way
def test_labels_are_checked_before_logits_where_they_lie_apart(way: str, tmp_path: Path) -> None:
    logits = LOGITS.copy()
    logits[1] = np.nan
    apart = way in {"arrays", "table", "file"}
    with pytest.raises(LabelError if apart else lm.exceptions.NonFiniteError) as caught:
        evaluate(way, tmp_path, logits, labels=changed(4, 9))
    assert caught.value.position == (4 if apart else 1)
