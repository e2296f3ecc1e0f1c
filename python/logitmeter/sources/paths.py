"""Paths, lists of paths, globs and directories, as one list of files in a stated order."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from logitmeter.sources.place import Place
from logitmeter.sources.stores import is_uri, local_path, store_places

__all__ = ["PathsLike", "expand", "is_paths", "places"]

PathLike: TypeAlias = "str | os.PathLike[str]"
PathsLike: TypeAlias = "PathLike | list[PathLike] | tuple[PathLike, ...]"


def is_paths(thing: object) -> TypeGuard[PathsLike]:
    """Whether this names files: a path, or a list of nothing but paths."""
    if isinstance(thing, list | tuple):
        return bool(thing) and all(isinstance(item, str | os.PathLike) for item in thing)
    return isinstance(thing, str | os.PathLike)


def places(paths: PathsLike, filesystem: Any = None) -> list[Place]:
    """Give the files that are meant: lists in their order, globs and directories in byte order.

    Raises
    ------
    FileNotFoundError
        Where a path does not exist, a glob matches nothing or a directory holds no file.
    SettingsError
        A URL of a scheme that neither pyarrow nor fsspec knows.
    """
    items = paths if isinstance(paths, list | tuple) else [paths]
    return [place for item in items for place in _places(os.fspath(item), filesystem)]


def _places(path: str, filesystem: Any) -> list[Place]:
    if filesystem is None and not is_uri(path):
        return [Place(file) for file in expand(path)]
    here = local_path(path, filesystem)
    return store_places(path, filesystem) if here is None else [*map(Place, expand(here))]


def expand(path: PathLike) -> list[str]:
    """Give the files of this machine that are meant by a path, a glob or a directory."""
    path = os.fspath(path)
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
        for file in (expand(match) if not Path(match).is_dir() or "**" not in pattern else [])
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
