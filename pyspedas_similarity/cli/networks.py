"""The commands of networks of others: ``encoder import``."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from .arguments import add_command
from .output import FOUND

if TYPE_CHECKING:
    from ..imaging.recipes import Recipe


def add_commands(commands: Any) -> None:
    """Add ``encoder`` and its subcommand."""
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
