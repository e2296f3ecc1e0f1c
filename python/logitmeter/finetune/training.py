"""Training data as it is given: a JSONL file, examples or messages, to conversations.

Each line of the file is one training example, as OpenAI has it::

    {"messages": [...], "tools": [...], "parallel_tool_calls": true}
    {
        "input": {"messages": [...], "tools": [...]},
        "preferred_output": [...],
        "non_preferred_output": [...],
    }

The second kind is preference data: the reply is one of the two outputs, and what stands in the
input is context. Other keys of an example are no text of the chat and are passed over.
"""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from logitmeter.exceptions import CorruptInputError, SettingsError
from logitmeter.finetune.messages import parse_message
from logitmeter.finetune.place import ABSENT, Place, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logitmeter.finetune.messages import Message

__all__ = ["Conversation", "Output", "Train", "conversations"]

Output = Literal["preferred", "non_preferred"]
Train = str | os.PathLike[str] | Any
"""A path, examples (objects with messages), or the messages of one conversation."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One training example: its messages, and the functions that it offers."""

    place: Place
    messages: tuple[Message, ...]
    functions: tuple[dict[str, Any], ...] = ()


def conversations(train: Train, output: Output = "preferred") -> Iterator[Conversation]:
    """Read training data, an example at a time.

    Raises
    ------
    CorruptInputError
        An example that is not as expected, by the number of its line, from 1.
    """
    nothing = True
    for place, example in _examples(train):
        nothing = False
        yield _conversation(example, place, output)
    if nothing:
        path = os.fspath(train) if isinstance(train, str | os.PathLike) else None
        raise CorruptInputError(
            "expected training examples, got none",
            path=path,
            expected="training examples",
            got="none",
        )


def _examples(train: Train) -> Iterator[tuple[Place, Any]]:
    if isinstance(train, str | os.PathLike):
        yield from _lines(os.fspath(train))
        return
    for number, example in enumerate(_listed(train), start=1):
        yield Place(None, f"example {number}"), example


def _listed(train: Any) -> Iterable[Any]:
    if isinstance(train, dict | bytes) or not hasattr(train, "__iter__"):
        raise SettingsError(
            "training data: a path, a list of examples ({'messages': [...]}) or a list of messages"
            f" is needed, got {shown(train)}"
        )
    examples = list(train)
    if examples and isinstance(examples[0], dict) and "role" in examples[0]:
        return [{"messages": examples}]
    return examples


def _lines(path: str) -> Iterator[tuple[Place, Any]]:
    with open(path, "rb") as file:  # noqa: PTH123 - a path may be a string
        for number, line in enumerate(file, start=1):
            place = Place(path, f"line {number}")
            if line.strip():
                yield place, _json(line.removeprefix(BOM_UTF8 if number == 1 else b""), place)


def _json(line: bytes, place: Place) -> Any:
    try:
        return json.loads(line.decode().rstrip(), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise place.wrong("UTF-8", f"byte 0x{line[error.start]:02x} at {error.start}") from None
    except json.JSONDecodeError as error:
        raise place.wrong("JSON", f"{error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:  # keys twice, huge numbers, deep nesting
        raise place.wrong("JSON", str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return unique


_WANTED = 'an object with "messages", or with "input", "preferred_output", "non_preferred_output"'


def _conversation(example: Any, place: Place, output: Output) -> Conversation:
    if not isinstance(example, dict):
        raise place.unlike(_WANTED, example)
    if "messages" in example:
        messages = list(_messages(example, "messages", place, {}))
        functions = _functions(example, place)
    elif "preferred_output" in example or "non_preferred_output" in example:
        messages = _preference(example, place, output)
        functions = _functions(example["input"], place["input"])
    elif "prompt" in example and "completion" in example:
        kind = "prompt and completion (they have no chat format)"
        raise place.wrong(_WANTED, kind)
    else:
        raise place.unlike(_WANTED, example)
    if not any(message.speaker == "assistant" for message in messages):
        raise place.wrong("a message of the assistant, to train on", "none")
    return Conversation(place, tuple(messages), functions)


def _preference(example: dict[str, Any], place: Place, output: Output) -> list[Message]:
    given = example.get("input", ABSENT)
    if not isinstance(given, dict):
        raise place["input"].unlike("an object with messages", given)
    earlier: dict[str, str] = {}
    context = _messages(given, "messages", place["input"], earlier)
    messages = [
        replace(message, skipped=message.skipped or "given (context)") for message in context
    ]
    key = f"{output}_output"
    for number, message in enumerate(_messages(example, key, place, earlier)):
        if message.speaker != "assistant":
            raise place[key][number]["role"].unlike('"assistant"', message.speaker)
        messages.append(message)
    return messages


def _messages(
    holder: dict[str, Any], key: str, place: Place, earlier: dict[str, str]
) -> Iterator[Message]:
    place = place[key]
    messages = holder.get(key, ABSENT)
    if not (isinstance(messages, list) and messages):
        raise place.unlike("a list of messages", messages)
    for number, message in enumerate(messages):
        yield parse_message(message, place[number], earlier)


def _functions(holder: dict[str, Any], place: Place) -> tuple[dict[str, Any], ...]:
    """Give the functions that are offered: ``tools``, and the older ``functions``."""
    tools = _objects(holder, "tools", place)
    found = [_function(tool, place["tools"][i]) for i, tool in enumerate(tools)]
    for number, function in enumerate(_objects(holder, "functions", place)):
        found.append(_named(function, place["functions"][number]))
    return tuple(found)


def _objects(holder: dict[str, Any], key: str, place: Place) -> list[Any]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise place[key].unlike("a list", value)
    return value


def _function(tool: Any, place: Place) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise place.unlike("an object with a function", tool)
    kind = tool.get("type", "function")
    if kind != "function":
        raise place["type"].unlike('"function" (no other kind of tool is known)', kind)
    return _named(tool.get("function", ABSENT), place["function"])


def _named(function: Any, place: Place) -> dict[str, Any]:
    if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
        raise place.unlike("an object with a name, a description and parameters", function)
    return function
