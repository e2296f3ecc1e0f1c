"""Bad and awkward input by source, as a program: what kills a process then kills only this one.

``python bad_inputs.py FOLDER SOURCE...`` runs every case that these sources can show, and prints a
line of JSON for each: what was raised, or what was found.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import logitmeter as lm
import numpy as np
from bad_input_cases import CASES, Case
from bad_input_llama import LLAMA_CASES, llama_file
from bad_input_sources import SOURCES, Given, N, Passed, V


def cases_of(source: str) -> dict[str, Case]:
    """Give the cases that a source can show."""
    if source == "llama.cpp":
        return LLAMA_CASES
    can = SOURCES[source].can
    found = {name: case for name, case in CASES.items() if case.needs <= can}
    return {name: case for name, case in found.items() if (source, name) not in CANNOT}


CANNOT = {
    ("Parquet of bytes", "16-bit integers"): "opaque bytes are read by the type that is stated"
}
"""What a source cannot show, although it seems so, and why."""


def written(source: str, folder: Path, given: Given) -> Passed:
    """Give what `scan` and the call are passed."""
    if source == "llama.cpp":
        return {"source": llama_file(folder, vocab=given.logits.shape[-1])}, {}
    return SOURCES[source].make(folder, given)


def run(source: str, name: str, case: Case, folder: Path) -> dict[str, Any]:
    """Run a case; gives what came of it."""
    given = Given()
    case.change(given)
    scan, call = written(source, folder, given)
    call |= given.beside | given.call
    if case.damage:
        case.damage(folder / "dump")
    if name == "another vocabulary in the next file":
        (folder / "next").mkdir()
        other = Given(logits=np.zeros((N, V + 1), np.float32))
        scan["source"] = [scan["source"], written(source, folder / "next", other)[0]["source"]]
        call = {part: [path, folder / "next" / part] for part, path in call.items()}
    opened = lm.scan(**scan)
    if case.after:
        opened.feed(lm.sources.data_of(**call)) if call else opened.feed()
        case.after(folder / "dump")
    if name == "read twice":
        lm.evaluate(opened, **call)
    report = lm.evaluate(opened, **call)
    return {"loss": report.loss, "num_tokens": report.num_tokens}


def outcome(source: str, name: str, case: Case, folder: Path) -> dict[str, Any]:
    """Run a case; gives what was raised or found, and the warnings."""
    folder.mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = run(source, name, case, folder)
        except Exception as error:  # noqa: BLE001 - the parent judges its class
            found = {
                "error": type(error).__name__,
                "message": str(error),
                "path": getattr(error, "path", None),
                "offset": getattr(error, "offset", None),
            }
    return {"case": name, **found, "warnings": [type(w.message).__name__ for w in caught]}


def main(folder: str, *sources: str) -> None:
    """Run all cases of some sources."""
    for place, source in enumerate(sources):
        for number, (name, case) in enumerate(cases_of(source).items()):
            here = Path(folder) / f"{place}-{number}"
            found = {"source": source, **outcome(source, name, case, here)}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
