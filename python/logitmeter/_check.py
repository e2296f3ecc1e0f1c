"""What `check` found: the counts, and what is wrong, without scoring a row."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from logitmeter import _export
from logitmeter._numbers import bytes_text, count, plural, printable
from logitmeter._part import FrozenMapping, no_items
from logitmeter._words import hidden_labels, short_runs, unscored, warning_lines
from logitmeter.progress import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logitmeter._core import CheckCounts
    from logitmeter._sample import Sample


class Problem(NamedTuple):
    """One thing that is wrong: the name of its error, what, and where.

    The position counts over all of the input; where a file holds it, its place there is given too.

    Examples
    --------
    >>> print(Problem("LabelError", "label 9 at position 71 is not below 8", 71, "b.arrow", 3))
    LabelError in b.arrow: label 9 at position 71 is not below 8 (position 3 of this file)
    """

    kind: str
    message: str
    position: int | None = None
    path: str | None = None
    position_in_file: int | None = None

    def __str__(self) -> str:
        file = "" if self.path is None else f" in {printable(self.path)}"
        return f"{self.kind}{file}{self._place()}: {printable(self.message)}{self._place_in_file()}"

    def _place(self) -> str:
        """Say the position over all of the input, unless the message does."""
        if self.position is None or re.search(rf"\bposition {self.position}\b", self.message):
            return ""
        return f" at position {count(self.position)}"

    def _place_in_file(self) -> str:
        if self.position_in_file is None or self.position_in_file == self.position:
            return ""
        return f" (position {count(self.position_in_file)} of this file)"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Check:
    """What `check` found in labels, mask, weights and ids, and in a sample of the logits.

    Attributes
    ----------
    ok
        True if there is no problem; warnings are none.
    problems
        What `evaluate` would raise, the first position first: see `Problem`.
    num_rows, num_visible, num_hidden, num_runs, num_sequences
        Positions, visible and hidden tokens, replies and sequences; 0 where a problem ended
        the count.
    num_short_left, num_short_right
        Runs that miss a leading, and a trailing, token.
    num_unscored
        Usable labels, of a mask its tokens, that no row of logits scores (the first of a shifted
        sequence).
    sequences_known
        Whether there is a way to tell sequences apart.
    hidden_label_ids
        The labels found at hidden positions, with their counts.
    warnings
        Pairs of a class of `logitmeter.exceptions` and a message.
    rows, vocab_size, element, bytes, files
        Rows of logits, entries a row, their element type and bytes, and the number of files;
        None where the source does not say.
    columns
        The types of all columns, by name.
    parts
        The columns that are used, by what each is: logits, labels, mask, ...
    sample
        What was found in the first rows: see `Sample`; None if none were looked at.
    estimated_seconds
        How long `evaluate` would take at the speed of the sample; None if that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> found = lm.check(np.zeros((2, 4), np.float32), np.array([0, 9]))
    >>> found.ok, found.problems[0].kind, found.problems[0].position
    (False, 'LabelError', 1)
    """

    problems: tuple[Problem, ...]
    num_rows: int
    num_visible: int
    num_hidden: int
    num_runs: int
    num_sequences: int
    sequences_known: bool
    num_short_left: int
    num_short_right: int
    num_unscored: int
    hidden_label_ids: Mapping[int, int]
    warnings: tuple[tuple[str, str], ...]
    rows: int | None = None
    vocab_size: int | None = None
    element: str | None = None
    bytes: int | None = None
    files: int | None = None
    columns: Mapping[str, str] = field(default_factory=no_items)
    parts: Mapping[str, str] = field(default_factory=no_items)
    sample: Sample | None = None
    estimated_seconds: float | None = field(default=None, compare=False)

    @classmethod
    def _from_counts(
        cls,
        counts: CheckCounts | None,
        *,
        problems: Iterable[Problem | tuple[Any, ...]] = (),
        **facts: Any,
    ) -> Self:
        """Join what the core counted (None if it could not) with what is known of the source."""
        found: dict[str, Any] = dict(_NOTHING if counts is None else counts)
        found["hidden_label_ids"] = FrozenMapping(found["hidden_label_ids"])
        found["warnings"] = tuple(map(tuple, found["warnings"]))
        return cls(problems=tuple(Problem(*problem) for problem in problems), **found, **facts)

    @property
    def ok(self) -> bool:
        """Whether `evaluate` can run: there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        """Say what is wrong, then what would count."""
        return "\n".join([self._verdict(), *map(str, self.problems), *self._details()])

    def _verdict(self) -> str:
        return "ok" if self.ok else plural(len(self.problems), "problem")

    def _details(self) -> list[str]:
        lines = [self._source(), self._schema(), self._counted()]
        lines.append(hidden_labels(self.hidden_label_ids))
        lines.append(short_runs(self.num_short_left, self.num_short_right))
        lines.append(unscored(self.num_unscored, has_mask=self.num_runs > 0))
        lines += [] if self.sample is None else self.sample.lines()
        lines.append(self._plan())
        return [line for line in lines if line] + warning_lines(self.warnings)

    def _source(self) -> str:
        facts = [
            None if self.rows is None else plural(self.rows, "row"),
            None if self.vocab_size is None else f"vocabulary {count(self.vocab_size)}",
            self.element,
            None if self.bytes is None else bytes_text(self.bytes),
            None if not self.files else plural(self.files, "file"),
        ]
        known = [fact for fact in facts if fact is not None]
        return f"Source: {', '.join(known)}." if known else ""

    def _schema(self) -> str:
        kinds = (f"{printable(name)} {printable(kind)}" for name, kind in self.columns.items())
        return f"Columns: {', '.join(kinds)}." if self.columns else ""

    def _plan(self) -> str:
        """Say what `evaluate` would do, and for how long."""
        if not self.parts:
            return ""
        used = ", ".join(
            part if part == name else f"{part} from {printable(name)}"
            for part, name in self.parts.items()
        )
        tokens = plural(self.num_visible + self.num_hidden, "token")
        scored = f"score {tokens} by {used}" if self.num_rows else f"read {used}"
        if self.estimated_seconds is None:
            return f"evaluate would {scored}."
        time = time_text(self.estimated_seconds)
        return f"evaluate would {scored}, in about {time} at the speed of the sample."

    def _counted(self) -> str:
        if not self.num_rows:
            return ""
        tokens = f"{plural(self.num_visible, 'visible token')}, {count(self.num_hidden)} hidden"
        runs = f", {plural(self.num_runs, 'reply', 'replies')}" if self.num_runs else ""
        sequences = f", {plural(self.num_sequences, 'sequence')}" if self.sequences_known else ""
        return f"Counts: {tokens}{runs}{sequences} of {plural(self.num_rows, 'position')}."

    def __repr__(self) -> str:
        tokens = plural(self.num_visible + self.num_hidden, "token")
        return (
            f"<logitmeter.Check: {self._verdict()}, {tokens} of {count(self.num_rows)} positions>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain Python values, `problems` as a list of dicts.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> lm.check(np.zeros((2, 4), np.float32), np.array([0, 1])).to_dict()["ok"]
        True
        """
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found["problems"] = [problem._asdict() for problem in self.problems]
        found["warnings"] = [{"kind": kind, "message": text} for kind, text in self.warnings]
        for name in ("hidden_label_ids", "columns", "parts"):
            found[name] = dict(found[name])
        found["sample"] = None if self.sample is None else self.sample.to_dict()
        return {"ok": self.ok, **found}

    def to_json(self, indent: int | None = None) -> str:
        """Write the same as valid JSON.

        Parameters
        ----------
        indent
            Spaces a level; None writes one line.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> found = lm.check(np.zeros((2, 4), np.float32), np.array([0, 1]))
        >>> json.loads(found.to_json())["num_visible"]
        2
        """
        return _export.to_json(self.to_dict(), indent)


_NOTHING: CheckCounts = {
    "num_rows": 0,
    "num_visible": 0,
    "num_hidden": 0,
    "num_runs": 0,
    "num_sequences": 0,
    "sequences_known": False,
    "num_short_left": 0,
    "num_short_right": 0,
    "num_unscored": 0,
    "hidden_label_ids": {},
    "warnings": [],
}
