"""Tensors of torch, jax and others, as NumPy arrays, without importing what they come from.

A tensor of torch needs more than a view: it may need a gradient, hold bfloat16, or lie on another
device, whose rows are then copied to the host in blocks of at most 64 MiB as they are read.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter._rounding import widened
from logitmeter.exceptions import DTypeError
from logitmeter.sources.dtypes import ALIASES, check_stated, element_of_array
from logitmeter.sources.memory_numpy import Array, ArrayRows, Rows, check_shape, row_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_tensor", "rows_of", "to_numpy"]

DEVICE_BYTES = 64 << 20
"""The most that is copied from a device at once."""


def is_tensor(thing: object) -> bool:
    """Whether this is a torch tensor, or of a class derived from it."""
    return any(
        kind.__name__ == "Tensor" and kind.__module__.partition(".")[0] == "torch"
        for kind in type(thing).__mro__
    )


def rows_of(thing: Any, dtype: str | None) -> Rows:
    """Rows of logits of whatever array this is."""
    if not is_tensor(thing):
        return ArrayRows(to_numpy(thing), dtype)
    tensor = thing.detach()
    if _bf16(tensor):
        check_stated("bfloat16", dtype)
        dtype = "bfloat16"
    if tensor.device.type == "cpu":
        return ArrayRows(_host_array(tensor), dtype)
    return DeviceRows(tensor, dtype)


def to_numpy(thing: Any) -> Array:
    """Give a NumPy array of these values, without a copy where that can be had."""
    if is_tensor(thing):
        array = _host_array(thing.detach().cpu())
        return widened(array) if _bf16(thing) else array
    if hasattr(thing, "__array__") or not hasattr(thing, "__dlpack__"):
        return np.asarray(thing)
    try:
        return np.from_dlpack(thing)
    except (BufferError, RuntimeError, TypeError) as error:
        message = (
            f"{type(thing).__name__} cannot be read by NumPy ({error}); copy it to the host first"
        )
        raise DTypeError(
            message, expected="an array on the host", got=type(thing).__name__
        ) from error


class DeviceRows:
    """Rows of a tensor on another device."""

    waits = True

    def __init__(self, tensor: Any, dtype: str | None) -> None:
        self.shape = check_shape(tuple(tensor.shape))
        self._tensor = tensor
        self.element = element_of_array(self._copy(tensor[:0]), dtype)

    def whole(self) -> Array | None:
        """Nothing of it is in the host's memory."""
        return None

    def parts(self, b: int | None) -> Iterator[Array]:
        """Give copies of at most 64 MiB."""
        rows = self._tensor if b is None else self._tensor[b]
        row_bytes = self.shape[-1] * int(self._tensor.element_size())
        for start, stop in row_blocks(int(rows.shape[0]), row_bytes, DEVICE_BYTES):
            yield np.ascontiguousarray(self._copy(rows[start:stop]))

    @staticmethod
    def _copy(tensor: Any) -> Array:
        return _host_array(tensor.cpu())


def _bf16(tensor: Any) -> bool:
    return str(tensor.dtype) == "torch.bfloat16"


def _host_array(tensor: Any) -> Array:
    """Give the memory of a tensor on the host; bfloat16, which NumPy lacks, as uint16."""
    if _bf16(tensor):
        bits: Array = tensor.view(sys.modules["torch"].int16).numpy()
        return bits.view(np.uint16)
    try:
        array: Array = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        message = f"a tensor of dtype {tensor.dtype} cannot be read: {error}"
        raise DTypeError(message, expected=", ".join(ALIASES), got=str(tensor.dtype)) from error
    return array
