"""Whatever holds a run's results, as rows with the place where each stands.

A file is CSV, JSON or JSONL, plain or in base64, as OpenAI's API hands it out. JSON is a list of
rows, of events (``{"type": "metrics", "data": {...}}``) or of checkpoints (``{"metrics": {...}}``),
an object that holds such a list, or an object of columns.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from logitmeter.exceptions import CorruptInputError, SettingsError, ShapeError
from logitmeter.finetune.place import Place, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Row", "rows_of"]

_LISTS = ("data", "metrics", "log_history", "checkpoints")
"""Where an API's object holds its list: OpenAI, Together, Hugging Face's trainer, Mistral."""


class Row(NamedTuple):
    """One row as it was given: names as they stand there, and values not yet looked at."""

    place: Place
    cells: dict[str, Any]


def rows_of(source: Any) -> list[Row]:
    """List the rows of a source; see `read_results` for what that may be."""
    content, path = _content(source)
    rows = (
        list(_of_objects(_as_python(source), None)) if content is None else _parsed(content, path)
    )
    if not rows:
        raise CorruptInputError("no results: no row holds metrics", path=path, got="no row")
    return rows


def _content(source: Any) -> tuple[bytes | None, str | None]:
    """Give the content of a file and its path, where the source is either.

    A string is a path, unless it has lines, is JSON, or is base64 of CSV.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), None
    if isinstance(source, str):
        content = source.encode(errors="surrogateescape")
        is_text = "\n" in source or source.lstrip()[:1] in {"{", "["}
        if is_text or b"," in (_from_base64(content) or b""):
            return content, None
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        return Path(path).read_bytes(), path
    return None, None


def _from_base64(content: bytes) -> bytes | None:
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _parsed(content: bytes, path: str | None) -> list[Row]:
    decoded = _from_base64(content)
    text = _text(content if decoded is None else decoded, path)
    if not text.strip():
        raise CorruptInputError("no results: nothing is in it", path=path, got="nothing")
    if text.lstrip()[:1] in {"{", "["}:
        return list(_of_json(text, path))
    return list(_of_csv(text, path))


def _text(content: bytes, path: str | None) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        got = f"byte 0x{content[error.start]:02x}"
        raise Place(path, f"line {line}").wrong("UTF-8 text", got) from None


def _of_csv(text: str, path: str | None) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            place = Place(path, f"line {reader.line_num}")
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = _header(cells, place)
                continue
            if len(cells) != len(names):
                raise place.wrong(f"{len(names)} cells, as in the first line", f"{len(cells)}")
            yield Row(place, dict(zip(names, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise Place(path, f"line {reader.line_num}").wrong("CSV", str(error)) from None


def _header(cells: list[str], place: Place) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise place.wrong("each column once", f"{twice!r} twice")
    return names


def _of_json(text: str, path: str | None) -> Iterator[Row]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        lines = text.splitlines()
        if len(lines) > 1 and _is_json(lines[0]):  # one object a line
            yield from _of_lines(lines, path)
            return
        got = f"{error.msg} at character {error.colno}"
        raise Place(path, f"line {error.lineno}").wrong("JSON", got) from None
    yield from _of_objects(whole, path)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _of_lines(lines: list[str], path: str | None) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        place = Place(path, f"line {number}")
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise place.wrong("JSON", f"{error.msg} at character {error.colno}") from None
        yield from _of_object(found, place)


def _of_objects(found: Any, path: str | None) -> Iterator[Row]:
    """Give the rows of a list, of an object that holds one, or of columns."""
    if isinstance(found, Mapping):
        yield from _of_mapping(found, path)
        return
    if not isinstance(found, Iterable):
        raise SettingsError(
            f"results: a path, the file's content, rows or columns are needed, got {shown(found)}"
        )
    for number, item in enumerate(found, start=1):
        yield from _of_object(item, Place(path, f"row {number}"))


def _of_mapping(found: Mapping[str, Any], path: str | None) -> Iterator[Row]:
    for name in _LISTS:
        if isinstance(found.get(name), list) and _holds_objects(found[name]):
            yield from _of_objects(found[name], path)
            return
    columns = {name: _listed(values) for name, values in found.items()}
    if any(values is None for values in columns.values()):
        yield from _of_object(found, Place(path, "row 1"))
        return
    lengths = {name: len(values or ()) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        message = f"columns of different lengths: {lengths}"
        raise ShapeError(message, expected="columns of one length", got=str(lengths))
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield Row(Place(path, f"row {number}"), dict(zip(columns, cells, strict=True)))


def _holds_objects(values: list[Any]) -> bool:
    return all(isinstance(value, Mapping) or hasattr(value, "model_dump") for value in values)


def _listed(values: Any) -> list[Any] | None:
    """Give a column as a list, or None for what is no column."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    elif hasattr(values, "to_pylist"):
        values = values.to_pylist()
    return list(values) if isinstance(values, list | tuple | range) else None


def _of_object(item: Any, place: Place) -> Iterator[Row]:
    """Give the row of an event, of a checkpoint or of plain metrics; other events have none."""
    item = item.model_dump() if hasattr(item, "model_dump") else item
    if not isinstance(item, Mapping):
        raise place.unlike("an object of metrics", item)
    if "data" in item and "type" in item:
        if item["type"] == "metrics":
            yield Row(place, _cells(item["data"], place["data"]))
        return
    if isinstance(item.get("metrics"), Mapping):
        step = {"step": item["step_number"]} if "step_number" in item else {}
        yield Row(place, {**_cells(item["metrics"], place["metrics"]), **step})
        return
    yield Row(place, _cells(item, place))


def _cells(item: Any, place: Place) -> dict[str, Any]:
    if not isinstance(item, Mapping) or not all(isinstance(name, str) for name in item):
        raise place.unlike("an object of metrics", item)
    return dict(item)


def _as_python(source: Any) -> Any:
    """Turn tables of other libraries into rows."""
    if hasattr(source, "to_pylist"):
        return source.to_pylist()
    if hasattr(source, "__arrow_c_stream__"):
        import pyarrow as pa

        return pa.table(source).to_pylist()
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # pandas before 2.2
        return source.to_dict("records")
    return source
