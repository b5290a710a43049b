"""The layer that partners teach: known correlations, what is noise and what is not, and the same bits from disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyspedas_similarity.encoder.canonical import (
    FEATURES,
    METHOD,
    CanonicalPlan,
    fit_canonical,
    fit_layer,
    image_features,
)
from pyspedas_similarity.encoder.cards import CARD, Card
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.hybrid import hybrid
from pyspedas_similarity.encoder.monitor import partner_precision
from pyspedas_similarity.encoder.runtime import fill, unit_length
from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError

CORRELATIONS = np.array([0.95, 0.6, 0.2, 0.0])


def pairs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples (2 n, 4) of unit variance and their partners: along axis j they have the correlation CORRELATIONS[j]."""
    rng = np.random.default_rng(seed)
    signal = np.tile(rng.standard_normal((n, 4)), (2, 1)) * np.sqrt(CORRELATIONS)
    values = signal + rng.standard_normal((2 * n, 4)) * np.sqrt(1 - CORRELATIONS)
    return values, np.roll(np.arange(2 * n), n)[:, None]


def test_correlations_are_those_that_were_put_in_whatever_the_axes():
    values, partners = pairs(20_000)
    mixing = np.random.default_rng(1).standard_normal((4, 4))
    plan = CanonicalPlan(components=4)
    for features in (values, values @ mixing + 7):
        layer = fit_layer([features], partners, plan)
        np.testing.assert_allclose(layer.correlation, CORRELATIONS, atol=0.02)


def test_a_direction_is_as_long_as_its_signal_in_units_of_noise():
    values, partners = pairs(20_000)
    layer = fit_layer([values], partners, CanonicalPlan(components=4, noise_floor=0.1))
    found = (values - layer.mean) @ layer.projection
    r = layer.correlation
    np.testing.assert_allclose(np.cov(found.T), np.diag(r**2 / (1 - r + 0.1)), atol=1e-2)
    # What partners differ by is uncorrelated between directions: noise of one says nothing of another.
    apart = found - found[partners[:, 0]]
    np.testing.assert_allclose(apart.T @ apart / len(apart) / 2, np.diag((1 - r) * r**2 / (1 - r + 0.1)), atol=1e-2)


def test_what_differs_between_groups_alone_counts_as_noise_only_if_asked():
    rng = np.random.default_rng(2)
    values, partners = pairs(4000)
    group = np.tile(np.arange(4000) % 40, 2)
    level = rng.standard_normal(40)[group]
    features = np.column_stack([values[:, 1:2], level + 0.01 * rng.standard_normal(8000)])
    kept = fit_layer([features], partners, CanonicalPlan(components=2), group)
    assert kept.correlation[0] > 0.99
    assert np.abs(np.corrcoef((features - kept.mean) @ kept.projection[:, 0], level)[0, 1]) > 0.99
    taken = fit_layer([features], partners, CanonicalPlan(components=2, group_noise=1.0), group)
    assert np.abs(np.corrcoef((features - taken.mean) @ taken.projection[:, 0], level)[0, 1]) < 0.1
    assert taken.correlation[1] < 0.05


def test_a_feature_that_never_changes_is_left_out_and_blocks_count_alike():
    values, partners = pairs(1000)
    constant = np.full((2000, 1), 1e6)
    with_it = fit_layer([values, constant], partners, CanonicalPlan(components=5))
    without = fit_layer([values], partners, CanonicalPlan(components=4))
    assert (with_it.projection[4] == 0).all() and with_it.projection.shape == (5, 4)
    np.testing.assert_allclose(with_it.projection[:4], without.projection, rtol=1e-6, atol=1e-9)
    # One feature beside a block of fifty: of the first components it is one, not a fiftieth.
    wide = np.random.default_rng(3).standard_normal((2000, 50))
    layer = fit_layer([values[:, :1], wide], partners, CanonicalPlan(components=1))
    assert layer.correlation[0] == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"components": 0}, "components"), ({"noise_floor": 0.0}, "noise_floor"), ({"group_noise": -1.0}, "group_noise")],
)
def test_wrong_plans_are_refused(wrong, says):
    with pytest.raises(ArgumentError, match=says):
        CanonicalPlan(**wrong)


def test_too_few_partners_are_refused():
    values, partners = pairs(100)
    few = np.where(np.arange(200)[:, None] < 3, partners, -1)
    with pytest.raises(ArgumentError, match="3 pairs of partners for 4 components"):
        fit_layer([values], few, CanonicalPlan(components=4))


@pytest.fixture(scope="module")
def scenes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stripes of any direction and width (n, 1, 32, 32), each twice: elsewhere, of other strength and grain.

    Also the partners, and the halves of the set.
    """
    rng = np.random.default_rng(4)
    n = 400
    angle, wave_number = (np.tile(rng.uniform(*limits, n), 2)[:, None, None] for limits in ((0, np.pi), (0.3, 1.5)))
    limits = ((0, 2 * np.pi), (0.2, 1.0), (0.5, 2.0))
    phase, grain, strength = (rng.uniform(*each, 2 * n)[:, None, None] for each in limits)
    down, right = np.mgrid[:32, :32]
    along = right * np.cos(angle) + down * np.sin(angle)
    images = strength * (np.sin(wave_number * along + phase) + grain * rng.standard_normal(along.shape))
    row = np.arange(2 * n)
    return images.astype(np.float32)[:, None], np.roll(row, n)[:, None], row % n // (n // 2)


def half(scenes: tuple[np.ndarray, np.ndarray, np.ndarray], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and partners of one half."""
    images, partners, which = scenes
    place = np.cumsum(which == number) - 1
    return images[which == number], place[partners[which == number]]


@pytest.fixture(scope="module")
def learned(scenes):
    return fit_canonical(*half(scenes, 0), Card("waves", "frame", METHOD), CanonicalPlan(components=32))


def test_it_learns_to_look_away_from_what_partners_do_not_share(scenes, learned):
    images, partners = half(scenes, 1)  # not learned from
    found = partner_precision(learned.encode(images), partners)
    others = {
        name: partner_precision(fixed_encoder(name, "frame").encode(images), partners)
        for name in ("pixels", "oriented", "spectrum", "hog")
    }
    assert found > 1.5 * max(others.values()), (found, others)


def test_embeddings_are_the_layer_on_the_features(scenes, learned):
    from safetensors.numpy import load

    images = scenes[0][:40]
    weights = load(learned.files["weights.safetensors"])
    features = np.hstack(image_features(*fill(images), "frame"))
    expected = unit_length((features - weights["mean"]) @ weights["projection"])
    np.testing.assert_allclose(learned.encode(images), expected, atol=1e-4)
    card = learned.card
    assert (card.method, card.dimension, card.channels, card.pixels) == (METHOD, 32, 1, 32)
    record = card.training["canonical"]
    assert record["width"] == features.shape[1] and record["features"] == list(FEATURES)
    assert card.training["n_samples"] == card.training["n_with_partners"] == 400
    assert record["correlation"] == sorted(record["correlation"], reverse=True)


def test_the_same_images_give_the_same_weights(scenes, learned):
    again = fit_canonical(*half(scenes, 0), Card("waves", "frame", METHOD), CanonicalPlan(components=32))
    assert again.files == learned.files and again.hash == learned.hash


@pytest.mark.parametrize("beside", [False, True])
def test_embeddings_are_the_same_bits_after_saving_and_loading(scenes, learned, tmp_path, beside):
    images = scenes[0][:40].copy()
    images[0], images[1, 0, :3] = np.nan, np.nan
    made = hybrid(learned, "oriented", 0.75) if beside else learned
    loaded = load_encoder(save_encoder(made, tmp_path / "waves"))
    assert loaded.encode(images).tobytes() == made.encode(images).tobytes()
    assert np.isnan(loaded.encode(images)[0]).all() and np.isfinite(loaded.encode(images)[1:]).all()
    assert loaded.hash == made.hash
    if beside:
        cosine = loaded.encode(images[1:]) @ loaded.encode(images[1:]).T
        one, two = learned.encode(images[1:]), fixed_encoder("oriented", "frame").encode(images[1:])
        np.testing.assert_allclose(cosine, 0.75 * one @ one.T + 0.25 * two @ two.T, atol=1e-5)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"transform_version": 0}, "version 0"),
        ({"features": ["pixels"]}, "layer"),
        ({"width": "90"}, "layer"),
        ({"width": 7}, "shape"),
    ],
)
def test_a_card_of_another_layer_is_refused(learned, tmp_path, record, said):
    folder = save_encoder(learned, tmp_path / "waves")
    card = json.loads((folder / CARD).read_text())
    card["training"]["canonical"] |= record
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(EncoderError, match=said):
        load_encoder(folder)


def test_images_without_partners_or_all_the_same_are_refused(scenes):
    images, partners, _ = scenes
    card = Card("waves", "frame", METHOD)
    with pytest.raises(ArgumentError, match="0 pairs"):
        fit_canonical(images, np.full_like(partners, -1), card)
    with pytest.raises(ArgumentError, match="the same"):
        fit_canonical(np.repeat(images[:1], 50, axis=0), np.arange(50)[::-1], card)
    with pytest.raises(ArgumentError, match="10 of 10"):
        fit_canonical(images[:10], np.arange(10)[::-1], card)
