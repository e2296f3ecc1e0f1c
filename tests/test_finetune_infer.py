"""How many tokens are hidden, told from runs whose number is known: one public run, many drawn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import logitmeter as lm
import numpy as np
import pytest
from logitmeter.exceptions import CorruptInputError, SettingsError, ShapeError
from oracle.training_run import TrainingRun

RUN_A = json.loads((Path(__file__).parent / "data" / "finetune_run_a.json").read_text("utf-8"))
RUN_A_JOB: dict[str, Any] = {"n_epochs": RUN_A["n_epochs"], "batch_size": RUN_A["batch_size"]}

FEW = range(6)
"""Hidden tokens tried where many batch sizes are."""


def infer(run: TrainingRun, rows: Any = None, **job: Any) -> lm.finetune.Inference:
    return lm.finetune.infer(run.rows() if rows is None else rows, run.examples, **job)


def drawn(number: int, shortest: int, longest: int, seed: int) -> list[tuple[int, int]]:
    generator = random.Random(seed)
    return [(generator.randint(shortest, longest), 1) for _ in range(number)]


def labels(number: int, seed: int) -> list[tuple[int, int]]:
    """Most of one token, some of two or three."""
    generator = random.Random(seed)
    return [(generator.choice([1] * 8 + [2, 3]), 1) for _ in range(number)]


def float32(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"train_accuracy": float(np.float32(row["train_accuracy"]))} for row in rows]


# ---- the public run ------------------------------------------------------------------------------


@pytest.mark.parametrize("job", [RUN_A_JOB, {}, {"batch_size": 1}, {"n_epochs": 3}])
def test_two_hidden_tokens_explain_all_of_run_a(job: dict[str, Any]) -> None:
    found = lm.finetune.infer(RUN_A["steps"], RUN_A["visible_tokens"], **job)
    assert (found.hidden, found.determined, found.doubts) == (2, True, ())
    assert (found.best.hidden, found.best.batch_size, found.best.pooling) == (2, 1, "tokens")
    assert (found.best.explained, found.num_steps, found.best.unexplained) == (138, 138, ())
    assert found.rival is not None
    assert (found.rival.explained, found.margin) == (86, 52)


def test_run_a_reads_as_a_table() -> None:
    found = lm.finetune.infer(RUN_A["steps"], RUN_A["visible_tokens"], **RUN_A_JOB)
    lines = str(found).splitlines()
    assert repr(found) == str(found)
    assert lines[0] == "2 hidden tokens a reply: determined."
    assert lines[1].startswith("138 of 138 steps explained, 52 more than by any comparable h;")
    assert lines[3].split() == [
        *("hidden", "batch", "pooling", "explained", "by", "chance", "evidence")
    ]
    assert lines[4].split()[:6] == ["2", "1", "-", "138", "of", "138"]
    assert lines[5].split()[:6] == ["-2", "1", "-", "86", "of", "138"]
    assert max(map(len, lines)) <= 80


def test_run_a_as_json() -> None:
    found = lm.finetune.infer(RUN_A["steps"], RUN_A["visible_tokens"], **RUN_A_JOB)
    document = json.loads(found.to_json())
    assert document["hidden"] == 2
    assert document["margin"] == 52
    assert [len(document["hypotheses"]), document["hypotheses"][0]["explained"]] == [17, 138]
    scores = [one["evidence"] + one["log_prior"] for one in document["hypotheses"]]
    assert scores == sorted(scores, reverse=True)


def test_wrong_lengths_settle_nothing() -> None:
    generator = random.Random(4)
    lengths = [length + generator.choice([-3, -1, 1, 4]) for length in RUN_A["visible_tokens"]]
    found = lm.finetune.infer(RUN_A["steps"], lengths, **RUN_A_JOB)
    assert (found.hidden, found.determined) == (None, False)
    assert str(found).startswith("Hidden tokens not determined: ")


# ---- drawn runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [5, None])
@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_batches_of_one(hidden: int, decimals: int | None) -> None:
    run = TrainingRun(drawn(40, 20, 120, seed=1), hidden, seed=hidden, decimals=decimals)
    rows = run.rows() if decimals else float32(run.rows())
    found = infer(run, rows, n_epochs=3, batch_size=1)
    assert (found.hidden, found.best.explained) == (hidden, 120)
    assert found.rounding == ("5 decimals" if decimals else "float32")


@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_batches_of_three_whose_tokens_are_pooled(hidden: int) -> None:
    run = TrainingRun(labels(150, seed=2), hidden, batch_size=3, seed=hidden)
    found = infer(run, n_epochs=3, batch_size=3)
    assert (found.hidden, found.best.pooling) == (hidden, "tokens")
    assert found.best.explained == found.num_steps == 150


@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_batches_of_three_long_replies_add_up_to_an_epoch(hidden: int) -> None:
    run = TrainingRun(drawn(12, 80, 260, seed=3), hidden, batch_size=3, seed=8, decimals=None)
    found = infer(run, float32(run.rows()), n_epochs=3, batch_size=3)
    assert (found.hidden, found.best.explained) == (hidden, 12)
    assert found.margin > 0


def test_the_number_of_steps_tells_the_batch_size() -> None:
    """One token a reply: 3 x 3 tokens and 1 x 9 are the same fractions."""
    run = TrainingRun([(1, 1)] * 120, 2, batch_size=3, seed=5)
    found = infer(run, n_epochs=3, hidden=range(10))
    assert (found.hidden, found.best.batch_size) == (2, 3)
    rival = next(one for one in found.hypotheses if one.hidden == 8)
    assert (rival.batch_size, rival.explained) == (1, found.best.explained)
    assert rival.evidence == pytest.approx(found.best.evidence)


@pytest.mark.parametrize("rest", ["short", "dropped", "carried"])
def test_examples_that_fill_no_batch(rest: Any) -> None:
    run = TrainingRun(labels(62, seed=6), 2, batch_size=4, seed=6, rest=rest)
    found = infer(run, n_epochs=3, hidden=FEW)
    best = found.best
    assert (found.hidden, best.batch_size, best.rest) == (2, 4, rest)
    assert best.explained == found.num_steps


def test_means_of_the_examples_accuracies() -> None:
    run = TrainingRun(labels(200, seed=7), 1, batch_size=2, seed=7, pooling="examples")
    found = infer(run, n_epochs=3, batch_size=2)
    assert (found.best.hidden, found.best.pooling) == (1, "examples")
    assert found.best.explained == 300
    assert found.doubts == ("h = 2 explains as many steps",)  # so many means there are


@pytest.mark.parametrize("hidden", [0, 1, 2, 3])
def test_hidden_tokens_are_counted_a_reply(hidden: int) -> None:
    generator = random.Random(9)
    calls = [(generator.randint(20, 90), generator.choice([1, 1, 2, 3])) for _ in range(40)]
    run = TrainingRun(calls, hidden, seed=9)
    assert infer(run, n_epochs=3, batch_size=1).hidden == hidden


def test_rows_that_nothing_explains_are_no_veto() -> None:
    run = TrainingRun(labels(200, seed=10), 2, batch_size=2, seed=10)
    rows, clean = run.rows(), infer(run, n_epochs=3, batch_size=2)
    for row in rows[50:300:50]:
        row["train_accuracy"] = 0.12345
    found = infer(run, rows, n_epochs=3, batch_size=2)
    assert (clean.hidden, found.hidden) == (2, 2)
    assert clean.best.explained - found.best.explained == 5
    assert (found.margin < clean.margin, found.log_odds < clean.log_odds) == (True, True)
    assert set(found.best.unexplained) == {51, 101, 151, 201, 251}
    assert "Not explained: step 51, 101, 151, 201, 251." in str(found)


def test_missing_shuffled_and_cut_rows() -> None:
    run = TrainingRun(drawn(40, 20, 120, seed=11), 1, seed=11)
    rows = run.rows()[:100]
    rows[3]["train_accuracy"] = None
    del rows[10:20]
    random.Random(0).shuffle(rows)
    found = infer(run, rows, n_epochs=3, batch_size=1)
    assert (found.hidden, found.num_steps, found.best.explained) == (1, 89, 89)


def test_rows_without_steps_are_consecutive_and_steps_may_count_from_0() -> None:
    run = TrainingRun(drawn(40, 20, 120, seed=12), 1, seed=12)
    accuracies = [row["train_accuracy"] for row in run.rows()]
    counted = infer(run, run.rows(), n_epochs=3, batch_size=1)
    bare = infer(run, {"train_accuracy": accuracies}, n_epochs=3, batch_size=1)
    zero = [row | {"step": row["step"] - 1} for row in run.rows()]
    assert bare.hypotheses == counted.hypotheses
    assert infer(run, zero, n_epochs=3, batch_size=1).best.explained == 120


def test_counts_of_one_reply_may_be_bare() -> None:
    run = TrainingRun(drawn(20, 20, 120, seed=13), 1, seed=13)
    bare = [visible for visible, _ in run.examples]
    job: dict[str, Any] = {"n_epochs": 3, "batch_size": 1}
    expected = infer(run, run.rows(), **job).hypotheses
    rows = TrainingRun(run.examples, 1, seed=13).rows()
    for train in (bare, np.array(bare), np.array(run.examples), iter(run.examples)):
        assert lm.finetune.infer(rows, train, **job).hypotheses[0].explained == 60
    assert lm.finetune.infer(rows, bare, **job).hypotheses == expected


# ---- what settles nothing ------------------------------------------------------------------------


def test_accuracies_of_1_say_nothing() -> None:
    found = lm.finetune.infer([{"train_accuracy": 1.0}] * 60, [5] * 20, batch_size=1)
    assert (found.hidden, found.num_informative) == (None, 0)
    assert found.doubts == (
        "every accuracy is 0 or 1, which is a fraction of any number of tokens",
    )


def test_few_steps_of_few_tokens_say_little() -> None:
    run = TrainingRun([(1, 1)] * 6, 2, n_epochs=1, seed=0)
    found = infer(run, n_epochs=1, batch_size=1)
    assert found.hidden is None
    assert found.doubts[0].startswith("the odds for h = 2 are only ")


def test_equal_tokens_a_step_are_equal_evidence() -> None:
    """Two examples of 1 + 2 tokens, or six of one: sixths."""
    run = TrainingRun([(1, 1)] * 60, 2, batch_size=2, seed=1)
    found = infer(run, hidden=FEW)
    explain_all = {one.hidden for one in found.hypotheses if one.explained == found.num_steps}
    assert {0, 1, 2} <= explain_all
    assert found.hidden is None
    assert found.margin == 0


def test_large_batches_can_give_any_figure() -> None:
    run = TrainingRun(drawn(120, 50, 400, seed=14), 2, batch_size=32, seed=14)
    found = infer(run, n_epochs=3, batch_size=32)
    assert found.hidden is None
    assert found.best.by_chance == found.num_steps == 12
    assert found.best.evidence == 0


def test_arbitrary_figures_are_not_explained() -> None:
    generator = random.Random(15)
    rows = [{"train_accuracy": round(generator.random(), 5)} for _ in range(60)]
    found = lm.finetune.infer(rows, drawn(20, 20, 60, seed=15), n_epochs=3, hidden=FEW)
    assert found.hidden is None


def test_more_hidden_tokens_than_were_tried() -> None:
    run = TrainingRun(drawn(60, 10, 60, seed=16), 17, seed=16)
    assert infer(run, n_epochs=3, batch_size=1).hidden is None
    wider = infer(run, n_epochs=3, batch_size=1, hidden=range(25))
    assert wider.hidden == 17
    edge = infer(run, n_epochs=3, batch_size=1, hidden=range(18))
    assert edge.doubts == ("h = 17 is the last one tried",)


def test_fewer_tokens_than_visible_are_no_answer() -> None:
    run = TrainingRun(drawn(60, 20, 120, seed=17), 0, seed=17)
    counts = [visible + 2 for visible, _ in run.examples]
    found = lm.finetune.infer(run.rows(), counts, n_epochs=3, batch_size=1)
    assert (found.best.hidden, found.best.explained, found.hidden) == (-2, 180, None)
    assert "not what the service counts" in found.doubts[-1]


def test_a_seldom_wrong_number_of_epochs_is_seen_in_the_steps_left() -> None:
    run = TrainingRun(drawn(40, 20, 120, seed=18), 1, seed=18)
    found = infer(run, n_epochs=2, batch_size=1)
    assert found.best.explained == 80
    assert found.best.unexplained == tuple(range(81, 121))


# ---- text ----------------------------------------------------------------------------------------


def chat(reply: str) -> dict[str, Any]:
    asks = {"role": "user", "content": "Say something."}
    return {"messages": [asks, {"role": "assistant", "content": reply}]}


WORDS = ["überraschend", "gewordene", "Donaudampfschifffahrtsgesellschaft", "größter", "Fußgänger"]


def texts(number: int) -> list[dict[str, Any]]:
    generator = random.Random(19)
    return [
        chat(" ".join(generator.choices(WORDS, k=generator.randint(4, 30)))) for _ in range(number)
    ]


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
def test_an_encoding_that_is_not_known_is_found(encoding: str, tmp_path: Path) -> None:
    train = texts(40)
    run = TrainingRun(lm.finetune.visible_counts(train, encoding=encoding), 2, seed=20)
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(map(json.dumps, train)), encoding="utf-8")
    found = lm.finetune.infer(run.rows(), file, n_epochs=3, batch_size=1, hidden=FEW)
    assert (found.hidden, found.best.encoding) == (2, encoding)
    assert found.best.explained == 120
    assert f" {encoding} " in str(found)
    assert max(map(len, str(found).splitlines())) <= 80
    named = lm.finetune.infer(run.rows(), train, encoding=encoding, n_epochs=3, batch_size=1)
    assert (named.hidden, named.best.encoding) == (2, None)


def test_the_wrong_encoding_settles_nothing() -> None:
    train = texts(40)
    run = TrainingRun(lm.finetune.visible_counts(train, model="gpt-4.1-mini"), 2, seed=20)
    found = lm.finetune.infer(run.rows(), train, model="gpt-3.5-turbo", n_epochs=3, batch_size=1)
    assert found.hidden is None


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "job", "kind", "said"),
    [
        ([], {}, ShapeError, "train: no conversations"),
        (7, {}, SettingsError, "train: a path, conversations, visible token counts or pairs"),
        ([3, -1], {}, SettingsError, "train[1]=-1: an integer >= 0 is needed"),
        ([3, 2.5], {}, SettingsError, "train[1]=2.5: an integer >= 0 is needed"),
        ([(1, 2, 3)], {}, SettingsError, "train[0]=(1, 2, 3): a path, conversations"),
        ([3], {"n_epochs": 0}, SettingsError, "n_epochs=0: an integer >= 1 is needed"),
        ([3], {"batch_size": "auto"}, SettingsError, "batch_size='auto': an integer >= 1"),
        ([3], {"model": "gpt-4"}, SettingsError, "these are counts already"),
        ([(0, 0)], {}, SettingsError, "leaves every example a token"),
        ([3], {"hidden": [-3]}, SettingsError, "leaves every example a token"),
    ],
)
def test_bad_training_data_and_options(
    train: Any, job: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        lm.finetune.infer([{"train_accuracy": 0.5}], train, **job)
    assert said in str(caught.value)


def test_results_without_accuracies() -> None:
    with pytest.raises(CorruptInputError) as caught:
        lm.finetune.infer([{"step": 1, "train_loss": 0.5}], [3])
    assert str(caught.value) == (
        "results: no train_accuracy, which is what hidden tokens show in; there is step, train_loss"
    )
