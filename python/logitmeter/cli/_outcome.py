"""How a command ends: what it writes, how warnings and errors look, and the exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from logitmeter._numbers import printable
from logitmeter.exceptions import (
    InputChangedError,
    LogitmeterError,
    LogitmeterWarning,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Status(IntEnum):
    """The exit statuses."""

    DONE = 0
    PROBLEM = 1
    USAGE = 2
    BAD_INPUT = 3
    FAILED = 4
    INTERRUPTED = 130


# The first row that matches decides; what matches none has failed in mid-run.
_STATUSES: tuple[tuple[tuple[type[BaseException], ...], Status], ...] = (
    ((KeyboardInterrupt,), Status.INTERRUPTED),
    ((SettingsError,), Status.USAGE),
    ((InputChangedError,), Status.FAILED),
    ((LogitmeterError,), Status.BAD_INPUT),
    ((FileNotFoundError, IsADirectoryError, NotADirectoryError), Status.BAD_INPUT),
    ((PermissionError,), Status.BAD_INPUT),
)


def exit_status(command: Callable[[], int]) -> int:
    """Run a command; say on stderr what went wrong, and return the exit status."""
    try:
        with _spoken_warnings():
            return command()
    except SystemExit as leaving:  # argparse, after --help or a usage error
        return leaving.code if isinstance(leaving.code, int) else Status.DONE
    except BrokenPipeError:  # the reader has seen enough
        _abandon_stdout()
        return Status.FAILED
    except BaseException as caught:  # noqa: BLE001 - a command line shows no traceback
        _abandon_stdout()
        return _failed(caught)


def _failed(caught: BaseException) -> Status:
    error(_message(caught))
    for remark in getattr(caught, "__notes__", ()):
        note(remark)
    if sys.flags.dev_mode:
        traceback.print_exception(caught)
    _tell_partial(caught)
    return next((status for kinds, status in _STATUSES if isinstance(caught, kinds)), Status.FAILED)


def _message(caught: BaseException) -> str:
    if isinstance(caught, KeyboardInterrupt):
        return "interrupted"
    if isinstance(caught, LogitmeterError):
        return str(caught)
    if isinstance(caught, OSError):
        return _os_message(caught)
    if isinstance(caught, MemoryError):
        return f"out of memory: {caught}".removesuffix(": ")
    if isinstance(caught, ImportError):
        return str(caught)
    return f"unexpected {type(caught).__name__}: {caught} (python -X dev shows where)"


def _os_message(caught: OSError) -> str:
    if caught.strerror is None:
        return str(caught)
    return caught.strerror if caught.filename is None else f"{caught.filename}: {caught.strerror}"


def _tell_partial(caught: BaseException) -> None:
    """Say how far a run came; the figures before the error are not the result."""
    partial = getattr(caught, "partial", None)
    if partial is not None and partial.num_tokens:
        note(f"before the error: {partial!r}")


def emit(text: str) -> None:
    """Write a result to stdout, at once, so that a full disk is noticed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    with suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(text, flush=True)


def error(message: str) -> None:
    """Write an error to stderr."""
    _say(f"error: {message}")


def note(message: str) -> None:
    """Write a remark to stderr."""
    _say(f"note: {message}")


def _say(message: str) -> None:
    """Write to stderr; a file's name or a label cannot command the terminal."""
    message = "\n".join(map(printable, message.splitlines()))
    with suppress(OSError, AttributeError):  # nobody listens: the exit status has to do
        print(f"logitmeter: {message}", file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Tell whether somebody watches stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", LogitmeterWarning)
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _abandon_stdout() -> None:
    """Send what stdout still holds nowhere, lest the interpreter fails on it while leaving."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
