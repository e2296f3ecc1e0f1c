"""An explanation in words: sections of sentences and tables, for a terminal and for a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from logitmeter._numbers import count, number_text, plural
from logitmeter.finetune._stages import below_from, curve
from logitmeter.finetune.levels import chance
from logitmeter.finetune.suspect import CAUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logitmeter.finetune._stages import Stage
    from logitmeter.finetune.explanation import Explanation

__all__ = ["Section", "Table", "lead", "sections"]

_MOST_ROWS = 6
_EXAMPLES = (2, 3, 5, 10)
"""Numbers of equally likely answers, where the real ones are not known."""

_SHORT = 3
"""Replies of more tokens than these on average are no single answers."""


class Table(NamedTuple):
    """Headings and rows of text."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Section(NamedTuple):
    """A title, sentences, and what may stand below them."""

    title: str
    sentences: list[str]
    table: Table | None = None
    verbatim: str = ""


_SOURCES = {
    "inferred": "The run shows that",
    "given": "As you say,",
    "assumed": "It is assumed that",
}


def lead(of: Explanation) -> str:
    """Say the main thing in one or two sentences."""
    number = plural(of.hidden, "hidden token") if of.hidden else "no hidden tokens"
    verb = "counts" if of.hidden == 1 else "count"
    said = f"{_SOURCES[of.hidden_source]} {number} {verb} in each reply besides the visible ones"
    stage = of.last
    if stage is None or stage.accuracy is None or stage.visible_accuracy is None:
        return f"{said}."
    if math.isnan(stage.visible_accuracy.value):
        return f"{said}: in the {stage.name} even they are missed."
    return (
        f"{said}: an accuracy of {number_text(stage.accuracy)} in the {stage.name} is"
        f" {number_text(stage.visible_accuracy.value)} over the visible tokens."
    )


def sections(of: Explanation) -> list[Section]:
    """Tell all that is known, a topic a section."""
    found = [_visible(of), _levels(of)]
    if of.inference is not None:
        found.append(Section("How many tokens are hidden", [], verbatim=str(of.inference)))
    if of.broken or of.impossible:
        found.append(_suspect(of))
    return [*found, Section("What is assumed", list(_assumed(of)))]


def _visible(of: Explanation) -> Section:
    rows = [_stage_row(stage) for stage in of.stages]
    headings = ("", "loss", "visible", "at least", "accuracy", "visible", "at most")
    return Section(
        "What the curves mean for the visible reply", list(_meaning(of)), Table(headings, rows)
    )


def _meaning(of: Explanation) -> Iterator[str]:
    if of.tokens is None:
        yield (
            "The length of the replies is not known, and with it not what the figures mean for"
            " their visible tokens: give the training data."
        )
        return
    visible, replies, hidden = of.tokens
    total = visible + hidden
    yield (
        f"An epoch holds {count(visible)} visible tokens in {plural(replies, 'reply', 'replies')}"
        f" and {count(hidden)} hidden ones. Where the hidden ones are certain, the loss over the"
        f" visible ones is {number_text(total / visible)} times what is reported."
    )
    yield (
        f"With every visible token wrong the accuracy would still be {number_text(hidden / total)}."
        " The bounds hold whatever the hidden tokens are."
    )
    figures = [stage.visible_accuracy for stage in of.stages if stage.visible_accuracy is not None]
    if any(math.isnan(figure.value) for figure in figures):
        yield "Where no visible accuracy stands, the hidden tokens cannot all have been right."


def _stage_row(stage: Stage) -> tuple[str, ...]:
    loss, accuracy = stage.visible_loss, stage.visible_accuracy
    return (
        stage.name,
        *map(_figure, (stage.loss, loss and loss.value, loss and loss.low)),
        *map(_figure, (stage.accuracy, accuracy and accuracy.value, accuracy and accuracy.high)),
    )


def _figure(figure: float | None) -> str:
    """Write a figure, or what stands for one that is not known or not possible."""
    if figure is None:
        return "-"
    return "-" if math.isnan(figure) else number_text(figure)


def _levels(of: Explanation) -> Section:
    if of.level is None:
        return _example_levels(of)
    level = of.level
    rows = [("guessing by frequency", number_text(level.loss), number_text(level.accuracy))]
    rows.append(
        (
            "  of it the visible",
            number_text(level.visible_loss),
            number_text(level.visible_accuracy),
        )
    )
    return Section("Levels of chance", list(_beside(of)), Table(("", "loss", "accuracy"), rows))


def _beside(of: Explanation) -> Iterator[str]:
    """Say where the curve lies beside the level of the replies' frequencies."""
    level = of.level
    assert level is not None  # noqa: S101 - asked before
    yield (
        f"{plural(level.num_replies, 'reply', 'replies')}, {count(level.num_distinct)} different."
        " A model that knows how often each comes, but not when, reports what is below."
    )
    if level.num_distinct == level.num_replies:
        yield "No reply comes twice, so that it would have to know all of them by heart."
        return
    stage = of.last
    if stage is None:
        return
    if stage.loss is not None:
        side = _side(stage.loss, level.loss, stage.loss_error)
        yield f"The loss of the {stage.name} lies {side} that level.{_learnt(of, side)}"
    if stage.accuracy is not None:
        side = _side(stage.accuracy, level.accuracy, stage.accuracy_error)
        yield f"Their accuracy lies {side} it."


def _side(mean: float, level: float, error: float) -> str:
    """Say where a mean lies; within two standard errors it lies at the level."""
    if abs(mean - level) <= 2 * error:
        return "at"
    return "above" if mean > level else "below"


def _learnt(of: Explanation, side: str) -> str:
    """Say what the loss beside the level means."""
    if side != "below" or of.level is None:
        return " Nothing of the task shows in it."
    since = below_from(*curve(of.table, "train_loss"), of.level.loss)
    return "" if since is None else f" It has stayed below from about step {count(since)} on."


def _example_levels(of: Explanation) -> Section:
    title = "Levels of chance"
    if of.tokens is not None and of.tokens.visible > _SHORT * of.tokens.replies:
        return Section(title, ["They need the text of the replies, which is not known."])
    rows = []
    for k in _EXAMPLES:
        found = chance(k, visible=1, hidden=of.hidden)
        rows.append((f"{k} answers", number_text(found.loss), number_text(found.accuracy)))
    sentence = (
        "The text of the replies is not known. If each were one token and one of k equally likely"
        " answers, guessing would report this:"
    )
    return Section(title, [sentence], Table(("", "loss", "accuracy"), rows))


def _suspect(of: Explanation) -> Section:
    rows = [
        (f"{count(row.step)} ({row.split})", *map(number_text, (row.loss, row.accuracy, row.least)))
        for row in of.broken[:_MOST_ROWS]
    ]
    table = Table(("step", "loss", "accuracy", "least loss"), rows) if rows else None
    return Section("Rows that cannot be what they say", list(_suspicions(of)), table)


def _suspicions(of: Explanation) -> Iterator[str]:
    if of.impossible:
        shown = ", ".join(f"{row.accuracy:g} at {row.step}" for row in of.impossible[:_MOST_ROWS])
        yield (
            f"{plural(len(of.impossible), 'accuracy', 'accuracies')} of no batch of these replies,"
            f" whatever was predicted: {shown}{_and_more(len(of.impossible))}."
        )
    if of.broken:
        yield (
            f"{plural(len(of.broken), 'row')} with a loss below (1 - accuracy) * ln 2, which a"
            f" missed token costs at least{_and_more(len(of.broken))}."
        )
        yield f"Likely causes: {'; '.join(CAUSES)}."


def _and_more(number: int) -> str:
    return f" (the first {_MOST_ROWS} are shown)" if number > _MOST_ROWS else ""


def _assumed(of: Explanation) -> Iterator[str]:
    yield "Losses are in nats; loss and accuracy count the same tokens, all with the same weight."
    if of.hidden_source == "assumed":
        why = f" ({of.not_inferred})" if of.not_inferred else ""
        yield (
            f"{plural(of.hidden, 'hidden token')} a reply{why}: what was found for OpenAI's"
            " service; others may count otherwise."
        )
    if of.encoding is not None:
        yield f"Tokens are those of {of.encoding}, which explains the run best."
    if of.tokens is not None:
        yield (
            "Figures of single steps are set against a whole epoch's tokens: exact where all"
            " replies are of one length, else on average."
        )
        yield "Hidden tokens are certain: nearly so after the first steps, not in them."
