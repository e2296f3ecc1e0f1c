"""A case of the oracles as the core takes it, and what the core makes of it, compared."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from logitmeter import _core
from logitmeter.exceptions import LogitmeterError
from oracle import metrics, rows
from oracle.counting import Case, Counted, Failure, count
from oracle.roles import count_by_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXCEPTIONS = {
    "mask": "LabelError",
    "role": "LabelError",
    "id": "SequenceError",
    "group": "LabelError",
    "label": "LabelError",
    "weight": "LabelError",
    "short": "ShortRunError",
    "nonfinite": "NonFiniteError",
}
MESSAGES = {
    "mask": "mask is",
    "role": "role is",
    "group": "the group",
    "label": "label ",
    "weight": "weight is",
}


# From a case to what the core takes.


def logits_of(c: Case) -> np.ndarray[Any, Any]:
    """Logits with ties, the same for the same case; rows that are bad hold NaN."""
    rng = np.random.default_rng(len(c["labels"]))
    x = np.round(rng.normal(size=(len(c["labels"]), c["vocab"])) * 3).astype(np.float32)
    x[sorted(c["bad_rows"])] = np.nan
    return x


def table_of(c: Case) -> pa.Table:
    x = logits_of(c)
    logits = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), c["vocab"])
    columns: dict[str, Any] = {"logits": logits, "labels": pa.array(c["labels"], pa.int64())}
    if c["mask"] is not None:
        columns["mask"] = pa.array(c["mask"], pa.bool_())
    if c["role"] is not None:
        columns["role"] = pa.array(c["role"], pa.string())
    if c["weight"] is not None:
        columns["weight"] = pa.array(c["weight"], pa.float64())
    if c["sequence_id"] is not None:
        kind = pa.string() if any(isinstance(i, str) for i in c["sequence_id"]) else pa.int32()
        columns["sequence_id"] = pa.array(c["sequence_id"], kind)
    if c["batch"] is not None:
        columns["batch"] = pa.array(c["batch"], pa.int64())
    if c["scope"] is not None:
        columns["scope"] = pa.array(c["scope"], pa.int64())
    if c["group"] is not None:
        columns["group"] = pa.array(c["group"], pa.int16())
    return pa.table(columns)


def roles_of(c: Case) -> Any:
    return {
        "scope": None if c["scope"] is None else "scope",
        "role": None if c["role"] is None else "role",
        "batch_id": None if c["batch"] is None else "batch",
        "scope_ends_batch": c["scope_ends_batch"],
        "by": [] if c["group"] is None else ["group"],
    }


def settings_of(c: Case, **pooled: Any) -> _core.Settings:
    allowed = c["allowed"]
    mask = None if allowed is None else bytes(i in allowed for i in range(c["vocab"]))
    return _core.Settings(
        ignore_index=c["ignore_index"],
        shift=c["shift"],
        leading=c["leading"],
        trailing=c["trailing"],
        on_short=c["on_short"],
        hidden=c["hidden"],
        vocab_mask=mask,
        nonfinite=c["nonfinite"],
        **{"pooling": "tokens" if c["batch"] is None else "batches", **pooled},
    )


def stream(table: pa.Table, cuts: Sequence[int]) -> pa.RecordBatchReader:
    borders = [0, *cuts, table.num_rows]

    def batches() -> Iterator[pa.RecordBatch]:
        for start, end in itertools.pairwise(borders):
            yield from table.slice(start, end - start).combine_chunks().to_batches()

    return pa.RecordBatchReader.from_batches(table.schema, batches())


def dice(seed: int) -> random.Random:
    return random.Random(seed)


def cut_every(size: int, length: int) -> list[int]:
    return list(range(size, length, size))


def random_cuts(rng: random.Random, length: int) -> list[int]:
    return (
        sorted(rng.sample(range(1, length), rng.randint(0, min(6, length - 1))))
        if length > 1
        else []
    )


# What the core says.


def evaluated(
    c: Case, cuts: Sequence[int], *, updates: Sequence[int] = (), threads: int = 1, **pooled: Any
) -> _core.Meter:
    """Give the meter of a case in batches, in one update or in several."""
    meter = _core.Meter(settings_of(c, **pooled))
    table = table_of(c)
    borders = [0, *updates, table.num_rows]
    pieces = list(itertools.pairwise(borders))
    for i, (start, end) in enumerate(pieces):
        inside = [cut - start for cut in cuts if start < cut < end]
        meter.update(
            stream(table.slice(start, end - start), inside),
            columns=roles_of(c),
            null_labels=c["null_labels"],
            threads=threads,
            final=i == len(pieces) - 1,
        )
    return meter


def outcome(c: Case, cuts: Sequence[int], **how: Any) -> bytes | tuple[str, str, int | None]:
    """Give a state's bytes, or the error: comparable."""
    try:
        return evaluated(c, cuts, **how).to_bytes()
    except LogitmeterError as error:
        return type(error).__name__, str(error), error.position


def tokens(c: Case, cuts: Sequence[int], rows: str = "counted") -> list[dict[str, Any]]:
    scores = _core.token_scores(
        stream(table_of(c), cuts),
        settings_of(c),
        columns=roles_of(c) | {"keep": ["labels"]},
        null_labels=c["null_labels"],
        rows=rows,  # type: ignore[arg-type]
    )
    return [
        row for batch in iter(scores.next_batch, None) for row in pa.record_batch(batch).to_pylist()
    ]


# The comparison.


def check_failure(c: Case, want: Failure, got: LogitmeterError) -> None:
    assert type(got).__name__ == EXCEPTIONS[want.kind]
    assert got.position == want.position
    assert got.row in (want.position - c["shift"], None)
    if want.kind in MESSAGES:
        assert str(got).startswith(MESSAGES[want.kind])


def oracle_scores(c: Case) -> dict[int, rows.Score | rows.Invalid]:
    x = logits_of(c).astype(float).tolist()
    labels = c["labels"]
    found: dict[int, rows.Score | rows.Invalid] = {}
    for row, values in enumerate(x):
        position = row + c["shift"]
        label = labels[position] if position < len(labels) else None
        allowed = range(c["vocab"]) if c["allowed"] is None else c["allowed"]
        if label is not None and label in allowed:
            found[row] = rows.score(values, label, c["allowed"])
    return found


def close(got: float, want: float) -> bool:
    return (
        got == want
        or (math.isnan(got) and math.isnan(want))
        or abs(got - want) <= 2e-6 * abs(want) + 1e-320
    )


def check_part(got: dict[str, Any], want: dict[str, Any]) -> None:
    for name in ("num_tokens", "num_correct", "num_sequences", "num_ties", "num_invalid"):
        assert got[name] == want[name], name
    for name in ("loss", "accuracy", "accuracy_strict", "accuracy_optimistic", "mrr", "sum_weight",
                 "sequence_accuracy", "accuracy_stderr", "accuracy_stderr_naive", "perplexity",
                 "effective_number"):  # fmt: skip
        assert close(got[name], want[name]), (name, got[name], want[name])
    for name in ("loss_stderr", "loss_stderr_naive"):
        assert abs(got[name] - want[name]) < 1e-4 or math.isnan(got[name])
        assert math.isnan(got[name]) == math.isnan(want[name])
    assert all(close(got["top_k_accuracy"][k - 1], x) for k, x in want["top_k_accuracy"].items())


def check_report(c: Case, want: Counted, summary: Any) -> None:
    expected = metrics.report(
        want,
        oracle_scores(c),
        sequences_known=c["sequence_id"] is not None,
        nonfinite=c["nonfinite"],
    )
    for name in (
        "num_runs",
        "num_short_left",
        "num_short_right",
        "num_unscored",
        "hidden_label_ids",
    ):
        assert summary[name] == expected[name], name
    for part in ("whole", "visible", "hidden"):
        check_part(summary["total"][part], expected[part])
    groups = {key[0]: parts for key, parts in summary["groups"]}
    assert set(groups) == (set() if c["group"] is None else set(expected["groups"]))
    for key, parts in groups.items():
        for part in ("whole", "visible", "hidden"):
            check_part(parts[part], expected["groups"][key][part])
    assert summary["num_rows"] == len(c["labels"])
    for name in ("num_nan_rows", "num_posinf_rows", "num_neginf_labels"):
        assert summary[name] == expected["whole"][name], name


def check_tokens(c: Case, want: Counted, cuts: Sequence[int]) -> None:
    got = tokens(c, cuts)
    scored = [t for t in want.tokens if not t.invalid or c["nonfinite"] != "omit"]
    assert [(t["position"], t["row"], t["hidden"]) for t in got] == [
        (t.position, t.row, t.hidden) for t in scored
    ]
    assert all(t["labels"] == c["labels"][t["position"]] for t in got)
    every = tokens(c, cuts, "all")
    assert [t["position"] for t in every] == list(range(len(c["labels"])))
    assert [t["labels"] for t in every] == c["labels"]
    assert str([t for t in every if t["row"] is not None]) == str(got)


def law(c: Case, *, labels_first: bool = False) -> Counted | Failure:
    """Ask the oracle of roles where there are some, else that of masks."""
    oracle = count if c["role"] is None else count_by_role
    return oracle(labels_first=labels_first, **c)


def check_case(c: Case, rng: random.Random) -> None:
    length = len(c["labels"])
    want = law(c)
    whole = outcome(c, [])
    if isinstance(want, Failure):
        with pytest.raises(LogitmeterError) as caught:
            evaluated(c, [])
        check_failure(c, want, caught.value)
    else:
        check_report(c, want, evaluated(c, []).summary())
        check_tokens(c, want, random_cuts(rng, length))
    for cuts in (cut_every(1, length), cut_every(7, length), random_cuts(rng, length)):
        assert outcome(c, cuts) == whole
        assert outcome(c, cuts, updates=random_cuts(rng, length), threads=2) == whole


def check_labels_first(c: Case) -> None:
    """See that the look without logits raises everything but a row without a distribution."""
    want = law(c, labels_first=True)
    table = table_of(c).drop_columns("logits")
    try:
        found = _core.check(
            stream(table, []),
            [settings_of(c)],
            columns=roles_of(c),
            vocab_size=c["vocab"],
            null_labels=c["null_labels"],
        )[0]
    except LogitmeterError as error:
        assert isinstance(want, Failure)
        check_failure(c, want, error)
        return
    assert isinstance(want, Counted) or want.kind == "nonfinite"
    if isinstance(want, Counted):
        assert found["num_visible"] == sum(not t.hidden for t in want.tokens)
        assert found["num_hidden"] == sum(t.hidden for t in want.tokens)
        assert found["hidden_label_ids"] == want.hidden_label_ids
