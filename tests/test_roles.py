"""Tokens selected by role: every way to give the roles, and what does not go with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter import cli
from logitmeter.exceptions import DTypeError, LabelError, SettingsError, ShapeError

if TYPE_CHECKING:
    from pathlib import Path

ROLES = np.array([
    ["prompt", "prompt", "hidden", "visible", "hidden", "visible", "hidden", "prompt"],
    ["prompt", "hidden", "visible", "visible", "visible", "hidden", "prompt", "prompt"],
])  # fmt: skip
B, T, V = 2, 8, 5
RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(size=(B, T, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, (B, T))
TOLD = lm.evaluate(LOGITS, LABELS, role=ROLES)


def table(**columns: Any) -> pa.Table:
    logits = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), V)
    return pa.table({
        "logits": logits,
        "labels": LABELS.ravel(),
        "sequence_id": np.repeat(np.arange(B), T),
        **columns,
    })  # fmt: skip


def nll(where: Any) -> float:
    wide = LOGITS.astype(float)
    found = np.log(np.exp(wide).sum(-1)) - np.take_along_axis(wide, LABELS[..., None], -1)[..., 0]
    return float(found[where].mean())


def test_visible_and_hidden_tokens_are_those_of_the_roles() -> None:
    assert TOLD.visible.loss == pytest.approx(nll(ROLES == "visible"), rel=1e-6)
    assert TOLD.hidden.loss == pytest.approx(nll(ROLES == "hidden"), rel=1e-6)
    assert TOLD.loss == pytest.approx(nll(ROLES != "prompt"), rel=1e-6)
    assert (TOLD.num_runs, TOLD.visible.num_tokens, TOLD.hidden.num_tokens) == (2, 5, 5)
    assert (TOLD.has_roles, TOLD.has_mask) == (True, False)


@pytest.mark.parametrize(
    "roles",
    [
        ROLES.ravel().tolist(),
        ROLES.astype(object).ravel(),
        pa.array(ROLES.ravel().tolist()).dictionary_encode(),
        pa.chunked_array([ROLES.ravel().tolist()[:3], ROLES.ravel().tolist()[3:]]),
        pa.array(ROLES.ravel().tolist(), pa.large_string()),
        pa.array(ROLES.ravel().tolist(), pa.string_view()),
    ],
    ids=["list", "objects", "dictionary", "chunks", "large", "views"],
)
def test_roles_of_every_kind(roles: Any) -> None:
    assert lm.evaluate(table(), role=roles) == TOLD
    assert lm.evaluate(table(part=roles), role="part") == TOLD


def test_a_column_of_roles_is_used_where_there_is_no_mask() -> None:
    with_roles = table(role=ROLES.ravel())
    assert lm.evaluate(with_roles) == TOLD
    masked = with_roles.append_column("mask", pa.array((ROLES == "visible").ravel()))
    by_mask = lm.evaluate(masked)
    assert (by_mask.num_tokens, by_mask.has_mask, by_mask.has_roles) == (5, True, False)
    assert lm.evaluate(masked, role="role") == TOLD
    assert lm.evaluate(lm.scan(masked, columns={"mask": None})) == TOLD
    unused = lm.evaluate(lm.scan(with_roles, columns={"role": None}))
    assert (unused.num_tokens, unused.has_roles) == (16, False)
    renamed = with_roles.rename_columns(["logits", "labels", "sequence_id", "part"])
    assert lm.evaluate(lm.scan(renamed, columns={"role": "part"})) == TOLD


def test_roles_in_files_and_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "dump.arrow")
    dump = table(part=ROLES.ravel())
    with pa.ipc.new_file(path, dump.schema) as writer:
        writer.write_table(dump, max_chunksize=3)
    assert lm.evaluate(path, role="part") == TOLD
    assert cli.main(["evaluate", path, "--role", "part", "--json", "--no-progress"]) == 0
    assert json.loads(capsys.readouterr().out)["visible"]["loss"] == TOLD.visible.loss


def test_every_function_selects_by_role() -> None:
    found = lm.check(LOGITS, LABELS, role=ROLES)
    assert (found.ok, found.num_visible, found.num_hidden, found.num_runs) == (True, 5, 5, 2)
    scores = lm.token_scores(LOGITS, LABELS, role=ROLES).numpy("hidden")
    assert np.array_equal(scores == 1, ROLES == "hidden")
    assert np.array_equal(np.isnan(scores), ROLES == "prompt")
    sequences = lm.sequence_scores(LOGITS, LABELS, role=ROLES).read_all()
    assert sequences["num_tokens"].to_pylist() == [5, 5]
    meter = lm.Meter()
    for b in range(B):
        meter.update(LOGITS[b : b + 1], LABELS[b : b + 1], role=ROLES[b : b + 1])
    assert meter.compute() == TOLD


def test_a_report_says_that_it_selected_by_role() -> None:
    said = " ".join(str(TOLD).split())
    assert "Counted 2 replies in 2 sequences: 5 visible tokens and 5 hidden ones (by role)." in said
    shown = str(lm.evaluate(table(role=np.repeat(["prompt", "visible"], 8)))).split()
    assert "Counted 1 reply in 1 sequence: 8 visible tokens and 0 hidden ones" in " ".join(shown)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"role": ROLES, "mask": ROLES == "visible"}, "role and mask both say"),
        ({"role": ROLES, "leading": 1}, "leading=1, trailing=0"),
        ({"role": ROLES, "trailing": 2}, r"trailing=2 .* columns=\{'role': None\}"),
    ],
)
def test_roles_exclude_mask_leading_and_trailing(options: Any, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        lm.evaluate(LOGITS, LABELS, **options)


def test_a_column_of_roles_excludes_leading_too() -> None:
    with pytest.raises(SettingsError, match="column 'role' says by role which"):
        lm.evaluate(table(role=ROLES.ravel()), leading=1)
    with pytest.raises(SettingsError, match="roles say which tokens are hidden"):
        lm.Meter(trailing=1)._core.update(table(role=ROLES.ravel()), columns={"role": "role"})


@pytest.mark.parametrize(
    ("role", "got"), [(None, "null"), ("assistant", '"assistant"'), ("Hidden", '"Hidden"')]
)
def test_an_unknown_role_is_an_error_by_position(role: Any, got: str) -> None:
    roles = ROLES.ravel().tolist()
    roles[0] = roles[9] = role
    with pytest.raises(LabelError, match=rf"role is {got} at position 0; expected") as caught:
        lm.evaluate(table(), role=pa.array(roles))
    error = caught.value
    assert (error.position, error.row, error.got) == (0, 0, got)
    assert str(error).endswith("columns={'role': None} leaves a column of other roles unused")
    assert error.expected == '"prompt", "visible" or "hidden"'
    assert lm.check(table(), role=pa.array(roles)).problems[0].position == 0


def test_roles_of_another_type_or_shape() -> None:
    with pytest.raises(DTypeError, match="role given as int64: strings are needed"):
        lm.evaluate(LOGITS, LABELS, role=np.zeros((B, T), int))
    with pytest.raises(DTypeError, match='column "role" has type Int64; expected strings'):
        lm.evaluate(table(role=np.zeros(B * T, int)))
    with pytest.raises(ShapeError, match=r"role has shape \[2, 3\]"):
        lm.evaluate(LOGITS, LABELS, role=ROLES[:, :3])


def test_an_open_sequence_goes_on_as_it_began() -> None:
    meter = lm.Meter().update(LOGITS[0], LABELS[0], role=ROLES[0], final=False)
    with pytest.raises(SettingsError, match="the open sequence began with a role"):
        meter.update(LOGITS[1], LABELS[1], mask=np.ones(T, bool))
    meter.update(LOGITS[1], LABELS[1], role=ROLES[1])
    assert meter.update(LOGITS[1], LABELS[1], mask=np.ones(T, bool)).compute().num_tokens == 18
