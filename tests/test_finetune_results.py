"""Results of fine-tuning runs: every service's names and files to one table; what is refused."""

from __future__ import annotations

import base64
import json
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import logitmeter as lm
import polars as pl
import pyarrow as pa
import pytest
from logitmeter.exceptions import (
    CorruptInputError,
    LogitmeterWarning,
    SettingsError,
    ShapeError,
)

if TYPE_CHECKING:
    from pathlib import Path

OPENAI = """\
step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy
1,1.52347,0.66667,,
2,0.57719,0.83333,0.9,0.75
"""
OPENAI_ROWS = [
    {"step": 1, "train_loss": 1.52347, "train_accuracy": 0.66667},
    {
        "step": 2,
        "train_loss": 0.57719,
        "train_accuracy": 0.83333,
        "valid_loss": 0.9,
        "valid_accuracy": 0.75,
    },
]


def rows(source: Any) -> list[dict[str, Any]]:
    """Give the rows without what was not reported."""
    table = lm.finetune.read_results(source)
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in table.to_pylist()
    ]


# ---- one run, however it comes -------------------------------------------------------------------


def in_base64(text: str) -> bytes:
    return base64.encodebytes(text.encode())


EVENTS: list[dict[str, Any]] = [
    {"object": "fine_tuning.job.event", "type": "message", "message": "Job started", "data": None},
    {
        "type": "metrics",
        "data": {
            "step": 2,
            "train_loss": 0.57719,
            "train_mean_token_accuracy": 0.83333,
            "total_steps": 2,
            "valid_loss": 0.9,
            "valid_mean_token_accuracy": 0.75,
        },
    },
    {"type": "metrics", "data": {"step": 1, "train_loss": 1.52347, "train_accuracy": 0.66667}},
]
SAME = {
    "text": OPENAI,
    "bytes": OPENAI.encode(),
    "windows": b"\xef\xbb\xbf" + OPENAI.replace("\n", "\r\n").encode(),
    "spaces": OPENAI.replace(",", " , ") + "\n\n",
    "base64 bytes": in_base64(OPENAI),
    "base64 text": base64.b64encode(OPENAI.encode()).decode(),
    "events": EVENTS,
    "events of the API": {"object": "list", "data": EVENTS, "has_more": False},
    "events as JSON": json.dumps(EVENTS, indent=1),
    "events as JSONL": "\n".join(map(json.dumps, EVENTS)),
    "events in base64": in_base64(json.dumps({"data": EVENTS})),
    "rows": OPENAI_ROWS,
    "rows as JSON": json.dumps(OPENAI_ROWS),
    "columns": {
        "step": [1, 2],
        "training_loss": (1.52347, 0.57719),
        "train_accuracy": [0.66667, 0.83333],
        "valid_loss": [None, 0.9],
        "valid_accuracy": [float("nan"), 0.75],
    },
    "arrow": pa.Table.from_pylist(
        OPENAI_ROWS, pa.schema([(n, pa.float64()) for n in OPENAI_ROWS[1]])
    ),
    "polars": pl.DataFrame(OPENAI_ROWS, infer_schema_length=None),
    "training and validation apart": [
        *OPENAI_ROWS[:1],
        {"step": 2, "eval/loss": 0.9, "eval/mean_token_accuracy": 0.75},
        {"train/global_step": 2, "train/loss": 0.57719, "train/mean_token_accuracy": 0.83333},
    ],
}


@pytest.mark.parametrize("kind", SAME)
def test_one_run_however_it_comes(kind: str) -> None:
    assert rows(SAME[kind]) == OPENAI_ROWS


@pytest.mark.parametrize("content", [OPENAI.encode(), in_base64(OPENAI)])
def test_files(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_bytes(content)
    assert rows(file) == rows(str(file)) == OPENAI_ROWS


def test_the_table_is_the_same_for_all() -> None:
    table = lm.finetune.read_results(OPENAI)
    assert table.column_names == [
        *("step", "epoch", "train_loss", "train_accuracy", "train_sequence_accuracy"),
        *("valid_loss", "valid_accuracy", "valid_sequence_accuracy"),
        *("full_valid_loss", "full_valid_accuracy"),
    ]
    assert table.schema.types == [pa.int64()] + [pa.float64()] * 9
    assert table.schema.metadata == {b"unknown_columns": b"[]"}
    assert lm.finetune.read_results(table).equals(table)


def test_objects_of_a_client() -> None:
    class Event(NamedTuple):
        event: dict[str, Any]

        def model_dump(self) -> dict[str, Any]:
            return self.event

    assert rows([Event(event) for event in EVENTS]) == OPENAI_ROWS


# ---- other services ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(  # the newer columns
            "step,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,"
            "full_valid_loss,full_valid_mean_token_accuracy\n5,0.5,0.9,0.6,0.8,0.7,0.85\n",
            {
                "step": 5,
                "train_loss": 0.5,
                "train_accuracy": 0.9,
                "valid_loss": 0.6,
                "valid_accuracy": 0.8,
                "full_valid_loss": 0.7,
                "full_valid_accuracy": 0.85,
            },
            id="azure",
        ),
        pytest.param(
            "step,training_loss,training_accuracy,valid_loss,valid_accuracy\n5,0.5,0.25,0.6,0.5\n",
            {
                "step": 5,
                "train_loss": 0.5,
                "train_sequence_accuracy": 0.25,
                "valid_loss": 0.6,
                "valid_sequence_accuracy": 0.5,
            },
            id="azure, older: whole sequences",
        ),
        pytest.param(
            "step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,"
            "training_token_accuracy,validation_loss,validation_sequence_accuracy,"
            "validation_token_accuracy,classification/accuracy\n5,640,20,0.5,0.25,0.9,-1,-1,-1,\n",
            {
                "step": 5,
                "train_loss": 0.5,
                "train_sequence_accuracy": 0.25,
                "train_accuracy": 0.9,
            },
            id="openai in 2022: -1 is nothing",
        ),
        pytest.param(
            {
                "object": "fine_tuning.job.checkpoint",
                "step_number": 2000,
                "fine_tuned_model_checkpoint": "ft:x:ckpt",
                "metrics": {"full_valid_loss": 0.567, "full_valid_mean_token_accuracy": 0.874},
            },
            {"step": 2000, "full_valid_loss": 0.567, "full_valid_accuracy": 0.874},
            id="openai, checkpoints",
        ),
        pytest.param(
            {
                "checkpoints": [
                    {
                        "step_number": 10,
                        "metrics": {
                            "train_loss": 0.8,
                            "valid_loss": 0.9,
                            "valid_mean_token_accuracy": 0.7,
                        },
                        "created_at": 1,
                    }
                ]
            },
            {"step": 10, "train_loss": 0.8, "valid_loss": 0.9, "valid_accuracy": 0.7},
            id="mistral",
        ),
        pytest.param(
            {
                "metrics": [
                    {"train/loss": 0.5, "train/global_step": 5, "train/grad_norm": 1.0},
                    {"eval/loss": 0.6, "train/global_step": 5},
                ]
            },
            {"step": 5, "train_loss": 0.5, "valid_loss": 0.6},
            id="together",
        ),
        pytest.param(
            '{"step": 5, "train/loss": 0.5, "train/learning_rate": 1e-5}\n\n',
            {"step": 5, "train_loss": 0.5},
            id="fireworks",
        ),
        pytest.param(
            "step_number, epoch_number, training_loss, perplexity\n0, 1, 0.5, 1.65\n",
            {"step": 0, "epoch": 1.0, "train_loss": 0.5},
            id="bedrock",
        ),
        pytest.param(
            {
                "log_history": [
                    {
                        "epoch": 0.5,
                        "step": 5,
                        "loss": 0.5,
                        "mean_token_accuracy": 0.9,
                        "grad_norm": 1.0,
                    },
                    {"epoch": 0.5, "step": 5, "eval_loss": 0.6, "eval_runtime": 2.0},
                    {"epoch": 0.5, "step": 5, "train_loss": 0.9, "train_runtime": 60.0},
                ]
            },
            {
                "step": 5,
                "epoch": 0.5,
                "train_loss": 0.5,
                "train_accuracy": 0.9,
                "valid_loss": 0.6,
            },
            id="hugging face: the last row is of the whole run",
        ),
    ],
)
def test_other_services(source: Any, expected: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogitmeterWarning)
        assert rows(source) == [expected]


def test_rows_are_sorted_and_numbered_where_they_have_no_step() -> None:
    assert [row["step"] for row in rows([{"step": 9, "loss": 1}, {"step": 2, "loss": 2}])] == [2, 9]
    assert rows({"train_loss": [2.0, 1.0]}) == [
        {"step": 1, "train_loss": 2.0},
        {"step": 2, "train_loss": 1.0},
    ]


def test_unknown_columns_are_listed() -> None:
    with pytest.warns(LogitmeterWarning, match=r"unknown columns left out: mood, vibes; known are"):
        table = lm.finetune.read_results([{"step": 1, "train_loss": 1, "mood": 3, "vibes": "x"}])
    assert table.schema.metadata == {b"unknown_columns": b'["mood", "vibes"]'}


# ---- what is refused -----------------------------------------------------------------------------

HEAD = "step,train_loss,train_accuracy\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HEAD + "1,0.5,0.9\n2,0.4\n", "line 3: expected 3 cells, as in the first line, got 2"),
        (HEAD + "1,x,0.9\n", 'line 2: train_loss: expected a number or nothing, got "x"'),
        (HEAD + "1,0.5,1.2\n", "line 2: train_accuracy: expected an accuracy from 0 to 1"),
        (HEAD + "1,-0.5,0.9\n", "line 2: train_loss: expected a number >= 0, got -0.5"),
        (HEAD + "1.5,0.5,0.9\n", "line 2: step: expected a whole number, got 1.5"),
        (HEAD + ",0.5,0.9\n2,0.5,0.9\n", "line 2: expected a step, as other rows have, got none"),
        (HEAD + '1,"0.5,0.9\n', "line 2: expected CSV, got unexpected end of data"),
        ("step,loss,step\n1,2,3\n", "line 1: expected each column once, got 'step' twice"),
        (b"step,loss\n1,\xff\n", "line 2: expected UTF-8 text, got byte 0xff"),
        ('{"step": 1, "loss": 1}\n{"step": 2,\n', "line 2: expected JSON, got "),
        ("[1, 2]", "row 1: expected an object of metrics, got 1"),
        ("[{]", "line 1: expected JSON, got "),
        (b"", "no results: nothing is in it"),
        (HEAD, "no results: no row holds metrics"),
        ("when,what\n1,2\n", "no loss and no accuracy: expected step, epoch, train_loss"),
        ([{"type": "message", "data": None}], "no results: no row holds metrics"),
        ([{"step": 1, "loss": True}], "row 1: loss: expected a number or nothing"),
        ([{"step": 1, "loss": [1]}], "row 1: loss: expected a number or nothing, got a list of 1"),
        (
            [{"step": 1, "loss": 1}, {"step": 1, "loss": 2}],
            "row 2: expected one train_loss of step 1, got 2.0 after 1.0",
        ),
        (
            [{"step": 1, "loss": 1, "train_loss": 2}],
            "row 1: expected one train_loss, got two: 1.0 and 2.0 (train_loss)",
        ),
        (
            [{"step": 1, "train_loss": 0.1, "train_reward_mean": 0.5}],
            "a reinforcement or preference run (train_reward_mean): it reports rewards",
        ),
        (
            "step,loss,rewards/accuracies,rewards/margins\n1,0.69,0.5,0.1\n",
            "a reinforcement or preference run (rewards/accuracies, rewards/margins)",
        ),
    ],
)
def test_what_is_refused(source: Any, said: str) -> None:
    with pytest.raises(CorruptInputError) as caught:
        lm.finetune.read_results(source)
    assert said in str(caught.value)


def test_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text(HEAD + "1,0.5,90\n", encoding="utf-8")
    with pytest.raises(CorruptInputError) as caught:
        lm.finetune.read_results(file)
    assert str(caught.value).startswith(f"{file}: line 2: train_accuracy: expected an accuracy")
    assert caught.value.path == str(file)


def test_what_is_no_source() -> None:
    with pytest.raises(SettingsError, match="a path, the file's content, rows or columns"):
        lm.finetune.read_results(5)
    with pytest.raises(ShapeError, match="columns of different lengths"):
        lm.finetune.read_results({"step": [1, 2], "train_loss": [1.0]})
    with pytest.raises(FileNotFoundError):
        lm.finetune.read_results("absent.csv")
