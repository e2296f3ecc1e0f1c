"""Runs of the core over a feed: labels first where that costs nothing, then rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from logitmeter import _core
from logitmeter.border import check_labels, checked_first, named_errors, require_data
from logitmeter.exceptions import LabelError, LogitmeterError, NonFiniteError
from logitmeter.notices import warn_all
from logitmeter.progress import showing
from logitmeter.report import Check, Problem, Report
from logitmeter.threads import num_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logitmeter._core import CheckCounts, Settings
    from logitmeter.progress import Progress
    from logitmeter.sources.feed import Feed

__all__ = ["checked", "evaluated", "evaluated_together", "reading", "require_tokens", "update"]

T = TypeVar("T")


def evaluated(
    feed: Feed,
    settings: Settings,
    threads: int | None,
    progress: bool | Progress,  # noqa: FBT001 - as the option is spelt
) -> Report:
    """Give the report of all of a feed; warnings are issued."""
    meter = _core.Meter(settings)
    update(meter, feed, threads=threads, progress=progress)
    warn_all(meter.warnings())
    return Report._from_summary(meter.summary())  # noqa: SLF001 - made for this


def evaluated_together(
    feed: Feed,
    settings: Sequence[Settings],
    threads: int | None,
    progress: bool | Progress,  # noqa: FBT001 - as the option is spelt
) -> list[Report]:
    """Give the report of all of a feed by each of the settings, from one read."""
    for counting in settings:
        require_data(feed, counting)
    counts = checked_first(feed, *settings)
    num_rows = counts[0]["num_rows"] if counts else feed.num_rows
    meters = [_core.Meter(counting) for counting in settings]
    with showing(progress, num_rows, feed.num_bytes) as shown, named_errors(feed):
        _core.update_all(
            meters, feed, null_labels=feed.null_labels, progress=shown, **reading(feed, threads)
        )
    warn_all(dict.fromkeys(found for meter in meters for found in meter.warnings()))
    return [Report._from_summary(meter.summary()) for meter in meters]  # noqa: SLF001 - as above


def require_tokens(report: Report) -> None:
    """Raise if nothing counted."""
    if not report.num_tokens:
        raise LabelError("nothing counted: no token is visible or hidden", partial=report)


def update(
    meter: _core.Meter,
    feed: Feed,
    *,
    threads: int | None = None,
    final: bool = True,
    progress: bool | Progress = False,
) -> None:
    """Read a feed into a meter. Labels are looked at first, unless earlier ones go before them."""
    require_data(feed, meter.settings)
    alone = final and not meter.is_open
    counts = checked_first(feed, meter.settings) if alone else []
    num_rows = counts[0]["num_rows"] if counts else feed.num_rows
    with showing(progress, num_rows, feed.num_bytes) as shown, named_errors(feed):
        meter.update(
            feed,
            null_labels=feed.null_labels,
            final=final,
            progress=shown,
            **reading(feed, threads),
        )


def checked(
    feed: Feed, settings: Settings, sample: tuple[Feed, Settings] | None, num_files: int | None
) -> Check:
    """Give what is found in the labels of a feed, and in the logits of a sample of it."""
    require_data(feed, settings)
    problems: list[Problem] = []
    found = _caught(problems, feed, lambda: check_labels(feed, settings))
    counts = found[0] if found else None
    warnings = _caught(problems, sample[0], lambda: sampled(*sample)) if sample else None
    if counts is not None:
        counts["warnings"] = [*counts["warnings"], *(warnings or [])]
    return Check._from_counts(  # noqa: SLF001 - made for this
        counts,
        problems=dict.fromkeys(problems),
        rows=_rows(feed, counts),
        vocab_size=feed.stated_vocab,
        element=feed.element,
        bytes=feed.num_bytes,
        files=num_files,
    )


def reading(feed: Feed, threads: int | None) -> dict[str, Any]:
    """Give the arguments that every function of the core takes of a feed."""
    return {
        "columns": feed.columns,
        "dtype": feed.dtype,
        "threads": num_threads(threads),
        "read_ahead": feed.read_ahead,
    }


def _caught(problems: list[Problem], feed: Feed, look: Callable[[], T]) -> T | None:
    """Give what a look finds; what has a position and is wrong there becomes a problem."""
    try:
        return look()
    except (LabelError, NonFiniteError) as error:
        problems.append(_problem(error, feed))
        return None


def sampled(feed: Feed, settings: Settings) -> list[tuple[str, str]]:
    """Score some rows: the warnings that they give."""
    meter = _core.Meter(settings)
    with named_errors(feed):
        meter.update(feed, null_labels=feed.null_labels, **reading(feed, None))
    return [found for found in meter.warnings() if found[0] != "NothingCountedWarning"]


def _problem(error: LogitmeterError, feed: Feed) -> Problem:
    place = None if error.position is None else feed.locate(error.position)
    inside = None if place is None else place[1]
    return Problem(type(error).__name__, str(error.args[0]), error.position, error.path, inside)


def _rows(feed: Feed, counts: CheckCounts | None) -> int | None:
    """Count the rows of logits: positions, without those that have none."""
    return feed.num_logits_rows if counts is None else feed.logits_rows(counts["num_rows"])
