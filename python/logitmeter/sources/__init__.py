"""Everything that people have, as one thing: a stream of Arrow batches.

`open_source` picks the reader: by what an object offers, and of files by their first bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from logitmeter.arguments import one_of, whole
from logitmeter.exceptions import DTypeError, SettingsError
from logitmeter.sources.arrow_dataset import ArrowDataset, is_arrow_dataset
from logitmeter.sources.base import LOGITS
from logitmeter.sources.dtypes import element_name
from logitmeter.sources.file_pair import SideFile
from logitmeter.sources.files import Files
from logitmeter.sources.formats import Reading, open_file
from logitmeter.sources.hf_datasets import dataset_reader
from logitmeter.sources.memory_arrow import arrow_reader
from logitmeter.sources.memory_numpy import Dense, refuse_masked
from logitmeter.sources.memory_torch import is_tensor, rows_of
from logitmeter.sources.paths import is_paths, places
from logitmeter.sources.pipe import PipeReader, is_pipe
from logitmeter.sources.roles import LISTS, SCORES, check_given
from logitmeter.sources.roles import LOGITS as LOGITS_PARTS
from logitmeter.sources.shards import warn_of_missing
from logitmeter.sources.source import Data, SideFiles, Source
from logitmeter.sources.top_k import TopKOptions

# pyarrow imports pandas, where there is one, at its first conversion, and an interrupt that falls
# into those 0.3 s is lost there. Imported here first, Ctrl-C is heard, as in any other import.
with suppress(Exception):
    import_module("pandas")

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logitmeter.sources.base import Reader

__all__ = ["Data", "Source", "SourceLike", "data_of", "open_source", "scan"]

SourceLike: TypeAlias = Any
"""A `Source`, paths, an array ``[N, V]`` or ``[B, T, V]``, or an Arrow object."""
Values: TypeAlias = Literal["logits", "scores", "logprobs", "probs", "renormalised"]
"""What rows hold."""
LISTED = ("logprobs", "probs", "renormalised")
"""Kinds of value that are read as lists of entries; logits are if their ids are named."""
ACCEPTED = (
    "paths, an array [N, V] or [B, T, V] (NumPy, torch, jax, ...), or an Arrow object "
    "(pyarrow, polars, DuckDB, ...)"
)


def scan(
    source: SourceLike,
    *,
    labels: Any = None,
    columns: Mapping[str, str | None] | None = None,
    dtype: Any = None,
    values: Values = "logits",
    listed: Literal["largest", "any"] = "largest",
    vocab_size: int | None = None,
    null_labels: Literal["raise", "ignore"] = "raise",
    memory_map: bool = False,
    limit: int | None = None,
    join_files: bool = False,
    filesystem: Any = None,
) -> Source:
    """Name an input and say how it is read; nothing is read yet.

    A bare path or object given to any function of this package means ``scan(it)``.

    Parameters
    ----------
    source
        Files: a path, a list of paths, a glob, a directory, or their URLs (``s3://...``); several
        are pooled, globs and directories in byte order. They may be Arrow IPC, Parquet, NumPy's
        ``.npy``, safetensors (a tensor ``logits``, or a series ``logits_0``, ``logits_1``, ... of
        one sequence each), or logits of llama.cpp (``llama-perplexity --kl-divergence-base``),
        which hold scores whatever `values` says; they are told apart by their first bytes.
        Or an array of logits ``[N, V]`` or ``[B, T, V]`` (NumPy, ``ml_dtypes.bfloat16``, torch,
        jax, anything with ``__array__`` or ``__dlpack__``); anything with ``__arrow_c_stream__`` or
        ``__arrow_c_array__`` (pyarrow, polars, DuckDB); a dataset of Hugging Face or pyarrow; an
        open binary file that holds an Arrow IPC stream.
        Rows may hold whole sequences: ``logits: list<list<V>>`` with ``labels: list<int>`` beside.
    labels
        Integers ``[N]`` or ``[B, T]``, or files of labels in any of these formats, paired with
        those of `source` in order. (A mask, weights or ids that are given to a call may be files
        too: as `pathlib.Path`.)
    columns
        Our names to those of the source: ``{"labels": "input_ids"}``; None leaves one unused.
        Ours are logits, labels (also found as label), mask, role, weight, sequence_id and
        batch_id; of scores and of lists those below.
    dtype
        The element type, where the input cannot say it: ``"bf16"`` for 16-bit integers, and for
        the two opaque bytes as which NumPy saves bfloat16; any for rows of opaque bytes. Of lists
        ``"bf16"`` alone.
    values
        The kind of value: ``"logits"``, or ``"scores"`` for tokens that were scored before. Then
        these columns of numbers stand in place of the logits, each about the label that the row
        scores; only ``nll`` is needed, and null is "not known":

        - ``nll``: the negative log-probability in nats, or the low end of it; null if nothing is
          known of the token, which is then counted in ``num_unknown`` alone.
        - ``nll_high``: its high end, perhaps inf; not given, it is `nll`.
        - ``rank``: how many entries stand before the label (0 is best), or the least that they may
          be; not given, it is not known at all.
        - ``rank_high``: the most that they may be; not given, it is `rank`.
        - ``greater``, ``ties``: of the entries, those above the label and those equal to it.
        - ``lse``: passed on by `token_scores`.

        Or rows may hold lists of some of their entries, the top k: columns ``ids`` (token ids) and
        ``values`` (or of the kind's own name), lists of one length, in any order. Then `values`
        says what they are, which is never guessed:

        - ``"logprobs"``, ``"probs"``: logarithms of probabilities, or probabilities.
        - ``"logits"``, with ``columns={"ids": ...}``: raw logits; a column ``lse`` (of the whole
          row) makes log-probabilities of them.
        - ``"renormalised"``: logarithms of probabilities that add up to 1 over the list.

        A column ``tail`` may hold the logarithm of the mass outside the list. Entries that are
        null, -1000 or less (-inf, -9999 and other sentinels), or a probability of 0 are absent. The
        loss of a label in its list is known, unless the list's mass is not (`"renormalised"`, or
        `"logits"` without an lse, both without a tail): then it has bounds. Outside the list it has
        a low end, from the smallest entry and the mass that is left. See ``docs/recipes.md``.
    listed
        ``"largest"``: lists hold the largest entries of the row (of equal ones those of lower id),
        so that ranks are known too; or ``"any"`` of them.
    vocab_size
        V, of lists: their ids and the labels must be below it, and it closes bounds.
    null_labels
        ``"raise"``, or ``"ignore"``: a null label is as `ignore_index`.
    memory_map
        Map files instead of reading them: no copy, but a file that shrinks kills the process.
    limit
        Read the first rows only.
    join_files
        Sequences go on from one file to the next, which otherwise ends them.
    filesystem
        Of `pyarrow.fs` or fsspec, in which the paths lie; otherwise that of a URL's scheme.

    Returns
    -------
    Source
        Readable again where the input is; an Arrow stream of all its columns itself.

    Raises
    ------
    FileNotFoundError
        A path that does not exist, a glob that matches nothing, a directory without files.
    CorruptInputError
        A file of no known format, or a torch pickle; the message says what to do.
    DTypeError
        An object or element type that cannot be read, or that must be stated.
    ShapeError
        An array that is neither ``[N, V]`` nor ``[B, T, V]``, or without a vocabulary.
    SettingsError
        An option or a scheme that is not known, or a `filesystem` for what is no path.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> bits = np.array([[0x4000, 0x3F80]], np.uint16)  # bfloat16: 2.0, 1.0
    >>> source = lm.scan(bits, labels=np.array([0]), dtype="bf16")
    >>> round(lm.evaluate(source).loss, 6)
    0.313262

    A top-k dump, of which the second label is in no list:

    >>> import pyarrow as pa
    >>> rows = {"ids": [[3, 7], [7, 2]], "values": [[0.5, 0.25]] * 2, "labels": [3, 9]}
    >>> report = lm.evaluate(lm.scan(pa.table(rows), values="probs"))
    >>> round(report.loss, 4), report.loss_bounds[1], report.accuracy
    (1.0397, inf, 0.5)
    """
    one_of("values", values, ("logits", "scores", *LISTED))
    one_of("listed", listed, ("largest", "any"))
    one_of("null_labels", null_labels, ("raise", "ignore"))
    element = element_name(dtype)
    lists = _lists(values, columns, listed, vocab_size, element)
    if isinstance(source, Source):
        raise SettingsError("scan takes an input, and this is a Source already")
    how = Reading(columns=dict(columns or {}), dtype=element, memory_map=memory_map)
    reader, files = _reader(source, how, filesystem, join_files=join_files)
    scored = values == "scores" or (isinstance(reader, Files) and reader.scored)
    if scored or lists is not None:
        _check_holds_columns(reader, values, None if lists else element)
    if scored and lists is not None:
        message = f'values="{values}", and this file holds scores whatever is said'
        raise SettingsError(message, expected='values="scores"', got=values)
    return Source(
        reader,
        columns=check_given(columns, LISTS if lists else SCORES if scored else LOGITS_PARTS),
        data=Data(labels=_sides(labels, replace(how, role="labels"), filesystem)),
        dtype=None if isinstance(reader, Dense) or lists else element,
        scored=scored or lists is not None,
        lists=lists,
        null_labels=null_labels,
        limit=None if limit is None else whole("limit", limit, 0),
        num_files=files,
    )


def open_source(thing: SourceLike) -> Source:
    """Give the source itself, or ``scan`` of anything else."""
    return thing if isinstance(thing, Source) else scan(thing)


def data_of(labels: Any, *, by: Any = None, **columns: Any) -> Data:
    """Give what a call says of each row; a lone string is a column, and a `pathlib.Path` a file."""
    parts = {
        part: data if isinstance(data, str) else _sides(data, Reading(role=part), None)
        for part, data in ({"labels": labels} | columns).items()
    }
    return Data(**parts, by=by)


def _reader(
    thing: Any, how: Reading, filesystem: Any, *, join_files: bool
) -> tuple[Reader, int | None]:
    """Give the reader for this kind of input, and how many files it has."""
    if is_paths(thing):
        found = places(thing, filesystem)
        if len(found) > 1 or found[0].path != str(thing):  # one file may be named by itself
            warn_of_missing(found)
        return Files([open_file(place, how) for place in found], join=join_files), len(found)
    if filesystem is not None:
        message = "filesystem goes with paths, and the source is none"
        raise SettingsError(message, expected="paths", got=type(thing).__name__)
    refuse_masked(thing, "logits")
    if is_tensor(thing):
        return Dense(rows_of(thing, how.dtype)), None
    if is_arrow_dataset(thing):
        return ArrowDataset(thing), None
    if is_pipe(thing):
        return PipeReader(thing), None
    reader = dataset_reader(thing) or arrow_reader(thing)
    if reader is None:
        _check_is_array(thing)
        reader = Dense(rows_of(thing, how.dtype))
    return reader, None


def _sides(data: Any, how: Reading, filesystem: Any) -> Any:
    """Give data beside the logits as they are, unless they are paths of files."""
    if not _names_files(data, how.role):
        return data
    logits = how.name_of(LOGITS)
    files = [open_file(place, how) for place in places(data, filesystem)]
    return SideFiles([SideFile(file, logits) for file in files])


def _names_files(data: Any, role: str) -> bool:
    """Whether these are paths; ids may be a list of strings, so that theirs are `Path` objects."""
    if not is_paths(data):
        return False
    items = data if isinstance(data, list | tuple) else [data]
    return role == "labels" or not any(isinstance(item, str) for item in items)


def _check_is_array(thing: Any) -> None:
    if hasattr(thing, "__array__") or hasattr(thing, "__dlpack__"):
        return
    name = f"{type(thing).__module__}.{type(thing).__qualname__}"
    message = f"a {name} cannot be read as logits"
    if isinstance(thing, list | tuple):
        message += ": pass np.asarray(logits, np.float32)"
    if name.startswith("pyarrow._dataset."):
        message = f"a {name} hands out no stream: pass its to_reader(), or the dataset"
    raise DTypeError(message, expected=ACCEPTED, got=name)


def _lists(
    values: str,
    columns: Mapping[str, str | None] | None,
    listed: str,
    vocab_size: int | None,
    element: str | None,
) -> TopKOptions | None:
    """Give how lists are read, if rows are said to hold lists."""
    if values in LISTED or (values == "logits" and (columns or {}).get("ids") is not None):
        if element not in {None, "bfloat16"}:
            message = f'dtype="{element}": lists say their own type, but for bfloat16'
            raise SettingsError(message, expected='dtype="bf16" or None', got=element)
        vocab = None if vocab_size is None else whole("vocab_size", vocab_size, 1)
        return TopKOptions(values, listed == "largest", vocab, element)
    if listed != "largest" or vocab_size is not None:
        message = "listed and vocab_size say something of lists, and rows hold none"
        hint = ': name their column of ids, columns={"ids": ...}' if values == "logits" else ""
        raise SettingsError(message + hint, expected="lists", got=values)
    return None


def _check_holds_columns(reader: Reader, values: str, element: str | None) -> None:
    """Refuse what only goes with rows of logits: an array, and an element type."""
    if isinstance(reader, Dense):
        message = f'values="{values}" takes columns (an Arrow table or file), and this is an array'
        raise DTypeError(message, expected="columns", got=f"an array {list(reader.rows.shape)}")
    if element is not None:
        message = f'dtype="{element}" says how logits are stored, and a source of scores has none'
        raise SettingsError(message, expected="dtype=None", got=element)
