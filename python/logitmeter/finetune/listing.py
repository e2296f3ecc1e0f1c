"""Training data as a person reads it: each token, whether it counts, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from logitmeter._numbers import clip, count, pad, plural, printable, width
from logitmeter.arguments import one_of, whole
from logitmeter.finetune.encodings import chat_of
from logitmeter.finetune.rendering import num_replies, rendered
from logitmeter.finetune.templates import Role
from logitmeter.finetune.training import conversations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import tiktoken

    from logitmeter.finetune.encodings import Chat
    from logitmeter.finetune.rendering import Stretch
    from logitmeter.finetune.templates import Template
    from logitmeter.finetune.training import Conversation, Output, Train

__all__ = ["ListedConversation", "ListedToken", "TokenListing", "token_listing"]

_WIDEST_TOKEN = 20
_HEADINGS = ("id", "token", "role", "counted", "why")


class ListedToken(NamedTuple):
    r"""One token.

    Attributes
    ----------
    id, text
        Its number, and what it stands for (a part of a character as ``\xe6``).
    role
        ``"prompt"``, ``"visible"`` or ``"hidden"``.
    speaker
        Who says it.
    why
        Why it counts, or not.
    """

    id: int
    text: str
    role: Role
    speaker: str
    why: str

    @property
    def counted(self) -> bool:
        """Whether a trainer counts it: visible and hidden tokens."""
        return self.role != "prompt"


class ListedConversation(NamedTuple):
    """One conversation: where it stands in the data, and its tokens."""

    place: str
    tokens: tuple[ListedToken, ...]


@dataclass(frozen=True)
class TokenListing:
    """The tokens of the first conversations, and the counts of all; prints as a table.

    Attributes
    ----------
    conversations
        Those that are listed.
    num_conversations, num_replies
        Of all the data; replies of weight 0 are left out.
    num_prompt, num_visible, num_hidden
        Tokens of all the data.
    """

    conversations: tuple[ListedConversation, ...]
    num_conversations: int
    num_replies: int
    num_prompt: int
    num_visible: int
    num_hidden: int

    def __str__(self) -> str:
        parts = [line for conversation in self.conversations for line in _text(conversation)]
        return "\n".join([*parts, *self._summary()])

    def __repr__(self) -> str:
        return f"TokenListing({'; '.join(self._summary())})"

    def _summary(self) -> list[str]:
        chats = plural(self.num_conversations, "conversation")
        replies = plural(self.num_replies, "reply", "replies")
        left = self.num_conversations - len(self.conversations)
        more = f"; {plural(left, 'conversation')} not listed" if left else ""
        counted = plural(self.num_visible + self.num_hidden, "token")
        parts = f"{count(self.num_visible)} visible and {count(self.num_hidden)} hidden"
        return [
            f"{chats}, {replies} to learn{more}",
            f"counted: {counted}, {parts}; not counted: {plural(self.num_prompt, 'token')}",
        ]


def token_listing(
    train: Train,
    *,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
    template: str | Template | Mapping[str, Any] | None = None,
    output: Output = "preferred",
    limit: int | None = None,
) -> TokenListing:
    """List each token of the training data, counted or not, and why.

    Parameters
    ----------
    train, model, encoding, template, output
        As in `chat_tokens`.
    limit
        List the first so many conversations; all are counted.

    Returns
    -------
    TokenListing
        ``str()`` of it is a table.

    Raises
    ------
    CorruptInputError, VocabularyMissingError, SettingsError
        As `chat_tokens`.

    Examples
    --------
    >>> import logitmeter as lm
    >>> asks, says = {"role": "user", "content": "?"}, {"role": "assistant", "content": "BLUE"}
    >>> print(lm.finetune.token_listing([asks, says], model="gpt-4o-mini"))
    example 1
        id  token         role     counted  why
    200264  <|im_start|>  prompt   no       given (user)
      1428  "user"        prompt   no       given (user)
    200266  <|im_sep|>    prompt   no       given (user)
        30  "?"           prompt   no       given (user)
    200265  <|im_end|>    prompt   no       given (user)
    200264  <|im_start|>  prompt   no       given (opens a reply)
    173781  "assistant"   prompt   no       given (opens a reply)
    200266  <|im_sep|>    hidden   yes      predicted, not in the text
    134698  "BLUE"        visible  yes      the reply
    200265  <|im_end|>    hidden   yes      predicted, not in the text
    <BLANKLINE>
    1 conversation, 1 reply to learn
    counted: 3 tokens, 1 visible and 2 hidden; not counted: 7 tokens
    """
    one_of("output", output, ("preferred", "non_preferred"))
    most = None if limit is None else whole("limit", limit, 0)
    chat = chat_of(model, encoding, template)
    return _listed(conversations(train, output), chat, most)


def _listed(chats: Iterable[Conversation], chat: Chat, most: int | None) -> TokenListing:
    listed: list[ListedConversation] = []
    roles: Counter[Role] = Counter()
    num_conversations = replies = 0
    for conversation in chats:
        num_conversations += 1
        replies += num_replies(conversation)
        said = [(s, chat.ids(s.fragment)) for s in rendered(conversation, chat.template)]
        for stretch, ids in said:
            roles[stretch.role] += len(ids)
        if most is None or len(listed) < most:
            tokens = tuple(token for s, ids in said for token in _tokens(s, ids, chat))
            listed.append(ListedConversation(conversation.place.example, tokens))
    return TokenListing(
        tuple(listed), num_conversations, replies, *(roles[role] for role in get_args(Role))
    )


def _tokens(stretch: Stretch, ids: list[int], chat: Chat) -> Iterator[ListedToken]:
    for number in ids:
        text = chat.encoding.decode_single_token_bytes(number).decode("utf-8", "backslashreplace")
        shown = text if stretch.fragment.special else f'"{text}"'
        yield ListedToken(number, shown, stretch.role, stretch.speaker, stretch.why)


def _text(conversation: ListedConversation) -> Iterator[str]:
    """Write the tokens of a conversation in columns, and an empty line."""
    cells = [_HEADINGS, *map(_cells, conversation.tokens)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    yield conversation.place
    for number, *words in cells:
        padded = [pad(word, size) for word, size in zip(words, widths[1:], strict=True)]
        yield "  ".join([pad(number, widths[0], right=True), *padded]).rstrip()
    yield ""


def _cells(token: ListedToken) -> tuple[str, ...]:
    text = clip(printable(token.text), _WIDEST_TOKEN)
    counted = "yes" if token.counted else "no"
    return str(token.id), text, token.role, counted, printable(token.why)
