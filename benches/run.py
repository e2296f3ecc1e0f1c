"""logitmeter beside the speed of memory and beside what people use: `make bench`.

Prints ratios, and writes them to `results/`. See README.md for how to read them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import data
import machine
from cases import GROUPS, PEER_GROUPS, PLAIN, Case, Group
from lab import Entry, Lab, Result, Work, gigabytes, row, spread
from logitmeter.versions import versions

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARES = [
    "",
    "## Share of the roofline",
    "",
    "| | V | work | threads | of the roof | of plain | chunked NumPy | MB more | roof GB/s, by |",
    "|---|---|---|---|---|---|---|---|---|",
]
COLUMNS = SHARES[3].count("|") - 1
PEERS = [
    "",
    "## Peers: how many times logitmeter's time they take",
    "",
    "| | V | threads | peer | times | more memory, by the input | |",
    "|---|---|---|---|---|---|---|",
]
SOFTMAX = [
    "",
    "## log_softmax, float32 to float32, V = 32,000: share of (read, read from the cache, write)",
    "",
    "| threads | into new memory | into memory that is reused | |",
    "|---|---|---|---|",
]
CALL = [
    "",
    "## One call on 8 rows of V = 1,000 (float32), in microseconds",
    "",
    "| logitmeter | chunked NumPy |",
    "|---|---|",
]


class Bench:
    """The lines of each table, as they are measured."""

    def __init__(self, lab: Lab, megabytes: int, isas: list[str]) -> None:
        self.lab = lab
        self.megabytes = megabytes
        self.isas = isas
        self.shares = list(SHARES)
        self.peers = list(PEERS)

    def group(self, group: Group) -> None:
        """Measure logits of one type and width, plain and varied."""
        plain = self.work(group)
        for threads in (1, 2):
            self.plain(group, plain, threads)
        for case in group.cases:
            if case.isa and case.isa not in self.isas:
                self.add_share(group, case, 0, ["this machine lacks it"])
                continue
            name = "varied" if case.change else "plain"
            work = self.work(group, case, name)
            for threads in case.threads:
                self.varied(group, case, plain, work, threads)
            if case.change:
                self.lab.drop(name)
        self.lab.drop("plain")

    def work(self, group: Group, case: Case = PLAIN, name: str = "plain") -> Work:
        """Give the logits of that name and what is asked of them."""
        rows = data.num_rows(group.dtype, group.vocab, self.megabytes)
        return self.lab.work((rows, group.vocab), group.dtype, case, name)

    def plain(self, group: Group, work: Work, threads: int) -> None:
        """Plain scoring beside the roofline, chunked NumPy and the peers of this group."""
        peers = PEER_GROUPS.get((group.dtype, group.vocab), ())
        names = ["logitmeter", "roofline", "chunked NumPy", *peers]
        found = self.lab.measure([Entry(name, work) for name in names], threads)
        ours, roof, chunked, *others = found
        cells = [spread(roof.by(ours)), "", spread(chunked.by(ours))]
        self.add_share(group, PLAIN, threads, [*cells, *context(work, roof, ours)])
        for name, other in zip(names[2:], [chunked, *others], strict=True):
            times = spread(other.by(ours)) or f"missing: {other.missing}"
            memory = f"{other.extra_bytes / work.num_bytes:.2f}"
            cells = [name, times, memory if other.seconds else "", other.note]
            self.peers.append(row([group.dtype, f"{group.vocab:,}", threads, *cells]))
            print(self.peers[-1], flush=True)

    def varied(self, group: Group, case: Case, plain: Work, work: Work, threads: int) -> None:
        """Varied scoring beside the roofline and plain scoring, of the bytes that count."""
        entries = [
            Entry("logitmeter", work, case.isa),
            Entry("roofline", work),
            Entry("logitmeter", plain),
        ]
        found = self.lab.measure(entries, threads, rounds=case.rounds)
        ours, roof, usual = found
        share = spread(roof.by(ours, work.fraction), 2 if case.isa != "portable" else 3)
        cells = [share, spread(usual.by(ours, work.fraction)), ""]
        self.add_share(group, case, threads, [*cells, *context(work, roof, ours)])

    def add_share(self, group: Group, case: Case, threads: int, cells: list[str]) -> None:
        """Keep a line, and show it."""
        line = [group.dtype, f"{group.vocab:,}", case.name, threads or "", *cells]
        self.shares.append(row([*line, *[""] * (COLUMNS - len(line))]))
        print(self.shares[-1], flush=True)

    def log_softmax(self) -> Iterator[str]:
        """Rows of log-softmax beside the same traffic without arithmetic."""
        work = self.work(Group("float32", 32_000))
        names = [
            "log_softmax",
            "log_softmax roofline",
            "log_softmax roofline, memory reused",
        ]
        for threads in (1, 2):
            ours, fresh, reused = self.lab.measure([Entry(name, work) for name in names], threads)
            yield row([threads, spread(fresh.by(ours)), spread(reused.by(ours)), fresh.note])
        self.lab.drop("plain")

    def small_call(self) -> Iterator[str]:
        """How long a call takes that has next to nothing to do."""
        work = self.lab.work((8, 1_000), "float32")
        entries = [Entry(name, work) for name in ("logitmeter", "chunked NumPy")]
        found = self.lab.measure(entries, 1, repeat=500)
        yield row([spread([s * 1e6 for s in result.seconds], 1) for result in found])
        self.lab.drop("plain")


def context(work: Work, roof: Result, ours: Result) -> list[str]:
    """Give what is not a ratio: how much memory a call takes, and how fast the roof is."""
    return [f"{ours.extra_bytes / 1e6:.1f}", f"{gigabytes(work, roof):.1f}, {roof.note}"]


def main() -> None:
    """Measure everything, print it and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of logits in a case")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--quick", action="store_true", help="256 MB, 2 rounds, nothing kept: does it run?"
    )
    args = parser.parse_args()
    if args.quick:
        args.megabytes, args.rounds = 256, 2
    head = [
        *machine.heading("logitmeter, benches"),
        f"- {args.megabytes} MiB of logits a case, {args.rounds} rounds; median [least greatest]",
        "- every answer agrees with NumPy in float64",
    ]
    print("\n".join(head), flush=True)
    isas = str(versions()["isas"]).split(", ")
    with Lab(args.rounds) as lab:
        bench = Bench(lab, args.megabytes, isas)
        for group in GROUPS:
            bench.group(group)
        rest = [*SOFTMAX, *bench.log_softmax(), *CALL, *bench.small_call()]
    print("\n".join(rest))
    if not args.quick:
        print("written to", machine.write("bench", [*head, *bench.shares, *bench.peers, *rest]))


if __name__ == "__main__":
    main()
