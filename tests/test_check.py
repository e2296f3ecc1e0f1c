"""What `check` finds before the long run, in memory or in files, and exit statuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from logitmeter import cli

if TYPE_CHECKING:
    from pathlib import Path

ROWS, V = 300, 40
RANDOM = np.random.default_rng(8)
LABELS = RANDOM.integers(0, V - 10, ROWS)
LOGITS = (RANDOM.normal(size=(ROWS, V)) * 2).astype(np.float32)
LOGITS[np.arange(ROWS), LABELS] += 4


def softmax(logits: Any) -> Any:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def kinds(found: lm.Check) -> list[str]:
    return [problem.kind for problem in found.problems]


def write(path: Path, logits: Any = LOGITS, labels: Any = LABELS) -> str:
    rows = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1])
    pa.parquet.write_table(pa.table({"logits": rows, "ids": labels}), path)
    return str(path)


def test_a_good_dump(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    found = lm.check(lm.scan(path, columns={"labels": "ids"}), rows=100)
    assert found.ok
    assert found.warnings == ()
    assert found.sample is not None
    assert (found.sample.rows, found.sample.num_tokens) == (100, 100)
    assert found.sample.loss == lm.evaluate(LOGITS[:100], LABELS[:100]).loss
    assert found.columns["ids"] == "int64"
    assert (found.parts["logits"], found.parts["labels"]) == ("logits", "ids")
    assert found.estimated_seconds is not None
    assert found.estimated_seconds > 0
    assert "Sample: the first 100 positions, 100 counted tokens, loss " in str(found)
    assert "evaluate would score 300 tokens by logits, labels from ids, in about" in str(found)
    said = json.loads(found.to_json())
    assert said["sample"]["shift_losses"].keys() == {"-1", "0", "1"}


def test_no_sample() -> None:
    assert lm.check(LOGITS, LABELS, rows=0).sample is None
    table = pa.table({"logits": LOGITS.tolist(), "labels": LABELS})
    fixed = table.set_column(0, "logits", table["logits"].cast(pa.list_(pa.float32(), V)))
    assert lm.check(fixed.to_reader()).sample is None  # what can be read once is read for labels


@pytest.mark.parametrize(("place", "name"), [(1, "right"), (-1, "left")])
def test_labels_that_fit_better_one_place_away(place: int, name: str) -> None:
    found = lm.check(LOGITS, np.roll(LABELS, place))
    assert kinds(found) == ["LabelShiftWarning"]
    assert f"one place to the {name}" in found.problems[0].message
    assert found.sample is not None
    losses = found.sample.shift_losses
    assert losses[place] < 0.5 * losses[0]
    assert losses[place] == pytest.approx(lm.evaluate(LOGITS, LABELS).loss, rel=0.2)
    assert lm.check(LOGITS, LABELS).ok


def test_numbers_that_are_not_finite_are_counted() -> None:
    logits = LOGITS.copy()
    logits[[3, 5], 0], logits[7, 1], logits[9] = np.nan, np.inf, -np.inf
    found = lm.check(logits, LABELS)
    assert (kinds(found), found.problems[0].position) == (["NonFiniteError"], 3)
    assert found.sample is not None
    odd = found.sample
    assert (odd.num_nan_rows, odd.num_posinf_rows, odd.num_empty_rows) == (2, 1, 1)
    assert "2 rows holding nan, 1 row holding +inf" in str(found)


def test_log_probabilities_do_no_harm_and_probabilities_do() -> None:
    logprobs = lm.check(np.log(softmax(LOGITS)), LABELS)
    assert logprobs.ok
    assert "log-probabilities" in logprobs.warnings[0][1]
    probabilities = lm.check(softmax(LOGITS), LABELS)
    assert kinds(probabilities) == ["InputWarning"]
    assert "pass its logarithm" in probabilities.problems[0].message
    assert "twice" not in probabilities.problems[0].message


@pytest.mark.parametrize("log", [False, True])
def test_a_softmax_that_was_taken_twice(*, log: bool) -> None:
    twice = softmax(softmax(LOGITS))
    found = lm.check(np.log(twice) if log else twice, LABELS)
    assert kinds(found) == ["InputWarning"]
    assert "taken twice" in found.problems[0].message


def test_padding_that_holds_probability() -> None:
    logits = LOGITS.copy()
    logits[:, V - 6 :] = 0
    found = lm.check(logits, LABELS)
    assert kinds(found) == ["InputWarning"]
    assert "the last 6 ids hold one value in each of" in found.problems[0].message
    assert found.sample is not None
    mass = softmax(logits[:256])[:, V - 6 :].sum(1).mean()
    assert found.sample.padded_mass == pytest.approx(mass, rel=1e-5)
    told = lm.check(logits, LABELS, valid_vocab=V - 6)
    assert told.ok
    assert told.sample is not None
    assert told.sample.padded_mass == pytest.approx(mass, rel=1e-5)
    logits[:, V - 6 :] = -np.inf
    assert lm.check(logits, LABELS).ok


def test_labels_that_are_never_counted() -> None:
    labels, mask = LABELS.copy(), np.arange(ROWS) % 4 != 3
    labels[~mask] = V - 1
    found = lm.check(LOGITS, labels, mask=mask, rows=40)
    assert found.sample is not None
    assert found.sample.never_counted == {V - 1: 10}
    assert f"Labels never counted there: {V - 1} x 10." in str(found)
    nothing = lm.check(LOGITS, np.full(ROWS, -100))
    assert kinds(nothing) == ["NothingCountedWarning"]


def test_lists_have_a_sample_too() -> None:
    ids = np.argsort(-LOGITS, 1)[:, :3]
    values = np.log(softmax(LOGITS))[np.arange(ROWS)[:, None], ids]
    table = pa.table({"ids": ids.tolist(), "values": values.tolist(), "labels": LABELS})
    found = lm.check(lm.scan(table, values="logprobs"))
    assert found.ok
    assert found.sample is not None
    assert found.sample.num_bounded == sum(LABELS[row] not in ids[row] for row in range(256))
    assert "by ids, values, labels" in str(found)
    wrong = lm.check(lm.scan(table, values="probs"))
    assert kinds(wrong) == ["LabelError"]


# ---- files and exit statuses ---------------------------------------------------------------------


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    ended = cli.main(["check", *arguments, "--columns", "labels=ids"])
    return ended, capsys.readouterr().out


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_files_that_are_cut_short_are_problems(
    share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, cut = write(tmp_path / "a"), tmp_path / "b"
    whole = (tmp_path / "a").read_bytes()
    cut.write_bytes(whole[: int(len(whole) * share)])
    ended, out = status(capsys, good, str(cut), "--json")
    said = json.loads(out)
    assert ended == 1
    assert [(problem["kind"], problem["path"]) for problem in said["problems"]] == [
        ("CorruptInputError", str(cut))
    ]
    assert status(capsys, str(cut))[0] == 1
    assert status(capsys, good)[0] == 0


def test_an_arrow_stream_without_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    table = pa.parquet.read_table(write(tmp_path / "a"))
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=50)
    path.write_bytes(path.read_bytes()[:-8])
    ended, out = status(capsys, str(path))
    assert (ended, "no end marker" in out) == (1, True)


def test_only_what_cannot_be_opened_at_all_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, other = write(tmp_path / "a"), tmp_path / "b"
    other.write_bytes(b"nothing that anybody knows")
    assert status(capsys, str(other))[0] == 3
    assert status(capsys, str(tmp_path / "none"))[0] == 3
    ended, out = status(capsys, good, str(other))
    assert ended == 1
    assert f"CorruptInputError in {other}: " in out


def test_files_that_differ_are_a_problem(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a"), write(tmp_path / "b", LOGITS[:, :30], LABELS)]
    found = lm.check(lm.scan(paths, columns={"labels": "ids"}))
    assert (kinds(found), found.problems[0].path) == (["ShapeError"], paths[1])
