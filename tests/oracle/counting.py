"""Which tokens count: a global rendering of the page on counting; the whole input is in lists.

Nothing streams here and nothing is clever: sequences, then runs, then claims, then checks.
Every error found anywhere is put on one list; the smallest wins. Docstrings quote the page.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["mask", "role", "id", "group", "label", "weight", "short", "nonfinite"]
KINDS: tuple[Kind, ...] = ("mask", "role", "id", "group", "label", "weight", "short", "nonfinite")

Span = tuple[int, int, int | str | None]  # first position, last position, id


class Case(TypedDict):
    """The input: columns (None: not given) and settings."""

    labels: list[int | None]
    vocab: int
    mask: list[bool | None] | None
    role: list[str | None] | None  # in place of the mask: see `roles`
    hidden: bool  # whether hidden roles count
    weight: list[float | None] | None
    sequence_id: list[int | str | None] | None
    scope: list[int] | None  # where it changes a file ends, or one b of [B,T,V]
    batch: list[int | str | None] | None  # None also where means are not pooled by batch
    scope_ends_batch: bool  # a file does, one b of [B,T,V] does not
    group: list[object] | None
    allowed: set[int] | None
    bad_rows: set[int]  # rows of logits that are invalid; under shift row p - 1 scores position p
    ignore_index: int
    shift: bool
    leading: int
    trailing: int
    on_short: Literal["raise", "count"]
    nonfinite: Literal["raise", "omit", "propagate"]
    null_labels: Literal["raise", "ignore"]


@dataclass(frozen=True)
class Token:
    """One counted token; invalid: its row is bad (and nonfinite is not "raise")."""

    position: int
    row: int
    label: int
    weight: float
    hidden: bool
    group: object
    sequence: int
    invalid: bool


@dataclass(frozen=True)
class Counted:
    """What counts, in the order of positions. Without a mask there are no runs."""

    tokens: list[Token]
    num_runs: int
    num_short_left: int
    num_short_right: int
    num_unscored: int
    hidden_label_ids: dict[int, int]
    sequences: list[Span]


@dataclass(frozen=True)
class Failure:
    """The one error that is raised, at its position."""

    position: int
    kind: Kind


@dataclass(frozen=True)
class Run:
    """Quote: "a maximal stretch of mask True within one sequence"."""

    first: int
    last: int
    sequence: int

    def own(self) -> range:
        """Give its own positions."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class Side:
    """What an active run claims on one side, nearest first."""

    run: Run
    edge: int
    step: Literal[-1, 1]
    claimed: list[int]
    missing: list[int]


# One position.


def usable(c: Case, p: int) -> bool:
    """Quote: "the label is not `ignore_index`" (nor a null that is to be ignored)."""
    ignored_null = c["labels"][p] is None and c["null_labels"] == "ignore"
    return c["labels"][p] != c["ignore_index"] and not ignored_null


def bad_label(c: Case, p: int) -> bool:
    """Tell a null, a label outside the vocabulary, or one at an entry left out."""
    y, allowed = c["labels"][p], c["allowed"]
    return y is None or not 0 <= y < c["vocab"] or (allowed is not None and y not in allowed)


def weigh(c: Case, p: int) -> float | None:
    """Give the weight: 1 without a column, None for one that is not "finite and >= 0"."""
    w = 1.0 if c["weight"] is None else c["weight"][p]
    return None if w is None or not math.isfinite(w) or w < 0 else w + 0.0  # -0.0 is 0


def counts(w: float | None) -> bool:
    """Quote: "a token of weight 0 is neither counted nor read"; an invalid weight is not 0."""
    return w is None or w > 0


def group_of(c: Case, p: int) -> object:
    """Give the group, None without a column."""
    return None if c["group"] is None else c["group"][p]


# The structure: sequences, runs, visible tokens, claims.


def split_batches(c: Case) -> tuple[list[Span], list[Failure]]:
    """Quote: "a batch: a maximal stretch of equal ids as with sequence_id".

    "Null is an error", "an id that comes back later in its file is an error", and "a file border
    ends" a batch. Without ids there are no batches.
    """
    ids, scope = c["batch"], c["scope"]
    spans: list[Span] = []
    failures: list[Failure] = []
    seen: set[int | str] = set()
    for p, id_ in enumerate(ids or []):
        if p == 0 or (scope is not None and c["scope_ends_batch"] and scope[p] != scope[p - 1]):
            seen = set()
        elif id_ is not None and id_ == spans[-1][2]:
            spans[-1] = (spans[-1][0], p, id_)
            continue
        if id_ is None or id_ in seen:
            failures.append(Failure(p, "id"))
        if id_ is not None:
            seen.add(id_)
        spans.append((p, p, id_))
    return spans, failures


def split_sequences(c: Case) -> tuple[list[Span], list[Failure]]:
    """Quote: "a maximal stretch of equal ids; either border ends a sequence".

    "null is an error" (and a sequence of its own); "an id that comes back later in its file
    is an error". Without ids each scope is one sequence. A batch holds whole sequences: its
    border ends one, so that an id that goes on behind it is one that comes back.
    """
    ids, scope = c["sequence_id"], c["scope"]
    spans: list[Span] = []
    batches, failures = split_batches(c)
    batch_starts = {first for first, _, _ in batches}
    seen: set[int | str] = set()
    for p in range(len(c["labels"])):
        border = p == 0 or (scope is not None and scope[p] != scope[p - 1])
        if border:
            seen = set()
        border = border or p in batch_starts
        id_ = None if ids is None else ids[p]
        if ids is not None:
            border = border or id_ is None or id_ != ids[p - 1]
            if id_ is None or (border and id_ in seen):
                failures.append(Failure(p, "id"))
            if id_ is not None:
                seen.add(id_)
        if border:
            spans.append((p, p, id_))
        else:
            spans[-1] = (spans[-1][0], p, id_)
    return spans, failures


def scored_positions(c: Case, span: Span) -> range:
    """Quote: "the first token of a shifted sequence is not a position"."""
    first, last, _ = span
    return range(first + 1 if c["shift"] else first, last + 1)


def find_runs(c: Case, spans: Sequence[Span]) -> list[Run]:
    """Quote: "a maximal stretch of mask True within one sequence"; null is as False."""
    mask = c["mask"]
    runs: list[Run] = []
    for s, span in enumerate(spans):
        for p in scored_positions(c, span):
            if mask is None or not mask[p]:
                continue
            if runs and runs[-1].sequence == s and runs[-1].last == p - 1:
                runs[-1] = Run(runs[-1].first, p, s)
            else:
                runs.append(Run(p, p, s))
    return runs


def visible_positions(c: Case, spans: Sequence[Span]) -> list[int]:
    """Quote: "True in the mask and the label is not `ignore_index`. Without: the label [alone]".

    Of these the ones that count: "a visible token of weight 0 is neither counted nor read".
    """
    mask = c["mask"]
    return [
        p
        for span in spans
        for p in scored_positions(c, span)
        if (mask is None or mask[p]) and usable(c, p) and counts(weigh(c, p))
    ]


def claim(c: Case, run: Run, step: Literal[-1, 1], span: Span, in_run: set[int]) -> Side:
    """Quote: "claims up to `leading` positions to its left and `trailing` to its right".

    "By position: a claim passes over an unusable label (it counts as missing) and stops at the
    sequence's border and at another run's own positions." Beyond a stop all is missing.
    """
    edge, reach = (run.first, c["leading"]) if step == -1 else (run.last, c["trailing"])
    claimed: list[int] = []
    missing: list[int] = []
    stopped = False
    for p in (edge + step * i for i in range(1, reach + 1)):
        stopped = stopped or p not in scored_positions(c, span) or p in in_run
        if not stopped and usable(c, p):
            claimed.append(p)
        else:
            missing.append(p)
    return Side(run, edge, step, claimed, missing)


# The checks.


def structure_failures(c: Case, runs: Sequence[Run], sides: Sequence[Side]) -> list[Failure]:
    """Collect the errors that are not of one counted token.

    "Nulls in `mask` always"; "a run spanning two groups is an error"; "the weight [a hidden
    token] takes is checked too"; "for a short run the nearest missing one".
    """
    nulls = [Failure(p, "mask") for p, m in enumerate(c["mask"] or []) if m is None]
    groups = [
        Failure(p, "group")
        for run in runs
        for p in run.own()
        if group_of(c, p) != group_of(c, run.first)
    ]
    weights = [Failure(s.edge, "weight") for s in sides if s.claimed and weigh(c, s.edge) is None]
    short = [Failure(s.missing[0], "short") for s in sides if s.missing]
    return nulls + groups + weights + (short if c["on_short"] == "raise" else [])


def token_failures(c: Case, p: int, *, hidden: bool) -> list[Failure]:
    """Quote: "labels, weights and logits are checked only where they **count**".

    Of a hidden token "its own weight is ignored".
    """
    failures: list[Failure] = []
    if bad_label(c, p):
        failures.append(Failure(p, "label"))
    if not hidden and weigh(c, p) is None:
        failures.append(Failure(p, "weight"))
    if c["nonfinite"] == "raise" and row_of(c, p) in c["bad_rows"]:
        failures.append(Failure(p, "nonfinite"))
    return failures


def row_of(c: Case, p: int) -> int:
    """Quote: "a token is scored by the row before it" (under shift)."""
    return p - 1 if c["shift"] else p


def first_failure(failures: Sequence[Failure], *, labels_first: bool) -> Failure | None:
    """Quote: "the smallest wins, and at one position [the order of KINDS]".

    With labels_first "everything but non-finite is checked for the whole input first".
    """
    if labels_first:
        failures = [f for f in failures if f.kind != "nonfinite"] or failures
    return min(failures, key=lambda f: (f.position, KINDS.index(f.kind)), default=None)


# The law.


def count(*, labels_first: bool = False, **c: Unpack[Case]) -> Counted | Failure:
    """Give the counted tokens, or the one error.

    Raises ValueError for a wrong setting: "`leading` or `trailing` above 0 without `mask`
    raises `SettingsError` at once".
    """
    mask = c["mask"]
    if c["leading"] < 0 or c["trailing"] < 0 or (mask is None and (c["leading"] or c["trailing"])):
        raise ValueError("leading and trailing are at least 0, and need a mask above 0")

    spans, failures = split_sequences(c)
    sequence = {p: s for s, span in enumerate(spans) for p in range(span[0], span[1] + 1)}
    runs = find_runs(c, spans)
    in_run = {p for run in runs for p in run.own()}
    visible = visible_positions(c, spans)

    # "A run whose visible tokens all weigh 0 claims nothing and is never short."
    active = [run for run in runs if set(run.own()) & set(visible)]
    sides = [claim(c, run, step, spans[run.sequence], in_run) for run in active for step in (-1, 1)]
    failures += structure_failures(c, runs, sides)

    # Each position takes weights and a group: a hidden token "the weight at the edge **position**
    # of its run, whatever that label"; "its group is the earlier run's".
    weights = {p: [weigh(c, p)] for p in visible}
    groups = {p: group_of(c, p) for p in visible}
    for side in sides:
        for p in side.claimed:
            weights.setdefault(p, []).append(weigh(c, side.edge))
            groups.setdefault(p, group_of(c, side.run.first))

    # Hidden tokens too: "Weight 0 there: claimed, not counted, not read."
    kept = sorted(p for p, taken in weights.items() if any(counts(w) for w in taken))
    for p in kept:
        failures += token_failures(c, p, hidden=p not in visible)
    failure = first_failure(failures, labels_first=labels_first)
    if failure is not None:
        return failure

    tokens = [
        Token(
            position=p,
            row=row_of(c, p),
            label=c["labels"][p] or 0,  # never null here
            weight=max(w or 0.0 for w in weights[p]),  # "the larger one if two runs claim it"
            hidden=p not in visible,
            group=groups[p],
            sequence=sequence[p],
            invalid=row_of(c, p) in c["bad_rows"],
        )
        for p in kept
    ]
    # Quote: "the first token of a shifted sequence is not a position (...`num_unscored`)".
    unscored = [first for first, _, _ in spans if c["shift"]]
    return Counted(
        tokens=tokens,
        num_runs=len(active),
        num_short_left=sum(s.step == -1 and bool(s.missing) for s in sides),
        num_short_right=sum(s.step == 1 and bool(s.missing) for s in sides),
        num_unscored=sum(usable(c, p) and (mask is None or mask[p] is True) for p in unscored),
        hidden_label_ids=dict(sorted(Counter(t.label for t in tokens if t.hidden).items())),
        sequences=spans,
    )
