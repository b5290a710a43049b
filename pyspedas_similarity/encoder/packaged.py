"""Networks that come with the package, and the default encoder of images."""

from __future__ import annotations

from functools import cache

from .cards import CARD, Card, read_file
from .fixed import DEFAULT, fixed_encoder
from .joined import PREFIX
from .runtime import Encoder
from .weights import PACKAGED, load_encoder


@cache
def packaged_networks() -> dict[str, str]:
    """Return the names of the networks that come with the package, by the hash of the recipe of their images."""
    folders = sorted(PACKAGED.glob(f"*/{CARD}"))
    return {Card.from_json(read_file(path).decode(), str(path)).recipe_hash: path.parent.name for path in folders}


def default_encoder(kind: str, recipe_hash: str = "") -> Encoder:
    """Return the default encoder: 'structure', and next to it the network of this recipe if the package has one.

    Parameters
    ----------
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        Kind of image.
    recipe_hash : str
        Hash of the recipe of the images.

    Raises
    ------
    ArgumentError
        `kind` is unknown.
    """
    network = packaged_networks().get(recipe_hash)
    return fixed_encoder(DEFAULT, kind) if network is None else load_encoder(PREFIX + network)


def is_packaged(name: str) -> bool:
    """Return True for the name of a network of the package, alone or next to 'structure'."""
    return name.removeprefix(PREFIX) in packaged_networks().values()
