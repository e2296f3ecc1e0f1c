"""What a check found in the first rows of logits, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from logitmeter._numbers import number_text, plural
from logitmeter._part import no_items
from logitmeter._words import listed_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a look at the first rows found.

    Attributes
    ----------
    rows
        Positions that were looked at, the first ones.
    num_tokens, loss
        Tokens that counted there, and their mean loss in nats.
    num_nan_rows, num_posinf_rows, num_empty_rows, num_neginf_labels
        Counted rows that hold NaN, +inf, nothing but -inf, and labels at a logit of -inf.
    num_bounded, num_unknown
        Of scores and lists: tokens known within bounds, and not at all.
    num_compared, shift_losses
        Visible tokens whose label was compared with its neighbours, and the mean losses of the
        rows against the label one place to the left (-1), their own (0) and to the right (1).
    num_looked
        Rows whose every entry was looked at.
    num_padded, padded_mass
        Ids at the end that hold one value in every row (or those from `valid_vocab` on), and their
        mean probability; None where there are none.
    never_counted
        Labels that occur at positions that do not count, and at none that does, with their counts.
    seconds
        How long it took to read and score the rows.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> found = lm.check(np.zeros((20, 4), np.float32), np.arange(20) % 3, rows=8)
    >>> found.sample.rows, round(found.sample.loss, 6)
    (8, 1.386294)
    """

    rows: int
    num_tokens: int
    loss: float
    num_nan_rows: int = 0
    num_posinf_rows: int = 0
    num_empty_rows: int = 0
    num_neginf_labels: int = 0
    num_bounded: int = 0
    num_unknown: int = 0
    num_compared: int = 0
    shift_losses: Mapping[int, float] = field(default_factory=no_items)
    num_looked: int = 0
    num_padded: int | None = None
    padded_mass: float | None = None
    never_counted: Mapping[int, int] = field(default_factory=no_items)
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain Python values."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {name: dict(found[name]) for name in ("shift_losses", "never_counted")}

    def lines(self) -> Iterator[str]:
        """Say what was found, a topic a line."""
        counted = plural(self.num_tokens, "counted token")
        loss = f", loss {number_text(self.loss)}" if self.num_tokens else ""
        yield f"Sample: the first {plural(self.rows, 'position')}, {counted}{loss}{self._odd()}."
        if self.shift_losses:
            left, own, right = (number_text(self.shift_losses[place]) for place in (-1, 0, 1))
            yield (
                f"Labels of {plural(self.num_compared, 'token')}: loss {own} against their own, "
                f"{left} one place to the left, {right} one to the right."
            )
        if self.padded_mass is not None and self.num_padded:
            ids = plural(self.num_padded, "id")
            yield f"Last {ids}: {self.padded_mass:.2%} of the probability."
        if self.never_counted:
            yield f"Labels never counted there: {listed_labels(self.never_counted)}."

    def _odd(self) -> str:
        kinds = (
            (self.num_nan_rows, "row holding nan", "rows holding nan"),
            (self.num_posinf_rows, "row holding +inf", "rows holding +inf"),
            (self.num_empty_rows, "row of nothing but -inf", "rows of nothing but -inf"),
            (self.num_neginf_labels, "label at logit -inf", "labels at logit -inf"),
            (self.num_bounded, "token within bounds", "tokens within bounds"),
            (self.num_unknown, "unknown token", "unknown tokens"),
        )
        found = [plural(number, one, many) for number, one, many in kinds if number]
        return f"; {', '.join(found)}" if found else ""
