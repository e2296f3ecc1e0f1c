"""The listing of tokens, and ``logitmeter finetune tokens``: all that a person reads, as text."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import logitmeter as lm
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from logitmeter.cli import main
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

CHAT = [
    {"role": "system", "content": "Ünï\x1b[31m 👍🏽"},
    {"role": "user", "content": "?"},
    {"role": "assistant", "content": "RED", "weight": 0},
    {"role": "user", "content": "?"},
    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]},
]
BLUE = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "BLUE"}]}


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    examples = [{"messages": CHAT}, BLUE, BLUE]
    path.write_text("".join(json.dumps(example) + "\n" for example in examples), "utf-8")
    return path


def test_the_listing_as_text() -> None:
    assert str(lm.finetune.token_listing(CHAT, model="gpt-4.1")) == textwrap.dedent("""\
        example 1
            id  token           role     counted  why
        200264  <|im_start|>    prompt   no       given (system)
         17360  "system"        prompt   no       given (system)
        200266  <|im_sep|>      prompt   no       given (system)
          8858  "Ü"             prompt   no       given (system)
            77  "n"             prompt   no       given (system)
          9954  "ï"             prompt   no       given (system)
           215  "\\x1b"          prompt   no       given (system)
            58  "["             prompt   no       given (system)
          2911  "31"            prompt   no       given (system)
            76  "m"             prompt   no       given (system)
        160433  " 👍"           prompt   no       given (system)
         52622  "\\xf0\\x9f\\x8f"  prompt   no       given (system)
           121  "\\xbd"          prompt   no       given (system)
        200265  <|im_end|>      prompt   no       given (system)
        200264  <|im_start|>    prompt   no       given (user)
          1428  "user"          prompt   no       given (user)
        200266  <|im_sep|>      prompt   no       given (user)
            30  "?"             prompt   no       given (user)
        200265  <|im_end|>      prompt   no       given (user)
        200264  <|im_start|>    prompt   no       weight 0
        173781  "assistant"     prompt   no       weight 0
        200266  <|im_sep|>      prompt   no       weight 0
          9935  "RED"           prompt   no       weight 0
        200265  <|im_end|>      prompt   no       weight 0
        200264  <|im_start|>    prompt   no       given (user)
          1428  "user"          prompt   no       given (user)
        200266  <|im_sep|>      prompt   no       given (user)
            30  "?"             prompt   no       given (user)
        200265  <|im_end|>      prompt   no       given (user)
        200264  <|im_start|>    prompt   no       given (opens a reply)
        173781  "assistant"     prompt   no       given (opens a reply)
           316  " to"           visible  yes      calls f
            28  "="             visible  yes      calls f
         44580  "functions"     visible  yes      calls f
          1196  ".f"            visible  yes      calls f
        200266  <|im_sep|>      hidden   yes      predicted, not in the text
         10848  "{""            visible  yes      calls f
            64  "a"             visible  yes      calls f
          1243  "":"            visible  yes      calls f
            16  "1"             visible  yes      calls f
            92  "}"             visible  yes      calls f
        200265  <|im_end|>      hidden   yes      predicted, not in the text

        1 conversation, 1 reply to learn
        counted: 11 tokens, 9 visible and 2 hidden; not counted: 31 tokens
        """).rstrip("\n")


def test_the_counts_are_of_all_conversations(train: Path) -> None:
    listing = lm.finetune.token_listing(train, model="gpt-4.1", limit=1)
    table = lm.finetune.chat_tokens(train, model="gpt-4.1")
    roles = table["role"].to_pylist()
    assert [conversation.place for conversation in listing.conversations] == ["line 1"]
    assert (listing.num_conversations, listing.num_replies) == (3, 3)
    assert listing.num_prompt == roles.count("prompt")
    assert listing.num_visible == roles.count("visible") == sum(table["mask"].to_pylist())
    assert listing.num_hidden == roles.count("hidden") == 2 * listing.num_replies
    listed = listing.conversations[0].tokens
    of_first = table.filter(pc.equal(table["sequence_id"], 0))
    assert [token.id for token in listed] == of_first["labels"].to_pylist()
    assert [token.counted for token in listed] == [
        role != "prompt" for role in of_first["role"].to_pylist()
    ]
    assert repr(listing) == (
        "TokenListing(3 conversations, 3 replies to learn; 2 conversations not listed; "
        f"counted: 17 tokens, 11 visible and 6 hidden; not counted: {listing.num_prompt} tokens)"
    )


def test_a_limit_is_a_whole_number() -> None:
    with pytest.raises(SettingsError, match="limit=-1: an integer >= 0 is needed"):
        lm.finetune.token_listing(CHAT, model="gpt-4.1", limit=-1)


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_prints_the_listing(train: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, limit in [((), 3), (("--limit", "1"), 1)]:
        assert main(["finetune", "tokens", str(train), "--model", "ft:gpt-4.1:x", *flags]) == 0
        listing = lm.finetune.token_listing(train, model="ft:gpt-4.1:x", limit=limit)
        assert capsys.readouterr() == (f"{listing}\n", "")


def test_the_command_writes_the_table(train: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens.arrow"
    arguments = ["--encoding", "o200k_harmony", "--output", "non_preferred", "--arrow", str(path)]
    assert main(["finetune", "tokens", str(train), *arguments]) == 0
    with pa.ipc.open_file(path) as reader:
        assert reader.read_all().equals(
            lm.finetune.chat_tokens(train, encoding="o200k_harmony").combine_chunks()
        )


def test_the_command_takes_a_template(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "template.json"
    template: dict[str, Any] = {
        "name": "mine",
        "special_tokens": {},
        "prompts": {"user": "{content}", "system": "{content}"},
        "reply": [["visible", "{content}"]],
        "call": [["hidden", "{name}{arguments}"]],
    }
    path.write_text(json.dumps(template))
    flags = [str(train), "--encoding", "cl100k_base", "--template"]
    assert main(["finetune", "tokens", *flags, str(path), "--limit", "0"]) == 0
    listing = lm.finetune.token_listing(train, encoding="cl100k_base", template=template, limit=0)
    assert capsys.readouterr() == (f"{listing}\n", "")
    assert main(["finetune", "tokens", *flags, "cl100k_chat", "--limit", "0"]) == 0
    listing = lm.finetune.token_listing(train, encoding="cl100k_base", limit=0)
    assert capsys.readouterr() == (f"{listing}\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["none.jsonl", "--model", "gpt-4"], 3, "none.jsonl: No such file or directory"),
        (["{train}"], 2, "one of model and encoding is needed, got neither"),
        (["{train}", "--model", "gpt-9"], 2, "model 'gpt-9': not a chat model whose encoding is"),
        (["{train}", "--model", "gpt-4", "--limit", "-1"], 2, "limit=-1: an integer >= 0 is need"),
        (["{bad}", "--model", "gpt-4"], 3, "{bad}: line 1: expected JSON, got Expecting value at "),
        (["{train}", "--model", "gpt-4", "--template", "none.json"], 3, "none.json: No such file"),
        (
            ["{train}", "--encoding", "o200k_base", "--template", "{bad}"],
            3,
            "{bad}: template: not ",
        ),
    ],
)
def test_the_command_fails(
    arguments: list[str],
    status: int,
    message: str,
    train: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = train.with_name("bad.json")
    bad.write_text("x")
    paths = {"train": train, "bad": bad}
    assert main(["finetune", "tokens", *(text.format(**paths) for text in arguments)]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"logitmeter: error: {message.format(**paths)}")


def test_finetune_alone_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune"]) == 2
    assert capsys.readouterr().err.startswith("logitmeter: error: the following arguments are")
