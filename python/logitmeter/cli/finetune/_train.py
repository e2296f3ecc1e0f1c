"""The flags that say what the training data is and how it becomes tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logitmeter.cli import _flags
from logitmeter.exceptions import CorruptInputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_MODEL = "the model's name, fine-tuned (ft:...) or not"
_ENCODING = "instead of a model: cl100k_base, o200k_base or o200k_harmony"
_TEMPLATE = "cl100k_chat, o200k_chat, harmony, or a file of a template's attributes as JSON"


def add_encoding(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the flags that say how text becomes tokens."""
    group = parser.add_argument_group("text to tokens")
    _flags.add_flag(group, "model", metavar="NAME", help=_MODEL)
    _flags.add_flag(group, "encoding", metavar="NAME", help=_ENCODING)
    return group


def add_chat(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `logitmeter.finetune.chat_tokens`."""
    _flags.add_flag(add_encoding(parser), "template", metavar="NAME|FILE.json", help=_TEMPLATE)


def chat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the parsed arguments into keywords; a template is read from its file."""
    path = arguments.get("template", "")
    if not path.endswith(".json"):
        return dict(arguments)
    try:
        return {**arguments, "template": json.loads(Path(path).read_text(encoding="utf-8"))}
    except ValueError as error:
        raise CorruptInputError(f"template: not JSON ({error})", path=path) from None
