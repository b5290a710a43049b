"""Trained encoders that come with the package, each in a folder next to this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...errors import EncoderError
from ..cards import Card
from ..runtime import Encoder
from ..weights import CARD, load_encoder

FOLDER = Path(__file__).parent

SHIPPED = {
    "mms_electrons": "Electron distributions of MMS, imaged by the registered recipe.",
    "windows": "Windows of spectrograms and of reduced distributions, 32 px, of any recipe.",
    "sky": "Frames of all-sky cameras, imaged by the registered recipe.",
}
"""The names of trained encoders; those whose folder is there can be loaded (`available`)."""

INSTEAD_OF = "instead_of"
"""Under this name the training record of a card has the hashes of the recipes that its own takes the place of."""

AUTOMATIC = "shipped"
"""Name of the shipped encoder that fits the images."""


def available() -> dict[str, str]:
    """Names and descriptions of the encoders that came with this installation."""
    return {name: text for name, text in SHIPPED.items() if (FOLDER / name / CARD).is_file()}


@cache
def shipped_encoder(name: str) -> Encoder:
    """An encoder that came with the package, read and checked once.

    Raises
    ------
    EncoderError
        There is none of this name, or its files are damaged.
    """
    if name not in available():
        found = f"none of the name {name!r} came with this installation"
        raise EncoderError("encoder", found, f"Use one of {', '.join(available()) or 'the fixed encoders'}.")
    return load_encoder(FOLDER / name)


def shipped_for(kind: str, recipe_hash: str, shape: tuple[int, int, int]) -> Encoder:
    """The encoder that came with the package for images of a kind, recipe and shape (channels, pixels, pixels).

    Raises
    ------
    EncoderError
        There is none.
    """
    for name in available():
        card = Card.from_json((FOLDER / name / CARD).read_text(), name)
        fits = (card.channels, card.pixels, card.pixels) == tuple(shape) and card.recipe_hash in ("", recipe_hash)
        if card.kind == kind and (fits or recipe_hash in card.training.get(INSTEAD_OF, ())):
            return shipped_encoder(name)
    found = f"none that came with the package is for {kind} images of this recipe"
    raise EncoderError(f"encoder {AUTOMATIC!r}", found, "Use a fixed encoder, or train one.")
