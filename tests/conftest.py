"""What holds for every test: how hypothesis searches, and a head line naming what is tested."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import tiers
from logitmeter import _core

if TYPE_CHECKING:
    import pytest

# No deadline: no test's outcome depends on how fast a machine is. CI repeats the same examples.
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tiers.RAN:
        ran = ", ".join(sorted(tiers.RAN - {tiers.CHOSEN})) or "no other"
        terminalreporter.line(f"one digest: tier {tiers.CHOSEN}, compared with {ran}")


def pytest_report_header() -> str:
    core = _core.environment()
    missing = {"portable", "avx2", "avx512", "neon"}.difference(core["isas"])
    return (
        f"logitmeter {core['version']}: tier {core['isa']}; this machine also runs "
        f"{', '.join(isa for isa in core['isas'] if isa != core['isa'])}, "
        f"not {', '.join(sorted(missing))}"
    )
