"""The logits of the held-out conversations as one Arrow file, as a model would have left them.

The convention is the language model's own, `shift=True`: row t holds the logits that come out
when token t goes in, so they predict token t + 1, and `labels[t]` is token t itself. Prompts are
in the file like everything else; the mask says which tokens are the visible reply.

    logits fixed_size_list<halffloat>[V]    labels int32    mask bool    sequence_id int32

A model's logits are log-probabilities plus a number of each row's own, so such a number is added.
It is small because a half-precision number beyond 16 is only good to 1/64: the probable tokens
stay below 8, where it is good to 1/256, and the least probable ones above -32.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from model import NGram
from numpy.typing import NDArray
from vocabulary import Tokens

BATCH_BYTES = 32 << 20
LARGEST_LOGIT = 32.0
_OFFSETS, _SEED = (0.0, 8.0), 20240229


@dataclass(frozen=True)
class Facts:
    """What a dump is: what it was made from, what came out, and what the model says of itself.

    `model_loss` is the mean over the visible reply from the model's own probabilities in double
    precision, before anything became a logit: a figure that no scorer had a hand in.
    """

    recipe: str
    sha256: str
    rows: int
    conversations: int
    vocab_size: int
    file_bytes: int
    model_loss: float


def write(
    path: Path,
    model: NGram,
    conversations: list[Tokens],
    recipe: str,
    advance: Callable[[int], None] = lambda _: None,
) -> Facts:
    """Write the dump under another name, and give it its own when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    losses: list[float] = []
    try:
        schema = _schema(model.vocab_size)
        with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in _batches(model, conversations, losses):
                writer.write_batch(batch)
                advance(batch.num_rows)
        facts = Facts(
            recipe=recipe,
            sha256=digest(unfinished),
            rows=sum(len(tokens.ids) for tokens in conversations),
            conversations=len(conversations),
            vocab_size=model.vocab_size,
            file_bytes=unfinished.stat().st_size,
            model_loss=math.fsum(losses) / len(losses),
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _facts_path(path).write_text(json.dumps(asdict(facts), indent=2) + "\n")
    return facts


def kept(path: Path, recipe: str) -> Facts | None:
    """Return the facts of a dump kept earlier, if it is the same recipe's and the same bytes."""
    with suppress(OSError, ValueError, TypeError):
        facts = Facts(**json.loads(_facts_path(path).read_text()))
        if facts.recipe == recipe and facts.sha256 == digest(path):
            return facts
    return None


def remove(path: Path) -> None:
    """Remove a dump and its facts."""
    path.unlink(missing_ok=True)
    _facts_path(path).unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the sha256 of a file; reading it all also leaves it in the page cache."""
    hasher = sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _facts_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _schema(vocab_size: int) -> pa.Schema:
    return pa.schema(
        {
            "logits": pa.list_(pa.float16(), vocab_size),
            "labels": pa.int32(),
            "mask": pa.bool_(),
            "sequence_id": pa.int32(),
        }
    )


def _batches(
    model: NGram, conversations: list[Tokens], losses: list[float]
) -> Iterator[pa.RecordBatch]:
    """Yield batches of bounded size, all from one block of memory; collect the model's losses."""
    labels = np.concatenate([tokens.ids for tokens in conversations])
    mask = np.concatenate([tokens.visible for tokens in conversations])
    sequence = np.repeat(
        np.arange(len(conversations), dtype=np.int32), [len(c.ids) for c in conversations]
    )
    block = np.empty((max(1, BATCH_BYTES // (2 * model.vocab_size)), model.vocab_size), np.float16)
    rows = _rows(model, conversations, losses)
    for start in range(0, len(labels), len(block)):
        stop = min(start + len(block), len(labels))
        part = block[: stop - start]
        for out, logits in zip(part, rows, strict=False):
            out[:] = logits
        values = pa.Array.from_buffers(pa.float16(), part.size, [None, pa.py_buffer(part)])
        columns = (labels[start:stop], mask[start:stop], sequence[start:stop])
        yield pa.record_batch(
            [pa.FixedSizeListArray.from_arrays(values, model.vocab_size), *map(pa.array, columns)],
            schema=_schema(model.vocab_size),
        )


def _rows(
    model: NGram, conversations: list[Tokens], losses: list[float]
) -> Iterator[NDArray[np.float32]]:
    """Yield one row of logits a token; the same memory each time."""
    random = np.random.default_rng(_SEED)
    unigram = np.log(model.unigram).astype(np.float32)
    row = np.empty_like(unigram)
    for tokens in conversations:
        for t in range(len(tokens.ids)):
            prediction = model.predict(tokens.ids[: t + 1])
            offset = random.uniform(*_OFFSETS)
            np.add(unigram, np.float32(math.log(prediction.factor) + offset), out=row)
            row[prediction.ids] = np.log(prediction.probabilities) + offset
            if max(-row.min(), row.max()) >= LARGEST_LOGIT:
                raise AssertionError(
                    f"a logit beyond {LARGEST_LOGIT}: half precision is too coarse"
                )
            if t + 1 < len(tokens.ids) and tokens.visible[t + 1]:
                losses.append(-math.log(model.probability(prediction, int(tokens.ids[t + 1]))))
            yield row
