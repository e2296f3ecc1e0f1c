"""From a model's name to its encoding, with the special tokens of chats registered.

tiktoken knows which encoding a base model has, but not those of fine-tuned models: it takes
``ft:gpt-4.1-...`` for a gpt-4 and knows no ``ft:o4-mini-...``. So the base model's name is taken
out first. Nor does it register the special tokens of chats, which then would be ordinary text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from logitmeter.exceptions import SettingsError, VocabularyMissingError
from logitmeter.finetune.known_templates import TEMPLATES
from logitmeter.finetune.templates import Template

if TYPE_CHECKING:
    import tiktoken

    from logitmeter.finetune.rendering import Fragment

__all__ = ["Chat", "chat_encoding", "chat_of"]

_CHAT_MODELS = ("gpt-", "chatgpt-", "o")
_FILES = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "o200k_harmony": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
"""What tiktoken calls the vocabularies in its cache: the SHA-1 of their address."""


class Chat(NamedTuple):
    """How a chat becomes tokens: its template, and an encoding that has its special tokens."""

    encoding: tiktoken.Encoding
    template: Template

    def ids(self, fragment: Fragment) -> list[int]:
        """Give the tokens of a fragment; what looks like a special token in a text is text."""
        if fragment.special:
            return [self.template.special_tokens[fragment.text]]
        return self.encoding.encode_ordinary(fragment.text)


def chat_encoding(
    model: str | None = None,
    *,
    encoding: str | tiktoken.Encoding | None = None,
    template: str | Template | Mapping[str, Any] | None = None,
) -> tiktoken.Encoding:
    """Give the encoding of a chat model, with the special tokens of chats registered.

    Parameters
    ----------
    model
        The name of a model, fine-tuned (``"ft:gpt-4.1-mini-2025-04-14:acme::abc"``) or not.
    encoding
        Instead of it: ``"cl100k_base"``, ``"o200k_base"``, ``"o200k_harmony"``, or a
        `tiktoken.Encoding` of your own.
    template
        How chats are written; needed with an encoding of your own. ``"cl100k_chat"``,
        ``"o200k_chat"`` or ``"harmony"``, or a `Template` (or its attributes, as a mapping).

    Returns
    -------
    tiktoken.Encoding
        It decodes the labels of `chat_tokens`.

    Raises
    ------
    VocabularyMissingError
        The vocabulary is not on this machine and cannot be downloaded.
    SettingsError
        A name that is not known; special tokens whose ids are taken.

    Examples
    --------
    >>> import logitmeter as lm
    >>> encoding = lm.finetune.chat_encoding("ft:gpt-4.1-2025-04-14:acme::abc")
    >>> encoding.name, encoding.decode([200264, 1428, 200266])
    ('o200k_base+o200k_chat', '<|im_start|>user<|im_sep|>')
    """
    return chat_of(model, encoding, template).encoding


def chat_of(model: str | None, encoding: Any, template: Any) -> Chat:
    """Resolve what says how a chat becomes tokens; see `chat_encoding`."""
    if (model is None) == (encoding is None):
        given = "neither" if model is None else "both"
        message = f"one of model and encoding is needed, got {given}"
        raise SettingsError(message, expected="model or encoding", got=given)
    name = encoding if model is None else encoding_name(model)
    if not isinstance(name, str):
        return _extended(_own(name), _template(template, None))
    if name not in TEMPLATES:
        known = ", ".join(TEMPLATES)
        message = f"encoding {name!r}: known by name are {known}; pass a tiktoken.Encoding"
        raise SettingsError(message, expected=known, got=name)
    if template is None:
        return _known(name)
    return _extended(_loaded(name), _template(template, name))


def encoding_name(model: str) -> str:
    """Name the encoding of a chat model, by the base model that it was made from.

    Examples
    --------
    >>> encoding_name("ft:gpt-4.1-mini-2025-04-14:acme::abc"), encoding_name("ft:gpt-3.5-turbo")
    ('o200k_base', 'cl100k_base')
    """
    if not isinstance(model, str):
        raise SettingsError(f"model: a name is needed, got {model!r}")
    from tiktoken.model import encoding_name_for_model

    base = model.removeprefix("ft:").partition(":")[0]
    try:
        name = encoding_name_for_model(base)
    except KeyError:
        name = ""
    if name not in TEMPLATES or not base.startswith(_CHAT_MODELS):
        raise SettingsError(
            f"model {model!r}: not a chat model whose encoding is known; pass encoding= instead "
            f"({', '.join(TEMPLATES)}, or a tiktoken.Encoding with a template)",
            expected="the name of a chat model",
            got=repr(model),
        )
    return name


def _own(encoding: Any) -> tiktoken.Encoding:
    import tiktoken

    if isinstance(encoding, tiktoken.Encoding):
        return encoding
    raise SettingsError(
        f"encoding: a name or a tiktoken.Encoding is needed, got a {type(encoding).__name__}"
    )


def _template(template: Any, encoding: str | None) -> Template:
    named = {known.name: known for known in TEMPLATES.values()}
    if isinstance(template, Template):
        return template
    if isinstance(template, str) and template in named:
        return named[template]
    if isinstance(template, Mapping):
        try:
            return Template(**template)
        except TypeError as error:
            raise SettingsError(f"template: {error}") from None
    wanted = f"{', '.join(map(repr, named))}, a Template or its attributes"
    why = "" if encoding else " (an encoding of your own says nothing of chats)"
    raise SettingsError(f"template: {wanted} is needed{why}, got {template!r}")


@cache
def _known(name: str) -> Chat:
    return _extended(_loaded(name), TEMPLATES[name])


def _loaded(name: str) -> tiktoken.Encoding:
    import tiktoken

    try:
        return tiktoken.get_encoding(name)
    except (OSError, ValueError) as error:  # no connection, or not the file that it should be
        raise VocabularyMissingError(
            f"the vocabulary of {name} is not on this machine, and tiktoken could not download it "
            f"({type(error).__name__}). Either set TIKTOKEN_CACHE_DIR to a folder that holds it "
            f"as a file named {_FILES[name]} (where tiktoken.get_encoding({name!r}) has worked, it "
            "lies in the folder data-gym-cache of the temporary directory), or pass encoding= a "
            "tiktoken.Encoding of your own, with template=",
            expected=_FILES[name],
            got="no such file",
        ) from None


def _extended(encoding: tiktoken.Encoding, template: Template) -> Chat:
    """Register the special tokens of a template on a copy of the encoding."""
    import tiktoken

    special = encoding._special_tokens  # noqa: SLF001 - the way that tiktoken's README shows
    _refuse_taken(encoding, template)
    if template.special_tokens.items() <= special.items():
        return Chat(encoding, template)
    extended = tiktoken.Encoding(
        name=f"{encoding.name}+{template.name}",
        pat_str=encoding._pat_str,  # noqa: SLF001
        mergeable_ranks=encoding._mergeable_ranks,  # noqa: SLF001
        special_tokens={**special, **template.special_tokens},
    )
    return Chat(extended, template)


def _refuse_taken(encoding: tiktoken.Encoding, template: Template) -> None:
    """Refuse special tokens whose text or id the encoding has for something else."""
    special = encoding._special_tokens  # noqa: SLF001
    texts = {number: text for text, number in special.items()}
    for text, number in template.special_tokens.items():
        if special.get(text, number) != number:
            other = f"{text} is {special[text]}"
        elif texts.get(number, text) != text:
            other = f"{number} is {texts[number]}"
        elif number in encoding._mergeable_ranks.values():  # noqa: SLF001
            other = f"{number} is an ordinary token"
        else:
            continue
        raise SettingsError(
            f"template {template.name!r}: {text} has id {number}, but in {encoding.name} {other}"
        )
