"""Arrow IPC files, of the file and the stream format, compressed or not.

Plain reads are the default: a file that shrinks while it is mapped kills the process. Everything
read is validated before it crosses to the core, since the C interface carries no buffer sizes.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import InputWarning
from logitmeter.notices import warn
from logitmeter.sources.damage import named_damage
from logitmeter.sources.file import File
from logitmeter.sources.ipc_batches import IpcBatches
from logitmeter.sources.magic import sniff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from logitmeter.sources.base import Block

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
            opened = pa.ipc.open_file if self.format == "file" else pa.ipc.open_stream
            schema = opened(file).schema
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
        with self._guarded():
            yield from IpcBatches(self, chosen).blocks()
        self.check_unchanged()

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
