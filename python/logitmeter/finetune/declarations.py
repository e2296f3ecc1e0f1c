"""Functions as a chat declares them: JSON schemas written in the manner of TypeScript.

The rules are those of harmony's renderer, https://github.com/openai/harmony, `src/encoding.rs`,
with one departure: alternatives (``oneOf``) are written in one line, without their comments. How
the chats before harmony declare functions is not public; models that were asked have shown this.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["declarations"]

_NAMES = {"number": "number", "integer": "number", "boolean": "boolean"}


def declarations(functions: Iterable[dict[str, Any]]) -> str:
    """Declare functions; nothing where there are none.

    Examples
    --------
    >>> print(declarations([{"name": "locate", "description": "Where the user is."}]))
    # Tools
    <BLANKLINE>
    ## functions
    <BLANKLINE>
    namespace functions {
    <BLANKLINE>
    // Where the user is.
    type locate = () => any;
    <BLANKLINE>
    } // namespace functions
    """
    lines = [line for function in functions for line in _function(function)]
    if not lines:
        return ""
    opening = ("# Tools\n", "## functions\n", "namespace functions {\n")
    return "\n".join([*opening, *lines, "} // namespace functions"])


def _function(function: dict[str, Any]) -> Iterator[str]:
    for line in _text(function, "description").splitlines():
        yield f"// {line}"
    parameters = function.get("parameters")
    takes = "" if parameters is None else f"_: {_type(parameters, '')}"
    yield f"type {function['name']} = ({takes}) => any;\n"


def _type(schema: Any, indent: str) -> str:
    """Write the type that a schema describes."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind == "object":
        return _object(schema, indent)
    if kind == "string":
        return " | ".join(f'"{value}"' for value in _strings(schema, "enum")) or "string"
    if kind == "array":
        return f"{_type(schema['items'], indent)}[]" if "items" in schema else "Array<any>"
    if isinstance(kind, list):
        return " | ".join("number" if name == "integer" else str(name) for name in kind)
    return _NAMES.get(str(kind), "any")


def _nullable(schema: Any, indent: str) -> str:
    if isinstance(schema, dict) and isinstance(schema.get("oneOf"), list):
        return " | ".join(_nullable(variant, indent) for variant in schema["oneOf"])
    written = _type(schema, indent)
    nullable = isinstance(schema, dict) and schema.get("nullable") is True
    return f"{written} | null" if nullable and "null" not in written else written


def _object(schema: dict[str, Any], indent: str) -> str:
    description = _text(schema, "description")
    head = f"{indent}// {description}\n{{" if description else "{"
    properties = schema.get("properties")
    required = _strings(schema, "required")
    lines = [head]
    for name, held in properties.items() if isinstance(properties, dict) else ():
        lines += [f"{indent}{line}" for line in _remarks(held)]
        optional = "" if name in required else "?"
        written = _nullable(held, f"{indent}    ")
        lines.append(f"{indent}{name}{optional}: {written},{_default(held)}")
    return "\n".join([*lines, f"{indent}}}"])


def _remarks(schema: Any) -> Iterator[str]:
    """Write what stands above a property: its title, description and examples."""
    if title := _text(schema, "title"):
        yield f"// {title}"
        yield "//"
    if description := _text(schema, "description"):
        yield f"// {description}"
    if examples := _strings(schema, "examples"):
        yield "// Examples:"
        yield from (f'// - "{example}"' for example in examples)


def _default(schema: Any) -> str:
    if not isinstance(schema, dict) or "default" not in schema:
        return ""
    value = schema["default"]
    if isinstance(value, str) and schema.get("enum"):
        return f" // default: {value}"
    return f" // default: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"


def _text(schema: Any, key: str) -> str:
    value = schema.get(key) if isinstance(schema, dict) else None
    return value if isinstance(value, str) else ""


def _strings(schema: Any, key: str) -> list[str]:
    values = schema.get(key) if isinstance(schema, dict) else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
