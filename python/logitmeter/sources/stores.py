"""Files in stores: URLs, and paths within a given file system, through pyarrow or fsspec."""

from __future__ import annotations

import errno
import glob
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from logitmeter.exceptions import SettingsError
from logitmeter.sources.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["is_uri", "local_path", "store_places"]

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_uri(path: str) -> bool:
    """Whether a path is a URL: ``s3://...``, ``gs://...``, ``memory://...``."""
    return SCHEME.match(path) is not None


def local_path(path: str, filesystem: Any) -> str | None:
    """Give the path of what lies on this machine after all: ``file://...``, or its file system."""
    if path.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        return unquote(urlsplit(path).path)
    on_disk = {"pyarrow._fs.LocalFileSystem", "fsspec.implementations.local.LocalFileSystem"}
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(filesystem).__mro__}
    return path if kinds & on_disk else None


def store_places(path: str, filesystem: Any) -> list[Place]:
    """Give the files that are meant: one, those of a directory, or those that a glob matches.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    SettingsError
        A scheme that neither pyarrow nor fsspec knows, or no file system at all.
    """
    opened, inner = _opened(path, filesystem)
    prefix = path.removesuffix(inner) if path.endswith(inner) else ""
    info = opened.get_file_info(inner)
    if info.is_file:
        return [Place(path, opened, inner)]
    if info.type.name == "Directory":
        found = [file for file in _files_in(opened, inner) if not _is_left_beside(file)]
    elif glob.has_magic(inner):
        found = _matches(opened, inner)
    else:
        found = []
    if not found:
        raise FileNotFoundError(errno.ENOENT, "no such file, and nothing matches", path)
    return [Place(prefix + file, opened, file) for file in sorted(found, key=str.encode)]


def _opened(path: str, filesystem: Any) -> tuple[Any, str]:
    """Give a file system of pyarrow's, and the path within it."""
    import pyarrow as pa
    import pyarrow.fs

    if isinstance(filesystem, pa.fs.FileSystem):
        return filesystem, filesystem.normalize_path(path) if not is_uri(path) else _within(path)
    if filesystem is not None:
        return _of_fsspec(filesystem, path)
    try:
        found: tuple[Any, str] = pa.fs.FileSystem.from_uri(path)
    except pa.ArrowInvalid as unknown:
        return _by_fsspec(path, unknown)
    return found


def _within(uri: str) -> str:
    return SCHEME.sub("", uri)


def _of_fsspec(filesystem: Any, path: str) -> tuple[Any, str]:
    import pyarrow as pa
    import pyarrow.fs

    if not hasattr(filesystem, "_strip_protocol"):
        message = f"filesystem: a {type(filesystem).__name__} is none"
        raise SettingsError(
            message, expected="a file system of pyarrow.fs or fsspec", got=repr(filesystem)
        )
    wrapped = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(filesystem))
    return wrapped, filesystem._strip_protocol(path)  # noqa: SLF001 - what fsspec's own users call


def _by_fsspec(path: str, unknown: Exception) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        message = f"{path}: pyarrow does not know this scheme ({unknown}); pip install fsspec"
        raise SettingsError(message, expected="a scheme that can be read", got=path) from unknown
    try:
        filesystem, inner = url_to_fs(path)
    except (ValueError, ImportError) as error:
        message = f"{path}: {error}"
        raise SettingsError(message, expected="a scheme that can be read", got=path) from error
    return _of_fsspec(filesystem, inner)


def _files_in(opened: Any, folder: str, *, recursive: bool = False) -> list[str]:
    from pyarrow.fs import FileSelector

    selector = FileSelector(folder, allow_not_found=True, recursive=recursive)
    return [info.path for info in opened.get_file_info(selector) if info.is_file]


def _matches(opened: Any, pattern: str) -> list[str]:
    """Give the files that a pattern names; ``**`` stands for any number of directories."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base, rest = "/".join(parts[:fixed]), parts[fixed:]
    found = _files_in(opened, base, recursive=len(rest) > 1)
    return [file for file in found if _fits(file.split("/")[fixed:], rest)]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern, as in a shell."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_left_beside(path: str) -> bool:
    return path.rpartition("/")[2].startswith((".", "_"))
