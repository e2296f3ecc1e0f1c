"""The figures of one part of what was counted, and of one group of it.

The compiled core has rounded every figure already; these classes name them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from logitmeter._numbers import figure, number_text, plural, value_and_error
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from logitmeter._core import PartSummary, TripleSummary

GroupValue: TypeAlias = int | str | bool | None
GroupKey: TypeAlias = GroupValue | tuple[GroupValue, ...]

MAX_K = 100
K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
P = TypeVar("P", bound="Part")
G = TypeVar("G", bound="GroupReport")


class FrozenMapping(Mapping[K, V_co], Generic[K, V_co]):
    """A dict that cannot be changed but, unlike a mapping proxy, can be copied and pickled."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V_co]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V_co:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def no_items() -> FrozenMapping[Any, Any]:
    """Give one that is empty."""
    return FrozenMapping({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Part:
    """The figures of the whole, of the visible reply, or of the hidden tokens.

    Where tokens came scored within bounds, every figure is its own low end: see `loss_bounds`.
    Two parts are equal when every figure is; nan equals nan here.

    Attributes
    ----------
    loss
        Weighted mean of the negative log-probability of the labels, in nats.
    loss_stderr, loss_ci
        Its standard error, clustered by sequence, and the 95% interval (low, high) from
        Student's t with one degree of freedom less than there are sequences [1]_; nan where
        sequences are unknown or there is only one, or where a sum is not finite.
    loss_stderr_naive, accuracy_stderr_naive
        What the standard errors would be if tokens were independent. Tokens of one sequence are
        not, so these are too small as a rule; they show by how much.
    loss_bounds, perplexity_bounds, accuracy_bounds
        The figure itself and the most that it may be (low, high): equal, unless scores that were
        given in place of logits are intervals. Standard errors are those of the low ends.
    perplexity, perplexity_ci
        exp(loss), and its 95% interval, formed on the log scale.
    accuracy, accuracy_stderr, accuracy_ci
        Share of the tokens whose label has the largest logit; of equal logits the first wins.
    accuracy_strict, accuracy_optimistic
        The same where a tie counts as wrong, and where it counts as right.
    mrr
        Mean of 1 / (rank + 1), where the best rank is 0.
    sequence_accuracy
        Share of the sequences all of whose tokens are right; nan where sequences are unknown.
    num_tokens, num_correct, num_sequences
        How many tokens counted, were right, and in how many sequences they stand.
    num_batches
        In how many batches they stand, where means are pooled by batch; else 0.
    effective_number
        So many sequences of equal weight would tell as much: (sum n)^2 / sum n^2, where n is the
        weight of a sequence (Kish); nan where sequences are unknown. Of batches, where means are
        pooled by batch.
    num_ties
        Tokens whose label shares its logit with another entry of the row.
    num_invalid
        Tokens whose row of logits could not be scored (see `nonfinite`).
    num_bounded
        Counted tokens whose loss or rank is an interval.
    num_unknown
        Tokens that would count, but of which the scores say nothing: they are in no other figure.
    sum_weight
        Sum of the weights of the counted tokens; their number where there are no weights.
    flags
        What limits the figures: "no_sequences", "one_sequence", "few_sequences" (fewer than 300
        effective ones), where means are pooled by batch "one_batch", "few_batches"; "infinite",
        "nan", "empty".

    References
    ----------
    .. [1] Miller, "Adding Error Bars to Evals", arXiv 2411.00640.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> report = lm.evaluate(
    ...     np.zeros((1, 4, 8), np.float32),
    ...     np.zeros((1, 4), np.int64),
    ...     mask=np.array([[0, 1, 0, 0]]),
    ...     trailing=2,
    ... )
    >>> report.visible.num_tokens, report.hidden.num_tokens
    (1, 2)
    """

    loss: float
    loss_stderr: float
    loss_stderr_naive: float
    loss_ci: tuple[float, float]
    loss_bounds: tuple[float, float]
    perplexity: float
    perplexity_ci: tuple[float, float]
    perplexity_bounds: tuple[float, float]
    accuracy: float
    accuracy_stderr: float
    accuracy_stderr_naive: float
    accuracy_ci: tuple[float, float]
    accuracy_bounds: tuple[float, float]
    accuracy_strict: float
    accuracy_optimistic: float
    mrr: float
    sequence_accuracy: float
    num_tokens: int
    num_correct: int
    num_sequences: int
    num_batches: int
    effective_number: float
    num_ties: int
    num_invalid: int
    num_bounded: int
    num_unknown: int
    sum_weight: float
    flags: tuple[str, ...]
    _top_k: tuple[float, ...]

    def top_k_accuracy(self, k: int) -> float:
        """Share of the tokens whose label is among the k largest logits of its row.

        Parameters
        ----------
        k
            From 1 (the accuracy itself) to 100.

        Raises
        ------
        SettingsError
            If `k` is not a whole number from 1 to 100: those ranks are the ones kept.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> report = lm.evaluate(np.array([[0.1, 0.3, 0.2]]), np.array([2]))
        >>> report.top_k_accuracy(1), report.top_k_accuracy(2)
        (0.0, 1.0)
        """
        if isinstance(k, bool) or not hasattr(k, "__index__") or not 1 <= k <= MAX_K:
            message = f"top_k_accuracy: k must be a whole number from 1 to {MAX_K}, got {k!r}"
            raise SettingsError(message, expected=f"1..{MAX_K}", got=repr(k))
        return self._top_k[int(k) - 1]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [field.name for field in fields(self) if field.compare]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment] # groups and settings are mappings

    def __repr__(self) -> str:
        return f"<logitmeter.{type(self).__name__}: {one_line(self)}>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GroupReport(Part):
    """The figures of one group: its whole, and its two parts.

    Attributes
    ----------
    visible, hidden
        The visible reply alone, and the hidden tokens (leading and trailing) alone.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logits, labels = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])
    >>> report = lm.evaluate(logits, labels, by={"task": np.array(["a", "a", "b", "b"])})
    >>> report.groups["b"].visible.accuracy
    0.5
    """

    visible: Part
    hidden: Part


def build_part(cls: type[P], summary: PartSummary, **more: Any) -> P:
    """Name the figures that the compiled core hands over."""
    figures: dict[str, Any] = dict(summary)
    top_k = tuple(figures.pop("top_k_accuracy"))
    figures |= {"_top_k": top_k, "flags": tuple(summary["flags"])}
    return cls(**{**figures, **_intervals(summary), **more})


def build_group(cls: type[G], triple: TripleSummary, **more: Any) -> G:
    """Build the whole with its two parts."""
    visible = build_part(Part, triple["visible"])
    hidden = build_part(Part, triple["hidden"])
    return build_part(cls, triple["whole"], visible=visible, hidden=hidden, **more)


def _intervals(summary: PartSummary) -> dict[str, tuple[float, ...]]:
    return {
        "loss_ci": tuple(summary["loss_ci"]),
        "loss_bounds": tuple(summary["loss_bounds"]),
        "perplexity_ci": tuple(summary["perplexity_ci"]),
        "perplexity_bounds": tuple(summary["perplexity_bounds"]),
        "accuracy_ci": tuple(summary["accuracy_ci"]),
        "accuracy_bounds": tuple(summary["accuracy_bounds"]),
    }


def _same(left: Any, right: Any) -> bool:
    """Compare two figures; nan is the same as nan."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right or (left != left and right != right))  # noqa: PLR0124 - nan


def at_least(bounds: tuple[float, float], text: str) -> str:
    """Mark a figure that is the low end of an interval."""
    low, high = bounds
    return f">= {text}" if high > low else text


def half_width(value: float, interval: tuple[float, float]) -> float:
    """Return the ± of a figure: the longer arm of its 95% interval."""
    low, high = interval
    return max(high - value, value - low)


def perplexity_text(part: Part) -> str:
    """Write the perplexity; its interval is one of the log scale, whose shorter arm decides."""
    low, high = part.perplexity_ci
    value = figure(part.perplexity, min(high - part.perplexity, part.perplexity - low))
    return at_least(part.perplexity_bounds, value)


def loss_text(part: Part, flags: Collection[str] = ()) -> str:
    """Write the loss with its error, or with the way to get one."""
    value, error = value_and_error(part.loss, half_width(part.loss, part.loss_ci))
    value = at_least(part.loss_bounds, value)
    if error:
        return f"loss {value} ± {error} (95%, {_clusters(part)})"
    if "no_sequences" in flags:
        return f"loss {value} ± unknown: pass sequence_id"
    return f"loss {value} ± unknown" if math.isfinite(part.loss) else f"loss {value}"


def _clusters(part: Part) -> str:
    """Count what the errors are clustered by."""
    if part.num_batches:
        return plural(part.num_batches, "batch", "batches")
    return plural(part.num_sequences, "sequence")


def one_line(part: Part) -> str:
    """Write the figures that people look for first."""
    perplexity = at_least(part.perplexity_bounds, number_text(part.perplexity))
    accuracy = at_least(part.accuracy_bounds, number_text(part.accuracy))
    figures = f"perplexity {perplexity}, accuracy {accuracy}"
    return f"{loss_text(part)}, {figures}, {plural(part.num_tokens, 'token')}"
