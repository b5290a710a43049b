"""The card with which a network of a trial becomes part of the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyspedas_similarity.encoder.cards import WEIGHTS
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.weights import PACKAGED, load_encoder, save_encoder

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
    described = replace(
        card,
        name=NAME,
        description=DESCRIPTION.format(**numbers),
        known_failures=KNOWN_FAILURES,
        license=LICENSE,
    )
    return replace(encoder, card=described)
