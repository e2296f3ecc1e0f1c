"""What a file is, by its first bytes and never by its suffix."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from logitmeter.exceptions import CorruptInputError

__all__ = ["LLAMA", "is_llama", "sniff"]

LLAMA = b"_logits_"
"""What a file of logits of llama.cpp begins with."""
SUPPORTED = "Arrow IPC (file or stream), llama.cpp logits"
OTHERS = {
    b"PAR1": "Parquet",
    b"\x93NUMPY": "NumPy .npy",
    b"_logits2": "llama.cpp logits (a fork's second layout)",
    b"GGUF": "GGUF",
    b"FEA1": "Feather version 1",
    b"\x89HDF": "HDF5",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
}
HEAD_BYTES = 64
TORCH_HINT = (
    "a PyTorch pickle, which can run code when it is read; load it yourself and pass the tensors: "
    "saved = torch.load({path!r}, mmap=True, weights_only=True); "
    'lm.evaluate(saved["logits"], saved["labels"])'
)


def is_llama(path: str) -> bool:
    """Whether a file is one of llama.cpp's logits; False for what cannot be looked at."""
    try:
        return _head(path).startswith(LLAMA)
    except (CorruptInputError, OSError):
        return False


def sniff(path: str) -> str:
    """``"file"`` or ``"stream"``, the two kinds of Arrow IPC; anything else is refused by name."""
    head = _head(path)
    if head.startswith(b"ARROW1"):
        return "file"
    if head.startswith(b"\xff\xff\xff\xff"):
        return "stream"
    message = _named(path, head) or f"unknown format: the first bytes are {head[:8].hex(' ')}"
    raise CorruptInputError(message, path=path, offset=0, expected=SUPPORTED, got=head[:8].hex(" "))


def _head(path: str) -> bytes:
    status = os.stat(path)  # noqa: PTH116 - one call for kind and size
    if not stat.S_ISREG(status.st_mode):
        message = "not a regular file"
        raise CorruptInputError(message, path=path, expected=SUPPORTED)
    if status.st_size == 0:
        message = "the file is empty"
        raise CorruptInputError(message, path=path, offset=0, expected=SUPPORTED, got="0 bytes")
    with Path(path).open("rb") as file:
        return file.read(HEAD_BYTES)


def _named(path: str, head: bytes) -> str | None:
    """Give what is wrong with a file of a format that is known, but not read."""
    if head[:1] == b"\x80" or (head[:2] == b"PK" and b"data.pkl" in head):
        return TORCH_HINT.format(path=path)
    if head[:2] == b"PK":
        return f"a zip archive (.npz?), which is not read; supported: {SUPPORTED}"
    for magic, name in OTHERS.items():
        if head.startswith(magic):
            return f"a {name} file, which is not read so far; supported: {SUPPORTED}"
    if head[8:9] == b"{" and head[3:8] == bytes(5):
        return f"a safetensors file, which is not read so far; supported: {SUPPORTED}"
    return None
