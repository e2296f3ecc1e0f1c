"""Open binary files that can only be read on, such as standard input: Arrow IPC streams."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from logitmeter.exceptions import CorruptInputError, InputWarning, SettingsError
from logitmeter.notices import warn
from logitmeter.sources.base import Block, Facts, Reader
from logitmeter.sources.ipc import END_OF_STREAM, read_names
from logitmeter.sources.ipc_batches import check_held
from logitmeter.sources.ipc_layout import held_bytes
from logitmeter.sources.magic import HEAD_BYTES, kind_of
from logitmeter.sources.vocab import stated_element

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["PipeReader", "is_pipe"]

CHUNK_BYTES = 1 << 20
"""What is asked for at once: a size that is only claimed takes no memory."""


def is_pipe(thing: Any) -> bool:
    """Whether this is an open binary file."""
    mode = getattr(thing, "mode", "rb")
    binary = not hasattr(thing, "encoding") and (not isinstance(mode, str) or "b" in mode)
    return binary and callable(getattr(thing, "read", None)) and hasattr(thing, "readable")


class PipeReader(Reader):
    """One stream; it can be read once."""

    def __init__(self, file: Any) -> None:
        name = getattr(file, "name", None)
        self._path = name if isinstance(name, str) and name != "<stdin>" else "-"
        self._bytes = _Counted(file, self._path)
        self._taken = False
        self._check_kind()
        self._opened = self._guarded(self._open)
        self._schema = self._opened.schema

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._schema

    @property
    def facts(self) -> Facts:
        """Nothing is known before it is read."""
        return Facts(read_again=False, waits=True)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Its batches, as they come."""
        if self._taken:
            raise SettingsError(
                "this stream has been consumed; write it to a file to read it twice",
                expected="a stream not read before",
                got="a consumed stream",
            )
        self._taken = True
        chosen = [name for name in self.schema.names if name in names]
        while (batch := self._guarded(self._next)) is not None:
            yield Block(batch.num_rows, {name: batch.column(name) for name in chosen})
        if self._bytes.last != END_OF_STREAM:
            message = "the Arrow stream has no end marker: cut short, or its writer was not closed"
            warn(f"{self._path}: {message}", InputWarning)

    def element(self, logits: str) -> str | None:
        """Give what the metadata state."""
        return stated_element(self.schema, logits)

    def _check_kind(self) -> None:
        kind = kind_of(self._bytes.peek(HEAD_BYTES), self._path)
        if kind != "stream":
            message = (
                "only an Arrow IPC stream can be read as it comes; write this to a file, and give "
                "its path"
            )
            raise CorruptInputError(
                message, path=self._path, offset=0, expected="an Arrow IPC stream", got=kind
            )

    def _open(self) -> pa.RecordBatchReader:
        opened = pa.ipc.open_stream(pa.PythonFile(self._bytes, mode="r"))
        read_names(opened.schema)
        return opened

    def _next(self) -> pa.RecordBatch | None:
        try:
            batch = self._opened.read_next_batch()
        except StopIteration:
            return None
        batch.validate(full=True)
        return batch

    def _guarded(self, read: Any) -> Any:
        """Errors of the format as ours, with the place that was read to."""
        try:
            return read()
        except (pa.ArrowException, OSError, MemoryError, EOFError, UnicodeError) as error:
            if isinstance(error, pa.ArrowCancelled | OSError) and getattr(error, "errno", None):
                raise
            text = str(error).partition("\n")[0]
            place = self._bytes.count
            message = f"damaged or cut short, at {place} bytes: {text}"
            raise CorruptInputError(message, path=self._path, offset=place, got=text) from error


class _Counted:
    """A file that knows how much of it was read, and the last bytes of that."""

    closed = False

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path
        self._held = b""
        self._metadata: memoryview | None = None
        self.count = 0
        self.last = b""

    def peek(self, size: int) -> bytes:
        """Give the first bytes, which are read again."""
        self._held = bytes(self._filled(size))
        return self._held

    def read(self, size: int) -> bytes:
        """Give so many bytes: pyarrow asks so for the few before each message."""
        self._metadata = None
        return bytes(self._next(size))

    def read_buffer(self, size: int) -> memoryview:
        """Give so many bytes: the metadata of a message, then its body."""
        check_held("a record batch, which of a pipe can only be held as a whole,", size, self._path)
        found = self._next(size)
        if self._metadata is not None:
            total = held_bytes(self._metadata, found)
            check_held("a record batch is compressed, and", total, self._path)
        self._metadata = found
        return found

    def close(self) -> None:
        """Leave the file open: it is not ours."""

    def _next(self, size: int) -> memoryview:
        found = self._filled(size)
        self.count += len(found)
        self.last = (self.last + bytes(found[-len(END_OF_STREAM) :]))[-len(END_OF_STREAM) :]
        return found

    def _filled(self, size: int) -> memoryview:
        """Give so many bytes, or all that there are.

        They are put where they stay: of memory that is only claimed no page is touched.
        """
        small = size <= CHUNK_BYTES
        whole = memoryview(
            bytearray(size) if small else mmap.mmap(-1, size, access=mmap.ACCESS_COPY)
        )
        part, self._held = self._held[:size], self._held[size:]
        at = 0
        while part or at < size:
            whole[at : at + len(part)] = part
            at += len(part)
            part = self._file.read(min(size - at, CHUNK_BYTES)) if at < size else b""
            if not part:
                break
        return whole[:at]
