"""Chats of OpenAI's older format as text, token by token, the plain way.

A chat is written as one string, encoded at once with its special tokens, and walked through:
behind ``<|im_start|>assistant`` everything counts up to ``<|im_end|>``, and of that all is visible
but special tokens. Sources: jorio and Chua, "OpenAI finetuning metrics"; the ids of the special
tokens are those that the chat models of each vocabulary have.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tiktoken

IDS = {
    "cl100k_base": {"<|im_start|>": 100264, "<|im_end|>": 100265, "<|im_sep|>": 100266},
    "o200k_base": {"<|im_start|>": 200264, "<|im_end|>": 200265, "<|im_sep|>": 200266},
}


class Token(NamedTuple):
    id: int
    role: str


def extended(name: str) -> tiktoken.Encoding:
    base = tiktoken.get_encoding(name)
    return tiktoken.Encoding(
        name=f"{name} for the oracle",
        pat_str=base._pat_str,
        mergeable_ranks=base._mergeable_ranks,
        special_tokens={**base._special_tokens, **IDS[name]},
    )


def text(messages: list[dict[str, Any]]) -> str:
    """Write a chat without calls inside texts: each message is a text, or else one call."""
    return "".join(map(_message, messages))


def _message(message: dict[str, Any]) -> str:
    author = message["role"] + (f":{message['name']}" if "name" in message else "")
    if "tool_calls" in message:
        (call,) = message["tool_calls"]
        function = call["function"]
        called = f" to=functions.{function['name']}<|im_sep|>{function['arguments']}"
        return f"<|im_start|>{author}{called}<|im_end|>"
    return f"<|im_start|>{author}<|im_sep|>{message['content']}<|im_end|>"


def tokens(messages: list[dict[str, Any]], encoding: tiktoken.Encoding, name: str) -> list[Token]:
    """Give every token of a chat of which all replies are trained on."""
    start, end, _ = IDS[name].values()
    (assistant,) = encoding.encode("assistant")
    found: list[Token] = []
    counts = False
    for number in encoding.encode(text(messages), allowed_special=set(IDS[name])):
        role = "prompt"
        if counts:
            role = "hidden" if number in IDS[name].values() else "visible"
        found.append(Token(number, role))
        if [token.id for token in found[-2:]] == [start, assistant]:
            counts = True
        if number == end:
            counts = False
    return found
