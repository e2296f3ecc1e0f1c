"""How many tokens a service counts beyond the visible reply, told from what it reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter.arguments import whole
from logitmeter.exceptions import CorruptInputError, SettingsError
from logitmeter.finetune._fit import Fits, Pooling
from logitmeter.finetune._hypotheses import Hypothesis, examine
from logitmeter.finetune._steps import Plan, Steps, plans
from logitmeter.finetune._train import Counts, counted
from logitmeter.finetune.inference import Inference
from logitmeter.finetune.results import read_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    import tiktoken

__all__ = ["infer"]

HIDDEN = range(-4, 13)
"""Below 0: fewer tokens count than were taken for visible."""

SMALL_BATCHES = 8
LARGEST_BATCH = 256

_POOLINGS: tuple[Pooling, ...] = ("tokens", "examples")


def infer(
    results: Any,
    train: Any,
    *,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
    n_epochs: int | None = None,
    batch_size: int | None = None,
    hidden: Iterable[int] = HIDDEN,
) -> Inference:
    """Find the number of hidden tokens that explains the accuracies of a run.

    An example of v visible tokens in r replies counts as N = v + h * r tokens. Each accuracy that
    was reported must be a fraction that a batch of such examples can give, and each example is used
    once an epoch. Hypotheses of h, batch size, pooling (and encoding) are ranked by how much of the
    run they explain and by the odds of that; see `Inference` for when the answer is determined.

    Parameters
    ----------
    results
        A results file or rows, as `read_results` takes them: at least ``train_accuracy``, some may
        be missing. Without ``step`` the rows are taken as consecutive steps from the first.
    train
        The training data: a path of JSONL, conversations, visible token counts (one reply each), or
        pairs (visible tokens, replies).
    model, encoding
        How text becomes tokens, see `visible_counts`. With neither, cl100k_base and o200k_base are
        hypotheses too.
    n_epochs, batch_size
        As the job had them. Left out, they are hypotheses: batches of 1 to 8, and up to 256 where
        the number of steps fits.
    hidden
        The numbers of hidden tokens to try.

    Returns
    -------
    Inference
        The ranked hypotheses, ``best``, ``margin``, ``determined``, and ``hidden``: None unless it
        is determined.

    Raises
    ------
    CorruptInputError
        Results or training data that cannot be read, or without an accuracy.
    VocabularyMissingError
        A vocabulary that is not on this machine.
    SettingsError
        Options out of range.

    Notes
    -----
    Source: jorio and Chua, "OpenAI finetuning metrics" (lesswrong.com/posts/zDnA4SEbkeCj2CDHp),
    which found two hidden tokens from controlled runs.

    Examples
    --------
    >>> reported = [0.71429, 0.72727, 0.8125, 0.94118, 0.86957, 0.96154, 0.97297, 0.92683]
    >>> run = [{"step": step, "train_accuracy": a} for step, a in enumerate(reported, start=1)]
    >>> print(infer(run, [5, 9, 14, 15, 21, 24, 35, 39], batch_size=1, n_epochs=1))
    2 hidden tokens a reply: determined.
    8 of 8 steps explained, 4 more than by any comparable h; odds 10^15 to 1.
    ...
    """
    epochs = None if n_epochs is None else whole("n_epochs", n_epochs, 1)
    size = None if batch_size is None else whole("batch_size", batch_size, 1)
    numbers = [whole("hidden", number, -(2**31)) for number in hidden]
    steps = _steps(read_results(results))
    found = [
        hypothesis
        for counts in counted(train, model=model, encoding=encoding)
        for number in numbers
        for hypothesis in _examined(steps, counts, number, _plans(counts, steps, size, epochs))
    ]
    if not found:
        raise SettingsError(
            f"no number of hidden tokens in {numbers} leaves every example a token",
            expected="numbers of hidden tokens that the replies allow",
            got=str(numbers),
        )
    return Inference(
        hypotheses=tuple(sorted(found, key=_rank)),
        num_steps=len(steps),
        num_informative=int(steps.informative[steps.kind].sum()),
        rounding=str(steps.rounding),
    )


def _rank(hypothesis: Hypothesis) -> tuple[float, int, int]:
    """Give what sorts hypotheses: the score, then the simpler one."""
    return -hypothesis.score, abs(hypothesis.hidden), hypothesis.batch_size


def _steps(table: pa.Table) -> Steps:
    """Take the steps that have an accuracy; their numbers count from 1."""
    number = table["step"].to_numpy()
    reported = table["train_accuracy"]
    known = reported.is_valid().to_numpy(zero_copy_only=False)
    if not known.any():
        filled = [name for name in table.column_names if table[name].null_count < len(table)]
        raise CorruptInputError(
            f"results: no train_accuracy, which is what hidden tokens show in; there is"
            f" {', '.join(filled)}",
            expected="train_accuracy",
            got=", ".join(filled),
        )
    number = number + (number[0] == 0)  # some count from 0
    accuracy = reported.drop_null().to_numpy()
    return Steps(number=number[known], accuracy=accuracy, last=int(number[-1]))


def _plans(
    counts: Counts, steps: Steps, batch_size: int | None, n_epochs: int | None
) -> Iterator[Plan]:
    """Give the batch sizes to try: the one that is known, small ones, and those that fit."""
    examples = int(counts.visible.size)
    if batch_size is not None:
        yield from plans(examples, min(batch_size, examples), n_epochs)
        return
    for size in range(1, min(examples, LARGEST_BATCH) + 1):
        for plan in plans(examples, size, n_epochs):
            if size <= SMALL_BATCHES or plan.is_complete(steps.last):
                yield plan


def _examined(
    steps: Steps, counts: Counts, hidden: int, plans_tried: Iterable[Plan]
) -> Iterator[Hypothesis]:
    lengths = counts.lengths(hidden)
    if lengths is None or not np.any(lengths):
        return
    fits: dict[int, Fits] = {}
    for plan in plans_tried:
        repeated = np.tile(lengths, plan.joined)
        known = fits.setdefault(plan.joined, Fits(steps, repeated))
        for pooling in _POOLINGS if plan.batch_size > 1 else _POOLINGS[:1]:
            yield examine(
                steps,
                repeated,
                known,
                plan,
                hidden=hidden,
                pooling=pooling,
                encoding=counts.encoding,
            )
