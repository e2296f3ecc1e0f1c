"""Coverage of 95% intervals, 20,000 replicates a design: the table of docs/numerics.md."""

from __future__ import annotations

import itertools

import interval_coverage
import pytest
from interval_coverage import Design

pytestmark = pytest.mark.prove
REPLICATES = 20_000
# The simulation's own error: three standard deviations.
SLACK = 3 * (0.95 * 0.05 / REPLICATES) ** 0.5


@pytest.mark.parametrize("skewed", [False, True])
def test_coverage(skewed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    print(f"\n{'skewed' if skewed else 'normal'} losses")  # noqa: T201 - the table
    print("| G | lengths | rho | loss | accuracy | naive loss |\n|---|---|---|---|---|---|")  # noqa: T201
    worst = {0.0: (1.0, 0.0), 1.0: (1.0, 0.0)}
    for g, sigma in itertools.product((300, 1000), (0.0, 1.0, 1.5)):
        kind = f"lognormal, {sigma:g}" if sigma else "equal"
        for rho in interval_coverage.CORRELATIONS:
            found = interval_coverage.covered(Design(g, sigma, rho, skewed), REPLICATES, seed=7)
            shares = [found[name] for name in ("loss", "accuracy", "naive loss")]
            print(f"| {g} | {kind} | {rho:g} |", " | ".join(f"{x:.1%}" for x in shares), "|")  # noqa: T201
            if sigma in worst:
                low, high = worst[sigma]
                worst[sigma] = min(low, *shares[:2]), max(high, *shares[:2])
    if not skewed:
        assert worst[0.0][0] >= 0.94
        assert worst[0.0][1] <= 0.96
        assert worst[1.0][0] >= 0.935 - SLACK
