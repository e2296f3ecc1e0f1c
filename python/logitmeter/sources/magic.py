"""What a file is, by its first bytes and never by its suffix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logitmeter.exceptions import CorruptInputError

if TYPE_CHECKING:
    from logitmeter.sources.place import Place

__all__ = ["HEAD_BYTES", "kind_of", "sniff"]

SUPPORTED = "Arrow IPC (file or stream), Parquet, NumPy .npy, safetensors, llama.cpp logits"
KINDS = {
    b"ARROW1": "file",
    b"\xff\xff\xff\xff": "stream",
    b"PAR1": "parquet",
    b"\x93NUMPY": "npy",
    b"_logits_": "llama",
}
OTHERS = {
    b"PARE": "Parquet, encrypted",
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


def sniff(place: Place) -> str:
    """Give the format: ``"file"`` and ``"stream"`` are Arrow IPC; others are refused by name."""
    place.stamp()  # before it is opened: that of a pipe would wait
    return kind_of(place.head(HEAD_BYTES), place.path)


def kind_of(head: bytes, path: str) -> str:
    """Give the same by the first bytes."""
    if not head:
        message = "the file is empty"
        raise CorruptInputError(message, path=path, offset=0, expected=SUPPORTED, got="0 bytes")
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            return kind
    if _is_safetensors(head):
        return "safetensors"
    got = head[:8].hex(" ")
    message = _named(path, head) or f"unknown format: the first bytes are {got}"
    raise CorruptInputError(message, path=path, offset=0, expected=SUPPORTED, got=got)


def _is_safetensors(head: bytes) -> bool:
    """Whether a header of less than a terabyte follows its length."""
    return head[8:9] == b"{" and head[5:8] == bytes(3)


def _named(path: str, head: bytes) -> str | None:
    """Give what is wrong with a file of a format that is known, but not read."""
    if head[:1] == b"\x80" or (head[:2] == b"PK" and b"data.pkl" in head):
        return TORCH_HINT.format(path=path)
    if head[:2] == b"PK":
        return f"a zip archive (.npz?), which is not read; supported: {SUPPORTED}"
    for magic, name in OTHERS.items():
        if head.startswith(magic):
            return f"a {name} file, which is not read so far; supported: {SUPPORTED}"
    return None
