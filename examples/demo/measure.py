"""Every method in a fresh process, taking turns, and whether they agree.

Turns (A B C A B C ...) rather than blocks (A A A B B B), so that a machine that is busy for a
while is busy for all of them. A ratio is taken within a turn and the median of the turns reported.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from baseline import Part, Parts

OURS, OURS_ONE, CHUNKED, NAIVE = (
    "logitmeter",
    "logitmeter, 1 thread",
    "NumPy, chunked",
    "NumPy, naive",
)
ARGUMENTS = {
    OURS: ["logitmeter"],
    OURS_ONE: ["logitmeter", "--threads", "1"],
    CHUNKED: ["chunked"],
    NAIVE: ["naive"],
}
PROMISE = 1e-6  # relative, for a loss
_CHILD = Path(__file__).with_name("score.py")


class MethodError(RuntimeError):
    """A method failed in its process; the message ends with what it said."""


@dataclass(frozen=True)
class Run:
    """One scoring: what came out, the seconds it took, the bytes allocated before and at most."""

    seconds: float
    memory_before: int | None
    memory_peak: int | None
    parts: Parts

    @property
    def memory_grown(self) -> int | None:
        """The bytes that scoring itself added at most."""
        if self.memory_peak is None or self.memory_before is None:
            return None
        return self.memory_peak - self.memory_before


Runs = dict[str, list[Run]]


def run(method: str, path: Path) -> Run:
    """Score once, in a process of its own."""
    command = [sys.executable, str(_CHILD), *ARGUMENTS[method]]
    command.insert(3, str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own file
    if done.returncode:
        raise MethodError(f"{method} ended with exit status {done.returncode}:\n{done.stderr}")
    result = json.loads(done.stdout)
    parts = {name: Part(**part) for name, part in result.pop("parts").items()}
    return Run(**result, parts=parts)


def measure(path: Path, repeats: int, advance: Callable[[], None] = lambda: None) -> Runs:
    """Run the methods in turns, the naive one once."""
    turns = [OURS, CHUNKED, OURS_ONE] * repeats + [NAIVE]
    runs: Runs = {}
    for method in turns:
        runs.setdefault(method, []).append(run(method, path))
        advance()
    return runs


def ratios(runs: Runs, slow: str, fast: str) -> tuple[float, float, float]:
    """How many times faster, turn by turn: (median, lowest, highest)."""
    pairs = zip(runs[slow], runs[fast], strict=False)
    times = [a.seconds / b.seconds for a, b in pairs]
    return statistics.median(times), min(times), max(times)


def largest_difference(runs: Runs) -> float:
    """Return the largest relative difference of a loss from logitmeter's, over all runs."""
    ours = runs[OURS][0].parts
    return max(
        abs(part.loss - ours[name].loss) / ours[name].loss
        for method in runs.values()
        for run in method
        for name, part in run.parts.items()
    )


def disagreements(runs: Runs) -> list[str]:
    """Return one line for each figure that differs by more than was promised; none is good.

    Counts must be equal, losses within the promise, and logitmeter's own equal to the bit
    whatever the run and the number of threads.
    """
    found = []
    ours = runs[OURS][0].parts
    for method, repeats in runs.items():
        tolerance = 0.0 if method in {OURS, OURS_ONE} else PROMISE
        for number, repeat in enumerate(repeats, start=1):
            for name, part in repeat.parts.items():
                mine = ours[name]
                close = abs(part.loss - mine.loss) <= tolerance * mine.loss
                counts = (part.num_tokens, part.num_correct)
                if not close or counts != (mine.num_tokens, mine.num_correct):
                    found.append(f"{name}: {method} (run {number}) has {part}, {OURS} has {mine}")
    return found
