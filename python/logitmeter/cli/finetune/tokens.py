"""``logitmeter finetune tokens``: each token of some training data, counted or not, and why."""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit

_SUMMARY = "List the tokens of chats in OpenAI's training format: counted or not, and why."
_EPILOG = """\
examples:
  logitmeter finetune tokens train.jsonl --model ft:gpt-4.1-mini-2025-04-14:acme::abc
"""


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = _flags.command(commands, "tokens", _SUMMARY, _EPILOG, run)
    parser.add_argument("train", metavar="TRAIN.jsonl", help="one training example a line")
    _flags.add_flag(parser, "model", help="the model's name, fine-tuned or not")
    _flags.add_flag(parser, "encoding", help="instead of it: cl100k_base, o200k_base, ...")


def run(arguments: dict[str, Any]) -> int:
    """Count the tokens of the conversations."""
    import logitmeter as lm

    emit(str(lm.finetune.visible_counts(**arguments)))
    return Status.DONE
