"""Garbage in: a named error, a `TypeError` or a `ValueError`, or a result; never a panic."""

from __future__ import annotations

import contextlib
import random
import warnings
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from logitmeter.exceptions import LogitmeterError

if TYPE_CHECKING:
    from collections.abc import Callable

NAMED = (LogitmeterError, TypeError, ValueError, FileNotFoundError)
NUMBERS = ["f2", "f4", "f8", ">f4", "i1", "i4", "i8", "u1", "u2", "u8", "?", "c8", "O", "U3", "S2"]
SPECIAL = [0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e30, 2**31, -100.0]
ARROW = [
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.int8(),
    pa.int64(),
    pa.uint64(),
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.binary(2),
    pa.null(),
    pa.date32(),
    pa.decimal128(5, 2),
    pa.timestamp("us"),
]
OBJECTS: list[Any] = [
    None,
    "",
    "no/such/file",
    b"bytes",
    7,
    1.5,
    [],
    [[]],
    [[1.0, 2.0]],
    {},
    object(),
]
OPTIONS: dict[str, list[Any]] = {
    "ignore_index": [-100, 0, -(2**63), "x", None, 1.5],
    "shift": [True, False, "yes"],
    "leading": [0, 1, 3, -1, None, "2"],
    "trailing": [0, 1, 2**40, 2.0],
    "on_short": ["count", "raise", "", None],
    "valid_vocab": [1, 3, 0, -5, "V"],
    "vocab_mask": [[True], [True, False, True], np.zeros(3, bool), "mask", 3],
    "nonfinite": ["raise", "omit", "propagate", 0],
    "precision": ["fast", "exact", None],
}
V = 3
DATA = ("labels", "mask", "weight", "sequence_id")


def numpy_garbage(rng: random.Random) -> Any:
    shape = [rng.choice([0, 1, 2, 3, 5]) for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4]))]
    values = np.array(rng.choices(SPECIAL, k=int(np.prod(shape)))).reshape(shape)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        array = values.astype(rng.choice([*NUMBERS, ml_dtypes.bfloat16]))
    if array.ndim and rng.random() < 0.3:
        array = array[..., ::-1]
    return np.ma.masked_array(array) if rng.random() < 0.05 else array


def cell(rng: random.Random, kind: pa.DataType) -> Any:
    """Give one scalar of a type, null now and then."""
    if rng.random() < 0.2 or pa.types.is_null(kind):
        return None
    if pa.types.is_floating(kind):
        return float(rng.choice(SPECIAL[:6]))
    if pa.types.is_fixed_size_binary(kind):
        return b"\x80\x7f"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return rng.choice(["", "a", "\U0001f600", "b" * 40])
    return rng.random() < 0.5 if pa.types.is_boolean(kind) else rng.randrange(2)


def column(rng: random.Random, rows: int) -> pa.Array:
    """Give a column: plain, dictionaries, lists of many kinds, or lists of lists."""
    inner = rng.choice(ARROW)
    size = rng.choice([0, 1, 3, 3, 3])
    cells = [[cell(rng, inner) for _ in range(size)] for _ in range(rows)]
    lists = [None if rng.random() < 0.2 else row for row in cells]
    ragged = [row and row[: rng.randrange(4)] for row in lists]
    flat = [cell(rng, inner) for _ in range(rows)]
    indices = pa.array([rng.randrange(-2, 4) for _ in range(rows)], pa.int32())
    forms: list[Callable[[], pa.Array]] = [
        lambda: pa.array(flat, inner),
        lambda: pa.array(lists, pa.list_(inner, size)),
        lambda: pa.array(lists, pa.list_(inner)),
        lambda: pa.array(lists, pa.large_list(inner)),
        lambda: pa.array(ragged, pa.list_(inner)),
        lambda: pa.array([lists] * rows, pa.list_(pa.list_(inner))),
        lambda: pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]), safe=False),
    ]
    return rng.choice(forms)()


def fair(rng: random.Random, name: str) -> pa.Array:
    """Give six rows of a column that its part can use, but for a value now and then."""
    if name == "logits":
        return fair_logits(rng)
    values: dict[str, list[Any]] = {
        "labels": [0, 1, 2, -100, rng.choice([0, 0, 1, -1, 3, None])],
        "mask": [True, False, rng.choice([True, True, False, None])],
        "weight": [1.0, 0.5, 0.0, rng.choice([1.0, 1.0, -1.0, np.nan, np.inf, None])],
    }
    if name not in values:
        return pa.array(sorted(rng.choices("abc", k=6), reverse=rng.random() < 0.5))
    return pa.array(rng.choices(values[name], k=6))


def fair_logits(rng: random.Random) -> pa.Array:
    """Give six rows of logits: a null, or lists of other lengths, now and then."""
    values = [cell(rng, pa.float32()) if rng.random() < 0.05 else 0.5 for _ in range(6 * V)]
    rows = [values[i * V : i * V + V] for i in range(6)]
    some = [None if rng.random() < 0.05 else row for row in rows]
    kinds = [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float64(), V)]
    if rng.random() < 0.1:
        some[rng.randrange(6)] = rng.choice([[], [1.0], None])
        kinds.pop()
    return pa.array(some, rng.choice(kinds))


def table_of(rng: random.Random, names: list[str], rows: int, wrong: float) -> pa.Table:
    """Give a table whose columns are wrong with some probability."""
    parts = [column(rng, rows) if rng.random() < wrong else fair(rng, name) for name in names]
    size = min(map(len, parts))
    return pa.table([part.slice(len(part) - size) for part in parts], names=names)


def arrow_garbage(rng: random.Random) -> Any:
    names = ["logits", *(name for name in (*DATA, "label", "other") if rng.random() < 0.6)]
    wrong = rng.choice([0.0, 0.1, 1.0])
    table = table_of(rng, names, rng.choice([0, 1, 2, 6]), wrong)
    other = table_of(rng, names, 6, wrong)
    if other.schema.equals(table.schema):
        table = pa.concat_tables([table, other])
    views = [table, table, table.to_reader(rng.choice([1, 4])), table.to_batches(), table["logits"]]
    return rng.choice(views)


def garbage(rng: random.Random) -> Any:
    makes: list[Callable[[random.Random], Any]] = [
        numpy_garbage,
        lambda rng: np.full((6, V), rng.choice(SPECIAL), rng.choice(["f2", "f4", "f8"])),
        lambda rng: np.full((2, 3, V), rng.choice(SPECIAL), rng.choice(["f2", "f4", ">f8"])),
        arrow_garbage,
        arrow_garbage,
        arrow_garbage,
        lambda rng: rng.choice(OBJECTS),
    ]
    return rng.choice(makes)(rng)


def beside(rng: random.Random) -> dict[str, Any]:
    """Give data and options, some of them wrong."""
    given: dict[str, Any] = {}
    for name in DATA:
        if rng.random() < 0.3:
            column_of = fair(rng, name)
            array = column_of.to_numpy(zero_copy_only=False)
            made = [numpy_garbage(rng), column(rng, rng.choice([0, 2, 6])), array.reshape(2, 3)]
            named = rng.choice([*OBJECTS, "mask", "other", "logits"])
            given[name] = rng.choice([*made, named, column_of, column_of, array, array, array])
    for name, values in OPTIONS.items():
        if rng.random() < 0.05:
            given[name] = rng.choice(values)
    return given


def call(rng: random.Random) -> object:
    logits, given = garbage(rng), beside(rng)
    some = {key: given[key] for key in ("mask", "vocab_mask", "valid_vocab") if key in given}
    meter = {key: value for key, value in given.items() if key in OPTIONS}
    data = {key: value for key, value in given.items() if key not in OPTIONS}
    calls: list[Callable[[], object]] = [
        lambda: str(lm.evaluate(logits, **given)),
        lambda: str(lm.evaluate(logits, **given, by={"group": numpy_garbage(rng)}).groups),
        lambda: str(lm.check(logits, **{k: v for k, v in given.items() if k in data}, rows=2)),
        lambda: lm.token_scores(logits, **given, rows="all").read_all(),
        lambda: lm.sequence_scores(logits, **given).read_all(),
        lambda: lm.log_softmax(logits, **some),
        lambda: lm.top_k(logits, rng.choice([1, 2, 0, -1]), **some),
        lambda: lm.Meter(**meter).update(logits, **data, final=False).compute(),
        lambda: lm.scan(logits, dtype=rng.choice(["bf16", "float16", 3, "x", None])).feed(),
        lambda: lm.Meter.from_bytes(rng.randbytes(rng.choice([0, 8, 200]))),
    ]
    return rng.choice(calls)()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(300))
def test_garbage_is_a_named_error_or_a_result(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        with contextlib.suppress(*NAMED):
            call(rng)


@pytest.mark.parametrize("option", ["ignore_index", "leading", "trailing", "valid_vocab"])
def test_numbers_beyond_64_bits_are_settings_out_of_range(option: str) -> None:
    logits, labels = np.zeros((2, V), np.float32), np.zeros(2, int)
    with pytest.raises(lm.exceptions.SettingsError, match=option):
        lm.evaluate(logits, labels, mask=np.ones(2, bool), **{option: 2**64})  # type: ignore[arg-type]
