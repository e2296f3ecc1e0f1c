"""Bad and awkward input by source, as a program: what kills a process then kills only this one.

``python bad_inputs.py FOLDER SOURCE...`` runs every case that these sources can show, and prints a
line of JSON for each: what was raised, or what was found.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import fsspec
import llama_writer
import logitmeter as lm
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import safetensors.numpy

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = "np.ndarray[Any, Any]"
Columns: TypeAlias = "dict[str, Any]"

N, V = 12, 5
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)
RAGGED = {b"ragged": b"yes"}
"""Of a table one of whose lists is to be longer."""
SMALLEST_TORCH = b"\x80\x02}q\x00."
"""A pickle, as torch.save began its files with."""


@dataclass
class Given:
    """What is written or passed, before a case changes it."""

    logits: Any = field(default_factory=LOGITS.copy)
    columns: Columns = field(default_factory=lambda: {"labels": LABELS.copy()})
    null_row: int | None = None
    ragged: bool = False
    """One list is longer than the others."""
    start: int = 0
    """The first row of the table that is passed on: a slice."""
    beside: Columns = field(default_factory=dict)
    """Passed to the call, whatever the source."""
    scan: Columns = field(default_factory=dict)
    call: Columns = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """The same as columns."""
        width = self.logits.shape[-1]
        flat = np.ascontiguousarray(self.logits).reshape(-1)
        nulls = None
        if self.null_row is not None:
            nulls = pa.array(np.arange(len(self.logits)) == self.null_row)
        kind = pa.list_(pa.from_numpy_dtype(flat.dtype), width)
        if width:
            rows = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind, mask=nulls)
        else:  # of which pyarrow dies (a division by zero)
            rows = pa.array([[]] * len(self.logits), kind)
        columns = {
            name: pa.array(np.asarray(x).ravel().tolist() if _holds_none(x) else np.ravel(x))
            for name, x in self.columns.items()
        }
        metadata = RAGGED if self.ragged else None
        return pa.table({"logits": rows, **columns}, metadata=metadata).slice(self.start)


def _holds_none(column: Any) -> bool:
    return np.asarray(column).dtype == object


# ---- the sources ---------------------------------------------------------------------------------

Passed: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""For `scan` and for the call."""
Make: TypeAlias = "Callable[[Path, Given], Passed]"


@dataclass(frozen=True)
class Source:
    """A way in, and what it can show.

    Parameters
    ----------
    make
        Gives the arguments of `scan`, whose first is ``source``, and those of the call.
    can
        ``columns`` that are named, ``nulls``, ``file`` (with a path), ``array`` (of any layout),
        ``cube`` (``[B, T, V]``), ``once`` (read once), ``lists`` (of any length).
    """

    make: Make
    can: frozenset[str]


def of_table(make: Callable[[Path, pa.Table], Any]) -> Make:
    return lambda folder, given: ({"source": make(folder, given.table)}, {})


def as_lists(table: pa.Table, kind: Callable[[pa.DataType], pa.DataType] = pa.list_) -> pa.Table:
    rows = table["logits"].cast(kind(table["logits"].type.value_type))
    if table.schema.metadata == RAGGED:
        lists = rows.to_pylist()
        lists[2] = [*lists[2], 0.5]
        rows = pa.array(lists, rows.type)
    return table.set_column(0, "logits", rows)


def arrow_file(
    folder: Path, table: pa.Table, *, stream: bool = False, codec: str | None = None
) -> Path:
    path = folder / "dump"
    path.write_bytes(arrow_bytes(table, stream=stream, codec=codec))
    return path


def arrow_bytes(table: pa.Table, *, stream: bool = False, codec: str | None = None) -> bytes:
    out = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=5)
    return out.getvalue()


def parquet_file(folder: Path, table: pa.Table) -> Path:
    pa.parquet.write_table(table, folder / "dump", row_group_size=5)
    return folder / "dump"


def parquet_bytes(folder: Path, given: Given) -> Passed:
    logits = np.ascontiguousarray(given.logits)
    width = logits.itemsize * logits.shape[-1]
    buffer = pa.py_buffer(logits.tobytes())
    rows = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(logits), [None, buffer])
    table = given.table.set_column(0, "logits", rows)
    return {"source": parquet_file(folder, table), "dtype": logits.dtype.name}, {}


def stored(folder: Path, table: pa.Table) -> str:
    name = f"/bad/{folder.name}"
    fsspec.filesystem("memory").pipe_file(name, arrow_bytes(table))
    return f"memory:/{name}"


def dataset(folder: Path, table: pa.Table) -> Any:
    parquet_file(folder, table)
    return pa.dataset.dataset(folder / "dump", format="parquet")


def arrays(_: Path, given: Given) -> Passed:
    return {"source": given.logits}, dict(given.columns)


def npy_files(folder: Path, given: Given) -> Passed:
    for name, array in {"dump": given.logits, **given.columns}.items():
        with (folder / name).open("wb") as file:
            np.save(file, array)
    return {"source": folder / "dump"}, {name: folder / name for name in given.columns}


def tensors(folder: Path, given: Given) -> Passed:
    arrays = {"logits": given.logits, **given.columns}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.numpy.save_file(whole, folder / "dump")
    return {"source": folder / "dump"}, {}


def mapped(make: Make) -> Make:
    def made(folder: Path, given: Given) -> Passed:
        scan, call = make(folder, given)
        return scan | {"memory_map": True}, call

    return made


TABLE = frozenset({"columns", "nulls"})
FILE = TABLE | {"file"}
SOURCES: dict[str, Source] = {
    "array": Source(arrays, frozenset({"array", "cube"})),
    "table": Source(of_table(lambda _, table: table), TABLE | {"sliced"}),
    "table of lists": Source(of_table(lambda _, table: as_lists(table)), TABLE | {"lists"}),
    "table of large lists": Source(
        of_table(lambda _, table: as_lists(table, pa.large_list)), TABLE | {"lists"}
    ),
    "reader": Source(of_table(lambda _, table: table.to_reader(5)), TABLE | {"once", "sliced"}),
    "polars": Source(of_table(lambda _, table: pl.from_arrow(table)), TABLE),
    "dataset": Source(of_table(dataset), TABLE),
    "pipe": Source(
        of_table(lambda _, table: io.BytesIO(arrow_bytes(table, stream=True))), TABLE | {"once"}
    ),
    "store": Source(of_table(stored), TABLE),
    "IPC file": Source(of_table(arrow_file), FILE | {"sliced"}),
    "IPC file, mapped": Source(mapped(of_table(arrow_file)), FILE),
    "IPC file, compressed": Source(of_table(lambda d, t: arrow_file(d, t, codec="zstd")), FILE),
    "IPC stream": Source(of_table(lambda d, t: arrow_file(d, t, stream=True)), FILE),
    "Parquet": Source(of_table(parquet_file), FILE),
    "Parquet of lists": Source(
        of_table(lambda folder, table: parquet_file(folder, as_lists(table))), FILE | {"lists"}
    ),
    "Parquet of bytes": Source(parquet_bytes, FILE - {"nulls"}),
    "npy": Source(npy_files, frozenset({"file", "cube", "array"})),
    "npy, mapped": Source(mapped(npy_files), frozenset({"file", "cube"})),
    "safetensors": Source(tensors, frozenset({"file", "cube", "columns"})),
    "safetensors, mapped": Source(mapped(tensors), frozenset({"file", "columns"})),
    "llama.cpp": Source(lambda *_: ({}, {}), frozenset()),
}


# ---- the cases -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One line of the lists, as a change of what is given.

    Parameters
    ----------
    line
        Of `data/bad_input_list.txt`, or its beginning.
    change
        What it does to what is given.
    error, says
        The class that is raised, and a pattern of its message; a warning's class under `warns`.
    needs
        What a source must be able to show.
    rows
        What must work: the rows that count.
    """

    line: str
    change: Callable[[Given], None]
    error: str = ""
    says: str = ""
    needs: frozenset[str] = frozenset()
    rows: slice | None = None
    left_out: int = 0
    """Of these, how many do not count, from the third on."""
    warns: str = ""
    after: Callable[[Path], None] | None = None
    """What it does to the file once it was looked at."""
    damage: Callable[[Path], None] | None = None
    """What it does to the file once it is written."""


def put(name: str, at: Any, value: Any) -> Callable[[Given], None]:
    """Change one value of a column, or of the logits."""

    def change(given: Given) -> None:
        if name == "logits":
            given.logits[at] = value
            return
        column = np.array(given.columns.get(name, DATA[name]))
        if value is None:
            column = column.astype(object)
        column[at] = value
        given.columns[name] = column

    return change


def replaced(name: str, column: Any) -> Callable[[Given], None]:
    return lambda given: given.columns.__setitem__(name, column)


def passed(name: str, value: Any) -> Callable[[Given], None]:
    return lambda given: given.beside.__setitem__(name, value)


def of_logits(function: Callable[[Array], Array]) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        given.logits = function(given.logits)

    return change


def cubed(given: Given) -> None:
    """Give [B, V, T]."""
    given.logits = LOGITS.reshape(3, 4, V).transpose(0, 2, 1).copy()
    given.columns["labels"] = LABELS.reshape(3, 4)


def null_row(given: Given) -> None:
    given.null_row = 3


def without_labels(given: Given) -> None:
    given.columns = {"other": LABELS.copy()} if "labels" in given.columns else {}


def no_rows(given: Given) -> None:
    given.logits, given.columns = LOGITS[:0], {"labels": LABELS[:0]}


def nothing_counts(given: Given) -> None:
    given.columns["mask"] = np.zeros(N, bool)
    given.call["on_empty"] = "raise"


def masked_out(given: Given) -> None:
    given.logits[3:5] = [[np.nan], [np.inf]]
    given.columns["labels"][4] = 99
    given.columns["mask"] = np.arange(N) >= 5


def ignored(given: Given) -> None:
    given.logits[2] = np.nan
    given.columns["labels"][2] = -100


def misaligned(logits: Array) -> Array:
    raw = np.empty(logits.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(logits.tobytes(), np.uint8)
    return raw.view(logits.dtype).reshape(logits.shape)


def read_only(logits: Array) -> Array:
    logits.flags.writeable = False
    return logits


def shifted_labels(given: Given) -> None:
    """Give labels that fit one place to the right: 300 rows that each name the next."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, V, 301)
    given.logits = rng.normal(size=(300, V)).astype(np.float32)
    given.logits[np.arange(300), tokens[1:]] += 8
    given.columns["labels"] = tokens[:-1]


def ends_inside(given: Given) -> None:
    """Give 40 sequences whose mask holds the end token, and one token more that is hidden."""
    given.logits = np.random.default_rng(4).normal(size=(160, V)).astype(np.float32)
    given.columns = {
        "labels": np.tile([1, 2, 4, 3], 40),
        "mask": np.tile([True, True, True, False], 40),
        "sequence_id": np.repeat(np.arange(40), 4),
    }
    given.call["trailing"] = 1


def log_probabilities(given: Given) -> None:
    given.logits = np.random.default_rng(5).normal(size=(64, 50)).astype(np.float32)
    given.logits -= np.log(np.exp(given.logits).sum(1, keepdims=True))
    given.columns["labels"] = np.arange(64) % 50


def probabilities(given: Given) -> None:
    log_probabilities(given)
    given.logits = np.exp(given.logits)


def sliced(given: Given) -> None:
    given.start = 3


def unchanged(_: Given) -> None:
    pass


def ragged(given: Given) -> None:
    given.ragged = True


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    path.write_bytes(SMALLEST_TORCH)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def halved(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def claiming(path: Path) -> None:
    """Let a file claim to hold more than it does, in the way of its format."""
    data = path.read_bytes()
    if data.startswith(b"\x93NUMPY"):
        data = data.replace(b"(12, 5)", b"(99, 5)")
    elif data.startswith(b"PAR1"):
        data = data[:-8] + struct.pack("<I", 2**31 - 1) + data[-4:]
    elif data.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        data = data.replace(struct.pack("<q", 5), struct.pack("<q", 2**40))
    else:
        data = data.replace(b"[12,5]", b"[99,5]")
    path.write_bytes(data)


DATA: dict[str, Array] = {
    "labels": LABELS,
    "mask": np.ones(N, bool),
    "weight": np.ones(N),
    "sequence_id": np.repeat([0, 1, 2], 4),
}
SAME = slice(0, N)
LIKE_MASKED = np.ma.masked_array(np.ones(N, bool), mask=np.zeros(N, bool))
NULLS, COLUMNS, LISTS = frozenset({"nulls"}), frozenset({"columns"}), frozenset({"lists"})
ONCE, IN_FILE = frozenset({"once"}), frozenset({"file"})
ARRAY, CUBE, SLICED = frozenset({"array"}), frozenset({"cube"}), frozenset({"sliced"})
CASES: dict[str, Case] = {
    "label out of range": Case(
        "label out of range", put("labels", 3, V), "LabelError", "label 5 at position 3"
    ),
    "label far out of range": Case(
        "label out of range", put("labels", 3, 2**40), "LabelError", f"label {2**40} at position 3"
    ),
    "negative label": Case(
        "negative label", put("labels", 4, -1), "LabelError", "label -1 at position 4"
    ),
    "NaN": Case("NaN or inf", put("logits", (3, 1), np.nan), "NonFiniteError", "row 3"),
    "inf": Case("NaN or inf", put("logits", (7, 0), np.inf), "NonFiniteError", "row 7"),
    "nothing but -inf": Case("NaN or inf", put("logits", 7, -np.inf), "NonFiniteError", "row 7"),
    "null logits": Case("null logits", null_row, "NonFiniteError", "row 3.*null", NULLS),
    "null label": Case(
        "null labels",
        put("labels", 1, None),
        "LabelError",
        'position 1.*null_labels="ignore"',
        NULLS,
    ),
    "null in the mask": Case(
        "nulls in mask", put("mask", 3, None), "LabelError", "mask is null at position 3", NULLS
    ),
    "null id": Case(
        "nulls in mask", put("sequence_id", 2, None), "SequenceError", "null at position 2", NULLS
    ),
    "mask of another length": Case(
        "mask of wrong length", passed("mask", np.ones(N - 2, bool)), "ShapeError", "mask|rows"
    ),
    "mask of another type": Case(
        "mask of wrong length", replaced("mask", np.ones(N) * 0.5), "DTypeError", "mask"
    ),
    "mask of another value": Case(
        "mask of wrong length", replaced("mask", np.full(N, 2)), "LabelError", "mask is 2"
    ),
    "float labels": Case(
        "float or bool labels", replaced("labels", LABELS * 1.0), "DTypeError", "labels.*integers"
    ),
    "bool labels": Case(
        "float or bool labels", replaced("labels", LABELS > 1), "DTypeError", "labels.*integers"
    ),
    "negative weight": Case(
        "weights negative", put("weight", 5, -1), "LabelError", "weight is -1 at position 5"
    ),
    "weight that is no number": Case(
        "weights negative", put("weight", 5, np.nan), "LabelError", "weight is NaN at position 5"
    ),
    "weights of the vocabulary": Case(
        "weights negative", passed("weight", np.ones(V)), "ShapeError", "weight|rows"
    ),
    "zero vocabulary": Case(
        "zero vocabulary", of_logits(lambda x: x[:, :0]), "ShapeError", "vocabulary", ARRAY
    ),
    "zero vocabulary, of lists": Case(
        "zero vocabulary", of_logits(lambda x: x[:, :0]), "ShapeError", "vocabulary", SLICED
    ),
    "vocabulary in the middle": Case("`[B,V,T]`", cubed, "ShapeError", "shape|transpose", CUBE),
    "masked array as mask": Case(
        "`numpy.ma`", passed("mask", LIKE_MASKED), "DTypeError", "numpy.ma"
    ),
    "masked array as labels": Case(
        "`numpy.ma`", passed("weight", np.ma.masked_array(np.ones(N))), "DTypeError", "numpy.ma"
    ),
    "id that comes back": Case(
        "an id that comes back",
        replaced("sequence_id", np.array([1, 1, 2, 2, 1, 1] * 2)),
        "SequenceError",
        "comes back at position 4",
    ),
    "no labels": Case(
        "a missing column", without_labels, "SettingsError", "labels.*has: logits, other", COLUMNS
    ),
    "a column that is not there": Case(
        "a missing column",
        passed("mask", "nowhere"),
        "SettingsError",
        "'nowhere'.*has: logits, labels",
        COLUMNS,
    ),
    "16-bit integers": Case(
        "unknown element type",
        of_logits(lambda x: (x.view(np.uint32) >> 16).astype(np.uint16)),
        "DTypeError",
        "bf",
    ),
    "zero rows": Case(
        "zero rows",
        no_rows,
        rows=slice(0, 0),
        warns="NothingCountedWarning",
    ),
    "everything masked": Case(
        "zero rows",
        replaced("mask", np.zeros(N, bool)),
        rows=slice(0, 0),
        warns="NothingCountedWarning",
    ),
    "nothing counts, and that is an error": Case(
        "zero rows",
        nothing_counts,
        "LabelError",
        "nothing counted",
    ),
    "masked rows that hold anything": Case("rows that do not count", masked_out, rows=slice(5, N)),
    "rows that do not count": Case("rows that do not count", ignored, rows=SAME, left_out=1),
    "all of it": Case("read-only buffers", lambda _: None, rows=SAME),
    "read-only": Case("read-only buffers", of_logits(read_only), rows=SAME, needs=ARRAY),
    "misaligned": Case("misaligned buffers", of_logits(misaligned), rows=SAME, needs=ARRAY),
    "big-endian": Case(
        "big-endian arrays", of_logits(lambda x: x.astype(">f4")), rows=SAME, needs=ARRAY
    ),
    "negative strides": Case(
        "negative strides",
        of_logits(lambda x: x[::-1, ::-1].copy()[::-1, ::-1]),
        rows=SAME,
        needs=ARRAY,
    ),
    "other layouts": Case("negative strides", of_logits(np.asfortranarray), rows=SAME, needs=ARRAY),
    "a slice": Case("sliced arrays", sliced, rows=slice(3, N), needs=SLICED),
    "lists of other lengths": Case(
        "list of varying length", ragged, "ShapeError", "varying length|row 2", LISTS
    ),
    "read twice": Case("a consumed reader", unchanged, "SettingsError", "consumed", ONCE),
    "cut short": Case(
        "truncated or", unchanged, "CorruptInputError", "bytes|cut", IN_FILE, damage=cut
    ),
    "empty": Case("truncated or", unchanged, "CorruptInputError", "empty", IN_FILE, damage=emptied),
    "claims more": Case(
        "a declared size", unchanged, "CorruptInputError", "", IN_FILE, damage=claiming
    ),
    "a pickle in its place": Case(
        "torch pickles",
        unchanged,
        "CorruptInputError",
        "weights_only=True",
        IN_FILE,
        damage=pickled,
    ),
    "another vocabulary in the next file": Case(
        "V differs", unchanged, "ShapeError", "6|24|one vocabulary", IN_FILE
    ),
    "grows": Case(
        "a file that changes",
        unchanged,
        "InputChangedError",
        "changed while",
        IN_FILE,
        after=grown,
    ),
    "shrinks": Case(
        "a file that changes",
        unchanged,
        "InputChangedError",
        "changed while",
        IN_FILE,
        after=halved,
    ),
    "labels one place away": Case("labels that fit", shifted_labels, warns="LabelShiftWarning"),
    "the end token inside": Case("the end token", ends_inside, warns="TerminatorWarning"),
    "log-probabilities": Case("log-probabilities or", log_probabilities, warns="InputWarning"),
    "probabilities": Case("log-probabilities or", probabilities, warns="InputWarning"),
}


# ---- llama.cpp's files, which hold scores and labels of their own --------------------------------


def llama_file(folder: Path, *, vocab: int = V) -> Path:
    """Write two chunks of three rows, of which the last but one labels are 1."""
    rng = np.random.default_rng(6)
    tokens = rng.integers(0, vocab, (2, 8)).astype(np.int32)
    logits = rng.normal(size=(2, 8, vocab)).astype(np.float32)
    llama_writer.write(folder / "dump", logits, tokens)
    return folder / "dump"


LLAMA_ROWS = 20 + 4 * 16
"""Where its rows begin."""
LLAMA_ROW = 2 * (4 + V + V % 2)


def edited(at: int, kind: str, value: Any) -> Callable[[Path], None]:
    """Put a number into a file."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        struct.pack_into(kind, data, at, value)
        path.write_bytes(data)

    return change


def cut_at(size: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:size])

    return change


def damaged(line: str, says: str, damage: Callable[[Path], None], error: str = "") -> Case:
    return Case(line, unchanged, error or "CorruptInputError", says, damage=damage)


CORRUPT, CLAIMS = "truncated or", "a declared size"
SECOND = LLAMA_ROWS + LLAMA_ROW
LLAMA_CASES: dict[str, Case] = {
    "cut within a row": damaged(CORRUPT, "ends in row 1 of chunk 0", cut_at(SECOND + 5)),
    "cut between rows": damaged(CORRUPT, "ends in row 1 of chunk 0", cut_at(SECOND)),
    "cut in the tokens": damaged(CORRUPT, "ends in the list of tokens", cut_at(50)),
    "12 bytes": damaged(CORRUPT, "cut short at 12 bytes.*too short", cut_at(12)),
    "8 bytes": damaged(CORRUPT, "cut short at 8 bytes", cut_at(8)),
    "bytes behind the last row": damaged(CORRUPT, "4 bytes behind", grown),
    "empty": damaged(CORRUPT, "empty", emptied),
    "_logits2": damaged(CORRUPT, "a fork's second layout", edited(0, "8s", b"_logits2")),
    "scale NaN": damaged(CORRUPT, "scale nan", edited(SECOND, "<f", np.nan)),
    "scale negative": damaged(CORRUPT, "scale -1", edited(SECOND, "<f", -1.0)),
    "scale inf": damaged(CORRUPT, "scale inf", edited(SECOND, "<f", np.inf)),
    "lowest NaN": damaged(CORRUPT, "probability nan", edited(SECOND + 4, "<f", np.nan)),
    "lowest -inf": damaged(CORRUPT, "probability -inf", edited(SECOND + 4, "<f", -np.inf)),
    "lowest above 0": damaged(CORRUPT, "a log-probability of", edited(SECOND + 4, "<f", 9.0)),
    "n_vocab huge": damaged(CLAIMS, "n_vocab is 2147483647", edited(12, "<i", 2**31 - 1)),
    "n_vocab larger": damaged(CLAIMS, "cut short", edited(12, "<i", V + 2)),
    "n_vocab 0": damaged("zero vocabulary", "n_vocab is 0", edited(12, "<i", 0)),
    "n_vocab negative": damaged(CORRUPT, "n_vocab is -1", edited(12, "<i", -1)),
    "n_ctx 0": damaged(CORRUPT, "n_ctx is 0", edited(8, "<i", 0)),
    "n_ctx huge": damaged(CLAIMS, "cut short", edited(8, "<i", 2**31 - 1)),
    "n_chunk huge": damaged(CLAIMS, "cut short", edited(16, "<i", 2**31 - 1)),
    "n_chunk one more": damaged(CLAIMS, "cut short", edited(16, "<i", 3)),
    "n_chunk negative": damaged(CORRUPT, "n_chunk is -5", edited(16, "<i", -5)),
    "label out of range": damaged(
        "label out of range", "label 5 at position 0", edited(20 + 4 * 5, "<i", V), "LabelError"
    ),
    "negative label": damaged(
        "negative label", "label -7 at position 0", edited(20 + 4 * 5, "<i", -7), "LabelError"
    ),
    "a pickle in its place": damaged("torch pickles", "weights_only=True", pickled),
    "grows": Case(
        "a file that changes", unchanged, "InputChangedError", "changed while", after=grown
    ),
    "shrinks": Case(
        "a file that changes", unchanged, "InputChangedError", "changed while", after=halved
    ),
    "another vocabulary in the next file": Case("V differs", unchanged, "ShapeError", "6"),
    "mask of another length": CASES["mask of another length"],
    "masked array as mask": CASES["masked array as mask"],
    "a column that is not there": Case(
        "a missing column", passed("mask", "nowhere"), "SettingsError", "'nowhere'.*has: labels"
    ),
    "everything masked": Case(
        "zero rows",
        passed("mask", np.zeros(6, bool)),
        rows=slice(0, 0),
        warns="NothingCountedWarning",
    ),
}


# ---- the program ---------------------------------------------------------------------------------


def cases_of(source: str) -> dict[str, Case]:
    """Give the cases that a source can show."""
    if source == "llama.cpp":
        return LLAMA_CASES
    can = SOURCES[source].can
    found = {name: case for name, case in CASES.items() if case.needs <= can}
    return {name: case for name, case in found.items() if (source, name) not in CANNOT}


CANNOT = {
    ("Parquet of bytes", "16-bit integers"): "opaque bytes are read by the type that is stated"
}
"""What a source cannot show, although it seems so, and why."""


def written(source: str, folder: Path, given: Given) -> Passed:
    """Give what `scan` and the call are passed."""
    if source == "llama.cpp":
        return {"source": llama_file(folder, vocab=given.logits.shape[-1])}, {}
    return SOURCES[source].make(folder, given)


def run(source: str, name: str, case: Case, folder: Path) -> dict[str, Any]:
    """Run a case; gives what came of it."""
    given = Given()
    case.change(given)
    scan, call = written(source, folder, given)
    call |= given.beside | given.call
    if case.damage:
        case.damage(folder / "dump")
    if name == "another vocabulary in the next file":
        (folder / "next").mkdir()
        other = Given(logits=np.zeros((N, V + 1), np.float32))
        scan["source"] = [scan["source"], written(source, folder / "next", other)[0]["source"]]
        call = {part: [path, folder / "next" / part] for part, path in call.items()}
    opened = lm.scan(**scan)
    if case.after:
        opened.feed(lm.sources.data_of(**call)) if call else opened.feed()
        case.after(folder / "dump")
    if name == "read twice":
        lm.evaluate(opened, **call)
    report = lm.evaluate(opened, **call)
    return {"loss": report.loss, "num_tokens": report.num_tokens}


def outcome(source: str, name: str, case: Case, folder: Path) -> dict[str, Any]:
    """Run a case; gives what was raised or found, and the warnings."""
    folder.mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = run(source, name, case, folder)
        except Exception as error:  # noqa: BLE001 - the parent judges its class
            found = {
                "error": type(error).__name__,
                "message": str(error),
                "path": getattr(error, "path", None),
                "offset": getattr(error, "offset", None),
            }
    return {"case": name, **found, "warnings": [type(w.message).__name__ for w in caught]}


def main(folder: str, *sources: str) -> None:
    """Run all cases of some sources."""
    for place, source in enumerate(sources):
        for number, (name, case) in enumerate(cases_of(source).items()):
            here = Path(folder) / f"{place}-{number}"
            found = {"source": source, **outcome(source, name, case, here)}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
