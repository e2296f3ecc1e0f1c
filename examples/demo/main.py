"""The demo: a gigabyte of real logits, scored by logitmeter and by NumPy, side by side.

Everything is made here and now, without a network: Python's help topics as chats, the real
vocabulary of cl100k_base (V = 100,277), a language model learnt from some of the topics, and its
logits for the others. Then logitmeter and NumPy score the same file, each in a process of its own.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_DEFAULT_DIR = _HERE.parents[1] / "build" / "demo"
_ROWS = 5000
_NEEDED = ("numpy", "pyarrow", "tiktoken", "logitmeter")


def main() -> int:
    """Run the demo; 0 if the methods agree, 1 if they do not, 2 if it cannot run."""
    args = _arguments()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return _fail(f"missing from this Python: {', '.join(missing)} (`make demo` installs them)")
    from measure import MethodError
    from vocabulary import VocabularyError

    try:
        return _demo(args)
    except (MethodError, VocabularyError, OSError, ValueError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--rows", type=int, default=_ROWS, help=f"rows of logits, 200 kB each (default {_ROWS})"
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns of each method (default 3)")
    parser.add_argument("--keep", action="store_true", help="keep the dump for the next run")
    parser.add_argument("--dir", type=Path, default=_DEFAULT_DIR, help="where the dump goes")
    args = parser.parse_args()
    if args.rows < 1 or args.repeats < 1:
        parser.error("--rows and --repeats must be at least 1")
    return args


def _demo(args: argparse.Namespace) -> int:
    import dump
    import measure
    import report
    import table
    from prepare import prepare
    from progress import Bar

    path = args.dir / "logits.arrow"
    print(table.bold("\n  logitmeter: what does a loss count?\n"))
    facts, made, lines = prepare(path, args.rows)
    try:
        print(table.facts(lines), flush=True)
        with Bar("scoring, in turns", 3 * args.repeats + 1) as bar:
            runs = measure.measure(path, args.repeats, advance=bar.advance)
    finally:
        if made and not args.keep:
            dump.remove(path)
    print(f"\n{report.figures(runs)}\n")
    wrong = measure.disagreements(runs)
    if wrong:
        return _fail("\n".join(["the results differ by more than promised:", *wrong]), status=1)
    print(f"{report.agreement(runs, facts)}\n")
    print(f"{report.speed(runs, facts)}\n\n{report.comparison(runs)}\n")
    print(f"{report.story(runs[measure.OURS][0].parts)}\n")
    return 0


def _fail(message: str, status: int = 2) -> int:
    print(f"demo: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
