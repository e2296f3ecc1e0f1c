"""What pyarrow says of damaged files, as errors of ours with path and offset."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from logitmeter.exceptions import CorruptInputError, LogitmeterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter.sources.file import File

__all__ = ["named_damage", "named_file"]

LARGEST_RATIO = 1 << 10
"""No buffer is larger than this many times its file, whatever the compression."""
STORES = ("AWS Error", "google::cloud::Status", "Azure Error", "HDFS")
"""In messages of stores that could not be reached, which carry no errno."""


@contextmanager
def named_damage(file: File, magic: bytes | None) -> Iterator[None]:
    """Errors of the format as ours, unless the file changed under the reader.

    A file that does not end with `magic` was cut, so that its end is the error's offset.
    """
    size = file.num_bytes
    try:
        yield
    except (pa.ArrowException, OSError, MemoryError, EOFError, UnicodeError) as error:
        if not _of_the_format(error, size):
            if _of_a_store(error):
                file.check_unchanged()  # a shorter object is no longer what was asked for
            raise
        file.check_unchanged()
        text = str(error).partition("\n")[0]
        message = f"damaged or cut short, at {size} bytes: {text}"
        offset = None if _whole(file, magic) else size
        raise CorruptInputError(message, path=file.path, offset=offset, got=text) from error


@contextmanager
def named_file(path: str) -> Iterator[None]:
    """Say in which file what is wrong."""
    try:
        yield
    except LogitmeterError as error:
        error.path = path
        raise


def _whole(file: File, magic: bytes | None) -> bool:
    if magic is None:
        return False
    with file.place.open() as opened:
        opened.seek(max(0, file.num_bytes - len(magic)))
        return bytes(opened.read()) == magic


def _of_the_format(error: BaseException, size: int) -> bool:
    """Whether an error tells of the bytes, rather than of the system: those carry an errno."""
    if isinstance(error, pa.ArrowCancelled):
        return False
    if isinstance(error, MemoryError):
        asked = re.search(r"size (\d+)", str(error))
        return asked is not None and int(asked[1]) > LARGEST_RATIO * size
    if isinstance(error, OSError):
        return error.errno is None and not _of_a_store(error)
    return True


def _of_a_store(error: BaseException) -> bool:
    return any(store in str(error) for store in STORES)
