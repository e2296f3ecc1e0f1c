"""What the Arrow type of a column of logits says: the length of a row, its bytes, its element."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from logitmeter.sources.dtypes import element_name

__all__ = [
    "METADATA_KEY",
    "is_list",
    "row_bytes",
    "stated_element",
    "storage_of",
    "stored",
    "vocab_of",
]

METADATA_KEY = "logitmeter.dtype"
"""Metadata of a field, or of its schema, that name the element type: ``bfloat16``."""
SIZES = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}


def storage_of(kind: Any) -> Any:
    """Give the type beneath an extension type."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def stored(array: pa.Array) -> pa.Array:
    """Give the array beneath an extension type."""
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def is_list(kind: Any) -> bool:
    """Whether a column of this type holds a list a row."""
    kind = storage_of(kind)
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def vocab_of(kind: Any, element: str | None = None) -> int | None:
    """Give the V that a type states; None if only the rows themselves tell.

    Rows of opaque bytes state it together with their element type.
    """
    if kind is None:
        return None
    storage = storage_of(kind)
    if len(getattr(kind, "shape", [])) > 1:
        return None
    if pa.types.is_fixed_size_list(storage):
        nested = pa.types.is_nested(storage_of(storage.value_type))
        return None if nested else int(storage.list_size)
    if pa.types.is_fixed_size_binary(storage) and element:
        vocab, rest = divmod(int(storage.byte_width), SIZES[element])
        return None if rest else vocab
    return None


def row_bytes(kind: Any) -> int | None:
    """Give the bytes of a row of logits."""
    storage = storage_of(kind)
    if pa.types.is_fixed_size_binary(storage):
        return int(storage.byte_width)
    vocab = vocab_of(kind)
    try:
        return None if vocab is None else vocab * int(storage_of(storage.value_type).bit_width) // 8
    except ValueError:  # no width of their own: strings, refused when they are read
        return None


def stated_element(schema: pa.Schema, logits: str) -> str | None:
    """Give the element type that metadata state, of the field first."""
    key = METADATA_KEY.encode()
    for metadata in (schema.field(logits).metadata, schema.metadata):
        if metadata and key in metadata:
            return element_name(metadata[key].decode(errors="replace"))
    return None
