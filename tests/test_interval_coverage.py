"""Intervals hold the truth as often as they say; `make prove` draws many more of them."""

from __future__ import annotations

import interval_coverage
import pytest
from interval_coverage import Design

# Four standard deviations of a share of 0.95 among 2,000.
SLACK = 4 * (0.95 * 0.05 / 2_000) ** 0.5


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_the_simulation_uses_the_formula_of_the_package(sigma: float) -> None:
    for seed in range(3):
        interval_coverage.check_formula(Design(40, sigma, 0.1), seed)


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_intervals_hold_the_truth(rho: float) -> None:
    found = interval_coverage.covered(Design(300, 0.0, rho), 2_000, seed=1)
    assert abs(found["loss"] - 0.95) <= SLACK
    assert abs(found["accuracy"] - 0.95) <= SLACK


def test_the_naive_error_would_not() -> None:
    found = interval_coverage.covered(Design(300, 0.0, 0.2), 500, seed=1)
    assert found["naive loss"] < 0.5
