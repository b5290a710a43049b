"""The verbs from a shell: ``pyspedas-similarity demo | find | report | review | export | join | train | ...``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, SimilarityError
from ..provenance import version_of
from . import archive, case_study
from .arguments import (
    BAD_INPUT,
    FOUND,
    INTERRUPTED,
    NOTHING_FOUND,
    add_command,
    add_data,
    add_search,
    data_of,
    like_of,
    print_json,
    print_table,
    rules_of,
)

if TYPE_CHECKING:
    from ..encoder.runtime import Encoder
    from ..imaging.recipes import Recipe

_EXAMPLES = """examples:
  pyspedas-similarity demo
  pyspedas-similarity demo --data FOLDER
  pyspedas-similarity check-real --electrons --folder FOLDER
  pyspedas-similarity find --instrument mms_dis --probe 1 --trange 2020-11-19/23:34 2020-11-19/23:37 \\
      --like 2020-11-19/23:36:12
  pyspedas-similarity find --cdf MOMENTS.cdf --together --variable mms1_dis_numberdensity_brst \\
      mms1_dis_bulkv_gse_brst mms1_dis_energyspectr_omni_brst \\
      --like 2015-10-16/13:06:45 2015-10-16/13:06:49 -k 5 --out found.ecsv
  pyspedas-similarity export found.ecsv found.xml
  pyspedas-similarity join found.ecsv sitl_selections.csv --searched 2015-10-16/13:05 2015-10-16/13:08 \\
      --tolerance 5
  pyspedas-similarity report --cdf MOMENTS.cdf --together --variable mms1_dis_numberdensity_brst \\
      mms1_dis_bulkv_gse_brst mms1_dis_energyspectr_omni_brst \\
      --like 2015-10-16/13:06:45 2015-10-16/13:06:49 --out page.html
  pyspedas-similarity review --cdf FILE.cdf --variable mms1_dis_dist_brst --like 2020-11-19/23:36:12 \\
      --out list.ecsv
  pyspedas-similarity train --cdf FILE.cdf --variable mms1_dis_dist_brst --out my_encoder --epochs 20
  pyspedas-similarity encoder import NETWORK.onnx --instrument themis_asi --recipe pixels=224 contrast_pixels=0 \\
      --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225 --license CC-BY-4.0 --out their_encoder
  pyspedas-similarity archive add electrons --instrument mms_des --probe 1 --trange 2015-10-16 2015-10-17
  pyspedas-similarity find --archive electrons --like 2015-10-16/13:07:02.2
  pyspedas-similarity archive verify electrons
  pyspedas-similarity find --archive electrons --like 2015-10-16/13:07:02.2 --json | jq .data
  eval "$(pyspedas-similarity completion bash)"

Results are printed to standard output, warnings and errors to standard error.
Exit status: 0 found, 1 nothing found, the archive is damaged or the check failed, 2 bad input, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, with some arguments instead of those of the process; return the exit status."""
    chosen = _parser().parse_args(arguments)
    # pyspedas logs every file that it opens; a user of the shell wants the result.
    logging.disable(logging.NOTSET if chosen.verbose else logging.WARNING if chosen.quiet else logging.INFO)
    try:
        status = chosen.command(chosen)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who reads has enough, as `head` has; nothing more can be written, by Python at its end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    except SimilarityError as error:
        script = " (The command line takes no recipe; give it in a Python script.)" if "recipe=" in error.remedy else ""
        print(f"pyspedas-similarity: {error}{script}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("pyspedas-similarity: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        logging.disable(logging.NOTSET)


def demo(chosen: argparse.Namespace) -> int:
    """Run the demonstration."""
    from .. import demo as demonstration

    return FOUND if demonstration.run(chosen.out, chosen.data, chosen.seed) else NOTHING_FOUND


def check_real(chosen: argparse.Namespace) -> int:
    """Run the check on measured data."""
    from .. import check_real as check

    electrons = check.ElectronPlan() if chosen.electrons else None
    aurora = check.AuroraPlan() if chosen.aurora else None
    return FOUND if check.run(chosen.out, chosen.folder, electrons, aurora, chosen.no_update) else NOTHING_FOUND


def find(chosen: argparse.Namespace) -> int:
    """Search a time range or files, print the table, write it on request."""
    from ..files import check_place
    from ..functions.results import intervals, result
    from ..functions.search import find_similar
    from ..results.exports import ENDINGS, format_of
    from ..results.exports import export as write

    if chosen.out is not None:
        format_of(chosen.out)  # before what may take long
        check_place(chosen.out, tuple(ENDINGS), chosen.overwrite)
    if chosen.nearest:
        names = _find_nearest(chosen)
    else:
        rules = rules_of(chosen) | {"progress": not chosen.quiet}
        names = find_similar(like=like_of(chosen.like), errors="raise", **data_of(chosen), **rules)
    table = intervals(names)
    if names and chosen.out is not None:
        write(table, chosen.out, overwrite=chosen.overwrite)
    if names and not chosen.json:
        print("".join(f"{line}\n" for line in result(names).own_event_lines()), end="")
    if names or chosen.json:
        print_table(table, chosen.json, _columns(table, chosen.wide))
    return FOUND if names else NOTHING_FOUND


def _columns(table: Any, wide: bool) -> list[str]:
    """Return the columns to print: those that fit into 80 characters, or all."""
    narrow = ("score", "peak", "duration", "stands_out", *(("source",) if len(set(table["source"])) > 1 else ()))
    return [name for name in table.colnames if wide or name in narrow]


def _find_nearest(chosen: argparse.Namespace) -> list[str]:
    from ..functions.neighbors import find_nearest

    data = data_of(chosen)
    names = ("threshold", "fdr", "encoder", "looking-for", "reference")
    asked = {f"--{name}": getattr(chosen, name.replace("-", "_")) for name in names}
    asked["--instrument"] = data.pop("instrument", None)
    unused = [name for name, value in asked.items() if value is not None]
    if chosen.archive is None or unused:
        found = f"given with {', '.join(unused)}" if unused else "given without --archive"
        raise ArgumentError("--nearest", found, "It takes --archive, --like, -k, --probe, --trange and --exclude.")
    part = {key: data[key] for key in ("trange", "probe") if key in data}
    rules = {} if chosen.exclude is None else {"exclude": chosen.exclude}
    return find_nearest(chosen.archive, like_of(chosen.like), k=chosen.k or 10, **part, **rules, errors="raise")


def train(chosen: argparse.Namespace) -> int:
    """Train an encoder and save it."""
    from ..functions.encoders import save_encoder
    from ..functions.encoders import train as train_encoder

    options = {key: getattr(chosen, key) for key in ("method", "backbone", "epochs", "seed", "lag")}
    encoder = train_encoder(**data_of(chosen), **options)
    folder = save_encoder(encoder, chosen.out, overwrite=chosen.overwrite)
    print(f"Saved {encoder.card.name} ({encoder.hash}) in {folder}")
    for key in ("n_samples", "epochs", "final_loss", "std_of_normalized", "effective_rank"):
        if key in encoder.card.training:
            print(f"  {key}: {encoder.card.training[key]}")
    return FOUND


def import_network(chosen: argparse.Namespace) -> int:
    """Import a network and save it."""
    from ..functions.encoders import import_encoder, save_encoder

    names = ("pixels", "channels", "mean", "std", "layout", "output", "name", "license")
    encoder = import_encoder(chosen.file, _recipe_of(chosen), **{name: getattr(chosen, name) for name in names})
    folder = save_encoder(encoder, chosen.out, overwrite=chosen.overwrite)
    print(f"Saved {encoder.card.name} ({encoder.hash}), {encoder.card.dimension} features, in {folder}")
    return FOUND


def _recipe_of(chosen: argparse.Namespace) -> Recipe:
    """Return the recipe of an instrument with the fields that were given."""
    from ..instruments.registry import instrument_named

    recipe = instrument_named(chosen.instrument).recipe
    known = [one.name for one in fields(recipe)]
    changes = {}
    for text in chosen.recipe:
        name, _, value = text.partition("=")
        if name not in known or not value:
            raise ArgumentError("--recipe", f"found {text!r}", f"Give FIELD=VALUE with one of {', '.join(known)}.")
        changes[name] = _value_of(value)
    try:
        return replace(recipe, **changes)
    except TypeError as error:
        raise ArgumentError("--recipe", f"{error}", "Give numbers, words, or lists such as [1,99].") from error


def _value_of(text: str) -> Any:
    """Return the value of a text in JSON, lists as tuples; other text is a word."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def info(chosen: argparse.Namespace) -> int:
    """Print versions, instruments and encoders, or one encoder's card."""
    from ..encoder.cards import KINDS
    from ..encoder.fitted import NAMED, named_encoder
    from ..encoder.weights import PREFIX, packaged_networks
    from ..functions.encoders import load_encoder
    from ..instruments.registry import INSTRUMENTS

    if chosen.encoder is not None:
        name = str(chosen.encoder)
        encoders = [named_encoder(name, kind) for kind in KINDS] if name in NAMED else [load_encoder(name)]
        if chosen.json:
            print_json([{"hash": one.hash} | json.loads(one.card.to_json()) for one in encoders])
        else:
            print("\n".join(line for one in encoders for line in _card_lines(one)))
        return FOUND
    for package in ("pyspedas-similarity", "pyspedas", "astropy", "numpy", "onnxruntime", "torch", "lightly"):
        print(f"{package:20s} {version_of(package)}")
    width = max(map(len, [*INSTRUMENTS, *NAMED]))
    print("\ninstruments")
    for name, one in INSTRUMENTS.items():
        if not one.is_for_panels:
            print(f"  {name:{width}s} {one.title}; variables {one.variables}; recipe {one.recipe.hash}")
    print("\ntime series and spectrograms, for searches")
    for name, one in INSTRUMENTS.items():
        if one.is_for_panels:
            print(f"  {name:{width}s} {one.title}; variables {' '.join((one.variables, *one.together))}")
    print("\nencoders without training")
    for name, description in NAMED.items():
        print(f"  {name:{width}s} {description}")
    print("\nnetworks of the package")
    for recipe, name in packaged_networks().items():
        used = ", ".join(key for key, one in INSTRUMENTS.items() if one.recipe.hash == recipe)
        print(f"  {name:{width}s} recipe {recipe}; {PREFIX}{name} is the default encoder of {used}")
    return FOUND


def _card_lines(encoder: Encoder) -> list[str]:
    """Return the description of an encoder for one kind of image, as lines of text."""
    card = encoder.card
    blocks = ", ".join(f"{name} {number}" for name, number in card.blocks.items())
    by_channel = f"{sum(card.blocks.values())} for each channel of an image" if blocks else ""
    facts = {
        "hash": encoder.hash,
        "method": card.method,
        "dimension": card.dimension or by_channel or "follows from the images",
        "blocks": blocks,
        "image size": card.pixels and f"{card.channels or 'any number of'} channels of {card.pixels} x {card.pixels}",
        "recipe": card.recipe_hash,
        "trained on": "n_samples" in card.training and f"{card.training['n_samples']} images",
        "license": card.license,
        "failures": " ".join(card.known_failures),
    }
    lines = [f"  {name:10s} {value}" for name, value in facts.items() if value]
    return [f"{card.name}, for images of the kind {card.kind}", *lines, f"  {card.description}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyspedas-similarity",
        description="Find similar intervals in particle distributions, spectrograms and all-sky images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version_of("pyspedas-similarity"))
    commands = parser.add_subparsers(
        required=True,
        metavar="demo | check-real | find | report | review | export | join | train | encoder | archive | info | "
        "completion",
    )
    _add_demo(commands)
    _add_check_real(commands)
    _add_find(commands)
    case_study.add_commands(commands)
    _add_train(commands)
    _add_encoder(commands)
    archive.add_commands(commands)
    _add_info(commands)
    _add_completion(commands)
    return parser


def _add_demo(commands: Any) -> None:
    text = "Run the demonstration on simulated data, or on real files in a folder."
    parser = add_command(commands, "demo", demo, text)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with real files (default: simulated data)")
    out = Path("pyspedas-similarity-demo")
    parser.add_argument("--out", type=Path, default=out, metavar="FOLDER", help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")


def _add_check_real(commands: Any) -> None:
    text = "Download some hours of MMS and THEMIS, run both studies of the method's paper, and write a report."
    parser = add_command(commands, "check-real", check_real, text)
    about = "where the data are, or go (default: the folders of pyspedas)"
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help=about)
    about = "folder for the report (default: pyspedas-similarity-check)"
    parser.add_argument("--out", type=Path, default=Path("pyspedas-similarity-check"), metavar="FOLDER", help=about)
    parser.add_argument("--no-update", action="store_true", help="use local files only, download nothing")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--electrons", action="store_true", help="MMS electron distributions only")
    one.add_argument("--aurora", action="store_true", help="THEMIS all-sky frames only")
    parser.epilog = "Exit status: 0 passed, 1 failed, 2 the data cannot be had."


def _add_find(commands: Any) -> None:
    parser = add_command(commands, "find", find, "Find the intervals that are similar to a query and print them.")
    add_search(parser)
    about = "find only the k nearest samples of an archive, by plain cosines (--reference none); fast for large ones"
    parser.add_argument("--nearest", action="store_true", help=about)
    about = "write the table to this file (.ecsv, .csv, .xml or .json)"
    parser.add_argument("--out", type=Path, metavar="FILE", help=about)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--json", action="store_true", help="print the table as JSON, with its provenance")
    parser.add_argument("--wide", action="store_true", help="print all columns of the table")


def _add_train(commands: Any) -> None:
    parser = add_command(commands, "train", train, "Train an encoder by self-supervision and save it.")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder for the encoder")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing encoder")
    parser.add_argument("--method", default="simsiam", help="simsiam (default), simclr, byol, vicreg or barlow_twins")
    parser.add_argument("--lag", type=float, metavar="S", help="pair each sample with the next one within S seconds")
    parser.add_argument("--backbone", default="compact", help="network: compact (default) or resnet18")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the data (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: 0)")


def _add_encoder(commands: Any) -> None:
    text = "Make an encoder from a network of others."
    under = commands.add_parser("encoder", help=text, description=text).add_subparsers(required=True, metavar="import")
    parser = add_command(under, "import", import_network, "Make an encoder from an ONNX file and save it.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the network (.onnx)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder for the encoder")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing encoder")
    about = "instrument whose recipe makes the images; the command info lists them"
    parser.add_argument("--instrument", required=True, metavar="NAME", help=about)
    about = "fields of the recipe to change, such as pixels=224 stretch=[1,99]"
    parser.add_argument("--recipe", nargs="+", default=[], metavar="FIELD=VALUE", help=about)
    about = "{} of the network's input (default: as stated in the file, else of the recipe)"
    parser.add_argument("--pixels", type=int, default=0, metavar="N", help=about.format("side"))
    parser.add_argument("--channels", type=int, default=0, metavar="N", help=about.format("channels"))
    about = "{}, one number or one for each channel (default: {})"
    parser.add_argument("--mean", nargs="+", type=float, default=0.0, help=about.format("subtracted from images", 0))
    parser.add_argument("--std", nargs="+", type=float, default=1.0, help=about.format("divided by", 1))
    parser.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="order of axes (default: NCHW)")
    parser.add_argument("--output", default="", metavar="TENSOR", help="tensor to use (default: the only output)")
    parser.add_argument("--name", default="", help="name of the encoder (default: that of the file)")
    parser.add_argument("--license", default="", help="license of the weights, for the card")


def _add_info(commands: Any) -> None:
    text = "Print versions, instruments and encoders, or the description of one encoder."
    parser = add_command(commands, "info", info, text)
    parser.add_argument("encoder", nargs="?", type=Path, help="name of an encoder, or folder of a saved one")
    parser.add_argument("--json", action="store_true", help="print the whole cards of the encoder as JSON")


def completion(chosen: argparse.Namespace) -> int:
    """Print a script by which a shell completes commands, options and file names."""
    try:
        import shtab
    except ImportError as error:
        raise ArgumentError("completion", str(error), 'pip install "pyspedas-similarity[completion]".') from error

    parser = _parser()
    for one in _all_parsers(parser):
        for action in one._actions:  # argparse has no public way to its own arguments
            if action.metavar == "FOLDER":  # an archive's may be an address too, so it is no Path
                action.complete = shtab.DIRECTORY
            elif action.type is Path:
                action.complete = shtab.FILE
    print(shtab.complete(parser, chosen.shell))
    return FOUND


def _all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _all_parsers(one)


def _add_completion(commands: Any) -> None:
    parser = add_command(commands, "completion", completion, "Print a completion script for a shell.")
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")
