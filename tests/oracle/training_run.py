"""A service that trains and reports, in the plainest way: every token is drawn, then counted.

Each example has its visible tokens and `hidden` more a reply; visible ones get easier to predict
as the run goes on, hidden ones are nearly certain from the first steps on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

Example = tuple[int, int]
"""Visible tokens and replies."""


@dataclass
class TrainingRun:
    """What a run was made of; `rows` gives what its service reports."""

    examples: list[Example]
    hidden: int
    batch_size: int = 1
    n_epochs: int = 3
    seed: int = 0
    rest: Literal["short", "dropped", "carried"] = "short"
    pooling: str = "tokens"
    decimals: int | None = 5
    first: float = 0.6
    last: float = 0.95
    certain: float = 0.995
    generator: random.Random = field(default_factory=random.Random, repr=False)

    def rows(self) -> list[dict[str, Any]]:
        self.generator.seed(self.seed)
        batches = self.batches()
        return [
            {"step": step, "train_accuracy": self.reported(batch, step / len(batches))}
            for step, batch in enumerate(batches, start=1)
        ]

    def batches(self) -> list[list[Example]]:
        number = len(self.examples)
        epochs = [self.generator.sample(self.examples, number) for _ in range(self.n_epochs)]
        if self.rest == "carried":
            return self.cut([example for epoch in epochs for example in epoch])
        return [batch for epoch in epochs for batch in self.cut(epoch)]

    def cut(self, examples: list[Example]) -> list[list[Example]]:
        size = self.batch_size
        batches = [examples[start : start + size] for start in range(0, len(examples), size)]
        return batches[:-1] if self.rest == "dropped" and len(batches[-1]) < size else batches

    def reported(self, batch: list[Example], progress: float) -> float:
        likely = self.first + (self.last - self.first) * progress
        right = [self.correct(example, likely) for example in batch]
        total = [visible + self.hidden * replies for visible, replies in batch]
        if self.pooling == "tokens":
            exact = sum(right) / sum(total)
        else:
            exact = sum(r / t for r, t in zip(right, total, strict=True)) / len(batch)
        return exact if self.decimals is None else round(exact, self.decimals)

    def correct(self, example: Example, likely: float) -> int:
        visible, replies = example
        drawn = sum(self.generator.random() < likely for _ in range(visible))
        return drawn + sum(
            self.generator.random() < self.certain for _ in range(self.hidden * replies)
        )
