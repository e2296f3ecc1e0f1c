"""Files of logits that llama.cpp writes: ``llama-perplexity --kl-divergence-base FILE``.

Little-endian, without version or checksum::

    "_logits_" | i32 n_ctx, V, n_chunk | i32 tokens[n_chunk, n_ctx] | rows[n_chunk, R]

with R = n_ctx - 1 - n_ctx // 2 rows a chunk, each of them ``f32 scale | f32 low | u16 q[V]`` and a
word of padding where V is odd. Row r of a chunk scores its token n_ctx // 2 + r + 1::

    logprob(j) = scale * q[j] + low

which is rounded, by at most 1.3e-4 nat. The writer cuts a row off at 16 nats below its largest
entry: in such a row (65535 * scale is 16) q = 0 means "at most low", so that the loss of a label
there is at least -low, and may be anything above. Every chunk is a sequence.

Source: ``tools/perplexity/perplexity.cpp`` of llama.cpp, and files that it wrote.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import CorruptInputError
from logitmeter.sources.base import Block
from logitmeter.sources.file import File
from logitmeter.sources.memory_numpy import row_blocks
from logitmeter.sources.place import read_exactly
from logitmeter.sources.roles import SCORES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from logitmeter.sources.memory_numpy import Array

__all__ = ["LlamaFile"]

HEADER = np.dtype([("magic", "S8"), ("n_ctx", "<i4"), ("n_vocab", "<i4"), ("n_chunk", "<i4")])
LARGEST_VOCAB = 1 << 24
"""A row is read as a whole."""
NUMBERS = {
    "n_ctx": (8, 1, 2**31 - 1),
    "n_vocab": (12, 1, LARGEST_VOCAB),
    "n_chunk": (16, 0, 2**31 - 1),
}
"""Where each number of the header stands, and what it may be."""
WORD = 2
HEAD_WORDS = 4
"""Words of a row before its entries: scale and low."""
STEPS = 65535
FLOOR = 16 - 1e-3
"""A row as wide as this was cut off."""
ROUNDING = 1e-3
"""A log-probability may be so far above 0."""
BLOCK_BYTES = 8 << 20
COLUMNS = {part: kind for part, kind in SCORES.items() if part != "lse"}
SCHEMA = pa.schema({"labels": pa.int32(), "sequence_id": pa.int32(), **COLUMNS})


class Layout(NamedTuple):
    """Where everything lies, from the header."""

    n_ctx: int
    vocab: int
    chunks: int

    @property
    def rows(self) -> int:
        """Rows a chunk."""
        return self.n_ctx - 1 - self.n_ctx // 2

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; an odd vocabulary is padded."""
        return WORD * (HEAD_WORDS + self.vocab + self.vocab % 2)

    @property
    def start(self) -> int:
        """Where the rows begin."""
        return HEADER.itemsize + 4 * self.chunks * self.n_ctx

    @property
    def size(self) -> int:
        """What the file must hold."""
        return self.start + self.chunks * self.rows * self.row_bytes

    def row_at(self, chunk: int, row: int) -> int:
        """Where a row begins."""
        return self.start + (chunk * self.rows + row) * self.row_bytes

    def label_at(self, chunk: int, row: int) -> int:
        """Where the label of a row stands."""
        return HEADER.itemsize + 4 * (chunk * self.n_ctx + self.n_ctx // 2 + 1 + row)


class LlamaFile(File):
    """One file. The other columns are known without reading a row."""

    scored = True
    labels_apart = True
    schema = SCHEMA

    @property
    def vocab_size(self) -> int:
        """Entries a row."""
        return self.layout.vocab

    @property
    def num_rows(self) -> int:
        """Rows of all chunks."""
        return self.layout.chunks * self.layout.rows

    @cached_property
    def layout(self) -> Layout:
        """The header, which must say the size that the file has."""
        size = self.num_bytes
        head = self.place.head(HEADER.itemsize)
        if len(head) < HEADER.itemsize:
            hint = "; its writer leaves such a file where the text is too short for its context"
            raise self._cut(f"a header of {HEADER.itemsize} bytes", len(head), hint)
        found = np.frombuffer(head, HEADER)[0]
        layout = Layout(int(found["n_ctx"]), int(found["n_vocab"]), int(found["n_chunk"]))
        for (name, (offset, low, high)), number in zip(NUMBERS.items(), layout, strict=True):
            if not low <= number <= high:
                message = f"{name} is {number}"
                raise self._corrupt(message, offset, f"{low} to {high}", str(number))
        if size < layout.size:
            raise self._cut(f"{layout.size} bytes by its header", size, self._where(layout, size))
        if size > layout.size:
            message = f"{size - layout.size} bytes behind the last row"
            raise self._corrupt(message, layout.size, f"{layout.size} bytes", f"{size} bytes")
        return layout

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its rows, chunk after chunk; they are read only for the scores."""
        layout = self.layout
        self.check_unchanged()
        with self.place.open(memory_map=self.memory_map) as file:
            for chunk in range(layout.chunks):
                for start, end in row_blocks(layout.rows, layout.row_bytes, BLOCK_BYTES):
                    columns = self._columns(file, chunk, start, end - start, names)
                    yield Block(end - start, columns)
        self.check_unchanged()

    def _columns(
        self, file: pa.NativeFile, chunk: int, start: int, rows: int, names: Collection[str]
    ) -> dict[str, pa.Array]:
        layout = self.layout
        labels = self._read(file, layout.label_at(chunk, start), "<i4", rows)
        columns = {
            "labels": pa.array(labels.astype(np.int32)),
            "sequence_id": pa.array(np.full(rows, chunk, np.int32)),
        }
        if not COLUMNS.keys().isdisjoint(names):
            offset = layout.row_at(chunk, start)
            words = self._read(file, offset, "<u2", rows * layout.row_bytes // WORD)
            columns |= self._scores(words.reshape(rows, -1), labels, offset)
        return {name: array for name, array in columns.items() if name in names}

    def _scores(self, words: Array, labels: Array, offset: int) -> dict[str, pa.Array]:
        layout = self.layout
        heads = words[:, :HEAD_WORDS].copy().view("<f4").astype(np.float64)
        scale, low = heads[:, 0], heads[:, 1]
        bad = ~(np.isfinite(scale) & np.isfinite(low) & (scale >= 0))
        if bad.any():
            row = int(bad.argmax())
            got = f"{scale[row]:g} and {low[row]:g}"
            message = f"a row of scale {got.replace(' and', ' and lowest log-probability')}"
            expected = "finite numbers, the scale at least 0"
            raise self._corrupt(message, offset + row * layout.row_bytes, expected, got)
        known = (labels >= 0) & (labels < layout.vocab)  # the core refuses others where they count
        place = np.where(known, labels, 0)
        scored = _scored(words[:, HEAD_WORDS : HEAD_WORDS + layout.vocab], place, scale, low)
        above = known & (scored["nll"] < -ROUNDING)
        if above.any():
            row = int(above.argmax())
            got = f"{-scored['nll'][row]:g}"
            message = f"a log-probability of {got}, of token {labels[row]}"
            raise self._corrupt(message, offset + row * layout.row_bytes, "at most 0", got)
        scored["nll"] = np.maximum(scored["nll"], 0.0) + 0.0  # never -0.0
        return {name: pa.array(scored[name], kind, mask=~known) for name, kind in COLUMNS.items()}

    def _read(self, file: pa.NativeFile, offset: int, kind: str, count: int) -> Array:
        size = np.dtype(kind).itemsize * count

        def cut(end: int) -> CorruptInputError:
            self.check_unchanged()
            return self._cut(f"{size} bytes at {offset}", end, "")

        return np.frombuffer(read_exactly(file, offset, size, cut), kind)

    def _where(self, layout: Layout, size: int) -> str:
        """Say in which row a file ends."""
        if size < layout.start:
            return "; it ends in the list of tokens"
        row = (size - layout.start) // layout.row_bytes
        return f"; it ends in row {row % layout.rows} of chunk {row // layout.rows}"

    def _cut(self, expected: str, size: int, hint: str) -> CorruptInputError:
        message = f"cut short at {size} bytes, where {expected} are needed{hint}"
        return self._corrupt(message, size, expected, f"{size} bytes")

    def _corrupt(
        self, message: str, offset: int | None, expected: str, got: str
    ) -> CorruptInputError:
        message = f"llama.cpp logits: {message}"
        return CorruptInputError(message, path=self.path, offset=offset, expected=expected, got=got)


def _scored(q: Array, place: Array, scale: Array, low: Array) -> dict[str, Array]:
    """Give loss and rank of one entry of each row, as they are stored."""
    own = q[np.arange(len(q)), place]
    # Row by row: NumPy counts along one axis alone many times faster than along rows of many.
    rows = list(zip(q, own, place, strict=True))
    greater = np.array([np.count_nonzero(row > word) for row, word, _ in rows])
    ties = np.array([np.count_nonzero(row == word) for row, word, _ in rows]) - 1
    before = np.array([np.count_nonzero(row[:at] == word) for row, word, at in rows])
    nll = -(scale * own + low)
    floor = (own == 0) & (STEPS * scale >= FLOOR)  # anything may have been there
    return {
        "nll": nll,
        "nll_high": np.where(floor, np.inf, np.maximum(nll, 0.0)),
        "rank": np.where(floor, greater, greater + before),
        "rank_high": np.where(floor, greater + ties, greater + before),
        "greater": greater,
        "ties": np.where(floor, 0, ties),
    }
