"""``logitmeter finetune``: what fine-tuning data holds and what a dashboard's figures mean.

One file a subcommand, built as the commands are: `add_to` and `run`.
"""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli.finetune import explain, infer, tokens

_SUMMARY = "Fine-tuning data and metrics: what a trainer counts, and what its figures mean."
_EPILOG = """\
examples:
  logitmeter finetune explain results.csv train.jsonl --model gpt-4.1-mini
  logitmeter finetune infer results.csv train.jsonl --model gpt-4.1-mini
  logitmeter finetune tokens train.jsonl --model gpt-4.1-mini
  logitmeter finetune SUBCOMMAND --help
"""


def add_to(commands: Any) -> None:
    """Add the command and its subcommands to the parser."""
    parser = _flags.command(commands, "finetune", _SUMMARY, _EPILOG)
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for subcommand in (explain, infer, tokens):
        subcommand.add_to(subcommands)
