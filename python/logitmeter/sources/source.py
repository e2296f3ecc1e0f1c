"""`Source`: an input and how to read it, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from logitmeter.exceptions import SettingsError, ShapeError
from logitmeter.sources.align import Columns, Paired
from logitmeter.sources.base import LOGITS
from logitmeter.sources.feed import Feed
from logitmeter.sources.files import FILE, Files
from logitmeter.sources.limit import Limited
from logitmeter.sources.memory_numpy import Dense
from logitmeter.sources.roles import DATA, LISTS, check_unique, found, resolve
from logitmeter.sources.sequence_rows import unrolled
from logitmeter.sources.sides import Layout, column_of, shape_of
from logitmeter.sources.top_k import PARTS, TopK
from logitmeter.sources.vocab import vocab_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from logitmeter.exceptions import CorruptInputError
    from logitmeter.sources.base import Reader
    from logitmeter.sources.file import File
    from logitmeter.sources.top_k import TopKOptions

__all__ = ["Data", "SideFiles", "Source"]


@dataclass(frozen=True, slots=True)
class SideFiles:
    """Labels, a mask or the like in files of their own, in the order of the logits."""

    files: list[File]


@dataclass(frozen=True, slots=True)
class Data:
    """What a call says of each row: arrays, or names of columns of the source."""

    labels: Any = None
    mask: Any = None
    weight: Any = None
    sequence_id: Any = None
    by: Any = None
    role: Any = None
    batch_id: Any = None

    def over(self, other: Data) -> Data:
        """Both together; what is given twice is an error."""
        for role in Data.__slots__:
            if getattr(self, role) is not None and getattr(other, role) is not None:
                raise SettingsError(f"{role} is given twice: to scan and to the call")
        return Data(
            *(_either(getattr(self, role), getattr(other, role)) for role in Data.__slots__)
        )

    def arrays(self) -> dict[str, Any]:
        """Give the parts that are arrays."""
        return {part: data for part in DATA if _is_array(data := getattr(self, part))}

    def named(self) -> dict[str, str | None]:
        """Give the parts that are columns of the source."""
        return {part: data for part in DATA if isinstance(data := getattr(self, part), str)}

    def files(self) -> dict[str, SideFiles]:
        """Give the parts that are files of their own."""
        return {part: data for part in DATA if isinstance(data := getattr(self, part), SideFiles)}

    def groups(self) -> dict[str, Any]:
        """Give the groups that are arrays."""
        return dict(self.by) if isinstance(self.by, Mapping) else {}

    def group_names(self) -> list[str]:
        """Give the names of all groups."""
        if isinstance(self.by, str):
            return [self.by]
        names = list(self.by or ())
        if not all(isinstance(name, str) for name in names):
            raise SettingsError(
                "by takes names of columns, or {name: array}", expected="names", got=repr(names)
            )
        return names


class Source:
    """A lazy input, made by `scan`; it is read anew by each call that is given it.

    It is an Arrow stream itself: ``pa.table(source)`` gives all its columns.

    Attributes
    ----------
    scored
        Whether it holds scores of tokens in place of logits.
    num_files
        How many files it has; None for what is no file.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        columns: Mapping[str, str | None],
        data: Data,
        dtype: str | None = None,
        scored: bool = False,
        lists: TopKOptions | None = None,
        null_labels: Literal["raise", "ignore"] = "raise",
        limit: int | None = None,
        num_files: int | None = None,
    ) -> None:
        self._reader = reader
        self.scored = scored
        self._lists = lists
        self._columns = dict(columns)
        self._data = data
        self._dtype = dtype
        self._null_labels = null_labels
        self._limit = limit
        self.num_files = num_files

    def __repr__(self) -> str:
        files = f" of {self.num_files} files" if self.num_files else ""
        limit = "" if self._limit is None else f", the first {self._limit:,} rows"
        return f"<logitmeter.Source{files}: {', '.join(self.column_names)}{limit}>"

    @property
    def column_names(self) -> list[str]:
        """The columns that there are."""
        return [name for name in self._reader.schema.names if not name.startswith("__")]

    @property
    def read_again(self) -> bool:
        """Whether the input can be read a second time."""
        return self._reader.facts.read_again

    @property
    def array_shape(self) -> tuple[int, ...] | None:
        """The shape of an array of logits; None for what has none."""
        if not isinstance(self._reader, Dense):
            return None
        shape = self._reader.rows.shape
        if self._limit is None or prod(shape[:-1]) <= self._limit:
            return shape
        return (self._limit, shape[-1])

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand out all columns, logits among them, from the start of the input."""
        feed = self.feed(keep=self.column_names)
        if self._lists is not None:  # what they say of labels is not in the input
            feed = feed.without_logits()
        return feed.__arrow_c_stream__(requested_schema)

    def limited(self, rows: int) -> Source:
        """Give the same, of which no more than so many rows are read."""
        limit = rows if self._limit is None else min(rows, self._limit)
        return Source(
            self._reader,
            columns=self._columns,
            data=self._data,
            dtype=self._dtype,
            scored=self.scored,
            lists=self._lists,
            null_labels=self._null_labels,
            limit=limit,
            num_files=self.num_files,
        )

    def logits_alone(self) -> Source:
        """Give the same without what was said of its rows."""
        return Source(
            self._reader,
            columns=self._columns,
            data=Data(),
            dtype=self._dtype,
            null_labels=self._null_labels,
            limit=self._limit,
            num_files=self.num_files,
        )

    def damaged(self, data: Data) -> list[CorruptInputError]:
        """Give what is wrong with the files, and those beside them, by their own account."""
        sides = self._data.over(data).files().values()
        readers = [self._reader, *(Files(side.files) for side in sides)]
        return [
            error for reader in readers if isinstance(reader, Files) for error in reader.damaged()
        ]

    def feed(
        self,
        data: Data | None = None,
        *,
        shift: bool = False,
        by_batch: bool = False,
        prefer_role: bool = False,
        keep: Sequence[str] = (),
    ) -> Feed:
        """Give the stream for one call, with its data beside the logits."""
        check_unique(self._reader.schema.names)
        data = self._data.over(data or Data())
        reader = self._joined(data, shift=shift)
        names = self._columns | data.named()
        reader, added = self._with_arrays(reader, data, self._layout(reader))
        if self._limit is not None:
            reader = Limited(reader, self._limit)
        names |= added
        if self._lists is not None:
            reader, names = _with_scores(reader, self._lists, names, shift=shift)
        by = data.group_names()
        columns = resolve(
            names,
            reader.schema.names,
            reader.facts,
            scored=self.scored,
            asked={*data.named(), *added},
            by_batch=by_batch,
            prefer_role=prefer_role,
            by=by,
            keep=keep,
        )
        element = None if self.scored else self._dtype or reader.element(columns["logits"])
        return Feed(reader, columns, dtype=element, null_labels=self._null_labels)

    def _joined(self, data: Data, *, shift: bool) -> Reader:
        """Give the reader with what its labels bring: files beside it, or a row more for each b."""
        reader = self._reader
        if isinstance(reader, Dense) and shift and _one_more(reader, data.labels):
            reader = Dense(reader.rows, padded=True)
        for part, sides in data.files().items():
            if isinstance(reader, Files):
                reader = reader.paired(sides.files, shift=shift)
            else:
                reader = _beside(reader, sides.files, part)
        named = self._columns | data.named()
        by_position = {named.get(part) or part for part in ("labels", "mask", "weight")} | {"label"}
        if self._lists is not None:
            lists = self._lists.columns(named, reader.schema.names, None)
            return unrolled(reader, lists.values, by_position | lists.present())
        if self.scored:
            return reader
        return unrolled(reader, named.get(LOGITS) or LOGITS, by_position)

    def _layout(self, reader: Reader) -> Layout:
        shape = reader.rows.shape if isinstance(reader, Dense) else None
        name = self._columns.get("logits") or "logits"
        kind = reader.schema.field(name).type if name in reader.schema.names else None
        return Layout(shape, vocab_of(kind, self._dtype), reader.facts.shape, self._limit)

    def _with_arrays(
        self, reader: Reader, data: Data, layout: Layout
    ) -> tuple[Reader, dict[str, str | None]]:
        """Give the reader with a column for each array, and the names of those columns."""
        taken = set(reader.schema.names) | set(data.group_names())
        parts = {part: _free_name(part, taken) for part in data.arrays()}
        columns = {
            parts[part]: column_of(array, part, layout) for part, array in data.arrays().items()
        }
        for name, array in data.groups().items():
            if name in reader.schema.names and name != FILE:
                raise SettingsError(f"by: the source has a column named {name!r} already")
            columns[name] = column_of(array, "by", layout, name)
        if not columns:
            return reader, {}
        names = [*parts, *data.groups()]
        _check_lengths(dict(zip(names, columns.values(), strict=True)), layout)
        return Paired(reader, Columns(_shortest(columns)), " and ".join(names)), dict(parts)


def _with_scores(
    reader: Reader, lists: TopKOptions, names: Mapping[str, str | None], *, shift: bool
) -> tuple[Reader, dict[str, str | None]]:
    """Give a reader of lists with columns of scores, and the names with those columns."""
    present = reader.schema.names
    columns = lists.columns(names, present, found("labels", names, present))
    others = {part: name for part, name in names.items() if part not in LISTS}
    return TopK(reader, columns, lists, shift=shift), others | PARTS


def _either(one: Any, other: Any) -> Any:
    return other if one is None else one


def _is_array(data: Any) -> bool:
    return data is not None and not isinstance(data, str | SideFiles)


def _one_more(reader: Dense, labels: Any) -> bool:
    """Whether these are logits [B, T - 1, V] with labels [B, T]."""
    shape = reader.facts.shape or ()
    given = labels.files[0].shape if isinstance(labels, SideFiles) else shape_of(labels)
    return len(shape) == 2 and given == (shape[0], shape[1] + 1)  # noqa: PLR2004


def _beside(reader: Reader, files: list[File], part: str) -> Reader:
    """Give what lies in memory with files of one value a row."""
    wanted, given = reader.facts.shape, files[0].shape
    if len(files) == 1 and None not in (wanted, given) and wanted != given:
        message = f"{part} has shape {given}, but {wanted} is needed"
        raise ShapeError(message, path=files[0].path, expected=str(wanted), got=str(given))
    return Paired(reader, Files(files, join=True), f"the files of {part}")


def _free_name(part: str, taken: Iterable[str]) -> str:
    """Give the name of the part, or one near to it that no column has."""
    return part if part not in taken else _free_name(f"{part}_given", taken)


def _check_lengths(columns: dict[str, pa.ChunkedArray], layout: Layout) -> None:
    """Check that arrays beside a stream are of one length; a limit allows longer ones."""
    lengths = {name: len(column) for name, column in columns.items()}
    if layout.limit is None and len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ShapeError(f"arrays of different lengths: {given}", expected="one length", got=given)


def _shortest(columns: dict[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    rows = min(len(column) for column in columns.values())
    return {name: column.slice(0, rows) for name, column in columns.items()}
