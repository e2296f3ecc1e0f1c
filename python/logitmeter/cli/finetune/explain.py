"""``logitmeter finetune explain``: one page for whoever stares at a dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit, note
from logitmeter.cli.finetune import _run

_SUMMARY = "Say what the curves of a run mean for the visible tokens of its replies."
_EPILOG = """\
examples:
  logitmeter finetune explain results.csv
      two hidden tokens a reply are assumed, and said to be
  logitmeter finetune explain results.csv train.jsonl --model gpt-4.1-mini
      hidden tokens inferred; the level of guessing set beside the curves
  logitmeter finetune explain results.csv train.jsonl --html page.html
      one self-contained page
"""


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = _flags.command(commands, "explain", _SUMMARY, _EPILOG, run)
    _run.add_run(parser, train="?")
    _flags.add_flag(parser, "hidden", type=int, metavar="N", help="hidden tokens, if known")
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one line of JSON, not text")
    group.add_argument("--html", metavar="FILE", help="write a page, instead of text")


def run(arguments: dict[str, Any]) -> int:
    """Explain the run, on stdout or as a page."""
    import logitmeter as lm

    as_json, page = arguments.pop("json"), arguments.pop("html")
    found = lm.finetune.explain(**arguments)
    if page is not None:
        Path(page).write_text(found.to_html(), encoding="utf-8")
        note(f"{page} written")
    if as_json or page is None:
        emit(found.to_json() if as_json else str(found))
    return Status.DONE
