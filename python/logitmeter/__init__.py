"""Batch LLM metrics over huge logit arrays: exact, streaming, fast.

Everything is loaded at first use, so that ``import logitmeter`` loads nothing but itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logitmeter import exceptions, finetune, profiles
    from logitmeter.meter import Meter
    from logitmeter.metrics import (
        check,
        evaluate,
        log_softmax,
        sequence_scores,
        token_scores,
        top_k,
    )
    from logitmeter.profiles import Profile
    from logitmeter.report import Check, Report
    from logitmeter.scores import Scores, TokenScores
    from logitmeter.side_by_side import evaluate_profiles
    from logitmeter.sources import Source, scan
    from logitmeter.versions import show_versions
    from logitmeter.writer import DumpWriter

__all__ = [
    "Check",
    "DumpWriter",
    "Meter",
    "Profile",
    "Report",
    "Scores",
    "Source",
    "TokenScores",
    "check",
    "evaluate",
    "evaluate_profiles",
    "exceptions",
    "finetune",
    "log_softmax",
    "profiles",
    "scan",
    "sequence_scores",
    "show_versions",
    "token_scores",
    "top_k",
]

_HOMES = {
    "meter": ("Meter",),
    "metrics": (
        "check",
        "evaluate",
        "log_softmax",
        "sequence_scores",
        "token_scores",
        "top_k",
    ),
    "profiles": ("Profile",),
    "report": ("Check", "Report"),
    "scores": ("Scores", "TokenScores"),
    "side_by_side": ("evaluate_profiles",),
    "sources": ("Source", "scan"),
    "versions": ("show_versions",),
    "writer": ("DumpWriter",),
}


def __getattr__(name: str) -> Any:
    if name in {"exceptions", "finetune", *_HOMES}:
        return import_module(f"{__name__}.{name}")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
