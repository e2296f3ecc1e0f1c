"""What holds for every test: how hypothesis searches, and a head line naming what is tested."""

from __future__ import annotations

import os

import hypothesis
from logitmeter import _core

# No deadline: no test's outcome depends on how fast a machine is. CI repeats the same examples.
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_report_header() -> str:
    core = _core.environment()
    missing = {"portable", "avx2", "avx512", "neon"}.difference(core["isas"])
    return (
        f"logitmeter {core['version']}: tier {core['isa']}; this machine also runs "
        f"{', '.join(isa for isa in core['isas'] if isa != core['isa'])}, "
        f"not {', '.join(sorted(missing))}"
    )
