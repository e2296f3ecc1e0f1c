"""The thread's floating-point state, as another library may leave it: set by the C library.

`fesetenv` takes an environment that we prepare: glibc keeps the control word of x86-64 (SSE) 28
bytes into it, and that of aarch64 at its start.
"""

from __future__ import annotations

import ctypes
import pickle
import platform
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = 64  # more than any fenv_t
_OFFSETS = {"x86_64": 28, "aarch64": 0}
SUPPORTED = sys.platform == "linux" and platform.machine() in _OFFSETS
_X86 = platform.machine() == "x86_64"

# name: (bits that are set, bits that are cleared). On x86-64 a cleared mask bit is a trap: those
# of invalid, denormal, division, overflow and underflow; all of them with inexact.
STATES: dict[str, tuple[int, int]] = (
    {
        "flushing": (0x8040, 0),
        "round down": (0x2000, 0x4000),
        "round up": (0x4000, 0x2000),
        "round to zero": (0x6000, 0),
        "traps": (0, 0x0F80),
        "all traps": (0, 0x1F80),
        "flushing, rounding up, traps": (0xC040, 0x2F80),
    }
    if _X86
    else {
        "flushing": (1 << 24, 0),
        "round up": (1 << 22, 1 << 23),
        "round down": (1 << 23, 1 << 22),
        "round to zero": (3 << 22, 0),
    }
)
_CONTROL = 0xFFC0 if _X86 else 0xFFFF_FFFF  # without x86-64's exception flags


def _environment() -> bytearray:
    found = bytearray(_SIZE)
    assert ctypes.CDLL("libm.so.6").fegetenv((ctypes.c_char * _SIZE).from_buffer(found)) == 0
    return found


def _set(environment: bytearray) -> None:
    changed = (ctypes.c_char * _SIZE).from_buffer(environment)
    assert ctypes.CDLL("libm.so.6").fesetenv(changed) == 0


def word() -> int:
    """Give the thread's control word, without flags of exceptions that occurred."""
    offset = _OFFSETS[platform.machine()]
    return int.from_bytes(_environment()[offset : offset + 4], "little") & _CONTROL


@contextmanager
def changed(name: str) -> Iterator[int]:
    """Set a state for this thread; give the word, and check afterwards that it is still set."""
    before, offset = _environment(), _OFFSETS[platform.machine()]
    bits_on, bits_off = STATES[name]
    asked = word() & ~bits_off | bits_on
    other = bytearray(before)
    other[offset : offset + 4] = asked.to_bytes(4, "little")
    _set(other)
    try:
        yield asked
        left = word()
    finally:
        _set(before)
    assert left == asked, f"the state was {asked:#x} and is {left:#x}"


def inputs() -> dict[str, Any]:
    """Give arrays that react to the state: subnormals, tiny weights, sums that must be rounded."""
    n, v = 40, 700
    rng = np.random.default_rng(8)
    wide = rng.normal(0, 3, (n, v))
    wide[::3] = 1e-40 * rng.integers(-9, 9, (len(wide[::3]), v))  # subnormals of float32
    wide[1::5, ::7] = -np.inf
    labels = rng.integers(0, v, n)
    labels[rng.random(n) < 0.5] = 7  # at -inf now and then
    tiny = np.where(np.arange(n)[:, None] % 2, wide, 2.0**-900 * wide)
    return {
        "logits": [
            wide.astype(np.float32),
            wide.astype(np.float16),
            wide.astype(ml_dtypes.bfloat16),
            tiny,
        ],
        "labels": labels,
        "mask": rng.random(n) < 0.7,
        "weight": rng.choice([1.0, 0.1, 5e-324, 1e-310, 3.0], n),
        "sequence_id": np.arange(n) // 4,
    }


def results(given: dict[str, Any], threads: int) -> dict[str, bytes]:
    """Give what the package computes from them: one value a function and element type."""
    found: dict[str, bytes] = {}
    beside = {name: given[name] for name in ("weight", "sequence_id")} | {"threads": threads}
    for logits in given["logits"]:
        name = logits.dtype.name
        for precision in ("fast", "exact"):
            meter = lm.Meter(precision=precision, trailing=1, on_short="count")
            meter.update(logits, given["labels"], mask=given["mask"], **beside)
            found[f"{name} {precision} state"] = meter.to_bytes()
            found[f"{name} {precision} report"] = pickle.dumps(meter.compute().to_dict())
            meter.merge(lm.Meter.from_bytes(meter.to_bytes()))
            found[f"{name} {precision} merged"] = meter.to_bytes()
        for call in (lm.token_scores, lm.sequence_scores):
            table = call(logits, given["labels"], **beside).read_all()
            columns = [np.asarray(column).tobytes() for column in table.columns]
            found[f"{name} {call.__name__}"] = b"".join(columns)
        found[f"{name} log_softmax"] = lm.log_softmax(logits, threads=threads).tobytes()
        logprobs, best = lm.top_k(logits, 60, threads=threads)
        found[f"{name} top_k"] = logprobs.tobytes() + best.tobytes()
    return found


def differences(state: str, threads: int) -> list[str]:
    """Give the names of the results that differ under a state."""
    given = inputs()
    want = results(given, 1)
    with changed(state):
        found = results(given, threads)
    return [name for name in want if found[name] != want[name]]
