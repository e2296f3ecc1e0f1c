"""Which tokens count where each position has a role: prompt, visible or hidden.

As `counting`, the whole input is in lists and every error found is put on one list. The law:

- A null or unknown role is an error, wherever it stands, in the place of the mask's; it is then
  as prompt.
- A **reply** is a maximal stretch of visible and hidden positions within one sequence (under
  shift without its first token, which is no position). A reply spanning two groups is an error;
  its tokens belong to the group of its first position.
- A **visible token**: the role is visible, the label is usable and its weight is not 0.
- A **hidden token**: the role is hidden and the label is usable. It takes the weight of the
  nearest visible *position* of its reply, whatever that label, of two equally near ones the
  earlier; its own weight is ignored, and the weight it takes is checked. In a reply without any
  visible position it keeps its own. Weight 0: not counted, not read.
- Roles say which tokens are hidden, so none is missing: no reply is short.
- With ``hidden=False`` no hidden token counts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Unpack

from .counting import (
    Case,
    Counted,
    Failure,
    Run,
    Span,
    Token,
    bad_label,
    counts,
    first_failure,
    group_of,
    row_of,
    scored_positions,
    split_sequences,
    usable,
    weigh,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLES = ("prompt", "visible", "hidden")


class Replies:
    """The replies of an input, and the position whose weight each of their tokens takes."""

    def __init__(self, roles: Sequence[str | None], spans: Sequence[Span], c: Case) -> None:
        self.roles = roles
        self.all: list[Run] = []
        for s, span in enumerate(spans):
            for p in scored_positions(c, span):
                if roles[p] not in {"visible", "hidden"}:
                    continue
                last = self.all[-1] if self.all else None
                if last is not None and last.sequence == s and last.last == p - 1:
                    self.all[-1] = Run(last.first, p, s)
                else:
                    self.all.append(Run(p, p, s))

    def lender(self, reply: Run, p: int) -> int:
        """Give the position whose weight a token of this reply takes."""
        visible = [q for q in reply.own() if self.roles[q] == "visible"]
        if self.roles[p] == "visible" or not visible:
            return p
        return min(visible, key=lambda q: (abs(q - p), q))


def count_by_role(*, labels_first: bool = False, **c: Unpack[Case]) -> Counted | Failure:
    """Give the counted tokens, or the one error; the case's mask and claims are not looked at."""
    roles, hidden = c["role"] or [], c["hidden"]
    spans, failures = split_sequences(c)
    replies = Replies(roles, spans, c)
    failures += [Failure(p, "role") for p, role in enumerate(roles) if role not in ROLES]

    tokens: list[Token] = []
    for reply in replies.all:
        for p in reply.own():
            if group_of(c, p) != group_of(c, reply.first):
                failures.append(Failure(p, "group"))
            lender = replies.lender(reply, p)
            weight = weigh(c, lender)
            if not usable(c, p) or not counts(weight) or (roles[p] == "hidden" and not hidden):
                continue
            if weight is None:
                failures.append(Failure(lender, "weight"))
            if bad_label(c, p):
                failures.append(Failure(p, "label"))
            if c["nonfinite"] == "raise" and row_of(c, p) in c["bad_rows"]:
                failures.append(Failure(p, "nonfinite"))
            tokens.append(
                Token(
                    position=p,
                    row=row_of(c, p),
                    label=c["labels"][p] or 0,
                    weight=weight or 0.0,
                    hidden=roles[p] == "hidden",
                    group=group_of(c, reply.first),
                    sequence=reply.sequence,
                    invalid=row_of(c, p) in c["bad_rows"],
                )
            )
    failure = first_failure(failures, labels_first=labels_first)
    if failure is not None:
        return failure
    kept = {t.position for t in tokens}
    first = [first for first, _, _ in spans if c["shift"]]
    scored = {"visible", "hidden"} if hidden else {"visible"}
    return Counted(
        tokens=tokens,
        num_runs=sum(bool(kept & set(reply.own())) for reply in replies.all),
        num_short_left=0,
        num_short_right=0,
        num_unscored=sum(usable(c, p) and roles[p] in scored for p in first),
        hidden_label_ids=dict(sorted(Counter(t.label for t in tokens if t.hidden).items())),
        sequences=spans,
    )
