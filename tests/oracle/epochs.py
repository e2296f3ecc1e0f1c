"""What an epoch can hold, by listing every way to deal it out: slow, for a few examples only."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def sums(lengths: Sequence[int], size: int) -> dict[int, Fraction]:
    """Give the sums of so many lengths, each used once, with their probabilities."""
    found = Counter(sum(batch) for batch in combinations(lengths, size))
    total = sum(found.values())
    return {value: Fraction(number, total) for value, number in found.items()}


def means(lengths: Sequence[int], size: int) -> dict[Fraction, Fraction]:
    """Give the means of so many accuracies, lengths drawn anew each time and all j alike."""
    one = Counter[Fraction]()
    for length in lengths:
        for right in range(length + 1):
            one[Fraction(right, length)] += Fraction(1, (length + 1) * len(lengths))  # type: ignore[assignment]
    found = Counter[Fraction]()
    for chosen in product(one.items(), repeat=size):
        chance = Fraction(1)
        for _, weight in chosen:
            chance *= weight
        found[sum((value for value, _ in chosen), Fraction()) / size] += chance  # type: ignore[assignment]
    return {value: Fraction(weight) for value, weight in found.items()}


def most_explained(fits: Sequence[set[int]], examples: int) -> int:
    """Give the most steps that can have an example of their own; `fits` lists those that fit."""
    padded = [*range(examples), *([-1] * len(fits))]
    orders = set(permutations(padded, len(fits)))
    return max(sum(one in fit for one, fit in zip(order, fits, strict=True)) for order in orders)


def fewest_left_out(
    steps: Sequence[Sequence[int]], low: int, high: int, free: int, reach: int
) -> int:
    """Give the fewest steps that hold another sum, so that all add up to low..high."""
    for number in range(len(steps) + 1):
        for left_out in combinations(range(len(steps)), number):
            kept = [step for place, step in enumerate(steps) if place not in left_out]
            for total in map(sum, product(*kept)):
                if low - free - number * reach <= total <= high:
                    return number
    return len(steps)
