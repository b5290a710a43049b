"""Training of the encoders that come with the package.

Each module is one encoder: ``training_images(quick, data, seed)`` returns its images, and ``NAME``, ``KIND``,
``RECIPE``, ``INSTEAD_OF``, ``PLAN`` and ``KNOWN_FAILURES`` are the rest. ``FIXED`` and ``SHARE``, if defined, combine
it with a fixed transform.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.shipped_encoders.paired_images import PairedImages
from pyspedas_similarity.encoder.canonical import METHOD, fit_canonical
from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.hybrid import hybrid
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.shipped import INSTEAD_OF
from pyspedas_similarity.encoder.weights import save_encoder
from pyspedas_similarity.errors import ArgumentError

KINDS = ("distributions", "windows", "frames")
LICENSE = "BSD-3-Clause"


def train_shipped(
    kind: str, out: str | Path, data: Path | None = None, quick: bool = False, seed: int = 0, overwrite: bool = False
) -> Encoder:
    """Train one of the encoders that come with the package, and save it.

    Parameters
    ----------
    kind : {'distributions', 'windows', 'frames'}
    out : str or pathlib.Path
        Folder to save it in.
    data : pathlib.Path, optional
        Folder of the real files, for encoders that are trained on some.
    quick : bool
        Little data, to try the command; the encoder is of no use.
    seed : int
        Seed of the simulated data; nothing else is random.
    overwrite : bool
        Replace an existing encoder.

    Raises
    ------
    ArgumentError
        If the kind is unknown, the folder exists or the data are not available.
    """
    if kind not in KINDS:
        raise ArgumentError("shipped", f"found {kind!r}", f"Use one of {', '.join(KINDS)}.")
    if Path(out).exists() and not overwrite:
        raise ArgumentError(f"--out {out}", "it exists already", "Give another folder, or --overwrite.")
    module = import_module(f".{kind}", __name__)
    encoder = train_from(module, module.training_images(quick, data, seed), quick)
    save_encoder(encoder, out, overwrite)
    return encoder


def train_from(module: ModuleType, images: PairedImages, quick: bool = False) -> Encoder:
    """Train on `images` with the settings of one of the modules of this package."""
    recipe = module.RECIPE
    failures = [*module.KNOWN_FAILURES, *(["Trained in the quick form: of no use."] if quick else [])]
    card = Card(
        module.NAME,
        module.KIND,
        METHOD,
        recipe={} if recipe is None else recipe.to_dict(),
        recipe_hash="" if recipe is None else recipe.hash,
        training={"data": images.data, INSTEAD_OF: [each.hash for each in module.INSTEAD_OF]},
        known_failures=failures,
        license=LICENSE,
    )
    encoder = fit_canonical(images.images, images.positives, card, module.PLAN, images.groups)
    return hybrid(encoder, module.FIXED, module.SHARE) if hasattr(module, "FIXED") else encoder
