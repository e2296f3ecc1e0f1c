"""The recipes of docs/recipes.md, run as they stand there on samples made by hand."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
HALF, QUARTER = math.log(0.5), math.log(0.25)
IDS = [[3, 7], [7, 70_000]]
VALUES = [[HALF, QUARTER], [HALF, QUARTER]]
RECIPE: dict[str, Any] = {}
for block in re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
):
    exec(compile(block, str(PAGE), "exec"), RECIPE)  # noqa: S102 - our own page


def pooled(tables: Iterable[pa.Table], **how: Any) -> lm.Report:
    meter = lm.Meter()
    for table in tables:
        meter.update(lm.scan(table, **how))
    return meter.compute()


def is_exact(report: lm.Report, tokens: int, loss: float) -> None:
    assert (report.num_tokens, report.num_bounded) == (tokens, 0)
    assert report.loss == pytest.approx(loss, rel=1e-6)


def test_distillkit(tmp_path: Path) -> None:
    row = {"input_ids": [5, 3, 70_000], "token_ids": IDS, "top_values": VALUES}
    pa.parquet.write_table(pa.Table.from_pylist([row, row]), tmp_path / "data_0.parquet")
    found = pooled(RECIPE["distillkit"](tmp_path / "data_0.parquet"), values="logprobs")
    is_exact(found, 4, 1.5 * math.log(2))


def test_megatron() -> None:
    low = np.array([[3, 7, 0], [7, 70_000 & 0xFFFF, 0]], np.uint16)
    bit = np.array([[0, 0, 0], [0, 1, 0]], bool)
    values = np.array([[HALF, QUARTER, -1000], [HALF, QUARTER, -1000]], np.float16)
    found = lm.evaluate(
        lm.scan(RECIPE["megatron"](values, low, bit, [3, 70_000]), values="logprobs")
    )
    assert found.num_bounded == 0
    assert found.loss == pytest.approx(1.5 * math.log(2), rel=1e-3)


def test_nemo_aligner(tmp_path: Path) -> None:
    logits = [[HALF + 2, QUARTER + 2], [HALF - 3, QUARTER - 3]]
    line = {"topk_logits": logits, "topk_token_ids": IDS, "log_sum_exp_logits": [2.0, -3.0]}
    (tmp_path / "x").write_text(json.dumps(line | {"next": [3, 70_000]}) + "\n")
    tables = RECIPE["nemo_aligner"](tmp_path / "x", lambda found: found["next"])
    is_exact(pooled(tables, columns={"ids": "ids"}), 2, 1.5 * math.log(2))


def test_maxtext() -> None:
    logits, ids = np.array([[2.0, 1.0]] * 3, np.float32), np.array([[3, 7], [7, 9], [1, 2]])
    table = RECIPE["maxtext"](np.array([5, 3, 9]), logits, ids)
    found = lm.evaluate(lm.scan(table, columns={"ids": "ids"}, vocab_size=12))
    both = math.log1p(math.exp(-1)) + 0.5  # the mean of nll 0 and nll 1 of the two alone
    assert found.num_tokens == found.num_bounded == 2
    assert found.loss == pytest.approx(both)
    assert found.loss_bounds[1] == pytest.approx(both + math.log1p(10 / (1 + math.e)))
    assert found.accuracy_bounds == (0.5, 0.5)


def test_mlx_dwq(tmp_path: Path) -> None:
    logits = np.array([[[1.0, 2.0], [2.0, 1.0]]] * 2, np.float16)
    indices = np.array([[[7, 3], [7, 9]]] * 2, np.uint32)
    safetensors.numpy.save_file({"logits": logits, "indices": indices}, tmp_path / "x")
    table = RECIPE["mlx_dwq"](tmp_path / "x", [[0, 3, 9], [0, 7, 7]])
    found = lm.evaluate(lm.scan(table, columns={"ids": "ids"}))
    assert (found.num_sequences, found.num_bounded) == (2, 4)
    assert found.loss == pytest.approx(math.log1p(math.exp(-1)) + 0.5)
    assert found.accuracy == 0.5


def test_mlx_kld(tmp_path: Path) -> None:
    parts = {
        "lp_0": np.array(VALUES + VALUES[:1], np.float32),
        "idx_0": np.array([*IDS, [0, 1]], np.int32),
        "tail_0": np.full(3, QUARTER, np.float32),
        "meta_json": np.array(json.dumps({"tokens": [[5, 3, 4]]})),
    }
    np.savez(tmp_path / "x.npz", **parts)  # type: ignore[arg-type]
    tables = RECIPE["mlx_kld"](tmp_path / "x.npz", lambda meta, i: meta["tokens"][i])
    found = pooled(tables, values="logprobs")
    assert (found.num_tokens, found.num_bounded) == (2, 1)
    assert found.loss == pytest.approx(1.5 * math.log(2), rel=1e-6)  # 1/2, and at most 1/4


@pytest.mark.parametrize("name", ["logits", "logits_0", "tensor.0"])
def test_score_mode(name: str, tmp_path: Path) -> None:
    logits = np.random.default_rng(1).normal(size=(4, 9)).astype(np.float32)
    safetensors.numpy.save_file({name: logits}, tmp_path / "x")
    found = RECIPE["score_mode"](str(tmp_path / "x"), [1, 2, 3, 4])
    assert found.loss == lm.evaluate(logits, np.array([1, 2, 3, 4]), shift=True).loss


def test_axolotl() -> None:
    row = {
        "target_logprobs": [[HALF, HALF, 0.0], [HALF, HALF, 0.0], [0.0, 0.0, 0.0]],
        "target_token_ids": [[3, 7, 0], [7, 9, 7], [0, 1, 2]],
        "target_mask": [[1, 1, 0], [1, 1, 0], [0, 0, 0]],
        "labels": [-100, 3, 9],
    }
    source = lm.scan(RECIPE["axolotl"](row), values="renormalised")
    found = lm.evaluate(source, shift=True)
    assert (found.num_tokens, found.num_bounded, found.loss_bounds[1]) == (2, 2, math.inf)
    assert found.loss == pytest.approx(math.log(2))


def test_trl_server() -> None:
    response = {"logprobs": [VALUES[:1], VALUES], "logprob_token_ids": [IDS[:1], IDS]}
    table = RECIPE["trl_server"](response, [[3], [7, 7]])
    found = lm.evaluate(lm.scan(table, values="logprobs"))
    is_exact(found, 3, (1 + 2 + 1) / 3 * math.log(2))
    assert found.num_sequences == 2


ENTRIES: list[Any] = [
    None,
    {"3": {"logprob": HALF, "rank": 1}},
    {"9": {"logprob": -4.0, "rank": 31}},
]


def test_vllm_prompt() -> None:
    table = RECIPE["vllm_prompt"]([1, 3, 9], ENTRIES)
    found = lm.evaluate(lm.scan(table, values="scores"))
    is_exact(found, 2, (math.log(2) + 4) / 2)
    assert (found.num_unknown, found.accuracy) == (1, 0.5)


def test_vllm_flat_says_the_same() -> None:
    flat = SimpleNamespace(
        start_indices=[0, 0, 2],
        end_indices=[0, 2, 3],
        token_ids=[3, 7, 9],
        logprobs=[HALF, -2.0, -4.0],
        ranks=[1, 1, 31],
    )
    assert RECIPE["vllm_flat"]([1, 3, 9], flat).equals(RECIPE["vllm_prompt"]([1, 3, 9], ENTRIES))


def test_what_is_not_run_says_so() -> None:
    text = PAGE.read_text("utf-8")
    assert text.count("```text") == text.count("NOT RUN here:")
