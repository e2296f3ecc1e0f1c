"""What can go wrong, by name. Each class is also the built-in that callers expect to catch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logitmeter.report import Report

__all__ = [
    "BatchSizeError",
    "CorruptInputError",
    "DTypeError",
    "FewSequencesWarning",
    "InputChangedError",
    "InputWarning",
    "LabelError",
    "LabelShiftWarning",
    "LogitmeterError",
    "LogitmeterWarning",
    "NonFiniteError",
    "NothingCountedWarning",
    "SequenceError",
    "SettingsError",
    "ShapeError",
    "ShortRunError",
    "StateVersionError",
    "TerminatorWarning",
    "VocabularyMissingError",
]


class LogitmeterError(Exception):
    """Base of every error of this package: what, where, expected and got.

    Attributes
    ----------
    position
        The label's place in the input, counted from 0 over all batches and files.
    row
        The place of the logits that score it; one less than `position` under ``shift=True``.
    path, offset
        The file, and the byte in it, where there is one.
    expected, got
        What was wanted and what was found, as text.
    partial
        The report of all that was scored before the error, where there is one.
    """

    position: int | None
    row: int | None
    path: str | None
    offset: int | None
    expected: str | None
    got: str | None
    partial: Report | None

    def __init__(
        self,
        message: str,
        *,
        position: int | None = None,
        row: int | None = None,
        path: str | None = None,
        offset: int | None = None,
        expected: str | None = None,
        got: str | None = None,
        partial: Any = None,
    ) -> None:
        super().__init__(message)
        self.position = position
        self.row = row
        self.path = path
        self.offset = offset
        self.expected = expected
        self.got = got
        self.partial = partial

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{self.path}: {message}" if self.path is not None else message


class ShapeError(LogitmeterError, ValueError):
    """Shapes or lengths that do not fit together."""


class LabelError(LogitmeterError, ValueError):
    """A label, mask value, weight, group or given score that cannot be used at its position."""


class ShortRunError(LabelError):
    """A run that misses some of its leading or trailing tokens."""


class SequenceError(LabelError):
    """A sequence id that is null, or that comes back after its sequence ended."""


class SettingsError(LogitmeterError, ValueError):
    """Options that contradict each other, or that are out of range."""


class NonFiniteError(LogitmeterError, ValueError):
    """A counted row of logits holding NaN, +inf, null, or nothing but -inf."""


class CorruptInputError(LogitmeterError, ValueError):
    """A file or a state whose bytes are damaged, cut short or not what they claim to be."""


class BatchSizeError(LogitmeterError, ValueError):
    """A record batch that has to be held as a whole, and is too large for that."""


class StateVersionError(LogitmeterError, ValueError):
    """A state written with another format or numeric version, or with other settings."""


class DTypeError(LogitmeterError, TypeError):
    """An element type that cannot be used, or that must be stated."""


class InputChangedError(LogitmeterError, OSError):
    """A file that changed while it was read."""


class VocabularyMissingError(LogitmeterError, LookupError):
    """A vocabulary that is not on this machine."""


class LogitmeterWarning(UserWarning):
    """Base of the warnings; none of them changes a result."""


class LabelShiftWarning(LogitmeterWarning):
    """The labels fit the logits far better one place to the left or right."""


class TerminatorWarning(LogitmeterWarning):
    """The mask seems to hold the end token already."""


class FewSequencesWarning(LogitmeterWarning):
    """Errors from few sequences, in a report's `warnings`; not issued, since nothing is wrong."""


class InputWarning(LogitmeterWarning):
    """What was given as logits looks like log-probabilities or probabilities."""


class NothingCountedWarning(LogitmeterWarning):
    """No token counted."""
