"""Networks of others by the public verb and from a shell: what they are given, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import pyspedas_similarity as sim
from pyspedas_similarity import cli, tplot
from pyspedas_similarity.encoder.runtime import unit_length
from pyspedas_similarity.errors import ArgumentError, EncoderError
from pyspedas_similarity.imaging.frames import frame_images
from pyspedas_similarity.imaging.recipes import FrameRecipe, PanelRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS

TRANGE = ["2020-01-02/06:00", "2020-01-02/06:02"]
RECIPE = FrameRecipe(pixels=32, contrast_pixels=0.0)
WEIGHTS = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32)


@pytest.fixture
def network(tmp_path):
    """A file with one convolution: 3 channels, 32 pixels, to 6 maps of 8 x 8."""
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 6, 8, 8]),
    ]
    node = helper.make_node("Conv", ["x", "w"], ["maps"], strides=[4, 4])
    graph = helper.make_graph([node], "theirs", ports[:1], ports[1:], [numpy_helper.from_array(WEIGHTS, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "theirs.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def name():
    return INSTRUMENTS["simulated_asi"].load(TRANGE)[0]


def expected(frames, mean, std):
    """Return what the network gives for frames, in double precision: convolution, mean over the maps, unit length."""
    images = np.nan_to_num(frame_images(frames, RECIPE)).astype(float)
    parts = (np.repeat(images, 3, axis=1) - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    parts = parts.reshape(len(frames), 3, 8, 4, 8, 4)
    return unit_length(np.einsum("ncyixj,fcij->nf", parts, WEIGHTS) / 64)


def test_encode_gives_what_the_network_gives(network, name):
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    encoder = sim.import_encoder(network, RECIPE, mean=mean, std=std, name="net", license="CC-BY-4.0")
    assert (encoder.card.name, encoder.card.license, encoder.card.dimension) == ("net", "CC-BY-4.0", 6)
    assert encoder.card.recipe == RECIPE.to_dict()
    frames = tplot.read(name).values
    (found,) = sim.encode(name, encoder=encoder)
    np.testing.assert_allclose(tplot.read(found).values, expected(frames, mean, std), atol=1e-5)


def test_one_number_is_for_all_channels(network, name):
    encoder = sim.import_encoder(network, RECIPE, mean=0.5, std=0.25)
    found = encoder.encode(frame_images(tplot.read(name).values, RECIPE))
    np.testing.assert_allclose(found, expected(tplot.read(name).values, [0.5] * 3, [0.25] * 3), atol=1e-5)
    assert encoder.card.name == "theirs"


def test_search_archive_and_folder_take_it(network, name, tmp_path):
    encoder = sim.import_encoder(network, RECIPE, mean=0.5)
    found = sim.find_similar(name, like="2020-01-02/06:01:00", encoder=encoder, k=2)
    assert sim.intervals(found).meta["similarity"][0]["encoder"]["hash"] == encoder.hash
    added = sim.add(tmp_path / "archive", name, encoder=encoder)
    assert added.added == len(tplot.read(name).times)
    folder = sim.save_encoder(encoder, tmp_path / "net")
    again = sim.find_similar(name, like="2020-01-02/06:01:00", encoder=folder, k=2, suffix="_folder")
    np.testing.assert_array_equal(tplot.read(found[-1]).values, tplot.read(again[-1]).values)


@pytest.mark.parametrize("recipe", [PanelRecipe(), "mms_fgm", None, {"pixels": 32}])
def test_recipes_without_images_are_refused(network, recipe):
    with pytest.raises(ArgumentError, match=r"^recipe: found .*Give a recipe of one of the kinds distribution, frame"):
        sim.import_encoder(network, recipe)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"recipe": "mms_dos"}, ArgumentError, "mms_dos"),
        ({"mean": "half"}, ArgumentError, "mean: found 'half'"),
        ({"std": [1.0, 0.0, 1.0]}, ArgumentError, "above 0"),
        ({"mean": [0.1, 0.2]}, EncoderError, "2 and 1 values for 3 channels"),
        ({"output": "logits"}, EncoderError, "no tensor 'logits'"),
        ({"pixels": 224}, EncoderError, "the file says 32, not 224"),
        ({"path": "none.onnx"}, EncoderError, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(network, options, error, match):
    with pytest.raises(error, match=match):
        sim.import_encoder(**{"path": network, "recipe": RECIPE} | options)


def test_the_command_makes_the_same_encoder(network, tmp_path, capsys):
    words = ["encoder", "import", str(network), "--instrument", "themis_asi", "--out", str(tmp_path / "net")]
    words += ["--recipe", "pixels=32", "contrast_pixels=0.0", "--mean", "0.4", "0.5", "0.6", "--license", "MIT"]
    assert cli.main(words) == cli.FOUND
    loaded = sim.load_encoder(tmp_path / "net")
    assert loaded.hash == sim.import_encoder(network, RECIPE, mean=(0.4, 0.5, 0.6)).hash
    assert f"Saved theirs ({loaded.hash}), 6 features, in {tmp_path / 'net'}" in capsys.readouterr().out
    assert cli.main(words) == cli.BAD_INPUT
    assert "exists already" in capsys.readouterr().err
    assert cli.main(["info", str(tmp_path / "net")]) == cli.FOUND
    assert "  license    MIT\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (["size=32"], "FIELD=VALUE with one of pixels, overlays"),
        (["pixels"], "FIELD=VALUE"),
        (["pixels=many"], "recipe.pixels: found 'many'"),
        (["stretch=[99,1]"], "ascending percentiles"),
        (["mask_radius=wide"], "--recipe"),
        (["stretch=3"], "--recipe"),
    ],
)
def test_wrong_fields_of_the_recipe_are_one_line(network, tmp_path, capsys, recipe, says):
    words = ["encoder", "import", str(network), "--instrument", "themis_asi", "--out", str(tmp_path / "net")]
    assert cli.main([*words, "--recipe", *recipe]) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not (tmp_path / "net").exists()
