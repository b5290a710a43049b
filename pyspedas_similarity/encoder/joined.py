"""Encoders that have the features of a network next to those of 'structure', as one more block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import EncoderError
from .cards import Card
from .fixed import DEFAULT, fixed_encoder
from .runtime import Encoder, unit_length

METHOD = "structure and network"
PREFIX = f"{DEFAULT}+"
"""Before the folder of a network, where an encoder is given by its name."""

BLOCK = "network"
"""Block of the network's features. Its weight in a search is one of `search.reference.BLOCK_WEIGHTS`."""

SCALE = 0.3
"""Length of the network's features, where those of 'structure' have the length 1. It matters for plain cosines only:
with the same length they would find diffusion regions worse (docs/benchmarks/networks)."""

NETWORK_CARD = "network"
"""Key of the card of the network in ``training``, without the texts that do not count for the hash of an encoder."""


def join_structure(network: Encoder) -> Encoder:
    """Return an encoder with the features of a network next to those of 'structure'; its files are the network's."""
    card = network.card
    if not network.files or card.method == METHOD:
        found = "it has features of 'structure' already" if card.method == METHOD else "it is not a network"
        raise EncoderError(f"encoder {card.name}", found, f"Give '{PREFIX}' and the folder of a trained encoder.")
    fixed = fixed_encoder(DEFAULT, card.kind)
    by_channel = -(-card.dimension // card.channels)
    padding = by_channel * card.channels - card.dimension
    constants = fixed.card.training
    blocks = [*constants["blocks"], [BLOCK, by_channel]]
    training = constants | {"blocks": blocks, "scale": SCALE, NETWORK_CARD: card.hashed_fields()}
    own_dimension = fixed.dimension((card.channels, card.pixels, card.pixels))
    joined = replace(
        card,
        name=PREFIX + card.name,
        method=METHOD,
        description=f"Features of the network {card.name} next to those of '{DEFAULT}'.",
        dimension=own_dimension + by_channel * card.channels,
        training=training,
    )

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        own, learned = (unit_length(each.transform(filled, measured)) for each in (fixed, network))
        # The constant of 'structure' stays last, and each block has the same number of features for each channel.
        return np.hstack([own[:, :-1], SCALE * np.pad(learned, ((0, 0), (0, padding))), own[:, -1:]])

    return Encoder(joined, transform, network.files)


def network_card(card: Card, source: str) -> Card:
    """Return the card of the network in the card of a joined encoder."""
    found = card.training.get(NETWORK_CARD)
    if not isinstance(found, dict):
        raise EncoderError(source, "the card of its network is missing", "Restore the file or join it again.")
    try:
        return Card(**found)
    except (TypeError, EncoderError) as error:
        raise EncoderError(source, f"the card of its network is not valid ({error})", "Restore the file.") from error
