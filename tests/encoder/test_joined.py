"""Features of a network next to those of 'structure'."""

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder.fitted import fit_pca
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import (
    default_encoder,
    is_packaged,
    join_structure,
    load_encoder,
    packaged_networks,
    save_encoder,
)
from pyspedas_similarity.errors import EncoderError
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).random((40, 3, 16, 16), np.float32)


@pytest.fixture(scope="module")
def network(images):
    return fit_pca(images, "distribution", dimension=4)


def test_the_features_of_both_are_blocks_of_their_own(images, network):
    joined, fixed = join_structure(network), fixed_encoder("structure", "distribution")
    found, own, learned = (each.encode(images) for each in (joined, fixed, network))
    blocks = block_slices(found.shape[1], joined.card.blocks)
    expected = block_slices(own.shape[1], fixed.card.blocks)
    assert list(blocks) == [*expected, "network"]
    length = np.sqrt(1 + 0.3**2)
    for name, part in expected.items():
        np.testing.assert_allclose(found[:, blocks[name]], own[:, part] / length, rtol=1e-5, atol=1e-7)
    # 4 features of 3 channels: 2 for each channel, the last two of which are 0.
    np.testing.assert_allclose(found[:, blocks["network"]][:, :4], 0.3 * learned / length, rtol=1e-5, atol=1e-7)
    assert not found[:, blocks["network"]][:, 4:].any() and found.shape[1] == own.shape[1] + 6
    np.testing.assert_allclose(found[:, -1], own[:, -1] / length, rtol=1e-5)


def test_a_saved_one_is_the_same_and_so_is_one_joined_by_name(images, network, tmp_path):
    joined = join_structure(network)
    save_encoder(network, tmp_path / "network")
    save_encoder(joined, tmp_path / "joined")
    for found in (load_encoder(tmp_path / "joined"), load_encoder(f"structure+{tmp_path / 'network'}")):
        assert found.card == joined.card and found.hash == joined.hash
        np.testing.assert_array_equal(found.encode(images), joined.encode(images))


def test_samples_that_one_of_both_cannot_encode_are_missing(images, network):
    def transform(filled, measured):
        return network.transform(filled, measured) * (filled.mean() > 0.4)

    silent = replace(network, transform=transform)
    found = join_structure(silent).encode(np.stack([images[0], images[1] / 10]), batch=1)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


@pytest.mark.parametrize("made", ["structure", "joined"])
def test_only_a_network_can_be_joined(network, made):
    encoder = fixed_encoder("structure", "distribution") if made == "structure" else join_structure(network)
    with pytest.raises(EncoderError, match="not a network|features of 'structure' already"):
        join_structure(encoder)


@pytest.mark.parametrize("name", ["structure+", "structure+pca", "structure+structure"])
def test_the_name_of_an_encoder_without_a_network_cannot_be_joined(name):
    with pytest.raises(EncoderError, match="is not the folder of a network"):
        load_encoder(name)


def test_texts_of_a_network_do_not_change_the_hash(network):
    described = replace(network, card=replace(network.card, description="other words", license="MIT"))
    assert described.hash == network.hash and join_structure(described).hash == join_structure(network).hash


def test_the_default_does_not_depend_on_the_working_directory(network, tmp_path, monkeypatch):
    expected = default_encoder("distribution", ELECTRONS.hash).hash
    monkeypatch.chdir(tmp_path)
    save_encoder(network, "mms_electrons")
    assert default_encoder("distribution", ELECTRONS.hash).hash == expected
    assert load_encoder("structure+mms_electrons").hash == expected
    assert load_encoder("./mms_electrons").hash == network.hash
    assert load_encoder("structure+./mms_electrons").hash == join_structure(network).hash


@pytest.mark.parametrize("damage", ["missing", "wrong", "other"])
def test_a_damaged_card_is_refused(network, tmp_path, damage):
    joined = join_structure(network)
    inner = {"missing": None, "wrong": {"name": 3}, "other": {**joined.card.training["network"], "dimension": 5}}
    training = {**joined.card.training, "network": inner[damage]}
    save_encoder(replace(joined, card=replace(joined.card, training=training)), tmp_path / "joined")
    with pytest.raises(EncoderError, match="card|damaged|dimension|shape"):
        load_encoder(tmp_path / "joined")


def test_a_folder_that_is_missing_is_named():
    with pytest.raises(EncoderError, match="encoder nowhere: it is neither a name nor a folder"):
        load_encoder("structure+nowhere")


def test_the_network_of_the_package_is_for_the_recipe_of_electrons():
    assert packaged_networks() == {ELECTRONS.hash: "mms_electrons"}
    assert default_encoder("distribution", ELECTRONS.hash).card.name == "structure+mms_electrons"
    assert (
        default_encoder("distribution", DistributionRecipe().hash).card.name
        == default_encoder("frame").card.name
        == "structure"
    )
    assert is_packaged("mms_electrons") and is_packaged("structure+mms_electrons") and not is_packaged("structure")


def test_the_network_of_the_package_runs_without_torch_and_says_where_it_comes_from():
    network = load_encoder("mms_electrons")
    assert network.card.training["data"] == ["simulated"] and network.card.license == "BSD-3-Clause"
    assert network.card.method == "simsiam" and network.card.known_failures
    images = np.random.default_rng(0).random((3, 4, 32, 32), np.float32)
    assert load_encoder("structure+mms_electrons").encode(images).shape == (3, 621)
