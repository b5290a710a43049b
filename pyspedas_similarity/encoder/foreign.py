"""Encoders from third-party networks: an ONNX file with one image as input.

Preprocessing and postprocessing are added to the network itself, so that it is saved and run like a trained one.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import Card, read_file
from .filters import resizing
from .runtime import Encoder, messages, network_encoder, open_session, read_network

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

METHOD = "imported network"
OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
OLDEST_OPSET = 7
"""First operator set with numpy broadcasting that ONNX Runtime supports."""

LARGEST_SIDE, MAX_CHANNELS = 1024, 64
"""Maximum sizes, which bound the memory of the test run."""

SAME_IN_BATCH = 1e-4
"""Maximum difference of the features of an image, alone and in a batch, relative to the largest feature."""

_OURS = "pyspedas_similarity/"
"""Prefix of added nodes, to avoid name collisions."""


@dataclass(frozen=True)
class ForeignInput:
    """Input and output of a third-party network, as described at `import_encoder`."""

    pixels: int = 0
    channels: int = 0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "NCHW"
    output: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.pixels <= LARGEST_SIDE and 0 <= self.channels <= MAX_CHANNELS):
            remedy = f"Give 0 to {LARGEST_SIDE}, and 0 to {MAX_CHANNELS}; 0 where the file states it."
            raise ArgumentError("pixels, channels", f"{self.pixels}, {self.channels}", remedy)
        if self.layout not in ("NCHW", "NHWC"):
            raise ArgumentError("layout", f"{self.layout!r}", "Give 'NCHW' or 'NHWC'.")
        if not (np.isfinite([*self.mean, *self.std]).all() and self.mean and self.std and min(self.std) > 0):
            raise ArgumentError("mean, std", f"{self.mean}, {self.std}", "Give finite numbers, std above 0.")


def import_onnx(path: str | Path, recipe: Any, takes: ForeignInput | None = None, name: str = "") -> Encoder:
    """Make an encoder from an ONNX file and the recipe of its images (kind, shape, hash), see `import_encoder`."""
    path, takes = Path(path), takes or ForeignInput()
    content = read_file(path)
    model = read_network(content, str(path))
    _check_operators(model, str(path))
    takes = _complete_input(model, recipe.shape, takes, str(path))
    onnx, dimension = _add_processing(model, recipe.shape, takes, str(path))
    channels, pixels, _ = recipe.shape
    card = Card(
        name or path.stem,
        recipe.kind,
        METHOD,
        description=f"The network of {path.name}.",
        dimension=dimension,
        channels=channels,
        pixels=pixels,
        recipe=recipe.to_dict(),
        recipe_hash=recipe.hash,
        training={"file_sha256": hashlib.sha256(content).hexdigest(), "input": asdict(takes)},
    )
    encoder = network_encoder(card, {}, onnx, str(path))
    _check_independence(encoder, str(path))
    return encoder


def _check_operators(model: ModelProto, source: str) -> None:
    """Raise EncoderError for custom operators, which are not defined in the file."""
    from onnx import NodeProto

    remedy = "Export it with standard operators only."
    for node in messages(model, NodeProto):
        if node.domain not in OWN_DOMAINS:
            raise EncoderError(source, f"a custom operator {node.domain}::{node.op_type}", remedy)
    if model.functions:
        raise EncoderError(source, f"a local function {model.functions[0].name!r}", remedy)


def _complete_input(model: ModelProto, shape: tuple[int, int, int], takes: ForeignInput, source: str) -> ForeignInput:
    """Return `takes` completed with what the file states."""
    from onnx import TensorProto

    ports = _ports(model)
    types = [each.type.tensor_type for each in ports]
    if len(ports) != 1 or types[0].elem_type != TensorProto.FLOAT or len(types[0].shape.dim) != 4:
        found = ", ".join(f"{each.name}: {each.type.tensor_type.elem_type}" for each in ports)
        found = f"it has {len(ports)} inputs ({found})"
        raise EncoderError(source, found, "Give a network with one input of float32 and four axes.")
    sizes = [dim.dim_value for dim in types[0].shape.dim]
    channels, rows, columns = sizes[1:] if takes.layout == "NCHW" else (sizes[3], sizes[1], sizes[2])
    if rows and columns and rows != columns:
        raise EncoderError(source, f"images of {rows} x {columns}", "Give a network for square images.")
    pixels = max(rows, columns)
    for what, said, asked in (("pixels", pixels, takes.pixels), ("channels", channels, takes.channels)):
        if said and asked and said != asked:
            raise EncoderError(source, f"{what}: the file says {said}, not {asked}", f"Omit {what}, or the layout.")
    channels = channels or takes.channels or shape[0]
    if pixels > LARGEST_SIDE or channels > MAX_CHANNELS:
        found = f"images of {channels} channels and {pixels} pixels"
        raise EncoderError(source, found, f"Give a network for at most {MAX_CHANNELS} and {LARGEST_SIDE}.")
    if any(len(each) not in (1, channels) for each in (takes.mean, takes.std)):
        found = f"{len(takes.mean)} and {len(takes.std)} values for {channels} channels"
        raise EncoderError(source, f"mean, std: {found}", f"Give one or {channels}.")
    names = [each.name for each in model.graph.output]
    if not takes.output and len(names) != 1:
        raise EncoderError(source, f"outputs {', '.join(names)[:200]}", "Name one of them as output=.")
    return replace(
        takes,
        pixels=pixels or takes.pixels or shape[1],
        channels=channels,
        output=takes.output or names[0],
    )


def _add_processing(
    model: ModelProto, shape: tuple[int, int, int], takes: ForeignInput, source: str
) -> tuple[bytes, int]:
    """Return the ONNX network from the recipe's images to features, and the number of features."""
    from onnx import numpy_helper

    if takes.output not in {name for node in model.graph.node for name in node.output}:
        raise EncoderError(source, f"no tensor {takes.output!r} in it", "Name one of its outputs as output=.")
    if any(each.domain in OWN_DOMAINS[:2] and each.version < OLDEST_OPSET for each in model.opset_import):
        raise EncoderError(source, f"older than ONNX operator set {OLDEST_OPSET}", "Export it with a newer one.")
    entry = _ports(model)[0].name
    square = [takes.channels, takes.pixels, takes.pixels]
    inside = _replace_ports(model, (entry, square if takes.layout == "NCHW" else square[::-1]), (takes.output, None))
    sizes = _output_shape(inside, takes, source)
    before, after = _preprocessing(shape, takes, entry), _postprocessing(sizes, shape, takes)
    dimension = sizes[-1 if len(sizes) == 3 or takes.layout == "NHWC" else 1] * _passes_per_image(shape, takes)
    whole = _replace_ports(model, (_OURS + "images", list(shape)), (_OURS + "features", [dimension]))
    whole.graph.ClearField("node")
    whole.graph.node.extend([*before.nodes, *model.graph.node, *after.nodes])
    constants = {**before.constants, **after.constants}
    whole.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    return whole.SerializeToString(deterministic=True), dimension


def _replace_ports(model: ModelProto, entry: tuple[str, list[int]], leave: tuple[str, list[int] | None]) -> ModelProto:
    """Return a copy with another input and output; the shapes exclude the dynamic first axis."""
    from onnx import ModelProto, TensorProto, helper

    copy = ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(model.ir_version, 4)  # earlier versions require constants to be inputs
    for part in ("input", "output", "value_info"):
        copy.graph.ClearField(part)
    (name, shape), (result, features) = entry, leave
    copy.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]))
    features = None if features is None else ["n", *features]
    copy.graph.output.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, features))
    return copy


def _output_shape(model: ModelProto, takes: ForeignInput, source: str) -> tuple[int, ...]:
    """Return the shape of the output for two images."""
    session = open_session(model.SerializeToString(), source)
    shape = (2, *session.get_inputs()[0].shape[1:])
    try:
        found = session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})[0]
    except Exception as error:  # the exceptions of ONNX Runtime have no common public base class
        text = f"it fails for two images of shape {shape[1:]} ({str(error)[:200]})"
        raise EncoderError(source, text, "Export it with a dynamic first axis, or give pixels and channels.") from error
    if np.ndim(found) not in (2, 3, 4) or len(found) != 2 or not np.size(found):
        text = f"tensor {takes.output!r} of shape {np.shape(found)} for two images"
        raise EncoderError(source, text, "Choose an output with one row per image.")
    return found.shape


@dataclass
class _Steps:
    """Chain of ONNX operators, each applied to the output of the previous one."""

    last: str
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, operator: str, constant: np.ndarray | None = None, first: bool = False, **attributes: Any) -> None:
        """Append an operator; the constant is its second input, or its first if `first` is True."""
        from onnx import helper

        inputs = [self.last] * attributes.pop("copies", 1)
        name = f"{self.last if self.last.startswith(_OURS) else _OURS + 'after'}/{operator}"
        if constant is not None:
            self.constants[name + ".constant"] = constant
            inputs = [name + ".constant", *inputs] if first else [*inputs, name + ".constant"]
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.last = name

    def end(self, name: str) -> _Steps:
        """Rename the last output."""
        self.nodes[-1].output[0] = name
        return self


def _preprocessing(shape: tuple[int, int, int], takes: ForeignInput, entry: str) -> _Steps:
    """Return the operators from the recipe's images to the input of the network."""
    pixels, steps = shape[1], _Steps(_OURS + "images")
    alone = shape[0] != takes.channels
    if alone:
        steps.add("Reshape", np.array([-1, 1, pixels, pixels]))
    if pixels != takes.pixels:
        resize = resizing(pixels, takes.pixels).astype(np.float32)
        steps.add("MatMul", resize, first=True)
        steps.add("MatMul", np.ascontiguousarray(resize.T))
    if alone:
        steps.add("Concat", axis=1, copies=takes.channels)
    steps.add("Sub", np.array(takes.mean, np.float32).reshape(1, -1, 1, 1))
    steps.add("Div", np.array(takes.std, np.float32).reshape(1, -1, 1, 1))
    if takes.layout == "NHWC":
        steps.add("Transpose", perm=[0, 2, 3, 1])
    return steps.end(entry)


def _postprocessing(sizes: tuple[int, ...], shape: tuple[int, int, int], takes: ForeignInput) -> _Steps:
    """Return the operators from the output to features; maps (n, d, ., .) and tokens (n, ., d) are averaged."""
    steps = _Steps(takes.output)
    if len(sizes) == 3:
        steps.add("Transpose", perm=[0, 2, 1])
        steps.add("Reshape", np.array([-1, sizes[2], sizes[1], 1]))
    elif len(sizes) == 4 and takes.layout == "NHWC":
        steps.add("Transpose", perm=[0, 3, 1, 2])
    if len(sizes) > 2:
        steps.add("GlobalAveragePool")
    dimension = sizes[-1] if len(sizes) == 3 or takes.layout == "NHWC" else sizes[1]
    steps.add("Reshape", np.array([-1, dimension * _passes_per_image(shape, takes)]))
    return steps.end(_OURS + "features")


def _passes_per_image(shape: tuple[int, int, int], takes: ForeignInput) -> int:
    """Return the number of passes of an image: one, or one for each channel."""
    return 1 if shape[0] == takes.channels else shape[0]


def _ports(model: ModelProto) -> list[Any]:
    """Return the inputs that are not constants."""
    filled = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in filled]


def _check_independence(encoder: Encoder, source: str) -> None:
    """Raise EncoderError if the features of an image vary between runs or with the other images of a batch."""
    shape = (3, encoder.card.channels, encoder.card.pixels, encoder.card.pixels)
    images = np.random.default_rng(0).random(shape, np.float32)
    measured = np.ones(shape, bool)
    together = encoder.transform(images, measured)
    alone = np.concatenate([encoder.transform(images[i : i + 1], measured[i : i + 1]) for i in range(3)])
    if not np.isfinite(together).all():
        raise EncoderError(source, "its features are not finite", "Check mean, std and the file.")
    if np.abs(together - alone).max() > SAME_IN_BATCH * np.abs(together).max():
        found = "features of an image change with the other images of a batch, or from run to run"
        raise EncoderError(source, found, "Export it for inference, not for training.")
