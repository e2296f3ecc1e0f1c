"""What people use instead, at its best: NumPy, SciPy, llama.cpp's loop, torch.

A peer that cannot run here raises `MissingError` or `ImportError`, and the table says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import native
import numpy as np
from job import Answer, Array, Job, MissingError, Ready, best_seconds, loss_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNKS = (1, 2, 4, 8, 32, 128)
SAMPLE_BYTES = 64 << 20


def chunked_numpy(job: Job) -> Ready:
    """NumPy at its best: few rows at a time, memory reused, the best of several variants."""
    sample = job.first(SAMPLE_BYTES)
    variants = [(rows, product) for rows in CHUNKS for product in (False, True)]
    rows, product = min(variants, key=lambda v: best_seconds(lambda: _chunked(sample, *v), 2))
    note = f"{rows} rows at a time, summed by {'BLAS' if product else 'sum'}"
    return Ready(lambda: _chunked(job, rows, product=product), lambda answer: answer, note)


def _chunked(job: Job, rows: int, product: bool) -> Answer:  # noqa: FBT001
    """Score a few rows at a time, with the sum of a row by `sum` or as a product with ones."""
    num_rows, vocab = job.logits.shape
    widen = _widener(job.dtype, rows * vocab)
    ones = np.ones(vocab, np.float64 if job.dtype == "float64" else np.float32)
    shifted = np.empty((rows, vocab), ones.dtype)
    loss, correct = 0.0, 0
    for start in range(0, num_rows, rows):
        x, y = widen(job.logits[start : start + rows]), job.labels[start : start + rows]
        at = np.arange(len(y))
        best = x.argmax(axis=1)
        label = x[at, y]
        terms = np.subtract(x, x[at, best][:, np.newaxis], out=shifted[: len(y)])
        np.exp(terms, out=terms)
        total = terms @ ones if product else terms.sum(axis=1)
        loss += float((np.log(total.astype(np.float64)) + x[at, best] - label).sum())
        correct += int((best == y).sum())
    return loss / num_rows, correct


def _widener(dtype: str, size: int) -> Callable[[Array], Array]:
    """Turn stored rows into what NumPy computes in; 16-bit types through memory that is reused."""
    if dtype not in {"bfloat16", "float16"}:
        return lambda stored: stored
    memory = np.empty(size, np.float32)
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)

    def widen(stored: Array) -> Array:
        x = memory[: stored.size].reshape(stored.shape)
        if dtype == "bfloat16":
            bits = x.view(np.uint32)
            bits[...] = stored
            bits <<= 16
        else:  # a look-up is about twice as fast as astype
            np.take(halves, stored.view(np.uint16), out=x, mode="clip")
        return x

    return widen


def naive_numpy(job: Job) -> Ready:
    """Score as it is often written: the log-softmax of everything at once."""

    def run() -> Answer:
        x = job.typed
        x = x.astype(np.float32) if x.itemsize < 4 else x  # noqa: PLR2004 - 16-bit types
        shifted = x - x.max(axis=1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return loss_of_rows(logprobs, job.labels), _num_correct(x, job.labels)

    return Ready(run, lambda answer: answer)


def scipy_log_softmax(job: Job) -> Ready:
    """Score from SciPy's log-softmax."""
    from scipy.special import log_softmax as of

    logits = job.typed

    def run() -> Answer:
        logprobs = of(logits, axis=1)
        return loss_of_rows(logprobs, job.labels), _num_correct(logits, job.labels)

    return Ready(run, lambda answer: answer)


def _num_correct(logits: Array, labels: Array) -> int:
    return int((logits.argmax(axis=1) == labels).sum())


# ---- llama.cpp and torch ------------------------------------------------------------------------


def llama_cpp(job: Job) -> Ready:
    """Run llama.cpp's loop with vector math; it gives no accuracy."""
    if job.dtype != "float32":
        raise MissingError(f"llama.cpp's loop takes float32, not {job.dtype}")
    return Ready(
        lambda: native.llama_nll(job.logits, job.labels, job.threads),
        lambda nll: (float(nll.mean()), None),
    )


def torch_cross_entropy(job: Job) -> Ready:
    """`cross_entropy` and argmax, as training loops have it: of float32."""
    import torch

    logits, labels = _tensors(job, torch)

    def run() -> Answer:
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        return float(loss), int((logits.argmax(dim=1) == labels).sum())

    return Ready(run, lambda answer: answer, f"torch {torch.__version__}")


def torch_compile(job: Job) -> Ready:
    """Let `torch.compile` fuse it all; correct by argmax or by rank, whichever is faster."""
    import torch

    if not hasattr(torch, "compile"):
        raise MissingError(f"torch {torch.__version__} has no torch.compile")
    logits, labels = _tensors(job, torch)
    ids = torch.arange(logits.shape[1])

    def by_argmax(x: Any, y: Any) -> Any:
        nll = torch.logsumexp(x.float(), dim=1) - x.gather(1, y[:, None])[:, 0].float()
        return nll.mean(), (x.argmax(dim=1) == y).sum()

    def by_rank(x: Any, y: Any) -> Any:
        label = x.gather(1, y[:, None])
        nll = torch.logsumexp(x.float(), dim=1) - label[:, 0].float()
        better = (x > label) | ((x == label) & (ids < y[:, None]))
        return nll.mean(), (~better.any(dim=1)).sum()

    compiled = [torch.compile(score) for score in (by_argmax, by_rank)]
    for score in compiled:
        score(logits, labels)
    fastest = min(compiled, key=lambda score: best_seconds(lambda: score(logits, labels)))

    def run() -> Answer:
        loss, correct = fastest(logits, labels)
        return float(loss), int(correct)

    name = "argmax" if fastest is compiled[0] else "rank"
    return Ready(run, lambda answer: answer, f"torch {torch.__version__}, by {name}")


def _tensors(job: Job, torch: Any) -> tuple[Any, Any]:
    torch.set_num_threads(job.threads)
    if job.dtype == "bfloat16":
        logits = torch.from_numpy(job.logits.view(np.int16)).view(torch.bfloat16)
    else:
        logits = torch.from_numpy(job.logits)
    return logits, torch.from_numpy(job.labels)


CONTENDERS: dict[str, Callable[[Job], Ready]] = {
    "chunked NumPy": chunked_numpy,
    "naive NumPy": naive_numpy,
    "SciPy log_softmax": scipy_log_softmax,
    "llama.cpp's loop": llama_cpp,
    "torch cross_entropy + argmax": torch_cross_entropy,
    "torch.compile, fused": torch_compile,
}
