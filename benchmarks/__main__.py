"""Commands of the benchmark, from a clone: ``python -m benchmarks retrieval | labels | train-shipped``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import few_labels, run
from benchmarks.shipping import ship
from pyspedas_similarity.errors import SimilarityError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: exit status 0, 1 for an empty table, 2 for bad input."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "train-shipped":
            encoder = ship(chosen.kind, chosen.out, chosen.data, chosen.quick, chosen.seed, chosen.overwrite)
            print(f"Saved {encoder.card.name} ({encoder.hash}) in {chosen.out}")
            return 0
        plan = run.Plan(chosen.quick, chosen.data, tuple(chosen.only), tuple(chosen.encoders), chosen.seeds)
        table = (few_labels.run if chosen.command == "labels" else run.run)(plan, chosen.out)
    except SimilarityError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0 if len(table) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmark of encoders.")
    commands = parser.add_subparsers(dest="command", required=True)
    retrieval = commands.add_parser("retrieval", help="retrieval by encoders: data sets x encoders x measures")
    labels = commands.add_parser("labels", help="accuracy against labels per class, on regions, edr and nights")
    for one in (retrieval, labels):
        one.add_argument("--quick", action="store_true", help="small simulated sets and fast encoders, two minutes")
        one.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files; default: none")
        one.add_argument(
            "--only",
            nargs="+",
            default=[],
            metavar="DATASET",
            help="of edr, nights, projected, reduced, regions, movie",
        )
        one.add_argument(
            "--encoders",
            nargs="+",
            default=[],
            metavar="NAME|FOLDER",
            help="names as in info, folders of saved encoders, or a folder of such folders, one for each seed",
        )
        one.add_argument("--seeds", type=int, default=3, help="of encoders that are random or fitted")
        one.add_argument("--out", type=Path, default=Path("pyspedas-similarity-bench"), metavar="FOLDER")
    shipped = commands.add_parser(
        "train-shipped", help="train an encoder that comes with the package, as it was trained"
    )
    shipped.add_argument("kind", choices=("distributions", "windows", "frames"))
    shipped.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the encoder")
    shipped.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files")
    shipped.add_argument("--quick", action="store_true", help="little data, to try it")
    shipped.add_argument("--seed", type=int, default=0)
    shipped.add_argument("--overwrite", action="store_true", help="replace an existing encoder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
