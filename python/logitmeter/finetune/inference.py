"""What `infer` found: hypotheses, ranked, and whether they settle how many tokens are hidden.

When is it determined? A wrong answer is worse than none, so that all of this must hold:

1. the odds for this number of hidden tokens are at least ten thousand to one, against all others
   together and against arbitrary figures (evidence and number of steps, see `_hypotheses`);
2. its margin, the steps that it explains more than any comparable rival, exceeds the steps that it
   leaves unexplained by three at least: were they all the rival's, it would still lead;
3. by chance it would explain less than half of the steps that say something;
4. it lies within the numbers tried, not at an end of them, and is not negative: those are controls,
   for where fewer tokens count than were taken for visible, the counts are not the service's.

A rival is comparable if it has another number of hidden tokens, explains the number of steps no
worse, has less than one and a half times the tokens a step (with twice as many it explains whatever
the best does, and more) and would not explain most by chance unless the best would. With the others
counts tell nothing, and the odds have to. Steps that nothing explains lower the margin and the
odds; no single one is a veto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from logitmeter import _export
from logitmeter._numbers import count, pad, plural, width
from logitmeter.finetune._hypotheses import MOST_BY_CHANCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logitmeter.finetune._hypotheses import Hypothesis

__all__ = ["Inference"]

LEAST_LOG_ODDS = math.log(10**4)
LEAST_LEAD = 3
FINER = 1.5
_MOST_ROWS = 12
_MOST_STEPS = 8


@dataclass(frozen=True, repr=False)
class Inference:
    """How many hidden tokens explain a run, and how sure that is.

    Attributes
    ----------
    hypotheses
        All that were held against the run, the best first.
    num_steps
        Steps with an accuracy.
    num_informative
        Those whose accuracy is neither 0 nor 1.
    rounding
        How the accuracies were rounded: ``"5 decimals"``, ``"float32"``, ...

    Examples
    --------
    >>> import logitmeter as lm
    >>> accuracies = [0.83333, 0.8, 0.91667, 0.71429]
    >>> run = [{"train_accuracy": accuracy} for accuracy in accuracies]
    >>> found = lm.finetune.infer(run, [3, 4, 5, 10], batch_size=1, n_epochs=1)
    >>> found.best.hidden, found.best.explained, found.hidden
    (2, 4, None)
    >>> found.doubts
    ('h = 2 leads by 2, with 0 steps unexplained',)
    """

    hypotheses: tuple[Hypothesis, ...]
    num_steps: int
    num_informative: int
    rounding: str

    @property
    def best(self) -> Hypothesis:
        """The hypothesis with the highest score."""
        return self.hypotheses[0]

    @cached_property
    def rival(self) -> Hypothesis | None:
        """The comparable hypothesis of another h that explains the most steps."""
        rivals = [other for other in self.hypotheses if self._is_rival(other)]
        return max(rivals, key=lambda other: other.explained, default=None)

    def _is_rival(self, other: Hypothesis) -> bool:
        return (
            other.hidden != self.best.hidden
            and other.log_prior >= self.best.log_prior
            and other.tokens_per_step < FINER * self.best.tokens_per_step
            and self._share_by_chance(other)
            < max(MOST_BY_CHANCE, 2 * self._share_by_chance(self.best))
        )

    def _share_by_chance(self, of: Hypothesis) -> float:
        """Give the share of the informative steps that would be explained by chance."""
        sure = self.num_steps - self.num_informative
        return (of.by_chance - sure) / max(1, self.num_informative)

    @property
    def margin(self) -> int:
        """Steps that the best explains more than the best comparable rival of another h."""
        return self.best.explained - (self.rival.explained if self.rival else 0)

    @cached_property
    def log_odds(self) -> float:
        """Nats for the best h, against all others together and against arbitrary figures."""
        scores: dict[int, list[float]] = {}
        for hypothesis in self.hypotheses:
            scores.setdefault(hypothesis.hidden, []).append(hypothesis.score)
        best = _log_sum(scores.pop(self.best.hidden))
        return best - _log_sum([0.0, *(score for group in scores.values() for score in group)])

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What keeps it from being determined, in words."""
        return tuple(self._doubts())

    def _doubts(self) -> Iterator[str]:
        best, rival = self.best, self.rival
        if not self.num_informative:
            yield "every accuracy is 0 or 1, which is a fraction of any number of tokens"
            return
        if self.log_odds < LEAST_LOG_ODDS:
            odds = "even or worse" if self.log_odds <= 0 else f"only {_odds(self.log_odds)}"
            yield f"the odds for h = {best.hidden} are {odds}"
        if rival is not None and self.margin <= 0:
            yield f"h = {rival.hidden} explains as many steps"
        elif self.margin < len(best.unexplained) + LEAST_LEAD:
            missed = f"{plural(len(best.unexplained), 'step')} unexplained"
            yield f"h = {best.hidden} leads by {count(self.margin)}, with {missed}"
        if self._share_by_chance(best) >= MOST_BY_CHANCE:
            yield "most accuracies would be explained by chance"
        if best.hidden < 0:
            yield "fewer tokens than visible: the visible tokens are not what the service counts"
        elif best.hidden in self._ends:
            yield f"h = {best.hidden} is the last one tried"

    @property
    def _ends(self) -> set[int]:
        """The least and the most hidden tokens tried."""
        tried = {hypothesis.hidden for hypothesis in self.hypotheses}
        return {max(tried), min(tried)} - {0} if len(tried) > 1 else set()

    @property
    def determined(self) -> bool:
        """Whether the run settles the number of hidden tokens; see the rule above."""
        return not self.doubts

    @property
    def hidden(self) -> int | None:
        """The hidden tokens a reply, or None if the run does not settle it."""
        return self.best.hidden if self.determined else None

    def __str__(self) -> str:
        """Give the verdict, the best hypothesis of each h, and what was left untested."""
        return "\n".join([*self._verdict(), "", *self._table(), "", *self._notes()]).rstrip()

    __repr__ = __str__

    def _verdict(self) -> list[str]:
        best = self.best
        if not self.determined:
            return ["Hidden tokens not determined: " + "; ".join(self.doubts) + "."]
        return [
            f"{plural(best.hidden, 'hidden token')} a reply: determined.",
            (
                f"{count(best.explained)} of {plural(self.num_steps, 'step')} explained,"
                f" {count(self.margin)} more than by any comparable h; odds {_odds(self.log_odds)}."
            ),
        ]

    def _table(self) -> list[str]:
        """Lay out the best hypothesis of each h."""
        firsts = {hypothesis.hidden: hypothesis for hypothesis in reversed(self.hypotheses)}
        ranked = sorted(firsts.values(), key=lambda found: -found.score)
        lines = [_HEADINGS, *(self._cells(found) for found in ranked[:_MOST_ROWS])]
        if all(found.encoding is None for found in ranked):
            lines = [line[:3] + line[4:] for line in lines]
        sizes = [max(map(width, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(pad(cell, size, right=True) for cell, size in zip(line, sizes, strict=True))
            for line in lines
        ]
        left = len(ranked) - _MOST_ROWS
        return [*text, f"and {left} more h"] if left > 0 else text

    def _cells(self, found: Hypothesis) -> tuple[str, ...]:
        return (
            str(found.hidden),
            str(found.batch_size),
            found.pooling if found.batch_size > 1 else "-",
            found.encoding or "-",
            f"{count(found.explained)} of {count(self.num_steps)}",
            f"{found.by_chance:,.0f}",
            f"{found.evidence:,.1f}",
        )

    def _notes(self) -> list[str]:
        sure = self.num_steps - self.num_informative
        notes = [f"Evidence in nats; accuracies are taken as rounded to {self.rounding}."]
        if sure:
            notes.append(f"{count(sure)} of them are 0 or 1: explained by any h, and no evidence.")
        if self.determined and self.best.unexplained:
            notes.append(_steps_text(self.best.unexplained))
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Give the answer and all hypotheses as plain Python values."""
        return {
            "hidden": self.hidden,
            "determined": self.determined,
            "margin": self.margin,
            "log_odds": self.log_odds,
            "doubts": list(self.doubts),
            "num_steps": self.num_steps,
            "num_informative": self.num_informative,
            "rounding": self.rounding,
            "hypotheses": [_as_dict(hypothesis) for hypothesis in self.hypotheses],
        }

    def to_json(self, indent: int | None = None) -> str:
        """Write the same as valid JSON."""
        return _export.to_json(self.to_dict(), indent)


_HEADINGS = ("hidden", "batch", "pooling", "encoding", "explained", "by chance", "evidence")


def _as_dict(hypothesis: Hypothesis) -> dict[str, Any]:
    names = type(hypothesis).__dataclass_fields__
    found = {name: getattr(hypothesis, name) for name in names}
    return found | {"unexplained": list(hypothesis.unexplained)}


def _steps_text(steps: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, steps[:_MOST_STEPS]))
    left = len(steps) - _MOST_STEPS
    return f"Not explained: step {shown}{f' and {left} more' if left > 0 else ''}."


def _odds(log_odds: float) -> str:
    """Write odds in words."""
    decades = log_odds / math.log(10)
    return f"{math.exp(log_odds):,.0f} to 1" if decades < 6 else f"10^{decades:.0f} to 1"  # noqa: PLR2004


def _log_sum(logs: Iterable[float]) -> float:
    listed = list(logs)
    largest = max(listed)
    return largest + math.log(math.fsum(math.exp(value - largest) for value in listed))
