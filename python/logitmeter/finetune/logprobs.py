"""Log-probabilities that APIs give, to the same report as logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from logitmeter._numbers import number_text, plural
from logitmeter._part import FrozenMapping
from logitmeter.arguments import MOST_HIDDEN, flag, whole
from logitmeter.exceptions import LabelError, SettingsError, ShapeError
from logitmeter.finetune._responses import replies_of
from logitmeter.finetune._responses.scores import exact
from logitmeter.finetune._responses.tokens import visible_tokens
from logitmeter.metrics import evaluate
from logitmeter.sources import scan

if TYPE_CHECKING:
    from logitmeter.finetune._responses.reply import Wanted
    from logitmeter.finetune._responses.scores import Score
    from logitmeter.finetune._responses.tokens import Token
    from logitmeter.report import Report

__all__ = ["evaluate_logprobs"]

Labels: TypeAlias = "Sequence[Sequence[Wanted] | None]"
Starts: TypeAlias = "int | Sequence[int | None] | None"

SAMPLED = "This is sampled text, not a training loss: pass labels, the tokens that were wanted."
COLUMNS = {
    "nll": pa.float64(),
    "nll_high": pa.float64(),
    "rank": pa.int64(),
    "rank_high": pa.int64(),
    "ties": pa.int64(),
}


def evaluate_logprobs(
    responses: Any,
    *,
    labels: Labels | None = None,
    reply_start: Starts = None,
    hidden: int = 2,
    hidden_logprob: float = 0.0,
    hidden_correct: bool = True,
) -> Report:
    r"""Loss and accuracy from log-probabilities of APIs, as a fine-tuning service would count them.

    With n visible tokens a reply, of which nll_i is known, and h hidden ones assumed::

        loss = (sum_i nll_i - h * hidden_logprob) / (n + h)     pooled over all replies

    An API gives a few log-probabilities a position, so that some losses are known only within
    bounds: where a token is not among the listed ones, with probabilities p,
    ``nll >= max(-ln min p, -ln(1 - sum p))``, and it is not correct. Figures are the low ends
    (``loss_bounds``). A token is correct if none is more likely; where another one is as likely,
    accuracy has bounds. Hidden tokens are in no response: they are assumed, and the report says so.

    Parameters
    ----------
    responses
        Responses of OpenAI's chat or its like (``logprobs.content``), of completions (also with
        ``echo``; Together's too), of vLLM (``prompt_logprobs``, also as FlatLogprobs), of SGLang
        (``meta_info``), of llama.cpp's server (``completion_probabilities``) or of OpenAI's
        batches: paths of JSON or JSON lines, JSON itself, dicts, objects of an SDK, or a list of
        any of these. Each is recognised by its keys. Every choice is a reply and a sequence.
    labels
        Of sampled text: for each reply the tokens that were wanted, by their text, their bytes or
        their ids, as the responses name tokens. Each is looked up as long as what was sampled is
        what was wanted; behind the first difference, and behind the end, nothing is known of them
        (``num_unknown``). None for a reply leaves it as it was sampled. Text that was given (an
        echo, a prompt) is its own label.
    reply_start
        Of text that was given: the index of the token with which the reply begins, one for all or
        one for each reply; what lies before is not counted. Without it all tokens that have a
        log-probability count.
    hidden
        Hidden tokens of each reply.
    hidden_logprob, hidden_correct
        What is assumed of each of them: its log-probability in nats, and whether it is predicted.

    Returns
    -------
    Report
        `Report.heading` says if this is sampled text, and what is assumed; `Report.settings` has
        the assumptions.

    Raises
    ------
    CorruptInputError
        JSON that is none (by its line), a response of no known shape, one without
        log-probabilities, or with an error of the API in place of them.
    LabelError, ShapeError
        A reply without tokens; labels that name tokens otherwise than the responses do; as many
        labels or starts as there are not replies.
    SettingsError
        `labels` for text that was given, `reply_start` for text that was sampled, assumptions that
        are none.

    Notes
    -----
    Log-probabilities of sampled text are those of the model, not of its training: a loss over
    what the model itself chose says nothing of what it should have said.

    Examples
    --------
    A reply of one token between two colours, as chat completions report it:

    >>> from logitmeter import finetune
    >>> top = [{"token": "RED", "logprob": -0.6931}, {"token": "BLUE", "logprob": -0.6932}]
    >>> content = [{"token": "RED", "logprob": -0.6931, "top_logprobs": top}]
    >>> response = {"choices": [{"logprobs": {"content": content}}]}
    >>> report = finetune.evaluate_logprobs(response, labels=[["BLUE"]])
    >>> round(report.loss, 4), round(report.accuracy, 4), round(report.visible.loss, 4)
    (0.2311, 0.6667, 0.6932)
    """
    hidden = whole("hidden", hidden, 0, MOST_HIDDEN)
    rank = 0 if flag("hidden_correct", hidden_correct) else 1
    assumed = [exact(_hidden_logprob(hidden_logprob), rank)] * hidden
    replies = list(_replies(responses, labels, reply_start))
    if not replies:
        raise LabelError("there are no responses", expected="at least one response", got="none")
    table = _table([tokens for tokens, _ in replies], assumed)
    report = evaluate(scan(table, values="scores"), trailing=hidden)
    assumptions = {
        "hidden": hidden,
        "hidden_logprob": hidden_logprob,
        "hidden_correct": hidden_correct,
    }
    return replace(
        report,
        heading=_heading(assumptions, sampled=any(sampled for _, sampled in replies)),
        settings=FrozenMapping({**report.settings, **assumptions}),
        hidden_label_ids=FrozenMapping({}),  # of tokens that are assumed nobody knows the ids
    )


def _replies(
    responses: Any, labels: Labels | None, starts: Starts
) -> Iterator[tuple[list[Token], bool]]:
    """Give the tokens of each reply, and whether they are those that were sampled."""
    number = 0
    for reply in replies_of(responses, sampled=labels is not None):
        wanted = _of_reply("labels", labels, number)
        start = starts if isinstance(starts, int) else _of_reply("reply_start", starts, number)
        yield visible_tokens(reply, wanted, start), not reply.forced and wanted is None
        number += 1
    for name, given in (("labels", labels), ("reply_start", starts)):
        if isinstance(given, Sequence) and len(given) != number:
            raise _unequal(name, len(given), plural(number, "reply", "replies"))


def _of_reply(name: str, given: Any, number: int) -> Any:
    """Give the value of one reply."""
    if given is None:
        return None
    if isinstance(given, str | bytes) or not hasattr(given, "__len__"):
        kind = type(given).__name__
        message = f"{name} has one value for each reply, and this is a {kind}"
        raise SettingsError(message, expected="a list", got=kind)
    if number >= len(given):
        raise _unequal(name, len(given), "more replies")
    return given[number]


def _unequal(name: str, given: int, replies: str) -> ShapeError:
    message = f"{name} has {plural(given, 'value')}, but the responses hold {replies}"
    return ShapeError(message, expected=replies, got=str(given))


def _heading(assumptions: dict[str, Any], *, sampled: bool) -> tuple[str, ...]:
    """Say what the figures are, where they are not those of a plain evaluation."""
    said = [SAMPLED] if sampled else []
    if assumptions["hidden"]:
        tokens = plural(assumptions["hidden"], "hidden token")
        rate = "correct" if assumptions["hidden_correct"] else "not correct"
        logprob = number_text(assumptions["hidden_logprob"])
        said.append(f"Assumed, not measured: {tokens} a reply, log-probability {logprob}, {rate}.")
    return tuple(said)


def _table(replies: Sequence[list[Token]], hidden: list[Score]) -> pa.Table:
    """Build a source of scores: a sequence a reply, its hidden tokens outside the mask."""
    scores: list[Score] = []
    labels, mask, ids = [], [], []
    for i, tokens in enumerate(replies):
        # Tokens without an id get numbers of their own, so that no two seem to be the same.
        numbered = enumerate(tokens, len(scores))
        labels += [new if number is None else number for new, (_, number) in numbered]
        scores += [*(score for score, _ in tokens), *hidden]
        labels += [0] * len(hidden)
        mask += [True] * len(tokens) + [False] * len(hidden)
        ids += [i] * (len(tokens) + len(hidden))
    columns = zip(COLUMNS.items(), zip(*scores, strict=True), strict=True)
    table = {name: pa.array(column, kind) for (name, kind), column in columns}
    return pa.table(table | {"labels": labels, "mask": mask, "sequence_id": ids})


def _hidden_logprob(value: Any) -> float:
    wanted = "a finite log-probability, at most 0"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and -math.inf < value <= 0):
        message = f"hidden_logprob={value!r}: {wanted} is needed"
        raise SettingsError(message, expected=wanted, got=repr(value))
    return float(value)
