"""Encoders of a benchmark run: by name, saved in folders, or several of these next to each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fitted import FITTED, NAMED, fit_pca, fit_random, named_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import CARD, load_encoder
from pyspedas_similarity.imaging.recipes import Recipe, recipe_from_dict

JOIN = "+"
"""Between the names of encoders whose features are put next to each other: a block of features for each."""

_WARM_UP = 8


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a data set by one encoder, for each of its seeds.

    Attributes
    ----------
    embeddings : list of numpy.ndarray, each (n, dimension)
    blocks : dict of str to slice
        Blocks of features.
    ms_per_image : float
        Time on this machine, in one process.
    kilobytes : float
        Size of the encoder's files; 0 for a formula.
    recipe : str
        Hash of the recipe of the images.
    hash : str
        Hash of the encoder of the first seed.
    """

    embeddings: list[np.ndarray]
    blocks: dict[str, slice]
    ms_per_image: float
    kilobytes: float
    recipe: str
    hash: str


def parts_of(name: str) -> list[str]:
    """Return the names of encoders that are joined, or the name alone."""
    return [name] if _is_single(name) else name.split(JOIN)


def label_of(name: str) -> str:
    """Return the name of an encoder in tables: of folders the last part."""
    return JOIN.join(Path(part).name for part in parts_of(name))


def is_encoder(name: str) -> bool:
    """Return True for the name of an encoder, for a folder that contains one, and for several that are joined."""
    return all(map(_is_single, parts_of(name)))


def _is_single(name: str) -> bool:
    return name in NAMED or bool(_folders(name)) or any(Path(name).glob(f"*/*/{CARD}"))


def source_for(name: str, data_set: str, kind: str) -> str:
    """Return `name`, or the folder in it with the name of the data set or of the kind of its images."""
    return JOIN.join(_own_source(part, data_set, kind) for part in parts_of(name))


def _own_source(name: str, data_set: str, kind: str) -> str:
    if name not in NAMED:
        for own in (data_set, kind):
            if (Path(name) / own).is_dir():
                return str(Path(name) / own)
    return name


def recipe_of(name: str, default: Recipe) -> Recipe | None:
    """Return the recipe of the images that an encoder takes, or None if it is for images of another kind.

    Encoders that are joined take the images of one recipe: None if they do not.
    """
    found = [_own_recipe(part, default) for part in parts_of(name)]
    return None if None in found or len({each.hash for each in found}) > 1 else found[0]


def _own_recipe(name: str, default: Recipe) -> Recipe | None:
    if name in NAMED:
        return default
    folders = _folders(name)
    if not folders:
        return None
    card = Card.from_json((folders[0] / CARD).read_text(), name)
    if card.kind != default.kind:
        return None
    return recipe_from_dict(card.recipe) if card.recipe else default


def encoders_of(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Iterator[Encoder]:
    """Yield the encoder of a name or folder, once for each seed; those of `FITTED` are fitted to the images."""
    if name not in NAMED:
        yield from map(load_encoder, _folders(name))
        return
    for seed in range(seeds if name in FITTED else 1):
        if name == "pca":
            yield fit_pca(images, recipe.kind, seed=seed)
        elif name in FITTED:
            yield fit_random(images, recipe.kind, name, seed)
        else:
            yield named_encoder(name, recipe.kind)


def embed(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Embedded:
    """Embed all images with every seed of an encoder; those of `FITTED` are fitted to them, without labels."""
    parts = parts_of(name)
    return join([_embed(part, images, recipe, seeds) for part in parts], [label_of(part) for part in parts])


def join(parts: list[Embedded], names: list[str]) -> Embedded:
    """Return embeddings next to each other, for as many seeds as one has; an encoder of one block is a block."""
    if len(parts) == 1:
        return parts[0]
    number = max(len(each.embeddings) for each in parts)
    seeds = [np.hstack([each.embeddings[seed % len(each.embeddings)] for each in parts]) for seed in range(number)]
    ends = accumulate(each.embeddings[0].shape[1] for each in parts)
    blocks = {}
    for each, name, end in zip(parts, names, ends, strict=True):
        first = end - each.embeddings[0].shape[1]
        for block, part in each.blocks.items():
            label = name if len(each.blocks) == 1 else block
            blocks[label] = slice(part.start + first, part.stop + first)
    return replace(
        parts[0],
        embeddings=seeds,
        blocks=blocks,
        ms_per_image=sum(each.ms_per_image for each in parts),
        kilobytes=sum(each.kilobytes for each in parts),
        hash=JOIN.join(each.hash for each in parts),
    )


def _embed(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Embedded:
    embeddings, hashes, blocks, seconds, size = [], [], {}, 0.0, 0
    for encoder in encoders_of(name, images, recipe, seeds):
        encoder.encode(images[:_WARM_UP])
        began = time.perf_counter()
        embeddings.append(encoder.encode(images))
        hashes.append(encoder.hash)
        blocks = block_slices(embeddings[-1].shape[1], encoder.card.blocks)
        seconds += time.perf_counter() - began
        size = sum(map(len, encoder.files.values()))
    each = 1e3 * seconds / (len(images) * len(embeddings))
    return Embedded(embeddings, blocks, each, size / 1e3, recipe.hash, hashes[0])


def _folders(name: str) -> list[Path]:
    """Return the folder of a saved encoder, or the folders in it, one for each seed."""
    folder = Path(name)
    if (folder / CARD).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CARD}"))
