"""Strange rows, and what each is worth, by every function that says so."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import logitmeter as lm
import numpy as np
from logitmeter.exceptions import LogitmeterError
from oracle.hostile import DTYPES, LARGEST

INF, NAN = math.inf, math.nan
INVALID = None
PRECISIONS = ("fast", "exact")


@dataclass(frozen=True)
class Case:
    """A row, its label, its true nll (`INVALID` if it has none), and the fact it counts as."""

    row: tuple[float | str, ...]
    label: int
    nll: float | None
    fact: str | None = None


CASES = {
    "-inf, not the label": Case((1.0, -INF, 1.0), 0, math.log(2)),
    "-inf before the label": Case((-INF, -INF, 0.5), 2, 0.0),
    "label at -inf": Case((1.0, -INF, 0.0), 1, INF, "num_neginf_labels"),
    "label at -inf, alone above": Case((-INF, 7.0), 0, INF, "num_neginf_labels"),
    "all -inf": Case((-INF, -INF, -INF), 1, INVALID, "num_empty_rows"),
    "all -inf, V = 1": Case((-INF,), 0, INVALID, "num_empty_rows"),
    "+inf, not the label": Case((0.0, INF, 1.0), 0, INVALID, "num_posinf_rows"),
    "+inf, the label": Case((0.0, INF, 1.0), 1, INVALID, "num_posinf_rows"),
    "+inf among -inf": Case((-INF, INF), 0, INVALID, "num_posinf_rows"),
    "NaN, not the label": Case((0.0, NAN), 0, INVALID, "num_nan_rows"),
    "NaN, the label": Case((0.0, NAN), 1, INVALID, "num_nan_rows"),
    "NaN among -inf": Case((-INF, NAN), 0, INVALID, "num_nan_rows"),
    "NaN, V = 1": Case((NAN,), 0, INVALID, "num_nan_rows"),
    "three of the largest": Case(("max", "max", "max"), 1, math.log(3)),
    "three of the smallest": Case(("-max", "-max", "-max"), 2, math.log(3)),
    "V = 1": Case((5.0,), 0, 0.0),
    "V = 1, negative": Case((-5.0,), 0, 0.0),
    "V = 1, the largest": Case(("max",), 0, 0.0),
    "the label dominates": Case((0.0, -40.0), 0, 4.248354255291589e-18),
    "the label is hopeless": Case((0.0, -1000.0), 1, 1000.0),
    "+0 and -0 tie": Case((0.0, -0.0, -INF), 1, math.log(2)),
    "one and two make three": Case((1.0, 2.0, 3.0), 2, 0.4076059644443803),
}


def logits(case: Case, dtype: str) -> Any:
    """Give the row as an array [1, V]."""
    named = {"max": LARGEST[dtype], "-max": -LARGEST[dtype]}
    row = [named[x] if isinstance(x, str) else x for x in case.row]
    return np.array([row], np.float64).astype(DTYPES[dtype])


def outcome(case: Case, dtype: str, precision: str) -> dict[str, Any]:
    """Give all that is said of a row, floats as hexadecimal."""
    x, y = logits(case, dtype), [case.label]
    found: dict[str, Any] = {}
    for policy in ("raise", "omit", "propagate"):
        options: Any = {"nonfinite": policy, "precision": precision}
        try:
            with warnings.catch_warnings():
                # One row alone may look like log-probabilities; nothing counts if it is left out.
                warnings.simplefilter("ignore", lm.exceptions.InputWarning)
                warnings.simplefilter("ignore", lm.exceptions.NothingCountedWarning)
                report = lm.evaluate(x, y, **options)
            table = lm.token_scores(x, y, rows="all", **options).read_all()
        except LogitmeterError as error:
            found[policy] = {"error": type(error).__name__, "row": error.row, "message": str(error)}
            continue
        figures = {name: getattr(report, name) for name in FIGURES}
        columns = {name: table[name].to_pylist()[0] for name in COLUMNS}
        found[policy] = {
            name: value.hex() if isinstance(value, float) else value
            for name, value in (figures | columns).items()
        }
    return found


FIGURES = (
    "loss",
    "perplexity",
    "accuracy",
    "num_tokens",
    "num_invalid",
    "num_nan_rows",
    "num_posinf_rows",
    "num_neginf_labels",
    "num_empty_rows",
)
COLUMNS = ("nll", "logprob", "lse", "rank", "ties")


def outcomes() -> dict[str, dict[str, Any]]:
    """Give all of them."""
    return {
        f"{name} | {dtype} | {precision}": outcome(case, dtype, precision)
        for name, case in CASES.items()
        for dtype in DTYPES
        for precision in PRECISIONS
    }
