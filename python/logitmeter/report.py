"""What an evaluation found: `Report`, and what a check found: `Check`.

A report holds figures that the compiled core has summed exactly and rounded once; it does no
arithmetic. `_part.py` has the figures of a part, `_words.py` and `_render.py` what people
read, `_export.py` what programs read, `_check.py` the check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from logitmeter import _export, _render
from logitmeter._check import Check, Problem
from logitmeter._part import FrozenMapping, GroupKey, GroupReport, Part, build_group, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logitmeter._core import Summary

__all__ = ["Check", "GroupReport", "Part", "Problem", "Report", "Warned"]


class Warned(NamedTuple):
    """A warning that a report keeps.

    Examples
    --------
    >>> Warned("LabelShiftWarning", "the labels fit better one place left").kind
    'LabelShiftWarning'
    """

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Report(GroupReport):
    """What `evaluate` found: the whole, its visible and hidden parts, and its groups.

    ``print(report)`` shows a table and says in words what was counted. Two reports are equal
    when all their figures, counts and settings are (nan equals nan); warnings do not matter.

    Attributes
    ----------
    visible, hidden
        The figures of the visible reply alone, and of the hidden tokens (leading and
        trailing) alone, each with its own errors: see `Part`.
    groups
        The same figures for every group, by its value; by a tuple for several group columns.
    by
        The names of the group columns.
    num_rows, num_runs
        Positions seen, counted or not, and replies (runs of the mask).
    num_short_left, num_short_right
        Runs that miss a leading, and a trailing, token.
    num_unscored
        Usable labels, of a mask its tokens, that no row of logits scores (the first of a shifted
        sequence).
    num_nan_rows, num_posinf_rows, num_empty_rows
        Rows read that hold nan, that hold +inf, and whose entries are all -inf.
    num_neginf_labels
        Counted labels whose logit is -inf: probability 0, loss inf.
    hidden_label_ids
        The labels found at hidden positions, with their counts.
    flags
        What limits the figures of the whole, as in `Part`; and "open" while a sequence is open.
    warnings
        Pairs of a class of `logitmeter.exceptions` and a message.
    settings
        The counting options.
    elements, vocab_size
        Element types of the logits, as NumPy names them, and entries a row.
    scored
        Whether scores were given in place of logits, for all of the input or some.
    has_mask, has_roles, weighted, sequences_known
        Whether there was a mask, roles in its place, weights, and a way to tell sequences apart.
    numeric_version
        The version of the arithmetic: equal versions give equal bits.
    heading
        Sentences on what the figures are, where they are not those of a plain evaluation: what is
        assumed rather than measured.

    See Also
    --------
    Part : the figures themselves, with their units.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> report = lm.evaluate(np.zeros((2, 4), np.float32), np.array([0, 1]))
    >>> round(report.loss, 6), round(report.perplexity, 6), report.num_tokens
    (1.386294, 4.0, 2)
    >>> report.flags
    ('no_sequences',)
    """

    groups: Mapping[GroupKey, GroupReport]
    by: tuple[str, ...]
    num_rows: int
    num_runs: int
    num_short_left: int
    num_short_right: int
    num_unscored: int
    num_nan_rows: int
    num_posinf_rows: int
    num_neginf_labels: int
    num_empty_rows: int
    hidden_label_ids: Mapping[int, int]
    warnings: tuple[Warned, ...] = field(compare=False)
    settings: Mapping[str, Any]
    elements: tuple[str, ...]
    vocab_size: int | None
    scored: bool
    has_mask: bool
    has_roles: bool
    weighted: bool
    sequences_known: bool
    numeric_version: int
    heading: tuple[str, ...] = ()

    @classmethod
    def _from_summary(cls, summary: Summary) -> Self:
        """Name what the compiled core hands over."""
        facts: dict[str, Any] = dict(summary)
        facts |= {name: tuple(facts[name]) for name in ("by", "flags", "elements")}
        facts |= {name: FrozenMapping(facts[name]) for name in ("settings", "hidden_label_ids")}
        facts["warnings"] = tuple(Warned(*pair) for pair in summary["warnings"])
        facts["groups"] = _groups(summary)
        return build_group(cls, facts.pop("total"), **facts)

    def __str__(self) -> str:
        """Show a table of at most 80 columns, and what was counted in words."""
        return _render.text(self)

    def __repr__(self) -> str:
        return f"<logitmeter.Report: {one_line(self)}>"

    def _repr_html_(self) -> str:
        """Show the same in a notebook; self-contained and escaped."""
        return _render.html_page(self)

    def to_dict(self, prefix: str = "") -> dict[str, float | int]:
        """Give every figure one flat name, for loggers.

        Parts and groups become paths (``"visible/loss"``, ``"task=math/hidden/accuracy"``),
        intervals two figures (``"loss_ci_low"``). In the names of groups the marks ``% / , = <``
        are percent-encoded and null is ``<null>``, so that no two names are the same.

        Parameters
        ----------
        prefix
            Put before every name as it is (``"eval/"``).

        Returns
        -------
        dict
            Plain Python numbers, losses in nats; those that are not finite stay so.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> report = lm.evaluate(np.zeros((2, 4), np.float32), np.array([0, 1]))
        >>> report.to_dict("eval/")["eval/visible/num_tokens"]
        2
        """
        return _export.flat(self, prefix)

    def to_json(self, indent: int | None = None) -> str:
        """Write the report as valid JSON.

        Figures that are not finite become null; the field ``non_finite`` lists their paths
        with what they were, such as ``{"visible/loss": "inf"}``.

        Parameters
        ----------
        indent
            Spaces a level; None writes one line.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> report = lm.evaluate(np.zeros((2, 4), np.float32), np.array([0, 1]))
        >>> found = json.loads(report.to_json())
        >>> found["num_tokens"], found["loss_stderr"], found["non_finite"]["loss_stderr"]
        (2, None, 'nan')
        """
        return _export.to_json(_export.document(self), indent)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the figures to any Arrow reader: one row a part of the whole and of each group.

        Columns: those of the groups (null for the whole), ``level`` ("total" or "group"),
        ``part`` ("whole", "visible" or "hidden"), then the names of `to_dict`. A group column
        called like one of these gets ``by_`` in front.

        Raises
        ------
        ImportError
            If pyarrow is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import pyarrow as pa
        >>> import logitmeter as lm
        >>> report = lm.evaluate(np.zeros((2, 4), np.float32), np.array([0, 1]))
        >>> pa.table(report)["part"].to_pylist()
        ['whole', 'visible', 'hidden']
        """
        stream: object = _export.arrow_table(self).__arrow_c_stream__(requested_schema)
        return stream


def _groups(summary: Summary) -> FrozenMapping[GroupKey, GroupReport]:
    found: dict[GroupKey, GroupReport] = {}
    for key, triple in summary["groups"]:
        found[key[0] if len(key) == 1 else tuple(key)] = build_group(GroupReport, triple)
    return FrozenMapping(found)
