"""Networks that come with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .cards import CARD, Card, read_file
from .joined import PREFIX

PACKAGED = Path(__file__).parent / "networks"
"""Folder of the networks, each in a folder of its name."""


@cache
def packaged_networks() -> dict[str, str]:
    """Return the names of the networks by the hash of the recipe of their images."""
    folders = sorted(PACKAGED.glob(f"*/{CARD}"))
    return {Card.from_json(read_file(path).decode(), str(path)).recipe_hash: path.parent.name for path in folders}


def is_packaged(name: object) -> bool:
    """Return True for the name of a network of the package, alone or next to 'structure'."""
    return isinstance(name, str) and name.removeprefix(PREFIX) in packaged_networks().values()
