"""``logitmeter versions``: what a bug report needs."""

from __future__ import annotations

from typing import Any

from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit

_SUMMARY = "Versions, machine and instruction set, for a bug report."
_EPILOG = """\
examples:
  logitmeter versions
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    _flags.command(commands, "versions", _SUMMARY, _EPILOG, run)


def run(_: dict[str, Any]) -> int:
    """Print the versions."""
    from logitmeter.versions import versions_text

    emit(versions_text())
    return Status.DONE
