"""Every row within its bound, on every tier; `make prove` does the same with many more rows."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import row_bound
import tiers
from oracle import hostile, rows

SEED, EACH = 5, 10


def test_hostile_rows_keep_their_bounds() -> None:
    count, worst = row_bound.check_all(SEED, EACH)
    assert count >= 20_000
    for (dtype, precision), found in worst.items():
        print(f"{dtype} {precision}: {found.share:.3f} of the bound, {found.row}")  # noqa: T201
    # An oracle that agreed with everything would find no error at all.
    assert all(found.share > 0.001 for found in worst.values())


@pytest.mark.parametrize("isa", tiers.OTHERS)
def test_hostile_rows_have_one_digest_on_every_tier(isa: str) -> None:
    code = f"import row_bound; print(row_bound.digest({SEED}, 2))"
    assert tiers.run(isa, code).strip() == row_bound.digest(SEED, 2)


def test_the_oracle_has_a_margin() -> None:
    """The float64 oracle is within 1e-14 of 60 digits: a tenth of the least bound."""
    count = 0
    for _, logits, labels in hostile.batches(SEED + 1, 2):
        if logits.shape[1] > 33:
            continue
        x = logits.astype(np.float64)
        fast = rows.scores_f64(x, labels)
        for i, label in enumerate(labels):
            slow = rows.score(x[i].tolist(), int(label))
            assert isinstance(slow, rows.Score)
            assert slow[2:5] == tuple(fast[name][i] for name in ("rank", "ties", "greater"))
            if mpmath.isinf(slow.nll):
                assert fast["nll"][i] == math.inf
            elif slow.nll > row_bound.FLOOR:
                assert abs(fast["nll"][i] - slow.nll) <= 1e-14 * slow.nll
            count += 1
    assert count > 800


@pytest.mark.parametrize("dtype", hostile.DTYPES)
@pytest.mark.parametrize("precision", row_bound.PRECISIONS)
def test_rows_whose_answer_is_known(dtype: str, precision: row_bound.Precision) -> None:
    sure = np.array([[0, -40]], hostile.DTYPES[dtype])
    assert row_bound.scored(sure, [0], precision)["nll"][0] == pytest.approx(4.248354255291589e-18)
    lost = np.array([[0, -1000]], hostile.DTYPES[dtype])
    assert row_bound.scored(lost, [1], precision)["nll"][0] == 1000.0


@pytest.mark.parametrize(
    ("dtype", "far"),
    [
        ("float32", -1e9),
        ("float32", -1e15),
        ("float32", -3e38),
        ("float64", -hostile.LARGEST["float64"]),
    ],
)
@pytest.mark.parametrize("precision", row_bound.PRECISIONS)
def test_lse_where_all_others_are_far_below(
    dtype: str, far: float, precision: row_bound.Precision
) -> None:
    """The sum is the label's own term, so lse is its logit."""
    own = 1e300 if dtype == "float64" else float(np.float32(0.3))
    found = row_bound.scored(np.array([[own, far]], dtype), [0], precision)
    assert found["lse"][0] == pytest.approx(own, rel=1e-15)
