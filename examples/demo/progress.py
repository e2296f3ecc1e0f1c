"""A progress bar for a person: on stderr, and only where that is a terminal."""

import sys
import time
from types import TracebackType
from typing import Self

_WIDTH = 40
_INTERVAL = 0.1  # seconds between two drawings


class Bar:
    """`with Bar("writing logits", 5000) as bar: bar.advance(160)`; gone when it is done."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, max(total, 1), 0
        self._shown = sys.stderr.isatty()
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more as done."""
        self._done += steps
        if time.monotonic() - self._drawn_at >= _INTERVAL:
            self._draw()

    def _draw(self) -> None:
        if not self._shown:
            return
        share = min(self._done / self._total, 1.0)
        full = round(_WIDTH * share)
        bar = "━" * full + " " * (_WIDTH - full)
        sys.stderr.write(f"\r\x1b[K  {self._label:<34} {bar} {share:4.0%}")
        sys.stderr.flush()
        self._drawn_at = time.monotonic()
