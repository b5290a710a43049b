"""Networks of others against torch, and everything that is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pyspedas_similarity.encoder.filters import resizing
from pyspedas_similarity.encoder.foreign import ForeignInput, import_onnx
from pyspedas_similarity.encoder.runtime import unit_length
from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

FRAMES = FrameRecipe(pixels=24)
RGB = ForeignInput(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


@pytest.fixture(scope="module")
def network():
    """Three channels of 16 pixels to four maps and their means."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = torch.nn.Conv2d(3, 5, 3, stride=2, padding=1)
        return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Conv2d(5, 4, 3)).eval()


def model_of(network, nodes=(), output="maps", shape=("n", 3, 16, 16), opset=17, **options):
    """The network written as ONNX by hand, with more operators behind it."""
    from onnx import TensorProto, helper, numpy_helper

    convolutions = [each for each in network if isinstance(each, torch.nn.Conv2d)]
    tensors = [
        numpy_helper.from_array(values.detach().numpy(), f"{kind}{i}")
        for i, one in enumerate(convolutions)
        for kind, values in (("weight", one.weight), ("bias", one.bias))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "weight0", "bias0"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "weight1", "bias1"], ["maps"]),
        *nodes,
    ]
    port = helper.make_tensor_value_info("x", options.get("type", TensorProto.FLOAT), shape)
    leave = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "foreign", [port], [leave], tensors + options.get("tensors", []))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("their.own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def write(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def expected_of(network, images, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)):
    """The same with torch's own averaging: unit length, maps averaged."""
    batch = torch.from_numpy(np.nan_to_num(images)).double()
    if batch.shape[1] == 1:
        batch = batch.expand(-1, 3, -1, -1)
    # 24 to 16 pixels: three become two, so that thirds of pixels are shared.
    fine = batch.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    batch = torch.nn.functional.avg_pool2d(fine, 3).float()
    batch = (batch - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)
    with torch.no_grad():
        return unit_length(network(batch).mean(dim=(2, 3)).numpy())


@pytest.fixture
def images():
    images = np.random.default_rng(0).random((5, 1, 24, 24), np.float32)
    images[:, :, :3] = np.nan
    return images


@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("opset", [9, 17, 21])
def test_a_foreign_network_does_what_torch_does(network, images, tmp_path, batch, opset):
    path = write(model_of(network, shape=(batch, 3, 16, 16), opset=opset), tmp_path / "seen.onnx")
    encoder = import_onnx(path, FRAMES, RGB)
    assert (encoder.card.name, encoder.card.kind, encoder.card.dimension) == ("seen", "frame", 4)
    found = encoder.encode(images)
    np.testing.assert_allclose(found, expected_of(network, images), atol=1e-4)
    np.testing.assert_allclose(encoder.encode(images[2:3]), found[2:3], atol=1e-6)
    assert np.isnan(encoder.encode(np.full_like(images, 0.5))).all()


def test_it_is_saved_and_loaded_as_a_trained_one(network, images, tmp_path):
    encoder = import_onnx(write(model_of(network), tmp_path / "seen.onnx"), FRAMES, RGB, name="theirs")
    loaded = load_encoder(save_encoder(encoder, tmp_path / "theirs"))
    assert loaded.card == encoder.card and loaded.hash == encoder.hash
    assert loaded.encode(images).tobytes() == encoder.encode(images).tobytes()
    assert loaded.card.recipe == FRAMES.to_dict() and loaded.card.training["input"]["mean"] == [0.4, 0.5, 0.6]
    other = import_onnx(tmp_path / "seen.onnx", FRAMES, ForeignInput(mean=(0.1,)), name="theirs")
    assert other.hash != encoder.hash


def test_last_channels_and_tokens(network, images, tmp_path):
    from onnx import helper, numpy_helper

    expected = expected_of(network, images)
    # Channels last on both sides.
    nodes = [helper.make_node("Transpose", ["maps"], ["out"], perm=[0, 2, 3, 1])]
    model = model_of(network, nodes, "out")
    model.graph.node[0].input[0] = "first"
    model.graph.node.insert(0, helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]))
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim[1:], (16, 16, 3), strict=True):
        dim.dim_value = size
    takes = ForeignInput(mean=RGB.mean, std=RGB.std, layout="NHWC")
    found = import_onnx(write(model, tmp_path / "last.onnx"), FRAMES, takes)
    np.testing.assert_allclose(found.encode(images), expected, atol=1e-4)
    # One token a pixel of the map, as transformers give them.
    shape = numpy_helper.from_array(np.array([0, 4, -1]), "shape")
    nodes = [
        helper.make_node("Reshape", ["maps", "shape"], ["lines"]),
        helper.make_node("Transpose", ["lines"], ["tokens"], perm=[0, 2, 1]),
    ]
    model = model_of(network, nodes, "tokens", tensors=[shape])
    found = import_onnx(write(model, tmp_path / "tokens.onnx"), FRAMES, RGB)
    assert found.card.dimension == 4
    np.testing.assert_allclose(found.encode(images), expected, atol=1e-4)


def test_an_inner_tensor_can_be_the_output(network, images, tmp_path):
    path = write(model_of(network), tmp_path / "seen.onnx")
    takes = ForeignInput(mean=RGB.mean, std=RGB.std, output="r")
    found = import_onnx(path, FRAMES, takes).encode(images)
    np.testing.assert_allclose(found, expected_of(network[:2], images), atol=1e-4)
    with pytest.raises(EncoderError, match="no tensor 'logits'"):
        import_onnx(path, FRAMES, ForeignInput(output="logits"))


def test_planes_go_through_one_by_one_where_the_network_takes_another_number(network, tmp_path):
    recipe = DistributionRecipe(pixels=24, planes=("perp1-perp2", "par-perp1"))
    images = np.random.default_rng(3).random((4, 2, 24, 24), np.float32)
    path = write(model_of(network), tmp_path / "seen.onnx")
    encoder = import_onnx(path, recipe, RGB)
    alone = import_onnx(path, FRAMES, RGB)
    raw = [alone.transform(images[:, i : i + 1], np.ones((4, 1, 24, 24), bool)) for i in range(2)]
    np.testing.assert_allclose(encoder.encode(images), unit_length(np.hstack(raw)), atol=1e-6)
    assert encoder.card.dimension == 8


def test_small_images_are_interpolated_between_pixel_centers():
    torch_way = torch.nn.functional.interpolate(
        torch.arange(5.0).pow(2).view(1, 1, 5), size=12, mode="linear", align_corners=False
    )
    np.testing.assert_allclose(resizing(5, 12) @ np.arange(5.0) ** 2, torch_way[0, 0], atol=1e-6)
    np.testing.assert_allclose(resizing(6, 3) @ np.arange(6.0), [0.5, 2.5, 4.5])
    for pixels, side in ((5, 12), (13, 5), (7, 7)):
        np.testing.assert_allclose(resizing(pixels, side).sum(axis=1), 1)


def test_a_network_with_a_custom_operator_or_function_is_refused(network, tmp_path):
    from onnx import helper

    custom = helper.make_node("Steal", ["maps"], ["out"], domain="their.own")
    with pytest.raises(EncoderError, match="custom operator their.own::Steal"):
        import_onnx(write(model_of(network, [custom], "out"), tmp_path / "a.onnx"), FRAMES)
    # Hidden in a branch.
    branch = helper.make_graph([custom], "b", [], [helper.make_tensor_value_info("out", 1, None)])
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["end"], then_branch=branch, else_branch=branch),
    ]
    with pytest.raises(EncoderError, match="custom operator their.own::Steal"):
        import_onnx(write(model_of(network, nodes, "end"), tmp_path / "b.onnx"), FRAMES)
    model = model_of(network)
    model.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [helper.make_node("Abs", ["a"], ["b"])], [model.opset_import[0]])
    )
    with pytest.raises(EncoderError, match="local function 'Relu'"):
        import_onnx(write(model, tmp_path / "c.onnx"), FRAMES)


def test_external_data_are_refused_wherever_they_lie(network, tmp_path):
    model = model_of(network)
    tensor = model.graph.initializer[0]
    for place in ("beside", "../outside", "/etc/hostname"):
        (tmp_path / "beside").write_bytes(tensor.raw_data)
        other = onnx.ModelProto()
        other.CopyFrom(model)
        other.graph.initializer[0].ClearField("raw_data")
        other.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
        other.graph.initializer[0].external_data.add(key="location", value=place)
        with pytest.raises(EncoderError, match="lies in another file"):
            import_onnx(write(other, tmp_path / "far.onnx"), FRAMES)


def test_what_mixes_or_shuffles_images_is_refused(network, tmp_path):
    from onnx import helper, numpy_helper

    mean = [helper.make_node("ReduceMean", ["maps"], ["m"], axes=[0]), helper.make_node("Sub", ["maps", "m"], ["out"])]
    with pytest.raises(EncoderError, match="change with the other images of a batch"):
        import_onnx(write(model_of(network, mean, "out"), tmp_path / "mixed.onnx"), FRAMES)
    noise = [
        helper.make_node("RandomNormalLike", ["maps"], ["noise"]),
        helper.make_node("Add", ["maps", "noise"], ["out"]),
    ]
    with pytest.raises(EncoderError, match="from run to run"):
        import_onnx(write(model_of(network, noise, "out"), tmp_path / "noise.onnx"), FRAMES)
    single = numpy_helper.from_array(np.array([1, 196]), "single")
    nodes = [helper.make_node("Reshape", ["maps", "single"], ["out"])]
    model = model_of(network, nodes, "out", shape=(1, 3, 16, 16), tensors=[single])
    with pytest.raises(EncoderError, match="dynamic first axis"):
        import_onnx(write(model, tmp_path / "single.onnx"), FRAMES)


@pytest.mark.parametrize(
    ("options", "takes", "match"),
    [
        (dict(shape=("n", 3, 16, 20)), {}, "16 x 20"),
        (dict(shape=("n", 3, 10**6, 10**6)), {}, "1000000 pixels"),
        (dict(shape=("n", 3, 16)), {}, "four axes"),
        (dict(type=10), {}, "float32"),
        (dict(opset=6), {}, "operator set 7"),
        ({}, dict(pixels=32), "pixels: the file says 16, not 32"),
        ({}, dict(channels=1), "channels: the file says 3, not 1"),
        ({}, dict(mean=(1.0, 2.0)), "2 and 1 values for 3 channels"),
        ({}, dict(std=(1e-45,)), "not finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(network, tmp_path, options, takes, match):
    path = write(model_of(network, **options), tmp_path / "odd.onnx")
    with pytest.raises(EncoderError, match=match):
        import_onnx(path, FRAMES, ForeignInput(**takes))


@pytest.mark.parametrize(
    "values", [dict(pixels=-1), dict(layout="CHW"), dict(std=(0.0,)), dict(mean=(np.nan,)), dict(mean=())]
)
def test_wrong_values_are_refused(values):
    with pytest.raises(ArgumentError):
        ForeignInput(**values)


def test_files_that_are_no_networks_are_refused(network, tmp_path):
    good = model_of(network).SerializeToString()
    for content in (b"", b"\x00" * 64, good[: len(good) // 2], pickle.dumps(print), b"PK\x03\x04"):
        (tmp_path / "odd.onnx").write_bytes(content)
        with pytest.raises(EncoderError, match="odd.onnx"):
            import_onnx(tmp_path / "odd.onnx", FRAMES)
    with pytest.raises(EncoderError, match="cannot be read"):
        import_onnx(tmp_path / "none.onnx", FRAMES)


def test_damaged_networks_raise_nothing_but_encoder_errors(network, tmp_path):
    good = bytearray(model_of(network).SerializeToString())
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(good)
        for place in rng.integers(0, len(good), 3):
            damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "odd.onnx").write_bytes(damaged)
        try:
            import_onnx(tmp_path / "odd.onnx", FRAMES)
        except EncoderError:
            refused += 1
    assert refused > 5
