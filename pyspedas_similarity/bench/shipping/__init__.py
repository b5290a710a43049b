"""Encoders that come with the package: what they are trained on, and how.

Each module here is one of them: ``library(quick, data)`` gives its images, and ``NAME``, ``KIND``, ``RECIPE``, ``PLAN``
and ``KNOWN_FAILURES`` the rest; ``FIXED`` and ``SHARE``, where they are there, put a fixed transform beside it.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...encoder.hybrid import hybrid
from ...encoder.runtime import Encoder
from ...encoder.training import train
from ...encoder.weights import load_encoder, save_encoder
from ...errors import ArgumentError
from ..measures import MEASURES
from .images import Library

KINDS = ("distributions", "windows", "frames")
LICENCE = "BSD-3-Clause"
QUICK_EPOCHS = 2


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
        Little data and `QUICK_EPOCHS` epochs, to try the command: no encoder to use.
    seed : int
        Of the training.
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
    encoder = train_as(module, module.library(quick, data), quick, seed)
    save_encoder(encoder, out, overwrite)
    return encoder


def train_as(module: ModuleType, library: Library, quick: bool = False, seed: int = 0) -> Encoder:
    """Train on a library as one of the modules here says."""
    plan = replace(module.PLAN, seed=seed)
    plan = replace(plan, epochs=QUICK_EPOCHS) if quick else plan
    encoder = train(
        library.images,
        kind=module.KIND,
        recipe={} if module.RECIPE is None else module.RECIPE.to_dict(),
        recipe_hash="" if module.RECIPE is None else module.RECIPE.hash,
        data=library.data,
        plan=plan,
        name=module.NAME,
        positives=library.positives,
        groups=library.groups,
    )
    if hasattr(module, "FIXED"):
        encoder = hybrid(encoder, module.FIXED, module.SHARE)
    failures = [*getattr(module, "KNOWN_FAILURES", []), *(["Trained in the quick form: of no use."] if quick else [])]
    return replace(encoder, card=replace(encoder.card, known_failures=failures, licence=LICENCE))


def note_metrics(folder: str | Path, table: Path) -> Encoder:
    """Write what a benchmark found of an encoder into its card; its hash stays.

    Parameters
    ----------
    folder : str or pathlib.Path
        Of the encoder, whose last part is its name in the table.
    table : pathlib.Path
        ``bench.ecsv``.

    Raises
    ------
    ArgumentError
        The table has no line on it.
    """
    from astropy.table import Table

    rows = Table.read(table, format="ascii.ecsv")
    rows = rows[(rows["encoder"] == Path(folder).name) & rows["leak_control"]]
    if not len(rows):
        raise ArgumentError(f"{table}", f"it has no line on {Path(folder).name}", "Give the table of its benchmark.")
    encoder = load_encoder(folder)
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
