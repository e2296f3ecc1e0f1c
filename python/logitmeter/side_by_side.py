"""`evaluate_profiles`: the same rows, counted in several ways, from one read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from logitmeter.arguments import (
    NonFinite,
    OnEmpty,
    Precision,
    check_progress,
    counting_settings,
    one_of,
)
from logitmeter.exceptions import SettingsError
from logitmeter.profiles import ProfileLike, get, needs
from logitmeter.running import evaluated_together, require_tokens
from logitmeter.sources import SourceLike, data_of, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logitmeter.profiles import Profile
    from logitmeter.report import Report

__all__ = ["evaluate_profiles"]


def evaluate_profiles(
    source_or_logits: SourceLike,
    profiles: Iterable[ProfileLike],
    labels: Any = None,
    *,
    mask: Any = None,
    role: Any = None,
    weight: Any = None,
    sequence_id: Any = None,
    batch_id: Any = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    nonfinite: NonFinite = "raise",
    on_empty: OnEmpty = "nan",
    precision: Precision = "fast",
    threads: int | None = None,
    progress: bool | Callable[[int, int, float], object] = False,
) -> dict[str, Report]:
    """Count the same rows as several profiles do: read once, each row of logits scored once.

    Each report is, to the bit, the one that ``evaluate(..., profile=...)`` gives.

    Parameters
    ----------
    source_or_logits
        As in `evaluate`.
    profiles
        Names of built-in profiles, or `Profile`. They must agree in how rows are read:
        `ignore_index`, `shift`, `valid_vocab` and `vocab_mask`.
    labels, mask, role, weight, sequence_id, batch_id, by
        As in `evaluate`.
    nonfinite, on_empty, precision, threads, progress
        As in `evaluate`; the running loss is that of the first profile.

    Returns
    -------
    dict of Report
        By the profiles' names, in their order.

    Raises
    ------
    SettingsError
        No profile, two of one name, or profiles that cannot share a read.
    LogitmeterError
        As `evaluate`; of several errors the one at the smallest position.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logits = np.log(np.array([[[1, 1], [3, 1], [7, 1], [1, 1]]], np.float32))
    >>> mask = np.array([[0, 1, 0, 0]])
    >>> found = lm.evaluate_profiles(
    ...     logits, ["visible", "openai"], np.zeros((1, 4), int), mask=mask
    ... )
    >>> {name: (report.num_tokens, round(report.loss, 4)) for name, report in found.items()}
    {'visible': (1, 0.2877), 'openai': (3, 0.3715)}
    """
    one_of("on_empty", on_empty, ("nan", "raise"))
    check_progress(progress)
    chosen = _chosen(profiles)
    data = data_of(
        labels,
        mask=mask,
        role=role,
        weight=weight,
        sequence_id=sequence_id,
        batch_id=batch_id,
        by=by,
    )
    feed = open_source(source_or_logits).feed(
        data,
        **needs(chosen[0].options())
        | {"by_batch": any(needs(profile.options())["by_batch"] for profile in chosen)},
    )
    settings = [
        counting_settings(
            feed.stated_vocab, **profile.options(), nonfinite=nonfinite, precision=precision
        )
        for profile in chosen
    ]
    reports = evaluated_together(feed, settings, threads, progress)
    if on_empty == "raise":
        for report in reports:
            require_tokens(report)
    return {profile.name: report for profile, report in zip(chosen, reports, strict=True)}


def _chosen(profiles: Iterable[ProfileLike]) -> list[Profile]:
    """Give the profiles, of which there is at least one, each of its own name."""
    chosen = [get(profile) for profile in ([profiles] if isinstance(profiles, str) else profiles)]
    if not chosen:
        raise SettingsError("no profile is given", expected="at least one profile", got="none")
    twice = [name for name, times in Counter(p.name for p in chosen).items() if times > 1]
    if twice:
        raise SettingsError(
            f"two profiles are named {twice[0]!r}: give one another name, replace(name=...)",
            expected="names that differ",
            got=twice[0],
        )
    return chosen
