"""``logitmeter finetune infer``: how many tokens a service counts beyond the visible reply."""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit
from logitmeter.cli.finetune import _run

_SUMMARY = "Find the number of hidden tokens that explains a run's accuracies."
_EPILOG = """\
examples:
  logitmeter finetune infer results.csv train.jsonl --model gpt-4.1-mini \\
      --n-epochs 3 --batch-size 1
      as the job had them; what is left out is tried
  logitmeter finetune infer events.json train.jsonl --json > hidden.json
      both encodings of OpenAI's chat models are tried; JSON
"""


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = _flags.command(commands, "infer", _SUMMARY, _EPILOG, run)
    _run.add_run(parser, train=None)
    parser.add_argument("--json", action="store_true", help="one line of JSON, not a table")


def run(arguments: dict[str, Any]) -> int:
    """Infer the hidden tokens and print the hypotheses."""
    import logitmeter as lm

    as_json = arguments.pop("json")
    found = lm.finetune.infer(**arguments)
    emit(found.to_json() if as_json else str(found))
    return Status.DONE
