"""The native side of the benches (`native/`), by ctypes: the roofline, copies, llama.cpp's loop."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

LIBRARY = "libbench_native.dylib" if sys.platform == "darwin" else "libbench_native.so"
PATH = Path(__file__).parent.parent / "target" / "bench" / "release" / LIBRARY
SIGNATURES = {
    "bench_load_bits": (ctypes.c_uint32, []),
    "bench_read": (
        ctypes.c_uint8,
        [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_bool],
    ),
    "bench_copy_rows": (
        ctypes.c_uint8,
        [ctypes.c_void_p] * 2 + [ctypes.c_size_t] * 3 + [ctypes.c_bool] * 2,
    ),
    "bench_llama_nll": (ctypes.c_size_t, [ctypes.c_void_p] * 3 + [ctypes.c_size_t] * 3),
}


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(PATH))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def load_bits() -> int:
    """Bits of the roofline's loads."""
    return int(_library().bench_load_bits())


def read(array: Array, threads: int, *, prefetch: bool) -> int:
    """Read every byte once; gives the greatest."""
    _contiguous(array)
    return int(_library().bench_read(array.ctypes.data, array.nbytes, threads, prefetch))


def copy_rows(source: Array, to: Array, threads: int, *, first_read: bool, streaming: bool) -> None:
    """Read each row of ``[N, V]`` (if `first_read`), then copy it from the cache."""
    _contiguous(source)
    _contiguous(to)
    assert source.nbytes == to.nbytes
    rows = source.shape[0]
    row_bytes = source.nbytes // rows
    _library().bench_copy_rows(
        source.ctypes.data, to.ctypes.data, rows, row_bytes, threads, first_read, streaming
    )


def llama_nll(logits: Array, labels: Array, threads: int) -> Array:
    """Give the loss of each row of float32 ``[N, V]`` as llama.cpp computes it."""
    _contiguous(logits)
    _contiguous(labels)
    assert logits.dtype == np.float32
    assert labels.dtype == np.int64
    rows, vocab = logits.shape
    assert len(labels) == rows
    out = np.empty(rows)
    wrong = _library().bench_llama_nll(
        logits.ctypes.data, labels.ctypes.data, out.ctypes.data, rows, vocab, threads
    )
    assert not wrong, f"{wrong} labels lie outside the vocabulary"
    return out


def _contiguous(array: Array) -> None:
    assert array.flags.c_contiguous, "the native loops take rows that follow each other"
