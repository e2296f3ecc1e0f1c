"""Arrow IPC files, of the file and the stream format, compressed or not.

Plain reads are the default: a file that shrinks while it is mapped kills the process. Everything
read is validated before it crosses to the core, since the C interface carries no buffer sizes.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import InputWarning
from logitmeter.notices import warn
from logitmeter.sources.base import Block
from logitmeter.sources.damage import named_damage
from logitmeter.sources.file import File
from logitmeter.sources.ipc_large import LARGE_BYTES, LargeFile, widest
from logitmeter.sources.magic import sniff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["IpcFile"]

END_OF_FILE = b"ARROW1"
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class IpcFile(File):
    """One file of either format."""

    @cached_property
    def format(self) -> str:
        """``"file"`` or ``"stream"``."""
        return sniff(self.place)

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        with self._guarded(), self._open() as file:
            schema = self._reader(file, None).schema
            read_names(schema)
        self._check_end()
        return schema

    @property
    def labels_apart(self) -> bool:
        """The file format knows where each column lies; a stream must be read through."""
        return self.format == "file"

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its record batches, reduced to the columns named."""
        chosen = [name for name in self.schema.names if name in names]
        self.check_unchanged()
        with self._guarded(), self._open() as file:
            wide = widest(self.schema, chosen) if self._may_be_large else None
            if wide is None:
                yield from self._whole_batches(file, chosen)
            else:
                yield from LargeFile(self.path, file, chosen, wide).blocks()
        self.check_unchanged()

    @property
    def _may_be_large(self) -> bool:
        """Whether a batch may be too large to hold; mapped ones are not held."""
        here = self.place.local and not self.memory_map
        return self.format == "file" and here and self.num_bytes > LARGE_BYTES

    def _whole_batches(self, file: pa.NativeFile, chosen: list[str]) -> Iterator[Block]:
        for batch in self._batches(file, chosen):
            batch.validate(full=True)
            yield Block(batch.num_rows, {name: batch.column(name) for name in chosen})

    def _batches(self, file: pa.NativeFile, chosen: list[str]) -> Iterator[pa.RecordBatch]:
        # With fields named, pyarrow copies even from a map, of which nothing is read before use.
        fields = [self.schema.get_field_index(name) for name in chosen]
        reader = self._reader(file, None if self.memory_map else fields)
        if self.format == "stream":
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))

    def _reader(self, file: pa.NativeFile, fields: list[int] | None) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        opened = pa.ipc.open_file if self.format == "file" else pa.ipc.open_stream
        return opened(file, options=options)

    def _open(self) -> pa.NativeFile:
        return self.place.open(memory_map=self.memory_map)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with named_damage(self, END_OF_FILE if self.format == "file" else None):
            yield

    def _check_end(self) -> None:
        """Warn of a stream without its end marker: it is legal, but a cut looks the same."""
        if self.format == "file":
            return
        with self.place.open() as file:
            file.seek(max(0, self.num_bytes - len(END_OF_STREAM)))
            end = bytes(file.read())
        if end != END_OF_STREAM:
            message = "the Arrow stream has no end marker: cut short, or its writer was not closed"
            warn(f"{self.path}: {message}", InputWarning)


def read_names(schema: pa.Schema) -> list[str]:
    """Read every name, so that one that is no text raises its `UnicodeError` here."""
    fields = list(schema)
    fields += [field.type.field(i) for field in schema for i in range(field.type.num_fields)]
    return [field.name for field in fields]
