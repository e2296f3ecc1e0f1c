"""The vocabularies of cl100k_base and o200k_base, for tests and for examples in docstrings.

`make` fetches them beside the environment's packages (tools/fetch_vocabularies.py). The tests use
a copy, since tiktoken deletes a file whose hash is not what it expects. If they were not fetched
the copy is empty, and what needs one fails with the error that its users would see.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

FETCHED = Path(sys.prefix) / "vocabularies"
COPY = Path(tempfile.mkdtemp(prefix="logitmeter-vocabularies-"))

atexit.register(shutil.rmtree, COPY, ignore_errors=True)
if FETCHED.is_dir():
    shutil.copytree(FETCHED, COPY, dirs_exist_ok=True)
os.environ["TIKTOKEN_CACHE_DIR"] = str(COPY)  # for child processes too


def pytest_report_header() -> list[str]:
    """Say so where there are none."""
    if any(COPY.iterdir()):
        return []
    return [f"{FETCHED} is empty: tests of text to tokens will fail; `make test-python` fills it"]
