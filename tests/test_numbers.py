"""Figures and foreign text as people read them."""

from __future__ import annotations

import pytest
from logitmeter._numbers import (
    bytes_text,
    clip,
    figure,
    number_text,
    pad,
    plural,
    printable,
    value_and_error,
    width,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (2.314719, 0.0041, ("2.3147", "0.0041")),
        (2.314719, 0.00996, ("2.315", "0.010")),
        (2.314719, 0.0996, ("2.31", "0.10")),
        (2.314719, 0.41, ("2.31", "0.41")),
        (2.314719, 4.1, ("2.3", "4.1")),
        (2.314719, 41.0, ("2", "41")),
        (304889.27, 123.4, ("304,890", "120")),
        (12345678.0, 1234.0, ("12,345,700", "1,200")),
        (-0.00001, 0.0041, ("0.0000", "0.0041")),
        (-2.5, 0.25, ("-2.50", "0.25")),
        (2.314719, 4.1e-9, ("2.314719", "4.1e-09")),
        (4.2345e-18, 1.04e-19, ("4.23e-18", "1.0e-19")),
        (0.0, 4.1e-9, ("0", "4.1e-09")),
        (5.0, 1.234e12, ("5.0000", "1.2e+12")),
        (1e26, 1e25, ("1.00e+26", "1.0e+25")),
        (0.5, 0.0, ("0.5000", "0")),
        (0.5, NAN, ("0.5000", "")),
        (0.5, INF, ("0.5000", "")),
        (INF, NAN, ("inf", "")),
        (-INF, 0.1, ("-inf", "")),
        (NAN, 0.1, ("nan", "")),
    ],
)
def test_the_error_decides_the_digits(value: float, error: float, shown: tuple[str, str]) -> None:
    assert value_and_error(value, error) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0"),
        (1.0, "1.0000"),
        (0.99999, "1.0000"),
        (0.001, "0.0010"),
        (0.00099, "9.9000e-04"),
        (10.12345, "10.123"),
        (304889.27, "304,889"),
        (1e9, "1.0000e+09"),
        (1e300, "1.0000e+300"),
        (-0.25, "-0.2500"),
        (NAN, "nan"),
    ],
)
def test_a_figure_without_an_error(value: float, shown: str) -> None:
    assert number_text(value) == shown


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (10.1223, 0.041, "10.122"),
        (70.84, 5000.0, "70.8"),
        (5062.3, 4991.0, "5,060"),
        (0.484, 70.0, "0.484"),
        (1.0, INF, "1.00"),
        (1.2e-7, 70.0, "1.20e-07"),
        (3.456e12, 1e12, "3.46e+12"),
        (4.0, 0.0, "4.0000"),
        (4.0, NAN, "4.0000"),
        (INF, NAN, "inf"),
        (NAN, NAN, "nan"),
    ],
)
def test_a_figure_keeps_digits_whatever_its_error(value: float, error: float, shown: str) -> None:
    assert figure(value, error) == shown


def test_counts_and_sizes() -> None:
    assert plural(1, "token") == "1 token"
    assert plural(0, "reply", "replies") == "0 replies"
    sizes = [bytes_text(size) for size in (0, 1, 1023, 1024, 2**20, 3 * 2**40, 2**70)]
    small, large = ["0 bytes", "1 byte", "1,023 bytes"], ["1.0 KiB", "1.0 MiB", "3.0 TiB"]
    assert sizes == [*small, *large, "1,024.0 EiB"]


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("math", 4, "math"),
        ("maths", 4, "mat…"),
        ("数学数学", 5, "数学…"),
        ("数学数学", 4, "数…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_clip_counts_cells(text: str, cells: int, shown: str) -> None:
    assert clip(text, cells) == shown
    assert width(pad(clip(text, cells), cells)) == cells


def test_printable_keeps_letters_and_spells_out_controls() -> None:
    assert printable("naïve 数学 👩\u200d🔬") == "naïve 数学 👩\u200d🔬"
    assert printable("a\tb\x00\x7f\x9b\u2028\u2066") == r"a\tb\x00\x7f\x9b\u2028\u2066"
