"""Streams that can only be read on: read once, and cuts and claims are noticed."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import (
    BatchSizeError,
    CorruptInputError,
    InputWarning,
    SettingsError,
)

if TYPE_CHECKING:
    from pathlib import Path

N, V = 12, 5
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)


def written() -> bytes:
    rows = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), V)
    table = pa.table({"logits": rows, "labels": LABELS})
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return out.getvalue()


WHOLE = written()


class Dripping(io.RawIOBase):
    """Gives a few bytes at a time, as pipes do, and says what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.most = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size)
        return self._data.read(min(7, size) if size >= 0 else 7)


@pytest.mark.parametrize("kind", [io.BytesIO, Dripping, pa.BufferReader])
def test_a_stream_gives_the_figures_of_its_rows(kind: type) -> None:
    assert lm.evaluate(kind(WHOLE)).to_json() == lm.evaluate(LOGITS, LABELS).to_json()


def test_an_open_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(WHOLE)
    with (tmp_path / "x").open("rb") as file:
        assert lm.evaluate(file).loss == lm.evaluate(LOGITS, LABELS).loss


def test_a_stream_is_read_once() -> None:
    source = lm.scan(io.BytesIO(WHOLE))
    lm.evaluate(source)
    with pytest.raises(SettingsError, match="has been consumed"):
        lm.evaluate(source)


def test_a_stream_without_its_end_marker_is_read_with_a_warning() -> None:
    with pytest.warns(InputWarning, match="no end marker"):
        assert lm.evaluate(io.BytesIO(WHOLE[:-8])).num_tokens == N


@pytest.mark.parametrize("size", [5, 40, 200, 450, 700, len(WHOLE) - 20])
def test_a_stream_cut_short_is_named_with_its_end(size: int) -> None:
    with pytest.raises(CorruptInputError, match=f"cut short, at {size} bytes") as caught:
        lm.evaluate(io.BytesIO(WHOLE[:size]))
    assert (caught.value.path, caught.value.offset) == ("-", size)


LENGTHS = {"a buffer": 4 * V * 4, "the body": 4 * V * 4 + 4 * 8}
"""What the messages say of a batch of four rows: of its logits, and of all."""


@pytest.mark.parametrize("declared", [2**31, 2**40, 2**62])
@pytest.mark.parametrize("what", LENGTHS)
def test_a_declared_size_takes_no_memory(what: str, declared: int) -> None:
    size = struct.pack("<q", LENGTHS[what])
    assert size in WHOLE
    stream = Dripping(WHOLE.replace(size, struct.pack("<q", declared)))
    with pytest.raises(BatchSizeError if what == "the body" else CorruptInputError):
        lm.evaluate(stream)
    assert stream.most <= 1 << 20


def test_nothing_is_no_stream() -> None:
    with pytest.raises(CorruptInputError, match="empty"):
        lm.scan(io.BytesIO())


@pytest.mark.parametrize("head", [b"PAR1", b"ARROW1\0\0", b"\x93NUMPY\1\0", b"hello"])
def test_other_formats_are_refused(head: bytes) -> None:
    with pytest.raises(CorruptInputError) as caught:
        lm.scan(io.BytesIO(head + bytes(60)))
    assert (caught.value.path, caught.value.offset) == ("-", 0)
