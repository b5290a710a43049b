"""Trials of networks: what is trained, on how many images, the encoders that are kept, and which is published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.networks.electrons import RandomLibrary
from pyspedas_similarity.encoder.backbone import as_encoder
from pyspedas_similarity.encoder.cards import WEIGHTS, Card
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.training import TrainingPlan, as_trained_encoder, train_network
from pyspedas_similarity.encoder.views import VIEWS, ViewOptions
from pyspedas_similarity.encoder.weights import CARD, PACKAGED, load_encoder, save_encoder
from pyspedas_similarity.imaging.recipes import Recipe

EPOCHS, IMAGES = 30, 6400
CURVE = (1, 2, 3, 5, 8, 12, 16, 20, 25, 30)
"""Epochs whose weights are kept for the learning curve."""

KEPT, OF_EPOCHS = "best", "epochs"
"""Folders of the encoders of the best epoch, and of those of `CURVE`: in them a folder for each trial, and in that one
for each seed. The course of a training is in ``TRIAL-seedN.json``."""

PUBLISHED_VIEWS = ViewOptions(gain=0, noise=0, shift=0, rotation_deg=0, crop_scale_min=0.3, flips=True, erase=0)
# Smith et al. (2024), as in benchmarks/paper_recipe.py.
_PUBLISHED = {"method": "simsiam", "learning_rate": 0.05 * 64 / 256, "momentum": 0.57, "weight_decay": 5e-4}
NONE, INSTANT, STATE = "none", "instant", "state"
"""Partners: none; images of the same instant; also images of the same state of the plasma in other events."""

NAME = "mms_electrons"
LICENSE = "BSD-3-Clause"
DESCRIPTION = (
    "Network of {weights:.1f} million weights, trained by {method} on {images} images of simulated electron "
    "distributions. Made for searches next to 'structure'. Accuracy: docs/benchmarks/networks."
)
KNOWN_FAILURES = [
    "Trained and compared on simulated data only; no labeled measured distributions were available.",
    "Alone it finds diffusion regions much worse than 'structure'.",
    "Flat-topped distributions are found about as well by principal components of the pixels.",
]
_BYTES_OF_WEIGHT = 4


@dataclass(frozen=True)
class Trial:
    """A training by one of `METHODS`, with partners `NONE`, `INSTANT` or `STATE`."""

    label: str
    plan: TrainingPlan
    partners: str = INSTANT
    images: int = IMAGES

    @property
    def name(self) -> str:
        """Name of its folders."""
        return f"{self.label}-{self.plan.backbone}-{self.images}"


METHODS: dict[str, Trial] = {
    "simsiam": Trial("simsiam", TrainingPlan(**_PUBLISHED, views=PUBLISHED_VIEWS), NONE),
    "vicreg": Trial("vicreg", TrainingPlan(method="vicreg")),
    "simclr": Trial("simclr", TrainingPlan(method="simclr")),
    "state": Trial("state", TrainingPlan(method="vicreg"), STATE),
}
"""Trials by name: SimSiam as published, VICReg and SimCLR with physical partners, and VICReg with the labels of the
simulator, as a bound of what partners can give."""

OTHER_EVENTS = 8
"""Partners of an image in other events for `STATE`."""


def trial_of(name: str, seed: int, images: int, epochs: int, backbone: str) -> Trial:
    """Return a trial by the name of its method."""
    chosen = METHODS[name]
    plan = replace(chosen.plan, seed=seed, epochs=epochs, backbone=backbone, patience=epochs)
    return replace(chosen, plan=plan, images=images)


def partners_of(library: RandomLibrary, kind: str, seed: int) -> np.ndarray | None:
    """Return the partners of a trial, or None."""
    if kind != STATE:
        return library.partners if kind == INSTANT else None
    rng, n = np.random.default_rng(seed), len(library.images)
    found = np.full((n, OTHER_EVENTS), -1)
    for state in np.unique(library.state):
        rows = np.flatnonzero(library.state == state)
        found[rows] = rows[rng.integers(0, len(rows), (len(rows), OTHER_EVENTS))]
    return np.where(library.event[found] != library.event[:, None], found, -1)


def run_trial(trial: Trial, library: RandomLibrary, recipe: Recipe, folder: Path, progress: bool = True) -> Path:
    """Train, or continue an interrupted training, and save the encoders in a folder; return that of the best one.

    A finished trial is left as it is.
    """
    seed = f"seed{trial.plan.seed}"
    best = folder / KEPT / trial.name / seed
    if (best / CARD).is_file():
        return best
    library = library.first(trial.images)
    plan = trial.plan if trial.plan.views is not None else replace(trial.plan, views=VIEWS[recipe.kind])
    card = Card(trial.name, recipe.kind, plan.method, recipe=recipe.to_dict(), recipe_hash=recipe.hash)
    card = replace(card, training={"data": ["simulated"], "partners": trial.partners}, channels=library.images.shape[1])
    card = replace(card, pixels=library.images.shape[2])

    def keep(epoch: int, weights: dict[str, np.ndarray]) -> None:
        if epoch in CURVE or epoch == plan.epochs:
            _save(as_encoder(plan.backbone, weights, card), folder / OF_EPOCHS / f"{trial.name}-{epoch:03d}" / seed)

    partners = partners_of(library, trial.partners, plan.seed)
    checkpoint = folder / "checkpoints" / trial.name / seed
    network = train_network(library.images, plan, progress, partners, library.event, checkpoint, keep)
    about = {"trial": {**asdict(trial), "plan": plan.as_dict()}, "history": network.history.as_dict()}
    (folder / f"{trial.name}-{seed}.json").write_text(json.dumps(about, indent=1))
    _save(as_trained_encoder(network, card), best)
    return best


def _save(encoder: Encoder, folder: Path) -> None:
    save_encoder(encoder, folder, overwrite=True)


def publish(trial: Path, folder: Path = PACKAGED / NAME) -> Path:
    """Save the encoder of a trial with name, license and known failures; return the folder, which is replaced."""
    return save_encoder(_with_card(load_encoder(trial)), folder, overwrite=True)


def _with_card(encoder: Encoder) -> Encoder:
    card = encoder.card
    numbers = {
        "weights": len(encoder.files[WEIGHTS]) / _BYTES_OF_WEIGHT / 1e6,
        "method": card.method,
        "images": card.training["n_samples"],
    }
    described = {"name": NAME, "description": DESCRIPTION.format(**numbers), "license": LICENSE}
    return replace(encoder, card=replace(card, known_failures=KNOWN_FAILURES, **described))
