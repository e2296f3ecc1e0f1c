"""One hypothesis of how a service counts, held against the accuracies that it reported.

A hypothesis says how many tokens each example has (visible ones and h hidden ones a reply), how
many examples make a batch, and how a batch is pooled. It explains a step if the accuracy reported
is a fraction that a batch can give, and no example is used twice in an epoch:

- batches of one: j/N, each step with an example of its own (a maximum matching);
- larger batches, tokens pooled: j/D, D a sum of lengths, all D of an epoch adding up;
- larger batches, mean of the examples' accuracies: (j1/N1 + j2/N2 + ...)/b.

Explaining is worth little where any figure would be explained, so that hypotheses are compared by
their evidence. With q(a) the likelihood of the accuracy a (see `_fit`), r(a) the width of the cell
that its rounding leaves, and e the share of steps that stay unexplained::

    evidence = sum over explained steps of ln((1 - e) * q(a) / r(a) + e) + unexplained * ln(e)
               + what the totals of the epochs say (see `_epochs`)

is the log-likelihood in nats, less that of arbitrary figures. A finer hypothesis (all denominators
doubled, say) explains the same steps and more, but spreads its chances over twice as many figures
and pays ln 2 and more a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from logitmeter.finetune._epochs import Epochs

if TYPE_CHECKING:
    from logitmeter.finetune._fit import Fit, Fits, Pooling
    from logitmeter.finetune._steps import Plan, Rest, Steps

__all__ = ["MOST_BY_CHANCE", "Hypothesis", "examine"]

Array = np.ndarray[Any, Any]

MOST_BY_CHANCE = 0.5
"""Where more is explained by chance, accuracies tell too little of what each batch held."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """How a service may count, and what that explains.

    Attributes
    ----------
    hidden
        Hidden tokens a reply; negative ones mean that fewer tokens count than are visible.
    batch_size
        Examples a step.
    pooling
        ``"tokens"``: correct tokens by all tokens of the batch; ``"examples"``: the mean of the
        examples' accuracies. The same for batches of one.
    encoding
        The encoding that counted the visible tokens, where it was not known.
    rest
        What becomes of examples that fill no batch at the end of an epoch: a ``"short"`` batch,
        ``"dropped"``, or ``"carried"`` over into the next epoch; ``"full"`` where there are none.
    explained
        Steps explained at once, each example being used once an epoch.
    by_chance
        Steps that would be explained if the accuracies were arbitrary figures.
    evidence
        Nats in favour of it, against arbitrary figures.
    log_prior
        Nats for the number of steps: 0 if the run is complete, below if it stopped early.
    tokens_per_step
        Mean tokens of a batch.
    unexplained
        The numbers of the steps that it does not explain.
    """

    hidden: int
    batch_size: int
    pooling: Pooling
    encoding: str | None
    rest: Rest
    explained: int
    by_chance: float
    evidence: float
    log_prior: float
    tokens_per_step: float
    unexplained: tuple[int, ...] = field(repr=False)

    @property
    def score(self) -> float:
        """Nats by which hypotheses are ranked: the evidence and what the number of steps says."""
        return self.evidence + self.log_prior


def examine(
    steps: Steps,
    lengths: Array,
    fits: Fits,
    plan: Plan,
    *,
    hidden: int,
    pooling: Pooling,
    encoding: str | None,
) -> Hypothesis:
    """Hold a hypothesis against a run.

    Where its batches can give any figure, all is explained, by chance and without evidence.
    """
    informative = steps.informative[steps.kind]
    explained = np.ones(len(steps), dtype=bool)
    if plan.n_epochs is not None:
        explained &= plan.epoch(steps.number) < plan.n_epochs
    share, evidence = 1.0, 0.0
    pair = fits.of(plan, pooling)
    if pair is not None:
        share = fits.share_by_chance(plan, pooling)
        gain = _gain(steps, plan, pair)
        explained &= gain > 0
        telling = pooling == "tokens" and share < MOST_BY_CHANCE
        epochs = Epochs(steps, lengths, plan, *pair) if telling else None
        if epochs is not None:
            explained &= epochs.possible(explained, gain)
        evidence = _evidence(gain, explained, informative, epochs)
    return Hypothesis(
        hidden=hidden,
        batch_size=plan.batch_size,
        pooling=pooling,
        encoding=encoding,
        rest=plan.rest,
        explained=int(explained.sum()),
        by_chance=float((~informative).sum() + share * informative.sum()),
        evidence=evidence,
        log_prior=plan.log_prior(steps.last),
        tokens_per_step=float(lengths.mean() * plan.batch_size),
        unexplained=tuple(steps.number[~explained].tolist()),
    )


def _gain(steps: Steps, plan: Plan, fits: tuple[Fit, Fit]) -> Array:
    """Give how much more likely each accuracy is than an arbitrary figure; 0 if it cannot be."""
    full, short = (fit.likelihood[steps.kind] for fit in fits)
    likelihood = np.where(plan.is_short(steps.number), short, full)
    gain: Array = likelihood / (2 * steps.half_widths[steps.kind])
    return gain


def _evidence(gain: Array, explained: Array, informative: Array, epochs: Epochs | None) -> float:
    missed = int((informative & ~explained).sum())
    share = (missed + 1) / (int(informative.sum()) + 2)  # Laplace's rule: never quite 0 or 1
    told = (1 - share) * gain + share
    found = float(np.log(told[explained & informative]).sum() + missed * np.log(share))
    if epochs is None:
        return found
    return found + epochs.evidence(np.where(explained, 1 - share / told, 0.0))
