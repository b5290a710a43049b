"""Adaptation of a network to the data to be searched."""

import sys

import numpy as np
import pytest
from safetensors.numpy import load

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, EncoderError
from pyspedas_similarity.simulate import fpi

pytest.importorskip("torch")

SPAN = ["2020-01-01 00:00:00", "2020-01-01 00:00:06"]


@pytest.fixture
def electrons():
    return fpi.load(SPAN, seed=301, species="electron")[0]


def test_the_last_layers_of_a_network_are_adapted_and_searched_with(electrons):
    network = sim.load_encoder("mms_electrons")
    adapted = sim.adapt(network, electrons, epochs=1)
    before, after = (load(one.files["weights.safetensors"]) for one in (network, adapted))
    changed = {
        key.partition(".")[0] for key, value in after.items() if key.endswith("weight") and (value != before[key]).any()
    }
    assert changed == {"12", "13", "16"}  # the last convolution, its normalization and the linear layer
    record = adapted.card.training["adaptation"]
    n = len(tplot.read(electrons).times)
    assert (record["data"], record["n_samples"], record["from"]) == ([electrons], n, network.hash)
    assert record["plan"]["method"] == "vicreg" and record["plan"]["epochs"] == 1
    found = sim.search(electrons, like="2020-01-01/00:00:03", encoder=adapted)
    assert found.scores[electrons].max() == pytest.approx(1)


def test_the_same_data_and_seed_give_the_same_weights(electrons):
    first, second, other = (sim.adapt("mms_electrons", electrons, epochs=1, seed=seed) for seed in (0, 0, 1))
    assert first.card.onnx_sha256 == second.card.onnx_sha256 != other.card.onnx_sha256


def test_a_saved_one_and_one_next_to_structure(electrons, tmp_path):
    adapted = sim.adapt("mms_electrons", electrons, epochs=1)
    sim.save_encoder(adapted, tmp_path / "adapted")
    name = sim.encode(electrons, encoder=f"structure+{tmp_path / 'adapted'}")[0]
    assert tplot.read(name).values.shape == (len(tplot.read(electrons).times), 621)


@pytest.mark.parametrize(
    ("encoder", "options", "error", "message"),
    [
        ("structure+mms_electrons", {}, EncoderError, "join the result again"),
        ("nowhere", {}, EncoderError, "neither a name nor a folder"),
        ("mms_electrons", {"epoch": 2}, ArgumentError, "epochs"),
        ("mms_electrons", {"lag": -1}, ArgumentError, "lag"),
        ("mms_electrons", {"trange": ["2020-01-01/00:00:00", "2020-01-01/00:00:00.1"]}, ArgumentError, "16 or more"),
    ],
)
def test_bad_input(electrons, encoder, options, error, message):
    with pytest.raises(error, match=message):
        sim.adapt(encoder, electrons, **options)


def test_without_torch_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EncoderError, match=r"torch: not installed.*pyspedas-similarity\[train\]"):
        sim.adapt("mms_electrons", instrument="nowhere", trange=SPAN)


def test_data_of_another_kind_are_refused():
    ions = fpi.load(SPAN, seed=301)[0]
    with pytest.raises(EncoderError, match="trained on electron distributions"):
        sim.adapt("mms_electrons", ions)
    assert np.isfinite(tplot.read(ions).values).any()
