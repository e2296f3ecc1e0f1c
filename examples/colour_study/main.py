"""The colour study of "OpenAI finetuning metrics" (jorio and Chua), end to end on this machine.

User "?", assistant one of k colours at random: nothing can be learnt but that there are k. A small
softmax model is fine-tuned on 6,000 such chats; the logits of each step are dumped and scored with
the two hidden tokens that the service counts. If two of three tokens are certain, the loss comes
to ln(k)/3 and the accuracy to 2/3 + 1/(3k), with spikes from 2/3 up to 1.
"""

import argparse
import sys
from pathlib import Path

from logitmeter.exceptions import LogitmeterError

_HERE = Path(__file__).resolve().parent
_WORK = _HERE.parents[1] / "build" / "colour_study"
_DRAWN = 4  # the batch size that is drawn


def main() -> int:
    """Run the study; 1 if it cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chats", type=int, default=6000, help="chats a run (default 6000)")
    parser.add_argument("--work", type=Path, default=_WORK, help="training data and results.csv")
    parser.add_argument("--out", type=Path, default=_HERE, help="where colours.md and .png go")
    args = parser.parse_args()
    try:
        _study(args.chats, args.work, args.out)
    except (LogitmeterError, OSError) as error:
        print(f"colours: {error}", file=sys.stderr)
        return 1
    return 0


def _study(num_chats: int, work: Path, out: Path) -> None:
    import figure
    import study

    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    pretrained = study.start(work, num_chats)
    outcomes = []
    for batch_size in study.BATCH_SIZES:
        for num_colours in study.COLOUR_COUNTS:
            outcome = study.run(work, pretrained, num_colours, batch_size)
            print(" | ".join(outcome.cells()), flush=True)
            outcomes.append(outcome)
    drawn = {o.num_colours: o.curve for o in outcomes if o.batch_size == _DRAWN}
    figure.draw(drawn, out / "colours.png")
    (out / "colours.md").write_text(study.markdown(outcomes), encoding="utf-8")
    print(f"\n{study.markdown(outcomes)}\nWrote {out / 'colours.png'}, {out / 'colours.md'}")


if __name__ == "__main__":
    sys.exit(main())
