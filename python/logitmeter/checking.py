"""`check`: files, labels, and a sample of rows, before the long run.

What has a position or a file and is wrong there becomes a `Problem`; what is wrong with the call
itself is raised.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from logitmeter import _core
from logitmeter._look import LOOK_BYTES, looked_at
from logitmeter._part import FrozenMapping
from logitmeter._sample import Sample
from logitmeter.arguments import counting_settings
from logitmeter.border import check_labels, named_errors, require_data
from logitmeter.exceptions import (
    CorruptInputError,
    DTypeError,
    InputWarning,
    LabelError,
    LogitmeterError,
    NonFiniteError,
    ShapeError,
)
from logitmeter.notices import warn
from logitmeter.profiles import needs
from logitmeter.report import Check, Problem
from logitmeter.running import reading
from logitmeter.scores import Scores
from logitmeter.sources.top_k import TopK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from logitmeter._core import CheckCounts, Looks, Settings
    from logitmeter._look import Look
    from logitmeter.sources import Data, Source
    from logitmeter.sources.feed import Feed

__all__ = ["checked"]

T = TypeVar("T")
PADDED_MASS = 1e-3
"""Padding that holds this much raises the loss by as many nats."""
AS_PROBLEMS = {"LabelShiftWarning", "NothingCountedWarning"}
"""Warnings of a run that is not worth its hours."""


class Findings:
    """Problems and warnings, as they are found."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[tuple[str, str]] = []

    def caught(self, feed: Feed | None, look: Callable[[], T]) -> T | None:
        """Give what a look finds; an error that has its place in the input becomes a problem."""
        try:
            return look()
        except (LabelError, NonFiniteError) as error:
            self.problems.append(_problem(error, feed))
        except (CorruptInputError, ShapeError, DTypeError) as error:
            if error.path is None:
                raise
            self.problems.append(_problem(error, feed))
        return None

    def warned(self, found: list[tuple[str, str]]) -> None:
        """Take warnings of the core, each as what it is for a check."""
        for kind, message in found:
            if kind in AS_PROBLEMS:
                self.problems.append(Problem(kind, message))
            else:
                self.warnings.append((kind, message))

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Take what readers warn of (a stream that may have been cut) as problems."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for one in caught:
            if issubclass(one.category, InputWarning):
                self.problems.append(Problem("InputWarning", str(one.message)))
            else:
                warn(str(one.message), one.category)


def checked(source: Source, data: Data, counting: Mapping[str, Any], rows: int) -> Check:
    """Look at all files, at all labels, and at the first so many rows."""
    findings = Findings()
    with findings.noticing():
        damaged = [_problem(error, None) for error in source.damaged(data)]
        findings.problems += damaged
        feed = None
        if not damaged:
            feed = findings.caught(None, lambda: source.feed(data, **needs(counting)))
        if feed is None:
            return _result(findings, source)
        settings = counting_settings(feed.stated_vocab, **counting)
        require_data(feed, settings)
        labels = findings.caught(feed, lambda: check_labels(feed, settings))
        sample = None
        if rows and source.read_again:
            sample = _sampled(findings, source.limited(rows), data, counting)
    counts = labels[0] if labels else None
    if counts is not None:
        findings.warned(counts["warnings"])
    return _result(findings, source, feed, counts, sample)


def _result(
    findings: Findings,
    source: Source,
    feed: Feed | None = None,
    counts: CheckCounts | None = None,
    sample: Sample | None = None,
) -> Check:
    if counts is not None:
        counts["warnings"] = list(dict.fromkeys(findings.warnings))
    facts: dict[str, Any] = {}
    if feed is not None:
        positions = feed.num_rows if counts is None else counts["num_rows"]
        facts = {
            "rows": None if positions is None else feed.logits_rows(positions),
            "vocab_size": feed.stated_vocab,
            "element": feed.element,
            "bytes": feed.num_bytes,
            "columns": _columns(feed),
            "parts": _parts(feed),
        }
        if sample is not None and sample.rows and positions is not None:
            facts["estimated_seconds"] = sample.seconds / sample.rows * positions
    return Check._from_counts(  # noqa: SLF001 - made for this
        counts,
        problems=dict.fromkeys(findings.problems),
        files=source.num_files,
        sample=sample,
        **facts,
    )


def _columns(feed: Feed) -> Mapping[str, str]:
    schema = feed.reader.schema
    return FrozenMapping(
        {field.name: str(field.type) for field in schema if not field.name.startswith("__")}
    )


def _parts(feed: Feed) -> Mapping[str, str]:
    """Give the columns that are used, by the part that they play."""
    lists = feed.reader.columns.by_part() if isinstance(feed.reader, TopK) else {}
    named = {part: name for part, name in feed.columns.items() if isinstance(name, str)}
    names = lists | named
    return FrozenMapping({part: name for part, name in names.items() if not name.startswith("__")})


def _sampled(
    findings: Findings, source: Source, data: Data, counting: Mapping[str, Any]
) -> Sample | None:
    """Score some rows, and look at them."""
    feed = source.feed(data, **needs(counting))
    options = {**counting, "on_short": "count"}  # the last run may be cut
    settings, every = (
        counting_settings(feed.stated_vocab, **options, nonfinite=nonfinite)
        for nonfinite in ("omit", "propagate")
    )
    scored = findings.caught(feed, lambda: _scored(feed, settings))
    if scored is None:
        return None
    meter, seconds = scored
    summary = meter.summary()
    whole = summary["total"]["whole"]
    if whole["num_invalid"]:
        strict = counting_settings(feed.stated_vocab, **options)
        findings.caught(feed, lambda: _scored(feed, strict))
    looks, look = meter.looks(), _look(source, counting)
    told = [found for found in meter.warnings() if found[0] != "NothingCountedWarning"]
    _take_looks(findings, told, looks, look)
    _take_padding(findings, look, counting)
    compared = looks["num_compared"]
    return Sample(
        rows=summary["num_rows"],
        num_tokens=whole["num_tokens"],
        loss=whole["loss"],
        num_nan_rows=summary["num_nan_rows"],
        num_posinf_rows=summary["num_posinf_rows"],
        num_empty_rows=summary["num_empty_rows"],
        num_neginf_labels=summary["num_neginf_labels"],
        num_bounded=whole["num_bounded"],
        num_unknown=whole["num_unknown"],
        num_compared=compared,
        shift_losses=FrozenMapping(
            dict(zip((-1, 0, 1), looks["fits"], strict=True)) if compared else {}
        ),
        num_looked=0 if look is None else look.rows,
        num_padded=_num_padded(look, feed, counting),
        padded_mass=None if look is None else look.padded_mass,
        never_counted=_never_counted(feed, every),
        seconds=seconds,
    )


def _scored(feed: Feed, settings: Settings) -> tuple[_core.Meter, float]:
    meter, start = _core.Meter(settings), time.perf_counter()
    with named_errors(feed):
        meter.update(feed, null_labels=feed.null_labels, **reading(feed, None))
    return meter, time.perf_counter() - start


def _look(source: Source, counting: Mapping[str, Any]) -> Look | None:
    """Look at the entries of as many rows as may be held; null rows end it."""
    if source.scored:
        return None
    alone = source.logits_alone()
    vocab = alone.feed().vocab_size or 1
    feed = alone.limited(max(1, LOOK_BYTES // (8 * vocab))).feed().of_logits()
    try:
        return looked_at(feed, counting["valid_vocab"])
    except NonFiniteError:
        return None


def _take_looks(
    findings: Findings, told: list[tuple[str, str]], looks: Looks, look: Look | None
) -> None:
    """Say which values are no logits: log-probabilities do no harm, probabilities do."""
    rows = looks["num_rows"]
    probabilities = rows > 0 and looks["num_probabilities"] == rows
    logprobs = rows > 0 and looks["num_logprobs"] == rows
    for kind, message in told:
        if kind == "InputWarning" and probabilities:
            more = "; evaluate takes a softmax of it: pass its logarithm"
            if look is not None and look.twice:
                more += ". It was taken twice already: no value is over e times another of its row"
            findings.problems.append(Problem(kind, message + more))
        else:
            findings.warned([(kind, message)])
    if logprobs and look is not None and look.nearly_uniform:
        message = (
            f"a softmax was taken twice: log-probabilities of all of {look.rows} rows differ by at "
            f"most {look.spread:.3f} within a row, as those of a softmax of probabilities do"
        )
        findings.problems.append(Problem("InputWarning", message))


def _take_padding(findings: Findings, look: Look | None, counting: Mapping[str, Any]) -> None:
    if look is None or look.padded_mass is None or counting["valid_vocab"] is not None:
        return
    if look.padded_mass >= PADDED_MASS and counting["vocab_mask"] is None:
        message = (
            f"the last {look.num_padded} ids hold one value in each of {look.rows} rows, as "
            f"padding does, and {look.padded_mass:.2%} of the probability: pass valid_vocab, if "
            "they are no tokens"
        )
        findings.problems.append(Problem("InputWarning", message))


def _num_padded(look: Look | None, feed: Feed, counting: Mapping[str, Any]) -> int | None:
    if look is None or look.padded_mass is None:
        return None
    valid, vocab = counting["valid_vocab"], feed.vocab_size
    return look.num_padded if valid is None or vocab is None else max(0, vocab - valid)


def _never_counted(feed: Feed, settings: Settings) -> Mapping[int, int]:
    """Count the labels that occur in the sample, but at no position that counts."""
    stream = _core.token_scores(feed, settings, null_labels=feed.null_labels, **reading(feed, None))
    tokens = Scores(stream, feed).read_all()
    labels = np.concatenate([_labels(batch, feed) for batch in feed.without_logits().batches()])
    counts = np.zeros(len(labels), bool)
    counts[tokens["position"].to_numpy()] = True
    usable = (labels >= 0) & (labels != settings.to_dict()["ignore_index"])
    seen = set(labels[counts].tolist())
    never = Counter(labels[usable & ~counts].tolist())
    return FrozenMapping({label: times for label, times in never.items() if label not in seen})


def _labels(batch: pa.RecordBatch, feed: Feed) -> np.ndarray[Any, Any]:
    column = batch.column(str(feed.columns["labels"])).cast(pa.int64(), safe=False).fill_null(-1)
    found: np.ndarray[Any, Any] = column.to_numpy(zero_copy_only=False)
    return found


def _problem(error: LogitmeterError, feed: Feed | None) -> Problem:
    position = error.position
    place = None if position is None or feed is None else feed.locate(position)
    inside = None if place is None else place[1]
    return Problem(type(error).__name__, str(error.args[0]), position, error.path, inside)
