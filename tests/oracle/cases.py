"""The worked examples of the page on counting as data, and random small cases.

`counting_cases()` is a hypothesis strategy; `random_case(rng)` is the same generator for a
plain `random.Random`, to compare many cases fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from .counting import Case, Failure, split_sequences

if TYPE_CHECKING:
    from random import Random


def case(labels: list[int | None], **settings: Any) -> Case:
    """Give a case with everything else at its default (vocabulary 10)."""
    plain: Case = {
        "labels": labels,
        "vocab": 10,
        "mask": None,
        "role": None,
        "hidden": True,
        "weight": None,
        "sequence_id": None,
        "scope": None,
        "batch": None,
        "scope_ends_batch": True,
        "group": None,
        "allowed": None,
        "bad_rows": set(),
        "ignore_index": -100,
        "shift": False,
        "leading": 0,
        "trailing": 0,
        "on_short": "raise",
        "nonfinite": "raise",
        "null_labels": "raise",
    }
    return {**plain, **settings}  # type: ignore[typeddict-item]


def bits(text: str) -> list[bool]:
    """Read a mask as the page writes it: 0 1 1."""
    return [c == "1" for c in text.split()]


@dataclass(frozen=True)
class Example:
    """One line of the table: what counts under on_short="count", and the error under "raise"."""

    name: str
    case: Case
    positions: list[int]
    short: tuple[int, int] = (0, 0)  # left, right
    unscored: int = 0
    failure: Failure | None = None
    settings_error: bool = False


LONG = "0 0 0 1 1 0 0 0 0 1 0 0"
KEPT: list[int | None] = [1] * 12


def four(mask: str, **settings: Any) -> Case:
    """[1,4,V] with shift."""
    return case([1] * 4, mask=bits(mask), scope=[0] * 4, shift=True, **settings)


EXAMPLES = [
    Example("mask alone", case(KEPT, mask=bits(LONG)), [3, 4, 9]),
    Example("trailing 2", case(KEPT, mask=bits(LONG), trailing=2), [3, 4, 5, 6, 9, 10, 11]),
    Example(
        "leading 1, trailing 1",
        case(KEPT, mask=bits(LONG), leading=1, trailing=1),
        [2, 3, 4, 5, 8, 9, 10],
    ),
    Example(
        "leading 2, trailing 3",
        case(KEPT, mask=bits(LONG), leading=2, trailing=3),
        list(range(1, 12)),
        short=(0, 1),
        failure=Failure(12, "short"),
    ),
    Example(
        "the next run's own token",
        case([1] * 3, mask=bits("1 0 1"), trailing=2),
        [0, 1, 2],
        short=(0, 2),
        failure=Failure(2, "short"),
    ),
    Example(
        "the claim passes over the unusable label",
        case([1, 1, -100, 1, 1], mask=bits("0 1 0 0 0"), trailing=2),
        [1, 3],
        short=(0, 1),
        failure=Failure(2, "short"),
    ),
    Example(
        "trailing without a mask",
        case([-100, -100, 5, 7, -100, -100], trailing=2),
        [],
        settings_error=True,
    ),
    Example(
        "the sequence ends",
        case([1] * 5, mask=bits("0 0 1 0 1"), sequence_id=list("aaabb"), trailing=1),
        [2, 4],
        short=(0, 2),
        failure=Failure(3, "short"),
    ),
    Example(
        "the token at 0 has no score",
        four("0 1 0 0", leading=1),
        [1],
        short=(1, 0),
        failure=Failure(0, "short"),
    ),
    Example(
        "unscored in the mask",
        four("1 1 0 0", leading=1),
        [1],
        short=(1, 0),
        unscored=1,
        failure=Failure(0, "short"),
    ),
    Example("unscored alone is no run", four("1 0 0 0", trailing=1), [], unscored=1),
]

VOCAB = 6
GOOD_WEIGHTS = (1.0, 0.5, 2.0, 0.0, 3.25, -0.0, 5e-324)
BAD_WEIGHTS = (math.nan, math.inf, -1.0, None, -math.inf, -5e-324)
BAD_LABELS = (VOCAB, -1, None, 2**31, -(2**31))
FAULTS = {"label": 6, "weight": 12, "row": 8, "mask": 5, "id": 5, "return": 7, "group": 7}  # %


def random_case(rng: Random) -> Case:  # noqa: C901  # one choice a line
    """Draw a small input that uses everything at once.

    Where nothing counts lies rubbish in every second case; where something counts only if one
    of `FAULTS` is on (half a one a case).
    """

    def chance(percent: int) -> bool:
        return rng.randrange(100) >= 100 - percent

    faults = {f for f, percent in FAULTS.items() if chance(percent)}
    rubbish = chance(50)
    shift = chance(40)
    masked = chance(80)
    ignore_index = rng.choice((-100, -100, -100, -1, 0, VOCAB - 1))
    allowed = set(rng.sample(range(VOCAB), 4)) if chance(25) else None
    good_labels = sorted((allowed or set(range(VOCAB))) - {ignore_index})
    strings = chance(50)

    labels: list[int | None] = []
    mask: list[bool | None] = []
    weight: list[float | None] = []
    ids: list[int | str | None] = []
    scope: list[int] = []
    group: list[object] = []
    bad_rows: set[int] = set()
    zero_weights = chance(50)

    for s in range(rng.choice((1, 2, 3, 1, 2, 3, 1, 2, 3, 0))):
        unused = list(range(6))
        for _ in range(rng.randint(1, 3)):
            number = rng.choice(unused)
            if "return" not in faults or chance(70):
                unused.remove(number)
            on = chance(30)
            key = rng.randrange(3)
            left = rng.randint(1, 3)
            for _ in range(rng.choice((1, 2, 4, 7, 10))):
                if left == 0:
                    on, left = not on, rng.randint(1, 4)
                    key = rng.randrange(3)
                left -= 1
                spare = rubbish and masked and not on and chance(15)
                label: int | None = rng.choice(good_labels)
                if spare or ("label" in faults and chance(15)):
                    label = rng.choice(BAD_LABELS)
                elif chance(8):
                    label = ignore_index
                w: float | None = rng.choice(GOOD_WEIGHTS if zero_weights else GOOD_WEIGHTS[:3])
                if (rubbish and masked and not on) or ("weight" in faults and chance(15)):
                    w = rng.choice(BAD_WEIGHTS)
                row = len(labels) - shift
                if (rubbish and masked and not on and chance(15)) or (
                    "row" in faults and chance(15)
                ):
                    bad_rows.add(row)
                labels.append(label)
                mask.append(None if "mask" in faults and chance(10) else on)
                weight.append(w)
                id_: int | str = f"s{number}" if strings else number
                ids.append(None if "id" in faults and chance(10) else id_)
                scope.append(s)
                group.append(rng.randrange(3) if "group" in faults and chance(15) else key)

    return {
        "labels": labels,
        "vocab": VOCAB,
        "mask": mask if masked else None,
        "role": None,
        "hidden": True,
        "weight": weight if "weight" in faults or chance(60) else None,
        "sequence_id": ids if faults & {"id", "return"} or chance(60) else None,
        "scope": scope if chance(70) else None,
        "batch": None,
        "scope_ends_batch": True,
        "group": group if "group" in faults or chance(50) else None,
        "allowed": allowed,
        "bad_rows": bad_rows - {-1},
        "ignore_index": ignore_index,
        "shift": shift,
        "leading": rng.randint(0, 3) if masked else 0,
        "trailing": rng.randint(0, 3) if masked else 0,
        "on_short": "raise" if chance(20) else "count",
        "nonfinite": rng.choice(("raise", "omit", "propagate")),
        "null_labels": rng.choice(("raise", "ignore")),
    }


def counting_cases() -> st.SearchStrategy[Case]:
    """`random_case` under hypothesis, which shrinks it."""
    return st.randoms(use_true_random=False).map(random_case)


def random_role_case(rng: Random) -> Case:
    """As `random_case`, with roles: hidden ones inside, beside and away from the visible text."""
    c = random_case(rng)
    share = rng.choice((0.05, 0.3, 0.6))

    def role(mark: bool | None) -> str | None:  # noqa: FBT001
        if mark is None:
            return rng.choice((None, "user", "Visible"))
        if rng.random() < share:
            return "hidden"
        return "visible" if mark else "prompt"

    marks = c["mask"] or [rng.random() < 0.5 for _ in c["labels"]]
    roles = [role(mark) for mark in marks]
    hidden = rng.random() < 0.8
    return c | {"role": roles, "hidden": hidden, "leading": 0, "trailing": 0}


def random_batch_case(rng: Random) -> Case:
    """As `random_case`, with batches of whole sequences; a few cases break one of their laws."""
    c = random_case(rng)
    fault = rng.choice(("", "", "", "null", "return", "inside"))
    files = rng.random() < 0.5
    spans, _ = split_sequences(c)
    batch: list[int | str | None] = []
    number = 0
    for first, last, _ in spans:
        scope = c["scope"]
        if first and files and scope is not None and scope[first] != scope[first - 1]:
            number = 0  # each file counts its batches anew
        elif first and rng.random() < 0.5:
            number = rng.randrange(3) if fault == "return" else number + 1
        batch += [number] * (last + 1 - first)
    if batch and fault in {"null", "inside"}:
        batch[rng.randrange(len(batch))] = None if fault == "null" else 99
    return c | {"batch": batch, "scope_ends_batch": files}
