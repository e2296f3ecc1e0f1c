"""More than 100,000 hostile rows on every tier, and a search for the worst row there is."""

from __future__ import annotations

import numpy as np
import pytest
import row_bound
import tiers
import worst_row

pytestmark = pytest.mark.prove
SEED, EACH = 20, 52


def test_hostile_rows() -> None:
    count, worst = row_bound.check_all(SEED, EACH)
    print(f"\n{count} rows; the largest shares of the bounds:")  # noqa: T201 - the figures
    for (dtype, precision), found in worst.items():
        print(f"  {dtype} {precision}: {found.share:.3f}, {found.row}")  # noqa: T201
    assert count >= 100_000


@pytest.mark.parametrize("isa", tiers.OTHERS)
def test_one_digest(isa: str) -> None:
    code = f"import row_bound; print(row_bound.digest({SEED}, {EACH}))"
    want = row_bound.digest(SEED, EACH)
    print(f"\n{tiers.CHOSEN}: {want}\n{isa}: the same")  # noqa: T201
    assert tiers.run(isa, code).strip() == want


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_worst_row_that_a_search_finds(dtype: str) -> None:
    found = worst_row.climb(dtype, seed=3, steps=12_000)
    print(f"\n{dtype}: {found.error:.4g} after {found.rows} rows: {found.values}")  # noqa: T201
    assert found.error <= 1e-6
    assert np.isfinite(found.error)
