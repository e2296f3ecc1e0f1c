"""`.npy`: every header that NumPy writes is read, and no other does harm."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import pytest
from logitmeter.exceptions import CorruptInputError, DTypeError, LogitmeterError, ShapeError

if TYPE_CHECKING:
    from pathlib import Path

B, T, V = 3, 4, 5
CUBE = np.random.default_rng(3).normal(size=(B, T, V)).astype(np.float32)
SQUARE = np.random.default_rng(4).integers(0, V, (B, T))
ROWS, LABELS = CUBE.reshape(-1, V), SQUARE.ravel()
HEADER = {"descr": "<f4", "fortran_order": False, "shape": (B * T, V)}


def saved(path: Path, array: Any, version: tuple[int, int] | None = None) -> str:
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version, allow_pickle=True)
    return str(path)


def made(path: Path, header: object, data: bytes = ROWS.tobytes(), version: int = 1) -> str:
    """Write a file of any header."""
    text = header if isinstance(header, bytes) else repr(header).encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + length + text + data)
    return str(path)


def loss(path: str, **options: Any) -> float:
    labels = SQUARE if lm.scan(path, **options).feed().shape == (B, T) else LABELS
    return float(lm.evaluate(lm.scan(path, labels=labels, **options)).loss)


WANTED = lm.evaluate(CUBE, SQUARE).loss

# ---- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">f8"])
@pytest.mark.parametrize("array", [CUBE, ROWS], ids=["cube", "rows"])
def test_every_layout_is_read(
    array: Any, dtype: str, order: Any, version: Any, tmp_path: Path, *, memory_map: bool
) -> None:
    path = saved(tmp_path / "x", np.asarray(array, dtype, order=order), version)
    wanted = lm.evaluate(CUBE.astype(dtype), SQUARE).loss
    assert loss(path, memory_map=memory_map) == wanted


def test_fortran_s_order_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logitmeter.sources.tensors.MAPPED_BYTES", 3 * V * 4)
    assert loss(saved(tmp_path / "x", np.asfortranarray(CUBE))) == WANTED


def test_labels_may_have_any_layout(tmp_path: Path) -> None:
    labels = saved(tmp_path / "y", np.asfortranarray(SQUARE.astype(">i2")))
    assert lm.evaluate(lm.scan(saved(tmp_path / "x", CUBE), labels=labels)).loss == WANTED


def test_bfloat16_must_be_stated(tmp_path: Path) -> None:
    logits = CUBE.astype(ml_dtypes.bfloat16)
    path = saved(tmp_path / "x", logits)
    assert loss(path, dtype="bf16") == lm.evaluate(logits, SQUARE).loss
    with pytest.raises(DTypeError, match=r'dtype="bf16"') as caught:
        loss(path)
    assert caught.value.path == path


def test_a_header_of_another_writer_is_read(tmp_path: Path) -> None:
    text = b"{'shape': (12, 5),\n 'fortran_order':False, 'descr': \"<f4\"}"
    assert loss(made(tmp_path / "x", text)) == WANTED


def test_a_file_is_not_read_beyond_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x"
    made(path, HEADER | {"shape": (1 << 20, 1 << 12)}, b"")
    with path.open("r+b") as file:  # 16 GB that take no room
        file.truncate(path.stat().st_size + (1 << 34))
    labels = np.zeros(1 << 20, int)
    assert lm.evaluate(lm.scan(str(path), labels=labels, limit=100)).num_tokens == 100


# ---- what is refused -----------------------------------------------------------------------------

BOMBS = [
    HEADER | {"shape": (1 << 40, 1 << 20)},
    HEADER | {"shape": (1 << 62, 5)},
    HEADER | {"shape": (1 << 200, 5)},
    HEADER | {"shape": (B * T + 1, V)},
    HEADER | {"shape": (B * T - 1, V)},
]
ILL = [
    HEADER | {"shape": (-12, -5)},
    HEADER | {"shape": [12, 5]},
    HEADER | {"shape": (12.0, 5)},
    HEADER | {"shape": (True, 60)},
    HEADER | {"shape": 60},
    HEADER | {"fortran_order": 0},
    HEADER | {"more": 1},
    {"descr": "<f4"},
    [1, 2],
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 5)",
    b"__import__('os').system('touch /tmp/pwned')",
    b"(" * 5000,
    b"-" * 9000 + b"1",
    b"\xff\xfe\x00" * 20,
    b"",
]


@pytest.mark.parametrize("header", BOMBS + ILL)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_ill_headers_are_refused_with_their_place(
    header: object, version: int, tmp_path: Path
) -> None:
    path = made(tmp_path / "x", header, version=version)
    with pytest.raises(CorruptInputError, match=r"\.npy: ") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == path
    assert caught.value.offset is not None
    assert caught.value.expected


@pytest.mark.parametrize("length", [10_001, 65_535])
def test_long_headers_are_refused_unparsed(length: int, tmp_path: Path) -> None:
    text = repr(HEADER).encode().ljust(length)
    with pytest.raises(CorruptInputError, match=f"a header of {length} bytes"):
        lm.evaluate(made(tmp_path / "x", text), LABELS)


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 10**6])
def test_a_declared_header_longer_than_the_file(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + bytes(20))
    with pytest.raises(CorruptInputError, match=f"a header of {length} bytes") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.offset == 8


@pytest.mark.parametrize("size", range(6, 140, 7))
def test_files_cut_in_their_header(size: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    saved(path, ROWS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptInputError) as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("version", [0, 4, 255])
def test_other_versions_are_refused(version: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + bytes(100))
    with pytest.raises(CorruptInputError, match=f"version {version}") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.offset == 6


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("role", ["logits", "labels"])
def test_pickles_are_refused_unread(role: str, tmp_path: Path) -> None:
    header = HEADER | {"descr": "|O"}
    path = made(tmp_path / "x", header, pickle.dumps(Bomb()))
    given = (path, LABELS) if role == "logits" else (ROWS, tmp_path / "x")
    with pytest.raises(DTypeError, match="Python objects, which are pickled") as caught:
        lm.evaluate(*given)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "descr", ["<i4", "|b1", "<c8", "<U4", "<M8[s]", "<V4", "<f16", "<f2 ", "f", [("a", "<f4")], 4]
)
def test_other_kinds_of_logits_are_refused(descr: Any, tmp_path: Path) -> None:
    path = made(tmp_path / "x", HEADER | {"descr": descr})
    with pytest.raises(LogitmeterError, match=r"cannot be read|cut short|behind") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == path


@pytest.mark.parametrize("labels", [LABELS.astype(float), LABELS > 2, CUBE.astype("V2")])
def test_other_kinds_of_labels_are_refused(labels: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "y", labels)
    with pytest.raises((DTypeError, ShapeError)):
        lm.evaluate(lm.scan(saved(tmp_path / "x", ROWS), labels=path))


@pytest.mark.parametrize("shape", [(), (60,), (1, 3, 4, 5), (12, 0), (60, 0, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path / "x", np.zeros(shape, np.float32))
    if shape == (60, 0, 5):
        assert lm.scan(path).feed().num_rows == 0
        return
    with pytest.raises(ShapeError) as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == path
