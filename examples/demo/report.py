"""What the demo says: both results side by side, speed and memory, and the point of it all."""

import os
import statistics

import measure
from baseline import Parts
from dump import Facts
from measure import CHUNKED, NAIVE, OURS, OURS_ONE, Runs
from table import paragraph, size, table

_PARTS = {"visible": "visible reply", "hidden": "hidden tokens", "whole": "whole"}
_HIDDEN_A_REPLY = 2


def figures(runs: Runs) -> str:
    """Lay out loss and accuracy of each part, one line a method."""
    rows: list[list[str]] = []
    for name, title in _PARTS.items():
        for method in (OURS, CHUNKED, NAIVE):
            part = runs[method][0].parts[name]
            rows.append(
                [
                    title if method == OURS else "",
                    method,
                    f"{part.num_tokens:,}",
                    f"{part.num_correct:,}",
                    f"{part.accuracy:.4%}",
                    f"{part.loss:.9f}",
                ]
            )
        rows.append([])
    header = ["", "scored by", "tokens", "correct", "accuracy", "loss (nats)"]
    return table(header, rows[:-1], words=2)


def speed(runs: Runs, facts: Facts) -> str:
    """Lay out time, throughput over the logits that count, and memory."""
    counted = runs[OURS][0].parts["whole"].num_tokens * facts.vocab_size * 2
    rows = []
    for method in (OURS, OURS_ONE, CHUNKED, NAIVE):
        seconds = statistics.median(run.seconds for run in runs[method])
        rows.append(
            [
                method,
                str(len(runs[method])),
                f"{seconds:.3f} s",
                f"{counted / seconds / 1e9:.2f} GB/s",
                size(max(run.memory_peak or 0 for run in runs[method]) or None),
                size(max(run.memory_grown or 0 for run in runs[method]) or None),
            ]
        )
    return table(
        [f"{cores()} cores", "runs", "time", "of counted logits", "peak memory", "by scoring"], rows
    )


def comparison(runs: Runs) -> str:
    """Lay out how many times faster logitmeter is: the median, and the range over the turns."""
    rows = [
        [f"faster than {slow}", *(_ratio(runs, slow, fast) for fast in (OURS, OURS_ONE))]
        for slow in (CHUNKED, NAIVE)
    ]
    return table(["", OURS, OURS_ONE], rows)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def agreement(runs: Runs, facts: Facts) -> str:
    """Say how well the methods agree, and how far half precision moved the model's own figure."""
    moved = abs(runs[OURS][0].parts["visible"].loss - facts.model_loss)
    return paragraph(
        f"""Counts are equal and losses to {measure.largest_difference(runs):.1e} (promised:
        {measure.PROMISE:.0e}); logitmeter's have the same bits with one thread and with all. The
        model's own probabilities, in double precision and before any logit was written, give
        {facts.model_loss:.6f} for the visible reply: half precision moved it by {moved:.1e}."""
    )


def story(parts: Parts) -> str:
    """Say in plain words what the figures mean."""
    visible, hidden, whole = (parts[name] for name in _PARTS)
    length = visible.num_tokens / (hidden.num_tokens / _HIDDEN_A_REPLY)
    lower = whole.loss < visible.loss
    return paragraph(
        f"""A fine-tuning dashboard averages over all {whole.num_tokens:,} tokens and shows a loss
        of {whole.loss:.4f} and {whole.accuracy:.2%} correct. Over the words that a user sees, the
        same model has {visible.loss:.4f} and {visible.accuracy:.2%}. The dashboard's loss is
        {abs(whole.loss / visible.loss - 1):.1%} {"lower" if lower else "higher"} because behind
        each reply stand two tokens that nobody sees, <|im_end|> and <|endoftext|>, which are
        {"easier" if lower else "harder"} to predict (loss {hidden.loss:.4f}, {hidden.accuracy:.1%}
        correct). Here a reply has {length:.0f} tokens on average. Behind a reply of one token they
        are two of the three that count: where the model is sure of them, the dashboard shows a
        third of the loss, and never less than two thirds correct. logitmeter's trailing=2 gives all
        three figures from one read."""
    )


def _ratio(runs: Runs, slow: str, fast: str) -> str:
    median, low, high = measure.ratios(runs, slow, fast)
    if len(runs[slow]) == 1:
        return f"{median:.1f} times"
    return f"{median:.1f} times ({low:.1f} to {high:.1f})"
