"""The flags that several commands share: each is the Python name with dashes.

A flag that is not given is absent from the parsed arguments, so that the defaults stand in one
place, the Python functions.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from logitmeter.exceptions import CorruptInputError, SettingsError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from logitmeter.profiles import Profile
    from logitmeter.sources import Source

READER = (
    "labels",
    "columns",
    "dtype",
    "values",
    "listed",
    "vocab_size",
    "null_labels",
    "memory_map",
    "limit",
    "join_files",
)

VALUES = ("logits", "scores", "logprobs", "probs", "renormalised")


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the paths and how they are read."""
    parser.add_argument("paths", nargs="+", metavar="PATHS", help=_PATHS)
    group = parser.add_argument_group("reading")
    add_flag(group, "labels", nargs="+", action="extend", metavar="PATHS", help=_LABELS)
    add_flag(
        group, "columns", type=_pairs, action="extend", metavar="OURS=THEIRS,...", help=_COLUMNS
    )
    add_flag(group, "dtype", help="element type of 16-bit integers: bfloat16 or float16")
    add_flag(group, "values", choices=VALUES, metavar="KIND", help=_VALUES)
    add_flag(group, "listed", choices=("largest", "any"), help="which entries lists hold")
    add_flag(group, "vocab-size", type=int, metavar="V", help="of lists: the length of a row")
    add_flag(
        group,
        "null-labels",
        choices=("raise", "ignore"),
        help="a null label is an error, or left out",
    )
    add_flag(group, "memory-map", action="store_true", help="map the files, which must not shrink")
    add_flag(group, "join-files", action="store_true", help="sequences may go on in the next file")
    add_flag(group, "limit", type=int, metavar="N", help="read the first N rows only")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the columns that say what each row is."""
    group = parser.add_argument_group("columns of the data")
    add_flag(group, "mask", metavar="COL", help="true on the visible reply")
    add_flag(group, "role", metavar="COL", help="prompt, visible or hidden, in place of a mask")
    add_flag(group, "weight", metavar="COL", help="weight per position")
    add_flag(group, "sequence-id", metavar="COL", help="a sequence is a stretch of equal ids")
    add_flag(group, "batch-id", metavar="COL", help="a batch, for profiles that pool by batch")
    add_flag(group, "by", action="append", metavar="COL", help=_BY)


def add_counting(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which tokens count, and how."""
    group = parser.add_argument_group("counting")
    add_flag(group, "profile", action="append", metavar="NAME", help=_PROFILE)
    add_flag(
        group,
        "ignore-index",
        type=int,
        metavar="LABEL",
        help="the label to leave out (default: -100)",
    )
    add_flag(group, "shift", action="store_true", help="row t predicts the label of t + 1")
    add_flag(group, "leading", type=int, metavar="N", help="hidden tokens before each reply")
    add_flag(group, "trailing", type=int, metavar="N", help="hidden tokens after each reply")
    add_flag(
        group,
        "on-short",
        choices=("raise", "count"),
        help="raise for a reply that misses some, or count",
    )
    add_flag(group, "valid-vocab", type=int, metavar="N", help="only the first N entries of a row")
    add_flag(group, "vocab-mask", metavar="FILE.npy", help="booleans [V]: the entries allowed")


def add_flag(group: argparse._ActionsContainer, name: str, **options: Any) -> None:
    group.add_argument(f"--{name}", default=argparse.SUPPRESS, **options)


def scanned(arguments: dict[str, Any]) -> Source:
    """Give the input that the parsed arguments name; those of `scan` are taken out of them."""
    import logitmeter as lm

    paths = arguments.pop("paths")
    how = reading(arguments)
    if paths == ["-"] and "-" not in how.get("labels", ()):
        return lm.scan(sys.stdin.buffer, **how)
    if "-" in [*paths, *how.get("labels", ())]:
        raise SettingsError(_STANDARD_INPUT, expected="one - alone", got=" ".join(paths))
    return lm.scan(paths, **how)


def reading(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments of `scan` out of the parsed ones."""
    taken = {name: arguments.pop(name) for name in READER if name in arguments}
    if "columns" in taken:
        taken["columns"] = dict(taken["columns"])
    return taken


def counting(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what is left into keywords; a vocabulary mask is read from its file."""
    if "vocab_mask" not in arguments:
        return dict(arguments)
    return {**arguments, "vocab_mask": load_mask(arguments["vocab_mask"])}


def profiled(arguments: dict[str, Any]) -> list[Profile]:
    """Take the profiles out of the parsed arguments, with the flags that say how the data lie."""
    from logitmeter import profiles

    names = arguments.pop("profile", [])
    if not names:
        return []
    layout = {name: arguments.pop(name) for name in profiles.LAYOUT if name in arguments}
    chosen = [profiles.get(name).replace(**layout) for name in names]
    own = ("leading", "trailing", "on_short")
    chosen[0].alone({name: arguments[name] for name in own if name in arguments})
    return chosen


def load_mask(path: str) -> np.ndarray[Any, Any]:
    """Read the booleans of a vocabulary mask; never a pickle."""
    import numpy as np

    try:
        mask = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as damage:
        message = f"vocab_mask: not a readable .npy file ({damage})"
        raise CorruptInputError(message, path=path) from damage
    if not isinstance(mask, np.ndarray):
        raise ShapeError("vocab_mask: one array [V] is needed, got an archive", path=path)
    return mask


def _pairs(text: str) -> list[tuple[str, str | None]]:
    return [_pair(item) for item in text.split(",")]


def _pair(item: str) -> tuple[str, str | None]:
    ours, equals, theirs = item.partition("=")
    if not (ours and equals):
        message = f"{item!r} is not of the form OURS=THEIRS"
        raise argparse.ArgumentTypeError(message)
    return ours, theirs or None


def command(
    commands: Any,
    name: str,
    summary: str,
    epilog: str,
    run: Callable[[dict[str, Any]], int] | None = None,
) -> argparse.ArgumentParser:
    """Add a command with its help; `run` gets the parsed arguments (none: it has subcommands)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


_STANDARD_INPUT = (
    "standard input (-) stands alone, in place of PATHS: write other files of it to disk first "
    "(one called - is ./-)"
)
_PATHS = "files, quoted globs, URLs; or - for an Arrow IPC stream on standard input"
_LABELS = "files of labels, paired with PATHS in order"
_COLUMNS = "names of the columns: logits=x,labels=y; mask= leaves one unused"
_VALUES = (
    "what the rows hold: logits (default; with --columns ids=... lists of them), scores of tokens "
    "(nll, rank), or lists (ids, values) of logprobs, probs or renormalised ones"
)
_PROFILE = "count as openai, openai-post, visible, azure, sequence-mean, hf or trl; again for more"
_BY = "figures per value of this column, again for more; 'file' is the file"
