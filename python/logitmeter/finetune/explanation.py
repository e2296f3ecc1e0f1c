"""What `explain` finds, as text, as one HTML page and as plain values."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from logitmeter import _export
from logitmeter._numbers import pad, width
from logitmeter.finetune import _page, _story
from logitmeter.finetune._plot import Level, Plot, Series, text_plot
from logitmeter.finetune._stages import curve, stages

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from logitmeter.finetune._stages import Stage, Tokens
    from logitmeter.finetune._story import Section, Table
    from logitmeter.finetune.inference import Inference
    from logitmeter.finetune.levels import Baseline
    from logitmeter.finetune.suspect import BrokenRow, ImpossibleAccuracy

__all__ = ["Explanation", "HiddenSource"]

HiddenSource = Literal["inferred", "given", "assumed"]

_TITLE = "What these fine-tuning metrics say"
_COLUMNS = 80
_CURVES = (
    ("train", "training", "*"),
    ("valid", "validation batch", "o"),
    ("full_valid", "validation", "#"),
)


@dataclass(frozen=True, repr=False)
class Explanation:
    """What a run's curves mean for the visible tokens, and what that rests on.

    Attributes
    ----------
    table
        What was reported, as `read_results` gives it.
    hidden, hidden_source
        Hidden tokens a reply, and whether they were inferred, given or assumed.
    tokens
        Visible tokens, replies and hidden tokens of an epoch; None without training data.
    inference
        What `infer` found, where it could run.
    not_inferred
        Why not, or why it did not settle the number.
    level
        The level of guessing from the replies' frequencies; None without their text.
    encoding
        The encoding that explains the run best, where none was given.
    broken
        Rows that break ``loss >= (1 - accuracy) * ln 2``.
    impossible
        Accuracies that no batch of the conversations can give, where their size is known.

    Examples
    --------
    >>> import logitmeter as lm
    >>> rows = [{"step": 1, "train_loss": 0.231, "train_accuracy": 0.83333}]
    >>> found = lm.finetune.explain(rows, [1, 1])
    >>> found.hidden, found.hidden_source, round(found.stages[0].visible_loss.value, 3)
    (2, 'assumed', 0.693)
    """

    table: pa.Table
    hidden: int
    hidden_source: HiddenSource
    tokens: Tokens | None
    inference: Inference | None
    not_inferred: str
    level: Baseline | None
    encoding: str | None
    broken: tuple[BrokenRow, ...]
    impossible: tuple[ImpossibleAccuracy, ...]

    @cached_property
    def stages(self) -> list[Stage]:
        """The figures at the beginning and at the end, reported and visible."""
        return stages(self.table, self.tokens)

    @property
    def last(self) -> Stage | None:
        """The end of training."""
        return next((stage for stage in self.stages[::-1] if stage.split == "train"), None)

    @cached_property
    def plots(self) -> list[Plot]:
        """Loss and accuracy by step, with the levels."""
        found = (
            self._plot("loss", "Loss (nats a token)"),
            self._plot("accuracy", "Accuracy"),
        )
        return [plot for plot in found if plot is not None]

    def _plot(self, figure: str, title: str) -> Plot | None:
        named = [
            (name, *curve(self.table, f"{split}_{figure}"), mark) for split, name, mark in _CURVES
        ]
        series = tuple(Series(*one) for one in named if one[1].size)
        return Plot(title, series, tuple(self._lines(figure))) if series else None

    def _lines(self, figure: str) -> Iterator[Level]:
        if self.level is not None and self.level.num_distinct < self.level.num_replies:
            yield Level("guessing by frequency", getattr(self.level, figure))
        if figure == "accuracy" and self.tokens is not None and self.hidden:
            visible, _, hidden = self.tokens
            yield Level("every visible token wrong", hidden / (visible + hidden))

    def __str__(self) -> str:
        """Write all of it for a terminal."""
        lines = [*_wrapped(_story.lead(self)), ""]
        for plot in self.plots:
            lines += [*text_plot(plot), ""]
        for section in _story.sections(self):
            lines += [*_section_text(section), ""]
        return "\n".join(lines).rstrip()

    def __repr__(self) -> str:
        return f"<logitmeter.finetune.Explanation: {_story.lead(self)}>"

    def to_html(self) -> str:
        """Write one self-contained page: no script, no link, nothing from a network."""
        return _page.page(_TITLE, _story.lead(self), self.plots, _story.sections(self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_dict(self) -> dict[str, Any]:
        """Give the findings as plain Python values."""
        return {
            "hidden": self.hidden,
            "hidden_source": self.hidden_source,
            "not_inferred": self.not_inferred,
            "encoding": self.encoding,
            "tokens": None if self.tokens is None else self.tokens._asdict(),
            "stages": [_stage_dict(stage) for stage in self.stages],
            "level": None if self.level is None else self.level._asdict(),
            "broken": [row._asdict() for row in self.broken],
            "impossible": [row._asdict() for row in self.impossible],
            "inference": None if self.inference is None else self.inference.to_dict(),
        }

    def to_json(self, indent: int | None = None) -> str:
        """Write the same as valid JSON."""
        return _export.to_json(self.to_dict(), indent)


def _stage_dict(stage: Stage) -> dict[str, Any]:
    found = stage._asdict()
    for name in ("visible_loss", "visible_accuracy"):
        found[name] = None if found[name] is None else found[name]._asdict()
    return found


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS, break_on_hyphens=False)


def _section_text(section: Section) -> list[str]:
    lines = [section.title, "-" * len(section.title)]
    lines += [line for sentence in section.sentences for line in _wrapped(sentence)]
    if section.table is not None:
        lines += ["", *_table_text(section.table)]
    return [*lines, *section.verbatim.splitlines()]


def _table_text(table: Table) -> list[str]:
    lines = [table.headings, *table.rows]
    sizes = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            pad(cell, size, right=place > 0)
            for place, (cell, size) in enumerate(zip(line, sizes, strict=True))
        ).rstrip()
        for line in lines
    ]
