"""Model names to encodings, special tokens, templates, vocabularies that are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tiktoken
from logitmeter.exceptions import CorruptInputError, SettingsError, VocabularyMissingError
from logitmeter.finetune.encodings import encoding_name

if TYPE_CHECKING:
    from pathlib import Path

USER = {"role": "user", "content": "?"}
BLUE = {"role": "assistant", "content": "BLUE"}
CALL = {
    "role": "assistant",
    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4.1", "o200k_base"),
        ("gpt-4.1-mini-2025-04-14", "o200k_base"),
        ("ft:gpt-4.1-2025-04-14:acme::abc", "o200k_base"),
        ("ft:gpt-4.1-nano-2025-04-14:acme:suffix:abc:ckpt-step-90", "o200k_base"),
        ("gpt-4o", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "o200k_base"),
        ("o1", "o200k_base"),
        ("ft:o4-mini-2025-04-16:acme::abc", "o200k_base"),
        ("gpt-5-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("ft:gpt-4-0613:acme::abc", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo-0613", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:acme::abc", "cl100k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("gpt-oss-120b", "o200k_harmony"),
    ],
)
def test_the_encoding_of_a_model(model: str, encoding: str) -> None:
    assert encoding_name(model) == encoding


@pytest.mark.parametrize(
    "model", ["gpt-9", "", "ft:", "davinci-002", "text-embedding-3-small", "gpt2", "claude-3"]
)
def test_a_model_that_is_not_known_or_no_chat_model(model: str) -> None:
    with pytest.raises(SettingsError, match="not a chat model whose encoding is known"):
        lm.finetune.chat_tokens([USER, BLUE], model=model)


def test_one_of_model_and_encoding() -> None:
    with pytest.raises(SettingsError, match="one of model and encoding is needed, got neither"):
        lm.finetune.chat_tokens([USER, BLUE])
    with pytest.raises(SettingsError, match="one of model and encoding is needed, got both"):
        lm.finetune.chat_tokens([USER, BLUE], model="gpt-4o", encoding="o200k_base")


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("p50k_base", "encoding 'p50k_base': known by name are cl100k_base, o200k_base, o200k_"),
        (7, "encoding: a name or a tiktoken.Encoding is needed, got a int"),
    ],
)
def test_an_encoding_that_is_not_known(encoding: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        lm.finetune.chat_tokens([USER, BLUE], encoding=encoding)
    assert str(caught.value).startswith(message)


def test_special_tokens_are_registered() -> None:
    encoding = lm.finetune.chat_encoding("gpt-4")
    assert encoding.name == "cl100k_base+cl100k_chat"
    assert encoding.encode("<|im_sep|>", allowed_special="all") == [100266]
    assert encoding.decode([100264, 100265]) == "<|im_start|><|im_end|>"
    assert encoding.n_vocab == 100277
    assert lm.finetune.chat_encoding("gpt-oss-20b").name == "o200k_harmony"


# ---- one's own encoding and template -------------------------------------------------------------

SPECIAL = {"<|start|>": 256, "<|end|>": 257}
CHATML: dict[str, Any] = {
    "name": "mine",
    "special_tokens": SPECIAL,
    "prompts": {"user": "<|start|>{role}\n{content}<|end|>\n"},
    "reply": [
        ["prompt", "<|start|>{role}\n"],
        ["visible", "{content}"],
        ["hidden", "<|end|>"],
        ["prompt", "\n"],
    ],
}


@pytest.fixture(scope="module")
def byte_encoding() -> tiktoken.Encoding:
    """Give an encoding whose tokens are bytes."""
    return tiktoken.Encoding(
        name="bytes",
        pat_str=r"[\s\S]+",
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={},
    )


@pytest.mark.parametrize("template", [CHATML, lm.finetune.Template(**CHATML)])
def test_a_template_of_one_s_own(template: Any, byte_encoding: tiktoken.Encoding) -> None:
    table = lm.finetune.chat_tokens([USER, BLUE], encoding=byte_encoding, template=template)
    prompt = [256, *b"user\n?", 257, *b"\n", 256, *b"assistant\n"]
    assert table["labels"].to_pylist() == [*prompt, *b"BLUE", 257, *b"\n"]
    assert table["role"].to_pylist() == [
        *["prompt"] * len(prompt),
        *["visible"] * 4,
        "hidden",
        "prompt",
    ]


def test_an_encoding_of_one_s_own_needs_a_template(byte_encoding: tiktoken.Encoding) -> None:
    with pytest.raises(SettingsError, match="'cl100k_chat', 'o200k_chat', 'harmony', a Template"):
        lm.finetune.chat_tokens([USER, BLUE], encoding=byte_encoding)
    own = tiktoken.get_encoding("cl100k_base")
    table = lm.finetune.chat_tokens([USER, BLUE], encoding=own, template="cl100k_chat")
    assert table.equals(lm.finetune.chat_tokens([USER, BLUE], encoding="cl100k_base"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompts": {"user": "{contents}"}}, "{contents} in '{contents}': a field is one of auth"),
        ({"prompts": {"user": "{content"}}, "'{content': "),
        ({"prompts": {"user": "{content!r}"}}, "'{content!r}': the field content stands as it is"),
        ({"prompts": {"bot": ""}}, "prompts is of system, developer, user, tool, function, got 'b"),
        ({"prompts": ["x"]}, "prompts maps str to str, got ['x']"),
        ({"special_tokens": {"<|x|>": "1"}}, "special_tokens maps str to int, got {'<|x|>': '1'}"),
        ({"prompts": {"user": "<|stop|>"}}, "<|stop|> in '<|stop|>' is not in special_tokens"),
        ({"reply": [["shown", "x"]]}, "a role is prompt, visible or hidden, got 'shown'"),
        ({"reply": [["prompt", 1]]}, "reply is a list of pairs (role, text), got [['prompt', 1]]"),
        ({"reply": ["x"]}, "reply is a list of pairs (role, text), got ['x']"),
        ({"special_tokens": {**SPECIAL, "<|x|>": 65}}, "<|x|> has id 65, but in bytes 65 is an "),
    ],
)
def test_a_template_that_cannot_be(
    changed: dict[str, Any], message: str, byte_encoding: tiktoken.Encoding
) -> None:
    template = CHATML | changed
    with pytest.raises(SettingsError) as caught:
        lm.finetune.chat_tokens([USER, BLUE], encoding=byte_encoding, template=template)
    assert str(caught.value).startswith(f"template 'mine': {message}")


def test_attributes_of_a_template_that_are_none() -> None:
    with pytest.raises(SettingsError, match=r"template: .* unexpected keyword argument 'end'"):
        lm.finetune.chat_tokens(
            [USER, BLUE], encoding="cl100k_base", template={**CHATML, "end": "x"}
        )


def test_an_id_that_another_special_token_has() -> None:
    template = {**CHATML, "special_tokens": {**SPECIAL, "<|start|>": 100257}}
    with pytest.raises(SettingsError, match=r"but in cl100k_base 100257 is <\|endoftext\|>"):
        lm.finetune.chat_tokens([USER, BLUE], encoding="cl100k_base", template=template)
    other = {**CHATML, "special_tokens": {"<|endoftext|>": 100300, **SPECIAL}}
    with pytest.raises(SettingsError, match=r"but in cl100k_base <\|endoftext\|> is 100257"):
        lm.finetune.chat_tokens([USER, BLUE], encoding="cl100k_base", template=other)


@pytest.mark.parametrize(
    ("example", "what"),
    [
        ({"messages": [{"role": "system", "content": ""}, BLUE]}, "messages of system (example 1:"),
        ({"messages": [USER, CALL]}, "calls of functions (example 1: messages[1])"),
        ({"messages": [USER, BLUE], "functions": [{"name": "f"}]}, "tools (example 1)"),
    ],
)
def test_a_message_that_the_template_has_no_form_for(
    example: dict[str, Any], what: str, byte_encoding: tiktoken.Encoding
) -> None:
    with pytest.raises(SettingsError) as caught:
        lm.finetune.chat_tokens([example], encoding=byte_encoding, template=CHATML)
    assert str(caught.value).startswith(f"template 'mine' has no form for {what}")


def test_a_name_that_the_template_writes_and_the_data_has_not() -> None:
    with pytest.raises(CorruptInputError) as caught:
        lm.finetune.chat_tokens([{"role": "tool", "content": ""}, BLUE], model="gpt-oss-20b")
    expected = "example 1: messages[0]: expected a name, which template 'harmony' writes, got none"
    assert str(caught.value) == expected


# ---- a dump of logits ----------------------------------------------------------------------------


def test_the_table_joins_a_dump_of_logits(byte_encoding: tiktoken.Encoding) -> None:
    data = [{"messages": [USER, BLUE, USER, BLUE | {"content": "RED"}]} for _ in range(3)]
    table = lm.finetune.chat_tokens(data, encoding=byte_encoding, template=CHATML)
    values = np.random.default_rng(1).normal(size=(len(table), 258)).astype(np.float32)
    logits = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 258)
    dump = table.append_column("logits", logits)
    report = lm.evaluate(dump, shift=True, trailing=1)
    counted = np.flatnonzero(np.array(table["role"].to_pylist()) != "prompt")
    labels = np.array(table["labels"].to_pylist())[counted]
    rows = values[counted - 1].astype(np.float64)
    nll = np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(len(rows)), labels]
    assert report.num_tokens == len(counted) == 3 * (4 + 1 + 3 + 1)
    assert report.hidden.num_tokens == 3 * 2
    assert report.loss == pytest.approx(nll.mean(), rel=1e-6)
    assert report.num_sequences == 3
    by_role = lm.evaluate(dump, shift=True, mask=pc.not_equal(table["role"], "prompt"))
    assert (by_role.loss, by_role.num_tokens) == (report.loss, report.num_tokens)


# ---- vocabularies that are missing ---------------------------------------------------------------


def test_a_vocabulary_that_is_missing(tmp_path: Path) -> None:
    program = "import logitmeter as lm; lm.finetune.chat_encoding('gpt-4o')"
    nowhere = "http://127.0.0.1:9"  # nobody listens there
    proxies = {f"{kind}_proxy": nowhere for kind in ("http", "https", "all")}
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, **proxies, "no_proxy": "", "TIKTOKEN_CACHE_DIR": str(tmp_path)},
    )
    assert "During handling" not in ended.stderr
    assert "above exception was the direct cause" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        "logitmeter.exceptions.VocabularyMissingError: the vocabulary of o200k_base is not on this "
        "machine, and tiktoken could not download it (ProxyError). Either set TIKTOKEN_CACHE_DIR "
        "to a folder that holds it as a file named fb374d419588a4632f3f557e76b4b70aebbca790 (where "
        "tiktoken.get_encoding('o200k_base') has worked, it lies in the folder data-gym-cache of "
        "the temporary directory), or pass encoding= a tiktoken.Encoding of your own, with "
        "template="
    )


def test_a_vocabulary_that_is_not_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(name: str) -> tiktoken.Encoding:
        raise ValueError(f"Hash mismatch for data downloaded from {name}")

    template = lm.finetune.Template(**CHATML)
    monkeypatch.setattr(tiktoken, "get_encoding", damaged)
    with pytest.raises(VocabularyMissingError, match=r"could not download it \(ValueError\)"):
        lm.finetune.chat_encoding(encoding="cl100k_base", template=template)
    assert issubclass(VocabularyMissingError, LookupError)
