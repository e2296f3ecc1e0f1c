"""The demo's own parts, each against something simpler; at the end the demo itself, small."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import log_softmax

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo"
sys.path.insert(0, str(DEMO))  # its files are scripts beside each other, not a package

baseline = importlib.import_module("baseline")
dump = importlib.import_module("dump")
measure = importlib.import_module("measure")
model = importlib.import_module("model")
table = importlib.import_module("table")
text = importlib.import_module("text")
vocabulary = importlib.import_module("vocabulary")
sys.path.remove(str(DEMO))

V = 41


def toy(seed: int, number: int) -> list[Any]:
    """Chats over a vocabulary of V: a prompt, a reply, two hidden tokens."""
    random = np.random.default_rng(seed)
    chats = []
    for _ in range(number):
        prompt, reply = random.integers(1, 5), random.integers(1, 9)
        words = random.zipf(1.5, prompt + reply) % (V - 10)
        visible = np.repeat([False, True, False], np.array([prompt, reply, 2]))
        ids = np.append(words, [V - 2, V - 1]).astype(np.int32)
        chats.append(vocabulary.Tokens(ids, visible))
    return chats


@pytest.fixture(scope="module")
def learnt() -> Any:
    return model.NGram([chat.ids for chat in toy(1, 40)], V)


@pytest.fixture
def written(learnt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Any]]:
    """Write a small dump in many batches, so that labels and runs cross their borders."""
    monkeypatch.setattr(dump, "BATCH_BYTES", 2 * V * 3)
    path, chats = tmp_path / "logits.arrow", toy(2, 12)
    dump.write(path, learnt, chats, "recipe")
    return path, chats


# ---- text ----------------------------------------------------------------------------------------


def test_held_out_topics_and_paragraphs_are_unseen_in_training() -> None:
    training, held_out = text.split(text.help_topics())
    assert training
    assert held_out
    assert not {c.topic for c in training} & {c.topic for c in held_out}
    assert not {c.key for c in training} & {c.key for c in held_out}
    assert (training, held_out) == text.split(dict(reversed(text.help_topics().items())))


def test_a_paragraph_quoted_by_another_topic_goes_where_the_held_out_topic_is() -> None:
    topics = {f"t{i}": f"Paragraph of {i}.\n\n   Quoted\n   by all." for i in range(40)}
    training, held_out = text.split(topics)
    assert [c.topic for c in held_out if c.key == "Quoted by all."] == [
        min(topics, key=text._hash),
    ]
    assert not [c for c in training if c.key == "Quoted by all."]


def test_headings_are_no_replies() -> None:
    topic = 'The "x"\n*******\n\n   x ::= y\n   y\n\nIt is.\n'
    assert [c.reply for c in text._paragraphs("x", topic)] == ["x ::= y\ny", "It is."]


# ---- vocabulary ----------------------------------------------------------------------------------


def test_a_conversation_is_encoded_in_the_chat_format_and_decodes_to_itself() -> None:
    encoding = vocabulary.chat_encoding(vocabulary.token_table())
    assert encoding.max_token_value + 1 == 100_277
    chat = text.Conversation("yield", 2, 'A "yield" statement:\n   yield <expr>  # ≠ <|im_end|>')
    tokens = vocabulary.encode(chat, encoding)
    written = (
        f"<|im_start|>user<|im_sep|>{chat.question}<|im_end|>"
        f"<|im_start|>assistant<|im_sep|>{chat.reply}<|im_end|><|endoftext|>"
    )
    assert encoding.decode(tokens.ids.tolist()) == written
    assert encoding.decode(tokens.ids[tokens.visible].tolist()) == chat.reply
    assert tokens.ids[-2:].tolist() == [100265, 100257]
    assert np.flatnonzero(tokens.visible)[-1] == len(tokens.ids) - 3
    # Special tokens written by a user are text: only the format's own are one token.
    assert np.sum(tokens.ids == vocabulary.IM_END) == 2


def test_a_table_that_is_not_the_published_one_is_refused_by_name() -> None:
    with pytest.raises(vocabulary.VocabularyError, match=r"a/table: .*expected sha256 2239.*got"):
        vocabulary.checked(b"IQ== 0\n", "a/table")


def test_rows_are_filled_with_whole_conversations() -> None:
    chats = toy(3, 9)
    lengths = np.cumsum([len(chat.ids) for chat in chats])
    assert len(vocabulary.first_rows(chats, lengths[4])) == 5
    assert len(vocabulary.first_rows(chats, lengths[4] - 1)) == 4


# ---- model ---------------------------------------------------------------------------------------


def kneser_ney(corpus: list[list[int]], context: tuple[int, ...], token: int) -> float:
    """Follow the definition, recursively and from the corpus each time."""
    order = len(context) + 1
    padded = [[-1] * 3 + ids for ids in corpus]
    grams = [tuple(ids[i : i + 4]) for ids in padded for i in range(len(ids) - 3)]
    for length in range(3, order - 1, -1):
        grams = sorted({gram[-length - 1 :] for gram in grams})
        grams = [gram[1:] for gram in grams]
    counts = {gram: grams.count(gram) for gram in set(grams)}
    n1, n2 = (sum(count == n for count in counts.values()) for n in (1, 2))
    discount = n1 / (n1 + 2 * n2) if n1 and n2 else 0.75
    lower = kneser_ney(corpus, context[1:], token) if context else 1 / V
    after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
    total = sum(after.values())
    if not total:
        return lower
    own = max(after.get(token, 0) - discount, 0) / total
    return own + discount * len(after) / total * lower


def test_the_model_is_kneser_ney() -> None:
    corpus = [[1, 2, 3, 1, 2, 4], [1, 2, 3, 5], [2, 3, 1, 2, 3, 1, 6], [7]]
    learnt = model.NGram([np.array(ids, np.int32) for ids in corpus], V)
    for history in ([1], [1, 2], [1, 2, 3], [9, 2, 3], [1, 9], [4, 1, 2, 3, 1]):
        context = tuple(([-1] * 3 + history)[-3:])
        expected = [kneser_ney(corpus, context, token) for token in range(V)]
        found = learnt.probabilities(learnt.predict(np.array(history, np.int32)))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_every_distribution_sums_to_one_and_leaves_nothing_out(learnt: Any) -> None:
    for chat in toy(4, 10):
        for end in range(1, len(chat.ids) + 1):
            prediction = learnt.predict(chat.ids[:end])
            dense = learnt.probabilities(prediction)
            assert dense.sum() == pytest.approx(1, abs=1e-12)
            assert dense.min() > 0
            assert [learnt.probability(prediction, i) for i in range(V)] == dense.tolist()


def test_the_format_is_learnt(learnt: Any) -> None:
    prediction = learnt.predict(np.array([3, 1, 2, V - 2], np.int32))
    assert learnt.probability(prediction, V - 1) > 0.9


# ---- dump ----------------------------------------------------------------------------------------


def test_the_dump_holds_the_model_to_half_precision(
    learnt: Any, written: tuple[Path, list[Any]]
) -> None:
    path, chats = written
    read = pa.ipc.open_file(path).read_all()
    assert read["logits"].num_chunks > 10
    assert read["labels"].to_pylist() == np.concatenate([c.ids for c in chats]).tolist()
    assert read["mask"].to_pylist() == np.concatenate([c.visible for c in chats]).tolist()
    sequence = [i for i, chat in enumerate(chats) for _ in chat.ids]
    assert read["sequence_id"].to_pylist() == sequence
    logits = np.array(read["logits"].to_pylist(), np.float64)
    assert np.abs(logits).max() < 32
    rows = [learnt.predict(chat.ids[: t + 1]) for chat in chats for t in range(len(chat.ids))]
    expected = np.log([learnt.probabilities(row) for row in rows])
    np.testing.assert_allclose(log_softmax(logits, axis=1), expected, atol=2**-6)
    offsets = logits.max(axis=1) - expected.max(axis=1)
    assert np.ptp(offsets) > 4  # real logits: not normalised, each row in its own way


def test_a_kept_dump_is_used_only_if_recipe_and_bytes_are_the_same(
    written: tuple[Path, list[Any]],
) -> None:
    path, chats = written
    facts = dump.kept(path, "recipe")
    assert facts is not None
    assert facts.rows == sum(len(chat.ids) for chat in chats)
    assert dump.kept(path, "another recipe") is None
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert dump.kept(path, "recipe") is None
    dump.remove(path)
    assert list(path.parent.iterdir()) == []


def test_a_dump_that_fails_half_way_leaves_nothing(learnt: Any, tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        dump.write(tmp_path / "logits.arrow", learnt, toy(5, 3), "recipe", full)
    assert list(tmp_path.iterdir()) == []


# ---- baseline ------------------------------------------------------------------------------------


def expected_parts(path: Path) -> dict[str, tuple[float, int, int]]:
    """Score the file in a plain loop in float64."""
    rows = pa.ipc.open_file(path).read_all().to_pylist()
    found: dict[str, list[tuple[float, bool]]] = {"visible": [], "hidden": [], "whole": []}
    for t in range(1, len(rows)):
        before = [
            rows[t - back]["mask"]
            for back in (1, 2)
            if t >= back and rows[t - back]["sequence_id"] == rows[t]["sequence_id"]
        ]
        kind = "visible" if rows[t]["mask"] else "hidden" if any(before) else None
        if kind:
            logits = np.array(rows[t - 1]["logits"], np.float64)
            label = rows[t]["labels"]
            score = (-log_softmax(logits)[label], int(np.argmax(logits)) == label)
            found[kind].append(score)
            found["whole"].append(score)
    return {
        kind: (float(np.mean([nll for nll, _ in scores])), len(scores), sum(ok for _, ok in scores))
        for kind, scores in found.items()
    }


@pytest.mark.parametrize(("method", "rtol"), [("chunked", 3e-7), ("naive", 1e-14)])
def test_the_baselines_agree_with_a_plain_loop(
    method: str, rtol: float, written: tuple[Path, list[Any]]
) -> None:
    path, chats = written
    parts = getattr(baseline, method)(str(path))
    assert parts["hidden"].num_tokens == 2 * len(chats)
    for kind, (loss, tokens, correct) in expected_parts(path).items():
        assert parts[kind].loss == pytest.approx(loss, rel=rtol)
        assert (parts[kind].num_tokens, parts[kind].num_correct) == (tokens, correct)


def test_the_chunk_scorer_keeps_its_precision_over_a_large_vocabulary() -> None:
    random = np.random.default_rng(6)
    logits = (random.normal(0, 4, (8, 100_277)) + random.normal(0, 8, (8, 1))).astype(np.float16)
    labels = random.integers(0, 100_277, 8)
    logits[3, labels[3]] = 30
    nll, correct = baseline.chunk_scorer()(logits, labels)
    expected = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(8), labels]
    np.testing.assert_allclose(nll, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(correct, logits.argmax(axis=1) == labels)


def test_the_model_s_own_loss_is_what_the_dump_scores_to(
    written: tuple[Path, list[Any]],
) -> None:
    path, _ = written
    facts = dump.kept(path, "recipe")
    assert baseline.naive(str(path))["visible"].loss == pytest.approx(facts.model_loss, abs=2e-3)


# ---- measuring -----------------------------------------------------------------------------------


def runs_with(chunked: Any) -> Any:
    part = baseline.Part(2.0, 100, 50)
    parts = dict.fromkeys(("visible", "hidden", "whole"), part)
    runs = {
        name: [measure.Run(1.0, 10, 30, parts)]
        for name in (measure.OURS, measure.OURS_ONE, measure.NAIVE)
    }
    return runs | {measure.CHUNKED: [measure.Run(3.0, None, None, parts | {"whole": chunked})]}


def test_a_result_that_differs_is_found() -> None:
    part = baseline.Part(2.0, 100, 50)
    assert measure.disagreements(runs_with(part)) == []
    assert measure.disagreements(runs_with(replace(part, loss=2.0 + 1.9e-6))) == []
    for wrong in (
        replace(part, loss=2.0 + 2.1e-6),
        replace(part, loss=float("nan")),
        replace(part, num_tokens=101),
        replace(part, num_correct=49),
    ):
        (line,) = measure.disagreements(runs_with(wrong))
        assert line.startswith("whole: NumPy, chunked (run 1)")


def test_logitmeter_s_own_runs_must_have_the_same_bits() -> None:
    runs = runs_with(baseline.Part(2.0, 100, 50))
    parts = dict.fromkeys(("visible", "hidden", "whole"), baseline.Part(2.0 + 1e-15, 100, 50))
    runs[measure.OURS_ONE] = [measure.Run(1.0, 10, 30, parts)]
    assert len(measure.disagreements(runs)) == 3


def test_ratios_and_memory() -> None:
    runs = runs_with(baseline.Part(2.0, 100, 50))
    assert measure.ratios(runs, measure.CHUNKED, measure.OURS) == (3.0, 3.0, 3.0)
    assert runs[measure.OURS][0].memory_grown == 20
    assert runs[measure.CHUNKED][0].memory_grown is None


def test_sizes_are_said_as_people_say_them() -> None:
    assert [table.size(n) for n in (None, 999, 14e6, 1_002_822_050)] == [
        "unavailable",
        "999 B",
        "14 MB",
        "1.00 GB",
    ]


# ---- the whole, small ----------------------------------------------------------------------------


def test_the_demo_runs_and_its_results_agree(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO / "main.py"), "--rows", "300", "--repeats", "1"]
    command += ["--dir", str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - our own file
        [*command, "--keep"], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # the bar is for terminals
    assert max(map(len, done.stdout.splitlines())) <= 100
    for words in ("visible reply", "hidden tokens", "faster than NumPy, chunked", "trailing=2"):
        assert words in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logits.arrow", "logits.json"]
    facts = json.loads((tmp_path / "logits.json").read_text())
    assert facts["vocab_size"] == 100_277


def test_without_keep_the_dump_is_removed_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO / "main.py"), "--rows", "3", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)  # noqa: S603 - our own file
    assert done.returncode == 2
    assert "too few for one conversation" in done.stderr
    assert list(tmp_path.iterdir()) == []
