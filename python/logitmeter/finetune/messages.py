"""One message of a chat, checked: what it says, whom it calls, and whether it is trained on.

The format is that of OpenAI's chat completions and of its training files: ``role``, ``content``
(a string or a list of text parts), ``name``, ``tool_calls`` or the older ``function_call``,
``tool_call_id``, and ``weight`` (0 or 1, on an assistant's message alone). What is not in it is
an error, since an unknown key may hold text that a trainer counts; null and an empty list say
nothing and are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logitmeter.finetune.place import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logitmeter.finetune.place import Place

__all__ = ["SPEAKERS", "Call", "Message", "Text", "parse_message"]

SPEAKERS = ("system", "developer", "user", "assistant", "tool", "function")

_KEYS = {
    "assistant": {"content", "name", "tool_calls", "function_call", "weight"},
    "tool": {"content", "name", "tool_call_id"},
}
_OTHER_KEYS = {"content", "name"}


@dataclass(frozen=True, slots=True)
class Text:
    """Some text of the training data, and the path to it."""

    value: str
    field: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function: its name, and its arguments as the string that they are."""

    name: str
    arguments: Text
    id: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, checked.

    Attributes
    ----------
    place
        Where it stands.
    speaker
        One of `SPEAKERS`.
    content
        The text; None for a message that only calls functions.
    name
        Who speaks, where the data says so; of a tool's message the function that answers.
    calls
        The functions called, in order.
    skipped
        Why it is not trained on, such as its weight; empty where it is.
    """

    place: Place
    speaker: str
    content: Text | None
    name: str | None = None
    calls: tuple[Call, ...] = ()
    skipped: str = ""


def parse_message(value: Any, place: Place, earlier: dict[str, str]) -> Message:
    """Check one message; `earlier` maps the ids of calls so far to names, and is added to."""
    if not isinstance(value, dict):
        raise place.unlike("a message: an object with a role", value)
    speaker = value.get("role", ABSENT)
    if not (isinstance(speaker, str) and speaker in SPEAKERS):
        raise place["role"].unlike(f"one of {', '.join(SPEAKERS)}", speaker)
    _refuse_unknown(value, speaker, place)
    name = _optional_text(value, "name", place)
    if speaker == "assistant":
        message = _assistant(value, name, place)
        earlier.update({call.id: call.name for call in message.calls if call.id is not None})
        return message
    if speaker == "tool":
        name = _answering(value, name, place, earlier)
    elif speaker == "function" and name is None:
        raise place["name"].wrong("the name of the function that answers", "nothing")
    return Message(place, speaker, _content(value, place), name, skipped=f"given ({speaker})")


def _refuse_unknown(value: dict[str, Any], speaker: str, place: Place) -> None:
    known = {"role", *_KEYS.get(speaker, _OTHER_KEYS)}
    for key, held in value.items():
        if key in known or held is None or held == []:
            continue
        if key == "weight":
            raise place["weight"].wrong(
                "no weight here: only an assistant's message has one", f"it on {speaker}'s"
            )
        keys = ", ".join(sorted(known))
        raise place.wrong(f"a message of {speaker} with the keys {keys}", repr(key))


def _assistant(value: dict[str, Any], name: str | None, place: Place) -> Message:
    calls = tuple(_calls(value, place))
    content = None if calls and not value.get("content") else _content(value, place)
    skipped = "" if _weight(value, place) else "weight 0"
    return Message(place, "assistant", content, name, calls, skipped)


def _weight(value: dict[str, Any], place: Place) -> float:
    weight = value.get("weight")
    if weight is None:
        return 1
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight not in {0, 1}:
        raise place["weight"].unlike("0 or 1", weight)
    return weight


def _calls(value: dict[str, Any], place: Place) -> Iterator[Call]:
    calls = value.get("tool_calls")
    if calls is not None:
        place_of_calls = place["tool_calls"]
        if not isinstance(calls, list):
            raise place_of_calls.unlike("a list of calls", calls)
        for number, call in enumerate(calls):
            yield _tool_call(call, place_of_calls[number])
    legacy = value.get("function_call")
    if legacy is not None:
        yield _call(legacy, place["function_call"], None)


def _tool_call(value: Any, place: Place) -> Call:
    if not isinstance(value, dict):
        raise place.unlike("a call: an object with a function", value)
    kind = value.get("type", "function")
    if kind != "function":
        raise place["type"].unlike('"function" (no other kind of call is known)', kind)
    return _call(
        value.get("function", ABSENT), place["function"], _optional_text(value, "id", place)
    )


def _call(value: Any, place: Place, call_id: str | None) -> Call:
    if not isinstance(value, dict):
        raise place.unlike("an object with a name and arguments", value)
    name = value.get("name", ABSENT)
    if not (isinstance(name, str) and name):
        raise place["name"].unlike("the function's name", name)
    arguments = value.get("arguments", ABSENT)
    if not isinstance(arguments, str):
        raise place["arguments"].unlike("a string that holds JSON", arguments)
    return Call(
        _plain(name, place["name"]),
        Text(_plain(arguments, place["arguments"]), place["arguments"].field),
        call_id,
    )


def _answering(
    value: dict[str, Any], name: str | None, place: Place, earlier: dict[str, str]
) -> str | None:
    """Name the function that a tool's message answers for, by the id of its call."""
    call_id = _optional_text(value, "tool_call_id", place)
    if call_id is None:
        return name
    if call_id not in earlier:
        raise place["tool_call_id"].unlike("the id of a call in an earlier message", call_id)
    return earlier[call_id]


def _content(value: dict[str, Any], place: Place) -> Text:
    place = place["content"]
    return Text(text_of(value.get("content", ABSENT), place), place.field)


def text_of(content: Any, place: Place) -> str:
    """Give the text of a content: a string, or parts of text one after the other."""
    if isinstance(content, str):
        return _plain(content, place)
    if not (isinstance(content, list) and content):
        raise place.unlike("a string or a list of parts", content)
    return "".join(_part(part, place[number]) for number, part in enumerate(content))


def _part(part: Any, place: Place) -> str:
    if not isinstance(part, dict):
        raise place.unlike("a part: an object with a type", part)
    kind = part.get("type", ABSENT)
    if kind != "text":
        raise place["type"].unlike('"text" (how other parts become tokens is not known)', kind)
    text = part.get("text", ABSENT)
    if not isinstance(text, str):
        raise place["text"].unlike("a string", text)
    return _plain(text, place["text"])


def _optional_text(value: dict[str, Any], key: str, place: Place) -> str | None:
    text = value.get(key)
    if text is None:
        return None
    if not (isinstance(text, str) and text):
        raise place[key].unlike("a string that is not empty", text)
    return _plain(text, place[key])


def _plain(text: str, place: Place) -> str:
    """Refuse half of a surrogate pair: it is no character, and no token is of it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"half of a surrogate pair, U+{ord(text[error.start]):04X}"
        raise place.wrong("text", f"{half} at character {error.start}") from None
    return text
