"""The progress line, and how many threads a process may use."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from logitmeter.exceptions import SettingsError
from logitmeter.progress import Bar, showing, size_text, time_text
from logitmeter.threads import num_threads, quota

if TYPE_CHECKING:
    from pathlib import Path


def bar(num_rows: int | None, num_bytes: int | None) -> tuple[Bar, io.StringIO]:
    stream, times = io.StringIO(), iter(range(0, 1000, 10))
    return Bar(stream, num_rows, num_bytes, clock=lambda: next(times)), stream


def test_a_line_says_how_far_it_is() -> None:
    line = bar(4000, None)[0].line(1000, 2_500_000_000, 1.23456)
    assert line == (
        " 25% [#####...............] | 1,000 rows | 2.5 GB | 0.25 GB/s | 0:30 left | loss 1.2346"
    )


def test_bytes_stand_in_for_rows_that_are_not_known() -> None:
    assert bar(None, 200)[0].line(3, 100, 0.5).startswith(" 50%")
    assert bar(None, None)[0].line(3, 100, 0.5) == "3 rows | 100 B | 0.00 GB/s | loss 0.5000"


def test_a_shorter_line_covers_a_longer_one() -> None:
    shown, stream = bar(None, None)
    shown(1000, 5, 0.5)
    shown(1, 5, 0.5)
    shown.end()
    first, second = stream.getvalue().strip("\r\n").split("\r")
    assert len(first) == len(second)
    assert stream.getvalue().endswith("\n")


def test_nothing_is_shown_to_nobody() -> None:
    with showing(True, 1, 1) as shown:  # noqa: FBT003 - as the option is spelt
        assert shown is None
    calls: list[int] = []
    with showing(lambda rows, _read, _loss: calls.append(rows), 1, 1) as shown:
        assert shown is not None
        shown(7, 0, 0.0)
    assert calls == [7]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e12, "3.00 TB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


def test_times() -> None:
    assert [time_text(seconds) for seconds in (0, 59.6, 3661)] == ["0:00", "1:00", "1:01:01"]


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "400000 100000", "a/b/cpu.max": "100000 100000"}, 1),
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_the_tightest_quota_counts(
    tmp_path: Path, files: dict[str, str], threads: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    (tmp_path / "membership").write_text("4:memory:/x\n0::/a/b\n", encoding="ascii")
    assert quota(tmp_path, tmp_path / "membership") == threads


def test_threads_are_those_asked_for_or_at_least_one() -> None:
    assert num_threads() >= 1
    assert num_threads(5) == 5
    for wrong in (0, -1, True, 2.0):
        with pytest.raises(SettingsError):
            num_threads(wrong)  # type: ignore[arg-type]
