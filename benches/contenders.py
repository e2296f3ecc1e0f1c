"""What is timed. Each contender gets a job ready and returns what runs it whole.

A contender that cannot run here raises `MissingError` (or `ImportError`), and the table says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import native
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
Answer = tuple[float, "int | None"]  # loss, tokens correct (None where it does not say)

CHUNKS = (1, 2, 4, 8, 32, 128)
SAMPLE_BYTES = 64 << 20


class MissingError(Exception):
    """Why a contender cannot run here."""


@dataclass(frozen=True)
class Job:
    """A whole job: logits ``[N, V]`` as they are stored, and what is asked of them."""

    logits: Array
    dtype: str
    labels: Array
    threads: int = 1
    mask: Array | None = None
    vocab_mask: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def first(self, num_bytes: int) -> Job:
        """Give a job of the first rows, to try variants on."""
        rows = max(1, num_bytes * len(self.labels) // self.logits.nbytes)
        return Job(self.logits[:rows], self.dtype, self.labels[:rows], self.threads)


@dataclass(frozen=True)
class Ready:
    """`run` is what is timed; `answer` turns what it returned into what is checked."""

    run: Callable[[], Any]
    answer: Callable[[Any], Answer] | None = None
    note: str = ""


def typed(job: Job) -> Array:
    """Give the logits in their own type."""
    if job.dtype != "bfloat16":
        return job.logits
    import ml_dtypes

    return job.logits.view(ml_dtypes.bfloat16)


# ---- logitmeter and what bounds it --------------------------------------------------------------


def logitmeter(job: Job) -> Ready:
    """Score by the public function."""
    import logitmeter as lm

    logits = typed(job)

    def run() -> Any:
        return lm.evaluate(
            logits,
            job.labels,
            mask=job.mask,
            vocab_mask=job.vocab_mask,
            threads=job.threads,
            **job.options,
        )

    return Ready(run, lambda report: (report.loss, report.num_correct))


def roofline(job: Job) -> Ready:
    """Read all bytes once; with software prefetch if that is faster here."""
    prefetch = min(
        (False, True),
        key=lambda p: _best_of(lambda: native.read(job.logits, job.threads, prefetch=p)),
    )
    note = f"{native.load_bits()}-bit loads, {'with' if prefetch else 'no'} software prefetch"
    return Ready(lambda: native.read(job.logits, job.threads, prefetch=prefetch), note=note)


def log_softmax(job: Job) -> Ready:
    """Write all rows by the public function."""
    import logitmeter as lm

    logits = typed(job)
    return Ready(
        lambda: lm.log_softmax(logits, threads=job.threads, **job.options),
        lambda logprobs: (_loss_of_rows(logprobs, job.labels), None),
    )


def log_softmax_roofline(job: Job) -> Ready:
    """Read each row, then copy it from the cache: into new memory, as a function that returns."""
    streaming = _best_streaming(job)

    def run() -> Array:
        out = np.empty_like(job.logits)
        native.copy_rows(job.logits, out, job.threads, first_read=True, streaming=streaming)
        return out

    return Ready(run, note="streaming stores" if streaming else "plain stores")


def log_softmax_in_place_roofline(job: Job) -> Ready:
    """Do the same into memory that is there already."""
    streaming = _best_streaming(job)
    out = np.zeros_like(job.logits)

    def run() -> None:
        native.copy_rows(job.logits, out, job.threads, first_read=True, streaming=streaming)

    return Ready(run, note="streaming stores" if streaming else "plain stores")


# ---- NumPy and SciPy ----------------------------------------------------------------------------


def chunked_numpy(job: Job) -> Ready:
    """NumPy at its best: few rows at a time, memory reused, the best of several variants."""
    sample = job.first(SAMPLE_BYTES)
    variants = [(rows, product) for rows in CHUNKS for product in (False, True)]
    rows, product = min(variants, key=lambda v: _best_of(lambda: _chunked(sample, *v), 2))
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
        x = typed(job)
        x = x.astype(np.float32) if x.itemsize < 4 else x  # noqa: PLR2004 - 16-bit types
        shifted = x - x.max(axis=1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return _loss_of_rows(logprobs, job.labels), _num_correct(x, job.labels)

    return Ready(run, lambda answer: answer)


def scipy_log_softmax(job: Job) -> Ready:
    """Score from SciPy's log-softmax."""
    from scipy.special import log_softmax as of

    logits = typed(job)

    def run() -> Answer:
        logprobs = of(logits, axis=1)
        return _loss_of_rows(logprobs, job.labels), _num_correct(logits, job.labels)

    return Ready(run, lambda answer: answer)


def _loss_of_rows(logprobs: Array, labels: Array) -> float:
    return -float(logprobs[np.arange(len(labels)), labels].mean(dtype=np.float64))


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
    """Let `torch.compile` fuse logsumexp, the label's logit and its rank."""
    import torch

    if not hasattr(torch, "compile"):
        raise MissingError(f"torch {torch.__version__} has no torch.compile")

    def score(x: Any, y: Any) -> Any:
        label = x.gather(1, y[:, None])
        nll = torch.logsumexp(x.float(), dim=1) - label[:, 0].float()
        return nll.mean(), ((x > label).sum(dim=1) == 0).sum()

    logits, labels = _tensors(job, torch)
    compiled = torch.compile(score)
    compiled(logits, labels)

    def run() -> Answer:
        loss, correct = compiled(logits, labels)
        return float(loss), int(correct)

    return Ready(run, lambda answer: answer, f"torch {torch.__version__}")


def _tensors(job: Job, torch: Any) -> tuple[Any, Any]:
    torch.set_num_threads(job.threads)
    if job.dtype == "bfloat16":
        logits = torch.from_numpy(job.logits.view(np.int16)).view(torch.bfloat16)
    else:
        logits = torch.from_numpy(job.logits)
    return logits, torch.from_numpy(job.labels)


# ---- helpers ------------------------------------------------------------------------------------


def _best_of(run: Callable[[], object], times: int = 3) -> float:
    """Give the shortest time of a few."""

    def seconds() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return min(seconds() for _ in range(times))


def _best_streaming(job: Job) -> bool:
    out = np.zeros_like(job.logits)

    def seconds(streaming: bool) -> float:  # noqa: FBT001
        return _best_of(
            lambda: native.copy_rows(
                job.logits, out, job.threads, first_read=True, streaming=streaming
            )
        )

    return min((False, True), key=seconds)


CONTENDERS: dict[str, Callable[[Job], Ready]] = {
    "logitmeter": logitmeter,
    "roofline": roofline,
    "log_softmax": log_softmax,
    "log_softmax roofline": log_softmax_roofline,
    "log_softmax roofline, memory reused": log_softmax_in_place_roofline,
    "chunked NumPy": chunked_numpy,
    "naive NumPy": naive_numpy,
    "SciPy log_softmax": scipy_log_softmax,
    "llama.cpp's loop": llama_cpp,
    "torch cross_entropy + argmax": torch_cross_entropy,
    "torch.compile, fused": torch_compile,
}
