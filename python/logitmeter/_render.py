"""A report as text of at most 80 columns, and as HTML that brings everything along.

Both show the same rows and the same sentences. The HTML sets no colour but the current one, so
that it reads in light and in dark, and holds no script and no link.
"""

from __future__ import annotations

import html
import textwrap
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from logitmeter._numbers import clip, count, pad, printable, value_and_error, width
from logitmeter._part import at_least, half_width, loss_text, perplexity_text
from logitmeter._words import counted, notices, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logitmeter._part import GroupKey, GroupReport, GroupValue, Part
    from logitmeter.report import Report

COLUMNS = 80
_GAP = 2
_NARROWEST_NAME = 10
_MOST_GROUPS = 50
_HEADINGS = ("tokens", "loss ± (95%)", "perplexity", "accuracy ± (95%)")
_SHORT_HEADINGS = ("tokens", "loss", "perplexity", "accuracy")


class Row(NamedTuple):
    """One line of the table: a name, and its figures or none (a group's title)."""

    name: str
    cells: tuple[str, ...]


def text(report: Report) -> str:
    """Write the whole report for a terminal."""
    lines = [line for said in report.heading for line in paragraph([printable(said)])]
    lines += [loss_text(report, report.flags), "", *text_table(rows(report), corner(report)), ""]
    lines += paragraph(sentences(report))
    lines += [line for notice in notices(report) for line in paragraph([notice])]
    return "\n".join(lines)


def side_by_side(reports: Mapping[str, Report]) -> str:
    """Write the whole of several reports of the same rows as one table, then what each counted."""
    lines = text_table([Row(printable(name), _cells(found)) for name, found in reports.items()])
    told = [f"{printable(name)}: {counted(found)}" for name, found in reports.items()]
    remarks = dict.fromkeys(notice for found in reports.values() for notice in notices(found))
    said = (line for part in [*told, *remarks] for line in paragraph([part]))
    return "\n".join([*lines, "", *said])


def paragraph(parts: Iterable[str]) -> list[str]:
    """Fill lines of 80 columns with sentences."""
    return textwrap.wrap(" ".join(parts), COLUMNS, break_on_hyphens=False)


def rows(report: Report, most_groups: int = _MOST_GROUPS) -> list[Row]:
    """List the lines of the table: the parts of the whole, then the groups."""
    split = has_hidden(report)
    listed = list(_part_rows("", report, split=split))
    for key, group in islice(report.groups.items(), most_groups):
        name = group_title(report.by, key) if split else group_name(key)
        listed += _part_rows(name, group, split=split)
    left = len(report.groups) - most_groups
    if left > 0:
        listed.append(Row(f"and {count(left)} more: see report.groups", ()))
    return listed


def has_hidden(report: Report) -> bool:
    """Tell whether the parts differ, so that each deserves a line."""
    claimed = report.settings.get("leading") or report.settings.get("trailing")
    return bool(claimed or report.hidden.num_tokens)


def _part_rows(name: str, group: GroupReport, *, split: bool) -> Iterator[Row]:
    if not split:
        yield Row(name or "whole", _cells(group))
        return
    if name:
        yield Row(name, ())
    yield Row("visible", _cells(group.visible))
    yield Row("hidden", _cells(group.hidden))
    yield Row("whole", _cells(group))


def _cells(part: Part) -> tuple[str, ...]:
    if not part.num_tokens:
        return ("0", "-", "-", "-")
    return (
        count(part.num_tokens),
        at_least(part.loss_bounds, with_error(part.loss, part.loss_ci)),
        perplexity_text(part),
        at_least(part.accuracy_bounds, with_error(part.accuracy, part.accuracy_ci)),
    )


def with_error(value: float, interval: tuple[float, float]) -> str:
    """Write a figure and, where it is known, its ±."""
    shown, error = value_and_error(value, half_width(value, interval))
    return f"{shown} ± {error}" if error else shown


def group_name(key: GroupKey) -> str:
    """Write a group's key as people know it."""
    values = key if isinstance(key, tuple) else (key,)
    return ", ".join(map(_value_name, values))


def group_title(by: Sequence[str], key: GroupKey) -> str:
    """Write a group's key with the names of its columns."""
    values = key if isinstance(key, tuple) else (key,)
    pairs = zip(by, values, strict=True)
    return ", ".join(f"{printable(name)} = {_value_name(value)}" for name, value in pairs)


def _value_name(value: GroupValue) -> str:
    if value is None:
        return "(null)"
    return printable(str(value)) or "(empty)"


def corner(report: Report) -> str:
    """Name the first column: that of the groups, where their names stand beside figures."""
    return "" if has_hidden(report) else ", ".join(map(printable, report.by))


def text_table(lines: Sequence[Row], first: str = "") -> list[str]:
    """Lay out the rows in columns; the names get what the figures leave."""
    cells = [line.cells for line in lines if line.cells]
    widths = _widths([_HEADINGS, *cells])
    headings = _HEADINGS
    if sum(widths) + _GAP * len(widths) > COLUMNS - _NARROWEST_NAME:
        headings = _SHORT_HEADINGS
        widths = _widths([_SHORT_HEADINGS, *cells])
    name_cells = _name_width(lines, COLUMNS - sum(widths) - _GAP * len(widths))
    heading = _line(first, headings, name_cells, widths)
    return [heading.rstrip(), *(_text_row(line, name_cells, widths) for line in lines)]


def _widths(table: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*table, strict=True)]


def _name_width(lines: Sequence[Row], most: int) -> int:
    """Names are as wide as the widest that stands beside figures, within what is left."""
    return max(1, min(most, max((width(line.name) for line in lines if line.cells), default=1)))


def _text_row(line: Row, name_cells: int, widths: Sequence[int]) -> str:
    if not line.cells:  # a group's title
        return "\n" + clip(line.name, COLUMNS)
    return _line(line.name, line.cells, name_cells, widths)


def _line(name: str, cells: Sequence[str], name_cells: int, widths: Sequence[int]) -> str:
    figures = (pad(cell, size, right=True) for cell, size in zip(cells, widths, strict=True))
    shown = pad(clip(name, name_cells), name_cells)
    return (" " * _GAP).join([shown, *figures])


def html_page(report: Report) -> str:
    """Write the report as one HTML element."""
    heading, said = map(_html_paragraphs, (report.heading, _html_lines(report)))
    return f'<div class="logitmeter-report">{heading}{_html_table(report)}{said}</div>'


def _html_paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _html_lines(report: Report) -> list[str]:
    return [" ".join(sentences(report)), *notices(report)]


def _html_table(report: Report) -> str:
    caption = html.escape(loss_text(report, report.flags))
    first = html.escape(corner(report) or "part")
    heads = "".join(f'<th scope="col" style="{_RIGHT}">{head}</th>' for head in _HEADINGS)
    body = "".join(map(_html_row, rows(report)))
    return (
        f'<table style="border-collapse:collapse"><caption style="{_LEFT}">{caption}</caption>'
        f'<thead><tr style="{_RULE}"><th scope="col" style="{_LEFT}">{first}</th>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table>"
    )


_LEFT = "text-align:left;padding:0.2em 0.6em"
_RIGHT = "text-align:right;padding:0.2em 0.6em;font-variant-numeric:tabular-nums"
_RULE = "border-bottom:1px solid currentColor"


def _html_row(line: Row) -> str:
    name = html.escape(line.name)
    if not line.cells:
        span = len(_HEADINGS) + 1
        return (
            f'<tr style="{_RULE}"><th scope="rowgroup" colspan="{span}" style="{_LEFT}">'
            f"{name}</th></tr>"
        )
    figures = "".join(f'<td style="{_RIGHT}">{html.escape(cell)}</td>' for cell in line.cells)
    return f'<tr><th scope="row" style="{_LEFT}">{name}</th>{figures}</tr>'
