"""What a bug report needs: versions, machine, instruction set. Nothing is imported for it."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from logitmeter.threads import num_threads

__all__ = ["show_versions", "versions"]

_CPU_INFO = Path("/proc/cpuinfo")


def versions() -> dict[str, str | int | bool | None]:
    """Collect the versions of this package and of all that its results can depend on.

    Returns
    -------
    dict
        ``logitmeter``, ``python``, ``platform``, ``cpu``, ``isa`` (the instruction set in use),
        ``isas`` (those this machine can run), ``threads`` (used unless told otherwise),
        ``numeric_version`` (equal versions give equal bits), ``numpy``, ``pyarrow`` and
        ``tiktoken`` (None where not installed), ``debug`` (a slow build).

    Examples
    --------
    >>> from logitmeter.versions import versions
    >>> versions()["threads"] >= 1
    True
    """
    core = _environment()
    return {
        "logitmeter": core["version"],
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "cpu": _cpu(),
        "isa": core["isa"],
        "isas": ", ".join(core["isas"]),
        "threads": num_threads(),
        "numeric_version": core["numeric_version"],
        **{name: _installed(name) for name in ("numpy", "pyarrow", "tiktoken")},
        "debug": core["debug"],
    }


def show_versions() -> None:
    """Print what a bug report needs; see `versions` for the same as a dict.

    Examples
    --------
    >>> import logitmeter as lm
    >>> lm.show_versions()
    logitmeter      ...
    python          ...
    """
    sys.stdout.write(versions_text() + "\n")


def versions_text() -> str:
    """Write one line a fact."""
    return "\n".join(f"{name:<16}{_shown(value)}" for name, value in versions().items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not installed" if value is None else str(value)


def _environment() -> dict[str, Any]:
    from logitmeter import _core

    return _core.environment()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu(info: Path = _CPU_INFO) -> str:
    """Name the processor; /proc/cpuinfo knows more than `platform` does."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine() or "unknown"
