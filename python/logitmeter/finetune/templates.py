"""Chat templates as data: what stands around the text of a message, and which of it counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal, NamedTuple, get_args

from logitmeter.exceptions import SettingsError

__all__ = ["FIELDS", "Piece", "Pieces", "Role", "Template", "parsed"]

Role = Literal["prompt", "visible", "hidden"]
Pieces = tuple["Piece", ...]

FIELDS = ("author", "role", "name", "content", "arguments", "tools")
"""What braces may name: `author` is the role and, where there is a name, a colon and the name."""

PROMPTERS = ("system", "developer", "user", "tool", "function")

_LIKE_A_SPECIAL_TOKEN = re.compile(r"<\|\w+\|>")


class Piece(NamedTuple):
    """Some text of a template, with fields in braces, and the role of its tokens.

    Where a piece ends a token ends.
    """

    role: Role
    text: str


@dataclass(frozen=True)
class Template:
    r"""A chat template as data.

    Attributes
    ----------
    name
        What it is called.
    special_tokens
        The special tokens that it writes, with their ids; they are registered on the encoding. In
        the text of a message they are ordinary text.
    prompts
        For each speaker but the assistant: a text with fields, all of it prompt. A speaker that is
        missing is refused.
    reply
        The pieces of an assistant's message.
    call
        The pieces of a call of a function; None refuses calls.
    last_reply
        A reply that ends the conversation, where it differs.
    preamble
        A reply that goes on with calls, where it differs.
    tools
        A message that declares tools, written where there is no system or developer message that
        they could stand below; None refuses tools.

    Raises
    ------
    SettingsError
        For a field that there is none of, or what looks like a special token and is none.

    Examples
    --------
    >>> chatml = Template(
    ...     name="chatml",
    ...     special_tokens={"<|im_start|>": 100264, "<|im_end|>": 100265},
    ...     prompts={"user": "<|im_start|>{role}\n{content}<|im_end|>\n"},
    ...     reply=(
    ...         ("prompt", "<|im_start|>assistant\n"),
    ...         ("visible", "{content}"),
    ...         ("hidden", "<|im_end|>"),
    ...         ("prompt", "\n"),
    ...     ),
    ... )
    >>> chatml.reply[2]
    Piece(role='hidden', text='<|im_end|>')
    """

    name: str
    special_tokens: Mapping[str, int]
    prompts: Mapping[str, str]
    reply: Pieces
    call: Pieces | None = None
    last_reply: Pieces | None = None
    preamble: Pieces | None = None
    tools: str | None = None

    def __post_init__(self) -> None:
        _check_mapping(self.name, "special_tokens", self.special_tokens, int)
        _check_mapping(self.name, "prompts", self.prompts, str)
        for speaker in set(self.prompts).difference(PROMPTERS):
            raise _unfit(self.name, f"prompts is of {', '.join(PROMPTERS)}, got {speaker!r}")
        for part in ("reply", "call", "last_reply", "preamble"):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, _pieces(self.name, part, getattr(self, part)))
        for text in self._texts():
            self._check(text)

    def _texts(self) -> list[str]:
        parts = (self.reply, self.call, self.last_reply, self.preamble)
        pieces = [piece.text for part in parts if part is not None for piece in part]
        return [*self.prompts.values(), *pieces, *([] if self.tools is None else [self.tools])]

    def _check(self, text: str) -> None:
        try:
            parts = parsed(text)
        except ValueError as error:
            raise _unfit(self.name, f"{text!r}: {error}") from None
        for literal, name in parts:
            if name is not None and name not in FIELDS:
                known = ", ".join(FIELDS)
                raise _unfit(self.name, f"{{{name}}} in {text!r}: a field is one of {known}")
            for found in _LIKE_A_SPECIAL_TOKEN.findall(literal):
                if found not in self.special_tokens:
                    raise _unfit(self.name, f"{found} in {text!r} is not in special_tokens")


def parsed(text: str) -> list[tuple[str, str | None]]:
    """Take a text apart: literal text, and the name of the field behind it or None.

    Examples
    --------
    >>> parsed(" to=functions.{name}!")
    [(' to=functions.', 'name'), ('!', None)]
    """
    found = []
    for literal, name, layout, conversion in Formatter().parse(text):
        if layout or conversion:
            raise ValueError(f"the field {name} stands as it is, without a layout")
        found.append((literal, name))
    return found


def _check_mapping(name: str, part: str, mapping: Any, kind: type) -> None:
    """Refuse what does not map texts to texts, or to numbers."""
    fits = isinstance(mapping, Mapping) and all(
        isinstance(key, str) and type(value) is kind for key, value in mapping.items()
    )
    if not fits:
        raise _unfit(name, f"{part} maps str to {kind.__name__}, got {mapping!r}")


def _pieces(name: str, part: str, pieces: Any) -> Pieces:
    try:
        made = tuple(Piece(*piece) for piece in pieces)
    except TypeError:
        raise _unfit(name, f"{part} is a list of pairs (role, text), got {pieces!r}") from None
    for piece in made:
        if not isinstance(piece.text, str):
            raise _unfit(name, f"{part} is a list of pairs (role, text), got {pieces!r}")
        if piece.role not in get_args(Role):
            raise _unfit(name, f"a role is prompt, visible or hidden, got {piece.role!r}")
    return made


def _unfit(name: str, problem: str) -> SettingsError:
    return SettingsError(f"template {name!r}: {problem}")
