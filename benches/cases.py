"""Which work is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A variation of plain scoring, measured beside it in the same rounds."""

    name: str
    change: str = ""  # of the logits: see data.write_logits
    masked_rows: bool = False  # half of the rows do not count, in runs
    masked_vocab: bool = False  # half of the vocabulary has no probability, in blocks
    options: dict[str, Any] = field(default_factory=dict)
    isa: str = ""
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 0  # fewer where a round takes long


@dataclass(frozen=True)
class Group:
    """Logits of one type and width: plain scoring, and variations of it."""

    dtype: str
    vocab: int
    cases: tuple[Case, ...] = ()


PLAIN = Case("plain")
RUN_ROWS = 8
BLOCK_COLUMNS = 2_048

OFFSETS = tuple(
    Case(f"all logits offset by {offset}", f"offset {offset}", threads=(1,))
    for offset in ("200", "-300", "1e6")
)
TWO_PASSES = Case("every row read twice", "two_passes", threads=(1,))
AVX2 = Case("AVX2", isa="avx2")
PORTABLE = Case("portable", isa="portable", rounds=3)

GROUPS = (
    Group(
        "float32",
        128_256,
        (
            Case('precision="exact"', options={"precision": "exact"}),
            Case("half of the rows masked, in runs", masked_rows=True),
            Case("1,000 entries at -inf a row", "neg_inf"),
            Case("half of the vocabulary masked, in blocks", masked_vocab=True),
            *OFFSETS,
            TWO_PASSES,
            AVX2,
            PORTABLE,
        ),
    ),
    Group("float32", 201_088),
    Group("float32", 50_257),
    Group("float32", 32_000),
    Group("float32", 1_000, (*OFFSETS, TWO_PASSES)),
    Group("bfloat16", 128_256, (AVX2,)),
    Group("float16", 128_256, (AVX2,)),
    Group("float64", 32_000),
)

PEERS = (
    "naive NumPy",
    "SciPy log_softmax",
    "llama.cpp's loop",
    "torch cross_entropy + argmax",
    "torch.compile, fused",
)
# Which of them are tried on which logits, on one thread and on two where they have threads.
PEER_GROUPS = {("float32", 128_256): PEERS, ("bfloat16", 128_256): PEERS[3:]}
