"""Arrow IPC files, of the file and the stream format, compressed or not.

Plain reads are the default: a file that shrinks while it is mapped kills the process. Everything
read is validated before it crosses to the core, since the C interface carries no buffer sizes.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import CorruptInputError, InputWarning
from logitmeter.notices import warn
from logitmeter.sources.base import Block
from logitmeter.sources.ipc_large import LARGE_BYTES, LargeFile, widest
from logitmeter.sources.magic import sniff
from logitmeter.sources.stamp import Stamp, check_unchanged, stamp_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["IpcFile"]

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
LARGEST_RATIO = 1 << 10
"""No buffer is larger than this many times its file, whatever the compression."""


class IpcFile:
    """One file, opened anew for each read."""

    scored = False
    vocab_size = None

    def __init__(self, path: str, *, memory_map: bool = False) -> None:
        self.path = path
        self._memory_map = memory_map

    @cached_property
    def format(self) -> str:
        """``"file"`` or ``"stream"``."""
        return sniff(self.path)

    @cached_property
    def stamp(self) -> Stamp:
        """What the file was when it was first looked at."""
        return stamp_of(self.path)

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        sniff(self.path)  # before it is opened: that of a pipe would wait
        with self._guarded(), self._open() as file:
            schema = self._reader(file, None).schema
            read_names(schema)
        self._check_end()
        return schema

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return self.stamp.size

    @property
    def labels_apart(self) -> bool:
        """The file format knows where each column lies; a stream must be read through."""
        return self.format == "file"

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its record batches, reduced to the columns named."""
        chosen = [name for name in self.schema.names if name in names]
        self._check_unchanged()
        with self._guarded(), self._open() as file:
            wide = widest(self.schema, chosen) if self._may_be_large else None
            if wide is None:
                yield from self._whole_batches(file, chosen)
            else:
                yield from LargeFile(self.path, file, chosen, wide).blocks()
        self._check_unchanged()

    @property
    def _may_be_large(self) -> bool:
        """Whether a batch may be too large to hold; mapped ones are not held."""
        return self.format == "file" and not self._memory_map and self.num_bytes > LARGE_BYTES

    def _whole_batches(self, file: pa.NativeFile, chosen: list[str]) -> Iterator[Block]:
        for batch in self._batches(file, chosen):
            batch.validate(full=True)
            yield Block(batch.num_rows, {name: batch.column(name) for name in chosen})

    def _batches(self, file: pa.NativeFile, chosen: list[str]) -> Iterator[pa.RecordBatch]:
        # With fields named, pyarrow copies even from a map, of which nothing is read before use.
        fields = [self.schema.get_field_index(name) for name in chosen]
        reader = self._reader(file, None if self._memory_map else fields)
        if self.format == "stream":
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))

    def _reader(self, file: pa.NativeFile, fields: list[int] | None) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        opened = pa.ipc.open_file if self.format == "file" else pa.ipc.open_stream
        return opened(file, options=options)

    def _open(self) -> pa.NativeFile:
        return pa.memory_map(self.path) if self._memory_map else pa.OSFile(self.path)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Errors of the format as ours, unless the file changed under the reader."""
        expected = self.stamp
        try:
            yield
        except (pa.ArrowException, OSError, MemoryError, EOFError, UnicodeError) as error:
            if not _of_the_format(error, expected.size):
                raise
            self._check_unchanged()
            raise self._corrupt(error) from error

    def _corrupt(self, error: BaseException) -> CorruptInputError:
        text = str(error).partition("\n")[0]
        message = f"damaged or cut short, at {self.num_bytes} bytes: {text}"
        return CorruptInputError(message, path=self.path, offset=self._cut(), got=text)

    def _cut(self) -> int | None:
        """Give the end of a file without its footer: where it was cut."""
        with open(self.path, "rb") as file:  # noqa: PTH123 - as the reader opens it
            file.seek(max(0, self.num_bytes - 6))
            whole = self.format == "file" and file.read() == b"ARROW1"
        return None if whole else self.num_bytes

    def _check_unchanged(self) -> None:
        check_unchanged(self.path, self.stamp)

    def _check_end(self) -> None:
        """Warn of a stream without its end marker: it is legal, but a cut looks the same."""
        if self.format == "file":
            return
        with open(self.path, "rb") as file:  # noqa: PTH123 - as the reader opens it
            file.seek(max(0, self.num_bytes - len(END_OF_STREAM)))
            end = file.read()
        if end != END_OF_STREAM:
            message = "the Arrow stream has no end marker: cut short, or its writer was not closed"
            warn(f"{self.path}: {message}", InputWarning)


def read_names(schema: pa.Schema) -> list[str]:
    """Read every name, so that one that is no text raises its `UnicodeError` here."""
    fields = list(schema)
    fields += [field.type.field(i) for field in schema for i in range(field.type.num_fields)]
    return [field.name for field in fields]


def _of_the_format(error: BaseException, size: int) -> bool:
    """Whether an error tells of the bytes, rather than of the system: those carry an errno."""
    if isinstance(error, pa.ArrowCancelled):
        return False
    if isinstance(error, MemoryError):
        asked = re.search(r"size (\d+)", str(error))
        return asked is not None and int(asked[1]) > LARGEST_RATIO * size
    return not isinstance(error, OSError) or error.errno is None
