"""Training data to tokens: which of them a trainer counts, as a table and as counts.

The rule (jorio and Chua, "OpenAI finetuning metrics"; confirmed on public runs): everything
behind the opening of a reply counts, special tokens included. With v visible and h hidden tokens::

    loss = sum(nll of the v + h tokens) / (v + h),   accuracy = correct / (v + h)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.arguments import one_of
from logitmeter.finetune.encodings import chat_of
from logitmeter.finetune.rendering import num_replies, rendered
from logitmeter.finetune.training import conversations

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    import tiktoken

    from logitmeter.finetune.encodings import Chat
    from logitmeter.finetune.templates import Template
    from logitmeter.finetune.training import Conversation, Output, Train

__all__ = ["chat_tokens", "visible_counts"]


def chat_tokens(
    train: Train,
    *,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
    template: str | Template | Mapping[str, Any] | None = None,
    output: Output = "preferred",
) -> pa.Table:
    """Give every token of the training data, and whether it counts, as an Arrow table.

    The order is that in which a model reads them, so that the rows of a dump of logits over the
    same tokens fit: ``table.append_column("logits", logits)`` goes into `logitmeter.evaluate`.

    Parameters
    ----------
    train
        A path of JSONL, one training example a line; a list of examples; or the list of messages
        of one conversation. OpenAI's format: messages of system, developer, user, assistant, tool
        and function, with text, calls and ``weight``, or preference data.
    model, encoding, template
        How text becomes tokens, see `chat_encoding`: a model, or an encoding.
    output
        Which output of preference data is the reply: ``"preferred"`` or ``"non_preferred"``.

    Returns
    -------
    pyarrow.Table
        ``labels`` (the token's id, int32), ``mask`` (true on the visible reply), ``sequence_id``
        (the conversation's number, from 0), ``speaker``, ``role`` (prompt, visible or hidden:
        visible and hidden count), ``message`` (its number in the conversation, from 0), ``field``
        (the path to the training text that the token is of, such as ``messages[1].content``; null
        where the template wrote it), ``start`` and ``end`` (the characters of that text that it
        covers; parts of one character cover the same).

    Raises
    ------
    CorruptInputError
        A line that is not as expected, by its number.
    VocabularyMissingError
        The vocabulary is not on this machine and cannot be downloaded.
    SettingsError
        A model or an encoding that is not known, or a template without a form for a message.

    Examples
    --------
    >>> import logitmeter as lm
    >>> asks, says = {"role": "user", "content": "?"}, {"role": "assistant", "content": "BLUE"}
    >>> table = lm.finetune.chat_tokens([asks, says], model="gpt-4o-mini")
    >>> table["labels"].to_pylist()[-5:]
    [200264, 173781, 200266, 134698, 200265]
    >>> table["role"].to_pylist()[-5:]
    ['prompt', 'prompt', 'hidden', 'visible', 'hidden']
    """
    from logitmeter.finetune.table import token_table

    one_of("output", output, ("preferred", "non_preferred"))
    chat = chat_of(model, encoding, template)
    return token_table(conversations(train, output), chat)


def visible_counts(
    train: Train,
    *,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
    template: str | Template | Mapping[str, Any] | None = None,
    output: Output = "preferred",
) -> list[tuple[int, int]]:
    """Count the visible tokens and the replies of each conversation.

    Parameters
    ----------
    train, model, encoding, template, output
        As in `chat_tokens`.

    Returns
    -------
    list of (int, int)
        For each conversation the visible tokens of its replies, and how many replies those are: a
        text or a call each. Replies of weight 0 are neither.

    Raises
    ------
    CorruptInputError, VocabularyMissingError, SettingsError
        As `chat_tokens`.

    Examples
    --------
    >>> import logitmeter as lm
    >>> asks, says = {"role": "user", "content": "?"}, {"role": "assistant", "content": "BLUE"}
    >>> lm.finetune.visible_counts([{"messages": [asks, says]}], model="gpt-4o-mini")
    [(1, 1)]
    """
    one_of("output", output, ("preferred", "non_preferred"))
    chat = chat_of(model, encoding, template)
    return [
        (_num_visible(conversation, chat), num_replies(conversation))
        for conversation in conversations(train, output)
    ]


def _num_visible(conversation: Conversation, chat: Chat) -> int:
    stretches = rendered(conversation, chat.template)
    return sum(len(chat.ids(s.fragment)) for s in stretches if s.role == "visible")
