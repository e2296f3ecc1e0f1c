"""The command line from inside: flags are the Python names, every failure has its status."""

from __future__ import annotations

import errno
import inspect
import io
import sys
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pytest
from logitmeter import cli
from logitmeter.cli._flags import READER, counting, load_mask, reading
from logitmeter.cli._outcome import exit_status
from logitmeter.exceptions import (
    CorruptInputError,
    InputChangedError,
    LabelError,
    SequenceError,
    SettingsError,
    ShapeError,
)
from summaries import report

if TYPE_CHECKING:
    from pathlib import Path

DATA_FLAGS = {"mask", "role", "weight", "sequence_id", "batch_id", "by"}


# Flags are the Python names


EVERY_FLAG = [
    *("--labels", "l1", "l2", "--columns", "logits=x,labels=y", "--dtype", "bf16"),
    *(
        "--values",
        "scores",
        "--listed",
        "any",
        "--vocab-size",
        "9",
        "--null-labels",
        "ignore",
        "--memory-map",
        "--join-files",
    ),
    *("--limit", "7", "--role", "r", "--batch-id", "b", "--profile", "hf", "--profile", "trl"),
    *("--mask", "m", "--weight", "w", "--sequence-id", "s", "--by", "task", "--by", "file"),
    *("--ignore-index", "-1", "--shift", "--leading", "1", "--trailing", "2"),
    *("--on-short", "count", "--valid-vocab", "3"),
]
SCORING = [
    *("--nonfinite", "omit", "--on-empty", "raise"),
    *("--precision", "exact", "--threads", "2"),
]


def parsed(command: str, *flags: str) -> dict[str, Any]:
    found = vars(cli.parser().parse_args([command, "a", "b", *EVERY_FLAG, *flags]))
    for name in ("run", "json", "paths"):
        del found[name]
    return found


def test_flags_of_reading_are_arguments_of_scan() -> None:
    found = reading(parsed("evaluate"))
    assert found == {
        "labels": ["l1", "l2"],
        "columns": {"logits": "x", "labels": "y"},
        "dtype": "bf16",
        "values": "scores",
        "listed": "any",
        "vocab_size": 9,
        "null_labels": "ignore",
        "memory_map": True,
        "join_files": True,
        "limit": 7,
    }
    assert set(found) == set(READER) <= set(inspect.signature(lm.scan).parameters)


def test_other_flags_are_arguments_of_evaluate() -> None:
    flags = parsed("evaluate", *SCORING)
    reading(flags)
    assert flags == {
        "mask": "m",
        "role": "r",
        "batch_id": "b",
        "profile": ["hf", "trl"],
        "weight": "w",
        "sequence_id": "s",
        "by": ["task", "file"],
        "ignore_index": -1,
        "shift": True,
        "leading": 1,
        "trailing": 2,
        "on_short": "count",
        "valid_vocab": 3,
        "nonfinite": "omit",
        "on_empty": "raise",
        "precision": "exact",
        "threads": 2,
        "progress": False,
    }
    assert set(flags) | {"vocab_mask"} <= set(inspect.signature(lm.evaluate).parameters)


def test_other_flags_are_arguments_of_check() -> None:
    flags = parsed("check", "--rows", "9")
    reading(flags)
    assert flags["rows"] == 9
    assert set(flags) | DATA_FLAGS <= set(inspect.signature(lm.check).parameters)


def test_what_is_not_given_is_left_to_the_defaults() -> None:
    found = vars(cli.parser().parse_args(["check", "a"]))
    assert set(found) == {"paths", "run", "json"}


def test_names_of_columns_are_joined_and_may_be_unused() -> None:
    flags = ["check", "a", "--columns", "logits=x,mask=", "--columns", "labels=a=b"]
    found = reading(vars(cli.parser().parse_args(flags)))
    assert found == {"columns": {"logits": "x", "mask": None, "labels": "a=b"}}


def test_a_vocabulary_mask_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "mask.npy")
    np.save(path, np.array([True, False]))
    assert counting({"vocab_mask": path, "shift": True})["vocab_mask"].tolist() == [True, False]


def test_a_vocabulary_mask_is_never_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CorruptInputError, match=r"not a readable \.npy file"):
        load_mask(str(path))
    path.write_bytes(b"")
    with pytest.raises(CorruptInputError, match=r"not a readable \.npy file"):
        load_mask(str(path))


def test_a_vocabulary_mask_is_one_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", a=np.array([True]))
    with pytest.raises(ShapeError, match="got an archive"):
        load_mask(str(tmp_path / "mask.npz"))


def test_stderr_on_a_terminal_turns_progress_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cli.parser().parse_args(["evaluate", "a"]).progress is True


# Failures


def raising(error: BaseException) -> int:
    def command() -> int:
        raise error

    return exit_status(command)


ERROR = "logitmeter: error: "
FAILURES: list[tuple[BaseException, int, str]] = [
    (KeyboardInterrupt(), 130, "interrupted"),
    (SettingsError("trailing=-1"), 2, "trailing=-1"),
    (LabelError("label 9", path="a.arrow"), 3, "a.arrow: label 9"),
    (LabelError("label 9", path="a\x1b[2J.arrow"), 3, "a\\x1b[2J.arrow: label 9"),
    (SequenceError("an id came back:\n7"), 3, "an id came back:\n7"),
    (PermissionError(errno.EACCES, "Permission denied", "a"), 3, "a: Permission denied"),
    (FileNotFoundError("gone"), 3, "gone"),
    (InputChangedError("changed", path="a.arrow"), 4, "a.arrow: changed"),
    (OSError(errno.EIO, "Input/output error", "a.arrow"), 4, "a.arrow: Input/output error"),
    (OSError(errno.ENOSPC, "No space left on device"), 4, "No space left on device"),
    (MemoryError(), 4, "out of memory"),
    (MemoryError("asked for 1 TiB"), 4, "out of memory: asked for 1 TiB"),
    (ImportError("pyarrow is needed"), 4, "pyarrow is needed"),
    (ZeroDivisionError("oh"), 4, "unexpected ZeroDivisionError: oh (python -X dev shows where)"),
]


@pytest.mark.parametrize(("error", "status", "message"), FAILURES)
def test_every_failure_has_a_status_and_a_message(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == status
    assert capsys.readouterr() == ("", f"{ERROR}{message}\n")


def test_remarks_on_an_error_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    error = LabelError("label 9", path="b.arrow")
    error.add_note("position 12 of the input is position 2 of this file")
    assert raising(error) == 3
    assert capsys.readouterr().err == (
        f"{ERROR}b.arrow: label 9\n"
        "logitmeter: note: position 12 of the input is position 2 of this file\n"
    )


def test_a_failure_tells_how_far_the_run_came(capsys: pytest.CaptureFixture[str]) -> None:
    partial = report()
    assert raising(LabelError("label 9", partial=partial)) == 3
    note = f"logitmeter: note: before the error: {partial!r}\n"
    assert capsys.readouterr().err == f"{ERROR}label 9\n{note}"


def test_stdout_that_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["versions"]) == 4
    assert capsys.readouterr().err == f"{ERROR}standard output is closed\n"
