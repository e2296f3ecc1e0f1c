"""From a dashboard's figures back to the visible reply.

With v visible and h hidden tokens (of a reply, or of all of a batch), N = v + h, and hidden tokens
that are predicted with certainty (loss 0, correct), which is nearly so after the first steps::

    visible loss = loss * N / v,   visible accuracy = (accuracy * N - h) / v

Without that assumption there are bounds: each token that is not predicted has p <= 1/2, hence a
loss of ln 2 at least.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from logitmeter.arguments import whole
from logitmeter.exceptions import SettingsError
from logitmeter.finetune.fractions import half_widths

__all__ = ["Visible", "visible_accuracy", "visible_loss"]


class Visible(NamedTuple):
    """A figure of the visible tokens: floats, or arrays where arrays were given.

    Attributes
    ----------
    value
        If all hidden tokens are certain; nan where the reported figure rules that out.
    low, high
        What it can be whatever the hidden tokens are, within the rounding of the reported figure.
    """

    value: Any
    low: Any
    high: Any


def visible_accuracy(accuracy: Any, *, visible: int, hidden: int) -> Visible:
    """Give the accuracy over the visible tokens that goes with a reported one.

    Parameters
    ----------
    accuracy
        As reported, from 0 to 1: a number or an array.
    visible, hidden
        Tokens of each kind that it counts: of a reply, or of all of a batch.

    Returns
    -------
    Visible
        ``value`` takes every hidden token as correct; ``low`` and ``high`` do not.

    Raises
    ------
    SettingsError
        No visible token, a negative number of hidden ones, or an accuracy outside of 0 to 1.

    Examples
    --------
    >>> found = visible_accuracy(0.66667, visible=1, hidden=2)  # one token, and it was missed
    >>> round(found.value, 3), found.low, found.high
    (0.0, 0.0, 1.0)
    >>> found = visible_accuracy(0.9, visible=98, hidden=2)
    >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (0.898, 0.898, 0.9184)
    """
    total = _tokens(visible, hidden)
    reported = _figures("accuracy", accuracy, most=1.0)
    correct = reported * total
    slack = half_widths(reported) * total
    certain = (correct - hidden) / visible
    value = np.where(correct - hidden < -slack, np.nan, np.clip(certain, 0, 1))
    low = np.clip((correct - slack - hidden) / visible, 0, 1)
    high = np.clip((correct + slack) / visible, 0, 1)
    return Visible(*map(_given, (value, low, high)))


def visible_loss(loss: Any, *, visible: int, hidden: int, accuracy: Any = None) -> Visible:
    """Give the loss over the visible tokens that goes with a reported one.

    Parameters
    ----------
    loss
        As reported, in nats a token: a number or an array.
    visible, hidden
        Tokens of each kind that it counts: of a reply, or of all of a batch.
    accuracy
        The accuracy of the same tokens: it raises the lower bound, by ln 2 for each visible token
        that must have been missed.

    Returns
    -------
    Visible
        In nats a visible token. ``value`` takes the hidden tokens' loss as 0, which makes it the
        upper bound too; ``low`` lets the hidden tokens have all of the loss that they can.

    Raises
    ------
    SettingsError
        No visible token, a negative number of hidden ones, or a loss below 0.

    Examples
    --------
    >>> import math
    >>> found = visible_loss(math.log(5) / 3, visible=1, hidden=2)
    >>> round(found.value / math.log(5), 6), found.low
    (1.0, 0.0)
    """
    total = _tokens(visible, hidden)
    value = _figures("loss", loss, most=math.inf) * total / visible
    low = np.zeros_like(value)
    if accuracy is not None:
        best = np.asarray(visible_accuracy(accuracy, visible=visible, hidden=hidden).high)
        low = np.minimum(value, (1 - best) * math.log(2))
    return Visible(*map(_given, (value, low, value)))


def _tokens(visible: int, hidden: int) -> int:
    return whole("visible", visible, 1) + whole("hidden", hidden, 0)


def _figures(name: str, figures: Any, most: float) -> Any:
    found = np.asarray(figures, dtype=np.float64)
    if bool(np.any((found < 0) | (found > most))):
        wanted = "from 0 to 1" if math.isfinite(most) else "of at least 0"
        raise SettingsError(f"{name}={figures!r}: figures {wanted} are needed", expected=wanted)
    return found


def _given(figures: Any) -> Any:
    """Give a float for a number, an array for an array."""
    return float(figures) if np.ndim(figures) == 0 else figures
