"""Real prose that every Python carries: its own help topics, as short conversations.

`pydoc_data.topics` holds what `help("yield")` prints: about 80 topics, 465 kB of reference
manual. Each paragraph of a topic becomes one conversation: a question, and the paragraph as the
assistant's reply. Replies of a few to a few hundred tokens are what chat data looks like, and
their length is what decides how far two hidden tokens move a figure.

Topics quote each other ("compound" holds all of "with"), so splitting by topic alone would leak.
A paragraph is therefore kept once, and the held-out topics claim theirs first.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

HELD_OUT_SHARE = 0.05  # of all paragraphs; enough for about 1 GB of logits over 100,277 tokens
_UNDERLINE = frozenset("*=-~^")


@dataclass(frozen=True)
class Conversation:
    """One question and one reply; `topic` says on which side of the split it stands."""

    topic: str
    part: int
    reply: str

    @property
    def question(self) -> str:
        """What the user asks."""
        return f"What does Python's help say about {self.topic}, part {self.part}?"

    @property
    def key(self) -> str:
        """The reply without its line breaks and indents: equal for a quoted paragraph."""
        return " ".join(self.reply.split())


def help_topics() -> Mapping[str, str]:
    """Python's help topics: name to text."""
    from pydoc_data.topics import topics

    return topics


def split(topics: Mapping[str, str]) -> tuple[list[Conversation], list[Conversation]]:
    """Cut topics into (training, held-out) conversations: whole topics, the same at every run.

    Topics are held out in the order of their names' hashes until they hold their share. Each list
    is in the order of a hash too, so that its beginning is a fair sample of many topics.
    """
    parts = {topic: list(_paragraphs(topic, text)) for topic, text in topics.items()}
    wanted = HELD_OUT_SHARE * sum(map(len, parts.values()))
    training: list[Conversation] = []
    held_out: list[Conversation] = []
    seen: set[str] = set()
    for topic in sorted(parts, key=_hash):
        side = held_out if len(held_out) < wanted else training
        for conversation in parts[topic]:
            if conversation.key not in seen:
                seen.add(conversation.key)
                side.append(conversation)
    return _shuffled(training), _shuffled(held_out)


def _paragraphs(topic: str, text: str) -> Iterator[Conversation]:
    blocks = (textwrap.dedent(block).strip("\n") for block in re.split(r"\n[ \t]*\n", text))
    prose = (block.rstrip() for block in blocks if block.strip() and not _is_heading(block))
    for part, paragraph in enumerate(prose, start=1):
        yield Conversation(topic, part, paragraph)


def _is_heading(block: str) -> bool:
    """Whether the last line only underlines the one before it."""
    return set(block.rpartition("\n")[2].strip()) <= _UNDERLINE


def _shuffled(conversations: list[Conversation]) -> list[Conversation]:
    return sorted(conversations, key=lambda c: _hash(f"{c.topic}/{c.part}"))


def _hash(name: str) -> str:
    return sha256(name.encode()).hexdigest()
