"""One page for whoever stares at a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.arguments import whole
from logitmeter.exceptions import SettingsError
from logitmeter.finetune._infer import infer
from logitmeter.finetune._stages import Tokens
from logitmeter.finetune._train import Counts, counted, is_text, reusable
from logitmeter.finetune.explanation import Explanation, HiddenSource
from logitmeter.finetune.levels import baseline
from logitmeter.finetune.results import read_results
from logitmeter.finetune.suspect import ImpossibleAccuracy, broken_rows, impossible_accuracies

if TYPE_CHECKING:
    import pyarrow as pa
    import tiktoken

    from logitmeter.finetune.inference import Inference

__all__ = ["explain"]

ASSUMED = 2
"""What was found for OpenAI's service (lesswrong.com/posts/zDnA4SEbkeCj2CDHp)."""


def explain(
    results: Any,
    train: Any = None,
    *,
    model: str | None = None,
    encoding: str | tiktoken.Encoding | None = None,
    n_epochs: int | None = None,
    batch_size: int | None = None,
    hidden: int | None = None,
) -> Explanation:
    """Say what the curves of a run mean for the visible tokens of its replies.

    With training data the number of hidden tokens is inferred (see `infer`), and the level of
    guessing from the replies' frequencies is set beside the curves (see `baseline`). Without it, or
    where the run does not settle it, two hidden tokens are assumed, and the page says so.

    Parameters
    ----------
    results
        What `read_results` reads.
    train
        The training data, as `infer` takes them.
    model, encoding, n_epochs, batch_size
        As in `infer`.
    hidden
        The hidden tokens a reply, where they are known.

    Returns
    -------
    Explanation
        ``print`` it, or write ``to_html()`` to a file.

    Raises
    ------
    CorruptInputError, VocabularyMissingError, SettingsError
        As `read_results` and `infer`.

    Examples
    --------
    >>> rows = [{"step": s, "train_loss": 0.69, "train_accuracy": 0.5} for s in (1, 2)]
    >>> found = explain(rows, hidden=0)
    >>> print(found)
    As you say, no hidden tokens count in each reply besides the visible ones.
    ...
    """
    table = read_results(results)
    given = None if hidden is None else whole("hidden", hidden, 0)
    listed = train if train is None else reusable(train)
    inference, why = None, ""
    if listed is not None and given is None:
        options = {"n_epochs": n_epochs, "batch_size": batch_size}
        inference, why = _inferred(table, listed, model=model, encoding=encoding, **options)
    number, source = _hidden(given, inference)
    counts, named = None, encoding
    if listed is not None:
        counts, named = _counts(listed, model, encoding, inference)
    return Explanation(
        table=table,
        hidden=number,
        hidden_source=source,
        tokens=None if counts is None else _tokens(counts, number),
        inference=inference,
        not_inferred=why,
        level=(
            baseline(listed, hidden=number, model=model, encoding=named)
            if listed is not None and is_text(listed)
            else None
        ),
        encoding=named if isinstance(named, str) and named != encoding else None,
        broken=tuple(broken_rows(table)),
        impossible=()
        if counts is None
        else _impossible(table, counts, number, inference, batch_size),
    )


def _inferred(table: pa.Table, train: Any, **options: Any) -> tuple[Inference | None, str]:
    """Run `infer`, where there are accuracies; else, or where it settles nothing, say why."""
    if table["train_accuracy"].null_count == len(table):
        return None, "no training accuracy was reported, which is what they would show in"
    found = infer(table, train, **options)
    return found, "" if found.determined else "; ".join(found.doubts)


def _hidden(given: int | None, inference: Inference | None) -> tuple[int, HiddenSource]:
    if given is not None:
        return given, "given"
    if inference is not None and inference.hidden is not None:
        return inference.hidden, "inferred"
    return ASSUMED, "assumed"


def _counts(
    train: Any,
    model: str | None,
    encoding: str | tiktoken.Encoding | None,
    inference: Inference | None,
) -> tuple[Counts, str | tiktoken.Encoding | None]:
    """Count the tokens with the encoding that is known, or that explains the run best."""
    if model is None and encoding is None and is_text(train):
        if inference is None:
            raise SettingsError(
                "model or encoding is needed: without accuracies nothing tells how text becomes"
                " tokens",
                expected="model= or encoding=",
            )
        encoding = inference.best.encoding
    return counted(train, model=model, encoding=encoding)[0], encoding


def _impossible(
    table: pa.Table,
    counts: Counts,
    hidden: int,
    inference: Inference | None,
    batch_size: int | None,
) -> tuple[ImpossibleAccuracy, ...]:
    """List the accuracies that no batch of these conversations can give, short ones included."""
    if batch_size is None and inference is not None and inference.determined:
        batch_size = inference.best.batch_size
    lengths = counts.lengths(hidden)
    if batch_size is None or lengths is None:
        return ()
    tokens = range(max(1, int(lengths.min())), batch_size * int(lengths.max()) + 1)
    return tuple(impossible_accuracies(table, tokens))


def _tokens(counts: Counts, hidden: int) -> Tokens | None:
    """Add up an epoch; None if it has no visible token."""
    visible, replies = int(counts.visible.sum()), int(counts.replies.sum())
    return Tokens(visible, replies, hidden * replies) if visible else None
