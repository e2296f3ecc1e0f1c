"""Profiles: what each counts, by hand; together as alone, to the bit; what cannot go together."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from law import dice, random_cuts, stream
from logitmeter import _core, cli
from logitmeter.exceptions import (
    LabelError,
    NonFiniteError,
    NothingCountedWarning,
    SettingsError,
    ShortRunError,
    StateVersionError,
)
from logitmeter.profiles import Profile, builtin, get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

B, T, V = 6, 10, 7
RANDOM = np.random.default_rng(21)
LOGITS = RANDOM.normal(size=(B, T, V)).astype(np.float32)
LABELS = RANDOM.integers(0, V, (B, T))
MASK = np.zeros((B, T), bool)
for b, (first, last) in enumerate([(3, 4), (3, 6), (3, 3), (4, 6), (3, 6), (5, 6)]):
    MASK[b, first : last + 1] = True
BATCHES = np.array([0, 0, 0, 1, 1, 2])
NAMES = list(builtin())
DATA: dict[str, Any] = {"mask": MASK, "batch_id": BATCHES}


def nll() -> Any:
    wide = LOGITS.astype(float)
    return np.log(np.exp(wide).sum(-1)) - np.take_along_axis(wide, LABELS[..., None], -1)[..., 0]


NLL = nll()
RIGHT = LOGITS.argmax(-1) == LABELS


def grown(leading: int, trailing: int) -> Any:
    """Give the mask with so many more positions on either side."""
    where = MASK.copy()
    for b in range(B):
        inside = np.flatnonzero(MASK[b])
        where[b, inside[0] - leading : inside[-1] + trailing + 1] = True
    return where


def means(where: Any, values: Any) -> Any:
    return np.array([values[b][where[b]].mean() for b in range(B)])


def batch_means(values: Any) -> Any:
    inside = [np.equal(BATCHES, k) for k in range(3)]
    return np.array([values[k][MASK[k]].mean() for k in inside])


EXPECTED = {
    "openai": (NLL[grown(1, 1)].mean(), RIGHT[grown(1, 1)].mean()),
    "openai-post": (NLL[grown(0, 2)].mean(), RIGHT[grown(0, 2)].mean()),
    "visible": (NLL[MASK].mean(), RIGHT[MASK].mean()),
    "azure": (NLL[MASK].mean(), np.mean([RIGHT[b][MASK[b]].all() for b in range(B)])),
    "sequence-mean": (means(MASK, NLL).mean(), means(MASK, RIGHT).mean()),
    "hf": (
        np.average(batch_means(NLL), weights=[3, 2, 1]),
        np.average(batch_means(RIGHT), weights=[3, 2, 1]),
    ),
    "trl": (batch_means(NLL).mean(), batch_means(RIGHT).mean()),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_each_profile_counts(name: str) -> None:
    report = lm.evaluate(LOGITS, LABELS, profile=name, **DATA)
    loss, accuracy = EXPECTED[name]
    assert report.loss == pytest.approx(loss, rel=1e-6)
    assert report.accuracy == pytest.approx(accuracy, rel=1e-12)
    assert report.settings["profile"] == name
    assert report.settings["profile_source"] == builtin()[name].source
    claimed = name.startswith("openai")
    assert report.settings["selected_by"] == ("leading and trailing" if claimed else "mask")


def test_the_posts_arithmetic() -> None:
    """A reply of one visible token: loss = -(log p1 + log p2 + log p3) / 3."""
    p = np.array([0.5, 0.25, 0.9, 0.8])
    logits = 1.0 + np.log(np.stack([p, 1 - p], -1))[None]
    labels, mask = np.zeros((1, 4), int), np.array([[0, 1, 0, 0]])
    found = lm.evaluate_profiles(logits, ["openai-post", "visible"], labels, mask=mask)
    assert found["openai-post"].loss == pytest.approx(-np.log(p[1:]).sum() / 3)
    assert found["openai-post"].accuracy == 2 / 3
    assert found["visible"].loss == pytest.approx(-math.log(0.25))


# By role


ROLES = np.where(MASK, "visible", "prompt").astype(object)
ROLES[0, 2] = ROLES[0, 4] = ROLES[1, 0] = ROLES[3, 9] = "hidden"


def chat_table(**more: Any) -> pa.Table:
    logits = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), V)
    ids = np.repeat(np.arange(B), T)
    return pa.table({
        "logits": logits, "labels": LABELS.ravel(), "mask": MASK.ravel(), "sequence_id": ids,
        "batch_id": BATCHES[ids], "role": pa.array(ROLES.ravel().tolist()), **more,
    })  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_profiles_select_by_role_where_there_are_roles(name: str) -> None:
    report = lm.evaluate(chat_table(), profile=name)
    assert (report.has_roles, report.has_mask) == (True, False)
    assert report.settings["selected_by"] == "role"
    hidden = int((ROLES == "hidden").sum()) if name.startswith("openai") else 0
    assert report.hidden.num_tokens == hidden
    assert report.visible.num_tokens == (ROLES == "visible").sum()
    if hidden:
        assert report.loss == pytest.approx(NLL[ROLES != "prompt"].mean(), rel=1e-6)
        assert "hidden ones (by role). Profile openai" in " ".join(str(report).split())


def test_a_mask_of_the_call_is_data_and_wins() -> None:
    report = lm.evaluate(chat_table(), profile="openai", mask="mask")
    assert report.loss == pytest.approx(EXPECTED["openai"][0], rel=1e-6)
    assert report.settings["selected_by"] == "leading and trailing"
    unused = lm.scan(chat_table(), columns={"role": None})
    assert lm.evaluate(unused, profile="openai") == report


# Together as alone


def ways(folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    table = chat_table(task=np.repeat(np.arange(B) % 2, T))
    yield table, {"by": "task"}
    yield table.drop_columns("role").to_reader(7), {"by": "task"}
    path = str(folder / "dump.arrow")
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=13)
    yield path, {"by": ["task", "file"], "threads": 2}


def test_together_is_alone_to_the_bit(tmp_path: Path) -> None:
    assert together(LOGITS, LABELS, **DATA) == alone(LOGITS, LABELS, **DATA)
    for source, data in ways(tmp_path):
        rows = source.read_all() if isinstance(source, pa.RecordBatchReader) else source
        source = rows.to_reader(7) if rows is not source else source  # noqa: PLW2901
        assert together(source, **data) == alone(rows, **data)


def together(source: Any, *labels: Any, **data: Any) -> dict[str, lm.Report]:
    return lm.evaluate_profiles(source, NAMES, *labels, **data)


def alone(source: Any, *labels: Any, **data: Any) -> dict[str, lm.Report]:
    return {name: lm.evaluate(source, *labels, profile=name, **data) for name in NAMES}


@pytest.mark.parametrize("seed", range(4))
def test_together_under_shift_whatever_the_cuts(seed: int) -> None:
    """Rows that carry over a cut, and rows held for a later reply, are shared too."""
    rng = dice(seed)
    table = chat_table().drop_columns("role")
    settings = [settings_of(get(name).replace(shift=True)) for name in NAMES]
    columns: Any = {"batch_id": "batch_id"}
    single = [_core.Meter(s) for s in settings]
    for meter in single:
        meter.update(table, columns=columns)
    for cuts in (list(range(1, B * T)), random_cuts(rng, B * T), [7, 14, 50]):
        shared = [_core.Meter(s) for s in settings]
        _core.update_all(shared, stream(table, cuts), columns=columns, threads=2)
        assert [m.to_bytes() for m in shared] == [m.to_bytes() for m in single]


def settings_of(profile: Profile) -> _core.Settings:
    from logitmeter.arguments import counting_settings

    return counting_settings(None, **profile.options())


def test_the_source_is_read_once() -> None:
    class Once:
        """A stream that can be opened again, and counts how often it is."""

        opened = 0

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            Once.opened += 1
            return chat_table().to_reader(9).__arrow_c_stream__(requested_schema)

    found = lm.evaluate_profiles(Once(), NAMES)
    assert Once.opened == 1
    assert found == alone(chat_table())


def test_each_row_is_scored_once() -> None:
    """Progress tells of bytes read: they do not grow with the number of profiles."""
    told: list[tuple[int, int]] = []
    for names in (NAMES[:1], NAMES):
        lm.evaluate_profiles(
            LOGITS, names, LABELS, **DATA, progress=lambda *now: told.append((now[0], now[1]))
        )
    assert told[0] == told[-1] == (B * T, LOGITS.nbytes)


# Errors: the smallest position, whichever profile, whatever the cuts


def failing(
    where: dict[str, Any], names: list[str], cuts: list[int]
) -> tuple[str, int | None, Any]:
    table = chat_table().drop_columns("role")
    for column, (position, value) in where.items():
        values = table[column].to_pylist()
        values[position] = value
        place = table.schema.get_field_index(column)
        table = table.set_column(place, column, pa.array(values, table[column].type))
    meters = [_core.Meter(settings_of(get(name))) for name in names]
    with pytest.raises((LabelError, NonFiniteError)) as caught:
        _core.update_all(meters, stream(table, cuts), columns={"batch_id": "batch_id"})
    error = caught.value
    return type(error).__name__, error.position, error.__notes__


HUGE = [math.nan] * V


@pytest.mark.parametrize(
    ("where", "names", "error", "position", "profile"),
    [
        # A hidden row only openai reads, and a visible one after it.
        ({"logits": (2, HUGE)}, ["visible", "openai"], "NonFiniteError", 2, "openai"),
        ({"logits": (6, HUGE)}, ["visible", "openai-post"], "NonFiniteError", 6, "openai-post"),
        ({"logits": (3, HUGE), "labels": (13, 99)}, NAMES, "NonFiniteError", 3, "openai"),
        ({"labels": (3, 99)}, ["trl", "openai"], "LabelError", 3, "trl"),
        ({"batch_id": (14, 7), "labels": (16, 99)}, NAMES, "SequenceError", 14, "hf"),
    ],
)
def test_the_first_error_wins(
    where: Any, names: list[str], error: str, position: int, profile: str
) -> None:
    for cuts in ([], list(range(1, B * T)), [3, 4, 30], [15]):
        found = failing(where, names, cuts)
        assert found == (error, position, [f'counted by profile "{profile}"'])


def test_an_error_of_a_profile_is_that_of_evaluate() -> None:
    labels = LABELS.copy()
    labels[0, 2] = 99
    for call in (
        lambda: lm.evaluate(LOGITS, labels, profile="openai", mask=MASK),
        lambda: lm.evaluate_profiles(LOGITS, ["visible", "openai"], labels, mask=MASK),
    ):
        with pytest.raises(LabelError, match="label 99 at position 2 is not in") as caught:
            call()
        assert caught.value.__notes__ == ['counted by profile "openai"']
    with pytest.raises(ShortRunError, match="position -1"):
        lm.evaluate(LOGITS[:, 3:], LABELS[:, 3:], profile="openai", mask=MASK[:, 3:])
    found = lm.check(LOGITS, labels, profile="openai", mask=MASK)
    assert [(p.kind, p.position) for p in found.problems] == [("LabelError", 2)]
    assert lm.check(LOGITS, labels, profile="visible", mask=MASK).ok


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("openai", {}, "counted around the runs of a mask"),
        ("sequence-mean", {"mask": MASK.ravel()}, r"pass sequence_id \(profile 'sequence-mean'\)"),
        ("trl", {"mask": MASK.ravel()}, r"pass batch_id \(profile 'trl'\)"),
        ("hf", {"mask": MASK.ravel(), "batch_id": np.repeat(BATCHES, T)}, "pass sequence_id"),
    ],
)
def test_what_a_profile_needs(name: str, data: Any, match: str) -> None:
    flat = LOGITS.reshape(-1, V)
    for call in (
        lambda: lm.evaluate(flat, LABELS.ravel(), profile=name, **data),
        lambda: lm.evaluate_profiles(flat, ["visible", name], LABELS.ravel(), **data),
    ):
        with pytest.raises(SettingsError, match=match):
            call()


BESIDE = [
    ("ignore_index", -1), ("shift", True), ("leading", 2), ("trailing", np.int64(3)),
    ("on_short", "count"), ("valid_vocab", V), ("vocab_mask", np.ones(V, bool)),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value"), BESIDE)
def test_no_counting_option_beside_a_profile(option: str, value: Any) -> None:
    spelt = "..." if option == "vocab_mask" else repr(value)
    for call in (lm.evaluate, lm.check):
        with pytest.raises(SettingsError) as caught:
            call(LOGITS, LABELS, mask=MASK, profile="visible", **{option: value})
        assert f"pass profile.replace({option}={spelt})" in str(caught.value)
    replaced = lm.profiles.get("visible").replace(**{option: value})
    assert lm.evaluate(LOGITS, LABELS, mask=MASK, profile=replaced, nonfinite="omit").num_tokens


def test_profiles_that_cannot_share_a_read() -> None:
    shifted = get("openai").replace(shift=True)
    with pytest.raises(SettingsError, match="must agree in shift, which says how rows") as caught:
        lm.evaluate_profiles(LOGITS, ["visible", shifted], LABELS, mask=MASK)
    assert (caught.value.expected, caught.value.got) == ("false", "true")
    with pytest.raises(SettingsError, match="two profiles are named 'visible'"):
        lm.evaluate_profiles(LOGITS, ["visible", "visible"], LABELS, mask=MASK)
    with pytest.raises(SettingsError, match="no profile is given"):
        lm.evaluate_profiles(LOGITS, [], LABELS)


def test_nothing_counted() -> None:
    none = np.zeros((B, T), bool)
    with pytest.warns(NothingCountedWarning) as caught:
        lm.evaluate_profiles(LOGITS, NAMES, LABELS, mask=none, batch_id=BATCHES)
    assert len(caught) == 1
    with (
        pytest.warns(NothingCountedWarning),
        pytest.raises(LabelError, match="nothing counted") as raised,
    ):
        lm.evaluate_profiles(LOGITS, ["visible"], LABELS, mask=none, on_empty="raise")
    assert raised.value.partial is not None


# The record itself


def test_a_profile_is_a_frozen_record_with_a_source() -> None:
    for name, profile in builtin().items():
        assert (profile.name, get(name), get(profile)) == (name, profile, profile)
        assert profile.source
        assert str(profile).startswith(f"{name}: ")
        assert pickle.loads(pickle.dumps(profile)) == profile  # noqa: S301 - our own bytes
        with pytest.raises(FrozenInstanceError):
            profile.leading = 3  # type: ignore[misc]


def test_a_profile_of_ones_own() -> None:
    mine = Profile("mine", leading=2, trailing=1, pooling="sequences", source="our trainer")
    assert repr(mine) == (
        "Profile('mine', leading=2, trailing=1, pooling='sequences', source='our trainer')"
    )
    claim = "mine: 2 leading and 1 trailing hidden tokens a reply"
    assert str(mine).splitlines() == [
        f"{claim} (hidden ones, where there are roles); means of per-sequence means",
        "  source: our trainer",
    ]
    where = grown(1, 1)
    report = lm.evaluate(LOGITS, LABELS, mask=MASK, profile=mine.replace(leading=1))
    assert report.loss == pytest.approx(means(where, NLL).mean(), rel=1e-6)
    assert report.settings["profile"] == "mine with leading=1"
    assert report.settings["profile_source"] == "our trainer"


def test_replacing_what_counts_renames() -> None:
    openai = get("openai")
    assert openai.replace(shift=True, ignore_index=0, valid_vocab=5).name == "openai"
    assert openai.replace(trailing=3, shift=True).name == "openai with trailing=3"
    assert openai.replace(trailing=3, name="ours").name == "ours"
    assert openai.replace(vocab_mask=np.array([True])).vocab_mask == b"\1"
    with pytest.raises(SettingsError, match="a profile has no option 'nonfinite'; it has: name"):
        openai.replace(nonfinite="omit")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"leading": -1}, "leading=-1"),
        ({"pooling": "batch"}, "pooling='batch': supported is"),
        ({"accuracy": "batches"}, "accuracy='batches': supported is 'tokens' or 'sequences'"),
        ({"hidden": 1}, "hidden=1: True or False"),
        ({"source": None}, "source=None: a string is needed"),
    ],
)
def test_a_profile_is_checked_when_it_is_made(options: Any, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        Profile("x", **options)
    with pytest.raises(SettingsError, match="no profile 'open-ai'; there are: openai, "):
        get("open-ai")


# Meters


def test_a_meter_of_a_profile_merges_and_keeps_its_name() -> None:
    whole = lm.evaluate(LOGITS, LABELS, profile="hf", **DATA)
    meters = []
    for start, stop in itertools.pairwise([0, 3, 5, 6]):
        meter = lm.Meter(profile="hf")
        part = {name: data[start:stop] for name, data in DATA.items()}
        meters.append(meter.update(LOGITS[start:stop], LABELS[start:stop], **part))
    merged = lm.Meter.from_bytes(meters[2].merge(meters[0], meters[1]).to_bytes())
    assert merged.compute() == whole
    assert merged.settings["profile"] == "hf"
    with pytest.raises(StateVersionError, match="profile: hf here, trl there"):
        merged.merge(lm.Meter(profile="trl"))
    with pytest.raises(SettingsError, match=r"profile.replace\(trailing=1\)"):
        lm.Meter(profile="hf", trailing=1)


def test_a_meter_of_a_profile_takes_roles_where_there_are_some() -> None:
    meter = lm.Meter(profile="openai").update(chat_table())
    assert meter.compute() == lm.evaluate(chat_table(), profile="openai")
    meter.update(LOGITS, LABELS, mask=MASK)
    assert meter.compute().settings["selected_by"] == "role or mask"


# The command line


@pytest.fixture
def dump(tmp_path: Path) -> str:
    path = str(tmp_path / "dump.arrow")
    table = chat_table().drop_columns("role")
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def test_one_profile_on_the_command_line(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", dump, "--profile", "hf", "--json", "--no-progress"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"] == lm.evaluate(dump, profile="hf").loss
    assert found["settings"]["profile"] == "hf"
    assert cli.main(["check", dump, "--profile", "openai"]) == 0
    assert "16 visible tokens, 12 hidden" in capsys.readouterr().out


def test_several_profiles_side_by_side(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--profile", "visible", "--profile", "openai", "--no-progress"]
    assert cli.main(["evaluate", dump, *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["visible", "16"], ["openai", "28"]]
    assert "openai: Counted 6 replies in 6 sequences: 16 visible tokens" in "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert cli.main(["evaluate", dump, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["visible", "openai", "non_finite"]
    assert found["openai"]["num_tokens"] == 28


def test_flags_beside_a_profile(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    """How the data lie can be said; what counts cannot."""
    flags = ["evaluate", dump, "--no-progress", "--profile", "openai", "--profile", "visible"]
    assert cli.main([*flags, "--shift", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["openai"]["settings"]["shift"] is True
    assert cli.main([*flags, "--leading", "0"]) == 2
    assert "profile.replace(leading=0)" in capsys.readouterr().err
    assert cli.main(["check", dump, "--profile", "openai", "--profile", "visible"]) == 2
    assert cli.main(["evaluate", dump, "--profile", "gpt"]) == 2
    assert "no profile 'gpt'" in capsys.readouterr().err
