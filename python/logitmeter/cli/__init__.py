"""The command line: one file a command, which parses, calls the Python function and prints.

Results go to stdout; progress, warnings and errors to stderr. Exit status: 0 done, 1 `check`
found a problem, 2 usage, 3 bad input, 4 the run failed (a full disk, an I/O error, a reader
that went away), 130 interrupted.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from logitmeter.cli import check, convert, evaluate, finetune, versions
from logitmeter.cli._outcome import emit, error, exit_status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_DESCRIPTION = "Batch LLM metrics over logits of any size: loss, perplexity, accuracy."
_EPILOG = """\
examples:
  logitmeter evaluate dumps/*.arrow --trailing 2 --by task
  logitmeter evaluate logits.arrow --labels labels.arrow --shift --json
  logitmeter check dumps/*.arrow --trailing 2
  logitmeter convert logits.npy --labels labels.npy --out dump.arrow --dtype bf16
  logitmeter COMMAND --help

exit status:
  0 done, 1 check found a problem, 2 usage, 3 bad input, 4 run failed,
  130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The arguments after the program's name; by default those of this process.

    Returns
    -------
    int
        The exit status; nothing is raised.

    Examples
    --------
    >>> main(["evaluate", "--no-such-flag", "a.arrow"])
    2
    """
    return exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    arguments = parser().parse_args(argv)
    run = arguments.run
    del arguments.run
    status: int = run(vars(arguments))
    return status


class Parser(argparse.ArgumentParser):
    """A parser whose errors look like all other errors of this program."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the usage and leave with status 2."""
        error(message)
        self.exit(2, f"usage: see {self.prog} --help\n")


class _Version(argparse.Action):
    """Print the version; the core is asked only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from logitmeter import _core

        emit(f"logitmeter {_core.environment()['version']}")
        parser.exit()


def parser() -> Parser:
    """Build the parser with all its commands."""
    top = Parser(
        prog="logitmeter",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the version and leave",
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in (evaluate, check, convert, finetune, versions):
        command.add_to(commands)
    return top
