"""Encoders at run time: images to unit-length embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import NETWORK, WEIGHTS, Card, with_checksums

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

Transform = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Function of filled images and a mask of measured pixels, both (n, channels, pixels, pixels), to (n, dimension)."""

REPEATING = ("Loop", "Scan", "SequenceMap")
"""ONNX loop operators, which may not terminate; they are refused."""

SMALLEST_NORM = 1e-12

PIXELS_AT_ONCE, MAX_BATCH = 2**18, 256
"""Bounds of a batch: 256 images of 32 px, 64 of 64 px, 16 of 128 px.

From 4 to 256 images, the speed hardly depends on the batch size, the memory by up to a factor of five (see
docs/benchmarks/inference.rst).
"""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encoder of images: a card, and a transform of filled images and measured pixels to raw features.

    The transform takes filled images, float32, and a mask of measured pixels, both (n, channels, pixels, pixels), and
    returns raw features (n, dimension). `files` are those that `weights.save_encoder` writes in addition to the card;
    none for fixed transforms.
    """

    card: Card
    transform: Transform = field(repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def hash(self) -> str:
        """Hash of the card."""
        return self.card.hash

    def encode(self, images: np.ndarray, batch: int | None = None) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        images : numpy.ndarray
            (n, channels, pixels, pixels), NaN where nothing was measured. Not modified.
        batch : int, optional
            Number of images per call of the transform, which bounds the memory. Default by `PIXELS_AT_ONCE`.

        Returns
        -------
        numpy.ndarray
            (n, dimension) float32 of unit length. A row is NaN if the image has no measured pixel, an infinite pixel or
            a constant value, or if its features are zero.

        Raises
        ------
        EncoderError
            The shape of the images does not match the encoder.
        ArgumentError
            `batch` is below 1.
        """
        if batch is not None and batch < 1:
            raise ArgumentError("batch", f"{batch}", "Give 1 or more.")
        images = self._check_images(images)
        batch = batch or min(MAX_BATCH, max(1, PIXELS_AT_ONCE // images.shape[-1] ** 2))
        parts = [self._encode_batch(images[first : first + batch]) for first in range(0, len(images), batch)]
        if not parts:
            return np.empty((0, self.dimension(images.shape[1:])), np.float32)
        return np.concatenate(parts)

    def _encode_batch(self, images: np.ndarray) -> np.ndarray:
        filled, measured = fill(images)
        usable = is_usable(images)
        embeddings = np.full((len(images), self.dimension(images.shape[1:])), np.nan, np.float32)
        if usable.any():
            features = np.asarray(self.transform(filled[usable], measured[usable]))
            if features.shape != (usable.sum(), embeddings.shape[1]):
                raise EncoderError(
                    f"encoder {self.card.name}",
                    f"returned features of shape {features.shape}; its card states dimension {self.card.dimension}",
                    "Restore its files or train again.",
                )
            embeddings[usable] = unit_length(features)
        return embeddings

    def dimension(self, shape: tuple[int, ...]) -> int:
        """Return the length of an embedding for images of a shape (channels, pixels, pixels)."""
        if self.card.dimension:
            return self.card.dimension
        probe = np.zeros((1, *shape), np.float32)
        return self.transform(probe, np.ones(probe.shape, bool)).shape[1]

    def _check_images(self, images: np.ndarray) -> np.ndarray:
        found = np.shape(images)
        expected = (self.card.channels or "any", self.card.pixels or "any", self.card.pixels or "any")
        fits = len(found) == 4 and found[2] == found[3] and min(found[1:]) > 0
        if not fits or any(want != "any" and want != have for want, have in zip(expected, found[1:], strict=True)):
            raise EncoderError(
                f"encoder {self.card.name}",
                f"images of shape {found}, expected (n, {', '.join(str(each) for each in expected)})",
                "Make the images with the encoder's recipe, or use another encoder.",
            )
        try:
            return np.asarray(images, np.float32)
        except (TypeError, ValueError) as error:
            raise EncoderError(
                f"encoder {self.card.name}", f"images that are not numeric ({error})", "Give float32."
            ) from error


def check_shape(images: np.ndarray) -> None:
    """Raise ArgumentError for images that are not (n, channels, pixels, pixels)."""
    if np.ndim(images) != 4 or np.shape(images)[2] != np.shape(images)[3]:
        raise ArgumentError("images", f"shape {np.shape(images)}", "Give (n, channels, pixels, pixels).")


def fill(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images with NaN replaced by 0, and a mask of measured pixels, both of the shape of `images`."""
    measured = ~np.isnan(images)
    return np.where(measured, images, np.float32(0)), measured


def is_usable(images: np.ndarray) -> np.ndarray:
    """Return a mask of images (n, ...) that can be encoded, bool (n,): no infinite pixel, and not constant."""
    flat = images.reshape(len(images), -1)
    low = np.fmin.reduce(flat, axis=1, initial=np.inf)  # ignores NaN
    high = np.fmax.reduce(flat, axis=1, initial=-np.inf)
    return np.isfinite(low) & np.isfinite(high) & (high > low)


def unit_length(features: np.ndarray) -> np.ndarray:
    """Normalize features (n, dimension) to unit length, float32; rows that are zero or not finite become NaN."""
    features = np.asarray(features, np.float64)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    has_direction = np.isfinite(length) & (length > SMALLEST_NORM)
    return np.where(has_direction, features / np.where(has_direction, length, 1), np.nan).astype(np.float32)


def network_encoder(card: Card, weights: Mapping[str, np.ndarray], onnx: bytes, source: str = NETWORK) -> Encoder:
    """Return the encoder of a network; the checksums of its files are added to the card."""
    from safetensors.numpy import save

    files = {WEIGHTS: save(dict(weights)), NETWORK: onnx}
    card = with_checksums(card, files)
    return Encoder(card, network_transform(onnx, card, source), files)


def network_transform(onnx: bytes, card: Card, source: str = NETWORK) -> Transform:
    """Return a transform that runs a self-contained network of float32 in ONNX Runtime on the CPU."""
    read_network(onnx, source)
    session = open_session(onnx, source)
    ports = [*session.get_inputs(), *session.get_outputs()]
    found = [tuple(port.shape[1:]) for port in ports]
    expected = [(card.channels, card.pixels, card.pixels), (card.dimension,)]
    if found != expected or any(port.type != "tensor(float)" for port in ports):
        raise EncoderError(source, f"a network of shapes {found}, the card states {expected}", "Restore the folder.")
    name = ports[0].name

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        try:
            return session.run(None, {name: filled})[0]
        except Exception as error:  # the exceptions of ONNX Runtime have no common public base class
            raise EncoderError(source, f"it fails ({str(error)[:200]})", "Restore the file or train again.") from error

    return transform


def open_session(onnx: bytes, source: str) -> InferenceSession:
    """Open an ONNX Runtime session for a network checked by `read_network`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Spinning threads slow down other processes, see docs/benchmarks/inference.rst.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of ONNX Runtime have no common public base class
        raise EncoderError(
            source, f"ONNX Runtime cannot read it ({error})", "Restore the file or train again."
        ) from error


def read_network(onnx: bytes, source: str) -> ModelProto:
    """Parse a network; EncoderError if it has loops, refers to other files, or has weights that are not finite."""
    from google.protobuf.message import DecodeError
    from onnx import NodeProto, TensorProto, load_model_from_string, numpy_helper

    try:
        model = load_model_from_string(onnx)
    except (DecodeError, ValueError) as error:
        raise EncoderError(source, "not an ONNX network", "Restore the file or train again.") from error
    for node in messages(model, NodeProto):
        if node.op_type in REPEATING:
            raise EncoderError(source, f"it has a loop operator, {node.op_type}", "Export it without loops.")
    for tensor in messages(model, TensorProto):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise EncoderError(
                source, f"tensor {tensor.name!r} lies in another file", "Use only self-contained networks."
            )
        try:
            values = numpy_helper.to_array(tensor)
        except Exception as error:  # invalid types and sizes raise many kinds of exceptions in onnx
            raise EncoderError(source, f"tensor {tensor.name!r} is damaged ({error})", "Restore the file.") from error
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise EncoderError(source, f"tensor {tensor.name!r} is not finite", "Restore the file or train again.")
    return model


def messages(message: Any, kind: type) -> list[Any]:
    """Return all messages of a type inside a protobuf message, such as tensors or nodes, nested graphs included."""
    from google.protobuf.message import Message

    found = [message] if isinstance(message, kind) else []
    for description, value in message.ListFields():
        if description.message_type is not None:
            for each in [value] if isinstance(value, Message) else value:
                found += messages(each, kind)
    return found
