"""From text to a dump on disk: the steps in order, and what each has to say for itself."""

import shutil
import time
from hashlib import sha256
from pathlib import Path

import dump
import numpy as np
import pyarrow as pa
import text
import vocabulary
from dump import Facts
from model import ORDER, NGram
from progress import Bar
from table import size
from vocabulary import Tokens

Line = tuple[str, str]  # a label and what it says

_HERE = Path(__file__).parent
_MAKERS = ("text.py", "vocabulary.py", "model.py", "dump.py", "prepare.py")


def prepare(path: Path, rows: int) -> tuple[Facts, bool, list[Line]]:
    """Make the dump, unless the same one was kept.

    Returns its facts, whether it was made now, and labelled lines for the reader.
    """
    topics = text.help_topics()
    training, held_out = text.split(topics)
    apart = len({conversation.topic for conversation in held_out})
    chats = f"{len(topics)} topics as {len(training) + len(held_out):,} chats"
    encoding = vocabulary.chat_encoding(vocabulary.token_table())
    vocab_size = encoding.max_token_value + 1
    lines = [
        ("text", f"Python's help, {chats}; {apart} topics ({len(held_out)} chats) held out"),
        ("vocabulary", f"cl100k_base with its chat tokens, V = {vocab_size:,}"),
    ]
    recipe, started = _recipe(topics, rows), time.perf_counter()
    facts = dump.kept(path, recipe)
    made = facts is None
    if facts is None:
        learnt = [vocabulary.encode(conversation, encoding).ids for conversation in training]
        model = NGram(learnt, vocab_size)
        learning = f"{sum(map(len, learnt)):,} tokens in {time.perf_counter() - started:.1f} s"
        lines.append(("model", f"Kneser-Ney {ORDER}-gram of {learning}; each row sums to 1"))
        started = time.perf_counter()
        chosen = vocabulary.first_rows((vocabulary.encode(c, encoding) for c in held_out), rows)
        facts = _write(path, model, chosen, recipe)
    how = (
        f"{'written' if made else 'kept earlier, checked'} in {time.perf_counter() - started:.1f} s"
    )
    what = f"{facts.rows:,} rows of half-precision logits from {facts.conversations} chats"
    return facts, made, [*lines, ("dump", what), ("", f"{size(facts.file_bytes)}, {how}")]


def _write(path: Path, model: NGram, chosen: list[Tokens], recipe: str) -> Facts:
    rows = sum(len(tokens.ids) for tokens in chosen)
    if not rows:
        raise ValueError("--rows: too few for one conversation; 200 is enough")
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = rows * model.vocab_size * 2, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(f"{path.parent}: {size(needed)} needed for the dump, {size(free)} free")
    with Bar("writing logits", rows) as bar:
        return dump.write(path, model, chosen, recipe, bar.advance)


def _recipe(topics: object, rows: int) -> str:
    """Hash all that decides the dump's bytes, so that a kept one is used only if it is the same."""
    hasher = sha256()
    for name in _MAKERS:
        hasher.update((_HERE / name).read_bytes())
    hasher.update(repr((topics, vocabulary.TABLE_SHA256, rows)).encode())
    hasher.update(f"numpy {np.__version__}, pyarrow {pa.__version__}".encode())
    return hasher.hexdigest()
