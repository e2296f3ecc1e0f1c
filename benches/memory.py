"""How much memory a dump of any size takes: `make bench-memory`.

Each dump is scored by a process of its own. Its anonymous resident memory is looked at every two
milliseconds; pages of a mapped file are the system's, and do not count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dumps
import machine
from lab import row

PLACE = Path(__file__).parent.parent / "target" / "bench"
PAUSE = 0.002
LIMIT = 300
"""Megabytes above the interpreter: what every format should stay within."""
SCORE = """
import sys
import logitmeter as lm
import pyarrow, pyarrow.parquet
path, labels, dtype, mapped = sys.argv[1:]
print("ready", flush=True)
sys.stdin.buffer.peek(1) if path == "-" else sys.stdin.readline()
source = lm.scan(
    sys.stdin.buffer if path == "-" else path,
    labels=labels or None, dtype=dtype or None, memory_map=bool(mapped),
)
print(lm.evaluate(source).num_tokens)
"""
"""A process that says when it is ready, and begins when its input does."""


def measured(name: str, folder: Path, rows: int) -> str:
    """Give a line of the table."""
    path = folder / "dump"
    piped = name == dumps.PIPE
    if not piped:
        dumps.WRITERS[name](path, rows)
    labels = folder / "dump.labels"
    options = [
        "-" if piped else str(path),
        str(labels) if labels.exists() else "",
        "f16" if "opaque" in name else "",
        "yes" if "mapped" in name else "",
    ]
    before, most, tokens = _scored(options, rows if piped else None)
    for file in folder.iterdir():
        file.unlink()
    verdict = "" if most - before < LIMIT << 20 else f"above {LIMIT}"
    size = rows * dumps.ROW_BYTES / 1e9
    return row([name, f"{size:.1f}", tokens, f"{(most - before) / 2**20:.0f}", verdict])


def _scored(options: list[str], rows: int | None) -> tuple[int, int, int]:
    """Score a dump; gives memory before, memory at most, and the tokens that counted."""
    command = [sys.executable, "-c", SCORE, *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]  # noqa: S603
        process.stdout.readline()
        before = most = _anonymous(process.pid)
        writer = None if rows is None else _writer(rows, process.stdin)
        if writer is None:
            process.stdin.write(b"\n")
        process.stdin.close()
        while process.poll() is None:
            most = max(most, _anonymous(process.pid))
            time.sleep(PAUSE)
        if writer is not None:
            writer.wait()
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"scoring {options} failed: its message is above")
    return before, most, int(said)


def _writer(rows: int, pipe: object) -> subprocess.Popen[bytes]:
    program = f"import dumps; dumps.ipc(None, {rows}, stream=True)"
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, stdout=pipe, cwd=Path(__file__).parent)  # type: ignore[call-overload, no-any-return]  # noqa: S603


def _anonymous(pid: int) -> int:
    """Give bytes of anonymous resident memory; 0 of a process that has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(x.split()[1]) << 10 for x in lines if x.startswith("RssAnon:")), 0)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2, help="of logits in each dump")
    parser.add_argument("--only", default="", help="formats whose name holds this")
    args = parser.parse_args()
    rows = max(1, int(args.gigabytes * 1e9) // dumps.ROW_BYTES)
    head = [
        *machine.heading("Memory for a dump"),
        f"- float16, V = {dumps.VOCAB:,}, rows of zeros in files with holes; batches of 64 MiB",
        "- MB: anonymous resident memory at its peak, above Python with logitmeter and pyarrow",
        "",
    ]
    table = [row(["format", "GB", "tokens", "MB", ""]), row(["---"] * 5)]
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        for name in (*dumps.WRITERS, dumps.PIPE):
            if args.only in name:
                table.append(measured(name, Path(folder), rows))
                print(table[-1], flush=True)
    print("written to", machine.write("memory", [*head, *table]))


if __name__ == "__main__":
    main()
