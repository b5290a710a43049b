"""Principal components against numpy's, untrained networks against torch, and both against a search by name."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.fitted import (
    FITTED,
    NAMED,
    fit,
    fit_pca,
    fit_random,
    is_unfitted,
    named_encoder,
    spread_evenly,
)
from pyspedas_similarity.encoder.fixed import FIXED
from pyspedas_similarity.encoder.runtime import unit_length
from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError


def images_of(n=80, pixels=32, channels=1, seed=0):
    """A few patterns of falling strength and noise."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(6, channels, pixels, pixels)) / np.arange(1, 7)[:, None, None, None]
    images = np.tensordot(rng.normal(size=(n, 6)), patterns, 1) + 0.05 * rng.normal(size=(n, channels, pixels, pixels))
    return images.astype(np.float32)


@pytest.fixture(scope="module")
def fits():
    """One encoder of each name."""
    return {name: fit(name, images_of(), "frame") for name in FITTED}


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("pixels", [24, 40])
def test_pca_is_numpys_singular_value_decomposition(pixels, whiten):
    images, others = images_of(pixels=pixels), images_of(7, pixels, seed=1)
    flat, new = (each.astype(np.float64).reshape(len(each), -1) for each in (images, others))
    if pixels == 40:
        # 40 to 32 pixels: each 5 become 4, by repeating fourfold and averaging five.
        fine = (each.astype(np.float64).repeat(4, axis=2).repeat(4, axis=3) for each in (images, others))
        flat, new = (each.reshape(len(each), 32, 5, 32, 5).mean(axis=(2, 4)).reshape(len(each), -1) for each in fine)
    mean = flat.mean(axis=0)
    _, strength, directions = np.linalg.svd(flat - mean, full_matrices=False)
    scores = (new - mean) @ directions[:5].T
    if whiten:
        scores = scores / (strength[:5] / np.sqrt(len(flat) - 1))
    expected = unit_length(scores)
    found = fit_pca(images, "frame", dimension=5, whiten=whiten)
    # Each component may point either way; cosines are the same.
    embeddings = found.encode(others)
    np.testing.assert_allclose(embeddings @ embeddings.T, expected @ expected.T, atol=1e-4)
    np.testing.assert_allclose(np.abs(embeddings), np.abs(expected), atol=1e-4)
    share = (strength[:5] ** 2).sum() / (strength**2).sum()
    assert found.card.training["explained_variance"] == pytest.approx(share, abs=1e-5)


def test_pca_by_random_projections_finds_the_same_leading_directions():
    images = images_of(200, 32, channels=2)  # 2048 blocks: too many to diagonalize
    flat = images.reshape(200, -1).astype(np.float64)
    _, _, directions = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    expected = unit_length((flat - flat.mean(axis=0)) @ directions[:6].T)
    found = fit_pca(images, "frame", dimension=6, whiten=False).encode(images)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_pca_takes_no_more_components_than_the_images_carry():
    assert fit_pca(images_of(80), "frame").card.dimension == 10  # eight images each
    rng = np.random.default_rng(0)
    flat = np.tensordot(rng.normal(size=(400, 3)), rng.normal(size=(3, 1, 16, 16)), 1).astype(np.float32)
    assert fit_pca(flat.astype(np.float16).astype(np.float32), "frame").card.dimension > 3  # rounding is variance
    exact = rng.integers(-3, 4, size=(400, 2)) @ rng.integers(-3, 4, size=(2, 256))
    assert fit_pca(exact.reshape(400, 1, 16, 16).astype(np.float32), "frame").card.dimension == 2


def test_images_may_come_in_blocks_and_unusable_ones_are_left_out():
    images = images_of()
    spoilt = np.insert(images, [3, 40], np.nan, axis=0)
    spoilt[10, 0, 0, 0] = np.inf
    usable = np.delete(spoilt, [3, 10, 41], axis=0)
    expected = fit_pca(usable, "frame")
    found = fit_pca(iter([spoilt[:33], spoilt[33:]]), "frame")
    assert found.hash == expected.hash
    assert found.card.training["n_samples"] == len(usable)


def test_images_that_cannot_be_fitted_to_are_refused():
    images = images_of(20)
    for wrong in (images[:15], np.full_like(images, np.nan), images[:, 0], [], [images, images_of(20, 16)]):
        for name in FITTED:
            with pytest.raises(ArgumentError, match="images"):
                fit(name, wrong, "frame")
    with pytest.raises(ArgumentError, match="are equal"):
        fit_pca(np.repeat(images[:1], 20, axis=0), "frame")
    for call in (
        lambda: fit_pca(images, "frame", dimension=0),
        lambda: fit_pca(images, "sound"),
        lambda: fit("umap", images, "frame"),
        lambda: fit_random(images, "frame", "resnet50"),
    ):
        with pytest.raises(ArgumentError):
            call()


@pytest.mark.parametrize(("name", "backbone"), [("random", "resnet18"), ("random_compact", "compact")])
def test_random_networks_are_torchs_with_the_images_own_normalization(fits, name, backbone):
    import torch

    from pyspedas_similarity.encoder.backbone import build_backbone

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_backbone(backbone, 1)
    images = torch.from_numpy(images_of())
    norms = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for each in norms:
        each.momentum = 1.0  # the statistics of this batch alone
    halves = []
    with torch.no_grad():
        for batch in torch.tensor_split(images, 2):
            network.train()(batch)
            halves.append([(each.running_mean.clone(), each.running_var.clone()) for each in norms])
        for each, (first, second) in zip(norms, zip(*halves, strict=True), strict=True):
            each.running_mean, each.running_var = ((a + b) / 2 for a, b in zip(first, second, strict=True))
        expected = unit_length(network.eval()(images).numpy())
    found = fits[name].encode(images_of())
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert fits[name].card.training["normalisation"] == "means and variances of the samples"
    assert (found @ found.T).min() < 0.9  # not all the same way


def test_fitting_leaves_the_global_state_alone_and_repeats():
    import torch

    np.random.seed(5)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    images = images_of(40, 16)
    kept = images.copy()
    names = ("pca", "random_compact")
    hashes = [fit(name, images, "frame").hash for name in names]
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    np.testing.assert_array_equal(images, kept)
    assert [fit(name, images, "frame").hash for name in names] == hashes
    assert fit("pca", images[:39], "frame").hash != hashes[0]


@pytest.mark.parametrize("name", list(FITTED))
def test_fitted_encoders_are_saved_and_treat_images_as_every_encoder_does(fits, name, tmp_path):
    encoder, images = fits[name], images_of(5, seed=2)
    images[1], images[2] = np.nan, 1.0
    images[3, 0, :4] = np.nan
    found = encoder.encode(images)
    assert np.isnan(found[1:3]).all()
    np.testing.assert_allclose(np.linalg.norm(found[[0, 3, 4]], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[3:4], encoder.encode(images[3:4]), atol=1e-6)
    loaded = load_encoder(save_encoder(encoder, tmp_path / name))
    assert loaded.card == encoder.card
    assert loaded.encode(images).tobytes() == found.tobytes()
    assert not is_unfitted(loaded)


def test_names():
    assert set(NAMED) == set(FIXED) | {"pca", "random", "random_compact"}
    assert {name for name in NAMED if is_unfitted(named_encoder(name, "window"))} == set(FITTED)
    assert named_encoder("hog", "window").card.kind == "window"
    with pytest.raises(EncoderError, match="not fitted yet"):
        named_encoder("pca", "frame").encode(images_of(1))
    with pytest.raises(ArgumentError, match="pixels, hog, .*, random_compact"):
        named_encoder("wavelets", "frame")


def test_spread_evenly_takes_one_of_each_stretch():
    np.testing.assert_array_equal(spread_evenly(5, 5), range(5))
    found = spread_evenly(1003, 100)
    edges = np.arange(101) * 1003 // 100
    assert len(found) == 100 and (found >= edges[:-1]).all() and (found < edges[1:]).all()
    assert len(set(np.diff(found))) > 5  # no rhythm
    np.testing.assert_array_equal(found, spread_evenly(1003, 100))
    assert (found != spread_evenly(1003, 100, seed=1)).any()


TIMES = np.datetime64("2020-01-01", "ns") + np.arange(90) * np.timedelta64(3, "s")


@pytest.fixture
def sky():
    """Simulated frames in tplot: stripes at three tilts in turn, each for 30 frames."""
    from pyspedas import store_data

    rng = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64] / 3.0
    tilts = np.repeat([0.0, 0.7, 1.4], 30)
    stripes = np.stack([np.sin(x * np.cos(tilt) + y * np.sin(tilt) + rng.uniform(0, 0.5)) for tilt in tilts])
    frames = (1000 + 200 * stripes + rng.normal(0, 10, stripes.shape)).astype(np.uint16)
    store_data("fitted_sky", data={"x": TIMES, "y": frames}, attr_dict={"data_att": {"units": "counts"}})
    return "fitted_sky"


@pytest.mark.parametrize("name", ["random_compact", "hog", "spectrum", "structure"])
def test_a_search_by_name_finds_the_same_stripes(sky, name):
    import pyspedas

    import pyspedas_similarity as sim

    names = sim.find_similar(sky, like=TIMES[40], encoder=name, reference=None, k=1, errors="raise")
    series = pyspedas.get_data(names[-1]).y
    alike = np.isin(np.argsort(-series)[:20], np.arange(30, 60))
    # A third are alike by chance. Wave number by wave number, stripes of all tilts have the same power.
    assert alike.mean() >= 0.9 if name != "spectrum" else series.min() > 0.9


def test_a_search_fits_to_what_it_searches_and_says_so(sky):
    import pyspedas

    import pyspedas_similarity as sim
    from pyspedas_similarity import tplot
    from pyspedas_similarity.imaging.frames import frame_images
    from pyspedas_similarity.library.plan import EncodingOptions
    from pyspedas_similarity.library.samples import prepared_variables

    variable = tplot.read(sky)
    plan, _ = prepared_variables([variable], EncodingOptions(encoder="pca"))
    training = plan.encoder.card.training
    assert training["data"] == ["fitted_sky"] and training["n_samples"] == 90
    assert (training["start"], training["end"]) == (str(TIMES[0]), str(TIMES[-1]))
    assert plan.encoder.card.recipe == plan.recipe.to_dict()
    images = frame_images(variable.values, plan.recipe)
    expected = fit_pca(images, "frame").encode(images)
    np.testing.assert_array_equal(plan.encoder.encode(images), expected)
    names = sim.find_similar(sky, like=TIMES[40], encoder="pca", reference=None, k=1, errors="raise")
    np.testing.assert_allclose(pyspedas.get_data(names[-1]).y, expected @ expected[40], atol=1e-6)


def test_of_segments_the_first_is_fitted_to():
    from pyspedas_similarity.imaging.frames import frame_images
    from pyspedas_similarity.imaging.recipes import FrameRecipe
    from pyspedas_similarity.instruments.segments import Segment
    from pyspedas_similarity.library.plan import EncodingOptions
    from pyspedas_similarity.library.series import streamed_library
    from pyspedas_similarity.tplot import Variable

    recipe = FrameRecipe(pixels=16)
    frames = np.random.default_rng(0).integers(0, 1000, (60, 32, 32)).astype(np.uint16)
    parts = [Variable("asf", TIMES[rows], frames[rows]) for rows in (slice(0, 40), slice(40, 60))]
    options = EncodingOptions(encoder="pca", recipe=recipe)
    (series,) = streamed_library((Segment(part, {}) for part in parts), options).series
    images = frame_images(frames, recipe)
    np.testing.assert_array_equal(series.embedded.embeddings, fit_pca(images[:40], "frame").encode(images))
    assert series.plan.encoder.card.training["end"] == str(TIMES[39])
