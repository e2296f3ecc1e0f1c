"""What only a process of its own shows: Ctrl-C, fork, forced tiers, imports and memory.

No outcome depends on how fast a machine is: bounds on time and memory are far above what is
measured, and the figures are printed (``pytest -s``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from logitmeter import _core

LINUX = sys.platform == "linux"
SETUP = """
import os, signal, sys, threading, time, warnings
import numpy as np
import pyarrow as pa
import logitmeter as lm
"""


def run(code: str, *, timeout: float = 120, **environment: str) -> str:
    """Run a program, which must succeed; give what it printed."""
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", SETUP + textwrap.dedent(code)],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        text=True,
        timeout=timeout,
    )
    assert ended.returncode == 0, f"status {ended.returncode}: {ended.stdout}{ended.stderr}"
    return ended.stdout


# ---- Ctrl-C --------------------------------------------------------------------------------------

ARRAY = "logits, labels = np.zeros((4000, 30_000), np.float32), np.zeros(4000, int)\n"
BATCHES = """
rows = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(800, np.float32)), 100)
table = pa.table({"logits": rows, "labels": np.zeros(8, int)})
def batches(pause):
    while True:
        time.sleep(pause)
        yield table.to_batches()[0]
def reader(pause):
    return pa.RecordBatchReader.from_batches(table.schema, batches(pause))
"""
WAITS = "a reader of many waits"
LONG_CALLS = {
    "evaluate": (ARRAY, "while True: lm.evaluate(logits, labels, precision='exact', threads={0})"),
    "meter": (ARRAY, "while True: lm.Meter(precision='exact').update(logits, labels, threads={0})"),
    "scores": (ARRAY, "while True: lm.token_scores(logits, labels, threads={0}).read_all()"),
    "softmax": (ARRAY, "while True: lm.log_softmax(logits, precision='exact', threads={0})"),
    "top_k": (ARRAY, "while True: lm.top_k(logits, 100, threads={0})"),
    "a slow reader": (BATCHES, "lm.evaluate(reader(60), threads={0})"),
    "a reader without an end": (BATCHES, "lm.evaluate(reader(0), threads={0})"),
    WAITS: (BATCHES, "lm.evaluate(reader(0.01), threads={0})"),
}
# What is imported at a first call is imported here: Python itself loses an interrupt that falls
# into importlib's callback of a module lock (seen on a busy machine, once in a hundred runs).
INTERRUPTED = """
small = np.zeros((2, 3), np.float32), np.zeros(2, int)
lm.evaluate(*small), lm.token_scores(*small).read_all()
lm.log_softmax(small[0]), lm.top_k(small[0], 1)
sent = []
def interrupt():
    time.sleep(0.5)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG_CALLS)
def test_ctrl_c_ends_a_long_call(name: str, threads: int) -> None:
    setup, call = LONG_CALLS[name]
    code = setup + INTERRUPTED.replace("{call}", call.format(threads))
    waited = float(run(code))
    print(f"\nCtrl-C, {name}, threads={threads}: {waited:.3f} s")  # noqa: T201 - the figure
    assert waited < 5  # the call alone would go on for a minute, or for ever


def test_an_interrupted_meter_is_as_it_was() -> None:
    code = """
        logits, labels = np.zeros((4000, 30_000), np.float32), np.zeros(4000, int)
        meter = lm.Meter(precision="exact").update(logits[:10], labels[:10])
        before = meter.to_bytes()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                meter.copy().update(logits, labels)
        except KeyboardInterrupt:
            assert meter.to_bytes() == before
            assert meter.update(logits[:10], labels[:10]).compute().num_tokens == 20
    """
    run(code)


def test_an_error_ends_a_program_but_does_not_abort_it() -> None:
    code = """
        reader = pa.RecordBatchReader.from_batches(table.schema, batches(0.003))
        try:
            lm.evaluate(reader, valid_vocab=101)
        except lm.exceptions.SettingsError:
            pass
    """
    for _ in range(5):
        run(BATCHES + textwrap.dedent(code))


# ---- fork and threads ----------------------------------------------------------------------------

STATES = """
rng = np.random.default_rng(0)
logits = rng.normal(size=(300, 20_000)).astype(np.float32)
labels = rng.integers(0, 20_000, 300)
rows = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), 20_000)
table = pa.table({"logits": rows, "labels": labels})
def state(*unused):
    return lm.Meter().update(logits, labels, threads=2).to_bytes()
def state_of_a_reader():
    return lm.Meter().update(table.to_reader(50), threads=2).to_bytes()
expected = state()
assert state_of_a_reader() == expected
def forked(call):
    child = os.fork()
    if child == 0:
        signal.alarm(100)  # a deadlock ends here
        os._exit(0 if call() == expected else 1)
    return os.waitpid(child, 0)[1]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_calls_work_after_a_fork() -> None:
    code = """
        assert forked(state) == 0
        assert forked(state_of_a_reader) == 0
        assert state() == expected
    """
    run(STATES + textwrap.dedent(code))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_calls_work_in_a_forked_pool() -> None:
    code = """
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(state, range(4)) == [expected] * 4
        assert state() == expected
    """
    run(STATES + textwrap.dedent(code))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_beside_a_call_works() -> None:
    code = """
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork
        beside = threading.Thread(target=lambda: [state() for _ in range(30)])
        beside.start()
        assert [forked(state) for _ in range(3)] == [0] * 3
        beside.join()
    """
    run(STATES + textwrap.dedent(code))


def test_calls_beside_each_other_give_the_same_bits() -> None:
    code = """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(state, range(12)))
        assert found == [expected] * 12
    """
    run(STATES + textwrap.dedent(code))


def test_two_threads_evaluate_different_inputs() -> None:
    code = """
        def many(seed, found):
            own = np.random.default_rng(seed).normal(size=(60, 500)).astype(np.float32)
            found += [lm.evaluate(own, np.arange(60), threads=2) for _ in range(50)]
        found = [[], []]
        both = [threading.Thread(target=many, args=(i, found[i])) for i in range(2)]
        [thread.start() for thread in both]
        [thread.join() for thread in both]
        one, other = ({report.loss for report in reports} for reports in found)
        assert len(one) == len(other) == 1 and one != other
    """
    run(code)


# ---- tiers ---------------------------------------------------------------------------------------

PRINT_STATE = """
rng = np.random.default_rng(0)
for dtype in ("f2", "f4", "f8"):
    for options in ({}, {"precision": "exact"}, {"valid_vocab": 1500}, {"shift": True}):
        logits = (10 * rng.normal(size=(40, 3001))).astype(dtype)
        meter = lm.Meter(**options).update(logits, rng.integers(0, 1500, 40))
        print(meter.to_bytes().hex())
print(lm.log_softmax(logits).tobytes().hex()[:4096])
"""


def test_every_tier_gives_the_same_bytes() -> None:
    isas = _core.environment()["isas"]
    assert "portable" in isas
    first, *others = [run(PRINT_STATE, LOGITMETER_ISA=isa) for isa in (*isas, "")]
    assert len(first.split()) == 13
    assert others == [first] * len(others)


def test_a_tier_that_does_not_exist() -> None:
    absent = sorted({"avx2", "avx512", "neon"}.difference(_core.environment()["isas"]))
    code = """
        calls = [
            lambda: lm.evaluate(np.zeros((2, 4), np.float32), [0, 1]),
            lambda: lm.token_scores(np.zeros((2, 4), np.float32), [0, 1]).read_all(),
            lambda: lm.log_softmax(np.zeros((2, 4), np.float32)),
            lambda: lm.top_k(np.zeros((2, 4), np.float32), 1),
        ]
        for call in calls:
            try:
                call()
            except lm.exceptions.SettingsError as error:
                print(f"{error}|{error.expected}|{error.got}")
    """
    present = ", ".join(_core.environment()["isas"])
    for isa in ("sse9", *absent):
        said = run(code, LOGITMETER_ISA=isa).splitlines()
        assert len(said) == 4
        for line in said:
            message, expected, got = line.split("|")
            assert f'LOGITMETER_ISA is "{isa}"' in message
            assert present in message
            assert (expected, got) == (present, isa)


# ---- imports -------------------------------------------------------------------------------------


def test_importing_loads_numpy_at_most() -> None:
    code = """
        import sys
        before = set(sys.modules)
        import logitmeter
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(*sorted(new - set(sys.stdlib_module_names) - {"logitmeter", "numpy"}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert found.stdout == "\n"


# ---- memory --------------------------------------------------------------------------------------

PEAK = """
def status(name):
    with open("/proc/self/status") as file:
        line, = (line for line in file if line.startswith(name + ":"))
    return int(line.split()[1]) / 1024
def peak(call):
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    call()
    return status("VmHWM") - before
lm.evaluate(np.zeros((4, 8), np.float32), np.zeros(4, int))
logits, labels = np.ones((2000, 50_000), np.float32), np.zeros(2000, int)
few = np.zeros(20_000_000, np.int8)
mask = np.zeros(20_000_000, bool)
mask[::1000] = True
"""
BIG_CALLS = {
    "rows as they lie": "lm.evaluate(logits, labels, threads=2)",
    "a part of each row": "lm.evaluate(logits[:, :-1], labels, threads=2)",
    "all but the last": "lm.evaluate(logits.reshape(20, 100, -1)[:, :-1], "
    "labels.reshape(20, 100), shift=True, threads=2)",
    "a few of many rows": "lm.evaluate(logits.reshape(-1, 5), few, mask=mask, threads=2)",
}


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize("name", BIG_CALLS)
def test_memory_stays_constant(name: str) -> None:
    peak = float(run(PEAK + f"print(peak(lambda: {BIG_CALLS[name]}))"))
    print(f"\n400 MB, {name}: {peak:.1f} MB more")  # noqa: T201 - the figure
    assert peak < 40


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_memory_stays_constant_over_a_file(tmp_path: object) -> None:
    code = f"""
        path = {f"{tmp_path}/x.arrow"!r}
        rows = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), 50_000)
        table = pa.table({{"logits": rows, "labels": labels}})
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
        del table, rows, logits
        print(peak(lambda: lm.evaluate(path)))
    """
    peak = float(run(PEAK + textwrap.dedent(code)))
    print(f"\n400 MB in a file of batches of 20 MB: {peak:.1f} MB more")  # noqa: T201 - the figure
    assert peak < 200
