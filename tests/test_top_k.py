"""Lists of token ids and values: what they say against the oracle, and against the whole rows."""

from __future__ import annotations

import math
import random
from typing import Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pytest
from logitmeter.exceptions import DTypeError, LabelError, SettingsError
from oracle import top_k

INF = math.inf
V = 12
KINDS = ("logits", "logprobs", "probs", "renormalised")
UNITS = {"f2": 2.0**-11, "f4": 2.0**-24, "f8": 2.0**-53}
ABSENT = (-1000.0, -9999.0, -INF, None)


def scan(table: pa.Table, kind: Any, **options: Any) -> lm.Source:
    """Read a table of lists; raw logits are lists only if their ids are named."""
    named = {"ids": "ids"} | options.pop("columns", {})
    return lm.scan(table, values=kind, columns=named, **options)


def log_softmax(logits: Any) -> Any:
    wide = np.asarray(logits, np.float64)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


class Dump:
    """Random rows of logits, and a list of some entries of each as one kind of value."""

    def __init__(self, seed: int, kind: str, *, dtype: str = "f8", largest: bool = True) -> None:
        rng = random.Random(seed)
        self.kind, self.largest, self.dtype = kind, largest, dtype
        self.rows: list[top_k.Row] = []
        self.labels: list[int] = []
        self.logits = np.empty((80, V))
        for number in range(len(self.logits)):
            spread = rng.choice((0.2, 1.0, 4.0))
            logits = [round(rng.gauss(0, spread), rng.choice((0, 6))) for _ in range(V)]
            self.logits[number] = np.array(logits, "f4")
            self.labels.append(rng.randrange(V))
            self.rows.append(self._row(rng, self.logits[number]))

    def _row(self, rng: random.Random, logits: Any) -> top_k.Row:
        order = sorted(range(V), key=lambda token: (-logits[token], token))
        if not self.largest:
            rng.shuffle(order)
        ids: list[int | None] = [*order[: rng.randrange(V - 1)]]
        logs = log_softmax(logits)
        listed = logs[ids]
        inside = float(np.exp(listed).sum())
        values = {
            "logits": logits[ids],
            "logprobs": listed,
            "probs": np.exp(listed),
            "renormalised": listed - math.log(inside) if ids else listed,
        }[self.kind]
        stored: list[float | None] = np.asarray(values, self.dtype).astype(float).tolist()
        lse = float(np.log(np.exp(logits).sum())) if rng.random() < 0.5 else None
        tail = math.log(1 - inside) if rng.random() < 0.5 and 0 < inside < 1 else None
        for _ in range(rng.randrange(3)):
            ids.append(rng.randrange(V))  # twice perhaps: an absent entry is none
            stored.append(rng.choice(ABSENT))
        pairs = list(zip(ids, stored, strict=True))
        rng.shuffle(pairs)
        return top_k.Row(
            [token for token, _ in pairs],
            [value for _, value in pairs],
            lse if self.kind == "logits" else None,
            tail,
        )

    def table(self) -> pa.Table:
        """Give it as columns."""
        kind = pa.list_({"f2": pa.float16(), "f4": pa.float32(), "f8": pa.float64()}[self.dtype])
        values = [self._typed(row.values) for row in self.rows]
        return pa.table(
            {
                "ids": pa.array([row.ids for row in self.rows], pa.list_(pa.int32())),
                "values": pa.array(values, kind),
                "lse": pa.array([row.lse for row in self.rows], pa.float64()),
                "tail": pa.array([row.tail for row in self.rows], pa.float64()),
                "labels": self.labels,
            }
        )

    def _typed(self, values: list[float | None]) -> list[Any]:
        return [None if value is None else np.dtype(self.dtype).type(value) for value in values]

    def source(self, **options: Any) -> lm.Source:
        listed = "largest" if self.largest else "any"
        return scan(self.table(), self.kind, listed=listed, **options)


def found(source: lm.Source, **options: Any) -> list[dict[str, Any]]:
    tokens: list[dict[str, Any]] = (
        lm.token_scores(source, rows="all", **options).read_all().to_pylist()
    )
    return tokens


# ---- what is known -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocab", [None, V])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_each_token_is_as_the_oracle_says(
    kind: str, vocab: int | None, dtype: str, *, largest: bool
) -> None:
    dump = Dump(1, kind, dtype=dtype, largest=largest)
    tokens = found(dump.source(vocab_size=vocab))
    assert len(tokens) == len(dump.rows)
    for token, row, label in zip(tokens, dump.rows, dump.labels, strict=True):
        unit = UNITS[dtype]
        want = top_k.said(row, label, kind, vocab=vocab, largest=largest, unit=unit)
        if want is None:
            assert token["nll"] is None
            continue
        assert token["nll"] == pytest.approx(want.nll, rel=1e-12, abs=1e-12)
        assert token["nll_high"] == pytest.approx(want.nll_high, rel=1e-12, abs=1e-12)
        assert (token["rank"], token["rank_high"]) == (want.rank, want.rank_high)
        assert token["ties"] == want.ties
        assert token["lse"] == row.lse


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_row_lies_within_the_bounds(kind: str, seed: int, *, largest: bool) -> None:
    """What the lists say is true of the rows that they were taken from."""
    dump = Dump(seed, kind, largest=largest)
    logits = dump.logits.astype(np.float32)
    exact = lm.token_scores(logits, np.array(dump.labels), precision="exact").read_all()
    exact_tokens = exact.to_pylist()
    for token, true in zip(found(dump.source(vocab_size=V)), exact_tokens, strict=True):
        if token["nll"] is not None:
            assert token["nll"] - 1e-9 <= true["nll"] <= token["nll_high"] + 1e-9
            assert token["rank"] <= true["rank"] <= token["rank_high"]


def test_figures_by_hand() -> None:
    table = pa.table(
        {
            "ids": [[7, 3], [3, 7], [1], None, []],
            "values": [[math.log(0.5), math.log(0.25)]] * 2 + [[math.log(0.9)], None, []],
            "labels": [7, 5, 2, 0, 0],
        }
    )
    report = lm.evaluate(scan(table, "logprobs"))
    assert (report.num_tokens, report.num_bounded, report.num_unknown) == (3, 2, 2)
    low = (math.log(2) + math.log(4) + math.log(10)) / 3  # 0.25 is listed, 0.1 is left
    assert report.loss == pytest.approx(low, rel=1e-5)
    assert report.loss_bounds[1] == INF
    assert report.accuracy_bounds == (1 / 3, 1 / 3)
    assert "Known only within bounds: 2 tokens" in " ".join(str(report).split())


def test_the_list_of_all_entries_gives_the_figures_of_the_logits() -> None:
    rng = np.random.default_rng(2)
    logits = np.round(rng.normal(size=(40, V)) * 2).astype(np.float32)
    labels = rng.integers(0, V, 40)
    ids = np.argsort(-logits, 1, kind="stable")
    table = pa.table(
        {
            "ids": ids.tolist(),
            "values": np.take_along_axis(log_softmax(logits), ids, 1).tolist(),
            "labels": labels,
        }
    )
    got, want = lm.evaluate(scan(table, "logprobs")), lm.evaluate(logits, labels)
    assert got.loss == pytest.approx(want.loss, rel=1e-6)
    for name in ("accuracy", "accuracy_strict", "accuracy_optimistic", "num_ties", "mrr"):
        assert getattr(got, name) == getattr(want, name)


def test_top_k_goes_out_and_comes_back() -> None:
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(30, V)).astype(np.float32), rng.integers(0, V, 30)
    logprobs, ids = lm.top_k(logits, 4)
    table = pa.table({"ids": ids.tolist(), "logprobs": logprobs.tolist(), "labels": labels})
    got, want = lm.evaluate(scan(table, "logprobs")), lm.evaluate(logits, labels)
    assert got.loss <= want.loss <= got.loss_bounds[1]
    assert (got.accuracy_bounds[0], got.accuracy_bounds[1]) == (want.accuracy, want.accuracy)
    assert got.top_k_accuracy(4) == want.top_k_accuracy(4)


def test_bfloat16_is_stated() -> None:
    bits = pa.array([[0xBF80, 0xC000]], pa.list_(pa.uint16()))  # -1.0, -2.0
    table = pa.table({"ids": [[3, 4]], "values": bits, "labels": [4]})
    assert lm.evaluate(scan(table, "logprobs", dtype="bf16")).loss == 2.0
    with pytest.raises(DTypeError, match='say dtype="bf16"'):
        lm.evaluate(scan(table, "logprobs"))


def test_a_tail_of_nothing_is_no_more_than_float32_resolves() -> None:
    table = pa.table({"ids": [[3]], "values": [[0.0]], "tail": [-INF], "labels": [4]})
    assert lm.evaluate(scan(table, "logprobs")).loss == pytest.approx(20 * math.log(2))


# ---- faults --------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"ids": [3, 7], "values": [-0.5, -1.5], "lse": None, "tail": None}
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("logprobs", {"ids": [3]}, "a list of 1 ids beside one of 2 values"),
    ("logprobs", {"values": [-0.5, math.nan]}, "the value of id 7 is nan"),
    ("logits", {"values": [-0.5, INF]}, "the value of id 7 is inf"),
    ("probs", {"values": [0.5, -0.25]}, "the probability of id 7 is -0.25"),
    ("probs", {"values": [1.2, 0.1]}, "the probability of id 3 is 1.2"),
    ("logprobs", {"values": [-0.5, 0.25]}, "the log-probability of id 7 is 0.25"),
    ("logprobs", {"ids": [3, 12]}, "id 12 is listed, which is outside the vocabulary"),
    ("logprobs", {"ids": [-1, 3]}, "id -1 is listed, which is outside the vocabulary"),
    ("logprobs", {"ids": [7, 7]}, "id 7 is listed twice"),
    ("logits", {"lse": math.nan}, "lse is nan"),
    ("logits", {"lse": -INF}, "lse is -inf"),
    ("logits", {"lse": -0.3}, "the listed probabilities add up to 1.119"),
    ("logprobs", {"tail": 0.2}, "tail is 0.2"),
    ("logprobs", {"tail": -0.1}, "the listed probabilities and the tail add up to 1.73"),
    ("logprobs", {"values": [-0.5, -0.6]}, "the listed probabilities add up to 1.15"),
    ("renormalised", {"values": [-0.5, -1.6]}, "and they are said to be renormalised"),
]


def listing(kind: str, *rows: dict[str, Any]) -> pa.Table:
    """Give a table of rows; their values are of this kind where nothing else is said."""
    values = {"probs": [0.6, 0.2], "renormalised": [math.log(0.75), math.log(0.25)]}
    good = GOOD | {"values": values.get(kind, GOOD["values"])}
    whole = [good | row for row in rows]
    types = {
        "ids": pa.list_(pa.int64()),
        "values": pa.list_(pa.float64()),
        "lse": pa.float64(),
        "tail": pa.float64(),
    }
    columns = {name: pa.array([row[name] for row in whole], kind) for name, kind in types.items()}
    return pa.table(columns | {"labels": [3] * len(whole), "mask": [True] * len(whole)})


@pytest.mark.parametrize(("kind", "fault", "says"), FAULTS, ids=[says for *_, says in FAULTS])
def test_a_list_that_cannot_be_right_is_named_where_it_counts(
    kind: str, fault: dict[str, Any], says: str
) -> None:
    table = listing(kind, {}, fault, {})
    with pytest.raises(LabelError) as caught:
        lm.evaluate(scan(table, kind, vocab_size=V))
    error = caught.value
    assert says in str(error)
    assert "at position 1; expected " in str(error)
    assert (error.position, error.row) == (1, 1)
    assert error.expected
    assert error.got is not None
    assert str(error.got) in str(error)
    assert error.partial is not None
    assert error.partial.num_tokens == 1
    outside = lm.evaluate(scan(table, kind, vocab_size=V), mask=np.array([True, False, True]))
    assert outside.num_tokens == 2  # rows that do not count may hold anything


def test_a_fault_is_found_again_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that do not count are faulty by the thousand, and read in many pieces."""
    monkeypatch.setattr("logitmeter.sources.top_k.PIECE_ENTRIES", 8)
    table = listing("logprobs", *[{"ids": [row, row]} for row in range(3000)])
    mask = np.zeros(3000, bool)
    mask[[2101, 2500]] = True
    source = scan(table, "logprobs")
    with pytest.raises(LabelError, match="id 2101 is listed twice, at position 2101"):
        lm.evaluate(source, mask=mask)
    with pytest.raises(LabelError, match="id 2101 is listed twice, at position 2101"):
        lm.token_scores(source, mask=mask).read_all()


def test_a_fault_in_a_second_update_has_its_position() -> None:
    meter = lm.Meter().update(scan(listing("logprobs", {}, {}), "logprobs"), final=False)
    with pytest.raises(LabelError, match="id 7 is listed twice, at position 3"):
        meter.update(scan(listing("logprobs", {}, {"ids": [7, 7]}), "logprobs"))


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (V, f"label {V} at position 0 is not in the vocabulary of {V}"),
        (-1, "label -1 at position 0"),
    ],
)
def test_a_bad_label_is_the_labels_error(label: int, says: str) -> None:
    table = listing("logprobs", {"ids": [3, 3]}).set_column(4, "labels", pa.array([label]))
    with pytest.raises(LabelError, match=says):
        lm.evaluate(scan(table, "logprobs", vocab_size=V))


# ---- settings ------------------------------------------------------------------------------------


def test_what_does_not_go_together() -> None:
    table = listing("logprobs", {})
    with pytest.raises(SettingsError, match="no column 'ids'; the source has: labels"):
        lm.evaluate(lm.scan(pa.table({"labels": [1]}), values="logprobs"))
    with pytest.raises(SettingsError, match="no column 'lost'"):
        lm.evaluate(scan(table, "logprobs", columns={"tail": "lost"}))
    with pytest.raises(SettingsError, match="an lse makes log-probabilities of raw logits"):
        lm.evaluate(scan(table, "logprobs", columns={"lse": "lse"}))
    with pytest.raises(SettingsError, match="'logits' is none of ours"):
        lm.scan(table, values="logprobs", columns={"logits": "values"})
    with pytest.raises(SettingsError, match="say something of lists"):
        lm.scan(table, vocab_size=5)
    with pytest.raises(SettingsError, match="lists say their own type"):
        scan(table, "logprobs", dtype="float32")
    with pytest.raises(SettingsError, match="vocab_size"):
        scan(table, "logprobs", vocab_size=0)
    with pytest.raises(DTypeError, match="takes columns"):
        lm.scan(np.zeros((2, 3)), values="probs")
    with pytest.raises(SettingsError, match="this needs rows of logits"):
        lm.top_k(scan(table, "logprobs"), 2)


@pytest.mark.parametrize(
    ("name", "column", "says"),
    [
        ("ids", pa.array([3]), "a list of each row's entries is needed"),
        ("ids", pa.array([[0.5]]), "token ids are integers"),
        ("values", pa.array([["a"]]), "floating-point numbers are needed"),
        ("tail", pa.array([3]), "floating-point numbers are needed"),
    ],
)
def test_columns_of_another_type(name: str, column: pa.Array, says: str) -> None:
    table = listing("logprobs", {})
    place = table.schema.names.index(name)
    with pytest.raises(DTypeError, match=says) as caught:
        lm.evaluate(scan(table.set_column(place, name, column), "logprobs"))
    assert caught.value.got == str(column.type)
