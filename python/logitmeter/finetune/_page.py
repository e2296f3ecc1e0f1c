"""One HTML page that brings everything along: no script, no link, nothing from a network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from logitmeter._numbers import number_text
from logitmeter.finetune._plot import svg_plot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logitmeter.finetune._plot import Plot
    from logitmeter.finetune._story import Section, Table

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --first: #1f6fb2; --second: #c4661f; --third: #3d8b4f; }
@media (prefers-color-scheme: dark) {
  :root { --first: #6cb4ee; --second: #f0a56a; --third: #85c995; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 1.8em 0 0.4em; }
p { margin: 0.4em 0; } .lead { font-size: 1.1em; }
table { border-collapse: collapse; margin: 0.6em 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.2em 0.9em 0.2em 0; font-weight: normal; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid currentColor; }
pre, .wide { overflow-x: auto; }
pre { font-size: 0.85em; line-height: 1.35; }
figure { margin: 1em 0; } svg { width: 100%; height: auto; }
svg text { font-size: 12px; fill: currentColor; }
svg text.name { paint-order: stroke; stroke: Canvas; stroke-width: 5px; }
.grid { stroke: currentColor; opacity: 0.15; } .axis { stroke: currentColor; opacity: 0.6; }
.level { stroke: currentColor; stroke-dasharray: 5 4; opacity: 0.75; }
.curve { fill: none; stroke-width: 1.6; }
.series0 { stroke: var(--first); } .series1 { stroke: var(--second); }
.series2 { stroke: var(--third); }
circle.series0 { fill: var(--first); } circle.series1 { fill: var(--second); }
circle.series2 { fill: var(--third); }
.key { display: inline-block; width: 1.4em; border-top: 3px solid; margin-right: 0.4em;
  vertical-align: middle; }
.key.level { border-top: 2px dashed; opacity: 1; }
.key.series0 { color: var(--first); } .key.series1 { color: var(--second); }
.key.series2 { color: var(--third); }
figcaption span { margin-right: 1.2em; }
"""


def page(title: str, lead: str, plots: Sequence[Plot], sections: Sequence[Section]) -> str:
    """Write the whole page."""
    body = [f"<h1>{html.escape(title)}</h1>", f'<p class="lead">{html.escape(lead)}</p>']
    body += [_figure(plot) for plot in plots]
    body += [part for section in sections for part in _section(section)]
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    lines = ["<!DOCTYPE html>", '<html lang="en">', f"<head>{head}</head>", "<body>", *body]
    return "\n".join([*lines, "</body>", "</html>", ""])


def _figure(plot: Plot) -> str:
    keys = "".join(
        f'<span><i class="key series{number}"></i>{html.escape(one.name)}</span>'
        for number, one in enumerate(plot.series)
    )
    keys += "".join(
        f'<span><i class="key level"></i>{html.escape(name)}: {number_text(value)}</span>'
        for name, value in plot.near
    )
    return (
        f"<h2>{html.escape(plot.title)}</h2>"
        f"<figure>{svg_plot(plot)}<figcaption>{keys}</figcaption></figure>"
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{html.escape(section.title)}</h2>"
    for sentence in section.sentences:
        yield f"<p>{html.escape(sentence)}</p>"
    if section.table is not None:
        yield _table(section.table)
    if section.verbatim:
        yield f"<pre>{html.escape(section.verbatim)}</pre>"


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in table.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    inner = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="wide"><table>{inner}</table></div>'
