"""Flushing, rounding and traps that another library has set change no bit, and stay as set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import fp_state
import logitmeter as lm
import pyarrow as pa
import pytest
import tiers
from logitmeter import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not fp_state.SUPPORTED, reason="sets the state through glibc on x86-64 or aarch64"
)
QUIET = [name for name in fp_state.STATES if "traps" not in name]


@pytest.mark.parametrize("state", QUIET)
def test_a_state_is_set(state: str) -> None:
    """The test's own test: inside, Python computes otherwise."""
    tiny, three, ten = float("5e-324"), float("3"), float("10")
    usual = (tiny * 1.0, 1.0 / three, -1.0 / three, 1.0 / ten)
    with fp_state.changed(state):
        found = (tiny * 1.0, 1.0 / three, -1.0 / three, 1.0 / ten)
    assert found != usual
    assert usual == (tiny * 1.0, 1.0 / three, -1.0 / three, 1.0 / ten)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("state", QUIET)
def test_no_state_changes_a_bit(state: str, threads: int) -> None:
    assert fp_state.differences(state, threads) == []


@pytest.mark.parametrize("state", QUIET)
def test_nor_in_a_thread_that_inherits_it(state: str) -> None:
    given = fp_state.inputs()
    want = fp_state.results(given, 1)
    found: dict[str, bytes] = {}

    def work() -> None:
        with fp_state.changed(state):
            child = threading.Thread(target=lambda: found.update(fp_state.results(given, 2)))
            child.start()
            child.join()

    outer = threading.Thread(target=work)
    outer.start()
    outer.join()
    assert [name for name in want if found[name] != want[name]] == []


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("state", sorted(set(fp_state.STATES) - set(QUIET)))
def test_no_trap_is_sprung(state: str, threads: int) -> None:
    """In a process of its own, which a trap would end."""
    code = f"import fp_state; print(fp_state.differences({state!r}, {threads}))"
    assert tiers.run(_core.environment()["isa"], code).strip() == "[]"


@pytest.mark.parametrize("state", QUIET)
def test_code_of_the_caller_runs_in_its_own_state(state: str) -> None:
    rows = pa.array([[0.0, 1.0]] * 8, pa.list_(pa.float32(), 2))
    table = pa.table({"logits": rows, "labels": [0] * 8})
    seen: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table.to_batches(max_chunksize=2):
            seen.append(fp_state.word())
            yield batch

    def progress(*_: object) -> None:
        seen.append(fp_state.word())

    with fp_state.changed(state) as word:
        reader = pa.RecordBatchReader.from_batches(table.schema, batches())
        lm.evaluate(reader, threads=2, progress=progress)
    assert len(seen) > 4
    assert set(seen) == {word}
