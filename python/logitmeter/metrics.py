"""The functions of the package: arguments are normalised here, and the core does the arithmetic.

For logits x of one row, the natural logarithm throughout::

    lse = ln(sum_j exp(x[j])),   logprob(j) = x[j] - lse,   nll = -logprob(label)

Sources: Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions"
(2021); Miller, "Adding Error Bars to Evals" (arXiv 2411.00640) for standard errors over sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from logitmeter import _core
from logitmeter.arguments import (
    NonFinite,
    OnEmpty,
    OnShort,
    Precision,
    check_progress,
    counting_settings,
    one_of,
    whole,
)
from logitmeter.border import checked_first, named_errors, require_data
from logitmeter.profiles import ProfileLike, counting_of, needs
from logitmeter.running import evaluated, reading, require_tokens
from logitmeter.scores import Scores, TokenScores, kept_columns
from logitmeter.softmax import log_softmax, top_k
from logitmeter.sources import SourceLike, data_of, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logitmeter.report import Check, Report

__all__ = [
    "check",
    "evaluate",
    "log_softmax",
    "sequence_scores",
    "token_scores",
    "top_k",
]


def evaluate(
    source_or_logits: SourceLike,
    labels: Any = None,
    *,
    mask: Any = None,
    role: Any = None,
    weight: Any = None,
    sequence_id: Any = None,
    batch_id: Any = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    profile: ProfileLike | None = None,
    ignore_index: int = -100,
    shift: bool = False,
    leading: int = 0,
    trailing: int = 0,
    on_short: OnShort = "raise",
    valid_vocab: int | None = None,
    vocab_mask: Any = None,
    nonfinite: NonFinite = "raise",
    on_empty: OnEmpty = "nan",
    precision: Precision = "fast",
    threads: int | None = None,
    progress: bool | Callable[[int, int, float], object] = False,
) -> Report:
    """Loss, perplexity and accuracy of the tokens that count, in one read.

    With w the weight of a counted token (1 without `weight`)::

        loss = sum(w * nll) / sum(w),   perplexity = exp(loss)
        accuracy = sum(w * correct) / sum(w)

    Parameters
    ----------
    source_or_logits
        Logits ``[N, V]`` or ``[B, T, V]``, an Arrow object, paths, or a `Source` (see `scan`).
    labels
        Integers ``[N]`` or ``[B, T]``. Under `shift`, logits ``[B, T - 1, V]`` go with labels
        ``[B, T]``. Left out where the source has a column of labels.
    mask
        True on the visible reply: bool or 0 and 1, in the shape of the labels. For this and for
        `role`, `weight` and `sequence_id` a string names a column of the source; without it the
        column of that name is used, if there is one.
    role
        In place of `mask`, `leading` and `trailing`: ``"prompt"``, ``"visible"`` or ``"hidden"``
        at each position, so that hidden tokens need not touch the visible text. A hidden token
        takes the weight of the nearest visible position of its reply. A column of this name is
        used where there is no mask, and preferred by a profile.
    weight
        A weight per position, finite and >= 0 where it counts.
    sequence_id
        Integers or strings; a sequence is a stretch of equal ids. Each b of ``[B, T, V]`` is a
        sequence, and each file ends one, without being told; ids ``[B]`` name those of each b.
    batch_id
        Integers or strings: a batch is a stretch of equal ids, and holds whole sequences. Looked
        at only where `profile` pools by batch.
    by
        Names of columns, or ``{name: array}`` (of the labels' shape; ``[B]`` for ``[B, T, V]``):
        the same figures for each group. ``"file"`` groups by path, unless the files have a column
        of that name.
    profile
        A `Profile` or the name of one (see `profiles`): what a service or a trainer counts, and
        how it pools. It stands in place of the options from `ignore_index` to `vocab_mask`.
    ignore_index
        The label of tokens that are left out.
    shift
        Row t predicts the label of t + 1 in its sequence.
    leading, trailing
        Tokens before and after each run of the mask that count as hidden tokens.
    on_short
        ``"raise"`` for a run that misses some of them, or ``"count"`` those that exist.
    valid_vocab
        Only the first so many entries of a row have a probability.
    vocab_mask
        Booleans ``[V]``: the entries that have a probability.
    nonfinite
        Counted rows that hold NaN or +inf, or nothing but -inf: ``"raise"``; ``"omit"`` leaves
        them out; ``"propagate"`` counts them, with a loss of nan and as not correct.
    on_empty
        If nothing counts: figures are nan, or ``"raise"``.
    precision
        ``"fast"``: the nll within 1e-6 relative; ``"exact"``: within 1e-13.
    threads
        By default as many as affinity and the cgroup allow; the result does not depend on it.
    progress
        True shows a line on a terminal's stderr; or called with rows, bytes and the running loss.

    Returns
    -------
    Report
        Losses in nats.

    Raises
    ------
    LabelError, ShortRunError, SequenceError
        Labels, masks, weights, ids or runs that cannot be used, by position.
    NonFiniteError
        A counted row that holds NaN, +inf or null, or nothing but -inf.
    ShapeError, DTypeError, SettingsError
        Arguments that do not fit together.
    CorruptInputError, InputChangedError
        Files that cannot be read, or that changed.

    Where there is one, the report of all before an error is its attribute ``partial``.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logits = np.array([[[0.0, 0.0], [0.0, np.log(3.0)]]], np.float32)
    >>> report = lm.evaluate(logits, np.array([[0, 1]]))
    >>> round(report.loss, 6), round(report.perplexity, 6), report.accuracy
    (0.490415, 1.632993, 1.0)
    """
    one_of("on_empty", on_empty, ("nan", "raise"))
    check_progress(progress)
    counting = counting_of(
        profile,
        ignore_index=ignore_index,
        shift=shift,
        leading=leading,
        trailing=trailing,
        on_short=on_short,
        valid_vocab=valid_vocab,
        vocab_mask=vocab_mask,
    )
    data = data_of(
        labels,
        mask=mask,
        role=role,
        weight=weight,
        sequence_id=sequence_id,
        batch_id=batch_id,
        by=by,
    )
    feed = open_source(source_or_logits).feed(data, **needs(counting))
    settings = counting_settings(
        feed.stated_vocab, **counting, nonfinite=nonfinite, precision=precision
    )
    report = evaluated(feed, settings, threads, progress)
    if on_empty == "raise":
        require_tokens(report)
    return report


def check(
    source_or_logits: SourceLike,
    labels: Any = None,
    *,
    mask: Any = None,
    role: Any = None,
    weight: Any = None,
    sequence_id: Any = None,
    batch_id: Any = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    profile: ProfileLike | None = None,
    ignore_index: int = -100,
    shift: bool = False,
    leading: int = 0,
    trailing: int = 0,
    on_short: OnShort = "raise",
    valid_vocab: int | None = None,
    vocab_mask: Any = None,
    rows: int = 256,
) -> Check:
    """Look before the long run: what would count, what is wrong, and what it would take.

    Heads of files, all labels, and a sample of the logits are read. Labels that fit better one
    place away, probabilities in place of logits, a softmax taken twice and padding that holds
    probability are problems too; log-probabilities are a warning, since they do no harm.

    Parameters
    ----------
    source_or_logits, labels, mask, role, weight, sequence_id, batch_id, by
        As in `evaluate`.
    profile, ignore_index, shift, leading, trailing, on_short, valid_vocab, vocab_mask
        As in `evaluate`.
    rows
        How many positions are the sample, the first ones; 0 reads no logits. What can be read once
        has none.

    Returns
    -------
    Check
        ``ok`` and ``problems`` (what `evaluate` would raise, and what would make its figures
        worthless), the counts, and what the sample gave.

    Raises
    ------
    ShapeError, DTypeError, SettingsError, InputChangedError
        As `evaluate`: what is wrong neither at a position nor with a file is raised here too.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> found = lm.check(np.zeros((2, 4), np.float32), np.array([0, 9]))
    >>> found.ok, found.problems[0].kind, found.problems[0].position
    (False, 'LabelError', 1)
    """
    from logitmeter.checking import checked  # which no other call needs

    counting = counting_of(
        profile,
        ignore_index=ignore_index,
        shift=shift,
        leading=leading,
        trailing=trailing,
        on_short=on_short,
        valid_vocab=valid_vocab,
        vocab_mask=vocab_mask,
    )
    data = data_of(
        labels,
        mask=mask,
        role=role,
        weight=weight,
        sequence_id=sequence_id,
        batch_id=batch_id,
        by=by,
    )
    return checked(open_source(source_or_logits), data, counting, whole("rows", rows, 0))


def token_scores(
    source_or_logits: SourceLike,
    labels: Any = None,
    *,
    mask: Any = None,
    role: Any = None,
    weight: Any = None,
    sequence_id: Any = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    ignore_index: int = -100,
    shift: bool = False,
    leading: int = 0,
    trailing: int = 0,
    on_short: OnShort = "raise",
    valid_vocab: int | None = None,
    vocab_mask: Any = None,
    nonfinite: NonFinite = "raise",
    precision: Precision = "fast",
    threads: int | None = None,
    rows: Literal["counted", "all"] = "counted",
    keep: str | Sequence[str] = (),
) -> TokenScores:
    """Scores of every token that counts, as an Arrow stream.

    Columns: ``position`` (the label's) and ``row`` (the logits') u64, ``hidden`` bool, ``nll``,
    ``logprob`` and ``lse`` float64 in nats, ``rank`` (0 is best) and ``ties`` u32, then those of
    `keep`. Of a source of scores also ``nll_high`` and ``rank_high``, the high ends (4294967295
    where a rank has none), and a token of which nothing is known is a row of nulls.

    Parameters
    ----------
    source_or_logits, labels, mask, role, weight, sequence_id, by
        As in `evaluate`.
    ignore_index, shift, leading, trailing, on_short, valid_vocab, vocab_mask
        As in `evaluate`.
    nonfinite
        As in `evaluate`; rows left out by ``"omit"`` are not in the stream, and hold nulls where
        `rows` is ``"all"``.
    precision, threads
        As in `evaluate`.
    rows
        ``"counted"``, or ``"all"``: one for every position, null where it is not counted.
    keep
        Columns of the source to pass through, by names that the scores do not use.

    Returns
    -------
    TokenScores
        Can be read once.

    Raises
    ------
    LogitmeterError
        As `evaluate`; of logits when the stream is read.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logits = np.array([[0.0, 0.0], [0.0, np.log(3.0)]], np.float32)
    >>> scores = lm.token_scores(logits, np.array([0, 0]))
    >>> scores.read_all().select(["position", "rank"]).to_pylist()
    [{'position': 0, 'rank': 0}, {'position': 1, 'rank': 1}]
    """
    one_of("rows", rows, ("counted", "all"))
    data = data_of(labels, mask=mask, role=role, weight=weight, sequence_id=sequence_id, by=by)
    source = open_source(source_or_logits)
    kept = kept_columns(keep, scored=source.scored)
    feed = source.feed(data, shift=shift, keep=kept)
    settings = counting_settings(
        feed.stated_vocab,
        ignore_index=ignore_index,
        shift=shift,
        leading=leading,
        trailing=trailing,
        on_short=on_short,
        valid_vocab=valid_vocab,
        vocab_mask=vocab_mask,
        nonfinite=nonfinite,
        precision=precision,
    )
    require_data(feed, settings)
    counts = checked_first(feed, settings)
    with named_errors(feed):
        stream = _core.token_scores(
            feed, settings, rows=rows, null_labels=feed.null_labels, **reading(feed, threads)
        )
    shape = feed.shape or ((counts[0]["num_rows"],) if counts else None)
    return TokenScores(stream, feed, shape, all_rows=rows == "all")


def sequence_scores(
    source_or_logits: SourceLike,
    labels: Any = None,
    *,
    mask: Any = None,
    role: Any = None,
    weight: Any = None,
    sequence_id: Any = None,
    ignore_index: int = -100,
    shift: bool = False,
    leading: int = 0,
    trailing: int = 0,
    on_short: OnShort = "raise",
    valid_vocab: int | None = None,
    vocab_mask: Any = None,
    nonfinite: NonFinite = "raise",
    precision: Precision = "fast",
    threads: int | None = None,
) -> Scores:
    """Give the log-probability of each sequence, as an Arrow stream of one row a sequence.

    Columns: ``sequence_id`` (as given), ``logprob`` (the sum over counted tokens, in nats),
    ``num_tokens`` and ``all_correct``. Of scores within bounds the sum is that of the low ends of
    the loss; ``all_correct`` is null where a token's rank does not say.

    Parameters
    ----------
    source_or_logits, labels, mask, role, weight, sequence_id
        As in `evaluate`.
    ignore_index, shift, leading, trailing, on_short, valid_vocab, vocab_mask
        As in `evaluate`.
    nonfinite, precision, threads
        As in `evaluate`.

    Returns
    -------
    Scores
        Can be read once.

    Raises
    ------
    LogitmeterError
        As `evaluate`; of logits when the stream is read.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> scores = lm.sequence_scores(np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), int))
    >>> scores.read_all()["num_tokens"].to_pylist()
    [3, 3]
    """
    data = data_of(labels, mask=mask, role=role, weight=weight, sequence_id=sequence_id)
    feed = open_source(source_or_logits).feed(data, shift=shift)
    settings = counting_settings(
        feed.stated_vocab,
        ignore_index=ignore_index,
        shift=shift,
        leading=leading,
        trailing=trailing,
        on_short=on_short,
        valid_vocab=valid_vocab,
        vocab_mask=vocab_mask,
        nonfinite=nonfinite,
        precision=precision,
    )
    require_data(feed, settings)
    checked_first(feed, settings)
    with named_errors(feed):
        stream = _core.sequence_scores(
            feed, settings, null_labels=feed.null_labels, **reading(feed, threads)
        )
    return Scores(stream, feed)
