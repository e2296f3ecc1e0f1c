"""A plain writer of llama.cpp's files of logits, after its source: float32, one row at a time."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

F = np.float32


@dataclass(frozen=True)
class Written:
    """What a writer knows: the losses that it prints, and those that can be read again."""

    true: list[float]
    stored: list[float]
    censored: list[bool]
    chunk_rows: int

    def running(self) -> list[float]:
        """Give the perplexity over chunks 1 to k, for every k, of the losses as stored."""
        ends = range(self.chunk_rows, len(self.stored) + 1, self.chunk_rows)
        return [math.exp(math.fsum(self.stored[:end]) / end) for end in ends]


def row(logits: np.ndarray[tuple[int], np.dtype[np.float32]]) -> tuple[bytes, list[float]]:
    """Give a row as it is stored, and the log-probabilities that llama.cpp reads from it."""
    top = logits.max()
    bottom = max(logits.min(), F(top - F(16)))
    total = sum(float(np.exp(F(x - top))) for x in logits)
    low = F(F(bottom - top) - F(math.log(total)))
    scale = F(F(top - bottom) / F(65535))
    words = [0] * len(logits)
    if scale:
        inverse = F(F(1) / scale)
        words = [int(np.rint(F(inverse * F(x - bottom)))) if x > bottom else 0 for x in logits]
    padded = words + [0] * (len(words) % 2)
    stored = [float(F(F(scale * F(q)) + low)) for q in words]
    return struct.pack(f"<ff{len(padded)}H", scale, low, *padded), stored


def true_loss(logits: np.ndarray[tuple[int], np.dtype[np.float32]], label: int) -> float:
    x = [float(value) for value in logits]
    top = max(x)
    return top - x[label] + math.log(math.fsum(math.exp(value - top) for value in x))


def write(path: Path, logits: np.ndarray[tuple[int, int, int], np.dtype[np.float32]],
          tokens: np.ndarray[tuple[int, int], np.dtype[np.int32]]) -> Written:  # fmt: skip
    """Write chunks of logits [n_chunk, n_ctx, V]; of each the later half of the rows is kept."""
    chunks, n_ctx, vocab = logits.shape
    out = struct.pack("<8siii", b"_logits_", n_ctx, vocab, chunks)
    out += tokens.astype("<i4").tobytes()
    true, stored, censored = [], [], []
    for chunk in range(chunks):
        for position in range(n_ctx // 2, n_ctx - 1):
            x, label = logits[chunk, position], int(tokens[chunk, position + 1])
            data, logprobs = row(x)
            out += data
            true.append(true_loss(x, label))
            stored.append(-logprobs[label])
            censored.append(bool(x[label] <= x.max() - F(16)))
    path.write_bytes(out)
    return Written(true, stored, censored, n_ctx - 1 - n_ctx // 2)
