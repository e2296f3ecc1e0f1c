"""Fine-tuning metrics: which tokens of a conversation a trainer counts, and what that does.

Everything is loaded at first use; tiktoken only where text becomes tokens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logitmeter.finetune._explain import explain
    from logitmeter.finetune._hypotheses import Hypothesis
    from logitmeter.finetune._infer import infer
    from logitmeter.finetune.chat import chat_tokens, visible_counts
    from logitmeter.finetune.encodings import chat_encoding
    from logitmeter.finetune.explanation import Explanation
    from logitmeter.finetune.fractions import recover_fractions
    from logitmeter.finetune.inference import Inference
    from logitmeter.finetune.levels import Baseline, Chance, baseline, chance
    from logitmeter.finetune.listing import TokenListing, token_listing
    from logitmeter.finetune.logprobs import evaluate_logprobs
    from logitmeter.finetune.results import read_results
    from logitmeter.finetune.suspect import (
        BrokenRow,
        ImpossibleAccuracy,
        broken_rows,
        impossible_accuracies,
    )
    from logitmeter.finetune.templates import Template
    from logitmeter.finetune.visible import Visible, visible_accuracy, visible_loss

__all__ = [
    "Baseline",
    "BrokenRow",
    "Chance",
    "Explanation",
    "Hypothesis",
    "ImpossibleAccuracy",
    "Inference",
    "Template",
    "TokenListing",
    "Visible",
    "baseline",
    "broken_rows",
    "chance",
    "chat_encoding",
    "chat_tokens",
    "evaluate_logprobs",
    "explain",
    "impossible_accuracies",
    "infer",
    "read_results",
    "recover_fractions",
    "token_listing",
    "visible_accuracy",
    "visible_counts",
    "visible_loss",
]

_HOMES = {
    "_explain": ("explain",),
    "_hypotheses": ("Hypothesis",),
    "_infer": ("infer",),
    "chat": ("chat_tokens", "visible_counts"),
    "encodings": ("chat_encoding",),
    "explanation": ("Explanation",),
    "fractions": ("recover_fractions",),
    "inference": ("Inference",),
    "levels": ("Baseline", "Chance", "baseline", "chance"),
    "listing": ("TokenListing", "token_listing"),
    "logprobs": ("evaluate_logprobs",),
    "results": ("read_results",),
    "suspect": (
        "BrokenRow",
        "ImpossibleAccuracy",
        "broken_rows",
        "impossible_accuracies",
    ),
    "templates": ("Template",),
    "visible": ("Visible", "visible_accuracy", "visible_loss"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return import_module(f"{__name__}.{name}")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
