"""fuzz_parsers.py SECONDS [SEED]: damaged files for the parsers that are ours in Python.

Small files (`.npy`, safetensors, llama.cpp's logits, Arrow IPC whose batches are cut by rows) are
changed at random and scored. Each gives a report or an error of logitmeter: another exception, ten
seconds without an end, or a gibibyte of memory more is a failure, whose file is kept in
target/fuzz/artifacts.
"""

from __future__ import annotations

import io
import json
import random
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NoReturn

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
from logitmeter.sources import place

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "target" / "fuzz"
ROWS, VOCAB = 6, 5
LOGITS = np.random.default_rng(1).normal(size=(ROWS, VOCAB)).astype(np.float32)
LABELS = np.arange(ROWS) % VOCAB
ROOM = 1 << 30
PATIENCE = 10
INTERESTING = (0, 1, 2, 4, 0x7F, 0x80, 0xFF, ord("9"), ord("-"), ord("("), ord('"'), ord("{"))
LARGE = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**31, 2**32, 2**40, 2**62, 2**63 - 1)
TOKENS = (
    b"-1",
    b"99999999999",
    b"1e9",
    b"[]",
    b"()",
    b"{}",
    b"None",
    b"null",
    b"\xff",
    b"O",
    b"V2",
)


def npy() -> bytes:
    """Give an array of logits."""
    out = io.BytesIO()
    np.save(out, LOGITS)
    return out.getvalue()


def tensors() -> bytes:
    """Give logits and labels in one file."""
    head = {
        "logits": {"dtype": "F32", "shape": [ROWS, VOCAB], "data_offsets": [0, LOGITS.nbytes]},
        "labels": {
            "dtype": "I64",
            "shape": [ROWS],
            "data_offsets": [LOGITS.nbytes, LOGITS.nbytes + LABELS.nbytes],
        },
    }
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + LOGITS.tobytes() + LABELS.tobytes()


def llama() -> bytes:
    """Give two chunks of three rows."""
    head = struct.pack("<8siii16i", b"_logits_", 8, VOCAB, 2, *range(5), *[1] * 11)
    return head + struct.pack("<ff6H", 1e-4, -7.0, 9, 65535, 8, 3, 1, 0) * 6


def arrow(*, stream: bool) -> bytes:
    """Give two batches."""
    rows = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), VOCAB)
    table = pa.table({"logits": rows, "labels": LABELS, "note": [str(i) for i in range(ROWS)]})
    out = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return out.getvalue()


SEEDS = {
    "npy": npy(),
    "safetensors": tensors(),
    "llama.cpp": llama(),
    "Arrow file": arrow(stream=False),
    "Arrow stream": arrow(stream=True),
}


def replacement(rng: random.Random) -> tuple[int, bytes]:
    """Give how many bytes are taken out, and what is put in their place."""
    width = rng.choice([2, 4, 8])
    number = (rng.choice(LARGE) % (1 << (8 * width))).to_bytes(width, "little")
    changes = [
        (1, bytes([rng.choice(INTERESTING)])),
        (width, number),
        (rng.choice([1, 2, 8, 50]), b""),
        (0, rng.choice(TOKENS)),
        (2, rng.choice(TOKENS)),
        (sys.maxsize, b""),
    ]
    return rng.choice(changes)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Change a file in one place or some, most often among its first bytes."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        reach = len(data) if rng.random() < 0.3 else min(len(data), 400)  # noqa: PLR2004
        at = rng.randrange(max(1, reach))
        taken, put = replacement(rng)
        data = data[:at] + put + data[at + taken :]
    return data


def score(path: Path, name: str) -> None:
    """Score a file, in one of the ways in which it may be read."""
    labels = np.zeros(ROWS, int) if name == "npy" else None
    for memory_map in (False, True):
        lm.evaluate(lm.scan(path, labels=labels, memory_map=memory_map), nonfinite="propagate")


def too_long(*_: object) -> NoReturn:
    """End what takes too long."""
    raise RuntimeError("no end after ten seconds")


def main(seconds: float, seed: int) -> None:
    """Run until the time is up, or a failure."""
    warnings.simplefilter("ignore")
    place.READ_BYTES = 2 * VOCAB * 4  # of which even these small files have more
    FOLDER.mkdir(parents=True, exist_ok=True)
    artifacts = FOLDER / "artifacts"
    artifacts.mkdir(exist_ok=True)
    signal.signal(signal.SIGALRM, too_long)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, -1))
    rng = random.Random(seed)  # noqa: S311 - repeated by its seed
    counts: Counter[tuple[str, str]] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = rng.choice(list(SEEDS))
        path = FOLDER / "damaged"
        path.write_bytes(mutated(rng, SEEDS[name]))
        signal.alarm(PATIENCE)
        try:
            score(path, name)
            counts[name, "scored"] += 1
        except lm.exceptions.LogitmeterError:
            counts[name, "refused"] += 1
        except BaseException:  # noqa: BLE001 - whatever it is
            kept = path.rename(artifacts / f"{name.replace(' ', '-')}-{sum(counts.values())}")
            traceback.print_exc()
            sys.exit(f"fuzz: {name} failed with the file {kept}")
        signal.alarm(0)
    for (name, result), count in sorted(counts.items()):
        print(f"fuzz: {name}: {count} {result}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())  # noqa: PLR2004
