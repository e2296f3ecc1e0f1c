"""Rows of log-probabilities: all of them, or the largest few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from logitmeter import _core
from logitmeter.arguments import Precision, one_of, vocab_options, whole
from logitmeter.border import named_errors
from logitmeter.exceptions import DTypeError
from logitmeter.running import reading
from logitmeter.scores import Scores
from logitmeter.sources import Data, SourceLike, open_source
from logitmeter.sources.dtypes import element_name

if TYPE_CHECKING:
    import pyarrow as pa

    from logitmeter.sources.feed import Feed

__all__ = ["log_softmax", "top_k"]


def log_softmax(
    logits: SourceLike,
    *,
    mask: Any = None,
    vocab_mask: Any = None,
    valid_vocab: int | None = None,
    dtype: Any = None,
    nonfinite: Literal["raise", "propagate"] = "raise",
    precision: Precision = "fast",
    threads: int | None = None,
) -> Any:
    """Logarithms of softmax over the last axis: ``x - ln(sum_j exp(x[j]))``, in nats.

    Parameters
    ----------
    logits
        ``[N, V]`` or ``[B, T, V]``, an Arrow object, paths, or a `Source`.
    mask
        The rows that are wanted: bool or 0 and 1, ``[N]`` or ``[B, T]``, or the name of a column.
        Others are not read; they are nan in arrays and null in Arrow.
    vocab_mask
        Booleans ``[V]``: the entries that have a probability; others are -inf.
    valid_vocab
        Only the first so many entries have a probability; others are -inf.
    dtype
        ``float32`` or ``float64``; by default float32, and float64 of float64.
    nonfinite
        Rows holding NaN or +inf: ``"raise"``, or ``"propagate"``: a row of nan.
    precision, threads
        As in `evaluate`.

    Returns
    -------
    numpy.ndarray or Scores
        Of an array, a NumPy array of its shape; else an Arrow stream of one column ``logprobs``,
        which can be read once. Within 1e-6 and half a unit in the last place.

    Raises
    ------
    NonFiniteError
        A row that holds NaN or +inf, or nothing but -inf.
    ShapeError, DTypeError, SettingsError, CorruptInputError, InputChangedError
        As `evaluate`.

    References
    ----------
    Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logits = np.array([[0.0, np.log(3.0), 9.0]], np.float32)
    >>> lm.log_softmax(logits, vocab_mask=np.array([True, True, False])).round(4)
    array([[-1.3863, -0.2877,    -inf]], dtype=float32)
    """
    one_of("nonfinite", nonfinite, ("raise", "propagate"))
    source = open_source(logits)
    feed = source.feed(Data(mask=mask)).of_logits()
    options: dict[str, Any] = {
        "nonfinite": nonfinite,
        **vocab_options(feed.stated_vocab, valid_vocab, vocab_mask, precision),
        **reading(feed, threads),
    }
    element = _out_element(dtype)
    if source.array_shape is not None:
        return _into_array(feed, source.array_shape, element, options)
    with named_errors(feed):
        return Scores(_core.log_softmax(feed, out_dtype=element, **options), feed)


def top_k(
    logits: SourceLike,
    k: int,
    *,
    mask: Any = None,
    vocab_mask: Any = None,
    valid_vocab: int | None = None,
    nonfinite: Literal["raise", "propagate"] = "raise",
    precision: Precision = "fast",
    threads: int | None = None,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give the k largest log-probabilities of each row and their ids: by value, then by lower id.

    Parameters
    ----------
    logits, mask, vocab_mask, valid_vocab, nonfinite, precision, threads
        As in `log_softmax`.
    k
        How many, at most the number of entries that have a probability: V, or as many as
        `valid_vocab` and `vocab_mask` leave.

    Returns
    -------
    logprobs, ids
        float64 (nats) and int64 arrays ``[..., k]``; nan and -1 where a row is not wanted.

    Raises
    ------
    LogitmeterError
        As `log_softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> logprobs, ids = lm.top_k(np.array([[0.0, 2.0, 2.0]], np.float32), 2)
    >>> logprobs.round(4), ids
    (array([[-0.7586, -0.7586]]), array([[1, 2]]))
    """
    one_of("nonfinite", nonfinite, ("raise", "propagate"))
    source = open_source(logits)
    feed = source.feed(Data(mask=mask)).of_logits()
    with named_errors(feed):
        stream = _core.top_k(
            feed,
            whole("k", k, 1),
            nonfinite=nonfinite,
            **vocab_options(feed.stated_vocab, valid_vocab, vocab_mask, precision),
            **reading(feed, threads),
        )
    table = Scores(stream, feed).read_all()
    shape = (table.num_rows,) if source.array_shape is None else source.array_shape[:-1]
    logprobs = _matrix(table["logprobs"], np.nan, np.float64)
    return logprobs.reshape(*shape, k), _matrix(table["ids"], -1, np.int64).reshape(*shape, k)


def _out_element(dtype: Any) -> Literal["float32", "float64"] | None:
    name = element_name(dtype)
    if name is None:
        return None
    if name == "float32":
        return "float32"
    if name == "float64":
        return "float64"
    raise DTypeError(
        f"log_softmax gives float32 or float64, not {name}",
        expected="float32 or float64",
        got=name,
    )


def _into_array(
    feed: Feed, shape: tuple[int, ...], element: str | None, options: dict[str, Any]
) -> np.ndarray[Any, Any]:
    out = np.empty(shape, element or ("float64" if feed.element == "float64" else "float32"))
    if out.size:
        with named_errors(feed):
            _core.log_softmax_into(feed, out.reshape(-1, shape[-1]), **options)
    return out


def _matrix(column: pa.ChunkedArray, missing: float, kind: type) -> np.ndarray[Any, Any]:
    """Give lists of one length as rows, null lists as rows of what stands for missing."""
    length = column.type.list_size
    rows = [_rows(chunk, length) for chunk in column.chunks]
    matrix = np.concatenate([np.empty((0, length), kind), *rows])
    matrix[column.is_null().to_numpy()] = missing
    return matrix


def _rows(chunk: pa.Array, length: int) -> np.ndarray[Any, Any]:
    values = chunk.values.slice(chunk.offset * length, len(chunk) * length)
    rows: np.ndarray[Any, Any] = values.to_numpy(zero_copy_only=False).reshape(-1, length)
    return rows
