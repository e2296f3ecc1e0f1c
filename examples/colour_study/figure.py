"""The curves as a dashboard draws them, beside what the three tokens predict."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scoring import Curve, expected

WINDOW = 51  # steps of the running mean
_REPORTED, _VISIBLE, _EXPECTED = "#4c72b0", "#c44e52", "#222222"


def draw(curves: Mapping[int, Curve], path: Path) -> None:
    """Draw loss and accuracy of one run for each number of colours."""
    figure = Figure(figsize=(3 * len(curves), 5), layout="constrained")
    panels = figure.subplots(2, len(curves), sharex=True, sharey="row", squeeze=False)
    for (num_colours, curve), (above, below) in zip(curves.items(), panels.T, strict=True):
        loss, accuracy = expected(num_colours)
        above.set_title(f"{num_colours} colours: ln({num_colours})/3 = {loss:.3f}")
        below.set_title(f"2/3 + 1/{3 * num_colours} = {accuracy:.3f}")
        _panel(above, curve.step, curve.loss, curve.visible_loss, loss)
        _panel(below, curve.step, curve.accuracy, curve.visible_accuracy, accuracy)
        below.set_xlabel("step")
    panels[0, 0].set_ylabel("train loss (nats)")
    panels[1, 0].set_ylabel("train accuracy")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # the same bytes each time


def _panel(
    axes: Axes,
    step: NDArray[np.int64],
    reported: NDArray[np.float64],
    visible: NDArray[np.float64],
    plateau: float,
) -> None:
    axes.plot(step, reported, color=_REPORTED, linewidth=0.4, alpha=0.45, label="each step")
    smooth = f"mean of {WINDOW} steps"
    axes.plot(running_mean(step), running_mean(reported), color=_REPORTED, label=smooth)
    alone = "of the visible token alone"
    axes.plot(running_mean(step), running_mean(visible), color=_VISIBLE, label=alone)
    axes.axhline(plateau, color=_EXPECTED, linestyle="--", linewidth=1, label="predicted plateau")
    axes.set_ylim(bottom=0)


def running_mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Give the mean of each `WINDOW` values in a row (of all, if they are fewer)."""
    window = min(WINDOW, len(values))
    return np.convolve(values, np.full(window, 1 / window), mode="valid")
