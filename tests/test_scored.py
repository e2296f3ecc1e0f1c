"""Tokens that come scored: the core against the oracle, and the ways in and out."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from law import cut_every, random_cuts, roles_of, settings_of, stream, table_of
from logitmeter import _core
from logitmeter.exceptions import DTypeError, LabelError, LogitmeterError, SettingsError
from oracle import metrics, rows
from oracle.cases import random_case
from oracle.counting import Case, Counted, Failure, count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INF = math.inf
NOWHERE = metrics.NOWHERE
KINDS = {
    "nll": pa.float64(),
    "nll_high": pa.float64(),
    "rank": pa.int64(),
    "rank_high": pa.uint32(),
    "greater": pa.int16(),
    "ties": pa.uint8(),
}
FAULTS: list[dict[str, Any]] = [
    {"nll": -0.5},
    {"nll": math.nan},
    {"nll": 2.0, "nll_high": 1.0},
    {"nll": 2.0, "nll_high": math.nan},
    {"nll": 1.0, "rank": -1},
    {"nll": 1.0, "rank": 4, "rank_high": 3},
    {"nll": 1.0, "rank": 4, "greater": 5},
]
ROUNDED_ONCE = ("loss", "loss_bounds", "loss_stderr", "accuracy", "accuracy_bounds",
                "accuracy_stderr", "accuracy_strict", "accuracy_optimistic",
                "sequence_accuracy", "sum_weight")  # fmt: skip
COUNTED = ("num_tokens", "num_correct", "num_sequences", "num_ties", "num_invalid",
           "num_bounded", "num_unknown")  # fmt: skip


# A case of the counting law, with scores in place of its rows of logits.


def stated(rng: random.Random) -> dict[str, Any]:
    """Draw what may be said of a token."""
    if rng.random() < 0.15:
        return {"nll": None, "rank": rng.choice((None, 3, -1))}
    nll = rng.choice((0.0, 0.25, 1.5, 5 * rng.random(), 1e-9, INF))
    rank = rng.choice((None, 0, 0, 1, 2, 150))
    ties = rng.randrange(3)
    return {
        "nll": nll,
        "nll_high": rng.choice((None, None, nll, nll + 0.75, INF)),
        "rank": rank,
        "rank_high": rng.choice((None, None, (rank or 0) + 2, NOWHERE)),
        "greater": rng.choice((None, max((rank or 0) - ties, 0))),
        "ties": rng.choice((None, ties)),
    }


def scored_case(rng: random.Random) -> tuple[Case, pa.Table]:
    """Draw a small input; its bad rows hold what cannot be right."""
    c = random_case(rng)
    c |= {"allowed": None, "nonfinite": "raise", "vocab": 2**32 - 1}
    said = [stated(rng) for _ in c["labels"]]
    for row in c["bad_rows"]:
        said[row] = rng.choice(FAULTS)
    table = table_of(c | {"vocab": 1}).drop_columns("logits")
    for name, kind in KINDS.items():
        table = table.append_column(name, pa.array([score.get(name) for score in said], kind))
    return c, table


def oracle_scores(table: pa.Table) -> dict[int, rows.Score | rows.Invalid | rows.Unknown]:
    """Say of each row what the page on scores says."""
    found: dict[int, rows.Score | rows.Invalid | rows.Unknown] = {}
    for row, said in enumerate(table.select(list(KINDS)).to_pylist()):
        rank, ties = said["rank"] or 0, said["ties"] or 0
        greater = max(rank - ties, 0) if said["greater"] is None else said["greater"]
        high = said["rank_high"]
        if high is None and said["rank"] is None:
            high = NOWHERE
        score = rows.Score(said["nll"], 0.0, rank, ties, greater, said["nll_high"], high)
        found[row] = rows.Unknown() if said["nll"] is None else score
    return found


def columns(c: Case) -> Any:
    return roles_of(c) | {name: name for name in KINDS}


def evaluated(
    c: Case, table: pa.Table, cuts: Sequence[int], updates: Sequence[int] = ()
) -> _core.Meter:
    meter = _core.Meter(settings_of(c))
    borders = [0, *updates, table.num_rows]
    for start, end in itertools.pairwise(borders):
        inside = [cut - start for cut in cuts if start < cut < end]
        meter.update(
            stream(table.slice(start, end - start), inside),
            columns=columns(c),
            null_labels=c["null_labels"],
            final=end == table.num_rows,
        )
    return meter


def outcome(
    c: Case, table: pa.Table, cuts: Sequence[int], updates: Sequence[int] = ()
) -> bytes | tuple[str, str, int | None]:
    try:
        return evaluated(c, table, cuts, updates).to_bytes()
    except LogitmeterError as error:
        return type(error).__name__, str(error), error.position


def same(got: Any, want: Any) -> bool:
    if isinstance(want, tuple):
        return all(map(same, got, want))
    return bool(got == want or (math.isnan(got) and math.isnan(want)))


def check_part(got: dict[str, Any], want: dict[str, Any]) -> None:
    for name in COUNTED:
        assert got[name] == want[name], name
    for name in ROUNDED_ONCE:
        assert same(got[name], want[name]), (name, got[name], want[name])
    for name in ("perplexity", "perplexity_bounds", "mrr"):
        assert got[name] == pytest.approx(want[name], rel=1e-14, nan_ok=True), name
    assert all(same(got["top_k_accuracy"][k - 1], x) for k, x in want["top_k_accuracy"].items())


def check_report(c: Case, table: pa.Table, want: Counted, summary: Any) -> None:
    known = c["sequence_id"] is not None
    expected = metrics.report(want, oracle_scores(table), sequences_known=known)
    groups = {key[0]: parts for key, parts in summary["groups"]}
    assert set(groups) == (set() if c["group"] is None else set(expected["groups"]))
    for part in ("whole", "visible", "hidden"):
        check_part(summary["total"][part], expected[part])
        for key, parts in groups.items():
            check_part(parts[part], expected["groups"][key][part])
    assert summary["hidden_label_ids"] == expected["hidden_label_ids"]
    assert summary["elements"] == []
    assert summary["vocab_size"] is None


def check_tokens(c: Case, table: pa.Table, want: Counted, cuts: Sequence[int]) -> None:
    """See that every counted token hands on what was said of it, at its place."""
    scores = _core.token_scores(
        stream(table, cuts), settings_of(c), columns=columns(c), null_labels=c["null_labels"]
    )
    batches = map(pa.record_batch, iter(scores.next_batch, None))
    got = [token for batch in batches for token in batch.to_pylist()]
    assert [(t["position"], t["row"]) for t in got] == [(t.position, t.row) for t in want.tokens]
    said = oracle_scores(table)
    for token in got:
        score = said[token["row"]]
        assert token["lse"] is None
        expected: list[Any] = [None] * 5
        if isinstance(score, rows.Score):
            expected = [score.nll, score.rank, score.ties, *score.high()]
        found = [token[name] for name in ("nll", "rank", "ties", "nll_high", "rank_high")]
        assert found == expected


@pytest.mark.parametrize("seed", range(8))
def test_the_law_with_scores(seed: int) -> None:
    """Whatever counts counts as ever; sums of both ends are exact; no cut changes a bit."""
    rng = random.Random(seed)
    for _ in range(60):
        c, table = scored_case(rng)
        want = count(**c)
        length = len(c["labels"])
        whole = outcome(c, table, [])
        if isinstance(want, Failure):
            assert isinstance(whole, tuple)
            kinds = {"id": "SequenceError", "short": "ShortRunError"}
            assert (whole[0], whole[2]) == (kinds.get(want.kind, "LabelError"), want.position)
        else:
            check_report(c, table, want, evaluated(c, table, []).summary())
            check_tokens(c, table, want, random_cuts(rng, length))
        for cuts in (cut_every(1, length), cut_every(7, length), random_cuts(rng, length)):
            assert outcome(c, table, cuts) == whole
            assert outcome(c, table, cuts, random_cuts(rng, length)) == whole


# The ways in.


def example() -> pa.Table:
    """Three sequences: nll 1/2 exact; 2 to inf; 1 with a tie at the top; one token unknown."""
    return pa.table(
        {
            "nll": [0.5, 2.0, 1.0, None],
            "nll_high": [None, INF, None, None],
            "rank": [0, 20, 0, None],
            "rank_high": [None, NOWHERE, 1, None],
            "ties": [0, 0, 1, None],
            "labels": [7, 8, 9, 10],
            "sequence_id": ["a", "a", "b", "c"],
        }
    )


def test_figures_by_hand() -> None:
    report = lm.evaluate(lm.scan(example(), values="scores"))
    assert (report.num_tokens, report.num_bounded, report.num_unknown) == (3, 2, 1)
    assert report.loss == 3.5 / 3
    assert report.loss_bounds == (3.5 / 3, INF)
    assert report.perplexity_bounds == (report.perplexity, INF)
    assert (report.accuracy, report.accuracy_bounds) == (1 / 3, (1 / 3, 2 / 3))
    assert (report.accuracy_strict, report.accuracy_optimistic) == (1 / 3, 2 / 3)
    assert report.num_sequences == 2
    assert (report.scored, report.elements, report.vocab_size) == (True, (), None)


def test_other_names_and_a_file(tmp_path: Path) -> None:
    renamed = example().rename_columns({"nll": "loss", "labels": "id", "rank_high": "worst"})
    path = tmp_path / "scored.arrow"
    with pa.ipc.new_file(path, renamed.schema) as writer:
        writer.write_table(renamed, max_chunksize=3)
    theirs = {"nll": "loss", "labels": "id", "rank_high": "worst"}
    source = lm.scan(str(path), values="scores", columns=theirs)
    assert lm.evaluate(source) == lm.evaluate(lm.scan(example(), values="scores"))
    unused = lm.scan(str(path), values="scores", columns=theirs | {"rank": None})
    assert lm.evaluate(unused).num_bounded == 3  # of a rank that is not given nothing is known


def test_a_column_of_sequences_beside_scores_is_one_of_any_other() -> None:
    """Rows of scores are tokens, even where a column that looks like logits is left in."""
    table = example()
    nested = pa.array([[[0.0, 1.0]]] * len(table), pa.list_(pa.list_(pa.float32(), 2)))
    beside = lm.scan(table.append_column("logits", nested), values="scores")
    want = lm.evaluate(lm.scan(table, values="scores"))
    assert lm.evaluate(beside).to_json() == want.to_json()


def test_arrays_beside_scores_and_a_limit() -> None:
    table = example().drop_columns(["labels", "sequence_id"])
    source = lm.scan(table, values="scores", limit=2)
    report = lm.evaluate(source, np.array([1, 2, 3, 4]), weight=np.array([1.0, 3.0, 1.0, 1.0]))
    assert report.loss == (0.5 + 3 * 2.0) / 4
    assert report.num_unknown == 0


def test_token_scores_go_out_and_come_back() -> None:
    """What `token_scores` says of logits, to the bit of every figure that needs no logits."""
    rng = np.random.default_rng(3)
    logits = np.round(rng.normal(size=(4, 9, 6)) * 2).astype(np.float32)
    labels = rng.integers(0, 6, (4, 9))
    mask = np.zeros((4, 9), bool)
    mask[:, 2:6] = True
    ids = np.repeat(np.arange(4), 9)
    direct = lm.evaluate(logits, labels, mask=mask, shift=True, trailing=2)
    scores = lm.token_scores(logits, labels, mask=mask, shift=True, trailing=2, rows="all")
    table = scores.read_all().append_column("labels", pa.array(labels.ravel()))
    back = lm.evaluate(
        lm.scan(table, values="scores"), mask=mask.ravel(), sequence_id=ids, trailing=2
    )
    for name in ("loss", "loss_stderr", "accuracy", "accuracy_strict", "num_tokens", "num_ties"):
        assert getattr(back, name) == getattr(direct, name)
    assert back.hidden.loss_bounds == (direct.hidden.loss, direct.hidden.loss)
    assert back.accuracy_optimistic >= direct.accuracy_optimistic  # `greater` is not handed on


def test_states_with_intervals_merge_and_come_back() -> None:
    parts = [example().slice(0, 2), example().slice(2)]
    meters = [lm.Meter().update(lm.scan(part, values="scores")) for part in parts]
    merged = lm.Meter().merge(*reversed(meters))
    whole = lm.Meter().update(lm.scan(example(), values="scores"))
    assert merged.to_bytes() == whole.to_bytes()
    back = lm.Meter.from_bytes(whole.to_bytes()).compute()
    assert back == whole.compute()
    assert back.loss_bounds == (3.5 / 3, INF)


def test_logits_and_scores_in_one_meter() -> None:
    meter = lm.Meter().update(np.zeros((2, 4), np.float32), np.array([0, 1]))
    report = meter.update(lm.scan(example(), values="scores")).compute()
    assert report.num_tokens == 5
    assert report.loss == pytest.approx((2 * math.log(4) + 3.5) / 5, rel=1e-6)
    assert (report.scored, report.elements, report.vocab_size) == (True, ("float32",), 4)
    assert "Scores as they were given for the rest." in str(report)


def test_sequence_scores_and_check() -> None:
    source = lm.scan(example(), values="scores")
    assert lm.sequence_scores(source).read_all().to_pylist() == [
        {"sequence_id": "a", "logprob": -2.5, "num_tokens": 2, "all_correct": False},
        {"sequence_id": "b", "logprob": -1.0, "num_tokens": 1, "all_correct": None},
        {"sequence_id": "c", "logprob": 0.0, "num_tokens": 0, "all_correct": None},
    ]
    found = lm.check(source)
    assert (found.ok, found.num_visible, found.element, found.vocab_size) == (True, 4, None, None)


# What people and programs read.


def test_a_report_says_what_is_a_low_end() -> None:
    report = lm.evaluate(lm.scan(example(), values="scores"))
    text = " ".join(str(report).split())
    assert "loss >= 1.2 ±" in text
    assert "3 >= 1.2 ± 1.4 >= 3.21 >= 0.3" in text
    assert (
        "Known only within bounds: 2 tokens (loss 1.1667 to inf, perplexity 3.2113 to inf, "
        "accuracy 0.3333 to 0.6667; figures are the low ends)." in text
    )
    assert "Left out, since nothing is known of them: 1 token." in text
    assert "Scores as they were given, without logits; numeric version" in text
    assert "perplexity >= 3.2113, accuracy >= 0.3333" in repr(report)
    assert "&gt;= " in report._repr_html_()


def test_json_and_flat_names() -> None:
    report = lm.evaluate(lm.scan(example(), values="scores"))
    found = json.loads(report.to_json())
    assert found["loss_bounds"] == [3.5 / 3, None]
    assert found["accuracy_bounds"] == [1 / 3, 2 / 3]
    assert found["non_finite"]["loss_bounds/1"] == "inf"
    assert (found["num_bounded"], found["num_unknown"], found["scored"]) == (2, 1, True)
    assert found["perplexity"] == report.perplexity
    flat = report.to_dict()
    assert (flat["loss_bounds_low"], flat["loss_bounds_high"]) == (3.5 / 3, INF)
    assert pa.table(report)["loss_bounds_high"].to_pylist()[:2] == [INF, INF]


def test_exact_figures_have_equal_bounds() -> None:
    report = lm.evaluate(np.zeros((3, 4), np.float32), np.array([0, 1, 2]))
    assert report.loss_bounds == (report.loss, report.loss)
    assert report.perplexity_bounds == (report.perplexity, report.perplexity)
    assert report.accuracy_bounds == (report.accuracy, report.accuracy)
    assert (report.num_bounded, report.num_unknown, report.scored) == (0, 0, False)
    assert ">=" not in str(report)


# What cannot be right.


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_score_that_cannot_be_right_is_named_where_it_counts(fault: dict[str, Any]) -> None:
    bad = {name: [0.5 if name == "nll" else None, fault.get(name)] for name in KINDS}
    kinds = {name: pa.array(values, KINDS[name]) for name, values in bad.items()}
    table = pa.table(kinds | {"labels": [1, 2], "mask": [True, True]})
    with pytest.raises(LabelError, match="at position 1; expected ") as caught:
        lm.evaluate(lm.scan(table, values="scores"))
    name = list(fault)[-1]
    assert str(caught.value).startswith(f"{name} is ")
    assert caught.value.position == 1
    assert caught.value.partial is not None
    assert caught.value.partial.loss == 0.5
    outside = lm.evaluate(lm.scan(table, values="scores"), mask=np.array([True, False]))
    assert outside.loss == 0.5  # rows that do not count may hold anything


def test_what_goes_with_logits_alone() -> None:
    source = lm.scan(example(), values="scores")
    with pytest.raises(SettingsError, match="valid_vocab and vocab_mask leave entries out"):
        lm.evaluate(source, valid_vocab=3)
    with pytest.raises(SettingsError, match="this needs rows of logits"):
        lm.log_softmax(source)
    with pytest.raises(SettingsError, match="this needs rows of logits"):
        lm.top_k(source, 2)
    with pytest.raises(SettingsError, match="a source of scores has none"):
        lm.scan(example(), values="scores", dtype="bf16")
    with pytest.raises(DTypeError, match="takes columns"):
        lm.scan(np.zeros((2, 3)), values="scores")
    with pytest.raises(SettingsError, match="no column 'nll'; the source has: x"):
        lm.evaluate(lm.scan(pa.table({"x": [1.0]}), values="scores"), np.array([1]))
    with pytest.raises(SettingsError, match="'logits' is none of ours"):
        lm.scan(example(), values="scores", columns={"logits": "nll"})
    with pytest.raises(SettingsError, match="'nll' is none of ours"):
        lm.scan(example(), columns={"nll": "nll"})
    with pytest.raises(SettingsError, match="columns named nll_high"):
        lm.token_scores(source, keep="nll_high")


def test_columns_of_another_type() -> None:
    words = example().set_column(0, "nll", pa.array(["a", "b", "c", "d"]))
    with pytest.raises(DTypeError, match='column "nll" has type Utf8; expected numbers'):
        lm.evaluate(lm.scan(words, values="scores"))
    floats = example().set_column(2, "rank", pa.array([0.0, 1.0, 2.0, 3.0]))
    with pytest.raises(DTypeError, match='column "rank" has type Float64; expected integers'):
        lm.evaluate(lm.scan(floats, values="scores"))
