"""Inputs in memory become Arrow streams: values, sequences, and where nothing may be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import logitmeter as lm
import ml_dtypes
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
from logitmeter.exceptions import DTypeError, SettingsError, ShapeError
from logitmeter.sources import Data, Source, scan
from logitmeter.sources.base import SCOPE
from logitmeter.sources.dtypes import element_name
from logitmeter.sources.memory_numpy import COPIED_BYTES, Dense

if TYPE_CHECKING:
    from logitmeter.sources.feed import Feed

N, B, T, V = 6, 2, 4, 5
FLAT = np.arange(N * V, dtype=np.float32).reshape(N, V)
DEEP = np.arange(B * T * V, dtype=np.float32).reshape(B, T, V)


def feed(thing: Any, labels: Any = None, *, shift: bool = False, **data: Any) -> Feed:
    source = thing if isinstance(thing, Source) else scan(thing)
    return source.feed(Data(labels, **data), shift=shift)


def table(source: Any, labels: Any = None, **data: Any) -> pa.Table:
    return feed(source, labels, **data).batches().read_all()


def rows(found: pa.Table, column: str = "logits") -> np.ndarray[Any, Any]:
    return np.array(found[column].to_pylist())


def addresses(source: Any) -> list[int]:
    batches = feed(source).batches()
    return [batch.column("logits").values.buffers()[1].address for batch in batches]


# ---- NumPy: what is handed over as it lies -------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_contiguous_rows_are_one_batch_without_a_copy(dtype: str) -> None:
    logits = FLAT.astype(dtype)
    assert addresses(logits) == [logits.ctypes.data]
    assert np.array_equal(rows(table(logits)), logits)


def test_all_of_a_contiguous_cube_is_one_batch_without_a_copy() -> None:
    assert addresses(DEEP) == [DEEP.ctypes.data]
    found = table(DEEP)
    assert found[SCOPE].to_pylist() == [0] * T + [1] * T
    assert np.array_equal(rows(found), DEEP.reshape(-1, V))


def test_a_view_without_the_last_position_is_a_batch_a_sequence_without_a_copy() -> None:
    view = DEEP[:, :-1]
    assert addresses(view) == [view[0].ctypes.data, view[1].ctypes.data]
    assert table(view)[SCOPE].to_pylist() == [0] * (T - 1) + [1] * (T - 1)


def test_a_read_only_array_is_not_copied() -> None:
    logits = FLAT.copy()
    logits.flags.writeable = False
    assert addresses(logits) == [logits.ctypes.data]


def test_a_misaligned_array_is_handed_over_as_it_lies() -> None:
    logits = np.frombuffer(b"\0" + FLAT.tobytes(), np.float32, offset=1).reshape(N, V)
    assert not logits.flags.aligned
    assert addresses(logits) == [logits.ctypes.data]
    assert np.array_equal(rows(table(logits)), FLAT)


def test_bfloat16_travels_as_its_bits() -> None:
    logits = FLAT.astype(ml_dtypes.bfloat16)
    found = feed(logits)
    assert found.dtype == "bfloat16"
    assert addresses(logits) == [logits.ctypes.data]
    assert np.array_equal(rows(found.batches().read_all()), logits.view(np.uint16))


def test_more_than_2_31_elements_need_no_copy() -> None:
    logits = np.broadcast_to(np.float16(0), (2**12, 2**19 + 1))
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float16), (2**12, 2**19 + 1), (0, 0))
    assert logits.size > 2**31
    assert feed(huge).num_rows == 2**12


@pytest.mark.parametrize(
    "view",
    [
        DEEP[::-1],
        DEEP[:, ::2],
        DEEP[:, :, :3],
        DEEP[:, :, ::-1],
        np.asfortranarray(DEEP),
        DEEP.astype(">f4"),
        DEEP.transpose(1, 0, 2),
        FLAT[::2],
        FLAT[:, :3],
        FLAT.astype(">f8"),
        np.asfortranarray(FLAT),
        FLAT.astype(ml_dtypes.bfloat16)[:, ::2].astype(np.float32),
    ],
)
def test_every_layout_gives_the_same_values(view: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(rows(table(view)), view.reshape(-1, view.shape[-1]))


def test_bfloat16_that_is_not_contiguous_keeps_its_bits() -> None:
    view = FLAT.astype(ml_dtypes.bfloat16)[:, ::2]
    assert np.array_equal(rows(table(view)), np.ascontiguousarray(view).view(np.uint16))


def test_what_is_copied_is_copied_in_small_blocks_as_it_is_read() -> None:
    logits = np.zeros((40, 2**18), np.float32)[:, : 2**17]
    sizes = [batch.num_rows * 2**17 * 4 for batch in feed(logits).batches()]
    assert sum(sizes) == 40 * 2**17 * 4
    assert max(sizes) <= COPIED_BYTES


@pytest.mark.parametrize("shape", [(0, V), (0, T, V), (B, 0, V)])
def test_zero_rows_are_no_batches(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape[:-1], int)
    assert table(np.zeros(shape, np.float32), labels).num_rows == 0


# ---- NumPy: what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i4", "u1", "c8", "?", "O", "U3"])
def test_other_element_types_are_refused(dtype: str) -> None:
    with pytest.raises(DTypeError, match="cannot be read"):
        scan(np.zeros((N, V)).astype(dtype))


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_16_bit_integers_need_their_element_type_stated(dtype: str) -> None:
    with pytest.raises(DTypeError, match=r'dtype="bf16"'):
        scan(np.zeros((N, V), dtype))
    assert feed(scan(np.zeros((N, V), dtype), dtype="bf16")).dtype == "bfloat16"


def test_a_stated_element_type_must_be_the_array_s() -> None:
    with pytest.raises(DTypeError, match="the logits are float32"):
        scan(FLAT, dtype="float16")
    assert feed(scan(FLAT, dtype=np.float32)).element == "float32"


@pytest.mark.parametrize("shape", [(), (V,), (1, B, T, V)])
def test_shapes_other_than_two_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\[N, V\] or \[B, T, V\]"):
        scan(np.zeros(shape))


def test_an_empty_vocabulary_is_refused() -> None:
    with pytest.raises(ShapeError, match="vocabulary"):
        scan(np.zeros((N, 0)))


MASKED: Any = np.ma.masked_array(np.zeros(N, int))


@pytest.mark.parametrize(
    "data",
    [
        {"thing": np.ma.masked_array(FLAT)},
        {"labels": MASKED},
        {"mask": MASKED},
        {"weight": MASKED},
        {"sequence_id": MASKED},
        {"by": {"group": MASKED}},
    ],
    ids=list,
)
def test_masked_arrays_are_refused_everywhere(data: dict[str, Any]) -> None:
    with pytest.raises(DTypeError, match=r"numpy\.ma"):
        feed(**{"thing": FLAT} | data)


@pytest.mark.parametrize("thing", [3, None, [[0.0, 1.0]], object()])
def test_other_objects_are_refused_with_a_list_of_what_is_read(thing: object) -> None:
    with pytest.raises(DTypeError, match="cannot be read as logits") as caught:
        scan(thing)
    assert "pyarrow" in str(caught.value.expected)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("bf16", "bfloat16"),
        ("BF16", "bfloat16"),
        (ml_dtypes.bfloat16, "bfloat16"),
        (np.float16, "float16"),
        (np.dtype(">f4"), "float32"),
        (float, "float64"),
        ("half", "float16"),
        (None, None),
    ],
)
def test_element_types_are_spelt_as_people_spell_them(given: object, name: str | None) -> None:
    assert element_name(given) == name


def test_lists_are_refused_with_their_cure() -> None:
    with pytest.raises(DTypeError, match=r"np\.asarray"):
        scan([[0.0, 1.0]])


@pytest.mark.parametrize("given", ["int8", "fp8", np.int32, object()])
def test_other_names_are_no_element_types(given: object) -> None:
    with pytest.raises(DTypeError, match="no element type"):
        element_name(given)


# ---- data beside the logits ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_labels_may_be_any_integers(dtype: str) -> None:
    found = table(FLAT, np.arange(N).astype(dtype))
    assert found["labels"].to_pylist() == list(range(N))


def test_labels_need_no_copy() -> None:
    labels = np.arange(N)
    assert table(FLAT, labels)["labels"].chunk(0).buffers()[1].address == labels.ctypes.data


@pytest.mark.parametrize("labels", [np.zeros(N), np.zeros(N, bool), [0.0] * N, ["a"] * N])
def test_labels_must_be_integers(labels: Any) -> None:
    with pytest.raises(DTypeError, match="labels given as"):
        feed(FLAT, labels)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"mask": np.eye(N, dtype=bool)[0]}, [True] + [False] * 5),
        ({"mask": [1, 0, 0, 0, 0, 2]}, [1, 0, 0, 0, 0, 2]),
        ({"weight": np.arange(N, dtype=np.float16)}, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ({"weight": np.ones(N, ml_dtypes.bfloat16)}, [1.0] * N),
        ({"sequence_id": np.array(list("aabbcc"))}, list("aabbcc")),
        ({"sequence_id": list("aabbcc")}, list("aabbcc")),
        ({"sequence_id": pa.array(["a", None] * 3)}, ["a", None] * 3),
        ({"mask": pl.Series([True] * N)}, [True] * N),
    ],
)
def test_data_become_columns(data: dict[str, Any], expected: list[Any]) -> None:
    (name,) = data
    assert table(FLAT, **data)[name].to_pylist() == expected


@pytest.mark.parametrize(
    "data",
    [
        {"mask": np.ones(N)},
        {"weight": np.ones(N, bool)},
        {"sequence_id": np.ones(N)},
        {"sequence_id": np.array([1, "a", 2, 3, 4, 5], object)},
        {"by": {"g": np.ones(N)}},
    ],
)
def test_data_of_another_kind_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(DTypeError):
        feed(FLAT, **data)


def test_lengths_that_differ_are_both_named() -> None:
    with pytest.raises(ShapeError, match=r"labels has shape \[5\].*\[6\].*\[6, 5\]"):
        feed(FLAT, np.arange(5))


def test_labels_of_a_cube_must_be_a_square() -> None:
    with pytest.raises(ShapeError, match=r"\[8\].*\[2, 4\]"):
        feed(DEEP, np.arange(B * T))


def test_a_vocabulary_in_the_middle_is_named_with_its_cure() -> None:
    with pytest.raises(ShapeError, match=r"logits.transpose\(0, 2, 1\)"):
        feed(DEEP.transpose(0, 2, 1), np.zeros((B, T), int))
    with pytest.raises(ShapeError, match=r"logits\.T"):
        feed(FLAT.T, np.zeros(N, int))


def test_weights_per_class_are_named_as_such() -> None:
    with pytest.raises(ShapeError, match="per position, not per class"):
        feed(FLAT, weight=np.ones(V))
    with pytest.raises(ShapeError, match="per position, not per class"):
        feed(TABLE, weight=np.ones(V))


def test_a_cube_is_one_sequence_per_b() -> None:
    found = feed(DEEP, np.zeros((B, T), int))
    assert found.columns["scope"] == found.columns["sequence_id"] == SCOPE
    assert found.shape == (B, T)


def test_ids_of_packed_rows_leave_b_as_the_scope() -> None:
    ids = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    found = feed(DEEP, sequence_id=ids)
    assert found.columns["scope"] == SCOPE
    assert found.columns["sequence_id"] == "sequence_id"
    assert found.batches().read_all()["sequence_id"].to_pylist() == ids.ravel().tolist()


def test_labels_with_one_more_position_are_taken_under_shift() -> None:
    labels = np.arange(B * T).reshape(B, T)
    found = feed(DEEP[:, :-1], labels, shift=True, mask=np.ones((B, T), bool))
    read = found.batches().read_all()
    assert found.shape == (B, T)
    assert [row is None for row in read["logits"].to_pylist()] == [False, False, False, True] * B
    assert read["labels"].to_pylist() == labels.ravel().tolist()
    assert read[SCOPE].to_pylist() == [0] * T + [1] * T
    assert found.columns["row_period"] == found.without_logits().columns["row_period"] == T
    assert (found.num_rows, found.num_logits_rows) == (B * T, B * (T - 1))
    assert found.num_bytes == DEEP[:, :-1].nbytes


def test_logits_for_every_label_have_no_period() -> None:
    found = feed(DEEP, np.zeros((B, T), int), shift=True)
    assert found.columns["row_period"] is None
    assert found.num_logits_rows == B * T


def test_without_shift_one_more_position_is_an_error_that_names_it() -> None:
    with pytest.raises(ShapeError, match="shift=True"):
        feed(DEEP[:, :-1], np.zeros((B, T), int))


def test_groups_are_named_columns() -> None:
    found = feed(FLAT, by={"task": list("aabbcc"), "n": np.arange(N)})
    assert found.columns["by"] == ["task", "n"]
    assert found.batches().read_all()["task"].to_pylist() == list("aabbcc")


def test_one_group_per_b_is_spread_over_its_rows() -> None:
    assert table(DEEP, by={"task": ["x", "y"]})["task"].to_pylist() == ["x"] * T + ["y"] * T


@pytest.mark.parametrize("ids", [["x", "y"], np.array([7, 3])])
def test_one_id_per_b_is_spread_over_its_rows(ids: Any) -> None:
    expected = [ids[0]] * T + [ids[1]] * T
    assert table(DEEP, sequence_id=ids)["sequence_id"].to_pylist() == expected
    labels = np.zeros((B, T), int)
    padded = feed(DEEP[:, :-1], labels, shift=True, sequence_id=ids).batches().read_all()
    assert padded["sequence_id"].to_pylist() == expected


def test_a_group_that_hides_a_column_is_refused() -> None:
    source = pa.table({"logits": FLAT.tolist(), "task": list("aabbcc")})
    with pytest.raises(SettingsError, match="already"):
        feed(source, by={"task": list("aabbcc")})


def test_data_may_be_columns_of_the_source() -> None:
    source = pa.table({"logits": FLAT.tolist(), "y": range(N), "m": [True] * N, "task": ["t"] * N})
    found = feed(scan(source, columns={"labels": "y"}), mask="m", by="task")
    assert (found.columns["labels"], found.columns["mask"]) == ("y", "m")
    assert found.names == {"logits", "y", "m", "task"}


def test_a_missing_column_is_named_with_those_present() -> None:
    source = pa.table({"logits": FLAT.tolist(), "y": range(N)})
    with pytest.raises(SettingsError, match=r"no column 'nope'; the source has: logits, y"):
        feed(source, mask="nope")
    with pytest.raises(SettingsError, match="no column 'logits'"):
        feed(pa.table({"y": range(N)}))
    with pytest.raises(SettingsError, match="none of ours"):
        scan(source, columns={"label": "y"})


def test_label_is_another_name_of_labels_and_none_leaves_a_column_unused() -> None:
    source = pa.table({"logits": FLAT.tolist(), "label": range(N), "mask": [True] * N})
    assert feed(source).columns["labels"] == "label"
    assert feed(scan(source, columns={"mask": None})).columns["mask"] is None


def test_an_array_goes_before_the_column_of_its_name() -> None:
    source = pa.table({"logits": FLAT.tolist(), "labels": range(N)})
    found = feed(source, np.zeros(N, int))
    name = found.columns["labels"]
    assert found.batches().read_all()[name].to_pylist() == [0] * N


def test_labels_are_not_given_twice() -> None:
    with pytest.raises(SettingsError, match="twice"):
        feed(scan(FLAT, labels=np.zeros(N, int)), np.zeros(N, int))


# ---- Arrow ---------------------------------------------------------------------------------------

COLUMN = pa.FixedSizeListArray.from_arrays(pa.array(FLAT.ravel()), V)
TABLE = pa.table({"logits": COLUMN, "labels": pa.array(range(N))})
(BATCH,) = TABLE.to_batches()


@pytest.mark.parametrize(
    "source",
    [
        TABLE,
        BATCH,
        BATCH.to_struct_array(),
        pa.chunked_array([BATCH.to_struct_array()] * 1),
        TABLE.to_reader(),
        pl.from_arrow(TABLE),
        duckdb.from_arrow(TABLE),
        pa.concat_tables([TABLE.slice(0, 2), TABLE.slice(2)]),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_every_arrow_object_gives_the_same_rows(source: Any) -> None:
    found = table(source)
    assert np.array_equal(rows(found), FLAT)
    assert found["labels"].to_pylist() == list(range(N))


@pytest.mark.parametrize(
    "source",
    [COLUMN, pa.chunked_array([COLUMN.slice(0, 2), COLUMN.slice(2)]), pl.Series(COLUMN)],
    ids=lambda thing: type(thing).__name__,
)
def test_a_column_of_logits_takes_labels_beside_it(source: Any) -> None:
    found = table(source, np.arange(N))
    assert np.array_equal(rows(found), FLAT)
    assert found["labels"].to_pylist() == list(range(N))


def test_arrow_logits_are_not_copied() -> None:
    found = feed(TABLE.slice(2)).batches().read_next_batch()["logits"]
    assert found.values.buffers()[1].address == COLUMN.values.buffers()[1].address


def test_arrays_are_cut_where_batches_end() -> None:
    source = pa.concat_tables([TABLE.slice(0, 2), TABLE.slice(2)]).to_reader()
    batches = list(feed(source, mask=np.eye(N, dtype=bool)[3]).batches())
    assert [batch.num_rows for batch in batches] == [2, 4]
    assert batches[1]["mask"].to_pylist() == [False, True, False, False]


@pytest.mark.parametrize("length", [5, 7])
def test_arrays_beside_a_stream_must_be_as_long(length: int) -> None:
    found = feed(TABLE.to_reader(), mask=np.ones(length, bool))
    with pytest.raises(ShapeError, match=f"mask end after 5 rows|end after {N} rows, but mask"):
        found.batches().read_all()
    assert isinstance(found.error, ShapeError)


def test_arrays_of_different_lengths_beside_a_stream_are_refused() -> None:
    with pytest.raises(ShapeError, match="labels 6, mask 5"):
        feed(TABLE.to_reader(), np.zeros(6, int), mask=np.ones(5, bool))


def test_a_reader_is_read_once() -> None:
    reader = TABLE.to_reader()
    assert table(reader).num_rows == N
    with pytest.raises(SettingsError, match="consumed"):
        table(reader)


def test_what_lies_in_memory_is_read_again() -> None:
    source = scan(TABLE)
    assert table(source) == table(source)
    assert feed(source).labels_first
    assert feed(source).without_logits().batches().read_all().column_names == ["labels"]


@pytest.mark.parametrize("kind", ["ipc", "parquet"])
def test_a_dataset_is_read_with_its_partitions_and_filters(kind: str, tmp_path: Any) -> None:
    parts = pa.table(
        {**{name: TABLE[name] for name in TABLE.column_names}, "k": [0, 0, 1, 1, 1, 0]}
    )
    pa.dataset.write_dataset(parts, tmp_path, format=kind, partitioning=["k"])
    whole = pa.dataset.dataset(tmp_path, format=kind, partitioning=["k"])
    found = table(whole, by="k")
    assert found["labels"].to_pylist() == [0, 1, 5, 2, 3, 4]
    assert found["k"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(rows(found), FLAT[[0, 1, 5, 2, 3, 4]])
    source = scan(whole.filter(pa.dataset.field("k") == 1))
    assert table(source) == table(source)
    assert table(source)["labels"].to_pylist() == [2, 3, 4]


def test_a_dataset_is_read_in_batches_sized_by_bytes(tmp_path: Any) -> None:
    wide = np.zeros((64, 2**18), np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(wide.ravel()), wide.shape[1])
    pa.dataset.write_dataset(pa.table({"logits": column}), tmp_path, format="ipc")
    batches = list(feed(pa.dataset.dataset(tmp_path, format="ipc")).batches())
    assert [batch.num_rows for batch in batches] == [16] * 4


def test_a_scanner_names_its_reader() -> None:
    scanner = pa.dataset.dataset(TABLE).scanner()
    with pytest.raises(DTypeError, match="to_reader"):
        scan(scanner)
    assert table(scanner.to_reader()).num_rows == N


def test_metadata_name_the_element_type() -> None:
    bits = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(N * V, np.uint16)), V)
    kind = pa.field("logits", bits.type, metadata={"logitmeter.dtype": "bfloat16"})
    assert feed(pa.table([bits], schema=pa.schema([kind]))).dtype == "bfloat16"
    schema = pa.schema([kind.remove_metadata()], metadata={"logitmeter.dtype": "bf16"})
    assert feed(pa.table([bits], schema=schema)).dtype == "bfloat16"
    assert feed(scan(pa.table({"logits": bits}), dtype="bf16")).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("kind", "vocab"),
    [
        (pa.list_(pa.float32(), V), V),
        (pa.fixed_shape_tensor(pa.float32(), [V]), V),
        (pa.binary(2 * V), None),
        (pa.list_(pa.float32()), None),
    ],
)
def test_the_vocabulary_is_known_by_the_type(kind: pa.DataType, vocab: int | None) -> None:
    schema = pa.schema([("logits", kind)])
    assert feed(schema.empty_table()).stated_vocab == vocab


def test_the_vocabulary_of_opaque_bytes_is_known_by_the_element() -> None:
    source = pa.schema([("logits", pa.binary(2 * V))]).empty_table()
    assert feed(scan(source, dtype="bf16")).stated_vocab == V


def test_a_list_s_vocabulary_is_that_of_its_first_row() -> None:
    source = pa.table({"logits": [None, *FLAT.tolist()]})
    assert feed(source).vocab_size == V
    assert not feed(source).labels_first


def test_two_columns_of_a_name_are_refused() -> None:
    source = pa.table([COLUMN, COLUMN], names=["logits", "logits"])
    with pytest.raises(SettingsError, match="several"):
        table(source)


# ---- the stream itself ---------------------------------------------------------------------------


class Interrupted:
    """An array whose third block is not to be had."""

    shape: tuple[int, ...] = (N, V)
    element = "float32"
    waits = True

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def whole(self) -> None:
        return None

    def parts(self, b: int | None) -> Any:
        assert b is None
        yield FLAT[:2]
        raise self.error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("stop"), MemoryError("full"), OSError(5, "io")]
)
def test_an_error_in_mid_stream_is_kept(error: BaseException) -> None:
    source = Source(Dense(Interrupted(error)), columns={}, data=Data())
    found = source.feed()
    with pytest.raises(type(error)):
        found.batches().read_all()
    assert found.error is error


@pytest.mark.parametrize("limit", [0, 1, 4, N, N + 1])
def test_a_limit_reads_the_first_rows(limit: int) -> None:
    found = table(scan(FLAT, labels=np.arange(N), limit=limit))
    assert found["labels"].to_pylist() == list(range(min(limit, N)))
    assert table(scan(TABLE.to_reader(), limit=limit)).num_rows == min(limit, N)


def test_data_beside_a_limited_source_may_be_cut_or_whole() -> None:
    assert table(scan(FLAT, limit=2), np.arange(2)).num_rows == 2
    assert table(scan(FLAT, limit=2), np.arange(N)).num_rows == 2
    with pytest.raises(ShapeError):
        feed(scan(FLAT, limit=2), np.arange(3))


@pytest.mark.parametrize(
    "options",
    [
        {"values": "odds"},
        {"null_labels": "omit"},
        {"limit": -1},
        {"limit": 1.5},
        {"filesystem": object()},
    ],
)
def test_options_that_are_not_supported_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        scan(FLAT, **options)


def test_a_source_is_an_arrow_stream() -> None:
    assert pa.table(scan(TABLE)).equals(TABLE)
    assert repr(scan(TABLE, limit=3)) == "<logitmeter.Source: logits, labels, the first 3 rows>"


class RayTensor(pa.ExtensionType):  # type: ignore[misc]
    """What Ray's datasets hold: lists, under a type of their own."""

    def __init__(self, name: str, storage: pa.DataType) -> None:
        super().__init__(storage, name)

    @property
    def shape(self) -> tuple[int, ...]:
        return (5,)

    def __arrow_ext_serialize__(self) -> bytes:
        return b"[5]"


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize(
    ("name", "storage"),
    [
        ("ray.data.arrow_tensor", pa.list_(pa.float32())),
        ("ray.data.arrow_tensor_v2", pa.large_list(pa.float32())),
    ],
)
def test_tensors_of_ray_are_lists(name: str, storage: pa.DataType, *, registered: bool) -> None:
    logits = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    labels = np.arange(6) % 5
    rows = pa.array(logits.tolist(), storage)
    column = pa.ExtensionArray.from_storage(RayTensor(name, storage), rows) if registered else rows
    table = pa.table({"logits": column, "labels": labels})
    if not registered:  # then pyarrow keeps the name among the metadata
        field = table.schema.field("logits").with_metadata({"ARROW:extension:name": name})
        table = table.cast(table.schema.set(0, field))
    assert lm.evaluate(table).loss == lm.evaluate(logits, labels).loss
