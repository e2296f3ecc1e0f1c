"""Summaries built by hand, as the compiled core would hand them over."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

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
    "valid_vocab": None,
    "vocab_mask": None,
    "nonfinite": "raise",
    "precision": "fast",
}


def part(**changes: Any) -> PartSummary:
    """A part of 58,409 tokens in 1,204 sequences."""
    base: PartSummary = {
        "loss": 2.314719,
        "loss_stderr": 0.00209,
        "loss_ci": (2.310619, 2.318819),
        "perplexity": 10.12184,
        "perplexity_ci": (10.08043, 10.16342),
        "accuracy": 0.532311,
        "accuracy_stderr": 0.00102,
        "accuracy_ci": (0.530311, 0.534311),
        "accuracy_strict": 0.5322,
        "accuracy_optimistic": 0.5325,
        "mrr": 0.6114,
        "top_k_accuracy": [0.5 + k / 250 for k in range(100)],
        "sequence_accuracy": 0.25,
        "num_tokens": 58409,
        "num_correct": 31092,
        "num_sequences": 1204,
        "num_ties": 0,
        "num_invalid": 0,
        "sum_weight": 58409.0,
    }
    return base | changes  # type: ignore[return-value]


def unknown(**changes: Any) -> PartSummary:
    """A part whose sequences are not known: no errors."""
    none = (NAN, NAN)
    figures = {"loss_stderr": NAN, "accuracy_stderr": NAN, "sequence_accuracy": NAN}
    intervals = {"loss_ci": none, "perplexity_ci": none, "accuracy_ci": none}
    return part(**{**figures, **intervals, "num_sequences": 0, **changes})


def empty() -> PartSummary:
    """A part without a token."""
    figures = ("loss", "perplexity", "accuracy", "accuracy_strict", "accuracy_optimistic", "mrr")
    zeros = ("num_tokens", "num_correct", "num_ties", "num_invalid")
    return unknown(
        **dict.fromkeys(figures, NAN),
        **dict.fromkeys(zeros, 0),
        top_k_accuracy=[NAN] * 100,
        sum_weight=0.0,
    )


def triple(**changes: Any) -> TripleSummary:
    """The whole, all of it visible."""
    base: TripleSummary = {"whole": part(), "visible": part(), "hidden": empty()}
    return base | changes  # type: ignore[return-value]


def with_hidden() -> TripleSummary:
    """The finding this project began with: hidden tokens are nearly certain."""
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
    """A plain evaluation with a mask and sequence ids."""
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
        "has_mask": True,
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
    """What a check of 12 rows found."""
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
