"""A report in words: what was counted, how, and what the flags mean.

Each function writes one sentence, or nothing where there is nothing to say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from logitmeter._numbers import count, figure, number_text, plural, printable, two_digits
from logitmeter._part import perplexity_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logitmeter.report import Report

_MOST_LABELS = 8

FLAGS = {
    "no_sequences": (
        "± unknown: pass sequence_id. Without it sequences are not known: there are no errors"
        " and no whole-sequence accuracy."
    ),
    "one_sequence": "± unknown: there is only one sequence, and an error needs two.",
    "few_sequences": (
        "Few sequences: the effective number is below 300, so that the errors are rough."
    ),
    "one_batch": "± unknown: there is only one batch, and an error needs two.",
    "few_batches": (
        "Few batches: the effective number is below 300, so that the errors are rough."
    ),
    "infinite": "The loss is infinite: a counted label has probability 0.",
    "nan": 'The loss is nan: counted rows hold no distribution (nonfinite="propagate").',
    "empty": "Nothing counted: every figure is nan.",
    "open": "Open: the last sequence has not ended; only what is decided is in these figures.",
}


def sentences(report: Report) -> list[str]:
    """Say what was counted and how, a topic a sentence."""
    said = (
        counted(report),
        _profile(report),
        hidden_labels(report.hidden_label_ids),
        short_runs(report.num_short_left, report.num_short_right),
        unscored(report.num_unscored, has_mask=report.has_mask or report.has_roles),
        _labels_rule(report),
        _weights(report),
        _pooling(report),
        _bad_rows(report),
        _bounds(report),
        _unknown(report),
        _perplexity(report),
        _naive(report),
        _other_figures(report),
        _ties(report),
        _logits(report),
    )
    return [sentence for sentence in said if sentence]


def notices(report: Report) -> list[str]:
    """Spell out the flags and the warnings."""
    warned = {kind for kind, _ in report.warnings}
    told = {"few_sequences", "few_batches"} if "FewSequencesWarning" in warned else set()
    flags = [
        f"Note: {FLAGS.get(flag, printable(flag))}" for flag in report.flags if flag not in told
    ]
    return flags + _lone_groups(report) + warning_lines(report.warnings)


def _lone_groups(report: Report) -> list[str]:
    """Say why groups have no error where the whole has one."""
    if math.isnan(report.loss_stderr):
        return []
    found = []
    for flag, unit in (("one_sequence", "sequence"), ("one_batch", "batch")):
        lone = [group for group in report.groups.values() if flag in group.flags]
        if lone:
            found.append(f"Note: {plural(len(lone), 'group')} without ±: only one {unit}.")
    return found


def warning_lines(warnings: Iterable[tuple[str, str]]) -> list[str]:
    """Write each warning with the name of its class."""
    return [f"Warning ({kind}): {one_line(message)}" for kind, message in warnings]


def one_line(message: str) -> str:
    """Join the lines of a message."""
    return printable(" ".join(message.split()))


def counted(report: Report) -> str:
    """Say how many tokens of which kind counted, and in how many sequences."""
    where = _in_sequences(report)
    if not (report.has_mask or report.has_roles):
        return f"Counted {plural(report.num_tokens, 'token')}{where}, without a mask."
    runs = plural(report.num_runs, "reply", "replies")
    visible, hidden = report.visible.num_tokens, report.hidden.num_tokens
    claim = _claim(report)
    if not claim:
        how = " by role" if report.has_roles else ""
        return f"Counted {runs}{where}{how}: {plural(visible, 'visible token')}."
    both = f"{plural(visible, 'visible token')} and {count(hidden)} hidden"
    return f"Counted {runs}{where}: {both} {'one' if hidden == 1 else 'ones'} ({claim})."


def _in_sequences(report: Report) -> str:
    if not report.sequences_known:
        return ""
    return f" in {plural(report.num_sequences, 'sequence')}"


def _profile(report: Report) -> str:
    """Name the profile, what it selected by, and whose word it is."""
    name, source = report.settings["profile"], report.settings["profile_source"]
    if name is None:
        return ""
    by = f"Profile {printable(name)}, selected by {report.settings['selected_by']}"
    return f"{by}; source: {one_line(source)}." if source else f"{by}."


def _claim(report: Report) -> str:
    """Say which hidden tokens count, if any do."""
    if report.has_roles:
        return "by role" if report.settings["hidden"] else ""
    return claims(report.settings)


def claims(settings: Mapping[str, object]) -> str:
    """Say which hidden tokens belong to a reply."""
    sides = (("leading", "before"), ("trailing", "after"))
    found = [f"{settings[name]} {side}" for name, side in sides if settings.get(name)]
    return " and ".join(found) + " each reply" if found else ""


def hidden_labels(ids: Mapping[int, int]) -> str:
    """List the labels found at hidden positions, the most frequent first."""
    return f"Hidden labels: {listed_labels(ids)}." if ids else ""


def listed_labels(ids: Mapping[int, int]) -> str:
    """List labels with their counts, the most frequent first."""
    ranked = sorted(ids.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{label} x {count(number)}" for label, number in ranked[:_MOST_LABELS])
    left = len(ranked) - _MOST_LABELS
    return f"{shown}{f' and {count(left)} more' if left > 0 else ''}"


def short_runs(left: int, right: int) -> str:
    """Say how many runs miss a claimed token, by side."""
    sides = ((left, "on the left"), (right, "on the right"))
    found = [f"{plural(number, 'run')} short {side}" for number, side in sides if number]
    return " and ".join(found) + "." if found else ""


def unscored(number: int, *, has_mask: bool) -> str:
    """Say how many tokens no row of logits scores."""
    if not number:
        return ""
    verb = "has" if number == 1 else "have"
    inside = " inside the mask" if has_mask else ""
    where = "the first token of a shifted sequence"
    return f"{plural(number, 'token')}{inside} {verb} no score ({where})."


def _labels_rule(report: Report) -> str:
    shift = report.settings.get("shift")
    against = "the label of the next position (shift)" if shift else "their own label"
    ignored = report.settings.get("ignore_index", -100)
    return f"Rows scored against {against}; labels equal to {ignored} left out."


def _weights(report: Report) -> str:
    if not report.weighted:
        return ""
    total = number_text(report.sum_weight)
    return f"Loss and accuracy are weighted means (sum of weights {total}); counts are not."


POOLING = {
    "sequences": "the mean of per-sequence means",
    "batches": "the mean of per-batch means",
    "samples": "the mean of per-batch means, each batch weighing as many as it has sequences",
}


def _pooling(report: Report) -> str:
    """Say what the loss and the accuracy are means of, where not of tokens."""
    pooling = POOLING.get(str(report.settings["pooling"]))
    if report.settings["accuracy"] == "sequences":
        shares = "The accuracy is the share of sequences that are right as a whole"
        return f"{shares}; the loss is {pooling}." if pooling else f"{shares}."
    return (
        f"Loss and accuracy are each {pooling}; other figures are over tokens." if pooling else ""
    )


def _bad_rows(report: Report) -> str:
    kinds = (
        (report.num_nan_rows, "holding nan"),
        (report.num_posinf_rows, "holding +inf"),
        (report.num_empty_rows, "holding nothing but -inf"),
    )
    found = [f"{plural(number, 'row')} {kind}" for number, kind in kinds if number]
    found += _impossible_labels(report.num_neginf_labels)
    if not found:
        return ""
    return ", ".join(found) + _invalid_rule(report) + "."


def _impossible_labels(number: int) -> list[str]:
    return [f"{plural(number, 'label')} at logit -inf (probability 0)"] if number else []


def _invalid_rule(report: Report) -> str:
    if not report.num_invalid:
        return ""
    rules = {"omit": "left out", "propagate": "counted as nan and not correct"}
    rule = rules.get(str(report.settings.get("nonfinite")), "invalid")
    return f"; {plural(report.num_invalid, 'invalid row')} {rule}"


def _bounds(report: Report) -> str:
    if not report.num_bounded:
        return ""
    ends = (
        ("loss", report.loss_bounds),
        ("perplexity", report.perplexity_bounds),
        ("accuracy", report.accuracy_bounds),
    )
    wide = [f"{name} {_interval(bounds)}" for name, bounds in ends if bounds[1] > bounds[0]]
    known = f"Known only within bounds: {plural(report.num_bounded, 'token')}"
    return f"{known} ({', '.join(wide)}; figures are the low ends)." if wide else f"{known}."


def _interval(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{number_text(low)} to {number_text(high)}"


def _unknown(report: Report) -> str:
    if not report.num_unknown:
        return ""
    return f"Left out, since nothing is known of them: {plural(report.num_unknown, 'token')}."


def _other_figures(report: Report) -> str:
    figures = [
        f"Top-5 accuracy {number_text(report.top_k_accuracy(5))}",
        f"mean reciprocal rank {number_text(report.mrr)}",
    ]
    if not math.isnan(report.sequence_accuracy):
        figures.append(f"whole sequences right {number_text(report.sequence_accuracy)}")
    return ", ".join(figures) + "." if report.num_tokens else ""


def _ties(report: Report) -> str:
    if not report.num_ties:
        return ""
    low, high = number_text(report.accuracy_strict), number_text(report.accuracy_optimistic)
    verb = "ties" if report.num_ties == 1 else "tie"
    tied = f"{plural(report.num_ties, 'token')} {verb} with another entry"
    return f"{tied}: accuracy {low} if that is wrong, {high} if it is right."


def _perplexity(report: Report) -> str:
    if any(map(math.isnan, report.perplexity_ci)):
        return ""
    value = report.perplexity
    low, high = (figure(end, abs(end - value)) for end in report.perplexity_ci)
    return f"Perplexity {perplexity_text(report)} (95%: {low} to {high})."


def _naive(report: Report) -> str:
    """Show the errors of independent tokens, where they are others."""
    pairs = (
        ("the loss", report.loss_stderr, report.loss_stderr_naive),
        ("the accuracy", report.accuracy_stderr, report.accuracy_stderr_naive),
    )
    found = [
        f"of {name} {two_digits(error)}, {two_digits(naive)} if tokens were independent"
        for name, error, naive in pairs
        if math.isfinite(error + naive) and two_digits(error) != two_digits(naive)
    ]
    return f"Standard error {'; '.join(found)}." if found else ""


def _logits(report: Report) -> str:
    given = "Scores as they were given" if report.scored else ""
    if given and not report.elements:
        return f"{given}, without logits; numeric version {report.numeric_version}."
    elements = ", ".join(report.elements)
    vocabulary = ""
    if report.vocab_size is not None:
        vocabulary = f", vocabulary {count(report.vocab_size)}{_left_out(report.settings)}"
    precision = report.settings.get("precision", "fast")
    ending = f"{precision} precision, numeric version {report.numeric_version}."
    logits = f"Logits: {elements or 'none'}{vocabulary}, {ending}"
    return f"{logits} {given} for the rest." if given else logits


def _left_out(settings: Mapping[str, object]) -> str:
    limits = []
    if settings.get("valid_vocab") is not None:
        limits.append(f"the first {settings['valid_vocab']:,}")
    if settings.get("vocab_mask") is not None:
        limits.append("those in vocab_mask")
    return f" (only {' and '.join(limits)})" if limits else ""
