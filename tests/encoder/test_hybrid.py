"""A learned encoder beside a fixed transform: the value of its cosine, and the same bits from disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.hybrid import hybrid
from pyspedas_similarity.encoder.weights import CARD, NETWORK, WEIGHTS, load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError

torch = pytest.importorskip("torch")


def test_cosines_are_the_weighted_mean_of_both_parts(trained, bands):
    found = hybrid(trained, "oriented", 0.3).encode(bands)
    learned, fixed = trained.encode(bands), fixed_encoder("oriented", "frame").encode(bands)
    np.testing.assert_allclose(found @ found.T, 0.3 * learned @ learned.T + 0.7 * fixed @ fixed.T, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[:, :128], np.sqrt(0.3) * learned, atol=1e-6)


def test_embeddings_are_the_same_bits_after_saving_and_loading(trained, bands, tmp_path):
    images = bands.copy()
    images[0], images[1, 0, :3] = np.nan, np.nan
    made = hybrid(trained, "pixels", 0.6)
    loaded = load_encoder(save_encoder(made, tmp_path / "hybrid"))
    assert loaded.encode(images).tobytes() == made.encode(images).tobytes()
    assert loaded.card == made.card and loaded.hash == made.hash != trained.hash
    assert loaded.files == trained.files and set(loaded.files) == {WEIGHTS, NETWORK}
    assert loaded.encode(images[:0]).shape == (0, loaded.card.dimension) == (0, 128 + 256)
    assert loaded.card.training["hybrid"] == {
        "fixed": "pixels",
        "share": 0.6,
        "transform_version": 1,
        "method": "simsiam",
        "dimension": 128,
    }


def test_a_part_without_direction_leaves_the_other_alone(trained, bands):
    from dataclasses import replace

    blind = replace(trained, transform=lambda filled, measured: np.zeros((len(filled), 128)))
    found = hybrid(blind, "hog", 0.5).encode(bands)
    assert (found[:, :128] == 0).all()
    np.testing.assert_allclose(found[:, 128:], fixed_encoder("hog", "frame").encode(bands), atol=1e-6)


@pytest.mark.parametrize(
    ("record", "said"),
    [({"transform_version": 0}, "version 0"), ({"share": 1.5}, "parts"), ({"fixed": "pca"}, "parts")],
)
def test_a_card_of_other_parts_is_refused(trained, tmp_path, record, said):
    folder = save_encoder(hybrid(trained, "pixels", 0.6), tmp_path / "hybrid")
    card = json.loads((folder / CARD).read_text())
    card["training"]["hybrid"] |= record
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(EncoderError, match=said):
        load_encoder(folder)


def test_arguments_that_make_no_hybrid_are_refused(trained):
    for learned, fixed, share, said in [
        (trained, "pixels", 1.0, "share"),
        (trained, "pca", 0.5, "fixed"),
        (fixed_encoder("hog", "frame"), "pixels", 0.5, "learned"),
        (hybrid(trained, "pixels", 0.5), "hog", 0.5, "learned"),
    ]:
        with pytest.raises(ArgumentError, match=said):
            hybrid(learned, fixed, share)
