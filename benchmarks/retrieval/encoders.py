"""Encoders of a benchmark run: by name, or saved in folders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fitted import FITTED, NAMED, fit_pca, fit_random, named_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import CARD, PACKAGED, PREFIX, is_joined, is_packaged, load_encoder
from pyspedas_similarity.imaging.recipes import Recipe, recipe_from_dict

_WARM_UP = 8


@dataclass(frozen=True)
class Embedded:
    """Embeddings (n, dimension) of a data set by one encoder, for each of its seeds, with their blocks of features.

    The time is on this machine, in one process; the size is that of the encoder's files, 0 for a formula; `recipe` and
    `hash` are hashes of the recipe of the images, and of the encoder of the first seed.
    """

    embeddings: list[np.ndarray]
    blocks: dict[str, slice]
    ms_per_image: float
    kilobytes: float
    recipe: str
    hash: str


def label_of(name: str) -> str:
    """Return the name of an encoder in tables: of a folder the last part."""
    prefix, folder = _split(name)
    return prefix + Path(folder).name


def is_encoder(name: str) -> bool:
    """Return True for the name of an encoder and for a folder that contains one, also next to 'structure'."""
    folder = _split(name)[1]
    return name in NAMED or is_packaged(name) or bool(_folders(folder)) or any(Path(folder).glob(f"*/*/{CARD}"))


def source_for(name: str, data_set: str, kind: str) -> str:
    """Return `name`, or the folder in it with the name of the data set or of the kind of its images."""
    prefix, folder = _split(name)
    own = [each for each in (data_set, kind) if name not in NAMED and (Path(folder) / each).is_dir()]
    return prefix + str(Path(folder) / own[0]) if own else name


def recipe_of(name: str, default: Recipe) -> Recipe | None:
    """Return the recipe of the images that an encoder takes, or None if it is for images of another kind."""
    if name in NAMED:
        return default
    folders = _folders(_split(name)[1])
    if not folders:
        return None
    card = Card.from_json((folders[0] / CARD).read_text(), name)
    if card.kind != default.kind:
        return None
    return recipe_from_dict(card.recipe) if card.recipe else default


def encoders_of(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Iterator[Encoder]:
    """Yield the encoder of a name or folder, once for each seed; those of `FITTED` are fitted to the images."""
    if name not in NAMED:
        prefix, folder = _split(name)
        yield from (load_encoder(f"{prefix}{each}") for each in _folders(folder))
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


def _split(name: str) -> tuple[str, str]:
    """Return 'structure+', if the name begins with it, and the rest."""
    return (PREFIX, name.removeprefix(PREFIX)) if is_joined(name) else ("", name)


def _folders(name: str) -> list[Path]:
    """Return the folder of a saved encoder, or the folders in it, one for each seed."""
    folder = PACKAGED / name if is_packaged(name) else Path(name)
    if (folder / CARD).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CARD}"))
