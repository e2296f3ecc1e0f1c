"""``logitmeter check``: what is wrong with files, labels and logits, before hours are spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit
from logitmeter.exceptions import CorruptInputError, SettingsError

if TYPE_CHECKING:
    from logitmeter.report import Check

_SUMMARY = "Look at files, labels and a sample of the logits; status 1: a problem."
_EPILOG = """\
examples:
  logitmeter check dumps/*.arrow --trailing 2
  logitmeter check logits.arrow --labels labels.arrow --shift --rows 1000
      the sample is the first 1,000 positions; --rows 0 reads no logits

Status 1 also for files that are cut short; 3 only if none can be opened.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = _flags.command(commands, "check", _SUMMARY, _EPILOG, run)
    _flags.add_inputs(parser)
    _flags.add_data(parser)
    _flags.add_counting(parser)
    group = parser.add_argument_group("checking")
    rows = "positions whose logits are looked at (default: 256)"
    _flags.add_flag(group, "rows", type=int, metavar="N", help=rows)
    group.add_argument("--json", action="store_true", help="one line of JSON, not text")


def run(arguments: dict[str, Any]) -> int:
    """Check the files and print what was found."""
    as_json = arguments.pop("json")
    found = _found(arguments)
    emit(found.to_json() if as_json else str(found))
    return Status.DONE if found.ok else Status.PROBLEM


def _found(arguments: dict[str, Any]) -> Check:
    import logitmeter as lm

    paths = list(arguments["paths"])
    try:
        source = _flags.scanned(arguments)
    except (CorruptInputError, OSError) as error:
        return _unopened(paths, error)
    options = _flags.counting(arguments)
    profiles = _flags.profiled(options)
    if len(profiles) > 1:
        raise SettingsError("check looks at one profile", expected="one", got=str(len(profiles)))
    return lm.check(source, profile=profiles[0] if profiles else None, **options)


def _unopened(paths: list[str], error: CorruptInputError | OSError) -> Check:
    """Name the files that cannot be opened, if others can."""
    from logitmeter.report import Check, Problem

    failed = {path: found for path in paths if (found := _failure(path)) is not None}
    if len(failed) in {0, len(paths)}:  # none of these paths; or every one
        raise error
    problems = [
        Problem(type(found).__name__, _words(found), None, path) for path, found in failed.items()
    ]
    return Check._from_counts(None, problems=problems, files=len(paths))  # noqa: SLF001 - made here


def _failure(path: str) -> CorruptInputError | OSError | None:
    import logitmeter as lm

    try:
        lm.scan(path)
    except (CorruptInputError, OSError) as error:
        return error
    return None


def _words(error: CorruptInputError | OSError) -> str:
    return str(error.args[0]) if isinstance(error, CorruptInputError) else str(error.strerror)
