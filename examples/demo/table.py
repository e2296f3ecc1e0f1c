"""Aligned text for a terminal of 100 columns, without a library."""

import sys
import textwrap
from collections.abc import Sequence

WIDTH = 100
_GAP = "   "


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Lay out rows under a header: the first `words` columns to the left, figures to the right.

    An empty row becomes a blank line.
    """
    widths = [max(len(row[i]) for row in [header, *filter(None, rows)]) for i in range(len(header))]
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    lines = [_line(row, widths, words) if row else "" for row in rows]
    return "\n".join([bold(_line(header, widths, words)), f"  {rule}", *lines])


def paragraph(text: str) -> str:
    """Wrap plain words to the width."""
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Lay out short labels with what they say behind them."""
    width = max(len(label) for label, _ in pairs)
    return "\n".join(f"  {label:<{width}}{_GAP}{value}" for label, value in pairs)


def bold(text: str) -> str:
    """Make text bold where stdout is a terminal."""
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text


def size(number: float | None) -> str:
    """Bytes as a person says them: 1.00 GB, 85 MB."""
    if number is None:
        return "unavailable"
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            scaled = number / unit
            return f"{scaled:.{2 if name == 'GB' else 0}f} {name}"
    return f"{number:.0f} B"


def _line(row: Sequence[str], widths: Sequence[int], words: int) -> str:
    cells = [
        f"{cell:<{width}}" if i < words else f"{cell:>{width}}"
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  " + _GAP.join(cells).rstrip()
