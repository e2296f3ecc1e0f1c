"""What a result depends on: the machine, the versions, the commit."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from pathlib import Path

from logitmeter.versions import versions

RESULTS = Path(__file__).parent / "results"
FLAGS = ("avx", "avx2", "fma", "f16c", "asimd", "sve")


def heading(title: str) -> list[str]:
    """Write the top of a result."""
    return [
        f"# {title}, {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"- commit: {_commit()}",
        *(f"- {name}: {value}" for name, value in versions().items()),
        f"- compiler: {_said('rustc', '--version')}, release profile of Cargo.toml",
        f"- flags: {_flags()}",
        f"- caches: {_caches()}",
        f"- huge pages: {_first_line('/sys/kernel/mm/transparent_hugepage/enabled')}",
        f"- load when it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
    ]


def write(name: str, lines: list[str]) -> Path:
    """Keep a result under its date."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{dt.datetime.now(dt.UTC):%Y-%m-%d-%H%M}-{name}.md"
    path.write_text("\n".join([*lines, ""]))
    return path


def _commit() -> str:
    changed = _said("git", "status", "--porcelain", "--untracked-files=no")
    return _said("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def _said(*command: str) -> str:
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        return found.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _flags() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    line = next((x for x in lines if x.startswith(("flags", "Features"))), "")
    words = line.partition(":")[2].split()
    return " ".join(x for x in words if x in FLAGS or x.startswith("avx512")) or "unknown"


def _caches() -> str:
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    found = [
        f"L{_first_line(folder / 'level')} {_first_line(folder / 'size')}"
        for folder in folders
        if _first_line(folder / "type") != "Instruction"
    ]
    return ", ".join(found) or "unknown"


def _first_line(path: str | Path) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except OSError:
        return "unknown"
