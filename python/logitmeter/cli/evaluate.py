"""``logitmeter evaluate``: the figures of some files of logits."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from logitmeter import _export, _render
from logitmeter._numbers import plural
from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit, note, on_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUMMARY = "Loss, perplexity and accuracy of files of logits, in one read."
_EPILOG = """\
examples:
  logitmeter evaluate dumps/*.arrow --trailing 2 --by task
      columns logits, labels and mask; two hidden tokens end each reply
  logitmeter evaluate logits.arrow --labels labels.arrow --shift
      row t of the logits predicts the label of t + 1
  logitmeter evaluate run.arrow --columns logits=x,labels=y --json > run.json
      other names of columns; JSON, null where a figure is not finite
  logitmeter evaluate dumps/*.arrow --profile openai --profile visible
      the same rows as two profiles count them, side by side

Losses are in nats. Several files are pooled into one result; --by file
separates them.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = _flags.command(commands, "evaluate", _SUMMARY, _EPILOG, run)
    _flags.add_inputs(parser)
    _flags.add_data(parser)
    _flags.add_counting(parser)
    _add_scoring(parser)
    _add_output(parser)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scoring")
    add = _flags.add_flag
    add(group, "nonfinite", choices=("raise", "omit", "propagate"), help="rows of nan or +inf")
    add(group, "on-empty", choices=("nan", "raise"), help="the result if nothing counts")
    add(group, "precision", choices=("fast", "exact"), help="loss within 1e-6 or 1e-13 (relative)")
    add(group, "threads", type=int, metavar="N", help="default: all that this process may use")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one line of JSON, not a table")
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=on_terminal(),
        help="on stderr; by default on a terminal",
    )


def run(arguments: dict[str, Any]) -> int:
    """Evaluate the files and print the report."""
    import logitmeter as lm

    as_json = arguments.pop("json")
    source = _flags.scanned(arguments)
    _say_pooled(source.num_files, arguments.get("by", ()))
    options = _flags.counting(arguments)
    profiles = _flags.profiled(options)
    if len(profiles) > 1:
        reports = lm.evaluate_profiles(source, profiles, **options)
        emit(_export.reports_json(reports) if as_json else _render.side_by_side(reports))
        return Status.DONE
    report = lm.evaluate(source, profile=profiles[0] if profiles else None, **options)
    emit(report.to_json() if as_json else str(report))
    return Status.DONE


def _say_pooled(files: int | None, by: Sequence[str]) -> None:
    if files is not None and files > 1 and "file" not in by:
        note(f"{plural(files, 'file')} pooled into one result; --by file separates them")
