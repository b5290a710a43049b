"""What every encoder does with good, empty, flat and foreign images."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fixed import FIXED, fixed_encoder
from pyspedas_similarity.encoder.runtime import Encoder, network_transform, unit_length
from pyspedas_similarity.errors import ArgumentError, EncoderError


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((6, 1, 32, 32), np.float32)


@pytest.mark.parametrize("name", list(FIXED))
def test_images_without_a_direction_become_nan_rows_and_leave_others_alone(name, images):
    encoder = fixed_encoder(name, "frame")
    expected = encoder.encode(images)
    images[0] = np.nan
    images[2] = 0.7
    images[3, 0, 5:] = np.nan
    images[3, 0, :5] = 0.7
    images[4, 0, 0, 0] = np.inf
    kept = images.copy()
    found = encoder.encode(images)
    assert np.isnan(found[[0, 2, 3, 4]]).all()
    np.testing.assert_array_equal(found[[1, 5]], expected[[1, 5]])
    np.testing.assert_allclose(np.linalg.norm(found[[1, 5]], axis=1), 1, atol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(images, kept)


def test_nan_pixels_count_as_zero(images):
    encoder = fixed_encoder("pixels", "frame")
    zeroed = images.copy()
    images[:, :, :4], zeroed[:, :, :4] = np.nan, 0
    np.testing.assert_array_equal(encoder.encode(images), encoder.encode(zeroed))


def test_no_images_give_no_rows_of_the_right_length(images):
    assert fixed_encoder("pixels", "frame").encode(images[:0]).shape == (0, 256)
    assert fixed_encoder("structure", "frame").encode(images[:0]).shape == (0, 44)


@pytest.mark.parametrize("shape", [(32, 32), (2, 1, 32, 16), (2, 2, 32, 32), (2, 1, 16, 16), (2, 1, 0, 0)])
def test_a_foreign_shape_is_refused_with_found_and_expected(shape):
    card = Card("own", "frame", "simsiam", dimension=2, channels=1, pixels=32)
    encoder = Encoder(card, lambda filled, measured: filled[:, 0, 0, :2])
    with pytest.raises(EncoderError) as caught:
        encoder.encode(np.zeros(shape, np.float32))
    assert str(shape) in caught.value.found and "(n, 1, 32, 32)" in caught.value.found


def test_wrong_arguments_are_refused(images):
    encoder = fixed_encoder("pixels", "frame")
    with pytest.raises(ArgumentError, match="batch"):
        encoder.encode(images, batch=0)
    with pytest.raises(EncoderError, match="not numeric"):
        encoder.encode(np.full((1, 1, 4, 4), "a"))


def test_a_transform_that_breaks_its_card_is_refused(images):
    encoder = Encoder(Card("own", "frame", "simsiam", dimension=3), lambda filled, measured: filled[:, 0, 0, :2])
    with pytest.raises(EncoderError, match="dimension 3"):
        encoder.encode(images)


def test_unit_length_of_rows_without_direction_is_nan():
    found = unit_length(np.array([[3.0, 4.0], [0, 0], [np.nan, 1], [np.inf, 1], [1e30, 0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [np.nan] * 2, [np.nan] * 2, [np.nan] * 2, [1, 0]], rtol=1e-6)


def network(weights: np.ndarray) -> bytes:
    """Mean of each channel times (1, 2) `weights`, as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["features"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("images", ["n", 1, 4, 4]), ("features", ["n", 2]))
    ]
    graph = helper.make_graph(nodes, "test", ports[:1], ports[1:], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


CARD = Card("net", "frame", "simsiam", dimension=2, channels=1, pixels=4)


def test_a_network_runs_in_onnx_runtime():
    images = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4)
    transform = network_transform(network(np.array([[1, 2]], np.float32)), CARD)
    np.testing.assert_allclose(transform(images, images >= 0), [[7.5, 15], [23.5, 47]])


def test_a_network_must_fit_its_card_and_be_finite():
    good = network(np.array([[1, 2]], np.float32))
    with pytest.raises(EncoderError, match="the card states"):
        network_transform(good, Card("net", "frame", "simsiam", dimension=3, channels=1, pixels=4))
    with pytest.raises(EncoderError, match="not finite"):
        network_transform(network(np.array([[1, np.nan]], np.float32)), CARD)
    for content in (b"", b"not a network", good[: len(good) // 2]):
        with pytest.raises(EncoderError, match="encoder.onnx"):
            network_transform(content, CARD)


def test_a_network_that_reads_another_file_is_refused(tmp_path, monkeypatch):
    import onnx

    model = onnx.load_model_from_string(network(np.array([[1, 2]], np.float32)))
    tensor = model.graph.initializer[0]
    (tmp_path / "secret").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match="another file"):
        network_transform(model.SerializeToString(), CARD)


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys, pkgutil, importlib, pyspedas_similarity.encoder as room\n"
        "for each in pkgutil.iter_modules(room.__path__): importlib.import_module(f'{room.__name__}.{each.name}')\n"
        "heavy = {'torch', 'torchvision', 'lightly', 'onnxruntime', 'onnx', 'safetensors', 'tqdm', 'pyspedas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
