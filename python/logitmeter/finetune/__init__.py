"""Fine-tuning metrics: which tokens of a conversation a trainer counts, and what that does.

Everything is loaded at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logitmeter.finetune.logprobs import evaluate_logprobs

__all__ = ["evaluate_logprobs"]

_HOMES = {
    "logprobs": ("evaluate_logprobs",),
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
