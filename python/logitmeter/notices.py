"""Warnings, issued where the user's own code stands."""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from logitmeter import exceptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["warn", "warn_all"]

OURS = (str(Path(__file__).parent), contextlib.__file__, functools.__file__)
"""The package, and what stands between its functions."""


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that points at the caller of this package."""
    frame, level = sys._getframe(), 1  # noqa: SLF001 - the documented way to a frame
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_all(found: Iterable[tuple[str, str]]) -> None:
    """Issue what the core found: pairs of a class name in `logitmeter.exceptions` and a message."""
    for name, message in found:
        warn(message, getattr(exceptions, name, exceptions.LogitmeterWarning))
