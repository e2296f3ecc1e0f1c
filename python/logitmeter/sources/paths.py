"""Paths, lists of paths, globs and directories, as one list of files in a stated order."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import TypeAlias, TypeGuard

from logitmeter.exceptions import SettingsError

__all__ = ["PathsLike", "expand", "is_paths"]

PathLike: TypeAlias = "str | os.PathLike[str]"
PathsLike: TypeAlias = "PathLike | list[PathLike] | tuple[PathLike, ...]"


def is_paths(thing: object) -> TypeGuard[PathsLike]:
    """Whether this names files: a path, or a list of nothing but paths."""
    if isinstance(thing, list | tuple):
        return bool(thing) and all(isinstance(item, str | os.PathLike) for item in thing)
    return isinstance(thing, str | os.PathLike)


def expand(paths: PathsLike) -> list[str]:
    """Give the files that are meant: lists in their order, globs and directories in byte order.

    Raises
    ------
    FileNotFoundError
        Where a path does not exist, a glob matches nothing or a directory holds no file.
    SettingsError
        For a URL: only local files are read.
    """
    items = paths if isinstance(paths, list | tuple) else [paths]
    return [file for item in items for file in _expand_one(os.fspath(item))]


def _expand_one(path: str) -> list[str]:
    if "://" in path:
        message = f"{path!r} is a URL; only local files are read so far"
        raise SettingsError(message, expected="a local path", got=path)
    if Path(path).is_dir():
        return _directory(path)
    if not Path(path).exists() and glob.has_magic(path):
        return _glob(path)
    os.stat(path)  # noqa: PTH116 - for its FileNotFoundError
    return [path]


def _glob(pattern: str) -> list[str]:
    """Give the matches of a pattern; a directory stands for its files, except under ``**``."""
    matches = sorted(glob.glob(pattern, recursive=True), key=os.fsencode)  # noqa: PTH207 - ** as shells have it
    files = [
        file
        for match in matches
        for file in (_expand_one(match) if not Path(match).is_dir() or "**" not in pattern else [])
    ]
    return files or _nothing(pattern, "no file matches")


def _directory(path: str) -> list[str]:
    """Its own files, without hidden ones and those that writers leave beside data (_SUCCESS)."""
    names = sorted(os.listdir(path), key=os.fsencode)  # noqa: PTH208 - names, sorted as bytes
    files = [
        str(Path(path, name))
        for name in names
        if not name.startswith((".", "_")) and Path(path, name).is_file()
    ]
    return files or _nothing(path, "no files in the directory")


def _nothing(path: str, why: str) -> list[str]:
    raise FileNotFoundError(errno.ENOENT, why, path)
