"""Which steps of an epoch can be explained at once, when each example is used only once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["most_matched"]


def most_matched(
    steps: Sequence[int], examples: Sequence[int], fits: Sequence[Sequence[int]]
) -> list[int]:
    """Match as many steps as possible, each to an example of its own.

    Alike steps and alike examples are taken together, which makes it a maximum flow; it is found by
    augmenting paths, a shortest one at a time (Edmonds and Karp, 1972). A step that was matched
    stays so: those that come first are served first.

    Parameters
    ----------
    steps
        How many steps there are of each kind.
    examples
        How many examples there are of each kind.
    fits
        For each kind of step the kinds of examples that explain it.

    Returns
    -------
    list of int
        How many steps of each kind are matched.

    Examples
    --------
    >>> most_matched([1, 1], [1, 1], [[0, 1], [0]])
    [1, 1]
    >>> most_matched([2, 1], [1, 1], [[0], [0, 1]])
    [1, 1]
    """
    network = _Network(list(examples), fits)
    return [network.match(kind, number) for kind, number in enumerate(steps)]


class _Network:
    """Examples not yet used, and which kinds of steps use the others."""

    def __init__(self, free: list[int], fits: Sequence[Sequence[int]]) -> None:
        self._free = free
        self._fits = fits
        self._users: list[dict[int, int]] = [{} for _ in free]

    def match(self, step: int, number: int) -> int:
        """Match up to so many steps of a kind; give how many could be."""
        matched = 0
        while matched < number:
            path = self._augmenting_path(step)
            if path is None:
                break
            matched += self._shift(path, number - matched)
        return matched

    def _augmenting_path(self, step: int) -> list[tuple[int, int]] | None:
        """Find pairs (step, example), each step taking what the one before it used."""
        came_from: dict[int, int] = {}
        holds: dict[int, int | None] = {step: None}
        waiting = deque([step])
        while waiting:
            asking = waiting.popleft()
            for example in self._fits[asking]:
                if example in came_from:
                    continue
                came_from[example] = asking
                if self._free[example]:
                    return _traced(example, came_from, holds)
                for user in self._users[example]:
                    if user not in holds:
                        holds[user] = example
                        waiting.append(user)
        return None

    def _shift(self, path: list[tuple[int, int]], most: int) -> int:
        """Pass as many examples along the path as its narrowest place lets through."""
        moves = list(zip(path[1:], path[:-1], strict=True))  # from its old example to its new one
        number = min([most, self._free[path[-1][1]]])
        for (step, _), (_, old) in moves:
            number = min(number, self._users[old][step])
        for (step, _), (_, old) in moves:
            self._users[old][step] -= number
            if not self._users[old][step]:
                del self._users[old][step]
        for step, example in path:
            self._users[example][step] = self._users[example].get(step, 0) + number
        self._free[path[-1][1]] -= number
        return number


def _traced(
    example: int, came_from: dict[int, int], holds: dict[int, int | None]
) -> list[tuple[int, int]]:
    path = []
    found: int | None = example
    while found is not None:
        step = came_from[found]
        path.append((step, found))
        found = holds[step]
    return path[::-1]
