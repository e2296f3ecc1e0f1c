"""llama.cpp's files of logits, written by a plain writer of the tests and read as scores."""

from __future__ import annotations

import json
import math
import os
import struct
from typing import TYPE_CHECKING, Any

import llama_writer
import logitmeter as lm
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from logitmeter.cli import main
from logitmeter.exceptions import (
    CorruptInputError,
    InputChangedError,
    LabelError,
    SettingsError,
    ShapeError,
)

if TYPE_CHECKING:
    from pathlib import Path

INF = math.inf


def data(
    chunks: int = 3, n_ctx: int = 8, vocab: int = 11, spread: float = 3.0, seed: int = 1
) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(chunks, n_ctx, vocab)) * spread).astype(np.float32)
    return logits, rng.integers(0, vocab, (chunks, n_ctx)).astype(np.int32)


def written(path: Path, **options: Any) -> llama_writer.Written:
    return llama_writer.write(path, *data(**options))


# What is read.


@pytest.mark.parametrize("n_ctx", [2, 3, 8, 9])
@pytest.mark.parametrize("vocab", [1, 2, 11, 700])
@pytest.mark.parametrize("memory_map", [False, True])
def test_the_perplexity_of_the_file_is_reproduced(
    tmp_path: Path, n_ctx: int, vocab: int, *, memory_map: bool
) -> None:
    """Within 1e-6, over the first chunks too: as llama.cpp prints it chunk by chunk."""
    path = tmp_path / "base.kld"
    want = written(path, n_ctx=n_ctx, vocab=vocab)
    for k, perplexity in enumerate(want.running() if want.chunk_rows else [], 1):
        source = lm.scan(path, memory_map=memory_map, limit=k * want.chunk_rows)
        report = lm.evaluate(source)
        assert report.perplexity == pytest.approx(perplexity, rel=1e-6)
        assert report.num_sequences == k
    if not want.chunk_rows:
        with pytest.warns(lm.exceptions.NothingCountedWarning):
            assert lm.evaluate(path).num_tokens == 0


def test_losses_are_those_stored_and_near_the_true_ones(tmp_path: Path) -> None:
    want = written(tmp_path / "x", chunks=20, n_ctx=40, vocab=50, spread=2.0)
    scores = lm.token_scores(tmp_path / "x").numpy("nll")
    assert not any(want.censored)
    assert scores == pytest.approx(np.maximum(want.stored, 0), abs=4e-6)
    assert scores == pytest.approx(want.true, abs=1.3e-4)
    report = lm.evaluate(tmp_path / "x")
    assert report.num_bounded == 0
    assert report.loss_bounds == (report.loss, report.loss)
    assert (report.vocab_size, report.elements, report.scored) == (50, (), True)


def test_a_certain_token_loses_nothing(tmp_path: Path) -> None:
    """Rounding may put its log-probability a little above 0; a loss is never below 0."""
    scale = np.float32(1e-4)
    low = -np.float32(65535) * scale
    above, below = (float(np.nextafter(low, np.float32(end))) for end in (0, -INF))
    rows = [(float(scale), start, [65535, 1]) for start in (above, below)]
    scores = lm.token_scores(file_of(tmp_path / "x", rows, [0, 0])).numpy("nll")
    assert scores[0] == 0
    assert math.copysign(1, scores[0]) == 1
    assert 0 < scores[1] < 1e-6


def test_the_floor_censors(tmp_path: Path) -> None:
    """Cut off at 16 nats, a label is anything above; its row's other entries are what they are."""
    want = written(tmp_path / "x", chunks=6, n_ctx=20, vocab=40, spread=9.0)
    assert 5 < sum(want.censored) < 50
    report = lm.evaluate(tmp_path / "x")
    assert report.num_bounded == sum(want.censored)
    assert report.loss == pytest.approx(math.fsum(want.stored) / len(want.stored), rel=1e-6)
    assert report.loss_bounds[1] == INF
    assert report.loss <= math.fsum(want.true) / len(want.true) + 1.3e-4
    found = json.loads(report.to_json())
    assert found["perplexity"] == pytest.approx(want.running()[-1], rel=1e-6)
    assert (found["loss_bounds"][1], found["num_bounded"]) == (None, sum(want.censored))
    table = lm.token_scores(tmp_path / "x").read_all().to_pydict()
    assert [high == INF for high in table["nll_high"]] == want.censored
    assert not any(
        ties for ties, censored in zip(table["ties"], want.censored, strict=True) if censored
    )


def file_of(path: Path, rows: list[tuple[float, float, list[int]]], labels: list[int]) -> Path:
    """Write one chunk of rows as they are given."""
    vocab = len(rows[0][2])
    n_ctx = 2 * len(rows) + 1
    tokens = [0] * (n_ctx - len(rows)) + labels
    out = struct.pack(f"<8siii{n_ctx}i", b"_logits_", n_ctx, vocab, 1, *tokens)
    for scale, low, words in rows:
        out += struct.pack(f"<ff{vocab + vocab % 2}H", scale, low, *words, *[0] * (vocab % 2))
    path.write_bytes(out)
    return path


def test_ranks_and_ties_by_hand(tmp_path: Path) -> None:
    """Of equal words the lower id comes first; at a floor all that is known is what lies above."""
    wide = 16 / 65535
    rows = [
        (1e-4, -7.0, [9, 65535, 9, 65535]),
        (1e-4, -7.0, [9, 65535, 9, 65535]),
        (1e-4, -7.0, [9, 65535, 9, 65535]),
        (1e-4, -7.0, [0, 65535, 7, 0]),
        (wide, -17.0, [0, 65535, 7, 0]),
        (0.0, -math.log(4), [0, 0, 0, 0]),
    ]
    path = file_of(tmp_path / "x", rows, [1, 3, 2, 3, 3, 2])
    scores = lm.token_scores(path).read_all().to_pydict()
    assert scores["rank"] == [0, 1, 3, 3, 2, 2]
    assert scores["rank_high"] == [0, 1, 3, 3, 3, 2]
    assert scores["ties"] == [1, 1, 1, 1, 0, 3]
    float32 = np.array([1e-4, -7.0, wide], np.float32).astype(float)
    assert scores["nll"][:3] == [-(float32[0] * q + float32[1]) for q in (65535, 65535, 9)]
    assert scores["nll"][3:5] == [7.0, 17.0]
    assert scores["nll_high"][3:5] == [7.0, INF]
    report = lm.evaluate(path)
    assert report.accuracy == 1 / 6
    assert report.accuracy_strict == 0
    assert report.accuracy_optimistic == 3 / 6  # both of the first two, and the row of equals
    assert report.num_bounded == 1


def test_masks_groups_and_files(tmp_path: Path) -> None:
    """Whatever counts counts as ever; each file numbers its chunks anew."""
    one, two = (written(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 2)))
    report = lm.evaluate([tmp_path / "a", tmp_path / "b"], by="file")
    assert report.num_sequences == 6
    assert report.groups[str(tmp_path / "b")].perplexity == pytest.approx(
        two.running()[-1], rel=1e-6
    )
    mask = np.arange(9) % 3 == 0
    masked = lm.evaluate(tmp_path / "a", mask=mask, trailing=1)
    assert (masked.visible.num_tokens, masked.hidden.num_tokens) == (3, 3)
    kept = np.array(one.stored)[mask].mean()
    assert masked.visible.loss == pytest.approx(kept, rel=1e-6)


def test_the_command_line_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    want = written(tmp_path / "x", spread=9.0, vocab=40)
    assert main(["evaluate", str(tmp_path / "x"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["perplexity"] == pytest.approx(want.running()[-1], rel=1e-6)
    assert found["num_bounded"] == sum(want.censored) > 0
    assert main(["check", str(tmp_path / "x")]) == 0
    assert "vocabulary 40" in capsys.readouterr().out


# What cannot be read.


def test_every_cut_names_path_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "x"
    written(path, chunks=2, n_ctx=6, vocab=5)
    whole = path.read_bytes()
    for size in range(8, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptInputError, match=f"cut short at {size} bytes") as caught:
            lm.evaluate(path)
        assert (caught.value.path, caught.value.offset) == (str(path), size)
    path.write_bytes(whole[:-3])
    with pytest.raises(CorruptInputError, match="it ends in row 1 of chunk 1"):
        lm.evaluate(path)
    path.write_bytes(whole[:12])
    with pytest.raises(CorruptInputError, match="where the text is too short for its context"):
        lm.evaluate(path)
    path.write_bytes(whole + b"\0\0")
    with pytest.raises(CorruptInputError, match="2 bytes behind the last row"):
        lm.evaluate(path)


@pytest.mark.parametrize(
    ("n_ctx", "vocab", "chunks", "message"),
    [
        (0, 5, 1, "n_ctx is 0"),
        (-8, 5, 1, "n_ctx is -8"),
        (8, 0, 1, "n_vocab is 0"),
        (8, 2**30, 1, "n_vocab is 1073741824"),
        (8, 5, -1, "n_chunk is -1"),
        (2**31 - 1, 2**24, 2**31 - 1, "cut short at 4096 bytes"),
    ],
)
def test_numbers_of_the_header_that_cannot_be(
    tmp_path: Path, n_ctx: int, vocab: int, chunks: int, message: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(struct.pack("<8siii", b"_logits_", n_ctx, vocab, chunks).ljust(4096, b"\0"))
    with pytest.raises(CorruptInputError, match=message) as caught:
        lm.evaluate(path)
    assert caught.value.path == str(path)
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    ("scale", "low", "message"),
    [
        (math.nan, -7.0, "a row of scale nan"),
        (INF, -7.0, "a row of scale inf"),
        (-1e-4, -7.0, "a row of scale -0.0001"),
        (1e-4, -INF, "lowest log-probability -inf"),
        (1e-4, 3.0, "a log-probability of 9.55"),
    ],
)
def test_rows_that_cannot_be(tmp_path: Path, scale: float, low: float, message: str) -> None:
    good, words = (1e-4, -7.0), [1, 65535, 3]
    path = file_of(tmp_path / "x", [(*good, words), (scale, low, words)], [1, 1])
    with pytest.raises(CorruptInputError, match=message) as caught:
        lm.evaluate(path)
    assert caught.value.offset == 20 + 4 * 5 + 16
    assert caught.value.path == str(path)


def test_labels_out_of_range_are_named_by_position(tmp_path: Path) -> None:
    row = (1e-4, -7.0, [1, 65535, 3])
    for label in (3, -1, 2**31 - 1):
        path = file_of(tmp_path / "x", [row, row], [1, label])
        with pytest.raises(LabelError, match=f"label {label} at position 1") as caught:
            lm.evaluate(path)
        assert (caught.value.position, caught.value.path) == (1, str(path))
        assert lm.evaluate(path, mask=np.array([True, False])).num_tokens == 1
        assert not lm.check(path).ok


def test_other_files_beside_it(tmp_path: Path) -> None:
    written(tmp_path / "a")
    written(tmp_path / "b", vocab=12)
    with pytest.raises(ShapeError, match=r"a vocabulary of 12, but .* has 11") as caught:
        lm.evaluate([tmp_path / "a", tmp_path / "b"])
    assert caught.value.path == str(tmp_path / "b")
    (tmp_path / "c").write_bytes(b"_logits2" + bytes(60))
    with pytest.raises(CorruptInputError, match="a fork's second layout"):
        lm.evaluate(tmp_path / "c")
    with pytest.raises(SettingsError, match="this needs rows of logits"):
        lm.log_softmax(tmp_path / "a")
    with pytest.raises(SettingsError, match="valid_vocab and vocab_mask leave entries out"):
        lm.evaluate(tmp_path / "a", valid_vocab=5)


def test_a_file_in_a_store_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "base.kld"
    written(path)
    store = MemoryFileSystem()
    store.pipe_file("/llama/base.kld", path.read_bytes())
    found = lm.evaluate("memory://llama/base.kld")
    assert found.to_json() == lm.evaluate(path).to_json()
    with pytest.raises(SettingsError, match="is on no disk"):
        lm.evaluate(lm.scan("memory://llama/base.kld", memory_map=True))


def test_no_dump_is_written_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "base.kld"
    written(path)
    writer = lm.DumpWriter(tmp_path / "dump.arrow", vocab_size=11)
    with pytest.raises(SettingsError, match="this needs rows of logits"):
        writer.write(path)


def test_a_file_that_changes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    written(path, chunks=4)
    source = lm.scan(path)
    assert lm.evaluate(source).num_tokens == 12
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(InputChangedError, match="the file changed") as caught:
        lm.evaluate(source)
    assert caught.value.path == str(path)
