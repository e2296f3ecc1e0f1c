"""Share of the roofline against V for each element type: `make bench-chart`.

Draws `results/share.svg` and writes the figures it shows beside it.
"""

from __future__ import annotations

import argparse
import statistics

import data
import machine
import matplotlib as mpl
from lab import Entry, Lab, row, spread
from logitmeter.versions import versions

TYPES = ("float32", "bfloat16", "float16", "float64")
VOCABS = (1_000, 4_000, 16_000, 32_000, 64_000, 128_256, 201_088)
Shares = dict[str, list[list[float]]]  # for each type the ratios at each V


def measured(lab: Lab, threads: int, megabytes: int) -> Shares:
    """Give the shares of all types at every V."""
    shares: Shares = {dtype: [] for dtype in TYPES}
    for dtype in TYPES:
        for vocab in VOCABS:
            work = lab.work((data.num_rows(dtype, vocab, megabytes), vocab), dtype)
            entries = [Entry("logitmeter", work), Entry("roofline", work)]
            ours, roof = lab.measure(entries, threads)
            lab.drop("plain")
            shares[dtype].append(roof.by(ours))
            print(dtype, vocab, spread(shares[dtype][-1]), flush=True)
    return shares


def draw(shares: Shares, threads: int, path: str) -> None:
    """Draw a line a type, with a bar from the least to the greatest ratio."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "logitmeter"  # the same figures give the same file
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for dtype, ratios in shares.items():
        middle = [statistics.median(r) for r in ratios]
        below = [m - min(r) for m, r in zip(middle, ratios, strict=True)]
        above = [max(r) - m for m, r in zip(middle, ratios, strict=True)]
        axes.errorbar(VOCABS, middle, (below, above), label=dtype, marker="o", capsize=3)
    axes.axhline(1, color="grey", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(VOCABS, [f"{vocab:,}" for vocab in VOCABS], rotation=30)
    axes.minorticks_off()
    axes.set_ylim(0, 1.1)
    axes.set_xlabel("V, logits a row")
    axes.set_ylabel("share of the speed of memory")
    facts = versions()
    word = "thread" if threads == 1 else "threads"
    axes.set_title(f"lm.evaluate on {facts['cpu']}, {facts['isa']}, {threads} {word}", fontsize=10)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, draw, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="of logits a point")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    head = machine.heading("Share of the roofline against V")
    with Lab(args.rounds) as lab:
        shares = measured(lab, args.threads, args.megabytes)
    machine.RESULTS.mkdir(exist_ok=True)
    draw(shares, args.threads, str(machine.RESULTS / "share.svg"))
    table = [
        f"- {args.megabytes} MiB a point, {args.rounds} rounds, threads: {args.threads}",
        "",
        row(["V", *TYPES]),
        row(["---"] * (len(TYPES) + 1)),
        *(
            row([f"{vocab:,}", *(spread(shares[dtype][i]) for dtype in TYPES)])
            for i, vocab in enumerate(VOCABS)
        ),
    ]
    print("written to", machine.write("share", [*head, *table]), "and share.svg")


if __name__ == "__main__":
    main()
