"""Encoders that come with the package: what they are trained on, and how.

Each module here is one of them: ``library(quick, data, seed)`` gives its images, and ``NAME``, ``KIND``, ``RECIPE``,
``INSTEAD_OF``, ``PLAN`` and ``KNOWN_FAILURES`` the rest; ``FIXED`` and ``SHARE``, where they are there, put a fixed
transform beside it.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pyspedas_similarity.encoder.canonical import METHOD, fit_canonical
from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.hybrid import hybrid
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.shipped import INSTEAD_OF
from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError

from ..measures import MEASURES
from .images import TrainingImages

KINDS = ("distributions", "windows", "frames")
LICENSE = "BSD-3-Clause"


def ship(
    kind: str, out: str | Path, data: Path | None = None, quick: bool = False, seed: int = 0, overwrite: bool = False
) -> Encoder:
    """Train one of the encoders that come with the package, and save it.

    Parameters
    ----------
    kind : {'distributions', 'windows', 'frames'}
    out : str or pathlib.Path
        Folder to save it in.
    data : pathlib.Path, optional
        Folder of the real files, where it is trained on some.
    quick : bool
        Little data, to try the command: no encoder to use.
    seed : int
        Other simulated data for every seed; there is no other chance in it.
    overwrite : bool
        Replace an encoder that is there.

    Raises
    ------
    ArgumentError
        The kind is unknown, or the data cannot be had.
    EncoderError
        The folder is there already.
    """
    if kind not in KINDS:
        raise ArgumentError("shipped", f"{kind!r}", f"Use one of {', '.join(KINDS)}.")
    if Path(out).exists() and not overwrite:
        raise ArgumentError(f"--out {out}", "it is there already", "Give another folder, or --overwrite.")
    module = import_module(f".{kind}", __name__)
    encoder = train_as(module, module.library(quick, data, seed), quick)
    save_encoder(encoder, out, overwrite)
    return encoder


def train_as(module: ModuleType, library: TrainingImages, quick: bool = False) -> Encoder:
    """Train on a library as one of the modules here says."""
    recipe = module.RECIPE
    failures = [*module.KNOWN_FAILURES, *(["Trained in the quick form: of no use."] if quick else [])]
    card = Card(
        module.NAME,
        module.KIND,
        METHOD,
        recipe={} if recipe is None else recipe.to_dict(),
        recipe_hash="" if recipe is None else recipe.hash,
        training={"data": library.data, INSTEAD_OF: [each.hash for each in module.INSTEAD_OF]},
        known_failures=failures,
        license=LICENSE,
    )
    encoder = fit_canonical(library.images, library.positives, card, module.PLAN, library.groups)
    return hybrid(encoder, module.FIXED, module.SHARE) if hasattr(module, "FIXED") else encoder


def note_metrics(folder: str | Path, table: Path) -> Encoder:
    """Write what a benchmark found of an encoder into its card; its hash stays.

    Parameters
    ----------
    folder : str or pathlib.Path
        Of the encoder, known in the table by its hash.
    table : pathlib.Path
        ``bench.ecsv``.

    Raises
    ------
    ArgumentError
        The table has no line on it.
    """
    from astropy.table import Table

    rows = Table.read(table, format="ascii.ecsv")
    encoder = load_encoder(folder)
    rows = rows[(rows["hash"] == encoder.hash) & rows["leak_control"]]
    if not len(rows):
        raise ArgumentError(f"{table}", f"it has no line on {encoder.card.name}", "Give the table of its benchmark.")
    metrics = encoder.card.metrics | {f"{row['dataset']}/{row['task']}": _measured(row) for row in rows}
    encoder = replace(encoder, card=replace(encoder.card, metrics=metrics))
    save_encoder(encoder, folder, overwrite=True)
    return encoder


def _measured(row: Any) -> dict[str, Any]:
    """Each measure with its interval, and what it was taken on."""
    found: dict[str, Any] = {"queries": int(row["queries"]), "groups": int(row["groups"])}
    found |= {"simulated": bool(row["simulated"])}
    for name in MEASURES:
        values = [float(row[key]) for key in (name, f"{name}_low", f"{name}_high")]
        if np.isfinite(values[0]):
            found[name] = [round(value, 4) if np.isfinite(value) else None for value in values]
    return found
