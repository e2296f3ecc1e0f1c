"""``logitmeter finetune tokens``: each token of some training data, counted or not, and why."""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit
from logitmeter.cli.finetune import _train

_SUMMARY = "List the tokens of chats in OpenAI's training format: counted or not, and why."
_EPILOG = """\
examples:
  logitmeter finetune tokens train.jsonl --model ft:gpt-4.1-mini-2025-04-14:acme::x
      the first 3 conversations token by token, and the counts of all
  logitmeter finetune tokens train.jsonl --encoding o200k_base --arrow tokens.arrow
      all tokens as a file too, a row each: labels, mask, sequence_id, speaker,
      role, message, field, start, end
"""
_LIMIT = 3


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = _flags.command(commands, "tokens", _SUMMARY, _EPILOG, run)
    parser.add_argument("train", metavar="TRAIN.jsonl", help="one training example a line")
    _train.add_chat(parser)
    _flags.add_flag(
        parser,
        "output",
        choices=("preferred", "non_preferred"),
        help="which output of preference data is the reply",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=_LIMIT,
        metavar="N",
        help=f"list the first N conversations (default: {_LIMIT})",
    )
    parser.add_argument("--arrow", metavar="FILE", help="write all tokens to an Arrow file")


def run(arguments: dict[str, Any]) -> int:
    """List the tokens, and write them if asked."""
    import logitmeter as lm

    limit, path = arguments.pop("limit"), arguments.pop("arrow")
    keywords = _train.chat(arguments)
    listing = lm.finetune.token_listing(**keywords, limit=limit)
    if path is not None:
        _write(path, lm.finetune.chat_tokens(**keywords))
    emit(str(listing))
    return Status.DONE


def _write(path: str, table: Any) -> None:
    import pyarrow as pa

    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
