"""The figures of a run at a few stages, as reported and for the visible tokens alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from logitmeter.finetune.visible import visible_accuracy, visible_loss

if TYPE_CHECKING:
    import pyarrow as pa

    from logitmeter.finetune.visible import Visible

__all__ = ["Stage", "Tokens", "below_from", "curve", "stages"]

Array = np.ndarray[Any, Any]

FIRST, LAST = 0.05, 0.1
"""The shares of a run that stand for its beginning and for its end."""


class Tokens(NamedTuple):
    """What an epoch holds: visible tokens, replies, and hidden tokens of all replies."""

    visible: int
    replies: int
    hidden: int


class Stage(NamedTuple):
    """Mean figures of some steps; None where nothing was reported or tokens are not known.

    The errors are standard errors of the means; 0 where there is only one step.
    """

    split: str
    name: str
    loss: float | None
    loss_error: float
    accuracy: float | None
    accuracy_error: float
    visible_loss: Visible | None
    visible_accuracy: Visible | None


def stages(table: pa.Table, tokens: Tokens | None) -> list[Stage]:
    """List the beginning and the end of training, and the last validation."""
    found: list[Stage] = []
    for split, name in (("train", ""), ("valid", "validation batch"), ("full_valid", "validation")):
        loss, accuracy = (curve(table, f"{split}_{figure}")[1] for figure in ("loss", "accuracy"))
        number = max(loss.size, accuracy.size)
        if not number:
            continue
        parts = _train_parts(number) if split == "train" else [(f"last {name}", slice(-1, None))]
        found += [_stage(split, said, loss[part], accuracy[part], tokens) for said, part in parts]
    return found


def curve(table: pa.Table, column: str) -> tuple[Array, Array]:
    """Give the steps that have a figure, and the figures."""
    figures = table[column].to_numpy()
    known = ~np.isnan(figures)
    return table["step"].to_numpy()[known], figures[known]


def below_from(steps: Array, losses: Array, level: float) -> int | None:
    """Give the step from which on the loss, averaged over some steps, stays below a level."""
    window = max(1, int(losses.size * FIRST))
    averaged = np.convolve(losses, np.ones(window) / window, mode="valid")
    above = np.flatnonzero(averaged >= level)
    after = int(above[-1]) + 1 if above.size else 0
    return int(steps[after + window - 1]) if after < averaged.size else None


def _train_parts(number: int) -> list[tuple[str, slice]]:
    """Name the steps that stand for the beginning and the end."""
    first, last = max(1, round(number * FIRST)), max(1, round(number * LAST))
    return [(f"first {_steps(first)}", slice(first)), (f"last {_steps(last)}", slice(-last, None))]


def _steps(number: int) -> str:
    return "step" if number == 1 else f"{number:,} steps"


def _stage(split: str, name: str, losses: Array, accuracies: Array, tokens: Tokens | None) -> Stage:
    loss, loss_error = _mean(losses)
    accuracy, accuracy_error = _mean(accuracies)
    held = None if tokens is None else {"visible": tokens.visible, "hidden": tokens.hidden}
    return Stage(
        split,
        name,
        loss,
        loss_error,
        accuracy,
        accuracy_error,
        visible_loss(loss, accuracy=accuracy, **held) if held and loss is not None else None,
        visible_accuracy(accuracy, **held) if held and accuracy is not None else None,
    )


def _mean(figures: Array) -> tuple[float | None, float]:
    """Give the mean and its standard error."""
    if not figures.size:
        return None, 0.0
    error = figures.std(ddof=1) / np.sqrt(figures.size) if figures.size > 1 else 0.0
    return float(figures.mean()), float(error)
