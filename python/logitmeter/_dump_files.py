"""The files of a dump: hidden and unfinished until all of it is written, then named at once."""

from __future__ import annotations

import errno
import glob
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["DumpFiles"]


class DumpFiles:
    """Arrow IPC files, one after the other.

    Parameters
    ----------
    path
        The name of the dump; with `sharded`, ``dump.arrow`` becomes ``dump-00000-of-00003.arrow``
        and so on.
    sharded
        Whether there may be several.
    compression
        As of ``pyarrow.ipc``.
    """

    def __init__(
        self, path: str, *, sharded: bool, compression: Literal["lz4", "zstd"] | None
    ) -> None:
        self._target = Path(path)
        self._sharded = sharded
        self._options = pa.ipc.IpcWriteOptions(compression=compression)
        self._run = uuid.uuid4().hex[:8]
        self._sink: pa.NativeFile | None = None
        self._writer: Any = None
        self.parts: list[Path] = []
        self._refuse_existing()

    @property
    def size(self) -> int:
        """Bytes of the open file."""
        return 0 if self._sink is None else int(self._sink.tell())

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; the file that it goes to is opened if there is none."""
        if self._writer is None:
            part = self._target.with_name(f".{self._name(len(self.parts))}.{self._run}.part")
            self._sink = pa.OSFile(str(part), "wb")
            self.parts.append(part)
            self._writer = pa.ipc.new_file(self._sink, batch.schema, options=self._options)
        self._writer.write_batch(batch)

    def end_file(self) -> None:
        """Close the open file, if there is one, and see it on the disk."""
        writer, sink = self._writer, self._sink
        self._writer = self._sink = None
        if writer is not None and sink is not None:
            writer.close()
            sink.close()
            _sync(self.parts[-1])

    def finish(self) -> list[str]:
        """Give every file its name."""
        self.end_file()
        self._refuse_existing()
        total = len(self.parts)
        names = [self._target.with_name(self._name(n, total)) for n in range(total)]
        for part, name in zip(self.parts, names, strict=True):
            part.rename(name)
        if names:
            _sync(self._target.parent)
        return [str(name) for name in names]

    def abandon(self) -> None:
        """Close the open file, and leave all of them under their hidden names."""
        with suppress(OSError, pa.ArrowException):
            self.end_file()

    def _name(self, number: int, total: int | None = None) -> str:
        if not self._sharded:
            return self._target.name
        of = "" if total is None else f"-of-{total:05}"
        return f"{self._target.stem}-{number:05}{of}{self._target.suffix}"

    def _refuse_existing(self) -> None:
        target = self._target
        shards = f"{glob.escape(str(target.with_suffix('')))}-*-of-*{glob.escape(target.suffix)}"
        found = glob.glob(shards) if self._sharded else [str(target)] * target.exists()  # noqa: PTH207
        if found:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), found[0])


def _sync(path: Path) -> None:
    """See to it that what was written, or renamed, survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
