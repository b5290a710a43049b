"""Encoders that are matrices: products of numpy arrays, without ONNX Runtime.

Products are computed in float64, so that the rounding of float32 products, which depends on the number of BLAS threads,
does not show in the float32 embeddings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import EncoderError
from .cards import Card
from .runtime import Transform

PCA_METHOD = "principal components"


def read_tensors(content: bytes, shapes: dict[str, tuple[int, ...]], source: str) -> dict[str, np.ndarray]:
    """Read tensors of a safetensors file as float64.

    Raises
    ------
    EncoderError
        A tensor is missing or has another shape.
    """
    from safetensors.numpy import load

    tensors = load(content)
    for name, shape in shapes.items():
        found = tensors[name].shape if name in tensors else "no such tensor"
        if found != shape:
            raise EncoderError(source, f"tensor {name!r} of shape {found}, expected {shape}", "Restore the folder.")
    return {name: tensors[name].astype(np.float64) for name in shapes}


def affine(content: bytes, width: int, dimension: int, source: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the layer (features - mean) @ projection, (n, width) to (n, dimension) float32."""
    tensors = read_tensors(content, {"mean": (width,), "projection": (width, dimension)}, source)
    return lambda features: ((features - tensors["mean"]) @ tensors["projection"]).astype(np.float32)


def pca_transform(card: Card, content: bytes, source: str) -> Transform:
    """Return the transform of principal components of averaged blocks.

    Raises
    ------
    EncoderError
        The weights do not fit the card.
    """
    from safetensors.numpy import load

    blocks = len(load(content).get("average", ()))
    width = card.channels * blocks**2
    shapes = {"average": (blocks, card.pixels), "mean": (width,), "components": (width, card.dimension)}
    tensors = read_tensors(content, shapes, source)

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        averaged = tensors["average"] @ filled @ tensors["average"].T
        flat = averaged.reshape(len(filled), -1)
        return ((flat - tensors["mean"]) @ tensors["components"]).astype(np.float32)

    return transform
