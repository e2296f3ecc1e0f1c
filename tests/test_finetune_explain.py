"""The page for whoever stares at a dashboard: as text, as HTML, as JSON and by command."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import logitmeter as lm
import numpy as np
import pytest
from logitmeter.cli import main
from logitmeter.exceptions import SettingsError
from logitmeter.finetune._plot import Level, Plot, Series, svg_plot, text_plot
from oracle.training_run import TrainingRun

RUN_A = json.loads((Path(__file__).parent / "data" / "finetune_run_a.json").read_text("utf-8"))
COLOURS = ["BLUE", "GREEN", "RED"]
JOB: dict[str, Any] = {"model": "gpt-4o-mini", "n_epochs": 3, "batch_size": 2}


def chats(number: int = 60) -> list[dict[str, Any]]:
    generator = random.Random(1)
    asks = {"role": "user", "content": "?"}
    return [
        {"messages": [asks, {"role": "assistant", "content": generator.choice(COLOURS)}]}
        for _ in range(number)
    ]


def guessing(last: float = 1 / 3) -> list[dict[str, Any]]:
    """One token a reply, two examples a step; the loss is that of guessing."""
    run = TrainingRun([(1, 1)] * 60, 2, batch_size=2, first=1 / 3, last=last, certain=1.0)
    generator = random.Random(2)
    return [row | {"train_loss": 0.3662 + generator.gauss(0, 0.01)} for row in run.rows()]


@pytest.fixture(scope="module")
def explained() -> lm.finetune.Explanation:
    return lm.finetune.explain(guessing(), chats(), **JOB)


# ---- what it says --------------------------------------------------------------------------------


def test_the_curve_of_a_model_that_guesses(explained: lm.finetune.Explanation) -> None:
    assert (explained.hidden, explained.hidden_source) == (2, "inferred")
    assert explained.tokens == (60, 60, 120)
    assert explained.last is not None
    assert explained.last.visible_loss is not None
    assert explained.last.visible_loss.value == pytest.approx(3 * (explained.last.loss or 0))
    text = str(explained)
    assert text.startswith("The run shows that 2 hidden tokens count in each reply besides the")
    assert "An epoch holds 60 visible tokens in 60 replies and 120 hidden ones." in text
    assert "With every visible token wrong the accuracy would still be 0.6667." in text
    assert "60 replies, 3 different." in text
    assert "lies at that level. Nothing of the task shows in it." in " ".join(text.split())
    assert "2 hidden tokens a reply: determined." in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_curve_below_chance() -> None:
    rows = [row | {"train_loss": 0.5 if row["step"] < 40 else 0.1} for row in guessing(last=1.0)]
    found = lm.finetune.explain(rows, chats(), **JOB)
    said = " ".join(str(found).split())
    assert "The loss of the last 9 steps lies below that level. It has stayed below from" in said
    assert "from about step 41 on" in said
    assert "Their accuracy lies above it." in said


def test_without_training_data_two_hidden_tokens_are_assumed() -> None:
    found = lm.finetune.explain(guessing())
    assert (found.hidden, found.hidden_source, found.tokens) == (2, "assumed", None)
    said = " ".join(str(found).split())
    assert said.startswith("It is assumed that 2 hidden tokens count in each reply")
    assert "2 answers 0.2310 0.8333" in said
    assert "2 hidden tokens a reply: what was found for OpenAI's service;" in said


def test_what_is_given_is_taken() -> None:
    found = lm.finetune.explain(guessing(), chats(), hidden=1, model="gpt-4o-mini")
    assert (found.hidden, found.hidden_source, found.inference) == (1, "given", None)
    assert found.tokens == (60, 60, 60)
    assert "As you say, 1 hidden token counts in each reply" in str(found)


def test_losses_alone_settle_nothing() -> None:
    rows = [{"step": step, "train_loss": 0.4} for step in range(1, 91)]
    found = lm.finetune.explain(rows, chats(), model="gpt-4o-mini")
    assert (found.hidden_source, found.inference) == ("assumed", None)
    assert "no training accuracy was reported" in " ".join(str(found).split())
    with pytest.raises(SettingsError, match="model or encoding is needed"):
        lm.finetune.explain(rows, chats())


def test_an_encoding_that_is_not_given_is_named() -> None:
    found = lm.finetune.explain(guessing(), chats(), n_epochs=3, batch_size=2)
    assert found.encoding in {"cl100k_base", "o200k_base"}
    assert f"Tokens are those of {found.encoding}, which explains the run best." in str(found)


def test_counts_have_no_text_to_guess() -> None:
    found = lm.finetune.explain(RUN_A["steps"], RUN_A["visible_tokens"], n_epochs=3, batch_size=1)
    assert (found.hidden, found.level, found.encoding) == (2, None, None)
    assert "They need the text of the replies, which is not known." in str(found)


def test_rows_that_cannot_be_are_shown() -> None:
    rows = guessing()
    rows[4] |= {"train_loss": 0.01, "train_accuracy": 0.66667}
    rows[7] |= {"train_accuracy": 0.7}
    found = lm.finetune.explain(rows, chats(), **JOB)
    assert [row.step for row in found.broken] == [5]
    assert found.impossible == ((8, 0.7),)
    said = " ".join(str(found).split())
    assert "1 accuracy of no batch of these replies, whatever was predicted: 0.7 at 8." in said
    assert "1 row with a loss below (1 - accuracy) * ln 2" in said


def test_a_start_that_misses_hidden_tokens() -> None:
    rows = [
        row | {"train_accuracy": 0.5 if row["step"] < 6 else row["train_accuracy"]}
        for row in guessing()
    ]
    said = " ".join(str(lm.finetune.explain(rows, chats(), **JOB)).split())
    assert "Where no visible accuracy stands, the hidden tokens cannot all have been right." in said


def test_as_json(explained: lm.finetune.Explanation) -> None:
    document = json.loads(explained.to_json())
    assert document["hidden"] == 2
    assert document["tokens"] == {"visible": 60, "replies": 60, "hidden": 120}
    assert [stage["split"] for stage in document["stages"]] == ["train", "train"]
    assert document["level"]["num_distinct"] == 3
    assert document["inference"]["determined"] is True


# ---- the page ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects what a page holds; raises where tags do not pair."""

    VOID = frozenset({"meta", "line", "polyline", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_brings_everything_along(explained: lm.finetune.Explanation) -> None:
    source = explained.to_html()
    page = Page()
    page.feed(source)
    page.close()
    assert page.open == []
    assert {"script", "link", "img", "iframe", "object", "a"}.isdisjoint(page.tags)
    assert {"src", "href", "xlink:href", "srcset", "action"}.isdisjoint(dict(page.attributes))
    assert not any(mark in source for mark in ("http:", "https:", "url(", "@import", "//"))
    assert page.tags.count("svg") == 2
    assert page.tags.count("polyline") == 2


def test_the_page_says_what_the_text_says(explained: lm.finetune.Explanation) -> None:
    page = Page()
    page.feed(explained.to_html())
    shown = " ".join(page.text.split())
    text = " ".join(str(explained).split())
    for sentence in (
        "Nothing of the task shows in it.",
        "An epoch holds 60 visible tokens",
        "2 hidden tokens a reply: determined.",
        "Losses are in nats",
    ):
        assert sentence in shown
        assert sentence in text


def test_foreign_text_is_escaped() -> None:
    level = Level("<b>&", 0.5)
    series = Series("<i>", np.array([1.0, 2.0]), np.array([0.4, 0.6]), "*")
    svg = svg_plot(Plot("<u>", (series,), (level,)))
    assert "<b>" not in svg
    assert "&lt;b&gt;&amp;" in svg
    assert 'aria-label="&lt;u&gt;"' in svg


def test_a_plot_in_characters() -> None:
    steps = np.arange(1.0, 101.0)
    plot = Plot("Falling", (Series("training", steps, 1 / steps, "*"),), (Level("half", 0.5),))
    lines = text_plot(plot)
    assert lines[0] == "Falling"
    assert lines[1].endswith("|*")
    assert lines[12].count("*") > 30
    assert lines[-1].strip() == "- half: 0.5000"
    assert max(map(len, lines)) <= 80


def test_levels_far_away_do_not_flatten_a_curve() -> None:
    series = Series("training", np.array([1.0, 2.0]), np.array([0.8, 0.9]), "*")
    plot = Plot("Accuracy", (series,), (Level("near", 0.75), Level("far", 0.01)))
    assert [level.name for level in plot.near] == ["near"]
    assert plot.range == (0.75, 0.9)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5]])
def test_one_figure_is_drawn(values: list[float]) -> None:
    series = Series("training", np.arange(1.0, 1 + len(values)), np.array(values), "*")
    plot = Plot("Flat", (series,))
    assert "*" in "".join(text_plot(plot))
    assert "nan" not in svg_plot(plot)


# ---- the commands --------------------------------------------------------------------------------


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def outcome(*arguments: str) -> Outcome:
        status = main(["finetune", *arguments])
        return Outcome(status, *capsys.readouterr())

    monkeypatch.chdir(folder)
    return outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    lines = ["step,train_loss,train_accuracy"]
    lines += [f"{row['step']},{row['train_loss']},{row['train_accuracy']}" for row in guessing()]
    (place / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    train = "".join(json.dumps(chat) + "\n" for chat in chats())
    (place / "train.jsonl").write_text(train, encoding="utf-8")
    return place


FLAGS = ("--model", "gpt-4o-mini", "--n-epochs", "3", "--batch-size", "2")


def test_infer(folder: Path, run: Run) -> None:
    found = lm.finetune.infer(folder / "results.csv", folder / "train.jsonl", **JOB)
    plain = run("infer", "results.csv", "train.jsonl", *FLAGS)
    assert plain == (0, f"{found}\n", "")
    as_json = run("infer", "results.csv", "train.jsonl", *FLAGS, "--json")
    assert as_json == (0, f"{found.to_json()}\n", "")


def test_explain(folder: Path, run: Run) -> None:
    found = lm.finetune.explain(folder / "results.csv", folder / "train.jsonl", **JOB)
    plain = run("explain", "results.csv", "train.jsonl", *FLAGS)
    assert plain == (0, f"{found}\n", "")
    alone = run("explain", "results.csv", "--hidden", "1", "--json")
    assert (alone.status, alone.err) == (0, "")
    assert json.loads(alone.out)["hidden_source"] == "given"


def test_explain_writes_a_page(folder: Path, run: Run) -> None:
    found = run("explain", "results.csv", "--html", "page.html")
    assert found == (0, "", "logitmeter: note: page.html written\n")
    page = (folder / "page.html").read_text("utf-8")
    assert page == lm.finetune.explain(folder / "results.csv").to_html()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("explain", "absent.csv"), 3, "absent.csv: No such file or directory"),
        (("explain", "train.jsonl"), 3, "train.jsonl: no loss and no accuracy: expected step"),
        (("infer", "results.csv", "results.csv", *FLAGS), 3, "results.csv: line 1: expected JSON"),
        (("infer", "results.csv", "train.jsonl", "--n-epochs", "0"), 2, "n_epochs=0: an integer"),
        (("infer", "results.csv"), 2, "the following arguments are required: TRAIN.jsonl"),
    ],
)
def test_bad_usage_and_input(arguments: tuple[str, ...], status: int, said: str, run: Run) -> None:
    found = run(*arguments)
    assert (found.status, found.out) == (status, "")
    assert found.err.startswith(f"logitmeter: error: {said}")


@pytest.mark.parametrize("command", ["infer", "explain"])
def test_help(command: str, run: Run) -> None:
    found = run(command, "--help")
    assert (found.status, found.err) == (0, "")
    assert f"examples:\n  logitmeter finetune {command} " in found.out
    assert max(map(len, found.out.splitlines())) <= 80
