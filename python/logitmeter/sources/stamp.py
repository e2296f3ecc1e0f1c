"""By what a change of a file is seen, while it is read."""

from __future__ import annotations

import os
from typing import NamedTuple

from logitmeter.exceptions import InputChangedError

__all__ = ["Stamp", "check_unchanged", "stamp_of"]


class Stamp(NamedTuple):
    """What a change of a file changes."""

    size: int
    modified: int
    inode: int


def stamp_of(path: str) -> Stamp:
    """Size, time of the last change and identity of a file."""
    status = os.stat(path)  # noqa: PTH116 - path is a str
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def check_unchanged(path: str, stamp: Stamp) -> None:
    """Refuse a file that is not what it was."""
    now = stamp_of(path)
    if now != stamp:
        before = f"{stamp.size} bytes"
        message = f"the file changed while it was read: it had {before}, now {now.size}"
        raise InputChangedError(message, path=path, expected=before, got=f"{now.size} bytes")
