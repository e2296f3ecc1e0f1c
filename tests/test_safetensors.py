"""safetensors: what the library writes is read, and what it refuses is refused."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from logitmeter.exceptions import CorruptInputError, DTypeError, SettingsError, ShapeError
from logitmeter.sources.base import SCOPE

if TYPE_CHECKING:
    from pathlib import Path

N, V = 12, 5
ROWS = np.random.default_rng(3).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(4).integers(0, V, N)
LENGTHS = (3, 1, 8)
STARTS = (0, 3, 4)


def saved(path: Path, **tensors: Any) -> str:
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    return str(path)


def made(path: Path, header: object, data: bytes) -> str:
    """Write a file of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return str(path)


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


# ---- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("memory_map", [False, True])
def test_what_the_library_writes_is_read(dtype: Any, tmp_path: Path, *, memory_map: bool) -> None:
    logits = ROWS.astype(dtype)
    path = saved(tmp_path / "x", logits=logits, labels=LABELS, unused=np.ones((2, 3)))
    found = lm.evaluate(lm.scan(path, memory_map=memory_map))
    assert found.loss == lm.evaluate(logits, LABELS).loss
    assert lm.scan(path).column_names == ["logits", "labels", "file"]


def test_tensors_are_found_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "x", scores=ROWS, input_ids=LABELS, attention=np.arange(N) > 3)
    columns = {"logits": "scores", "labels": "input_ids", "mask": "attention"}
    found = lm.evaluate(lm.scan(path, columns=columns))
    assert found.loss == lm.evaluate(ROWS, LABELS, mask=np.arange(N) > 3).loss
    with pytest.raises(SettingsError, match="no tensor 'logits'; the file has: ") as caught:
        lm.evaluate(path)
    assert "scores" in str(caught.value)
    assert caught.value.path == path


@pytest.mark.parametrize("name", ["logits_{}", "tensor.{}", "logits_{:03}"])
def test_a_series_is_a_sequence_each(name: str, tmp_path: Path) -> None:
    cuts = [slice(a, a + n) for a, n in zip(STARTS, LENGTHS, strict=True)]
    order = [2, 0, 1]
    tensors = {name.format(i): ROWS[cuts[i]] for i in order}
    labels = {f"labels_{i}": LABELS[cuts[i]] for i in order}
    ids = np.repeat(np.arange(3), LENGTHS)
    wanted = lm.evaluate(ROWS, LABELS, sequence_id=ids, shift=True)
    together = lm.scan(saved(tmp_path / "x", **tensors, **labels))
    apart = lm.scan(saved(tmp_path / "y", **tensors), labels=saved(tmp_path / "z", **labels))
    beside = lm.scan(str(tmp_path / "y"), labels=LABELS)
    for source in (together, apart, beside):
        assert lm.evaluate(source, shift=True).to_json() == wanted.to_json()
        assert source.feed().batches().read_all()[SCOPE].to_pylist() == ids.tolist()


def test_a_series_goes_by_number_not_by_text(tmp_path: Path) -> None:
    tensors = {f"logits_{i}": ROWS[i : i + 1] for i in range(N)}
    source = lm.scan(saved(tmp_path / "x", **tensors), labels=LABELS)
    assert lm.evaluate(source).loss == lm.evaluate(ROWS, LABELS).loss


def test_a_series_of_several_vocabularies_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x", logits_0=ROWS, logits_1=ROWS[:, :-1].copy())
    with pytest.raises(ShapeError, match="do not go together") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == path


def test_labels_of_another_shape_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "x", logits=ROWS, labels=LABELS[:-1])
    with pytest.raises(ShapeError, match=r"labels has shape \[11\], but \[12\]") as caught:
        lm.evaluate(path)
    assert caught.value.path == path


def test_a_tensor_of_one_of_our_names_may_be_left_unused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x", logits=ROWS, labels=LABELS, weight=np.ones((V, 3)))
    with pytest.raises(ShapeError, match="weight has shape"):
        lm.evaluate(path)
    assert lm.evaluate(lm.scan(path, columns={"weight": None})).num_tokens == N


def test_other_element_types_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x", logits=ROWS.astype(np.int32), labels=LABELS)
    with pytest.raises(DTypeError, match="cannot be read") as caught:
        lm.evaluate(path)
    assert caught.value.path == path
    fp8 = made(tmp_path / "y", {"logits": entry([2, 2], 0, 4, "F8_E4M3")}, bytes(4))
    with pytest.raises(DTypeError, match="F8_E4M3"):
        lm.evaluate(fp8, LABELS[:2])
    with pytest.raises(DTypeError, match="the logits are float32"):
        lm.evaluate(lm.scan(saved(tmp_path / "z", logits=ROWS, labels=LABELS), dtype="bf16"))


# ---- what is refused -----------------------------------------------------------------------------

DATA = ROWS.tobytes()
SIZE = len(DATA)
ILL: dict[str, object] = {
    "too many rows": {"logits": entry([N + 1, V], 0, SIZE)},
    "too few rows": {"logits": entry([N - 1, V], 0, SIZE)},
    "beyond the file": {"logits": entry([N * 2, V], 0, SIZE * 2)},
    "far beyond the file": {"logits": entry([2**40, V], 0, 2**40 * V * 4)},
    "over 64 bits": {"logits": entry([2**63, V], 0, SIZE)},
    "backwards": {"logits": entry([0, V], SIZE, 0)},
    "negative": {"logits": entry([-N, -V], 0, SIZE)},
    "truth values": {"logits": entry([True, N * V], 0, SIZE)},
    "a hole": {"logits": entry([N - 1, V], 4 * V, SIZE)},
    "a rest": {"logits": entry([N - 1, V], 0, SIZE - 4 * V)},
    "overlap": {"logits": entry([N, V], 0, SIZE), "labels": entry([N], 0, 8 * N, "I64")},
    "no place": {"logits": {"dtype": "F32", "shape": [N, V]}},
    "a place of three": {"logits": entry([N, V], 0, SIZE) | {"data_offsets": [0, 1, SIZE]}},
    "a number": {"logits": 3},
    "no JSON": b"{" + b"x" * 40,
    "deep": b'{"a":' + b"[" * 100_000,
    "twice": b'{"logits":' + json.dumps(entry([N, V], 0, SIZE)).encode() + b',"logits":{}}',
    "not UTF-8": b'{"\xff\xfe": 1}',
    "nothing": b"{}",
}


@pytest.mark.parametrize("what", ILL)
def test_ill_headers_are_refused_with_their_place(what: str, tmp_path: Path) -> None:
    path = made(tmp_path / "x", ILL[what], DATA)
    with pytest.raises(CorruptInputError, match="safetensors: ") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.path == path
    assert caught.value.offset is not None
    with pytest.raises(Exception, match=r"."), safetensors.safe_open(path, "np"):
        """The library refuses it too."""


@pytest.mark.parametrize("length", [2**24 + 1, 2**31, 2**39])
def test_long_headers_are_refused_unread(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CorruptInputError, match=f"a header of {length} bytes") as caught:
        lm.evaluate(path, LABELS)
    assert caught.value.offset == 0


@pytest.mark.parametrize("size", [9, 20, 60])
def test_files_cut_in_their_header(size: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    saved(path, logits=ROWS, labels=LABELS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptInputError, match="cut short in its header") as caught:
        lm.evaluate(path)
    assert (caught.value.path, caught.value.offset) == (str(path), size)
