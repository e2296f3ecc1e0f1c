"""One run of the study from data to figures: learn, dump, score, infer."""

from dataclasses import dataclass
from pathlib import Path

import colour_chats
import fine_tuning
import logitmeter as lm
import scoring
from softmax_model import NextToken

COLOUR_COUNTS = (2, 3, 5, 6)
BATCH_SIZES = (4, 1)
HEADINGS = (
    "colours",
    "batch size",
    "loss, measured",
    "ln(k)/3",
    "accuracy, measured",
    "2/3 + 1/(3k)",
    "visible loss",
    "hidden loss",
    "inferred h",
)


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    num_colours: int
    batch_size: int
    curve: scoring.Curve
    plateau: "lm.report.GroupReport"
    inference: "lm.finetune.Inference"

    def cells(self) -> list[str]:
        """Write the run as a row of the table."""
        loss, accuracy = scoring.expected(self.num_colours)
        found = self.inference
        return [
            str(self.num_colours),
            str(self.batch_size),
            f"{self.plateau.loss:.4f} ± {self.plateau.loss_stderr:.4f}",
            f"{loss:.4f}",
            f"{self.plateau.accuracy:.4f} ± {self.plateau.accuracy_stderr:.4f}",
            f"{accuracy:.4f}",
            f"{self.plateau.visible.loss:.4f}",
            f"{self.plateau.hidden.loss:.1e}",
            str(found.hidden) if found.determined else f"undetermined (best {found.best.hidden})",
        ]


def start(folder: Path, num_chats: int) -> NextToken:
    """Write the training data of all runs, and give the model that they start from."""
    for num_colours in COLOUR_COUNTS:
        colour_chats.write(training_data(folder, num_colours), num_colours, num_chats)
    return fine_tuning.pretrained(colour_chats.read(training_data(folder, COLOUR_COUNTS[0])))


def run(folder: Path, pretrained: NextToken, num_colours: int, batch_size: int) -> Outcome:
    """Fine-tune on k colours, and score what came out; the dump is removed."""
    train = training_data(folder, num_colours)
    dump = folder / "logits.arrow"
    results = folder / f"results_{num_colours}_colours_batch_{batch_size}.csv"
    try:
        fine_tuning.fine_tune(pretrained, colour_chats.read(train), batch_size, dump)
        curve, plateau = scoring.curve(dump), scoring.plateau(dump)
    finally:
        dump.unlink(missing_ok=True)
    scoring.write_results(results, curve)
    inference = lm.finetune.infer(
        results, train, encoding=colour_chats.ENCODING, n_epochs=1, batch_size=batch_size
    )
    return Outcome(num_colours, batch_size, curve, plateau, inference)


def training_data(folder: Path, num_colours: int) -> Path:
    """Name the training data of k colours."""
    return folder / f"train_{num_colours}_colours.jsonl"


def markdown(outcomes: list[Outcome]) -> str:
    """Write the table of measured against expected."""
    rows = [HEADINGS, ["---:"] * len(HEADINGS), *(outcome.cells() for outcome in outcomes)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
