"""What people have of an API: paths, JSON, Python objects; one response after the other."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from logitmeter.exceptions import DTypeError
from logitmeter.finetune._responses.chat import is_content
from logitmeter.finetune._responses.vllm import is_flat, is_positions
from logitmeter.finetune.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logitmeter.exceptions import CorruptInputError

__all__ = ["Response", "responses_of"]

Response = tuple[Any, Place]
"""A response as mappings and lists, and where it stands."""


def responses_of(given: Any) -> Iterator[Response]:
    """Give the responses of a path, of text, of one object or of many."""
    for thing, place in _things(given):
        for response, inside in _opened(thing, place):
            yield _plain(response, inside), inside


def _things(given: Any) -> Iterator[Response]:
    many = isinstance(given, Iterable) and not _is_one(given)
    things = enumerate(given) if many else [(0, given)]
    yield from ((thing, Place(None, f"response {i}")) for i, thing in things)


def _is_one(given: Any) -> bool:
    """Whether a thing is one response, although one can go over it."""
    if isinstance(given, str | bytes | Mapping) or hasattr(given, "model_dump") or is_flat(given):
        return True
    return isinstance(given, list) and (is_content(given) or is_positions(given))


def _opened(thing: Any, place: Place) -> Iterator[Response]:
    """Give what a path or a text holds; anything else is a response already."""
    if isinstance(thing, bytes) or (isinstance(thing, str) and thing.lstrip()[:1] in {"{", "["}):
        text = thing if isinstance(thing, bytes) else thing.encode()
        yield from _of_text(io.BytesIO(text), lambda line: Place(None, f"{place.example}, {line}"))
    elif isinstance(thing, str | os.PathLike):
        path = str(os.fspath(thing))
        with Path(path).open("rb") as file:
            yield from _of_text(file, lambda line: Place(path, line))
    else:
        yield thing, place


def _of_text(file: IO[bytes], at: Callable[[str], Place]) -> Iterator[Response]:
    """Give one response a line, or those of a JSON document that takes several lines."""
    first = True
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        place = at(f"line {number}")
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not first:
                raise _malformed(place, error) from error
            document = _whole(line + file.read(), at)
        first = False
        yield from _listed(document, place)


def _whole(text: bytes, at: Callable[[str], Place]) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(at(f"line {getattr(error, 'lineno', 1)}"), error) from error


def _malformed(place: Place, error: Exception) -> CorruptInputError:
    if isinstance(error, RecursionError):
        return place.wrong("a response as JSON", "JSON nested too deeply")
    return place.wrong("a response as JSON", f"what is none: {error}")


def _listed(document: Any, place: Place) -> Iterator[Response]:
    """Give a document's responses, if it is a list of them."""
    if isinstance(document, list) and not _is_one(document):
        yield from ((item, place[i]) for i, item in enumerate(document))
    else:
        yield document, place


def _plain(response: Any, place: Place) -> Any:
    """Give an SDK's object as mappings and lists."""
    if isinstance(response, Mapping | list) or is_flat(response):
        return response
    if hasattr(response, "model_dump"):
        return response.model_dump()
    if is_dataclass(response) and not isinstance(response, type):
        return asdict(response)
    if hasattr(response, "prompt_logprobs"):  # vLLM's RequestOutput
        names = ("prompt_logprobs", "prompt_token_ids")
        return {name: getattr(response, name, None) for name in names}
    name = f"{type(response).__module__}.{type(response).__qualname__}"
    raise DTypeError(
        f"{place}: a {name} is no response of an API",
        expected="a path, JSON, a dict, or an object with model_dump()",
        got=name,
    )
