"""The chat templates of OpenAI's models, and what is known of them.

- cl100k and o200k chat: ``<|im_start|>user<|im_sep|>...<|im_end|>``. Everything behind
  ``<|im_start|>assistant`` counts (jorio and Chua, "OpenAI finetuning metrics", and public runs
  with calls): one hidden token leads a plain reply and one trails; in a call of a function
  ``<|im_sep|>`` stands between `` to=functions.NAME`` and the arguments.
- harmony (gpt-oss) is published, https://github.com/openai/harmony, and written here as its own
  renderer writes it for training. A system message holds the instructions, which harmony calls
  the developer's; the system message that gpt-oss has besides (identity, date, effort) is not in
  training data and is not made up. That the rule above holds for harmony is an assumption: no
  service's metrics of it are known.
- Not public of the two older ones, and written as harmony has it: how functions are declared, and
  the colon before a name. Nothing is known of a tool's answer but its role. All that is prompt.
- Not public, and it counts: several calls in one message, and a reply before them. Each is
  written as a message of its own, as harmony does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logitmeter.finetune.templates import Piece, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TEMPLATES"]

_MESSAGE = "<|im_start|>{author}<|im_sep|>{content}<|im_end|>"
_OPENING = Piece("prompt", "<|im_start|>{author}")
_SEPARATOR = Piece("hidden", "<|im_sep|>")
_CONTENT = Piece("visible", "{content}")
_RECIPIENT = Piece("visible", " to=functions.{name}")
_ARGUMENTS = Piece("visible", "{arguments}")
_END = Piece("hidden", "<|im_end|>")


def _im_chat(name: str, special_tokens: Mapping[str, int]) -> Template:
    return Template(
        name=name,
        special_tokens=special_tokens,
        prompts={
            "system": _MESSAGE,
            "developer": _MESSAGE,
            "user": _MESSAGE,
            "function": _MESSAGE,
            "tool": "<|im_start|>{role}<|im_sep|>{content}<|im_end|>",
        },
        reply=(_OPENING, _SEPARATOR, _CONTENT, _END),
        call=(_OPENING, _RECIPIENT, _SEPARATOR, _ARGUMENTS, _END),
        tools="<|im_start|>system<|im_sep|>{tools}<|im_end|>",
    )


_INSTRUCTIONS = "<|start|>developer<|message|># Instructions\n\n{content}<|end|>"
_ANSWER = "<|start|>functions.{name} to=assistant<|channel|>commentary<|message|>{content}<|end|>"
_START = Piece("prompt", "<|start|>{author}")
_FINAL = Piece("hidden", "<|channel|>final<|message|>")
_COMMENTARY = Piece("hidden", "<|channel|>commentary<|message|>")
_JSON = Piece("hidden", "<|channel|>commentary <|constrain|>json<|message|>")

_HARMONY = Template(
    name="harmony",
    special_tokens={
        "<|return|>": 200002,
        "<|constrain|>": 200003,
        "<|channel|>": 200005,
        "<|start|>": 200006,
        "<|end|>": 200007,
        "<|message|>": 200008,
        "<|call|>": 200012,
    },
    prompts={
        "system": _INSTRUCTIONS,
        "developer": _INSTRUCTIONS,
        "user": "<|start|>{author}<|message|>{content}<|end|>",
        "function": _ANSWER,
        "tool": _ANSWER,
    },
    reply=(_START, _FINAL, _CONTENT, Piece("hidden", "<|end|>")),
    last_reply=(_START, _FINAL, _CONTENT, Piece("hidden", "<|return|>")),
    preamble=(_START, _COMMENTARY, _CONTENT, Piece("hidden", "<|end|>")),
    call=(_START, _RECIPIENT, _JSON, _ARGUMENTS, Piece("hidden", "<|call|>")),
    tools="<|start|>developer<|message|>{tools}<|end|>",
)

_CL100K_CHAT = _im_chat(
    "cl100k_chat", {"<|im_start|>": 100264, "<|im_end|>": 100265, "<|im_sep|>": 100266}
)
_O200K_CHAT = _im_chat(
    "o200k_chat", {"<|im_start|>": 200264, "<|im_end|>": 200265, "<|im_sep|>": 200266}
)

TEMPLATES: Mapping[str, Template] = {
    "cl100k_base": _CL100K_CHAT,
    "o200k_base": _O200K_CHAT,
    "o200k_harmony": _HARMONY,
}
"""The template that goes with an encoding, by the encoding's name in tiktoken."""
