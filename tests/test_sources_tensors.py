"""Tensors of torch and jax, by stand-ins that record what is asked of them."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from logitmeter.exceptions import DTypeError
from logitmeter.sources import Data, scan
from logitmeter.sources.memory_torch import DEVICE_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

B, T, V = 2, 3, 4
DEEP = np.arange(B * T * V, dtype=np.float32).reshape(B, T, V)


class Device:
    def __init__(self, kind: str) -> None:
        self.type = kind


class Tensor:
    """What of ``torch.Tensor`` is used, over a NumPy array; the calls are written down."""

    calls: list[tuple[Any, ...]]

    def __init__(
        self, array: Any, device: str = "cpu", calls: Any = None, *, grad: bool = False
    ) -> None:
        self._array = array
        self.device = Device(device)
        self.calls = [] if calls is None else calls
        self.requires_grad = grad

    def _like(self, array: Any, device: str | None = None) -> Tensor:
        return type(self)(array, device or self.device.type, self.calls, grad=self.requires_grad)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> str:
        return f"torch.{self._array.dtype.name}"

    def element_size(self) -> int:
        return int(self._array.itemsize)

    def detach(self) -> Tensor:
        self.calls.append(("detach",))
        return type(self)(self._array, self.device.type, self.calls)

    def cpu(self) -> Tensor:
        if self.device.type != "cpu":
            self.calls.append(("cpu", self._array.nbytes))
        return self._like(self._array, "cpu")

    def view(self, dtype: Any) -> Tensor:
        self.calls.append(("view", dtype))
        return self._like(self._array.view(dtype))

    def __getitem__(self, index: Any) -> Tensor:
        return self._like(self._array[index])

    def numpy(self) -> Any:
        if self.device.type != "cpu":
            raise TypeError("can't convert device tensor to numpy")
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        if self._array.dtype.name == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._array


class Parameter(Tensor):
    """A class derived from it, of another module."""


Tensor.__module__ = "torch"


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch")
    module.int16 = np.int16  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)


def read(source: Any, labels: Any = None, **data: Any) -> pa.Table:
    return scan(source).feed(Data(labels, **data)).batches().read_all()


def values(found: pa.Table) -> np.ndarray[Any, Any]:
    return np.array(found["logits"].to_pylist())


@pytest.mark.parametrize("kind", [Tensor, Parameter])
def test_a_tensor_on_the_host_is_detached_and_not_copied(kind: type[Tensor]) -> None:
    tensor = kind(DEEP, grad=True)
    (batch,) = read(tensor).to_batches()
    assert batch["logits"].values.buffers()[1].address == DEEP.ctypes.data
    assert tensor.calls == [("detach",)]


def test_bfloat16_is_viewed_as_its_bits() -> None:
    tensor = Tensor(DEEP.astype(ml_dtypes.bfloat16))
    found = scan(tensor).feed()
    assert found.dtype == "bfloat16"
    assert np.array_equal(
        values(found.batches().read_all()), tensor._array.view(np.uint16).reshape(-1, V)
    )
    assert ("view", np.int16) in tensor.calls


def test_a_tensor_on_a_device_is_copied_in_blocks_as_it_is_read() -> None:
    tensor = Tensor(np.zeros((5, 2**23), np.float32), "cuda")
    found = scan(tensor).feed()
    assert found.read_ahead
    assert tensor.calls == [("detach",), ("cpu", 0)]
    assert found.batches().read_all().num_rows == 5
    assert [size for _, size in tensor.calls[2:]] == [DEVICE_BYTES, DEVICE_BYTES, DEVICE_BYTES // 2]


def test_bfloat16_on_a_device() -> None:
    tensor = Tensor(DEEP.astype(ml_dtypes.bfloat16), "cuda")
    assert np.array_equal(values(read(tensor)), tensor._array.view(np.uint16).reshape(-1, V))


def test_labels_are_checked_before_a_device_is_read() -> None:
    tensor = Tensor(DEEP, "cuda")
    found = scan(tensor).feed(Data(Tensor(np.zeros((B, T), int), "cuda")))
    found.without_logits().batches().read_all()
    assert [size for _, size in tensor.calls[1:]] == [0]


def test_data_may_be_tensors() -> None:
    weight = Tensor(np.arange(B * T).reshape(B, T).astype(ml_dtypes.bfloat16), "cuda")
    found = read(DEEP, Tensor(np.ones((B, T), np.int64), "cuda"), weight=weight)
    assert found["weight"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert found["labels"].to_pylist() == [1] * B * T


def test_element_types_that_cannot_be_read_are_named() -> None:
    with pytest.raises(DTypeError, match="int64"):
        scan(Tensor(np.zeros((B, V), np.int64)))
    with pytest.raises(DTypeError, match="the logits are bfloat16"):
        scan(Tensor(DEEP.astype(ml_dtypes.bfloat16)), dtype="float32")


class Jax:
    """An array with ``__array__`` alone."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._array


class Dlpack:
    """An array with ``__dlpack__`` alone."""

    def __init__(self, array: Any, device: int = 1) -> None:
        self._array = array
        self._device = device

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self._device, 0)

    def __dlpack__(self, **options: Any) -> Any:
        if self._device != 1:
            raise BufferError("on a device")
        return self._array.__dlpack__(**options)


@pytest.mark.parametrize("wrap", [Jax, Dlpack])
def test_other_arrays_go_through_their_protocols_without_a_copy(wrap: Any) -> None:
    (batch,) = read(wrap(DEEP)).to_batches()
    assert batch["logits"].values.buffers()[1].address == DEEP.ctypes.data


def test_a_jax_bfloat16() -> None:
    assert scan(Jax(DEEP.astype(ml_dtypes.bfloat16))).feed().dtype == "bfloat16"


def test_an_array_on_a_device_says_what_to_do() -> None:
    with pytest.raises(DTypeError, match="copy it to the host"):
        scan(Dlpack(DEEP, 2))


def test_importing_loads_neither_pyarrow_nor_tiktoken_nor_torch() -> None:
    code = (
        "import sys, logitmeter; dir(logitmeter); logitmeter.exceptions; "
        "print(sorted({'pyarrow', 'tiktoken', 'torch', 'polars'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert found.stdout == "[]\n"
