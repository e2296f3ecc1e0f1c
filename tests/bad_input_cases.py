"""Bad and awkward input by source: the lines of the lists, as changes of what is given."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bad_input_sources import LABELS, LOGITS, SMALLEST_TORCH, Array, Given, N, V

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
