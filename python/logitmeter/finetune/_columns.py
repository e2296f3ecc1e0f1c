"""The columns of a run's results, and what each service calls them.

`valid` is one batch and `full_valid` the whole validation set, as OpenAI has it. A trainer that
has only one of them evaluates all of it, but calls it evaluation: that is `valid` here too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from logitmeter._numbers import printable
from logitmeter.exceptions import CorruptInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["ACCURACIES", "COLUMNS", "METRICS", "canonical", "expected_names", "refuse_rewards"]

# Ours, then theirs: OpenAI's files (those of 2022 too), events and checkpoints, Azure's, Together's
# and W&B's (train/loss), Fireworks', Mistral's, Bedrock's, Hugging Face's trainers' (eval_loss).
_ALIASES: dict[str, tuple[str, ...]] = {
    "step": ("step_number", "global_step", "train/global_step", "train/step"),
    "epoch": ("epoch_number", "train/epoch"),
    "train_loss": ("training_loss", "train/loss", "loss"),
    "train_accuracy": (
        "train_mean_token_accuracy",
        "train_token_accuracy",
        "training_mean_token_accuracy",
        "training_token_accuracy",
        "train/mean_token_accuracy",
        "train/accuracy",
        "mean_token_accuracy",
    ),
    "train_sequence_accuracy": ("training_sequence_accuracy", "training_accuracy"),
    "valid_loss": (
        "validation_loss",
        "valid/loss",
        "validation/loss",
        "val_loss",
        "val/loss",
        "eval_loss",
        "eval/loss",
    ),
    "valid_accuracy": (
        "valid_mean_token_accuracy",
        "valid_token_accuracy",
        "validation_mean_token_accuracy",
        "validation_token_accuracy",
        "validation_accuracy",
        "eval_mean_token_accuracy",
        "eval/mean_token_accuracy",
        "eval/accuracy",
    ),
    "valid_sequence_accuracy": ("validation_sequence_accuracy",),
    "full_valid_loss": ("full_validation_loss",),
    "full_valid_accuracy": (
        "full_valid_mean_token_accuracy",
        "full_validation_mean_token_accuracy",
    ),
}

COLUMNS = tuple(_ALIASES)
"""All canonical columns, in their order."""

METRICS = COLUMNS[2:]
ACCURACIES = frozenset(name for name in COLUMNS if name.endswith("_accuracy"))

_CANONICAL = {name: ours for ours, theirs in _ALIASES.items() for name in (ours, *theirs)}

# Known, and nothing that says what is counted.
_PASSED_OVER = re.compile(
    r"(train/|eval/)?(learning_rate|lr|grad_norm|perplexity|entropy|num_tokens|tokens)"
    r"|(train|eval)[_/](runtime|samples_per_second|steps_per_second|entropy|num_tokens)"
    r"|elapsed_(tokens|examples)|total_steps|total_flos|classification/.*"
    r"|_step|_runtime|_timestamp|timestamp|created_at"
)

# Whole sequences in the older Azure files, which have this column beside them.
_OLDER_AZURE = "training_accuracy"
_WHOLE_SEQUENCES = {"valid_accuracy", "validation_accuracy"}


def canonical(name: str, beside: Collection[str]) -> str | None:
    """Give our name of a column, "" for one that is passed over, None for an unknown one.

    Examples
    --------
    >>> canonical("train/loss", []), canonical("learning_rate", []), canonical("mood", [])
    ('train_loss', '', None)
    >>> canonical("valid_accuracy", ["training_accuracy"])
    'valid_sequence_accuracy'
    """
    if name in _WHOLE_SEQUENCES and _OLDER_AZURE in beside:
        return "valid_sequence_accuracy"
    if name in _CANONICAL:
        return _CANONICAL[name]
    return "" if _PASSED_OVER.fullmatch(name) else None


def refuse_rewards(names: Iterable[str], path: str | None) -> None:
    """Refuse the results of a run that learns from rewards: it has no wanted tokens."""
    found = [name for name in names if "reward" in name.lower()]
    if not found:
        return
    shown = ", ".join(map(printable, found[:3]))
    raise CorruptInputError(
        f"a reinforcement or preference run ({shown}): it reports rewards of sampled replies, not"
        " the loss and accuracy of wanted tokens, so that there are no hidden tokens to tell",
        path=path,
        expected="results of supervised fine-tuning",
        got=shown,
    )


def expected_names() -> str:
    """List the canonical names, and how to find the others."""
    return f"{', '.join(COLUMNS)}, or the names that OpenAI, Azure, Together, ... have for them"
