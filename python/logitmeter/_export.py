"""A report as a flat dict, as JSON and as an Arrow table: the same figures by the same names."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from logitmeter._part import GroupReport, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from logitmeter._part import GroupKey, GroupValue
    from logitmeter.report import Report

LISTED_K = (5, 10)
COUNTERS = (
    "num_rows",
    "num_runs",
    "num_short_left",
    "num_short_right",
    "num_unscored",
    "num_nan_rows",
    "num_posinf_rows",
    "num_neginf_labels",
    "num_empty_rows",
)
_LEVELS = ("level", "part")
# What would make two names of groups the same, or a name look like a path.
_ESCAPES = str.maketrans({mark: f"%{ord(mark):02X}" for mark in "%/,=<"})


def figures(part: Part) -> dict[str, float | int]:
    """Name every figure of a part; an interval becomes two, and of the top k some are listed."""
    found: dict[str, float | int] = {}
    for field in fields(Part):
        value = getattr(part, field.name)
        if field.name.endswith(("_ci", "_bounds")):
            found |= {f"{field.name}_low": value[0], f"{field.name}_high": value[1]}
        elif not field.name.startswith("_") and field.name != "flags":
            found[field.name] = value
    return found | {f"top_{k}_accuracy": part.top_k_accuracy(k) for k in LISTED_K}


def parts(group: GroupReport) -> dict[str, Part]:
    """Name the three parts of the whole or of a group."""
    return {"whole": group, "visible": group.visible, "hidden": group.hidden}


def flat(report: Report, prefix: str = "") -> dict[str, float | int]:
    """Name every figure of the report by one path, for loggers."""
    found = _flat_group(report) | {name: getattr(report, name) for name in COUNTERS}
    for key, group in report.groups.items():
        name = group_path(report.by, key)
        found |= {f"{name}/{path}": value for path, value in _flat_group(group).items()}
    return {f"{prefix}{path}": value for path, value in found.items()}


def _flat_group(group: GroupReport) -> dict[str, float | int]:
    found = figures(group)
    for name in ("visible", "hidden"):
        inner = figures(getattr(group, name))
        found |= {f"{name}/{figure}": value for figure, value in inner.items()}
    return found


def group_path(by: Sequence[str], key: GroupKey) -> str:
    """Write a group's key as one step of a path; no two keys give the same."""
    return ",".join(
        f"{name.translate(_ESCAPES)}={_path_value(value)}" for name, value in named(by, key)
    )


def _path_value(value: GroupValue) -> str:
    return "<null>" if value is None else str(value).translate(_ESCAPES)


def named(by: Sequence[str], key: GroupKey) -> list[tuple[str, GroupValue]]:
    """Pair the names of the group columns with the values of one key."""
    values = key if isinstance(key, tuple) else (key,)
    return list(zip(by, values, strict=True))


def to_json(document: Mapping[str, Any], indent: int | None) -> str:
    """Write valid JSON: what is not finite becomes null and is listed in `non_finite`."""
    odd: dict[str, str] = {}
    cleaned = _clean(document, "", odd)
    return json.dumps(cleaned | {"non_finite": odd}, indent=indent, allow_nan=False)


def _clean(value: Any, path: str, odd: dict[str, str]) -> Any:
    """Copy a document as JSON knows it; `odd` collects the paths of what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _clean(item, _join(path, key), odd) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, _join(path, place), odd) for place, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        odd[path] = str(value)
        return None
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    return value


def _join(path: str, step: object) -> str:
    return f"{path}/{step}" if path else str(step)


def document(report: Report) -> dict[str, Any]:
    """Nest the report as its JSON does."""
    return {
        **_nested(report),
        **{name: getattr(report, name) for name in COUNTERS},
        "groups": [
            {"key": dict(named(report.by, key)), **_nested(group)}
            for key, group in report.groups.items()
        ],
        "hidden_label_ids": report.hidden_label_ids,
        "warnings": [{"kind": kind, "message": text} for kind, text in report.warnings],
        "settings": report.settings,
        "elements": report.elements,
        "vocab_size": report.vocab_size,
        "scored": report.scored,
        "has_mask": report.has_mask,
        "has_roles": report.has_roles,
        "weighted": report.weighted,
        "sequences_known": report.sequences_known,
        "numeric_version": report.numeric_version,
        "heading": report.heading,
    }


def reports_json(reports: Mapping[str, Report], indent: int | None = None) -> str:
    """Write several reports as one JSON document, by their names."""
    return to_json({name: document(report) for name, report in reports.items()}, indent)


def _nested(group: GroupReport) -> dict[str, Any]:
    inner = {name: getattr(group, name) for name in ("visible", "hidden")}
    return {**_flagged(group), **{name: _flagged(part) for name, part in inner.items()}}


def _flagged(part: Part) -> dict[str, Any]:
    return {**_figures_and_bounds(part), "flags": part.flags}


def _figures_and_bounds(part: Part) -> dict[str, Any]:
    """Name every figure; here, where values may be lists, bounds stay pairs."""
    found: dict[str, Any] = dict(figures(part))
    for name in ("loss_bounds", "perplexity_bounds", "accuracy_bounds"):
        found[name] = (found.pop(f"{name}_low"), found.pop(f"{name}_high"))
    return found


def arrow_table(report: Report) -> pa.Table:
    """Build one row a part of the whole and of every group."""
    import pyarrow as pa

    lines = list(_arrow_rows(report))
    first = figures(report)
    names = [*_key_names(report.by, {*_LEVELS, *first}), *_LEVELS, *first]
    columns = list(zip(*lines, strict=True))
    types = [None] * len(report.by) + [pa.string()] * len(_LEVELS)
    types += [pa.float64() if isinstance(value, float) else pa.int64() for value in first.values()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=names)


def _arrow_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    yield from _group_rows((None,) * len(report.by), "total", report)
    for key, group in report.groups.items():
        yield from _group_rows([value for _, value in named(report.by, key)], "group", group)


def _group_rows(
    key: Sequence[GroupValue], level: str, group: GroupReport
) -> Iterator[tuple[Any, ...]]:
    for name, part in parts(group).items():
        yield (*key, level, name, *figures(part).values())


def _key_names(by: Sequence[str], taken: set[str]) -> list[str]:
    """Keep the columns' names apart where a group column is called like a figure."""
    names = []
    for name in by:
        free = name
        while free in taken:
            free = f"by_{free}"
        taken.add(free)
        names.append(free)
    return names
