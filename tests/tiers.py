"""One program on every instruction set that this machine runs: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from logitmeter import _core

CHOSEN: str = _core.environment()["isa"]
OTHERS: list[str] = [isa for isa in _core.environment()["isas"] if isa != CHOSEN]

RAN: set[str] = set()
"""Those whose results were compared with the chosen one's; pytest's summary names them."""


def run(isa: str, code: str) -> str:
    """Run a program that may import what lies beside this file; give what it prints."""
    here = str(Path(__file__).parent)
    RAN.add(isa)
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r})\n{code}"],
        capture_output=True,
        check=False,
        env={**os.environ, "LOGITMETER_ISA": isa},
        text=True,
    )
    assert ended.returncode == 0, f"{isa}: {ended.stdout}{ended.stderr}"
    return ended.stdout
