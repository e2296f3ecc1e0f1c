"""logitmeter through its public functions, and the memory traffic that bounds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import native
import numpy as np
from job import Array, Job, Ready, best_seconds, loss_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 1 << 20


def evaluate(job: Job) -> Ready:
    """Score an array in memory."""
    import logitmeter as lm

    logits = job.typed

    def run() -> Any:
        return lm.evaluate(
            logits,
            job.labels,
            mask=job.mask,
            vocab_mask=job.vocab_mask,
            threads=job.threads,
            **job.options,
        )

    return Ready(run, _of_report)


def evaluate_file(job: Job) -> Ready:
    """Score a file, mapped or read."""
    import logitmeter as lm

    options = dict(job.options)
    path = options.pop("path")
    return Ready(lambda: lm.evaluate(lm.scan(path, **options), threads=job.threads), _of_report)


def evaluate_scores(job: Job) -> Ready:
    """Do the same with a file of rounded log-probabilities, whose loss is another."""
    return Ready(evaluate_file(job).run)


def _of_report(report: Any) -> tuple[float, int]:
    return report.loss, report.num_correct


def log_softmax(job: Job) -> Ready:
    """Write all rows."""
    import logitmeter as lm

    return Ready(
        lambda: lm.log_softmax(job.typed, threads=job.threads, **job.options),
        lambda logprobs: (loss_of_rows(logprobs, job.labels), None),
    )


# ---- what bounds them ---------------------------------------------------------------------------


def roofline(job: Job) -> Ready:
    """Read all bytes once; with software prefetch if that is faster here."""
    prefetch = min(
        (False, True),
        key=lambda p: best_seconds(lambda: native.read(job.logits, job.threads, prefetch=p)),
    )
    note = f"{native.load_bits()} bits{' and prefetch' if prefetch else ''}"
    return Ready(lambda: native.read(job.logits, job.threads, prefetch=prefetch), note=note)


def log_softmax_roofline(job: Job) -> Ready:
    """Read each row, then copy it from the cache: into new memory, as a function that returns."""
    copy, note = _row_copier(job)

    def run() -> Array:
        out = np.empty_like(job.logits)
        copy(out)
        return out

    return Ready(run, note=note)


def log_softmax_reused_roofline(job: Job) -> Ready:
    """Do the same into memory that is there already."""
    copy, note = _row_copier(job)
    out = np.zeros_like(job.logits)
    return Ready(lambda: copy(out), note=note)


def _row_copier(job: Job) -> tuple[Callable[[Array], None], str]:
    """Give the faster way to write here, and its name."""

    def copy(out: Array, streaming: bool) -> None:  # noqa: FBT001
        native.copy_rows(job.logits, out, job.threads, first_read=True, streaming=streaming)

    out = np.zeros_like(job.logits)
    streaming = min((False, True), key=lambda s: best_seconds(lambda: copy(out, s)))
    name = "streaming stores" if streaming else "plain stores"
    return lambda out: copy(out, streaming), name


def read_file(job: Job) -> Ready:
    """Read a file into one small buffer and do nothing with it."""
    path = Path(job.options["path"])
    buffer = bytearray(READ_BYTES)

    def run() -> None:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    return Ready(run)


CONTENDERS: dict[str, Callable[[Job], Ready]] = {
    "logitmeter": evaluate,
    "logitmeter, file": evaluate_file,
    "logitmeter, scores": evaluate_scores,
    "log_softmax": log_softmax,
    "roofline": roofline,
    "log_softmax roofline": log_softmax_roofline,
    "log_softmax roofline, memory reused": log_softmax_reused_roofline,
    "reading the file": read_file,
}
