"""Where a file lies: on this machine, or in a store that pyarrow or fsspec reaches."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from logitmeter.exceptions import CorruptInputError, InputChangedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Place", "Stamp", "read_exactly"]


READ_BYTES = 4 << 20
"""What is read at once: little enough for its memory to be used again from piece to piece."""
REQUEST_BYTES = 32 << 20
"""The same of stores, where each read is a request."""


class Stamp(NamedTuple):
    """By what a change of a file is seen."""

    size: int
    modified: int
    inode: int


@dataclass(frozen=True, slots=True)
class Place:
    """A file, not opened.

    Parameters
    ----------
    path
        As the caller named it: in messages, and for ``by="file"``.
    filesystem
        Of `pyarrow.fs`; None for this machine.
    inner
        The path within that file system.
    """

    path: str
    filesystem: Any = None
    inner: str = ""

    @property
    def local(self) -> bool:
        """Whether this machine's own calls reach it."""
        return self.filesystem is None

    @property
    def read_bytes(self) -> int:
        """How much of a long run of rows to read at once."""
        return READ_BYTES if self.local else REQUEST_BYTES

    def stamp(self) -> Stamp:
        """Size, time of the last change and, on this machine, identity.

        Raises
        ------
        FileNotFoundError
            Nothing is there.
        CorruptInputError
            A directory, a pipe or a device.
        """
        if self.filesystem is None:
            status = os.stat(self.path)  # noqa: PTH116 - path is a str
            if not stat.S_ISREG(status.st_mode):
                raise CorruptInputError("not a regular file", path=self.path, expected="a file")
            return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
        info = self.filesystem.get_file_info(self.inner)
        if info.type.name == "NotFound":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        if not info.is_file:
            raise CorruptInputError("not a regular file", path=self.path, expected="a file")
        return Stamp(info.size, info.mtime_ns or 0, 0)

    def check_unchanged(self, stamp: Stamp) -> None:
        """Refuse a file that is not what it was."""
        now = self.stamp()
        if now != stamp:
            before = f"{stamp.size} bytes"
            message = f"the file changed while it was read: it had {before}, now {now.size}"
            raise InputChangedError(
                message, path=self.path, expected=before, got=f"{now.size} bytes"
            )

    def open(self, *, memory_map: bool = False) -> pa.NativeFile:
        """Open it for reading anywhere in it."""
        if self.filesystem is None:
            return pa.memory_map(self.path) if memory_map else pa.OSFile(self.path)
        if memory_map:
            message = f"memory_map: {self.path} is on no disk of this machine"
            raise SettingsError(message, expected="local files", got=self.path)
        return self.filesystem.open_input_file(self.inner)

    def head(self, size: int) -> bytes:
        """Give its first bytes, as many as there are."""
        with self.open() as file:
            found: bytes = file.read(size)
        return found


def read_exactly(
    file: pa.NativeFile, start: int, size: int, cut: Callable[[int], Exception]
) -> pa.Buffer:
    """Give some bytes of a file; where they end early, `cut` makes the error from that offset."""
    file.seek(start)
    found = file.read_buffer(size)
    if found.size != size:
        raise cut(start + found.size)
    return found
