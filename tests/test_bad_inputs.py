"""Each line of the lists of bad and awkward input, by each source that can show it.

`bad_inputs.py` runs them in a process of its own: a signal, or a process that does not end, fails
the case that it came to, and those of the same source after it.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import bad_inputs
import logitmeter as lm
import pytest
from bad_input_cases import CASES, Case
from bad_input_llama import LLAMA_CASES
from bad_input_sources import LABELS, LOGITS, SOURCES
from test_bad_input_table import LINES

PROGRAM = Path(bad_inputs.__file__)
LONGEST = 300
ALL = [(source, name) for source in SOURCES for name in bad_inputs.cases_of(source)]
NAMES_ITS_FILE = {"CorruptInputError", "InputChangedError", "SequenceError"}
"""Errors that name the file in which they lie; so do those that name a position."""


@functools.cache
def outcomes() -> dict[tuple[str, str], dict[str, Any]]:
    """Give what came of every case; after one that kills its process, the next source is run."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    pending = list(SOURCES)
    while pending:
        status, said, results = run(pending)
        found |= {(each["source"], each["case"]): each for each in results}
        reached = results[-1]["source"] if results else pending[0]
        if status == 0:
            break
        found[reached, ""] = {"status": status, "said": said}
        pending = pending[pending.index(reached) + 1 :]
    return found


def run(sources: list[str]) -> tuple[int | str, str, list[dict[str, Any]]]:
    """Run a process; gives how it ended, what it said, and a result a case."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, str(PROGRAM), folder, *sources]
        status: int | str
        try:
            ended = subprocess.run(  # noqa: S603 - our own program
                command, stdout=out, stderr=subprocess.PIPE, check=False, text=True, timeout=LONGEST
            )
            status, said = ended.returncode, ended.stderr
        except subprocess.TimeoutExpired:
            status, said = "hung", ""
        out.seek(0)
        return status, said[-2000:], [json.loads(line) for line in out]


@pytest.mark.parametrize(("source", "name"), ALL, ids=lambda part: part)
def test_what_its_group_promises(source: str, name: str) -> None:
    found = outcomes()
    assert (source, name) in found, f"the process ended before it: {found.get((source, ''))}"
    case = bad_inputs.cases_of(source)[name]
    if case.error:
        is_named_error(source, case, found[source, name])
    else:
        gives_the_same(case, found[source, name])


def is_named_error(source: str, case: Case, found: dict[str, Any]) -> None:
    assert found.get("error") == case.error, found
    assert re.search(case.says, found["message"], re.DOTALL), found
    in_file = source == "llama.cpp" or "file" in SOURCES[source].can
    if in_file and (case.error in NAMES_ITS_FILE or "position" in case.says):
        assert found["path"]
        assert found["path"] in found["message"]


def gives_the_same(case: Case, found: dict[str, Any]) -> None:
    assert "error" not in found, found
    assert found["warnings"] == ([case.warns] if case.warns else [])
    if case.rows is None:
        return
    rows = case.rows
    assert found["num_tokens"] == len(LABELS[rows]) - case.left_out
    if case.rows != slice(0, 0):
        labels = LABELS[rows].copy()
        labels[2 : 2 + case.left_out] = -100
        assert found["loss"] == lm.evaluate(LOGITS[rows], labels).loss


def test_no_process_is_killed() -> None:
    assert [place for place in outcomes() if not place[1]] == []


def test_the_cases_are_many_and_of_the_lists() -> None:
    assert len(ALL) >= 200
    assert all(count >= 30 for count in Counter(source for source, _ in ALL).values())
    lines = [line for _, line in LINES]
    cases = {**CASES, **LLAMA_CASES}
    for case in cases.values():
        assert sum(line.startswith(case.line) for line in lines) == 1, case.line
