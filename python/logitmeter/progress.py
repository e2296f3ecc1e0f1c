"""How far a run is: a line on stderr, or a callback."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress: TypeAlias = Callable[[int, int, float], object]

__all__ = ["Bar", "showing"]

WIDTH = 20


@contextmanager
def showing(
    progress: bool | Progress,  # noqa: FBT001 - as the option is spelt
    num_rows: int | None,
    num_bytes: int | None,
) -> Iterator[Progress | None]:
    """Give the callback for the core; True shows a line on stderr, if somebody watches it."""
    if callable(progress):
        yield progress
    elif progress and sys.stderr is not None and sys.stderr.isatty():
        bar = Bar(sys.stderr, num_rows, num_bytes)
        try:
            yield bar
        finally:
            bar.end()
    else:
        yield None


class Bar:
    """One line, written over and over: the share done, rows, bytes, speed, time left, loss."""

    def __init__(
        self,
        stream: TextIO,
        num_rows: int | None,
        num_bytes: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._num_rows = num_rows
        self._num_bytes = num_bytes
        self._clock = clock
        self._began = clock()
        self._shown = 0

    def __call__(self, rows: int, read: int, loss: float) -> None:
        """Show how far it is."""
        self._write(self.line(rows, read, loss))

    def end(self) -> None:
        """Leave the line as it is."""
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()

    def line(self, rows: int, read: int, loss: float) -> str:
        """Give the text of the line."""
        seconds = max(self._clock() - self._began, 1e-9)
        parts = [f"{rows:,} rows", size_text(read), f"{read / seconds / 1e9:.2f} GB/s"]
        share = self._share(rows, read)
        if share:
            parts = [_bar(share), *parts, f"{time_text(seconds * (1 - share) / share)} left"]
        return " | ".join([*parts, f"loss {loss:.4f}"])

    def _share(self, rows: int, read: int) -> float:
        """By rows where their number is known, else by bytes; 0 if neither is."""
        done, total = (rows, self._num_rows) if self._num_rows else (read, self._num_bytes)
        return min(1.0, done / total) if total else 0.0

    def _write(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)


def size_text(size: float) -> str:
    """Bytes in the largest unit that leaves a figure before the point."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - the step between units
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


def time_text(seconds: float) -> str:
    """Minutes and seconds, with hours if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bar(share: float) -> str:
    done = round(share * WIDTH)
    return f"{share:4.0%} [{'#' * done}{'.' * (WIDTH - done)}]"
