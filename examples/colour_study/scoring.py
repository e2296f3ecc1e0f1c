"""The dump scored by logitmeter: the curve that a dashboard shows, and the plateau's figures.

Hidden tokens: `<|im_sep|>` before the colour and `<|im_end|>` after it, one leading and one
trailing. A step's figures are pooled over all tokens of its batch, as the service's are.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import logitmeter as lm
import numpy as np
from numpy.typing import NDArray

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


@dataclass(frozen=True)
class Curve:
    """Loss (nats) and accuracy of each step, of all counted tokens and of the visible ones."""

    step: NDArray[np.int64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    visible_loss: NDArray[np.float64]
    visible_accuracy: NDArray[np.float64]


def curve(dump: Path) -> Curve:
    """Score each step of a dump."""
    report = lm.evaluate(dump, shift=True, leading=1, trailing=1, by="step")
    steps = sorted(report.groups)
    groups = [report.groups[step] for step in steps]
    return Curve(
        np.array(steps),
        np.array([group.loss for group in groups]),
        np.array([group.accuracy for group in groups]),
        np.array([group.visible.loss for group in groups]),
        np.array([group.visible.accuracy for group in groups]),
    )


def plateau(dump: Path) -> "lm.report.GroupReport":
    """Score the steps of the plateau together, with errors clustered by chat."""
    report = lm.evaluate(dump, shift=True, leading=1, trailing=1, by="phase")
    return report.groups["plateau"]


def expected(num_colours: int) -> tuple[float, float]:
    """Give loss and accuracy of one token guessed among k, beside two that are certain."""
    return math.log(num_colours) / 3, 2 / 3 + 1 / (3 * num_colours)


def write_results(path: Path, curve: Curve) -> None:
    """Write the curve as the service's results.csv: five decimals, no validation."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for step, loss, accuracy in zip(curve.step, curve.loss, curve.accuracy, strict=True):
            writer.writerow([step, f"{loss:.5f}", f"{accuracy:.5f}", "", ""])
