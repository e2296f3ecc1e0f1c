"""``logitmeter convert``: the same figures from another container, and the change said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from formats import FORMATS, Format, each_format
from logitmeter.cli import main

N, V = 12, 5
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@each_format
def test_every_format_is_converted(
    form: Format, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = form.write(tmp_path, LOGITS, {"labels": LABELS})
    command = ["convert", str(given["source"]), "--out", str(tmp_path / "out"), "--json"]
    command += ["--labels", given["labels"]] if "labels" in given else []
    command += ["--dtype", given["dtype"]] if "dtype" in given else []
    assert main(command) == 0
    found = said(capsys)
    assert (found["paths"], found["num_rows"]) == ([str(tmp_path / "out")], N)
    whole = np.zeros(N, int)
    wanted = lm.evaluate(LOGITS, LABELS, sequence_id=whole, shift=True)
    assert lm.evaluate(tmp_path / "out", shift=True).to_json() == wanted.to_json()


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_the_change_in_loss_is_said(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FORMATS[0].write(tmp_path, LOGITS, {"labels": LABELS})
    command = ["convert", str(tmp_path / "dump"), "--out", str(tmp_path / "out"), "--shift"]
    command += ["--out-dtype", dtype]
    assert main([*command, "--json"]) == 0
    found = said(capsys)
    before = lm.evaluate(tmp_path / "dump", shift=True).loss
    after = lm.evaluate(tmp_path / "out", shift=True).loss
    assert found["loss_before"] == before
    assert found["loss_after"] == after
    assert 0 < abs(found["loss_change"]) < 0.01
    Path(found["paths"][0]).unlink()
    assert main(command) == 0
    assert f"loss {before:.9f} before, {after:.9f} after" in capsys.readouterr().out


def test_columns_are_kept_and_sequences_numbered_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = np.repeat([3, 4, 5], 4)
    tasks = np.array(["a", "b"]).repeat(6)
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        columns = {"labels": LABELS, "sequence_id": ids, "task": tasks}
        FORMATS[0].write(tmp_path / name, LOGITS, columns)
    out = str(tmp_path / "out.arrow")
    paths = [str(tmp_path / name / "dump") for name in ("x", "y")]
    assert main(["convert", *paths, "--out", out, "--keep", "task", "--model", "m"]) == 0
    assert "24 rows in 1 file" in capsys.readouterr().out
    table = pa.ipc.open_file(out).read_all()
    assert table["sequence_id"].to_pylist() == np.repeat(np.arange(6), 4).tolist()
    assert table.schema.metadata[b"logitmeter.model"] == b"m"
    found, wanted = (lm.evaluate(source, shift=True, by="task") for source in (out, paths))
    assert found.to_json() == wanted.to_json()


def test_a_failure_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS[0].write(tmp_path, LOGITS * 1e6, {"labels": LABELS})
    command = ["convert", str(tmp_path / "dump"), "--out", str(tmp_path / "out")]
    assert main([*command, "--out-dtype", "f16"]) == 3
    assert "beyond float16" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["convert", str(tmp_path / "dump"), "--out", str(tmp_path / "dump")]) == 4
    assert "File exists" in capsys.readouterr().err
