"""Commands of the benchmark, from a clone: ``python -m benchmarks retrieval | labels``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_sets.foreign import DRAWS
from benchmarks.labels import run as labels
from benchmarks.retrieval import run as retrieval
from benchmarks.retrieval.plan import DATASETS, Plan
from pyspedas_similarity.errors import SimilarityError

DONE, NOTHING_FOUND, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for an empty table, 2 for bad input."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except SimilarityError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return BAD_INPUT


def _run_retrieval(chosen: argparse.Namespace) -> int:
    return DONE if len(retrieval.run(_plan(chosen), chosen.out)) else NOTHING_FOUND


def _run_labels(chosen: argparse.Namespace) -> int:
    return DONE if len(labels.run(_plan(chosen), chosen.out)) else NOTHING_FOUND


def _plan(chosen: argparse.Namespace) -> Plan:
    lists = {name: tuple(getattr(chosen, name)) for name in ("only", "encoders", "draws") if name in chosen}
    foreign = {"foreign": chosen.foreign} if "foreign" in chosen else {}
    lists |= {"most": chosen.most} if "most" in chosen else {}
    return Plan(quick=chosen.quick, data=chosen.data, seeds=chosen.seeds, **lists, **foreign)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of encoders.")
    commands = parser.add_subparsers(required=True, metavar="retrieval | labels")
    _add_retrieval(commands)
    _add_labels(commands)
    return parser


def _add_retrieval(commands: argparse._SubParsersAction) -> None:
    text = "Retrieval by encoders: data sets x encoders x measures."
    parser = commands.add_parser("retrieval", help=text, description=text)
    _add_common(parser, DATASETS)
    parser.add_argument(
        "--foreign",
        type=Path,
        metavar="FOLDER",
        help="folder of the simulator of the data set 'foreign'; default: the folder 'foreign' next to that of --data "
        "or PYSPEDAS_SIMILARITY_DATA, if it exists",
    )
    parser.add_argument(
        "--draws",
        type=int,
        nargs="+",
        default=DRAWS,
        metavar="SEED",
        help="seeds of that simulator: 0 to 49 for development, 100 and on (default: 100 to 109) for reported tables",
    )
    parser.add_argument("--most", type=int, metavar="N", help="largest number of queries of a task; default: all")
    parser.set_defaults(run=_run_retrieval)


def _add_labels(commands: argparse._SubParsersAction) -> None:
    text = "Accuracy against labels per class."
    parser = commands.add_parser("labels", help=text, description=text)
    _add_common(parser, labels.SETS)
    parser.set_defaults(run=_run_labels)


def _add_common(parser: argparse.ArgumentParser, data_sets: Sequence[str]) -> None:
    """Add the options of `retrieval` and `labels`."""
    parser.add_argument("--quick", action="store_true", help="small simulated sets and fast encoders, two minutes")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files; default: none of them")
    parser.add_argument("--only", nargs="+", default=[], metavar="DATASET", help=f"any of {', '.join(data_sets)}")
    parser.add_argument(
        "--encoders",
        nargs="+",
        default=[],
        metavar="NAME|FOLDER",
        help="names as listed by 'pyspedas-similarity info', folders of saved encoders, or a folder of such folders, "
        "one for each seed",
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of encoders that are random or fitted")
    parser.add_argument(
        "--out", type=Path, default=Path("pyspedas-similarity-bench"), metavar="FOLDER", help="folder for the table"
    )


if __name__ == "__main__":
    sys.exit(main())
