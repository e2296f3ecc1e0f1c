"""A curve with levels, as text for a terminal and as an SVG element for a page.

Both are drawn from the same `Plot`. Many steps are drawn as the median of those that share a
column; the levels are horizontal lines with a name each.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from logitmeter._numbers import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Level", "Plot", "Series", "svg_plot", "text_plot"]

Array = np.ndarray[Any, Any]

_COLUMNS, _ROWS = 58, 12
_WIDTH, _HEIGHT = 720.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 14.0, 40.0
_BINS = 240
_NAME_HEIGHT = 14.0
_NEAR = 0.1
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Series(NamedTuple):
    """Figures by step, and the mark that stands for them in a terminal."""

    name: str
    steps: Array
    values: Array
    mark: str


class Level(NamedTuple):
    """A horizontal line."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn together: one quantity, over the steps."""

    title: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()

    @property
    def steps(self) -> tuple[float, float]:
        """The first and the last step."""
        first = min(float(one.steps[0]) for one in self.series)
        last = max(float(one.steps[-1]) for one in self.series)
        return first, max(last, first + 1)

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest figure, levels included."""
        low, high = self._reach
        figures = [low, high, *(level.value for level in self.near)]
        low, high = min(figures), max(figures)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    @property
    def near(self) -> list[Level]:
        """The levels that are drawn: one far from all figures would flatten them."""
        low, high = self._reach
        far = max(high - low, _NEAR)
        return [level for level in self.levels if low - far <= level.value <= high + far]

    @property
    def _reach(self) -> tuple[float, float]:
        lowest = min(float(one.values.min()) for one in self.series)
        return lowest, max(float(one.values.max()) for one in self.series)


def text_plot(plot: Plot) -> list[str]:
    """Draw a plot with characters, at most 80 columns wide."""
    low, high = plot.range
    cells = [[" "] * _COLUMNS for _ in range(_ROWS)]
    for level in plot.near:
        cells[_row(level.value, low, high)] = ["-"] * _COLUMNS
    for one in plot.series:
        for column, value in _medians(one, plot.steps, _COLUMNS):
            cells[_row(value, low, high)][column] = one.mark
    lines = [plot.title]
    for row, line in enumerate(cells):
        value = high - (high - low) * row / (_ROWS - 1)
        lines.append(f"{_short(value):>9} |{''.join(line)}".rstrip())
    first, last = (f"{step:,.0f}" for step in plot.steps)
    lines.append(f"{'step':>9}  {first}{last:>{_COLUMNS - len(first)}}")
    return [*lines, *_legend(plot)]


def _row(value: float, low: float, high: float) -> int:
    return round((high - value) / (high - low) * (_ROWS - 1))


def _legend(plot: Plot) -> Iterator[str]:
    yield "           " + ", ".join(f"{one.mark} {one.name}" for one in plot.series)
    for level in plot.near:
        yield f"           - {level.name}: {number_text(level.value)}"


def _medians(one: Series, steps: tuple[float, float], bins: int) -> Iterator[tuple[int, float]]:
    """Give the median of the figures that share a column."""
    first, last = steps
    columns = ((one.steps - first) / (last - first) * (bins - 1)).round().astype(np.int64)
    for column in np.unique(columns):
        yield int(column), float(np.median(one.values[columns == column]))


def _short(value: float) -> str:
    return f"{value:.3g}"


def svg_plot(plot: Plot) -> str:
    """Draw a plot as one SVG element, coloured by the page's classes."""
    low, high = plot.range
    margin = (high - low) * 0.05
    frame = _Frame(plot.steps, (low - margin, high + margin))
    parts = list(_axes(frame))
    parts += [part for number, one in enumerate(plot.series) for part in _curve(one, number, frame)]
    parts += _level_lines(plot.near, frame)
    label = html.escape(plot.title)
    body = "".join(parts)
    size = f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"
    return f'<svg viewBox="{size}" role="img" aria-label="{label}">{body}</svg>'


class _Frame(NamedTuple):
    """What is seen: steps and figures."""

    steps: tuple[float, float]
    figures: tuple[float, float]

    def x(self, step: float) -> float:
        first, last = self.steps
        return _LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, figure: float) -> float:
        low, high = self.figures
        return _TOP + (high - figure) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(frame: _Frame) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick in _ticks(*frame.figures):
        y = frame.y(tick)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield _label(_LEFT - 6, y + 4, "end", _short(tick))
    for tick in _ticks(*frame.steps):
        yield _label(frame.x(tick), bottom + 18, "middle", f"{tick:,.0f}")
    yield f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'
    yield _label(right, _HEIGHT - 6, "end", "step")


def _label(x: float, y: float, anchor: str, text: str, kind: str = "tick") -> str:
    place = f'class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{html.escape(text)}</text>"


def _level_lines(levels: Sequence[Level], frame: _Frame) -> Iterator[str]:
    """Draw the levels, from the highest; names that would lie on each other move down."""
    free = -math.inf
    for level in sorted(levels, key=lambda level: -level.value):
        y = frame.y(level.value)
        named = max(y - 4, free)
        free = named + _NAME_HEIGHT
        yield f'<line class="level" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield _label(_WIDTH - _RIGHT - 4, named, "end", level.name, kind="name")


def _curve(one: Series, number: int, frame: _Frame) -> Iterator[str]:
    """Draw the figures as points where they are few, and the medians as a line."""
    first, last = frame.steps
    points = [
        (frame.x(first + column / (_BINS - 1) * (last - first)), frame.y(value))
        for column, value in _medians(one, frame.steps, _BINS)
    ]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="curve series{number}" points="{joined}"/>'
    if len(points) <= _BINS // 4:
        for x, y in points:
            yield f'<circle class="series{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'


def _ticks(low: float, high: float) -> list[float]:
    """Choose about five round numbers within a range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE if nice * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]
