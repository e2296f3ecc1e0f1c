"""Bad files of llama.cpp, which hold scores and labels of their own."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import llama_writer
import numpy as np
from bad_input_cases import CASES, Case, emptied, grown, halved, passed, pickled, unchanged
from bad_input_sources import V

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
