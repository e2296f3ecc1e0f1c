"""``logitmeter convert``: any dump as Arrow IPC, which is read fastest and needs no options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logitmeter import _export
from logitmeter._numbers import plural
from logitmeter.cli import _flags
from logitmeter.cli._outcome import Status, emit, note
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from logitmeter.sources import Source

_SUMMARY = "Write a dump as Arrow IPC, with the change in loss if it is rounded."
_EPILOG = """\
examples:
  logitmeter convert logits.npy --labels labels.npy --out dump.arrow
  logitmeter convert run.parquet --out run.arrow --dtype bf16 --shift
      rounds to bfloat16, and says how much the loss changed
  logitmeter convert shards/*.arrow --out all.arrow --keep task --shard-bytes 4000000000
      keeps a column; several files of about 4 GB

Sequences are numbered anew. A file has its name only once it is whole.
"""
_WRITING = ("model", "tokenizer", "shard_bytes", "compression")
_DATA = ("mask", "weight", "sequence_id")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = _flags.command(commands, "convert", _SUMMARY, _EPILOG, run)
    _flags.add_inputs(parser)
    _flags.add_data(parser)
    _flags.add_counting(parser)
    group = parser.add_argument_group("writing")
    add = _flags.add_flag
    group.add_argument("--out", required=True, metavar="FILE", help="the Arrow file to be made")
    add(group, "out-dtype", metavar="DTYPE", help="round to float32, float16 or bfloat16")
    add(
        group, "keep", action="append", metavar="COL", help="another column to keep; again for more"
    )
    add(group, "model", help="its name, for the metadata")
    add(group, "tokenizer", help="its name, for the metadata")
    add(group, "shard-bytes", type=int, metavar="N", help="end a file of N bytes with its sequence")
    add(group, "compression", choices=("lz4", "zstd"), help="smaller, and slower to read")
    group.add_argument("--json", action="store_true", help="one line of JSON, not text")


def run(arguments: dict[str, Any]) -> int:
    """Convert, and say what came of it."""
    import logitmeter as lm

    as_json, out = arguments.pop("json"), arguments.pop("out")
    rounded = arguments.pop("out_dtype", None)
    columns = [*arguments.pop("by", []), *arguments.pop("keep", [])]
    writing = _taken(arguments, _WRITING)
    data = _taken(arguments, _DATA)
    source = _flags.scanned(arguments)
    vocab_size = source.feed().vocab_size
    if vocab_size is None:
        raise SettingsError(
            "convert writes logits, and the source holds scores of tokens",
            expected="logits",
            got="scores",
        )
    with lm.DumpWriter(
        out, vocab_size=vocab_size, dtype=rounded, number_sequences=True, **writing
    ) as writer:
        writer.write(source, columns=columns, **data)
    found: dict[str, Any] = {"paths": writer.paths, "num_rows": writer.num_rows}
    if rounded is not None:
        found |= _change(source, writer.paths, data, _flags.counting(arguments))
    emit(_export.to_json(found, None) if as_json else _text(found))
    return Status.DONE


def _taken(arguments: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: arguments.pop(name) for name in names if name in arguments}


def _change(
    source: Source, paths: list[str], data: dict[str, Any], counting: dict[str, Any]
) -> dict[str, Any]:
    """Give the loss before and after, where the input can be read a second time."""
    import logitmeter as lm

    if not source.read_again:
        note("the change in loss is not known: the input cannot be read twice")
        return {}
    before = lm.evaluate(source, **data, **counting).loss
    after = lm.evaluate(paths, **counting).loss
    return {"loss_before": before, "loss_after": after, "loss_change": after - before}


def _text(found: dict[str, Any]) -> str:
    lines = [f"{plural(found['num_rows'], 'row')} in {plural(len(found['paths']), 'file')}:"]
    lines += [f"  {path}" for path in found["paths"]]
    if "loss_change" in found:
        before, after = found["loss_before"], found["loss_after"]
        lines.append(
            f"loss {before:.9f} before, {after:.9f} after: {found['loss_change']:+.3g} nats"
        )
    return "\n".join(lines)
