"""A learned encoder joined with a fixed transform: the cosine is the weighted mean of their two cosines."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import Card
from .fixed import FIXED, TRANSFORM_VERSION, fixed_encoder
from .runtime import Encoder, Transform, unit_length

METHOD = "hybrid"
_RECORD = "hybrid"
"""Under this name the card's training record holds the fixed part, its version, the share and the learned part's card
values."""


def hybrid(learned: Encoder, fixed: str, share: float) -> Encoder:
    """Join a fixed transform with a learned encoder.

    Parameters
    ----------
    learned : Encoder
        Trained, or fitted: with a network among its files.
    fixed : str
        One of `fixed.FIXED`.
    share : float
        Weight of the learned part's cosine, between 0 and 1; the rest is the fixed part's.

    Returns
    -------
    Encoder
        Embeddings are [sqrt(share) * learned, sqrt(1 - share) * fixed] of unit length. Where a part has no direction
        it is 0, and the other one counts alone. Its files are the learned part's.

    Raises
    ------
    ArgumentError
        The share or the fixed transform's name is out of range, or `learned` has no network or is a hybrid itself.
    """
    if not 0 < share < 1:
        raise ArgumentError("share", f"{share}", "Give a number between 0 and 1.")
    if fixed not in FIXED:
        raise ArgumentError("fixed", f"{fixed!r}", f"Use one of {', '.join(FIXED)}.")
    card = learned.card
    if not learned.files or card.method == METHOD:
        raise ArgumentError("learned", f"{card.name}, {card.method}", "Give a trained or fitted encoder.")
    record = {
        "fixed": fixed,
        "transform_version": TRANSFORM_VERSION,
        "share": float(share),
        "method": card.method,
        "dimension": card.dimension,
    }
    beside = fixed_encoder(fixed, card.kind)
    words = f"{card.description} Beside it '{fixed}', which has {1 - share:.2g} of the cosine."
    card = replace(
        card,
        method=METHOD,
        description=words.strip(),
        dimension=card.dimension + beside.dimension((card.channels, card.pixels, card.pixels)),
        training=card.training | {_RECORD: record},
    )
    return replace(learned, card=card, transform=_beside(learned.transform, beside.transform, share))


def learned_card(card: Card) -> Card:
    """The card of a hybrid's learned part, as far as its network needs it.

    Raises
    ------
    EncoderError
        The record of the parts is damaged.
    """
    record = _record(card)
    return replace(card, method=record["method"], dimension=record["dimension"])


def hybrid_transform(card: Card, learned: Transform) -> Transform:
    """The transform of a hybrid's card around that of its learned part.

    Raises
    ------
    EncoderError
        The record of the parts is damaged, or the fixed part was another version's.
    """
    record = _record(card)
    if record["transform_version"] != TRANSFORM_VERSION:
        found = f"its fixed part is version {record['transform_version']}, this package has {TRANSFORM_VERSION}"
        raise EncoderError(f"encoder {card.name}", found, "Make the hybrid again.")
    return _beside(learned, fixed_encoder(record["fixed"], card.kind).transform, record["share"])


def _record(card: Card) -> dict:
    record = card.training.get(_RECORD)
    types = {"fixed": str, "transform_version": int, "share": float, "method": str, "dimension": int}
    sound = (
        isinstance(record, dict)
        and all(type(record.get(name)) is kind for name, kind in types.items())
        and record["fixed"] in FIXED
        and 0 < record["share"] < 1
        and record["method"] != METHOD  # which would have parts without end
    )
    if not sound:
        raise EncoderError(f"encoder {card.name}", f"{record!r:.80} as its parts", "Restore the card.")
    return record


def _beside(learned: Transform, fixed: Transform, share: float) -> Transform:
    return partial(_features, learned=learned, fixed=fixed, share=share)


def _features(
    filled: np.ndarray, measured: np.ndarray, learned: Transform, fixed: Transform, share: float
) -> np.ndarray:
    parts = zip((share, 1 - share), (learned, fixed), strict=True)
    weighed = [np.sqrt(weight) * unit_length(transform(filled, measured)) for weight, transform in parts]
    return np.nan_to_num(np.hstack(weighed))
