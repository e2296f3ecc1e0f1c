"""Tensors of a real torch, against NumPy and against torch's own cross entropy."""

from __future__ import annotations

from typing import Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pytest
import torch

pytestmark = pytest.mark.torch

B, T, V = 3, 7, 33


@pytest.fixture
def logits() -> Any:
    return torch.randn(B, T, V, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> Any:
    return torch.randint(0, V, (B, T), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_loss_is_torch_s_cross_entropy(logits: Any, labels: Any, dtype: Any) -> None:
    logits = logits.to(dtype)
    report = lm.evaluate(logits, labels)
    wide = logits.double().reshape(-1, V)
    expected = torch.nn.functional.cross_entropy(wide, labels.reshape(-1)).item()
    assert report.loss == pytest.approx(expected, rel=2e-6)
    assert report.elements == (str(dtype).removeprefix("torch."),)


def test_shift_is_what_language_models_do(logits: Any, labels: Any) -> None:
    one = lm.evaluate(logits, labels, shift=True)
    assert one == lm.evaluate(logits[:, :-1], labels, shift=True)
    expected = torch.nn.functional.cross_entropy(
        logits[:, :-1].double().reshape(-1, V), labels[:, 1:].reshape(-1)
    ).item()
    assert one.loss == pytest.approx(expected, rel=2e-6)


def test_a_tensor_on_the_host_is_not_copied(logits: Any) -> None:
    (batch,) = pa.table(lm.scan(logits)).to_batches()
    assert batch["logits"].values.buffers()[1].address == logits.data_ptr()


def test_a_tensor_that_needs_a_gradient_is_detached(logits: Any, labels: Any) -> None:
    plain = lm.evaluate(logits, labels)
    parameter = torch.nn.Parameter(logits)
    assert lm.evaluate(parameter, labels) == plain
    assert parameter.requires_grad


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[:, :, ::2], np.s_[:, 1:], np.s_[1:, :]])
def test_every_layout_gives_the_same(logits: Any, labels: Any, cut: Any) -> None:
    view = logits.to(torch.bfloat16)[cut]
    targets = labels[cut[:2]] % view.shape[-1]
    assert lm.evaluate(view, targets) == lm.evaluate(view.contiguous(), targets)


def test_all_data_may_be_tensors(logits: Any, labels: Any) -> None:
    mask, weight = labels % 2 == 0, torch.rand(B, T).to(torch.bfloat16)
    given = lm.evaluate(logits, labels, mask=mask, weight=weight)
    arrays = {"mask": mask.numpy(), "weight": weight.float().numpy()}
    assert given == lm.evaluate(logits.numpy(), labels.numpy(), **arrays)


def test_a_stated_dtype_may_be_torch_s(logits: Any) -> None:
    bits = logits.to(torch.bfloat16).view(torch.int16).numpy()
    assert np.array_equal(
        lm.log_softmax(lm.scan(bits, dtype=torch.bfloat16)), lm.log_softmax(logits.bfloat16())
    )


def test_other_element_types_are_refused(logits: Any) -> None:
    with pytest.raises(lm.exceptions.DTypeError):
        lm.scan(logits.to(torch.int32))
    with pytest.raises(lm.exceptions.DTypeError):
        lm.scan(logits.to_sparse())
