"""A conversation as its template writes it: fragments of text, each with a role and a reason."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from logitmeter.exceptions import SettingsError
from logitmeter.finetune.declarations import declarations
from logitmeter.finetune.templates import Piece, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logitmeter.finetune.messages import Message, Text
    from logitmeter.finetune.place import Place
    from logitmeter.finetune.templates import Pieces, Role, Template
    from logitmeter.finetune.training import Conversation

    Values = Mapping[str, Sequence[str | Text]]
    Kind = Literal["special", "literal", "field"]

__all__ = ["Fragment", "Stretch", "num_replies", "rendered"]

TOOLS = "given (tools)"
OPENING = "given (opens a reply)"
HIDDEN = "predicted, not in the text"

_INSTRUCTIONS = ("system", "developer")


class Fragment(NamedTuple):
    """Text that becomes tokens together, or one special token.

    Attributes
    ----------
    text
        What it holds.
    special
        Whether it is a special token.
    field, start, end
        The path to the training text in it, if there is some, and where in `text` that lies.
    """

    text: str
    special: bool = False
    field: str | None = None
    start: int = 0
    end: int = 0


class Stretch(NamedTuple):
    """A fragment, who speaks it, and whether its tokens count and why.

    Attributes
    ----------
    message
        The number of the message in its conversation, from 0; None for one that only declares
        tools, which the template added.
    """

    fragment: Fragment
    role: Role
    why: str
    speaker: str
    message: int | None


class _Form(NamedTuple):
    """Pieces of a template, what stands in their fields, and what their visible text is."""

    pieces: Pieces
    values: Values
    visible: str = ""


def num_replies(conversation: Conversation) -> int:
    """Count the replies that are trained on: texts and calls of the assistant."""
    trained = (message for message in conversation.messages if not message.skipped)
    return sum(len(message.calls) + (message.content is not None) for message in trained)


def rendered(conversation: Conversation, template: Template) -> Iterator[Stretch]:
    """Write a conversation as its template has it.

    Raises
    ------
    SettingsError
        The template has no form for a message.
    CorruptInputError
        A name that the template needs is not in the data.
    """
    tools = declarations(conversation.functions)
    messages = conversation.messages
    host = next((i for i, message in enumerate(messages) if message.speaker in _INSTRUCTIONS), None)
    if tools and host is None:
        yield from _declared(tools, template, conversation.place)
    for number, message in enumerate(messages):
        below = [f"\n\n{tools}"] if tools and number == host else []
        for form in _forms(message, template, below, is_last=number == len(messages) - 1):
            yield from _stretches(form, template, message, number)


def _declared(tools: str, template: Template, place: Place) -> Iterator[Stretch]:
    """Write a message that declares tools, where none of the data's can hold them."""
    if template.tools is None:
        raise _no_form(template, "tools", place)
    for fragment in _fragments(template, template.tools, {"tools": [tools]}, place):
        yield Stretch(fragment, "prompt", TOOLS, "system", None)


def _forms(
    message: Message, template: Template, below: list[str], *, is_last: bool
) -> Iterator[_Form]:
    """Give what is written for a message: one text, and one more for each call."""
    author = message.speaker if message.name is None else f"{message.speaker}:{message.name}"
    who: dict[str, Sequence[str | Text]] = {"role": [message.speaker], "author": [author]}
    if message.name is not None:
        who["name"] = [message.name]
    if message.content is not None:
        said = who | {"content": [message.content, *below]}
        yield _Form(_pieces(message, template, is_last=is_last), said, "the reply")
    for call in message.calls:
        if template.call is None:
            raise _no_form(template, "calls of functions", message.place)
        called = who | {"name": [call.name], "arguments": [call.arguments]}
        yield _Form(template.call, called, f"calls {call.name}")


def _pieces(message: Message, template: Template, *, is_last: bool) -> Pieces:
    """Choose the pieces around a message's text."""
    if message.speaker != "assistant":
        if message.speaker not in template.prompts:
            raise _no_form(template, f"messages of {message.speaker}", message.place)
        return (Piece("prompt", template.prompts[message.speaker]),)
    if message.calls:
        return template.preamble or template.reply
    return (template.last_reply if is_last else None) or template.reply


def _no_form(template: Template, what: str, place: Place) -> SettingsError:
    return SettingsError(f"template {template.name!r} has no form for {what} ({place})")


def _stretches(form: _Form, template: Template, message: Message, number: int) -> Iterator[Stretch]:
    reasons = {"prompt": OPENING, "hidden": HIDDEN, "visible": form.visible}
    for piece in form.pieces:
        role: Role = "prompt" if message.skipped else piece.role
        why = message.skipped or reasons[piece.role]
        for fragment in _fragments(template, piece.text, form.values, message.place):
            yield Stretch(fragment, role, why, message.speaker, number)


def _fragments(template: Template, text: str, values: Values, place: Place) -> Iterator[Fragment]:
    """Fill the fields of a text; special tokens stand alone, all between them together."""
    joined = Fragment("")
    for kind, part in _parts(text, tuple(template.special_tokens)):
        if kind == "special":
            yield from _unless_empty(joined)
            yield Fragment(part, special=True)
            joined = Fragment("")
        elif kind == "literal":
            joined = _with(joined, part)
        elif part in values:
            for value in values[part]:
                joined = _with(joined, value)
        else:
            raise place.wrong(f"a {part}, which template {template.name!r} writes", "none")
    yield from _unless_empty(joined)


def _with(fragment: Fragment, more: str | Text) -> Fragment:
    if isinstance(more, str):
        return fragment._replace(text=fragment.text + more)
    start, text = len(fragment.text), fragment.text + more.value
    return Fragment(text, field=more.field, start=start, end=len(text))


def _unless_empty(fragment: Fragment) -> Iterator[Fragment]:
    if fragment.text:
        yield fragment


@lru_cache
def _parts(text: str, special: tuple[str, ...]) -> tuple[tuple[Kind, str], ...]:
    """Take a template's text apart: special tokens, literal text, fields."""
    return tuple(part for found in parsed(text) for part in _split(*found, special) if part[1])


def _split(literal: str, field: str | None, special: tuple[str, ...]) -> Iterator[tuple[Kind, str]]:
    tokens = "|".join(map(re.escape, special))
    for piece in re.split(f"({tokens})", literal) if special else [literal]:
        yield ("special" if piece in special else "literal"), piece
    if field is not None:
        yield "field", field
