"""The compiled core: everything behind one door, a stream of Arrow record batches.

Nothing here is public. The thin modules beside this stub normalise what users pass and call
these functions; errors arrive as the classes of :mod:`logitmeter.exceptions`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final

class ArrowStream(Protocol):
    """Anything that hands out an Arrow C stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None, /) -> object: ...

class Columns(TypedDict, total=False):
    """Which column of the stream plays which part.

    A missing key means: the canonical name, if the stream has it. ``None`` means: not used.
    A string must name a column, else an error lists those present.
    """

    logits: str
    # Scores in place of logits, each about the label of its row; never picked up by their names.
    # ``nll`` (null: nothing is known of the token) and ``rank`` may be the low ends of intervals
    # that end at ``nll_high`` and ``rank_high``; without a rank that is anything.
    nll: str | None
    nll_high: str | None
    rank: str | None
    rank_high: str | None
    greater: str | None
    ties: str | None
    lse: str | None
    # Over how many entries they were made, if that is known: labels must be below it.
    vocab_size: int | None
    labels: str | None
    mask: str | None
    weight: str | None
    sequence_id: str | None
    # Strings prompt, visible and hidden, in place of a mask. Never picked up by its name.
    role: str | None
    # A column whose change ends a sequence and opens a new scope for comparing ids (a file, or
    # one ``b`` of ``[B, T, V]``). Never picked up by its name.
    scope: str | None
    # Whether a batch ends with its scope: with a file, not with a ``b``.
    scope_ends_batch: bool
    # Integers or strings; looked at only where means are pooled by batch. Never picked up by name.
    batch_id: str | None
    by: Sequence[str]
    keep: Sequence[str]
    # One row in so many, the last one, is a placeholder that has no logits: rows are numbered
    # without them.
    row_period: int | None

Progress: TypeAlias = Callable[[int, int, float], object]
"""Called with (rows read, bytes of logits read, running loss), at most ten times a second."""

@final
class Settings:
    """The counting options, checked once; a part of every state."""

    def __new__(
        cls,
        *,
        ignore_index: int = -100,
        shift: bool = False,
        leading: int = 0,
        trailing: int = 0,
        on_short: Literal["raise", "count"] = "raise",
        hidden: bool = True,
        valid_vocab: int | None = None,
        vocab_mask: bytes | None = None,
        nonfinite: Literal["raise", "omit", "propagate"] = "raise",
        pooling: Literal["tokens", "sequences", "batches", "samples"] = "tokens",
        accuracy: Literal["tokens", "sequences"] = "tokens",
        precision: Literal["fast", "exact"] = "fast",
        profile: tuple[str, str] | None = None,
    ) -> Settings:
        """`profile` is a name and a source; without one, roles exclude leading and trailing."""

    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Meter:
    """A running tally and the state of counting that carries over batch borders."""

    def __new__(cls, settings: Settings) -> Meter: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def is_open(self) -> bool: ...
    def update(
        self,
        stream: ArrowStream,
        *,
        columns: Columns,
        dtype: str | None = None,
        null_labels: Literal["raise", "ignore"] = "raise",
        threads: int = 1,
        final: bool = True,
        read_ahead: bool = False,
        progress: Progress | None = None,
    ) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...
    def copy(self) -> Meter: ...
    def merge(self, other: Meter) -> None: ...
    def summary(self) -> Summary: ...
    def warnings(self) -> list[tuple[str, str]]: ...
    def looks(self) -> Looks: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Meter: ...

@final
class ScoreStream:
    """A one-shot Arrow stream of results, computed as it is read."""

    def __arrow_c_stream__(self, requested_schema: object | None = None, /) -> object: ...
    def __arrow_c_schema__(self) -> object: ...
    def next_batch(self) -> Any | None:
        """The next record batch (an object with ``__arrow_c_array__``), or None at the end.

        Raises the named error, where reading through Arrow only keeps it in ``error``.
        """

    @property
    def error(self) -> BaseException | None: ...

class Looks(TypedDict):
    """What a meter looked at beside the figures, in a sample of the rows that count."""

    num_compared: int  # tokens whose label was compared with its neighbours
    fits: list[float]  # mean nll against the label to the left, their own, the label to the right
    num_rows: int  # rows looked at for probabilities
    num_logprobs: int
    num_probabilities: int

class CheckCounts(TypedDict):
    """What `check` found without reading a logit."""

    num_rows: int
    num_visible: int
    num_hidden: int
    num_runs: int
    num_sequences: int
    sequences_known: bool
    num_short_left: int
    num_short_right: int
    num_unscored: int
    hidden_label_ids: dict[int, int]
    warnings: list[tuple[str, str]]

def check(
    stream: ArrowStream,
    settings: Sequence[Settings],
    *,
    columns: Columns,
    vocab_size: int | None = None,
    null_labels: Literal["raise", "ignore"] = "raise",
) -> list[CheckCounts]:
    """Decide which tokens count by each of the settings, from a stream that holds no logits.

    Raises the error at the smallest position, of the first of the settings that finds it there.
    """

def update_all(
    meters: Sequence[Meter],
    stream: ArrowStream,
    *,
    columns: Columns,
    dtype: str | None = None,
    null_labels: Literal["raise", "ignore"] = "raise",
    threads: int = 1,
    read_ahead: bool = False,
    progress: Progress | None = None,
) -> None:
    """Read a stream into several meters, none of them open, and score each row of logits once.

    Each counts as if it were alone. Their settings must agree in how rows are read.
    """

def token_scores(
    stream: ArrowStream,
    settings: Settings,
    *,
    columns: Columns,
    dtype: str | None = None,
    null_labels: Literal["raise", "ignore"] = "raise",
    threads: int = 1,
    read_ahead: bool = False,
    rows: Literal["counted", "all"] = "counted",
) -> ScoreStream:
    """Columns: position, row u64, hidden bool, nll, logprob, lse f64, rank, ties u32, kept columns.

    Of scores in place of logits also nll_high f64 and rank_high u32, before the kept columns.

    With ``rows="all"`` one row for every position of the input; those that are not counted hold
    null in all but ``position`` and the kept columns.
    """

def sequence_scores(
    stream: ArrowStream,
    settings: Settings,
    *,
    columns: Columns,
    dtype: str | None = None,
    null_labels: Literal["raise", "ignore"] = "raise",
    threads: int = 1,
    read_ahead: bool = False,
) -> ScoreStream:
    """Columns: sequence_id, logprob f64, num_tokens u64, all_correct bool.

    The id is as given; its int64 number where unknown.
    """

def log_softmax(
    stream: ArrowStream,
    *,
    columns: Columns,
    dtype: str | None = None,
    out_dtype: Literal["float32", "float64"] | None = None,
    valid_vocab: int | None = None,
    vocab_mask: bytes | None = None,
    nonfinite: Literal["raise", "propagate"] = "raise",
    precision: Literal["fast", "exact"] = "fast",
    threads: int = 1,
    read_ahead: bool = False,
) -> ScoreStream:
    """One column ``logprobs``, FixedSizeList[V] of out_dtype; rows outside the mask are null."""

def log_softmax_into(
    stream: ArrowStream,
    out: object,
    *,
    columns: Columns,
    dtype: str | None = None,
    valid_vocab: int | None = None,
    vocab_mask: bytes | None = None,
    nonfinite: Literal["raise", "propagate"] = "raise",
    precision: Literal["fast", "exact"] = "fast",
    threads: int = 1,
    read_ahead: bool = False,
) -> None:
    """As `log_softmax`, into a writable C-contiguous float32 or float64 buffer [N, V].

    Rows outside the mask become nan.
    """

def top_k(
    stream: ArrowStream,
    k: int,
    *,
    columns: Columns,
    dtype: str | None = None,
    valid_vocab: int | None = None,
    vocab_mask: bytes | None = None,
    nonfinite: Literal["raise", "propagate"] = "raise",
    precision: Literal["fast", "exact"] = "fast",
    threads: int = 1,
    read_ahead: bool = False,
) -> ScoreStream:
    """Columns: ``logprobs`` FixedSizeList<float64>[k], ``ids`` FixedSizeList<int64>[k].

    By value, then by lower id. Rows outside the mask are null.
    """

def environment() -> dict[str, Any]:
    """``isa`` (in use), ``isas`` (that can run), ``numeric_version``, ``version``, ``debug``."""

class PartSummary(TypedDict):
    """The figures of one part: the whole, the visible reply, or the hidden tokens."""

    loss: float
    loss_stderr: float
    loss_stderr_naive: float
    loss_ci: tuple[float, float]
    loss_bounds: tuple[float, float]
    perplexity: float
    perplexity_ci: tuple[float, float]
    perplexity_bounds: tuple[float, float]
    accuracy: float
    accuracy_stderr: float
    accuracy_stderr_naive: float
    accuracy_ci: tuple[float, float]
    accuracy_bounds: tuple[float, float]
    accuracy_strict: float
    accuracy_optimistic: float
    mrr: float
    top_k_accuracy: list[float]  # k = 1..100
    sequence_accuracy: float
    num_tokens: int
    num_correct: int
    num_sequences: int
    num_batches: int
    effective_number: float
    num_ties: int
    num_invalid: int
    num_bounded: int
    num_unknown: int
    sum_weight: float
    # "no_sequences", "one_sequence", "few_sequences" (or "one_batch", "few_batches"), "infinite",
    # "nan", "empty"; of the whole also "open"
    flags: list[str]

class TripleSummary(TypedDict):
    """The three parts of the whole, or of one group."""

    whole: PartSummary
    visible: PartSummary
    hidden: PartSummary

class Summary(TypedDict):
    """All that a `Report` shows."""

    total: TripleSummary
    groups: list[tuple[tuple[int | str | bool | None, ...], TripleSummary]]
    by: list[str]  # the names of the group columns
    num_rows: int  # positions seen, counted or not
    num_runs: int
    num_short_left: int
    num_short_right: int
    num_unscored: int
    num_nan_rows: int
    num_posinf_rows: int
    num_neginf_labels: int
    num_empty_rows: int  # every allowed entry -inf
    hidden_label_ids: dict[int, int]
    elements: list[str]  # element types seen, as NumPy names them
    vocab_size: int | None
    scored: bool
    has_mask: bool
    has_roles: bool
    weighted: bool
    sequences_known: bool
    flags: list[str]  # of the whole
    warnings: list[tuple[str, str]]  # (class name in logitmeter.exceptions, message)
    settings: dict[str, Any]
    numeric_version: int
