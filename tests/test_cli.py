"""The command line as its users meet it: exit status, stdout and stderr of a child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import logitmeter as lm
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter import _core

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROW = [3.0, 2.0, 1.0, 0.0]
LABELS = [0, 1, 0, 0, 0, 0]
ERROR = "logitmeter: error: "
MASK = [False, True, False, False, True, False]
DATA_FLAGS = {"mask", "weight", "sequence_id", "by"}


class Outcome(NamedTuple):
    """What a command leaves behind; paths are replaced, so that it reads as text."""

    status: int
    out: str
    err: str


def run(*arguments: str, folder: Path | None = None, **options: Any) -> Outcome:
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "logitmeter", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **options.pop("env", {})},
        timeout=60,
        **options,
    )
    return Outcome(ended.returncode, ended.stdout, without_build_note(ended.stderr))


def without_build_note(text: str) -> str:
    """Drop what a debug build says about itself when it is imported."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "debug build" not in line)


def logits_of(rows: int) -> pa.Array:
    return pa.array([ROW] * rows, pa.list_(pa.float32(), 4))


def write(path: Path, tokens: Sequence[int] = LABELS, **columns: Any) -> str:
    """Write an Arrow file; a column that is None is left out."""
    data = {"logits": logits_of(len(tokens)), "labels": pa.array(tokens, pa.int64())} | columns
    table = pa.table({name: column for name, column in data.items() if column is not None})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "plain.arrow")
    write(tmp_path / "chat.arrow", mask=pa.array(MASK))
    write(tmp_path / "a.arrow", [0, 0])
    write(tmp_path / "b.arrow", [1, 1])
    write(tmp_path / "bad.arrow", [0, 1, 9, 0])
    write(tmp_path / "ignored.arrow", [-100, -100])
    return tmp_path


# Results


def test_evaluate(folder: Path) -> None:
    assert run("evaluate", "chat.arrow", "--trailing", "1", folder=folder) == (
        0,
        textwrap.dedent("""\
            loss 0.6902 ± unknown: pass sequence_id

                     tokens  loss ± (95%)  perplexity  accuracy ± (95%)
            visible       2        0.9402      2.5605            0.5000
            hidden        2        0.4402      1.5530            1.0000
            whole         4        0.6902      1.9941            0.7500

            Counted 2 replies: 2 visible tokens and 2 hidden ones (1 after each reply).
            Hidden labels: 0 x 2. Rows scored against their own label; labels equal to -100
            left out. Top-5 accuracy 1.0000, mean reciprocal rank 0.8750. Logits: float32,
            vocabulary 4, fast precision, numeric version 2.
            Note: ± unknown: pass sequence_id. Without it sequences are not known: there are
            no errors and no whole-sequence accuracy.
            """),
        "",
    )


def test_evaluate_prints_what_python_prints(folder: Path) -> None:
    report = lm.evaluate(str(folder / "chat.arrow"), trailing=1)
    found = run("evaluate", "chat.arrow", "--trailing", "1", "--json", folder=folder)
    assert (found.status, found.out, found.err) == (0, f"{report.to_json()}\n", "")
    assert json.loads(found.out)["visible"]["num_tokens"] == 2


def test_several_files_are_pooled_and_stderr_says_so(folder: Path) -> None:
    found = run("evaluate", "a.arrow", "b.arrow", "--json", folder=folder)
    note = "logitmeter: note: 2 files pooled into one result; --by file separates them\n"
    assert (found.status, found.err) == (0, note)
    assert json.loads(found.out)["num_tokens"] == 4


def test_a_quoted_glob_is_pooled_too(folder: Path) -> None:
    found = run("evaluate", "[ab].arrow", "--json", folder=folder)
    assert "2 files pooled" in found.err
    assert json.loads(found.out)["num_tokens"] == 4


def test_by_file_separates(folder: Path) -> None:
    found = run("evaluate", "a.arrow", "b.arrow", "--by", "file", "--json", folder=folder)
    assert (found.status, found.err) == (0, "")
    groups = json.loads(found.out)["groups"]
    assert [group["key"]["file"] for group in groups] == ["a.arrow", "b.arrow"]
    assert [group["accuracy"] for group in groups] == [1.0, 0.0]


def test_names_of_columns(folder: Path) -> None:
    write(folder / "named.arrow", labels=None, logits=None, x=logits_of(6), y=pa.array(LABELS))
    found = run("evaluate", "named.arrow", "--columns", "logits=x,labels=y", folder=folder)
    assert found == run("evaluate", "plain.arrow", folder=folder)
    assert found.status == 0


def test_labels_from_other_files(folder: Path) -> None:
    write(folder / "logits.arrow", labels=None)
    write(folder / "labels.arrow", logits=None)
    found = run("evaluate", "logits.arrow", "--labels", "labels.arrow", folder=folder)
    assert found == run("evaluate", "plain.arrow", folder=folder)
    assert found.status == 0


def test_progress_is_for_terminals(folder: Path) -> None:
    for flags in ((), ("--progress",), ("--no-progress",)):
        assert run("evaluate", "plain.arrow", *flags, folder=folder).err == ""


def test_check(folder: Path) -> None:
    found = run("check", "chat.arrow", "--trailing", "1", folder=folder)
    assert (found.status, found.err) == (0, "")
    assert found.out.startswith("ok\nSource: 6 rows, vocabulary 4, float32, ")


def test_check_names_a_problem_and_leaves_with_1(folder: Path) -> None:
    found = run("check", "bad.arrow", folder=folder)
    assert (found.status, found.err) == (1, "")
    assert found.out.startswith("1 problem\nLabelError in bad.arrow: label 9 at position 2 ")
    as_json = json.loads(run("check", "bad.arrow", "--json", folder=folder).out)
    assert (as_json["ok"], as_json["problems"][0]["position"]) == (False, 2)


def test_versions() -> None:
    found = run("versions")
    assert (found.status, found.err) == (0, "")
    names = [line.split()[0] for line in found.out.splitlines()]
    assert names[:4] == ["logitmeter", "python", "platform", "cpu"]
    assert {"isa", "threads", "numeric_version", "numpy", "pyarrow", "tiktoken"} < set(names)


def test_version() -> None:
    assert run("--version") == (0, f"logitmeter {_core.environment()['version']}\n", "")


def test_show_versions_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    lm.show_versions()
    assert capsys.readouterr().out == run("versions").out


@pytest.mark.parametrize("command", ["evaluate", "check", "versions"])
def test_help_has_examples(command: str) -> None:
    found = run(command, "--help")
    assert (found.status, found.err) == (0, "")
    assert f"examples:\n  logitmeter {command}" in found.out
    assert max(map(len, found.out.splitlines())) <= 80
    assert command in run("--help").out


# Usage


USAGE = [
    ([], "the following arguments are required: COMMAND", "logitmeter"),
    (["evaluate"], "the following arguments are required: PATHS", "logitmeter evaluate"),
    (["check"], "the following arguments are required: PATHS", "logitmeter check"),
    (["evaluate", "a", "--no-such"], "unrecognized arguments: --no-such", "logitmeter"),
    (["evaluate", "a", "--trail", "1"], "unrecognized arguments: --trail 1", "logitmeter"),
    (
        ["evaluate", "a", "--trailing", "two"],
        "argument --trailing: invalid int value: 'two'",
        "logitmeter evaluate",
    ),
    (
        ["evaluate", "a", "--columns", "labels"],
        "argument --columns: 'labels' is not of the form OURS=THEIRS",
        "logitmeter evaluate",
    ),
    (
        ["check", "a", "--vocab-mask"],
        "argument --vocab-mask: expected one argument",
        "logitmeter check",
    ),
    (
        ["evaluate", "a", "--columns", "logits=x,=y"],
        "argument --columns: '=y' is not of the form OURS=THEIRS",
        "logitmeter evaluate",
    ),
]


@pytest.mark.parametrize(("arguments", "message", "program"), USAGE)
def test_usage_errors(arguments: list[str], message: str, program: str) -> None:
    said = f"logitmeter: error: {message}\nusage: see {program} --help\n"
    assert run(*arguments) == (2, "", said)


def test_a_choice_that_does_not_exist() -> None:
    found = run("evaluate", "a", "--on-short", "maybe")
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("logitmeter: error: argument --on-short: invalid choice: 'maybe'")


def test_settings_that_contradict_each_other_are_usage(folder: Path) -> None:
    found = run("evaluate", "plain.arrow", "--trailing", "2", folder=folder)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("logitmeter: error: ")
    assert "mask" in found.err


# Bad input


@pytest.mark.parametrize("command", ["evaluate", "check"])
def test_a_missing_file(command: str, folder: Path) -> None:
    said = "logitmeter: error: absent.arrow: No such file or directory\n"
    assert run(command, "absent.arrow", folder=folder) == (3, "", said)


@pytest.mark.parametrize("arguments", [["plain.arrow", "-"], ["plain.arrow", "--labels", "-"]])
@pytest.mark.parametrize("command", ["evaluate", "check"])
def test_standard_input_stands_alone(command: str, arguments: list[str], folder: Path) -> None:
    found = run(command, *arguments, folder=folder)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("logitmeter: error: standard input (-) stands alone")


@pytest.mark.parametrize("command", ["evaluate", "check"])
def test_standard_input_is_an_arrow_stream(command: str, folder: Path) -> None:
    table = pa.ipc.open_file(folder / "plain.arrow").read_all()
    with pa.ipc.new_stream(folder / "plain.stream", table.schema) as writer:
        writer.write_table(table)
    with (folder / "plain.stream").open("rb") as stream:
        found = run(command, "-", folder=folder, stdin=stream)
    assert found.status == 0
    named = json.loads(run(command, "plain.arrow", "--json", folder=folder).out)
    with (folder / "plain.stream").open("rb") as stream:
        read = json.loads(run(command, "-", "--json", folder=folder, stdin=stream).out)
    for figure in ("loss", "num_tokens", "num_visible"):
        assert read.get(figure) == named.get(figure)


def test_standard_input_of_another_format_is_named(folder: Path) -> None:
    with (folder / "plain.arrow").open("rb") as stream:
        found = run("evaluate", "-", folder=folder, stdin=stream)
    assert found.status == 3
    assert found.err.startswith("logitmeter: error: -: only an Arrow IPC stream can be read")


def test_a_missing_vocabulary_mask(folder: Path) -> None:
    found = run("evaluate", "plain.arrow", "--vocab-mask", "absent.npy", folder=folder)
    assert found == (3, "", "logitmeter: error: absent.npy: No such file or directory\n")


def test_a_glob_without_a_match(folder: Path) -> None:
    found = run("evaluate", "*.parquet", folder=folder)
    assert found == (3, "", "logitmeter: error: *.parquet: no file matches\n")


def test_a_label_out_of_range(folder: Path) -> None:
    found = run("evaluate", "bad.arrow", folder=folder)
    assert (found.status, found.out) == (3, "")
    assert found.err.startswith("logitmeter: error: bad.arrow: ")
    assert "9" in found.err
    assert "Traceback" not in found.err


def test_a_truncated_file(folder: Path) -> None:
    whole = (folder / "plain.arrow").read_bytes()
    (folder / "cut.arrow").write_bytes(whole[: len(whole) // 2])
    found = run("evaluate", "cut.arrow", folder=folder)
    assert (found.status, found.out) == (3, "")
    assert found.err.startswith("logitmeter: error: cut.arrow: ")


def test_a_file_of_another_kind(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello", encoding="ascii")
    found = run("evaluate", "notes.txt", folder=folder)
    assert (found.status, found.out) == (3, "")
    assert found.err.startswith("logitmeter: error: notes.txt: unknown format")


def test_nothing_counted_is_a_warning_or_an_error(folder: Path) -> None:
    found = run("evaluate", "ignored.arrow", "--json", folder=folder)
    assert found.status == 0
    assert found.err.startswith("logitmeter: warning: ")
    assert json.loads(found.out)["non_finite"]["loss"] == "nan"
    strict = run("evaluate", "ignored.arrow", "--on-empty", "raise", folder=folder)
    assert (strict.status, strict.out) == (3, "")


# Failures in mid-run


def test_a_reader_that_went_away_is_met_with_silence(folder: Path) -> None:
    read, written = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "logitmeter", "evaluate", "plain.arrow"],
            check=False,
            cwd=folder,
            stderr=subprocess.PIPE,
            stdout=written,
            timeout=60,
        )
    finally:
        os.close(written)
    assert (ended.returncode, without_build_note(ended.stderr.decode())) == (4, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device
def test_a_full_disk(folder: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-m", "logitmeter", "evaluate", "plain.arrow"],
            check=False,
            cwd=folder,
            stderr=subprocess.PIPE,
            stdout=full,
            timeout=60,
        )
    said = without_build_note(ended.stderr.decode())
    assert (ended.returncode, said) == (4, f"{ERROR}No space left on device\n")


def test_stdout_that_knows_ascii_only(folder: Path) -> None:
    found = run("evaluate", "plain.arrow", folder=folder, env={"PYTHONIOENCODING": "ascii"})
    assert (found.status, found.err) == (0, "")
    assert r"loss 0.6069 \xb1 unknown" in found.out


def test_interrupted() -> None:
    code = "import sys, time; from logitmeter.cli._outcome import exit_status as e; "
    code += "sys.exit(e(lambda: print('ready', flush=True) or time.sleep(60)))"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, without_build_note(err.decode())) == (130, f"{ERROR}interrupted\n")


def test_developers_see_where_it_broke() -> None:
    code = "import sys; from logitmeter.cli._outcome import exit_status as e; "
    code += "sys.exit(e(lambda: 1 // 0))"
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 4
    assert b"Traceback" in ended.stderr
