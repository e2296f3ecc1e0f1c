"""Runs of the core over a feed: labels first where that costs nothing, then rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter import _core
from logitmeter.border import checked_first, named_errors, require_data
from logitmeter.exceptions import LabelError
from logitmeter.notices import warn_all
from logitmeter.progress import showing
from logitmeter.report import Report
from logitmeter.threads import num_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logitmeter._core import Settings
    from logitmeter.progress import Progress
    from logitmeter.sources.feed import Feed

__all__ = ["evaluated", "evaluated_together", "reading", "require_tokens", "update"]


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


def reading(feed: Feed, threads: int | None) -> dict[str, Any]:
    """Give the arguments that every function of the core takes of a feed."""
    return {
        "columns": feed.columns,
        "dtype": feed.dtype,
        "threads": num_threads(threads),
        "read_ahead": feed.read_ahead,
    }
