"""The functions of the package over the compiled core: arguments, errors, and every way in."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import (
    CorruptInputError,
    DTypeError,
    LabelError,
    LabelShiftWarning,
    NonFiniteError,
    NothingCountedWarning,
    SettingsError,
    ShapeError,
    ShortRunError,
    StateVersionError,
)
from logitmeter.sources.memory_numpy import Dense

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

B, T, V = 3, 8, 40
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(B, T, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, (B, T))
MASK = np.zeros((B, T), bool)
MASK[:, 3:6] = True


def log_softmax(logits: Any) -> Any:
    wide = logits.astype(np.float64)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


def nll(logits: Any, labels: Any) -> Any:
    return -np.take_along_axis(log_softmax(logits), labels[..., None], -1)[..., 0]


def as_table(logits: Any = LOGITS, labels: Any = LABELS) -> pa.Table:
    """Give the same as rows of a table, each b by its id."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), V)
    ids = np.repeat(np.arange(B), logits.shape[1])
    return pa.table({"logits": column, "labels": labels.ravel(), "sequence_id": ids})


def as_file(path: Path, table: pa.Table) -> str:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return str(path)


# ---- every way in gives the same -----------------------------------------------------------------


def test_the_loss_is_the_mean_nll() -> None:
    report = lm.evaluate(LOGITS, LABELS)
    assert report.loss == pytest.approx(nll(LOGITS, LABELS).mean(), rel=1e-6)
    assert report.num_tokens == B * T
    assert report.num_sequences == B


def ways(folder: Path) -> Iterator[Any]:
    table = as_table()
    yield table
    yield table.to_batches()[0]
    yield table.to_reader(5)
    yield pl.from_arrow(table)
    yield as_file(folder / "x.arrow", table)
    yield lm.scan(as_file(folder / "y.arrow", table), memory_map=True)
    yield [as_file(folder / f"{b}.arrow", table.slice(b * T, T)) for b in range(B)]
    yield lm.scan(LOGITS, labels=LABELS)
    yield lm.scan(np.asfortranarray(LOGITS), labels=LABELS.astype(np.uint8))
    yield lm.scan(LOGITS.astype(">f4"), labels=LABELS)


def test_every_way_in_gives_the_same_bits(tmp_path: Path) -> None:
    first, *others = [lm.evaluate(way) for way in ways(tmp_path)]
    for other in others:
        assert other == first


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("shift", [False, True])
def test_every_thread_count_and_layout_gives_the_same_bits(threads: int, *, shift: bool) -> None:
    padded = np.concatenate([LOGITS, LOGITS], 2)[:, :, :V]
    options: dict[str, Any] = {"mask": MASK, "trailing": 1, "shift": shift}
    first = lm.evaluate(LOGITS, LABELS, threads=1, **options)
    assert lm.evaluate(padded, LABELS, threads=threads, **options) == first


def test_logits_with_one_position_less_are_taken_under_shift() -> None:
    one = lm.evaluate(LOGITS, LABELS, shift=True)
    assert lm.evaluate(LOGITS[:, :-1], LABELS, shift=True) == one
    assert one.loss == pytest.approx(nll(LOGITS[:, :-1], LABELS[:, 1:]).mean(), rel=1e-6)


def test_bfloat16_by_type_and_by_statement() -> None:
    logits = LOGITS.astype(ml_dtypes.bfloat16)
    one = lm.evaluate(logits, LABELS)
    assert one.elements == ("bfloat16",)
    assert lm.evaluate(lm.scan(logits.view(np.uint16), dtype="bf16"), LABELS) == one
    assert one.loss == pytest.approx(nll(logits.astype(np.float64), LABELS).mean(), rel=1e-6)


def test_each_file_is_a_sequence_and_joined_files_are_one(tmp_path: Path) -> None:
    table = as_table().drop_columns("sequence_id")
    paths = [as_file(tmp_path / f"{b}.arrow", table.slice(b * T, T)) for b in range(B)]
    assert lm.evaluate(paths, shift=True).num_tokens == B * (T - 1)
    assert lm.evaluate(lm.scan(paths, join_files=True), shift=True).num_tokens == B * T - 1


def test_files_group_by_path_and_columns_by_value(tmp_path: Path) -> None:
    table = as_table().append_column("task", pa.array(["a", "b"] * (B * T // 2)))
    paths = [as_file(tmp_path / f"{b}.arrow", table.slice(b * T, T)) for b in range(B)]
    found = lm.evaluate(paths, by=["file", "task"]).groups
    assert set(found) == {(path, task) for path in paths for task in "ab"}
    assert lm.evaluate(LOGITS, LABELS, by={"b": list("xyz")}).groups["y"].num_tokens == T


def test_weights_and_masks() -> None:
    weight = RANDOM.random((B, T))
    report = lm.evaluate(LOGITS, LABELS, mask=MASK, weight=weight)
    expected = np.average(nll(LOGITS, LABELS)[MASK], weights=weight[MASK])
    assert report.loss == pytest.approx(expected, rel=1e-6)


def test_hidden_tokens_beside_visible_ones() -> None:
    report = lm.evaluate(LOGITS, LABELS, mask=MASK, leading=1, trailing=2)
    assert (report.visible.num_tokens, report.hidden.num_tokens) == (3 * B, 3 * B)


# ---- errors --------------------------------------------------------------------------------------


def test_leading_and_trailing_need_a_mask_before_anything_is_read(tmp_path: Path) -> None:
    path = as_file(tmp_path / "x.arrow", as_table())
    for source in (path, LOGITS):
        with pytest.raises(SettingsError, match="pass mask = labels != -100"):
            lm.evaluate(source, None if source is path else LABELS, trailing=2)


def test_labels_are_needed() -> None:
    with pytest.raises(SettingsError, match="no labels"):
        lm.evaluate(LOGITS)


def test_an_error_names_its_place_and_keeps_what_was_before() -> None:
    logits = LOGITS.copy()
    logits[2, 1, 5] = np.nan
    with pytest.raises(NonFiniteError) as caught:
        lm.evaluate(logits, LABELS)
    assert caught.value.position == 2 * T + 1
    assert isinstance(caught.value.partial, lm.Report)


def test_a_bad_label_is_found_before_a_logit_is_read() -> None:
    labels = LABELS.copy()
    labels[2, 7] = V
    logits = np.full_like(LOGITS, np.nan)
    with pytest.raises(LabelError, match="40") as caught:
        lm.evaluate(logits, labels)
    assert caught.value.position == B * T - 1


def test_an_error_names_its_file(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[1, 2] = V
    table = as_table(labels=labels)
    paths = [as_file(tmp_path / f"{b}.arrow", table.slice(b * T, T)) for b in range(B)]
    with pytest.raises(LabelError) as caught:
        lm.evaluate(paths)
    assert caught.value.path == paths[1]
    assert caught.value.position == T + 2
    assert caught.value.__notes__ == ["position 10 of the input is position 2 of this file"]


def test_an_error_of_the_stream_itself_arrives_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    as_file(path, as_table())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorruptInputError, match="cut short") as caught:
        lm.evaluate(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("full"), OSError(5, "io")])
@pytest.mark.parametrize("waits", [False, True])
def test_an_error_raised_in_mid_stream_arrives_as_it_was(
    error: BaseException, *, waits: bool
) -> None:
    class Failing:
        shape: tuple[int, ...] = (10, V)
        element = "float32"

        def __init__(self) -> None:
            self.waits = waits

        def whole(self) -> None:
            return None

        def parts(self, b: int | None) -> Any:
            assert b is None
            yield LOGITS[0]
            raise error

    source = lm.Source(Dense(Failing()), columns={}, data=lm.sources.Data())
    with pytest.raises(type(error)) as caught:
        lm.evaluate(source, np.zeros(10, int))
    assert caught.value is error
    scores = lm.token_scores(source, np.zeros(10, int))
    with pytest.raises(type(error)):
        scores.read_all()
    assert scores.error is error


def test_short_runs_raise_or_count() -> None:
    mask = np.zeros((B, T), bool)
    mask[:, -1] = True
    with pytest.raises(ShortRunError):
        lm.evaluate(LOGITS, LABELS, mask=mask, trailing=1)
    assert lm.evaluate(LOGITS, LABELS, mask=mask, trailing=1, on_short="count").num_short_right == B


def test_nothing_counted() -> None:
    ignored = np.full_like(LABELS, -100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(lm.evaluate(LOGITS, ignored).loss)
        with pytest.raises(LabelError, match="nothing counted") as caught:
            lm.evaluate(LOGITS, ignored, on_empty="raise")
    assert isinstance(caught.value.partial, lm.Report)


@pytest.mark.parametrize(
    "options",
    [
        {"on_empty": "zero"},
        {"on_short": "ignore"},
        {"nonfinite": "ignore"},
        {"precision": "half"},
        {"threads": 0},
        {"threads": 1.5},
        {"leading": -1},
        {"valid_vocab": 0},
        {"valid_vocab": V + 1},
        {"valid_vocab": True},
        {"ignore_index": True},
        {"ignore_index": 0.5},
        {"ignore_index": 2**63},
        {"ignore_index": None},
        {"shift": 1},
        {"shift": None},
        {"leading": 2**31 + 1},
        {"trailing": "2"},
        {"precision": 64},
        {"nonfinite": None},
        {"progress": 3},
    ],
)
def test_options_out_of_range_are_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(SettingsError, match=name) as caught:
        lm.evaluate(LOGITS, LABELS, mask=MASK, **options)
    if options != {"valid_vocab": V + 1}:
        assert caught.value.got == repr(options[name])
        assert caught.value.expected


@pytest.mark.parametrize("option", ["ignore_index", "shift", "leading", "trailing", "valid_vocab"])
def test_every_function_checks_its_options(option: str) -> None:
    options: dict[str, Any] = {option: "x"}
    for call in (lm.evaluate, lm.check, lm.token_scores, lm.sequence_scores):
        with pytest.raises(SettingsError, match=f"{option}='x'"):
            call(LOGITS, LABELS, **options)
    with pytest.raises(SettingsError, match=f"{option}='x'"):
        lm.Meter(**options)


@pytest.mark.parametrize(
    "options", [{"valid_vocab": "x"}, {"nonfinite": "omit"}, {"precision": "half"}]
)
def test_functions_of_rows_check_their_options(options: dict[str, Any]) -> None:
    for call in (lm.log_softmax, lambda logits, **given: lm.top_k(logits, 2, **given)):
        with pytest.raises(SettingsError, match=next(iter(options))):
            call(LOGITS, **options)


def test_options_of_numpy_s_types_are_taken() -> None:
    options: dict[str, Any] = {
        "ignore_index": np.int32(-1),
        "shift": np.True_,
        "leading": np.uint8(1),
        "trailing": np.int64(1),
        "valid_vocab": np.int16(V),
    }
    plain = {name: value.item() for name, value in options.items()}
    one = lm.evaluate(LOGITS, LABELS, mask=MASK, **options)
    assert one == lm.evaluate(LOGITS, LABELS, mask=MASK, **plain)


def test_a_vocabulary_mask_is_booleans_of_its_length() -> None:
    allowed = np.arange(V) < V // 2
    labels = LABELS % (V // 2)
    one = lm.evaluate(LOGITS, labels, vocab_mask=allowed)
    two = lm.evaluate(LOGITS, labels, valid_vocab=V // 2)
    assert one.loss == two.loss
    with pytest.raises(ShapeError, match=r"\[39\].*\[40\]"):
        lm.evaluate(LOGITS, LABELS, vocab_mask=allowed[1:])
    with pytest.raises(DTypeError, match="one bool"):
        lm.evaluate(LOGITS, LABELS, vocab_mask=[3, 4, 5])


def test_a_warning_points_at_the_caller() -> None:
    labels = RANDOM.integers(0, V, 400)
    logits = np.zeros((400, V), np.float32)
    logits[np.arange(399), labels[1:]] = 9
    with pytest.warns(LabelShiftWarning, match="shift") as caught:
        report = lm.evaluate(logits, labels)
    assert caught[0].filename == __file__
    assert report.warnings[0].kind == "LabelShiftWarning"


def test_progress_is_told() -> None:
    calls: list[tuple[int, int, float]] = []
    lm.evaluate(LOGITS, LABELS, progress=lambda *told: calls.append(told))
    rows, read, loss = calls[-1]
    assert (rows, read) == (B * T, LOGITS.nbytes)
    assert loss == pytest.approx(nll(LOGITS, LABELS).mean(), rel=1e-6)


def test_an_error_of_the_progress_callback_arrives() -> None:
    def stop(*told: object) -> None:
        raise KeyboardInterrupt(told)

    with pytest.raises(KeyboardInterrupt):
        lm.evaluate(LOGITS, LABELS, progress=stop)


# ---- check ---------------------------------------------------------------------------------------


def test_check_counts_without_reading_logits() -> None:
    found = lm.check(np.full_like(LOGITS, np.nan), LABELS, mask=MASK, trailing=1, rows=0)
    assert found.ok
    assert (found.num_rows, found.num_visible, found.num_hidden) == (B * T, 3 * B, B)
    assert (found.rows, found.vocab_size, found.element) == (B * T, V, "float32")
    assert found.bytes == LOGITS.nbytes


def test_check_reads_a_sample_of_rows() -> None:
    logits = LOGITS.copy()
    logits[0, 1] = np.nan
    assert lm.check(logits, LABELS, rows=0).ok
    assert lm.check(logits, LABELS, rows=1).ok
    (problem,) = lm.check(logits, LABELS, rows=2).problems
    assert (problem.kind, problem.position) == ("NonFiniteError", 1)
    assert lm.check(logits, LABELS).problems == (problem,)


def test_check_names_a_problem_once(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0, 1] = V
    path = as_file(tmp_path / "x.arrow", as_table(labels=labels))
    (problem,) = lm.check(path, rows=5).problems
    assert (problem.kind, problem.position, problem.path) == ("LabelError", 1, path)


def test_check_of_lists_looks_at_the_first_row() -> None:
    table = pa.table({"logits": LOGITS[0].tolist(), "labels": LABELS[0]})
    assert lm.check(table).num_visible == T


def test_check_counts_the_rows_of_a_padded_cube() -> None:
    logits = LOGITS[:, :-1]
    found = lm.check(logits, LABELS, shift=True)
    assert (found.rows, found.num_rows, found.bytes) == (B * (T - 1), B * T, logits.nbytes)


def test_check_says_where_in_which_file(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0, 1] = V
    paths = [
        as_file(tmp_path / "a.arrow", as_table()),
        as_file(tmp_path / "b.arrow", as_table(labels=labels)),
    ]
    (problem,) = lm.check(paths, rows=2 * B * T).problems
    assert (problem.position, problem.path, problem.position_in_file) == (B * T + 1, paths[1], 1)
    assert str(problem).startswith(f"LabelError in {paths[1]}: label {V} at position {B * T + 1} ")
    assert str(problem).endswith("(position 1 of this file)")


def test_check_takes_a_sample_of_a_padded_cube() -> None:
    found = lm.check(LOGITS[:, :-1], LABELS, mask=MASK, shift=True, leading=1, rows=T + 3)
    assert found.ok


# ---- scores --------------------------------------------------------------------------------------


def test_token_scores_in_the_labels_shape() -> None:
    scores = lm.token_scores(LOGITS, LABELS, mask=MASK)
    found, rank = scores.numpy("nll", "rank")
    assert found.shape == rank.shape == (B, T)
    assert np.array_equal(np.isnan(found), ~MASK)
    np.testing.assert_allclose(found[MASK], nll(LOGITS, LABELS)[MASK], rtol=1e-6)
    own = np.take_along_axis(LOGITS, LABELS[..., None], -1)
    np.testing.assert_array_equal(rank[MASK], (own < LOGITS).sum(-1)[MASK])


def test_token_scores_are_read_once() -> None:
    scores = lm.token_scores(LOGITS, LABELS)
    assert pa.table(scores).num_rows == B * T
    for again in (scores.read_all, lambda: list(scores), lambda: scores.numpy("nll")):
        with pytest.raises(SettingsError, match="have been read"):
            again()


def test_token_scores_of_all_rows_keep_columns() -> None:
    table = as_table().append_column("note", pa.array([f"n{i}" for i in range(B * T)]))
    scores = lm.token_scores(table, mask=MASK.ravel(), rows="all", keep=["note"])
    found = scores.read_all()
    assert found["position"].to_pylist() == list(range(B * T))
    assert found["note"].to_pylist() == table["note"].to_pylist()
    assert found["nll"].null_count == (~MASK).sum()


def test_token_scores_keep_a_lone_name() -> None:
    assert "labels" in lm.token_scores(as_table(), keep="labels").schema.names


@pytest.mark.parametrize("keep", [["nll"], "row", ["labels", "labels"]])
def test_names_that_would_be_there_twice_are_not_kept(keep: Any) -> None:
    table = as_table().append_column("nll", pa.array(np.zeros(B * T)))
    table = table.append_column("row", pa.array(np.zeros(B * T)))
    name = keep if isinstance(keep, str) else keep[0]
    with pytest.raises(SettingsError, match=f"keep: .*{name}"):
        lm.token_scores(table, keep=keep)


@pytest.mark.parametrize("names", [(), ("foo",), ("nll", "foo")])
def test_columns_of_scores_are_checked_before_anything_is_read(names: tuple[str, ...]) -> None:
    scores = lm.token_scores(LOGITS, LABELS)
    with pytest.raises(SettingsError, match="the scores have: position, row, hidden, nll"):
        scores.numpy(*names)
    assert scores.numpy("nll").shape == (B, T)


def test_rows_are_those_of_the_logits_where_the_last_label_has_none() -> None:
    logits, labels = LOGITS[:2, :4].copy(), LABELS[:2, :5]
    found = lm.token_scores(logits, labels, shift=True).read_all()
    assert found["row"].to_pylist() == list(range(8))
    logits[1, 2] = np.nan
    with pytest.raises(NonFiniteError) as caught:
        lm.evaluate(logits, labels, shift=True)
    assert (caught.value.position, caught.value.row) == (8, 6)


def test_rows_that_are_omitted_are_not_in_the_stream_or_null() -> None:
    logits = LOGITS.copy()
    logits[0, 1] = np.nan
    counted = lm.token_scores(logits, LABELS, nonfinite="omit").read_all()
    assert 1 not in counted["position"].to_pylist()
    everything = lm.token_scores(logits, LABELS, nonfinite="omit", rows="all").read_all()
    assert everything["nll"].is_null().to_pylist() == [place == 1 for place in range(B * T)]


def test_token_scores_of_a_stream_need_all_rows_for_numpy() -> None:
    with pytest.raises(SettingsError, match='rows="all"'):
        lm.token_scores(as_table().to_reader()).numpy("nll")
    assert lm.token_scores(as_table().to_reader(), rows="all").numpy("nll").shape == (B * T,)


def test_token_scores_of_files_know_their_shape(tmp_path: Path) -> None:
    path = as_file(tmp_path / "x.arrow", as_table())
    assert lm.token_scores(path).numpy("hidden").tolist() == [0.0] * B * T


def test_scores_raise_named_errors_and_keep_them() -> None:
    logits = LOGITS.copy()
    logits[1, 1] = np.inf
    scores = lm.token_scores(logits, LABELS)
    with pytest.raises(NonFiniteError):
        list(scores)
    assert isinstance(scores.error, NonFiniteError)
    through_arrow = lm.token_scores(logits, LABELS)
    with pytest.raises(Exception, match="inf"):
        pl.DataFrame(through_arrow)
    assert isinstance(through_arrow.error, NonFiniteError)


def test_sequence_scores() -> None:
    found = lm.sequence_scores(LOGITS, LABELS).read_all()
    np.testing.assert_allclose(found["logprob"], -nll(LOGITS, LABELS).sum(1), rtol=1e-6)
    assert found["num_tokens"].to_pylist() == [T] * B
    assert found["sequence_id"].to_pylist() == list(range(B))


# ---- log-softmax ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "asked", "kind"),
    [("f2", None, "f4"), ("f4", None, "f4"), ("f8", None, "f8"), ("f4", np.float64, "f8")],
)
def test_log_softmax_keeps_the_shape(given: str, asked: Any, kind: str) -> None:
    logits = LOGITS.astype(given)
    found = lm.log_softmax(logits, dtype=asked)
    assert (found.shape, found.dtype) == (LOGITS.shape, np.dtype(kind))
    np.testing.assert_allclose(found, log_softmax(logits), rtol=2e-6)


def test_log_softmax_of_some_rows_and_entries() -> None:
    allowed = np.arange(V) % 3 > 0
    found = lm.log_softmax(LOGITS, mask=MASK, vocab_mask=allowed)
    assert np.isnan(found[~MASK]).all()
    np.testing.assert_allclose(found[MASK][:, allowed], log_softmax(LOGITS[MASK][:, allowed]), 2e-6)
    assert np.isneginf(found[MASK][:, ~allowed]).all()


def test_log_softmax_of_arrow_is_arrow() -> None:
    table = as_table().append_column("mask", pa.array(MASK.ravel()))
    found = lm.log_softmax(table).read_all()["logprobs"]
    assert (found.type.value_type, found.type.list_size) == (pa.float32(), V)
    assert [row is None for row in found.to_pylist()] == (~MASK.ravel()).tolist()


def test_log_softmax_to_other_types_is_refused() -> None:
    with pytest.raises(DTypeError, match="float32 or float64"):
        lm.log_softmax(LOGITS, dtype="float16")


def test_log_softmax_of_no_rows() -> None:
    assert lm.log_softmax(LOGITS[:0]).shape == (0, T, V)


def test_top_k_by_value_then_by_lower_id() -> None:
    logits = np.round(LOGITS)
    logprobs, ids = lm.top_k(logits, 5)
    assert (logprobs.shape, ids.shape) == ((B, T, 5), (B, T, 5))
    np.testing.assert_array_equal(ids, np.argsort(-logits, -1, kind="stable")[..., :5])
    expected = np.take_along_axis(log_softmax(logits), ids, -1)
    np.testing.assert_allclose(logprobs, expected, rtol=1e-6)


def test_top_k_outside_the_mask_and_of_nothing() -> None:
    logprobs, ids = lm.top_k(LOGITS, 2, mask=MASK)
    assert np.isnan(logprobs[~MASK]).all()
    assert (ids[~MASK] == -1).all()
    assert (ids[MASK] >= 0).all()
    assert lm.top_k(LOGITS[:0], 2)[0].shape == (0, T, 2)
    with pytest.raises(SettingsError):
        lm.top_k(LOGITS, 0)


# ---- Meter ---------------------------------------------------------------------------------------


def filled(*bs: int, **options: Any) -> lm.Meter:
    meter = lm.Meter(**options)
    for b in bs:
        meter.update(LOGITS[b : b + 1], LABELS[b : b + 1], mask=MASK[b : b + 1])
    return meter


def test_a_meter_gives_what_evaluate_gives() -> None:
    whole = lm.evaluate(LOGITS, LABELS, mask=MASK, trailing=2)
    assert filled(0, 1, 2, trailing=2).compute() == whole
    merged = filled(2, trailing=2).merge(filled(0, trailing=2), filled(1, trailing=2))
    assert merged.compute() == whole
    assert filled(0, 1, 2).to_bytes() == filled(2).merge(filled(1), filled(0)).to_bytes()


def test_a_meter_goes_on_where_a_batch_was_cut() -> None:
    whole = lm.evaluate(LOGITS[0], LABELS[0], mask=MASK[0], shift=True, trailing=2)
    meter = lm.Meter(shift=True, trailing=2)
    for cut in (slice(0, 4), slice(4, 5), slice(5, 8)):
        meter.update(LOGITS[0, cut], LABELS[0, cut], mask=MASK[0, cut], final=False)
        assert meter.is_open
    assert "open" in meter.compute().flags
    held = meter.copy()
    with pytest.raises(Exception, match="open"):
        meter.to_bytes()
    meter.close()
    meter.close()
    held.close()
    assert meter.compute() == held.compute() == whole


def test_a_meter_travels() -> None:
    meter = filled(0, 1)
    for other in (
        pickle.loads(pickle.dumps(meter)),  # noqa: S301 - our own bytes
        copy.copy(meter),
        copy.deepcopy(meter),
        lm.Meter.from_bytes(meter.to_bytes()),
    ):
        assert other.compute() == meter.compute()
        with pytest.warns(NothingCountedWarning):
            assert other.reset().compute().num_tokens == 0
    assert meter.compute().num_tokens == 6


def test_meters_of_different_settings_do_not_merge() -> None:
    meter, other = filled(0), filled(1, shift=True)
    before = meter.to_bytes()
    with pytest.raises(StateVersionError, match="shift"):
        meter.merge(filled(2), other)
    assert meter.to_bytes() == before


@pytest.mark.parametrize("other", [1, None, "meter"])
def test_a_meter_merges_meters_only(other: Any) -> None:
    meter = filled(0)
    with pytest.raises(DTypeError, match="merge takes meters"):
        meter.merge(filled(1), other)
    assert meter.compute() == filled(0).compute()


@pytest.mark.parametrize("state", ["abc", 3, None])
def test_a_meter_s_state_is_bytes(state: Any) -> None:
    with pytest.raises(DTypeError, match="from_bytes takes the bytes"):
        lm.Meter.from_bytes(state)


def test_an_update_that_fails_leaves_the_meter_as_it_was() -> None:
    meter = filled(0)
    before = meter.to_bytes()
    with pytest.raises(LabelError):
        meter.update(LOGITS[1], np.full(T, V), mask=MASK[1])
    assert meter.to_bytes() == before


def test_damaged_bytes_are_refused() -> None:
    state = bytearray(filled(0).to_bytes())
    state[len(state) // 2] ^= 1
    with pytest.raises(CorruptInputError):
        lm.Meter.from_bytes(bytes(state))


def test_a_meter_says_what_it_holds() -> None:
    assert repr(filled(0)) == "<logitmeter.Meter: 3 tokens>"
    assert lm.Meter(trailing=2).settings["trailing"] == 2


# ---- the package ---------------------------------------------------------------------------------


def test_all_names_are_there() -> None:
    for name in lm.__all__:
        assert getattr(lm, name) is not None
    assert set(lm.__all__) <= set(dir(lm))
    with pytest.raises(AttributeError, match="nope"):
        lm.nope  # noqa: B018
