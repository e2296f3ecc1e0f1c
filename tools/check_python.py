"""Says in plain words why a Python cannot make the project's virtual environment."""

import importlib.util
import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.exit(
        f"logitmeter needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and {sys.executable} is "
        f"{sys.version.split()[0]}. Name another: make PYTHON=python3.12 ..."
    )
if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
    sys.exit(
        f"{sys.executable} cannot make virtual environments with pip in them: it lacks the venv "
        "or ensurepip module. On Debian and Ubuntu: apt-get install python3-venv. "
        "Or name another Python: make PYTHON=/path/to/python3 ..."
    )
