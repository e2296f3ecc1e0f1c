"""Element types of logits, however they are spelt, by the name that NumPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from logitmeter.exceptions import DTypeError

__all__ = ["arrow_type", "check_stated", "element_name", "element_of", "element_of_array"]

ALIASES = {
    "float16": {"float16", "f16", "fp16", "half"},
    "bfloat16": {"bfloat16", "bf16"},
    "float32": {"float32", "f32", "fp32", "float", "single"},
    "float64": {"float64", "f64", "fp64", "double"},
}
NAMES = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


def element_name(dtype: object) -> str | None:
    """Give the NumPy name of an element type: of "bf16", "BF16", np.float16, torch.bfloat16, ..."""
    if dtype is None:
        return None
    name = NAMES.get(_spelling(dtype))
    if name is None:
        message = f"dtype {dtype!r} is no element type of logits"
        raise DTypeError(message, expected=", ".join(ALIASES), got=repr(dtype))
    return name


def _spelling(dtype: object) -> str:
    if isinstance(dtype, str):
        return dtype.lower()
    text = str(dtype)
    if text.startswith("torch."):
        return text.removeprefix("torch.")
    try:
        return np.dtype(dtype).name  # type: ignore[call-overload, no-any-return]
    except TypeError:
        return text


def element_of_array(array: np.ndarray[Any, Any], stated: str | None) -> str:
    """Give the element type of logits; 16-bit integers hold bf16 only where that is stated."""
    return element_of(str(array.dtype.name), stated)


def element_of(name: str, stated: str | None) -> str:
    """Give the same by the name of the dtype."""
    if name in {"uint16", "int16"}:
        return _stated_sixteen_bits(name, stated)
    if name not in ALIASES:
        message = f"logits of dtype {name} cannot be read"
        raise DTypeError(message, expected=", ".join(ALIASES), got=name)
    check_stated(name, stated)
    return name


def check_stated(element: str, stated: str | None) -> None:
    """Refuse a stated element type that is not the one there is."""
    if stated not in {None, element}:
        message = f"dtype={stated!r} was stated, but the logits are {element}"
        raise DTypeError(message, expected=stated, got=element)


def _stated_sixteen_bits(name: str, stated: str | None) -> str:
    if stated == "bfloat16":
        return stated
    message = (
        f"logits of dtype {name}: 16-bit integers have no element type of their own; "
        'if they hold bfloat16, say so: lm.scan(logits, dtype="bf16")'
    )
    raise DTypeError(message, expected='dtype="bf16"', got=f"dtype={stated!r}")


def arrow_type(element: str) -> pa.DataType:
    """How one logit travels: bfloat16, which Arrow lacks, as uint16."""
    types = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}
    return types.get(element, pa.uint16())
