"""Summaries built by hand, as the compiled core would hand them over, and reports of them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from logitmeter.report import Report

if TYPE_CHECKING:
    from logitmeter._core import CheckCounts, PartSummary, Summary, TripleSummary

NAN = float("nan")
INF = float("inf")

SETTINGS: dict[str, Any] = {
    "ignore_index": -100,
    "shift": False,
    "leading": 0,
    "trailing": 0,
    "on_short": "raise",
    "hidden": True,
    "valid_vocab": None,
    "vocab_mask": None,
    "nonfinite": "raise",
    "pooling": "tokens",
    "accuracy": "tokens",
    "precision": "fast",
    "profile": None,
    "profile_source": None,
    "selected_by": "mask",
}


def part(**changes: Any) -> PartSummary:
    """Describe a part of 58,409 tokens in 1,204 sequences."""
    base: dict[str, Any] = {
        "loss": 2.314719,
        "loss_stderr": 0.00209,
        "loss_stderr_naive": 0.00209,
        "loss_ci": (2.310619, 2.318819),
        "perplexity": 10.12184,
        "perplexity_ci": (10.08043, 10.16342),
        "accuracy": 0.532311,
        "accuracy_stderr": 0.00102,
        "accuracy_stderr_naive": 0.00102,
        "accuracy_ci": (0.530311, 0.534311),
        "accuracy_strict": 0.5322,
        "accuracy_optimistic": 0.5325,
        "mrr": 0.6114,
        "top_k_accuracy": [0.5 + k / 250 for k in range(100)],
        "sequence_accuracy": 0.25,
        "num_tokens": 58409,
        "num_correct": 31092,
        "num_sequences": 1204,
        "num_batches": 0,
        "effective_number": 1187.4,
        "num_ties": 0,
        "num_invalid": 0,
        "num_bounded": 0,
        "num_unknown": 0,
        "sum_weight": 58409.0,
        "flags": [],
    }
    found = base | changes
    for name in ("loss", "perplexity", "accuracy"):  # exact, where no bounds are said
        found.setdefault(f"{name}_bounds", (found[name], found[name]))
    return found  # type: ignore[return-value]


def unknown(**changes: Any) -> PartSummary:
    """Describe a part whose sequences are not known: no errors."""
    none = (NAN, NAN)
    names = ("loss_stderr", "accuracy_stderr", "sequence_accuracy", "effective_number")
    figures = dict.fromkeys(names, NAN)
    intervals = {"loss_ci": none, "perplexity_ci": none, "accuracy_ci": none}
    return part(**{**figures, **intervals, "num_sequences": 0, **changes})


def empty() -> PartSummary:
    """Describe a part without a token."""
    figures = ("loss", "perplexity", "accuracy", "accuracy_strict", "accuracy_optimistic", "mrr")
    zeros = ("num_tokens", "num_correct", "num_ties", "num_invalid", "num_bounded", "num_unknown")
    return unknown(
        **dict.fromkeys(figures, NAN),
        **dict.fromkeys(zeros, 0),
        top_k_accuracy=[NAN] * 100,
        sum_weight=0.0,
    )


def triple(**changes: Any) -> TripleSummary:
    """Describe a whole, all of it visible."""
    base: TripleSummary = {"whole": part(), "visible": part(), "hidden": empty()}
    return base | changes  # type: ignore[return-value]


def with_hidden() -> TripleSummary:
    """Describe the finding this project began with: hidden tokens are nearly certain."""
    visible = part(num_tokens=56001, loss=2.4141, accuracy=0.51231)
    hidden = part(
        num_tokens=2408,
        loss=0.012345,
        loss_ci=(0.011145, 0.013545),
        perplexity=1.0124215,
        perplexity_ci=(1.0112, 1.0136),
        accuracy=0.99791,
        accuracy_ci=(0.99671, 0.99911),
    )
    return triple(visible=visible, hidden=hidden)


def summary(**changes: Any) -> Summary:
    """Describe a plain evaluation with a mask and sequence ids."""
    base: Summary = {
        "total": triple(),
        "groups": [],
        "by": [],
        "num_rows": 100000,
        "num_runs": 1204,
        "num_short_left": 0,
        "num_short_right": 0,
        "num_unscored": 0,
        "num_nan_rows": 0,
        "num_posinf_rows": 0,
        "num_neginf_labels": 0,
        "num_empty_rows": 0,
        "hidden_label_ids": {},
        "elements": ["float16"],
        "vocab_size": 151936,
        "scored": False,
        "has_mask": True,
        "has_roles": False,
        "weighted": False,
        "sequences_known": True,
        "flags": [],
        "warnings": [],
        "settings": SETTINGS,
        "numeric_version": 1,
    }
    return deepcopy(base | changes)  # type: ignore[return-value]


def chat_summary(**changes: Any) -> Summary:
    """Two hidden tokens after each reply, and shift."""
    chat = {
        "total": with_hidden(),
        "num_short_right": 3,
        "hidden_label_ids": {100257: 1200, 100265: 1204, 7: 4},
        "settings": SETTINGS | {"trailing": 2, "shift": True, "on_short": "count"},
    }
    return summary(**{**chat, **changes})


def counts(**changes: Any) -> CheckCounts:
    """Count as a check of 12 rows would."""
    base: CheckCounts = {
        "num_rows": 12,
        "num_visible": 3,
        "num_hidden": 4,
        "num_runs": 2,
        "num_sequences": 1,
        "sequences_known": True,
        "num_short_left": 0,
        "num_short_right": 0,
        "num_unscored": 0,
        "hidden_label_ids": {7: 4},
        "warnings": [],
    }
    return base | changes  # type: ignore[return-value]


HOSTILE = "</td><script>alert('x')</script>&\"\x1b[31m\u202e\n"


def report(found: Summary | None = None) -> Report:
    """Build the report of a summary."""
    return Report._from_summary(found or summary())


def nothing() -> Report:
    """Build a report in which nothing counted."""
    none = {"whole": empty(), "visible": empty(), "hidden": empty()}
    return report(summary(total=none, num_runs=0, flags=["empty"]))


def sequences_unknown() -> Report:
    """Build a report without sequence ids."""
    total = {"whole": unknown(), "visible": unknown(), "hidden": empty()}
    return report(
        summary(total=total, sequences_known=False, has_mask=False, flags=["no_sequences"])
    )


def infinite() -> Report:
    """Build a report of an infinite loss."""
    whole = unknown(loss=INF, perplexity=INF, num_sequences=1204)
    return report(
        summary(total=triple(whole=whole, visible=whole), flags=["infinite"], num_neginf_labels=1)
    )


def grouped(*keys: Any, by: tuple[str, ...] = ("task",)) -> Report:
    """Build a report of groups with hidden tokens."""
    groups = [(key if isinstance(key, tuple) else (key,), with_hidden()) for key in keys]
    return report(chat_summary(by=list(by), groups=groups))


REPORTS = {
    "plain": report,
    "chat": lambda: report(chat_summary()),
    "nothing": nothing,
    "sequences unknown": sequences_unknown,
    "infinite": infinite,
    "groups": lambda: grouped("math", "数学" * 60, None, "", HOSTILE),
    "two columns": lambda: grouped(("a", 1), ("a", True), by=("task", "x" * 90)),
    "huge": lambda: report(summary(total=triple(whole=part(loss=1e300, num_tokens=10**18)))),
}


def strict(text: str) -> dict[str, Any]:
    """Read JSON as the standard has it: without nan and infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found
