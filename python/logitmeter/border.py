"""What goes to the core, and what comes back: settings, a first look at the labels, errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from logitmeter import _core
from logitmeter.exceptions import LabelError, LogitmeterError, SettingsError
from logitmeter.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logitmeter._core import CheckCounts, Settings, Summary
    from logitmeter.sources.feed import Feed

__all__ = ["check_labels", "checked_first", "named_errors", "require_data"]


def require_data(feed: Feed, settings: Settings) -> None:
    """Check that there are labels, and what the settings need: a mask, rows of logits."""
    present = [name for name in feed.reader.schema.names if not name.startswith("__")]
    if feed.columns["labels"] is None:
        raise SettingsError(
            "no labels: pass labels=, or name their column: "
            f"lm.scan(source, columns={{'labels': ...}}); the source has: {', '.join(present)}",
            expected="labels",
            got=", ".join(present),
        )
    options = settings.to_dict()
    if feed.scored and (options["valid_vocab"] is not None or options["vocab_mask"] is not None):
        raise SettingsError(
            "valid_vocab and vocab_mask leave entries out of rows of logits, and the source holds "
            "scores, which were made without them",
            expected="rows of logits",
            got="scores",
        )
    _require_units(feed, options)
    if not (options["leading"] or options["trailing"]):
        return
    if feed.columns["role"] is not None and options["profile"] is None:
        given = f"leading={options['leading']}, trailing={options['trailing']}"
        raise SettingsError(
            f"{given} count hidden tokens around a mask, but column {feed.columns['role']!r} says "
            "by role which tokens are hidden: leave them at 0, or the roles unused "
            "(lm.scan(source, columns={'role': None}))",
            expected="leading=0, trailing=0",
            got=given,
        )
    if feed.columns["mask"] is None and feed.columns["role"] is None:
        raise SettingsError(
            "leading and trailing tokens are counted around the runs of a mask, and there is none: "
            "without it every usable label is visible already, and ignored labels cannot be hidden "
            "tokens; keep the token ids as labels and pass mask = labels != -100",
            expected="mask",
            got="no mask",
        )


def _require_units(feed: Feed, options: Mapping[str, Any]) -> None:
    """Check that what is pooled can be told apart."""
    by_sequence = options["pooling"] in {"sequences", "samples"} or options["accuracy"] != "tokens"
    by_batch = options["pooling"] in {"batches", "samples"}
    columns = feed.columns
    for needed, part, column, units in (
        (by_sequence, "sequence_id", columns["sequence_id"], "sequences"),
        (by_batch, "batch_id", columns["batch_id"], "batches"),
    ):
        if needed and column is None:
            named = f" (profile {options['profile']!r})" if options["profile"] else ""
            raise SettingsError(
                f"means over {units} need to know them: pass {part}{named}",
                expected=part,
                got=f"no {part}",
            )


def checked_first(feed: Feed, *settings: Settings) -> list[CheckCounts]:
    """Look at all labels before any logit, where that costs nothing: no run dies late for one."""
    return check_labels(feed, *settings) if feed.labels_first else []


def check_labels(feed: Feed, *settings: Settings) -> list[CheckCounts]:
    """Decide which tokens count by each of the settings, from all columns but the logits."""
    vocab_size = feed.vocab_size
    labels = feed.without_logits()
    with named_errors(labels):
        return _core.check(
            labels,
            settings,
            columns=labels.columns,
            vocab_size=vocab_size,
            null_labels=labels.null_labels,
        )


@contextmanager
def named_errors(feed: Feed) -> Iterator[None]:
    """Raise what the stream itself raised, and say in which file; make reports of summaries."""
    try:
        yield
    except BaseException as error:
        original = named(error, feed)
        if original is error:
            raise
        raise original from None


def named(error: BaseException, feed: Feed) -> BaseException:
    """Give the error that the caller should see for one that the core raised."""
    original = error if feed.error is None else feed.error
    if isinstance(original, LabelError):
        original = feed.refused(original)
    if isinstance(original, LogitmeterError):
        original.partial = _report(getattr(error, "partial", None) or original.partial)
        if original.path is None and original.position is not None:
            _place(original, feed.locate(original.position))
    return original


def _report(partial: Any) -> Report | None:
    if isinstance(partial, dict):
        return Report._from_summary(cast("Summary", partial))  # noqa: SLF001 - made for this
    return None if partial is None else cast("Report", partial)


def _place(error: LogitmeterError, place: tuple[str, int] | None) -> None:
    if place is not None:
        error.path, position = place
        error.add_note(
            f"position {error.position} of the input is position {position} of this file"
        )
