"""``logitmeter check``: what is wrong with labels, mask and ids, before hours are spent."""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit
from logitmeter.exceptions import SettingsError

_SUMMARY = "Check labels and selection without reading logits; status 1: a problem."
_EPILOG = """\
examples:
  logitmeter check dumps/*.arrow --trailing 2
  logitmeter check logits.arrow --labels labels.arrow --shift --rows 1000
      looks at 1,000 rows of logits as well
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = _flags.command(commands, "check", _SUMMARY, _EPILOG, run)
    _flags.add_inputs(parser)
    _flags.add_data(parser)
    _flags.add_counting(parser)
    group = parser.add_argument_group("checking")
    group.add_argument("--rows", type=int, default=0, metavar="N", help="rows of logits to look at")
    group.add_argument("--json", action="store_true", help="one line of JSON, not text")


def run(arguments: dict[str, Any]) -> int:
    """Check the files and print what was found."""
    import logitmeter as lm

    as_json = arguments.pop("json")
    source = _flags.scanned(arguments)
    options = _flags.counting(arguments)
    profiles = _flags.profiled(options)
    if len(profiles) > 1:
        raise SettingsError("check looks at one profile", expected="one", got=str(len(profiles)))
    found = lm.check(source, profile=profiles[0] if profiles else None, **options)
    emit(found.to_json() if as_json else str(found))
    return Status.DONE if found.ok else Status.PROBLEM
