"""Datasets of pyarrow, with their partitions and filters; read in batches sized by bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter.sources.base import Block, Facts, Reader
from logitmeter.sources.memory_arrow import validated
from logitmeter.sources.vocab import stated_element

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

__all__ = ["ArrowDataset", "is_arrow_dataset"]

BATCH_BYTES = 16 << 20


def is_arrow_dataset(thing: Any) -> bool:
    """Whether this is a dataset of pyarrow, of whatever kind."""
    return any(
        kind.__module__ == "pyarrow._dataset" and kind.__name__ == "Dataset"
        for kind in type(thing).__mro__
    )


class ArrowDataset(Reader):
    """One dataset. Its own defaults (131,072 rows at once, many files ahead) are not for logits."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._dataset.schema

    @property
    def facts(self) -> Facts:
        """Columns lie apart; how many rows there are is known when they are read."""
        return Facts(labels_apart=True, waits=True)

    def blocks(self, names: Collection[str]) -> Iterator[Block]:
        """Give its rows, reduced to the columns named."""
        chosen = [name for name in self.schema.names if name in names]
        first = next((batch for batch in self._batches(chosen, 1) if batch.num_rows), None)
        if first is None:
            return
        size = max(1, BATCH_BYTES // max(1, first.nbytes // first.num_rows))
        for batch in self._batches(chosen, size):
            validated(batch)
            yield Block(batch.num_rows, {name: batch.column(name) for name in chosen})

    def element(self, logits: str) -> str | None:
        """Give what the metadata state."""
        return stated_element(self.schema, logits)

    def _batches(self, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        import pyarrow.dataset

        streamed = pyarrow.dataset.ParquetFragmentScanOptions(
            use_buffered_stream=True, pre_buffer=False
        )
        options = streamed if self._is_parquet else None
        scanner = self._dataset.scanner(
            columns=names,
            batch_size=rows,
            batch_readahead=1,
            fragment_readahead=1,
            fragment_scan_options=options,
            use_threads=False,
        )
        return iter(scanner.to_batches())

    @property
    def _is_parquet(self) -> bool:
        kind = getattr(self._dataset, "format", None)
        return kind is not None and kind.default_extname == "parquet"
