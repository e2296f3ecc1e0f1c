"""A worker's end in the parent: see `worker.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"


class Process:
    """One worker: ``"main"``, ``"peers"``, or the name of an instruction set of logitmeter."""

    def __init__(self, place: str) -> None:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        python = sys.executable
        if place == "peers":
            python = str(PEERS)
        elif place != "main":
            environment["LOGITMETER_ISA"] = place
        self._process = subprocess.Popen(  # noqa: S603 - ours
            [python, str(HERE / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.loaded: set[str] = set()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give the reply to a command."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker died at {do} {arguments}: its message is above")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()
