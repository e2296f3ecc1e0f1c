"""How many threads this process may use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

from logitmeter.arguments import whole

__all__ = ["num_threads"]

CGROUPS = Path("/sys/fs/cgroup")


def num_threads(threads: int | None = None) -> int:
    """Give the threads asked for; by default those that affinity and the cgroup's quota allow."""
    if threads is None:
        return max(1, min(_affinity(), _own_quota() or _affinity()))
    return whole("threads", threads, 1)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _own_quota() -> int | None:
    """Give this process's quota; reading it costs more than scoring a few rows."""
    return quota()


def quota(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Whole processors in the tightest quota of this process's cgroups (versions 2 and 1)."""
    limits = [
        limit for folder in _folders(root, membership) if (limit := _limit(folder)) is not None
    ]
    return math.ceil(min(limits)) if limits else None


def _folders(root: Path, membership: Path) -> list[Path]:
    """Give the cgroup folders of this process and all above them."""
    folders = [root, root / "cpu"]
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or "cpu" in controllers.split(","):
            base = root / controllers
            own = base / path.lstrip("/")
            folders += [own, *(above for above in own.parents if above.is_relative_to(base))]
    return folders


def _limit(folder: Path) -> float | None:
    used, period = [*_read(folder / "cpu.max").split(), "", ""][:2]
    if not used:
        used, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    try:
        limit = int(used) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return limit if limit > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
