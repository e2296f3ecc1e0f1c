"""The registry of file formats: what opens a file, by what its first bytes say it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from logitmeter.sources.base import LOGITS
from logitmeter.sources.ipc import IpcFile
from logitmeter.sources.llama_cpp import LlamaFile
from logitmeter.sources.magic import sniff
from logitmeter.sources.npy import NpyFile
from logitmeter.sources.parquet import ParquetFile
from logitmeter.sources.roles import DATA
from logitmeter.sources.safetensors import SafetensorsFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from logitmeter.sources.file import File
    from logitmeter.sources.place import Place

__all__ = ["Reading", "open_file"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read.

    Parameters
    ----------
    role
        What a file holds that says it of nothing itself: ``"logits"``, or ``"labels"``, ``"mask"``
        and so on.
    columns
        Our names to those of the files.
    dtype
        The element type, where a file cannot say it.
    memory_map
        Map files instead of reading them.
    """

    role: str = LOGITS
    columns: dict[str, str | None] | None = None
    dtype: str | None = None
    memory_map: bool = False

    def name_of(self, part: str) -> str:
        """Give the name of the column that plays a part."""
        return (self.columns or {}).get(part) or part


def open_file(place: Place, reading: Reading) -> File:
    """Give the file; nothing but its first bytes is read.

    Raises
    ------
    CorruptInputError
        A file of no known format; the message says what to do.
    """
    return OPENERS[sniff(place)](place, reading)


def _ipc(place: Place, reading: Reading) -> File:
    return IpcFile(place, memory_map=reading.memory_map)


def _parquet(place: Place, reading: Reading) -> File:
    return ParquetFile(place, memory_map=reading.memory_map)


def _npy(place: Place, reading: Reading) -> File:
    return NpyFile(
        place,
        reading.name_of(reading.role),
        logits=reading.name_of(LOGITS),
        dtype=reading.dtype,
        memory_map=reading.memory_map,
    )


def _safetensors(place: Place, reading: Reading) -> File:
    named = [(reading.columns or {}).get(part, part) for part in DATA]
    return SafetensorsFile(
        place,
        reading.name_of(LOGITS) if reading.role == LOGITS else None,
        sides=tuple(name for name in (*named, "label") if name),
        dtype=reading.dtype,
        memory_map=reading.memory_map,
    )


def _llama(place: Place, reading: Reading) -> File:
    return LlamaFile(place, memory_map=reading.memory_map)


OPENERS: dict[str, Callable[[Place, Reading], File]] = {
    "file": _ipc,
    "stream": _ipc,
    "parquet": _parquet,
    "npy": _npy,
    "safetensors": _safetensors,
    "llama": _llama,
}
