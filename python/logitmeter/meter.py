"""`Meter`: the same figures from batch after batch, mergeable and stored as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from logitmeter import _core
from logitmeter.arguments import NonFinite, OnShort, Precision, counting_settings, flag
from logitmeter.exceptions import DTypeError
from logitmeter.notices import warn_all
from logitmeter.profiles import ProfileLike, counting_of, needs
from logitmeter.report import Report
from logitmeter.running import update
from logitmeter.sources import SourceLike, data_of, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Meter"]


class Meter:
    """Loss, perplexity and accuracy over many batches.

    The figures are those of `evaluate`, to the bit, for the same rows cut anywhere at the borders
    of sequences (anywhere at all with ``final=False``), and whatever the order of merging::

        loss = sum(w * nll) / sum(w),   nll = ln(sum_j exp(x[j])) - x[label]   (nats)

    Parameters
    ----------
    profile, ignore_index, shift, leading, trailing, on_short, valid_vocab, vocab_mask
        What counts, as in `evaluate`.
    nonfinite, precision
        As in `evaluate`.

    Raises
    ------
    SettingsError
        Options that are out of range or contradict each other.

    See Also
    --------
    evaluate : the same in one call, with all options explained.

    Examples
    --------
    >>> import numpy as np
    >>> import logitmeter as lm
    >>> meter = lm.Meter()
    >>> for _ in range(3):
    ...     _ = meter.update(np.zeros((2, 4), np.float32), np.array([0, 1]))
    >>> report = meter.compute()
    >>> report.num_tokens, round(report.perplexity, 6)
    (6, 4.0)
    """

    def __init__(
        self,
        *,
        profile: ProfileLike | None = None,
        ignore_index: int = -100,
        shift: bool = False,
        leading: int = 0,
        trailing: int = 0,
        on_short: OnShort = "raise",
        valid_vocab: int | None = None,
        vocab_mask: Any = None,
        nonfinite: NonFinite = "raise",
        precision: Precision = "fast",
    ) -> None:
        counting = counting_of(
            profile,
            ignore_index=ignore_index,
            shift=shift,
            leading=leading,
            trailing=trailing,
            on_short=on_short,
            valid_vocab=valid_vocab,
            vocab_mask=vocab_mask,
        )
        settings = counting_settings(None, **counting, nonfinite=nonfinite, precision=precision)
        self._core = _core.Meter(settings)
        self._warned: set[tuple[str, str]] = set()

    @classmethod
    def _of(cls, core: _core.Meter) -> Self:
        meter = cls.__new__(cls)
        meter._core = core  # noqa: SLF001 - its own class
        meter._warned = set()  # noqa: SLF001
        return meter

    def __repr__(self) -> str:
        summary = self._core.summary()
        tokens = summary["total"]["whole"]["num_tokens"]
        return f"<logitmeter.Meter: {tokens:,} tokens{', open' if self.is_open else ''}>"

    @property
    def settings(self) -> dict[str, Any]:
        """The options that decide what counts; meters merge only if theirs are equal."""
        return self._core.settings.to_dict()

    @property
    def is_open(self) -> bool:
        """Whether the last sequence may go on: the last update said ``final=False``."""
        return self._core.is_open

    def update(
        self,
        logits: SourceLike,
        labels: Any = None,
        *,
        mask: Any = None,
        role: Any = None,
        weight: Any = None,
        sequence_id: Any = None,
        batch_id: Any = None,
        by: str | Sequence[str] | Mapping[str, Any] | None = None,
        final: bool = True,
        threads: int | None = None,
    ) -> Self:
        """Add a batch.

        Parameters
        ----------
        logits, labels, mask, role, weight, sequence_id, batch_id, by
            As in `evaluate`.
        final
            False if the last sequence goes on in the next update; True ends it.
        threads
            As in `evaluate`.

        Returns
        -------
        Meter
            Itself.

        Raises
        ------
        LogitmeterError
            As `evaluate`.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> meter = lm.Meter(shift=True)
        >>> _ = meter.update(np.zeros((2, 4), np.float32), np.array([0, 1]), final=False)
        >>> meter.update(np.zeros((2, 4), np.float32), np.array([2, 3])).compute().num_tokens
        3
        """
        data = data_of(
            labels,
            mask=mask,
            role=role,
            weight=weight,
            sequence_id=sequence_id,
            batch_id=batch_id,
            by=by,
        )
        feed = open_source(logits).feed(data, **needs(self.settings))
        update(self._core, feed, threads=threads, final=flag("final", final))
        return self

    def merge(self, *others: Meter) -> Self:
        """Add what other meters have seen; in any order the result is the same, to the bit.

        Parameters
        ----------
        others
            Meters with equal settings; they are left as they are.

        Returns
        -------
        Meter
            Itself; unchanged if anything is raised.

        Raises
        ------
        StateVersionError
            Other settings, or another numeric version.
        DTypeError
            Something that is no meter.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> one, two = lm.Meter(), lm.Meter()
        >>> _ = one.update(np.zeros((2, 4), np.float32), np.array([0, 1]))
        >>> _ = two.update(np.zeros((1, 4), np.float32), np.array([2]))
        >>> one.merge(two).compute().num_tokens
        3
        """
        merged = self._core.copy()
        for other in others:
            if not isinstance(other, Meter):
                raise _unfit("merge", "meters", other)
            merged.merge(other._core)  # noqa: SLF001 - its own class
        self._core = merged
        return self

    def reset(self) -> Self:
        """Forget all that was seen.

        Returns
        -------
        Meter
            Itself.

        Examples
        --------
        >>> import logitmeter as lm
        >>> lm.Meter().reset().is_open
        False
        """
        self._core.reset()
        self._warned.clear()
        return self

    def close(self) -> None:
        """End the last sequence, if it is open; a second time changes nothing.

        Raises
        ------
        ShortRunError
            The last run misses tokens that could still have come.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> meter = lm.Meter().update(np.zeros((1, 4), np.float32), np.array([0]), final=False)
        >>> meter.close()
        >>> meter.is_open
        False
        """
        self._core.close()

    def compute(self) -> Report:
        """Give the figures of all that is decided so far; nothing changes.

        Returns
        -------
        Report
            With the flag ``"open"`` while the last sequence may go on.

        Examples
        --------
        >>> import numpy as np
        >>> import logitmeter as lm
        >>> meter = lm.Meter().update(np.zeros((1, 4), np.float32), np.array([0]))
        >>> round(meter.compute().loss, 6)
        1.386294
        """
        new = [found for found in self._core.warnings() if found not in self._warned]
        self._warned.update(new)
        warn_all(new)
        return Report._from_summary(self._core.summary())  # noqa: SLF001 - made for this

    def to_bytes(self) -> bytes:
        """Give the state as canonical bytes: equal states give equal bytes.

        Raises
        ------
        SettingsError
            The meter is open.

        Examples
        --------
        >>> import logitmeter as lm
        >>> lm.Meter().to_bytes() == lm.Meter().to_bytes()
        True
        """
        return self._core.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Make a meter of the bytes of `to_bytes`.

        Raises
        ------
        CorruptInputError
            Bytes that are damaged.
        StateVersionError
            A state of another version.
        DTypeError
            Something that is not bytes.

        Examples
        --------
        >>> import logitmeter as lm
        >>> lm.Meter.from_bytes(lm.Meter(trailing=2).to_bytes()).settings["trailing"]
        2
        """
        try:
            view = memoryview(state)
        except TypeError:
            raise _unfit("from_bytes", "the bytes of to_bytes()", state) from None
        return cls._of(_core.Meter.from_bytes(bytes(view)))

    def copy(self) -> Self:
        """Give a meter of its own with all that this one holds, open or not.

        Examples
        --------
        >>> import logitmeter as lm
        >>> lm.Meter().copy().is_open
        False
        """
        return self._of(self._core.copy())

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)


def _unfit(method: str, wanted: str, got: object) -> DTypeError:
    kind = type(got).__name__
    return DTypeError(f"{method} takes {wanted}, and this is: {kind}", expected=wanted, got=kind)
