"""Chats to tokens: ids that are known, an oracle, harmony's own renderer, and what must hold."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import hypothesis.strategies as st
import logitmeter as lm
import pyarrow as pa
import pytest
from oracle import chats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import tiktoken

USER = {"role": "user", "content": "?"}
BLUE = {"role": "assistant", "content": "BLUE"}
COLUMNS = ["labels", "mask", "sequence_id", "speaker", "role", "message", "field", "start", "end"]


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **more}


def rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


# ---- ids that are known --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "ids"),
    [
        (
            "cl100k_base",
            [100264, 882, 100266, 30, 100265, 100264, 78191, 100266, 65430, 100265],
        ),
        (
            "o200k_base",
            [200264, 1428, 200266, 30, 200265, 200264, 173781, 200266, 134698, 200265],
        ),
    ],
)
def test_a_colour(encoding: str, ids: list[int]) -> None:
    table = lm.finetune.chat_tokens([{"messages": [USER, BLUE]}], encoding=encoding)
    assert table.column_names == COLUMNS
    assert table["labels"].to_pylist() == ids
    assert table["mask"].to_pylist() == [False] * 8 + [True, False]
    assert table["role"].to_pylist() == ["prompt"] * 7 + ["hidden", "visible", "hidden"]
    assert table["speaker"].to_pylist() == ["user"] * 5 + ["assistant"] * 5
    assert rows(table, "message", "field", "start", "end")[3] == (0, "messages[0].content", 0, 1)
    assert rows(table, "message", "field", "start", "end")[8] == (1, "messages[1].content", 0, 4)
    assert rows(table, "field", "start", "end")[9] == (None, None, None)


def test_a_call_has_a_hidden_token_inside_and_one_behind() -> None:
    chat = [USER, calling(call("get", '{"a":1}'))]
    table = lm.finetune.chat_tokens(chat, model="gpt-4o")
    encoding = lm.finetune.chat_encoding("gpt-4o")
    counted = [(label, role) for label, role in rows(table, "labels", "role") if role != "prompt"]
    parts = [
        (role, encoding.decode([label for label, _ in group]))
        for role, group in itertools.groupby(counted, key=lambda token: token[1])
    ]
    assert parts == [
        ("visible", " to=functions.get"),
        ("hidden", "<|im_sep|>"),
        ("visible", '{"a":1}'),
        ("hidden", "<|im_end|>"),
    ]
    assert set(table["field"].to_pylist()) == {
        None,
        "messages[0].content",
        "messages[1].tool_calls[0].function.arguments",
    }


# ---- the oracle ----------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
ASKED = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user"]), "content": WORDS},
    optional={"name": NAMES},
)
REPLIED = st.builds(lambda text: {"role": "assistant", "content": text}, WORDS)
CALLED = st.builds(lambda name, arguments: calling(call(name, arguments)), NAMES, WORDS)
CHATS = st.lists(ASKED | REPLIED | CALLED, max_size=5).map(lambda chat: [*chat, BLUE])


@pytest.fixture(scope="module")
def oracle_encoding() -> Callable[[str], tiktoken.Encoding]:
    return functools.cache(chats.extended)


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
@hypothesis.given(data=st.lists(CHATS, min_size=1, max_size=3))
@hypothesis.settings(max_examples=60)
def test_as_the_oracle(name: str, data: list[list[dict[str, Any]]], oracle_encoding: Any) -> None:
    examples = [{"messages": chat} for chat in data]
    table = lm.finetune.chat_tokens(examples, encoding=name)
    expected = [chats.tokens(chat, oracle_encoding(name), name) for chat in data]
    assert rows(table, "labels", "role") == [token for chat in expected for token in chat]
    assert table["sequence_id"].to_pylist() == [i for i, chat in enumerate(expected) for _ in chat]
    assert lm.finetune.visible_counts(examples, encoding=name) == [
        (
            sum(token.role == "visible" for token in tokens),
            sum(message["role"] == "assistant" for message in chat),
        )
        for chat, tokens in zip(data, expected, strict=True)
    ]


# ---- harmony: the renderer that OpenAI publishes -------------------------------------------------

WEATHER = {
    "type": "object",
    "description": "Where and how.",
    "properties": {
        "place": {"type": "string", "title": "Place", "examples": ["Berlin", "Rome"]},
        "unit": {"type": "string", "enum": ["C", "F"], "default": "C", "description": "Degrees."},
        "days": {"type": "array", "items": {"type": "integer"}, "nullable": True},
        "near": {
            "type": "object",
            "properties": {"km": {"type": "number", "default": 1.5}, "any": {}},
            "required": ["km"],
        },
        "id": {"type": ["integer", "string"], "default": "none"},
        "all": {"type": "array"},
        "hot": {"type": "boolean", "default": False},
    },
    "required": ["place", "days"],
}


@pytest.fixture(scope="module")
def harmony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give OpenAI's renderer; it wants the vocabulary under another name."""
    import openai_harmony

    folder = tmp_path_factory.mktemp("harmony")
    cached = Path(os.environ["TIKTOKEN_CACHE_DIR"]) / "fb374d419588a4632f3f557e76b4b70aebbca790"
    shutil.copy(cached, folder / "o200k_base.tiktoken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_ENCODINGS_BASE", str(folder))
        yield openai_harmony.load_harmony_encoding("HarmonyGptOss")


def test_as_harmony_renders_it(harmony: Any) -> None:
    import openai_harmony as oh

    tools = [
        oh.ToolDescription.new("weather", "Looks\nout.", parameters=WEATHER),
        oh.ToolDescription.new("locate", "Where the user is."),
    ]
    instructions = oh.DeveloperContent.new().with_instructions("Be brief.")
    message, role = oh.Message.from_role_and_content, oh.Role
    answer = oh.Message.from_author_and_content(oh.Author.new(role.TOOL, "functions.locate"), "EU")
    expected = harmony.render_conversation_for_training(
        oh.Conversation.from_messages(
            [
                message(role.DEVELOPER, instructions.with_function_tools(tools)),
                oh.Message.from_author_and_content(oh.Author.new(role.USER, "bob"), "hi"),
                message(role.ASSISTANT, "Hello.").with_channel("final"),
                message(role.ASSISTANT, "A moment.").with_channel("commentary"),
                message(role.ASSISTANT, "{}")
                .with_channel("commentary")
                .with_recipient("functions.locate")
                .with_content_type("<|constrain|>json"),
                answer.with_channel("commentary").with_recipient("assistant"),
                message(role.ASSISTANT, "Hi, EU 👋").with_channel("final"),
            ]
        )
    )
    functions: list[dict[str, Any]] = [
        {"name": "weather", "description": "Looks\nout.", "parameters": WEATHER},
        {"name": "locate", "description": "Where the user is."},
    ]
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "name": "bob", "content": "hi"},
        {"role": "assistant", "content": "Hello."},
        calling(call("locate", "{}"), content="A moment."),
        {"role": "tool", "tool_call_id": "c1", "content": "EU"},
        {"role": "assistant", "content": "Hi, EU 👋"},
    ]
    tools_given = [{"type": "function", "function": function} for function in functions]
    example = {"messages": chat, "tools": tools_given}
    table = lm.finetune.chat_tokens([example], model="gpt-oss-20b")
    assert table["labels"].to_pylist() == expected
    counted = [label for label, of in rows(table, "labels", "role") if of == "hidden"]
    assert [n for n in counted if n >= 200000] == [
        *(200005, 200008, 200007),  # <|channel|>final<|message|> ... <|end|>
        *(200005, 200008, 200007),  # a text that goes on with a call
        *(200005, 200003, 200008, 200012),  # the call, <|call|>
        *(200005, 200008, 200002),  # the last reply, <|return|>
    ]


# ---- what must hold ------------------------------------------------------------------------------


@hypothesis.given(chat=CHATS, name=st.sampled_from(["o200k_base", "o200k_harmony"]))
@hypothesis.settings(max_examples=100)
def test_offsets_cover_each_text(chat: list[dict[str, Any]], name: str) -> None:
    table = lm.finetune.chat_tokens(chat, encoding=name)
    encoding = lm.finetune.chat_encoding(encoding=name)
    texts: dict[str, str] = {}
    for number, message in enumerate(chat):
        if "content" in message:
            texts[f"messages[{number}].content"] = message["content"]
        else:
            path = f"messages[{number}].tool_calls[0].function.arguments"
            texts[path] = message["tool_calls"][0]["function"]["arguments"]
    covered = dict.fromkeys(texts, 0)
    for label, field, start, end in rows(table, "labels", "field", "start", "end"):
        if field is None:
            assert (start, end) == (None, None)
            continue
        assert start <= covered[field] <= end
        assert start < end
        covered[field] = end
        with contextlib.suppress(UnicodeDecodeError):  # a part of a character
            said = encoding.decode_single_token_bytes(label).decode()
            # Harmony writes a heading and a developer's text together: a token may be of both.
            assert said.endswith(texts[field][start:end])
            assert said == texts[field][start:end] or (start == 0 and name == "o200k_harmony")
    assert covered == {path: len(text) for path, text in texts.items()}


@hypothesis.given(data=st.lists(CHATS, min_size=1, max_size=3))
@hypothesis.settings(max_examples=30)
def test_a_file_a_list_and_each_alone_are_the_same(
    data: list[list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "train.jsonl"
    lines = [
        json.dumps({"messages": chat}, ensure_ascii=bool(i % 2)) for i, chat in enumerate(data)
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(lines).encode())
    whole = lm.finetune.chat_tokens(str(path), model="gpt-4o")
    listed = lm.finetune.chat_tokens([{"messages": chat} for chat in data], model="gpt-4o")
    alone = [lm.finetune.chat_tokens(chat, model="gpt-4o") for chat in data]
    assert whole.equals(listed)
    assert whole.drop(["sequence_id"]).equals(
        pa.concat_tables(alone).drop(["sequence_id"]).combine_chunks()
    )


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [{"messages": [USER, BLUE, calling(call("f", "{}"))]} for _ in range(20)]
    whole = lm.finetune.chat_tokens(data, model="gpt-4")
    monkeypatch.setattr("logitmeter.finetune.table._BLOCK", 7)
    assert lm.finetune.chat_tokens(data, model="gpt-4").equals(whole)
