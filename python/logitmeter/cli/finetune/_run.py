"""The arguments that say which run is meant, and how its job was set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logitmeter.cli import _flags
from logitmeter.cli.finetune import _train

if TYPE_CHECKING:
    import argparse

_RESULTS = "what was reported, step by step: CSV (or that in base64), JSON or JSONL"


def add_run(parser: argparse.ArgumentParser, *, train: str | None) -> None:
    """Add results, training data (`train` is ``"?"`` where they may be left out) and the job."""
    parser.add_argument("results", metavar="RESULTS", help=_RESULTS)
    parser.add_argument("train", nargs=train, metavar="TRAIN.jsonl", help="one example a line")
    _train.add_encoding(parser)
    group = parser.add_argument_group("the job, as it was set")
    _flags.add_flag(group, "n-epochs", type=int, metavar="N", help="by default tried")
    _flags.add_flag(group, "batch-size", type=int, metavar="N", help="by default tried")
