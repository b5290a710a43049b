"""Trials of networks on two cores: make a simulated library, train on it, and judge on data by other authors.

    python -m benchmarks.networks train --out TRIALS [--methods vicreg simsiam] [--images 6400] [--epochs 30]
    python -m benchmarks.networks adapt --out TRIALS --data FOLDER [--trials vicreg]
    python -m benchmarks.networks judge --out TRIALS --data FOLDER [--draws 100 101 102]
    python -m benchmarks.networks plot --out TRIALS
    python -m benchmarks.networks publish --out TRIALS --trial simsiam-compact-6400/seed0

The library is made once and kept in the folder. A training that was interrupted continues where it was, and a finished
one is left as it is, so the command can be given again at any time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_sets.foreign import DRAWS, default_folder
from benchmarks.networks.electrons import IMAGES_OF_INSTANT, PER_EVENT, load_or_make
from benchmarks.networks.figure import TABLES, plot_trials
from benchmarks.networks.judge import FIXED, foreign_sets, judge, with_default
from benchmarks.networks.trials import EPOCHS, IMAGES, KEPT, METHODS, OF_EPOCHS, publish, run_trial, trial_of
from benchmarks.retrieval.plan import Plan
from pyspedas_similarity.encoder.backbone import BACKBONES
from pyspedas_similarity.encoder.finetune import adapt
from pyspedas_similarity.encoder.fitted import NAMED
from pyspedas_similarity.encoder.fixed import DEFAULT
from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
from pyspedas_similarity.errors import SimilarityError
from pyspedas_similarity.instruments.registry import ELECTRONS

DONE, BAD_INPUT = 0, 2
ADAPTED = "adapted"
"""Folder of adapted encoders: in it one for each network, and in that one for each data set."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 for bad input."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen)
    except SimilarityError as error:
        print(f"benchmarks.networks: {error}", file=sys.stderr)
        return BAD_INPUT
    return DONE


def _train(chosen: argparse.Namespace) -> None:
    events = -(-max(chosen.images) // (PER_EVENT * len(IMAGES_OF_INSTANT)))
    library = load_or_make(chosen.out / "electrons.npz", max(events, chosen.events))
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        for images in chosen.images:
            for method in chosen.methods:
                trial = trial_of(method, seed, images, chosen.epochs, chosen.backbone)
                folder = run_trial(trial, library, ELECTRONS, chosen.out)
                print(folder, flush=True)


def _adapt(chosen: argparse.Namespace) -> None:
    for _, data in foreign_sets(chosen.foreign or default_folder(chosen.data), chosen.draws, chosen.out):
        for network in _networks(chosen, KEPT):
            began = time.process_time()
            made = adapt(load_encoder(network / "seed0"), data.draw(data.recipe), data.following[:, None])
            folder = chosen.out / ADAPTED / f"{network.name}-adapted" / data.name / "seed0"
            print(save_encoder(made, folder, overwrite=True), f"{time.process_time() - began:.0f} s", flush=True)


def _networks(chosen: argparse.Namespace, *kinds: str) -> list[Path]:
    found = [each for kind in kinds for each in sorted((chosen.out / kind).glob("*"))]
    return [each for each in found if not chosen.trials or each.name.startswith(tuple(chosen.trials))]


def _judge(chosen: argparse.Namespace) -> None:
    kinds = (OF_EPOCHS,) if chosen.curve else (KEPT, ADAPTED)
    networks = [str(each) for each in _networks(chosen, *kinds)]
    fixed = (DEFAULT,) if chosen.curve else (DEFAULT, *chosen.fixed)
    plan = Plan(encoders=(*fixed, *with_default([*networks, *chosen.encoders])), most=chosen.most)
    sets = foreign_sets(chosen.foreign or default_folder(chosen.data), chosen.draws, chosen.out)
    judge(sets, plan, chosen.out, "curve" if chosen.curve else "networks", print)


def _plot(chosen: argparse.Namespace) -> None:
    plot_trials(chosen.out, chosen.by, chosen.image)


def _publish(chosen: argparse.Namespace) -> None:
    print(publish(chosen.out / KEPT / chosen.trial))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="train | adapt | judge | plot | publish")
    _add_train(commands)
    _add_adapt(commands)
    _add_judge(commands)
    plot = commands.add_parser("plot", help="Draw the table of judge --curve, or of judge by number of images.")
    _add_out(plot)
    plot.add_argument("--by", choices=TABLES, default="epoch")
    plot.add_argument("--image", type=Path, default=Path("networks.png"), metavar="FILE")
    plot.set_defaults(run=_plot)
    text = "Make a network part of the package."
    published = commands.add_parser("publish", help=text, description=text)
    _add_out(published)
    published.add_argument("--trial", type=Path, required=True, metavar="NAME/SEED")
    published.set_defaults(run=_publish)
    return parser


def _add_train(commands: argparse._SubParsersAction) -> None:
    text = "Make the library, if there is none, and train networks on it."
    parser = commands.add_parser("train", help=text, description=text)
    _add_out(parser)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--backbone", choices=BACKBONES, default="compact")
    parser.add_argument("--images", type=int, nargs="+", default=[IMAGES], metavar="N", help="sizes of the library")
    parser.add_argument("--events", type=int, default=0, help="events of a new library; default: enough for --images")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.set_defaults(run=_train)


def _add_adapt(commands: argparse._SubParsersAction) -> None:
    text = "Adapt the networks to each draw of the simulator by other authors, without labels."
    parser = commands.add_parser("adapt", help=text, description=text)
    _add_common(parser)
    parser.set_defaults(run=_adapt)


def _add_judge(commands: argparse._SubParsersAction) -> None:
    text = "Compare the networks with fixed encoders on the simulator by other authors."
    parser = commands.add_parser("judge", help=text, description=text)
    _add_common(parser)
    parser.add_argument("--fixed", nargs="*", choices=NAMED, default=FIXED, metavar="NAME", help="other named encoders")
    parser.add_argument("--encoders", nargs="+", default=[], metavar="FOLDER", help="other saved encoders")
    parser.add_argument("--most", type=int, default=60, metavar="N", help="largest number of queries of a task")
    parser.add_argument("--curve", action="store_true", help="the epochs of each training instead of the best one")
    parser.set_defaults(run=_judge)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of `adapt` and `judge`."""
    _add_out(parser)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the real files, next to the simulator's")
    parser.add_argument("--foreign", type=Path, metavar="FOLDER", help="folder of the simulator")
    parser.add_argument("--draws", type=int, nargs="+", default=DRAWS[:3], metavar="SEED", help="seeds of that")
    parser.add_argument("--trials", nargs="+", default=[], metavar="NAME", help="beginnings of names; default: all")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("networks"), metavar="FOLDER", help="folder of all trials")


if __name__ == "__main__":
    sys.exit(main())
