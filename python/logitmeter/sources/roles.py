"""Which column plays which part: what the caller says, else the canonical names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa

from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from logitmeter._core import Columns
    from logitmeter.sources.base import Facts

__all__ = [
    "DATA",
    "LISTS",
    "LOGITS",
    "SCORES",
    "check_given",
    "check_unique",
    "found",
    "missing",
    "resolve",
]

DATA = ("labels", "mask", "role", "weight", "sequence_id", "batch_id")
"""What is said of each row, whatever scores it."""
LOGITS = ("logits",)
SCORES = {
    "nll": pa.float64(),
    "nll_high": pa.float64(),
    "rank": pa.uint32(),
    "rank_high": pa.uint32(),
    "greater": pa.uint32(),
    "ties": pa.uint32(),
    "lse": pa.float64(),
}
"""What scores a row that holds no logits, as our readers type it; the first is needed."""
LISTS = ("ids", "values", "lse", "tail")
"""What a row of a top-k dump holds; the first two are needed."""
ALIASES = {"labels": ("labels", "label")}


def check_given(
    given: Mapping[str, str | None] | None, scorers: Collection[str] = LOGITS
) -> dict[str, str | None]:
    """Give the mapping of our names to theirs, if its keys are ours."""
    ours = (*scorers, *DATA)
    unknown = sorted(set(given or {}) - set(ours))
    if unknown:
        raise SettingsError(
            f"columns maps our names to those of the source, and {unknown[0]!r} is none of ours",
            expected=", ".join(ours),
            got=unknown[0],
        )
    return dict(given or {})


def check_unique(present: Sequence[str]) -> None:
    """Refuse a name used twice: nobody can say which column is meant."""
    twice = next((name for name in present if present.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(
            f"the source has several columns named {twice!r}",
            expected="one column of each name",
            got=", ".join(present),
        )


def resolve(
    given: Mapping[str, str | None],
    present: Sequence[str],
    facts: Facts,
    *,
    scored: bool = False,
    asked: Collection[str] = (),
    by_batch: bool = False,
    prefer_role: bool = False,
    by: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Columns:
    """Every part with the column that plays it, or None.

    `asked` are the parts that the call names. The batches are left unused unless somebody pools
    by them. Of a mask and roles one is used: see `_by_role`.
    """
    scorers = tuple(SCORES) if scored else LOGITS
    parts = {part: found(part, given, present) for part in (*scorers, *DATA)}
    parts["mask" if _by_role(parts, asked, prefer=prefer_role) else "role"] = None
    if parts["sequence_id"] is None and given.get("sequence_id", "") is not None:
        parts["sequence_id"] = facts.sequence
    needed = scorers[0]
    if parts[needed] is None:
        raise missing(needed, present, f"; name it with columns={{{needed!r}: ...}}")
    for name in (*parts.values(), *by, *keep):
        if name is not None and name not in present:
            raise missing(name, present)
    columns: dict[str, object] = {
        **parts,
        "batch_id": parts["batch_id"] if by_batch else None,
        "scope": facts.scope,
        # Each b of [B, T, V] is a sequence too, a file is not.
        "scope_ends_batch": facts.sequence is None,
        "row_period": facts.row_period,
        "vocab_size": facts.vocab_size if scored else None,
        "by": list(by),
        "keep": list(keep),
    }
    return cast("Columns", columns)


def _by_role(
    parts: Mapping[str, str | None], asked: Collection[str], *, prefer: bool = False
) -> bool:
    """Whether tokens are selected by role: as the call says, else if they are preferred.

    Profiles prefer roles; otherwise a column of roles is used where there is no mask.
    """
    if "role" not in asked:
        instead = parts["mask"] is None or (prefer and "mask" not in asked)
        return parts["role"] is not None and instead
    if "mask" in asked:
        raise SettingsError(
            "role and mask both say which tokens are visible: pass one of them",
            expected="role or mask",
            got="both",
        )
    return True


def found(part: str, given: Mapping[str, str | None], present: Sequence[str]) -> str | None:
    """Give the column that plays a part: as named, else the one of its own name."""
    if part in given:
        return given[part]
    return next((name for name in ALIASES.get(part, (part,)) if name in present), None)


def missing(name: str, present: Sequence[str], more: str = "") -> SettingsError:
    """Say that there is no such column, and which there are."""
    shown = ", ".join(name for name in present if not name.startswith("__"))
    message = f"no column {name!r}; the source has: {shown}{more}"
    return SettingsError(message, expected=name, got=shown)
