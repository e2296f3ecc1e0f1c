"""Figures and foreign text as people read them: separators, error digits, widths, safe labels.

The error decides the digits: it is rounded to two significant ones and its value to the same
place, as the Particle Data Group's rules have it (without their third case). Nothing here
knows what a report is.
"""

from __future__ import annotations

import math
import unicodedata

_MAX_DECIMALS = 6
_LONGEST_PLAIN = 1e9
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})


def count(number: int) -> str:
    """Write a count with thousands separators.

    Examples
    --------
    >>> count(1204)
    '1,204'
    """
    return f"{number:,}"


def plural(number: int, singular: str, many: str | None = None) -> str:
    """Write a count and its noun.

    Examples
    --------
    >>> plural(1, "reply", "replies"), plural(2000, "token")
    ('1 reply', '2,000 tokens')
    """
    return f"{count(number)} {singular if number == 1 else many or singular + 's'}"


def number_text(value: float) -> str:
    """Write a figure whose error is not known: four decimals, or five digits.

    Examples
    --------
    >>> number_text(2.31472), number_text(304889.27), number_text(4.2e-18)
    ('2.3147', '304,889', '4.2000e-18')
    """
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return str(float(value)) if math.isfinite(value) else _nonfinite(value)
    if size >= _LONGEST_PLAIN or size < 1e-3:  # noqa: PLR2004 - below it four decimals say little
        return f"{value:.4e}"
    decimals = max(0, 4 - max(0, math.floor(math.log10(size))))
    return f"{value:,.{decimals}f}"


def two_digits(value: float) -> str:
    """Write a figure as far as its second significant digit.

    Examples
    --------
    >>> two_digits(0.00104), two_digits(12.3)
    ('0.0010', '12')
    """
    return f"{value:#.2g}".removesuffix(".")


def value_and_error(value: float, error: float) -> tuple[str, str]:
    """Write a figure and its error, both rounded at the error's second significant digit.

    Returns
    -------
    tuple of str
        The value and the error; the error is empty where it is not finite.

    Examples
    --------
    >>> value_and_error(2.314719, 0.0041)
    ('2.3147', '0.0041')
    >>> value_and_error(12345678.0, 1234.0)
    ('12,345,700', '1,200')
    """
    if not (math.isfinite(value) and math.isfinite(error)):
        return number_text(value), ""
    if error == 0:
        return number_text(value), "0"
    error_text = f"{error:.1e}"
    decimals = 1 - int(error_text.partition("e")[2])
    if decimals > _MAX_DECIMALS or max(abs(value), error) >= _LONGEST_PLAIN:
        return _scientific(value, error, decimals), error_text
    return _rounded(value, decimals), _rounded(float(error_text), decimals)


def figure(value: float, error: float) -> str:
    """Write a figure of some error, which may dwarf it: three digits are always left.

    Examples
    --------
    >>> figure(10.1223, 0.041), figure(71.04, 5000.0), figure(0.000812, 70.0)
    ('10.122', '71.0', '0.000812')
    """
    return value_and_error(value, min(error, abs(value) / 10))[0]


def _scientific(value: float, error: float, decimals: int) -> str:
    """Write a value in powers of ten, as far as its error (or a double) reaches."""
    exponent = int(f"{value:e}".partition("e")[2])
    if value == 0 or abs(value) < error:
        return number_text(value) if value else "0"
    if abs(exponent) < 4:  # noqa: PLR2004 - reads well as it is
        return _rounded(value, _MAX_DECIMALS)
    return f"{value:.{min(max(exponent + decimals, 0), 15)}e}"


def _rounded(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def _nonfinite(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


def printable(text: str) -> str:
    r"""Make foreign text safe for one line of a terminal.

    Line breaks, control characters and marks that turn the direction of writing are spelt as
    escapes; all other text stays as it is.

    Examples
    --------
    >>> printable("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return "".join(map(_safe, text))


def _safe(character: str) -> str:
    if character in _BIDI_CONTROLS or unicodedata.category(character) in _UNPRINTABLE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def width(text: str) -> int:
    """Count the terminal's cells: wide East Asian characters take two, combining marks none.

    Examples
    --------
    >>> width("数学"), width("e\u0301")
    (4, 1)
    """
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, cells: int) -> str:
    """Cut text to a number of terminal cells; an ellipsis says that something is missing.

    Examples
    --------
    >>> clip("arithmetic", 6)
    'arith…'
    """
    if width(text) <= cells:
        return text
    kept = ""
    for character in text:
        if width(kept) + _cells(character) > cells - 1:
            break
        kept += character
    return kept + "…"


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """Fill text with spaces to a number of terminal cells.

    Examples
    --------
    >>> pad("a", 3), pad("a", 3, right=True)
    ('a  ', '  a')
    """
    space = " " * max(0, cells - width(text))
    return space + text if right else text + space


def bytes_text(size: int) -> str:
    """Write a number of bytes in binary units.

    Examples
    --------
    >>> bytes_text(512), bytes_text(3 * 2**30)
    ('512 bytes', '3.0 GiB')
    """
    if size < 1024:  # noqa: PLR2004 - one KiB
        return plural(size, "byte")
    power = min((size.bit_length() - 1) // 10, 6)
    return f"{size / 1024**power:,.1f} {'KMGTPE'[power - 1]}iB"
