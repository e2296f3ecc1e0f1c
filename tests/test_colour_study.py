"""The colour study's own parts, each against something simpler; at the end the study, small."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pytest
from scipy.special import log_softmax

STUDY = Path(__file__).resolve().parents[1] / "examples" / "colour_study"
sys.path.insert(0, str(STUDY))  # its files are scripts beside each other, not a package

colour_chats = importlib.import_module("colour_chats")
fine_tuning = importlib.import_module("fine_tuning")
scoring = importlib.import_module("scoring")
softmax_model = importlib.import_module("softmax_model")
sys.path.remove(str(STUDY))

CHATS = 1200
COLOURS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def chats(folder: Path) -> Any:
    colour_chats.write(folder / "train.jsonl", COLOURS, CHATS)
    return colour_chats.read(folder / "train.jsonl")


@pytest.fixture(scope="module")
def dump(chats: Any, folder: Path) -> Path:
    """Fine-tune a model on few chats, with larger steps, so that it gets there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning, "PRETRAINING_STEPS", 200)
        patch.setattr(fine_tuning, "RATES", {4: 0.1})
        fine_tuning.fine_tune(fine_tuning.pretrained(chats), chats, 4, folder / "logits.arrow")
    return folder / "logits.arrow"


@pytest.fixture(scope="module")
def curve(dump: Path) -> Any:
    return scoring.curve(dump)


def test_the_data_are_chats_of_ten_tokens_with_one_visible(chats: Any, folder: Path) -> None:
    assert chats.ids.shape == (CHATS, 10)
    assert np.flatnonzero(chats.mask).tolist() == [8]
    assert np.flatnonzero(chats.counted).tolist() == [7, 8, 9]
    assert len(np.unique(chats.ids[:, 8])) == COLOURS
    assert set(chats.ids[:, 8]) <= set(chats.words)
    assert len(set(chats.words)) == len(chats.words)
    assert not set(chats.words) & set(chats.ids[:, chats.counted & ~chats.mask].ravel())
    train = folder / "train.jsonl"
    assert lm.finetune.visible_counts(train, model="gpt-4.1") == [(1, 1)] * CHATS


def test_the_gradient_is_that_of_the_mean_loss() -> None:
    random = np.random.default_rng(1)
    model = softmax_model.NextToken(random.normal(size=(5, 5)))
    before, after = np.array([0, 3, 0, 1]), np.array([2, 2, 4, 0])

    def loss(table: Any) -> float:
        return float(-log_softmax(table[before], axis=1)[np.arange(4), after].mean())

    rows, gradient = model.gradient(before, after)
    whole = np.zeros((5, 5))
    whole[rows] = gradient
    for place in np.ndindex(5, 5):
        nudge = np.zeros((5, 5))
        nudge[place] = 1e-6
        difference = loss(model.table + nudge) - loss(model.table - nudge)
        assert difference / 2e-6 == pytest.approx(whole[place], abs=1e-8)


def test_the_first_step_of_adam_is_the_rate_in_the_gradients_direction() -> None:
    model = softmax_model.NextToken(np.zeros((3, 3)))
    model.learn(np.array([1]), np.array([2]), rate=0.5)
    assert model.table == pytest.approx(np.array([[0, 0, 0], [-0.5, -0.5, 0.5], [0, 0, 0]]))


def test_the_curve_is_that_of_the_dump_worked_out_plainly(dump: Path, curve: Any) -> None:
    with pa.ipc.open_file(dump) as reader:
        table = reader.read_all()
    logits = np.array(table["logits"].combine_chunks().flatten()).reshape(len(table), -1)
    labels = np.array(table["labels"])
    nll = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels) - 1), labels[1:]]
    correct = logits[:-1].argmax(axis=1) == labels[1:]
    nll, correct = (
        np.append(0, each).reshape(-1, 4, 10)[:, :, 7:] for each in (nll, correct)
    )  # by step, chat and token: <|im_sep|>, the colour, <|im_end|>
    assert curve.step.tolist() == list(range(1, CHATS // 4 + 1))
    assert curve.loss == pytest.approx(nll.mean(axis=(1, 2)), rel=1e-6)
    assert curve.accuracy == pytest.approx(correct.mean(axis=(1, 2)), abs=1e-12)
    assert curve.visible_loss == pytest.approx(nll[:, :, 1].mean(axis=1), rel=1e-6)
    assert curve.visible_accuracy == pytest.approx(correct[:, :, 1].mean(axis=1), abs=1e-12)


def test_it_learns_and_comes_to_the_plateau(dump: Path, curve: Any) -> None:
    loss, accuracy = scoring.expected(COLOURS)
    plateau = scoring.plateau(dump)
    assert plateau.num_tokens == 3 * CHATS // 4
    assert curve.loss[0] > 4 * loss
    assert plateau.loss == pytest.approx(loss, abs=5 * plateau.loss_stderr)
    assert plateau.loss == pytest.approx(loss, rel=0.05)
    assert plateau.accuracy == pytest.approx(accuracy, abs=5 * plateau.accuracy_stderr)
    assert plateau.visible.loss == pytest.approx(math.log(COLOURS), rel=0.05)
    assert plateau.hidden.accuracy == 1
    late = curve.accuracy[-len(curve.accuracy) // 4 :] * 12
    assert set(late.round(9)) <= {8, 9, 10, 11, 12}
    assert len(set(late.round(9))) >= 3


def test_what_is_expected_is_the_post_s_table() -> None:
    table = {2: (0.2310, 0.8333), 3: (0.3662, 0.7778), 5: (0.5365, 0.7333), 6: (0.5973, 0.7222)}
    for num_colours, figures in table.items():
        assert scoring.expected(num_colours) == pytest.approx(figures, abs=5e-5)


def test_the_results_file_tells_how_many_tokens_are_hidden(curve: Any, folder: Path) -> None:
    path = folder / "results.csv"
    scoring.write_results(path, curve)
    first, second = path.read_text().splitlines()[:2]
    assert first == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert second == f"1,{curve.loss[0]:.5f},{curve.accuracy[0]:.5f},,"
    found = lm.finetune.infer(
        path, folder / "train.jsonl", encoding="o200k_base", n_epochs=1, batch_size=4
    )
    assert (found.hidden, found.best.explained) == (2, CHATS // 4)


def test_the_study_runs_small(tmp_path: Path) -> None:
    command = [sys.executable, str(STUDY / "main.py"), "--chats", "40"]
    done = subprocess.run(  # noqa: S603 - our own file
        [*command, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    table = (tmp_path / "out" / "colours.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert [row[:2] for row in rows[2:]] == [[k, b] for b in "41" for k in "2356"]
    assert [row[3] for row in rows[2:6]] == ["0.2310", "0.3662", "0.5365", "0.5973"]
    assert all(line in done.stdout for line in table)
    assert (tmp_path / "out" / "colours.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "work").glob("*.arrow"))
    assert len(list((tmp_path / "work").glob("results_*.csv"))) == 8
