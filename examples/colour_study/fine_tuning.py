"""Fine-tuning as a service does it: one epoch in batches, the logits of each step kept.

The model comes to it as a chat model does: pre-trained on the same chats with any word as the
reply, so that it knows the format (the two hidden tokens) and expects no word more than another.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from colour_chats import VOCAB_SIZE, Chats
from numpy.typing import NDArray
from softmax_model import NextToken

PRETRAINING_STEPS, PRETRAINING_BATCH, PRETRAINING_RATE = 600, 64, 0.1
RATES = {1: 0.01, 4: 0.03}  # by batch size; falls to 0 in a straight line
PLATEAU = 0.75  # the last quarter of the steps
_BLOCK_ROWS = 4096

SCHEMA = pa.schema(
    {
        "logits": pa.list_(pa.float32(), VOCAB_SIZE),
        "labels": pa.int32(),
        "mask": pa.bool_(),
        "sequence_id": pa.int32(),
        "step": pa.int32(),
        "phase": pa.string(),
    }
)


def pretrained(chats: Chats) -> NextToken:
    """Learn the format of the chats, with words drawn at random as the replies.

    The colours in the chats are not looked at.
    """
    random = np.random.default_rng(1)
    model = NextToken(np.zeros((VOCAB_SIZE, VOCAB_SIZE)))
    for step in range(PRETRAINING_STEPS):
        batch = np.repeat(chats.ids[:1], PRETRAINING_BATCH, axis=0)
        batch[:, chats.mask] = random.choice(chats.words, (PRETRAINING_BATCH, 1))
        rate = PRETRAINING_RATE * (1 - step / PRETRAINING_STEPS)
        model.learn(*pairs(batch, chats.counted), rate)
    return model


def fine_tune(pretrained: NextToken, chats: Chats, batch_size: int, dump: Path) -> None:
    """Learn from each chat once, and write the logits that each step's loss is of."""
    model = NextToken(pretrained.table.copy())
    num_steps = len(chats.ids) // batch_size
    with pa.OSFile(str(dump), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for block in _blocks(model, chats, batch_size, num_steps):
            writer.write_batch(block)


def pairs(batch: NDArray[np.int32], counted: NDArray[np.bool_]) -> tuple[NDArray[np.int32], ...]:
    """Give the tokens that count, and before them those that they are predicted from."""
    places = np.flatnonzero(counted)
    return batch[:, places - 1].ravel(), batch[:, places].ravel()


def _blocks(
    model: NextToken, chats: Chats, batch_size: int, num_steps: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of many steps at a time; learn after each step's logits are taken."""
    length = chats.ids.shape[1]
    steps_a_block = _BLOCK_ROWS // (batch_size * length)
    for first in range(0, num_steps, steps_a_block):
        steps = np.arange(first, min(first + steps_a_block, num_steps))
        ids = chats.ids[: num_steps * batch_size].reshape(num_steps, batch_size, length)[steps]
        logits = np.empty((*ids.shape, VOCAB_SIZE), np.float32)
        for place, step in enumerate(steps):
            logits[place] = model.table[ids[place]]
            rate = RATES[batch_size] * (1 - step / num_steps)
            model.learn(*pairs(ids[place], chats.counted), rate)
        chat_numbers = np.arange(first * batch_size, (steps[-1] + 1) * batch_size)
        rows_of_steps = np.repeat(steps, batch_size * length)
        columns = {
            "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), VOCAB_SIZE),
            "labels": ids.ravel(),
            "mask": np.tile(chats.mask, len(chat_numbers)),
            "sequence_id": np.repeat(chat_numbers, length).astype(np.int32),
            "step": (rows_of_steps + 1).astype(np.int32),
            "phase": np.where(rows_of_steps < PLATEAU * num_steps, "learning", "plateau"),
        }
        yield pa.record_batch([pa.array(columns[name]) for name in SCHEMA.names], schema=SCHEMA)
