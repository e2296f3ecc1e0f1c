"""Training data as OpenAI has it: what is read from it, and what is refused by its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import pytest
from logitmeter.exceptions import CorruptInputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER = {"role": "user", "content": "?"}
RED = {"role": "assistant", "content": "RED"}
BLUE = {"role": "assistant", "content": "BLUE"}
SUM = {"id": "c1", "type": "function", "function": {"name": "sum", "arguments": "{}"}}
CALL = {"role": "assistant", "content": None, "tool_calls": [SUM]}


def visible(train: Any, **options: Any) -> list[str]:
    """Give the visible text of each conversation."""
    table = lm.finetune.chat_tokens(train, model="gpt-4o", **options)
    encoding = lm.finetune.chat_encoding("gpt-4o")
    texts = [""] * (1 + max(table["sequence_id"].to_pylist()))
    for label, mask, sequence in zip(
        *(table[name].to_pylist() for name in ("labels", "mask", "sequence_id")), strict=True
    ):
        texts[sequence] += encoding.decode([label]) if mask else ""
    return texts


# ---- what is read --------------------------------------------------------------------------------


def test_every_reply_of_a_conversation_counts_but_those_of_weight_0() -> None:
    skipped = RED | {"weight": 0}
    assert visible([USER, BLUE, USER, skipped, USER, RED | {"weight": 1}]) == ["BLUERED"]
    counts = lm.finetune.visible_counts([USER, BLUE, USER, skipped], model="gpt-4o")
    assert counts == [(1, 1)]
    assert lm.finetune.visible_counts([USER, skipped], model="gpt-4o") == [(0, 0)]
    listing = lm.finetune.token_listing([USER, skipped], model="gpt-4o")
    reasons = {token.why for token in listing.conversations[0].tokens}
    assert reasons == {"given (user)", "weight 0"}


def test_parts_of_text_follow_each_other() -> None:
    parts = [{"type": "text", "text": "BL"}, {"type": "text", "text": "UE"}]
    assert visible([USER, {"role": "assistant", "content": parts}]) == ["BLUE"]
    table = lm.finetune.chat_tokens([USER, {"role": "assistant", "content": parts}], model="o1")
    assert table.equals(lm.finetune.chat_tokens([USER, BLUE], model="o1"))


def test_calls_are_a_reply_each_and_so_is_a_text_before_them() -> None:
    both = CALL | {"content": "Look:", "tool_calls": [SUM, SUM | {"id": "c2"}]}
    assert visible([USER, both]) == ["Look: to=functions.sum{} to=functions.sum{}"]
    sep_and_end = 2 * 3
    listing = lm.finetune.token_listing([USER, both], model="gpt-4o")
    assert (listing.num_replies, listing.num_hidden) == (3, sep_and_end)


def test_a_text_that_is_empty_beside_calls_is_none() -> None:
    assert visible([USER, CALL | {"content": ""}]) == [" to=functions.sum{}"]
    counts = lm.finetune.visible_counts([USER, {"role": "assistant", "content": ""}], model="o3")
    assert counts == [(0, 1)]


def test_the_older_calls_are_the_same_tokens() -> None:
    older = {"role": "assistant", "function_call": {"name": "sum", "arguments": "{}"}}
    answer = {"role": "function", "name": "sum", "content": "3"}
    new = lm.finetune.chat_tokens([USER, CALL], model="gpt-4")
    old = lm.finetune.chat_tokens([USER, older], model="gpt-4")
    assert old["labels"].equals(new["labels"])
    assert visible([USER, older, answer, BLUE]) == [" to=functions.sum{}BLUE"]


def test_tools_stand_below_the_instructions_or_in_front() -> None:
    tools = [{"type": "function", "function": {"name": "sum"}}]
    system = {"role": "system", "content": "Be brief."}
    encoding = lm.finetune.chat_encoding("gpt-4o")
    below = lm.finetune.chat_tokens(
        [{"messages": [system, USER, BLUE], "tools": tools}], model="o1"
    )
    older = [{"messages": [system, USER, BLUE], "functions": [{"name": "sum"}]}]
    front = lm.finetune.chat_tokens([{"messages": [USER, BLUE], "tools": tools}], model="o1")
    text = encoding.decode(below["labels"].to_pylist())
    assert text.startswith("<|im_start|>system<|im_sep|>Be brief.\n\n# Tools\n\n## functions\n\n")
    assert below.equals(lm.finetune.chat_tokens(older, model="o1"))
    assert encoding.decode(front["labels"].to_pylist()).startswith("<|im_start|>system<|im_sep|>#")
    assert front["message"].to_pylist()[0] is None
    assert set(front["message"].to_pylist()) == {None, 0, 1}
    assert front["role"].to_pylist()[-3:] == ["hidden", "visible", "hidden"]


def test_preference_data() -> None:
    example = {
        "input": {"messages": [USER, RED, USER], "tools": []},
        "preferred_output": [BLUE],
        "non_preferred_output": [RED],
    }
    assert visible([example]) == visible([example], output="preferred") == ["BLUE"]
    assert visible([example], output="non_preferred") == ["RED"]
    table = lm.finetune.chat_tokens([example], model="gpt-4o")
    assert table["field"].to_pylist()[-2] == "preferred_output[0].content"
    assert table["message"].to_pylist()[-1] == 3
    tokens = lm.finetune.token_listing([example], model="gpt-4o").conversations[0].tokens
    assert {token.why for token in tokens if token.text == '"RED"'} == {"given (context)"}


def test_what_says_nothing_is_passed_over() -> None:
    dumped: dict[str, Any] = BLUE | {
        "refusal": None,
        "audio": None,
        "annotations": [],
        "tool_calls": None,
    }
    example = {"messages": [USER, dumped], "parallel_tool_calls": False, "id": 7}
    assert visible([example]) == ["BLUE"]


def test_what_looks_like_a_special_token_is_text() -> None:
    text = "<|im_end|><|im_start|>assistant"
    table = lm.finetune.chat_tokens([USER, {"role": "assistant", "content": text}], model="gpt-4o")
    assert table["labels"].to_pylist().count(200264) == 2
    assert visible([USER, {"role": "assistant", "content": text}]) == [text]


# ---- what is refused, by its line ----------------------------------------------------------------


def assistant(**more: Any) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", **more}]}


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}, BLUE]}


SPEAKERS = "one of system, developer, user, assistant, tool, function"
SHAPES = (
    'an object with "messages", or with "input", "preferred_output", "non_preferred_output", got '
)
PARTS = '"text" (how other parts become tokens is not known)'
REFUSED: list[tuple[Any, str]] = [
    ("{", "expected JSON, got Expecting property name enclosed in double quotes at character 1"),
    ('{"messages": [], "messages": []}', "expected JSON, got the key 'messages' twice"),
    ("[" * 100_000, "expected JSON, got maximum recursion depth exceeded"),
    (b'{"messages": "\xff"}', "expected UTF-8, got byte 0xff at 14"),
    ([USER, BLUE], f"expected {SHAPES}a list of 2"),
    ({}, f"expected {SHAPES}an object with no keys"),
    ({"text": "x"}, f"expected {SHAPES}an object with 'text'"),
    (
        {"prompt": "?", "completion": "!"},
        f"expected {SHAPES}prompt and completion (they have no chat format)",
    ),
    ({"messages": []}, "messages: expected a list of messages, got a list of 0"),
    ({"messages": [USER]}, "expected a message of the assistant, to train on, got none"),
    ({"messages": ["hi"]}, 'messages[0]: expected a message: an object with a role, got "hi"'),
    ({"messages": [{"content": "x"}]}, f"messages[0].role: expected {SPEAKERS}, got nothing"),
    ({"messages": [{"role": "bot"}]}, f'messages[0].role: expected {SPEAKERS}, got "bot"'),
    (user(None), "messages[0].content: expected a string or a list of parts, got null"),
    (user([]), "messages[0].content: expected a string or a list of parts, got a list of 0"),
    (user(["x"]), 'messages[0].content[0]: expected a part: an object with a type, got "x"'),
    (
        user([{"type": "image_url", "image_url": {"url": "data:"}}]),
        f'messages[0].content[0].type: expected {PARTS}, got "image_url"',
    ),
    (user([{"type": "text"}]), "messages[0].content[0].text: expected a string, got nothing"),
    (
        '{"messages": [{"role": "user", "content": "ab\\ud83d"}]}',
        "messages[0].content: expected text, got half of a surrogate pair, U+D83D at character 2",
    ),
    (assistant(), "messages[1].content: expected a string or a list of parts, got nothing"),
    (assistant(content="x", weight=0.5), "messages[1].weight: expected 0 or 1, got 0.5"),
    (assistant(content="x", weight=True), "messages[1].weight: expected 0 or 1, got true"),
    (assistant(content="x", weight="1"), 'messages[1].weight: expected 0 or 1, got "1"'),
    (
        {"messages": [USER | {"weight": 0}, BLUE]},
        (
            "messages[0].weight: expected no weight here: only an assistant's message has one, "
            "got it on user's"
        ),
    ),
    (
        assistant(content="x", reasoning="y"),
        (
            "messages[1]: expected a message of assistant with the keys content, function_call, "
            "name, role, tool_calls, weight, got 'reasoning'"
        ),
    ),
    (assistant(content="x", name=""), "messages[1].name: expected a string that is not empty, "),
    (assistant(tool_calls={}), "messages[1].tool_calls: expected a list of calls, got an object"),
    (
        assistant(tool_calls=[1]),
        "messages[1].tool_calls[0]: expected a call: an object with a function, got 1",
    ),
    (
        assistant(tool_calls=[{"type": "custom", "custom": {}}]),
        (
            'messages[1].tool_calls[0].type: expected "function" (no other kind of call is known), '
            'got "custom"'
        ),
    ),
    (
        assistant(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}]),
        (
            "messages[1].tool_calls[0].function.arguments: expected a string that holds JSON, "
            "got an object with 'a'"
        ),
    ),
    (
        assistant(function_call={"name": "", "arguments": ""}),
        'messages[1].function_call.name: expected the function\'s name, got ""',
    ),
    (
        {"messages": [USER, CALL, {"role": "tool", "tool_call_id": "c2", "content": ""}]},
        'messages[2].tool_call_id: expected the id of a call in an earlier message, got "c2"',
    ),
    (
        {"messages": [{"role": "function", "content": "3"}, BLUE]},
        "messages[0].name: expected the name of the function that answers, got nothing",
    ),
    ({"messages": [USER, BLUE], "tools": {}}, "tools: expected a list, got an object with no keys"),
    ({"messages": [USER, BLUE], "tools": [1]}, "tools[0]: expected an object with a function, "),
    (
        {"messages": [USER, BLUE], "tools": [{"type": "web_search"}]},
        'tools[0].type: expected "function" (no other kind of tool is known), got "web_search"',
    ),
    (
        {"messages": [USER, BLUE], "functions": [{}]},
        (
            "functions[0]: expected an object with a name, a description and parameters, "
            "got an object with no keys"
        ),
    ),
    ({"preferred_output": [BLUE]}, "input: expected an object with messages, got nothing"),
    (
        {"input": {"messages": [USER]}, "non_preferred_output": [BLUE]},
        "preferred_output: expected a list of messages, got nothing",
    ),
    (
        {"input": {"messages": [USER]}, "preferred_output": [USER]},
        'preferred_output[0].role: expected "assistant", got "user"',
    ),
]


def written(example: Any) -> bytes:
    if isinstance(example, bytes):
        return example
    return (example if isinstance(example, str) else json.dumps(example)).encode()


@pytest.fixture
def third_line(tmp_path: Path) -> Callable[[Any], Path]:
    """Write an example as the third line of a file, the second of which is empty."""

    def write(example: Any) -> Path:
        path = tmp_path / "train.jsonl"
        good = json.dumps({"messages": [USER, BLUE]}).encode()
        path.write_bytes(b"\n".join([good, b"", written(example), good]))
        return path

    return write


@pytest.mark.parametrize(("example", "message"), REFUSED)
def test_refused(example: Any, message: str, third_line: Callable[[Any], Path]) -> None:
    path = third_line(example)
    with pytest.raises(CorruptInputError) as caught:
        lm.finetune.visible_counts(path, model="gpt-4o")
    assert str(caught.value).startswith(f"{path}: line 3: {message}")
    assert caught.value.path == str(path)
    assert f"expected {caught.value.expected}" in message
    assert caught.value.got is not None


@pytest.mark.parametrize("function", [lm.finetune.chat_tokens, lm.finetune.token_listing])
def test_all_functions_refuse(
    function: Callable[..., Any], third_line: Callable[[Any], Path]
) -> None:
    with pytest.raises(CorruptInputError, match=r"line 3: messages\[1\]\.content: expected"):
        function(third_line(assistant()), model="gpt-4o")


def test_what_is_no_file_is_named_as_an_example() -> None:
    with pytest.raises(CorruptInputError, match=r"^example 2: messages\[1\]\.content: expected"):
        lm.finetune.visible_counts(
            [{"messages": [USER, BLUE]}, {"messages": [USER, {"role": "assistant"}]}], model="o1"
        )


@pytest.mark.parametrize("train", [3, None, {"messages": [USER, BLUE]}, b"x"])
def test_what_is_no_training_data(train: Any) -> None:
    with pytest.raises(SettingsError, match="training data: a path, a list of examples"):
        lm.finetune.visible_counts(train, model="gpt-4o")


def test_no_examples(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n \n")
    with pytest.raises(CorruptInputError, match="expected training examples, got none"):
        lm.finetune.chat_tokens(path, model="gpt-4o")
    with pytest.raises(CorruptInputError, match="expected training examples, got none"):
        lm.finetune.chat_tokens([], model="gpt-4o")
    with pytest.raises(FileNotFoundError):
        lm.finetune.chat_tokens(tmp_path / "none.jsonl", model="gpt-4o")


def test_which_output_is_one_of_two() -> None:
    with pytest.raises(SettingsError, match="output='best': supported is 'preferred' or"):
        lm.finetune.chat_tokens([USER, BLUE], model="gpt-4o", output="best")  # type: ignore[arg-type]
