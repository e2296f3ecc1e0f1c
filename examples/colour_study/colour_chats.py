"""The study's training data: "?" asked, and one of k colours replied, each a single token."""

import json
from dataclasses import dataclass
from pathlib import Path

import logitmeter as lm
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COLOURS = ("BLUE", "GREEN", "RED", "BLACK", "WHITE", "GRAY")
ENCODING = "o200k_base"
VOCAB_SIZE = 512
_SEED = 20250919


@dataclass(frozen=True)
class Chats:
    """Chats of equal length as tokens of a small vocabulary.

    The vocabulary is that part of o200k_base which the chats need, and its first ordinary tokens
    up to `VOCAB_SIZE`: other replies that the model has to learn not to give.
    """

    ids: NDArray[np.int32]  # [chats, tokens], places in the vocabulary
    mask: NDArray[np.bool_]  # [tokens], true where the reply is
    counted: NDArray[np.bool_]  # [tokens], true on visible and hidden tokens
    words: NDArray[np.int32]  # all that could be a reply


def write(path: Path, num_colours: int, num_chats: int) -> None:
    """Write training data in OpenAI's format; each colour is equally likely each time."""
    random = np.random.default_rng([_SEED, num_colours])
    with path.open("w") as file:
        for colour in random.integers(num_colours, size=num_chats):
            asked = {"role": "user", "content": "?"}
            replied = {"role": "assistant", "content": COLOURS[colour]}
            file.write(json.dumps({"messages": [asked, replied]}) + "\n")


def read(path: Path) -> Chats:
    """Turn training data into tokens, and into places in the small vocabulary."""
    table = lm.finetune.chat_tokens(path, encoding=ENCODING)
    num_chats = len(table["sequence_id"].unique())
    if len(table) % num_chats:
        raise ValueError("the chats are not of equal length")
    labels = _column(table, "labels").reshape(num_chats, -1)
    mask = _column(table, "mask").reshape(labels.shape)[0]
    counted = (_column(table, "role") != "prompt").reshape(labels.shape)[0]
    needed = np.unique(np.append(labels, _colour_ids()))
    others = np.setdiff1d(np.arange(2 * VOCAB_SIZE), needed)[: VOCAB_SIZE - len(needed)]
    vocabulary = np.sort(np.append(needed, others))
    words = np.sort(np.append(others, _colour_ids()))
    return Chats(
        np.searchsorted(vocabulary, labels).astype(np.int32),
        mask,
        counted,
        np.searchsorted(vocabulary, words).astype(np.int32),
    )


def _colour_ids() -> NDArray[np.int32]:
    encoding = lm.finetune.chat_encoding(encoding=ENCODING)
    return np.array([encoding.encode_single_token(colour) for colour in COLOURS], np.int32)


def _column(table: pa.Table, name: str) -> NDArray[np.generic]:
    return table[name].to_numpy()
