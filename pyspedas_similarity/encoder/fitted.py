"""Encoders that are fitted to images without being trained: principal components, and networks of random weights.

They are saved and run as trained encoders are: a network in ONNX Runtime, weights as safetensors (see `weights`). A
search by their name fits them to the variables that are searched, or to the first segment of data that come segment by
segment; the card records which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import BACKBONES, build_backbone, require_training
from .cards import KINDS, NETWORK, WEIGHTS, Card, with_checksums
from .export import export
from .fixed import FIXED, fixed_encoder
from .resizing import averaging
from .runtime import Encoder, Transform, fill, is_usable, network_transform

FITTED = {
    "pca": "Principal components of 32 x 32 blocks, whitened, fitted to the samples that are searched.",
    "random": "A ResNet-18 with random weights, its normalization fitted to the samples that are searched.",
    "random_compact": "The 'compact' network with random weights, its normalization fitted in the same way.",
}
NAMED = {**FIXED, **FITTED}
"""Every encoder that is made from its name, and what it is."""

PCA_METHOD = "principal components"
_METHODS = {"pca": PCA_METHOD, "random": "no training", "random_compact": "no training"}

MAX_IMAGES = {"pca": 4096, "random": 512, "random_compact": 512}
"""To how many images they are fitted; means, variances and leading directions hardly change with more."""

MIN_IMAGES = 16
IMAGES_PER_COMPONENT = 8
"""Whitening by fewer puts all images of the fit at right angles to each other, whatever they show."""

BLOCKS = 32
"""Blocks along a side of the images that principal components are made of."""

MAX_EXACT_BLOCKS = 1024
"""Up to so many blocks the covariance is diagonalized exactly, above it by random projections (arXiv:0909.4061)."""

BATCH = 64
"""Images whose means and variances are taken at once; they are averaged over all batches."""

SMALLEST_VARIANCE = 1e-9
"""Components of less, as a share of the largest, are rounding errors; whitening would blow them up."""

Images = np.ndarray | Iterable[np.ndarray]


def named_encoder(name: str, kind: str) -> Encoder:
    """The encoder of a name in `NAMED`; those in `FITTED` have yet to be fitted (`is_unfitted`, `fit`).

    Raises
    ------
    ArgumentError
        The name or kind is unknown.
    """
    if name not in NAMED:
        raise ArgumentError("encoder", f"{name!r}", f"Use one of {', '.join(NAMED)}.")
    if name in FIXED:
        return fixed_encoder(name, kind)

    def refuse(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        raise EncoderError(f"encoder {name}", "it is not fitted yet", "Make it with encoder.fitted.fit.")

    return Encoder(Card(name, kind, _METHODS[name], description=FITTED[name]), refuse)


def is_unfitted(encoder: Encoder) -> bool:
    """Return True if an encoder has to be fitted to images first."""
    return encoder.card.method in _METHODS.values() and not encoder.files


def fit(name: str, images: Images, kind: str) -> Encoder:
    """The encoder of a name in `FITTED`, fitted to images; see `fit_pca` and `fit_random`.

    Raises
    ------
    ArgumentError
        The name is unknown, or the images do not do.
    """
    if name not in FITTED:
        raise ArgumentError("encoder", f"{name!r}", f"Use one of {', '.join(FITTED)}.")
    return fit_pca(images, kind) if name == "pca" else fit_random(images, kind, name)


def spread_evenly(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Ascending numbers below `n`: all, or one at random from each of `most` equal stretches.

    A fixed step could fall into the rhythm of a spinning spacecraft.
    """
    if n <= most:
        return np.arange(n)
    edges = np.arange(most + 1) * n // most
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def fit_pca(images: Images, kind: str, dimension: int = 64, whiten: bool = True, seed: int = 0) -> Encoder:
    """Principal components of images.

    Parameters
    ----------
    images : numpy.ndarray or iterable of numpy.ndarray
        (n, channels, pixels, pixels), NaN where nothing was measured, or blocks of them. Those that cannot be encoded
        are left out, and of more than 4096 a sample that is spread evenly is taken.
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        The kind of image.
    dimension : int
        Components; fewer where there are not eight images for each, or where they have no variance.
    whiten : bool
        Divide each component by its standard deviation, so that rare ways to differ count as much as common ones.
    seed : int
        Decides which images are taken, and the random projections.

    Raises
    ------
    ArgumentError
        Fewer than 16 usable images, images that are all the same, or a value out of its range.

    Notes
    -----
    Of 32 x 32 blocks, not of all pixels: the covariance of a 128 px frame would not fit into memory. Blocks of 16 x 16
    lose the differences between simulated electron diffusion regions and others (`benchmarks/bench_edr.py`).
    """
    if dimension < 1:
        raise ArgumentError("dimension", f"{dimension}", "Give 1 or more.")
    library = _library(images, MAX_IMAGES["pca"], kind, seed, BLOCKS)
    weights, share = _principal(library.images, dimension, whiten, seed)
    weights["average"] = averaging(library.pixels, min(BLOCKS, library.pixels)).astype(np.float32)
    training = {"n_samples": len(library.images), "whiten": whiten, "explained_variance": round(float(share), 6)}
    training |= {"seed": seed}
    dimension = weights["components"].shape[1]
    card = Card("pca", kind, _METHODS["pca"], FITTED["pca"], dimension, *library.shape, training=training)
    return _finished(card, weights, _linear_network(weights, card))


def fit_random(images: Images, kind: str, name: str = "random", seed: int = 0) -> Encoder:
    """A network of random weights: what the architecture alone makes of images.

    Parameters
    ----------
    images : numpy.ndarray or iterable of numpy.ndarray
        As in `fit_pca`; 512 are taken at most.
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        The kind of image.
    name : {'random', 'random_compact'}
        'random' is a ResNet-18 whose first layer takes the images' channels.
    seed : int
        Decides the weights and which images are taken; torch's own generator stays as it was.

    Raises
    ------
    ArgumentError
        The name is unknown, or fewer than 16 images are usable.
    EncoderError
        The exported network does not do what torch does.

    Notes
    -----
    Means and variances of batch normalization are those of the images. With the ones that a network starts with (0 and
    1) normalization does nothing, all embeddings point the same way, and the baseline would look worse than it is.
    """
    backbones = {"random": "resnet18", "random_compact": "compact"}
    if name not in backbones:
        raise ArgumentError("name", f"{name!r}", f"Use one of {', '.join(backbones)}.")
    backbone = backbones[name]
    library = _library(images, MAX_IMAGES[name], kind, seed)
    weights = _random_weights(backbone, library.images, seed)
    normalization = "means and variances of the samples"
    training = {"n_samples": len(library.images), "backbone": backbone, "normalisation": normalization, "seed": seed}
    card = Card(name, kind, _METHODS[name], FITTED[name], BACKBONES[backbone], *library.shape, training=training)
    return _finished(card, weights, export(backbone, weights, *library.shape))


@dataclass(frozen=True)
class _Library:
    """Images to fit to (n, channels, side, side), filled; `pixels` is their side before blocks were averaged."""

    images: np.ndarray
    pixels: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.images.shape[1], self.pixels


def _library(images: Images, most: int, kind: str, seed: int, side: int | None = None) -> _Library:
    """The usable images, averaged to `side` blocks at most."""
    if kind not in KINDS:
        raise ArgumentError("kind", f"{kind!r}", f"Use one of {', '.join(KINDS)}.")
    parts, shapes = [], set()
    for block in [images] if isinstance(images, np.ndarray) else images:
        if np.ndim(block) != 4 or np.shape(block)[2] != np.shape(block)[3]:
            raise ArgumentError("images", f"shape {np.shape(block)}", "Give (n, channels, pixels, pixels).")
        block = np.asarray(block, np.float32)
        shapes.add(block.shape[1:3])
        filled, _ = fill(block[is_usable(block)])
        if side is not None and side < block.shape[2]:
            average = averaging(block.shape[2], side).astype(np.float32)
            filled = average @ filled @ average.T
        parts.append(filled)
    count = sum(map(len, parts))
    if len(shapes) != 1 or count < MIN_IMAGES:
        found = f"{count} that can be encoded, of {len(shapes)} shapes"
        raise ArgumentError("images", found, f"Give {MIN_IMAGES} or more of one shape, or use a fixed encoder.")
    return _Library(np.concatenate(parts)[spread_evenly(count, most, seed)], shapes.pop()[1])


def _principal(blocks: np.ndarray, dimension: int, whiten: bool, seed: int) -> tuple[dict[str, np.ndarray], float]:
    """'mean' (d,) and 'components' (d, k) of images (n, channels, side, side), and their share of the variance."""
    from sklearn.decomposition import PCA

    features = blocks.reshape(len(blocks), -1).astype(np.float64)
    if (features == features[0]).all():
        raise ArgumentError("images", "all that can be encoded are the same", "Give images that differ.")
    most = min(dimension, len(features) // IMAGES_PER_COMPONENT, features.shape[1])
    solver = "covariance_eigh" if features.shape[1] <= MAX_EXACT_BLOCKS else "randomized"
    pca = PCA(most, svd_solver=solver, random_state=seed).fit(features)
    variance = pca.explained_variance_
    kept = variance > SMALLEST_VARIANCE * variance[0]
    scale = np.sqrt(variance[kept]) if whiten else np.ones(kept.sum())
    weights = {"mean": pca.mean_, "components": pca.components_[kept].T / scale}
    weights = {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}
    return weights, pca.explained_variance_ratio_[kept].sum()


def _read_tensors(content: bytes, shapes: dict[str, tuple[int, ...]], source: str) -> dict[str, np.ndarray]:
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


def pca_transform(card: Card, content: bytes, source: str) -> Transform:
    """Return the transform of principal components of averaged blocks.

    Products are computed in float64, so that the rounding of float32 products, which depends on the number of BLAS
    threads, does not show in the float32 embeddings.

    Raises
    ------
    EncoderError
        The weights do not fit the card.
    """
    from safetensors.numpy import load

    blocks = len(load(content).get("average", ()))
    width = card.channels * blocks**2
    shapes = {"average": (blocks, card.pixels), "mean": (width,), "components": (width, card.dimension)}
    tensors = _read_tensors(content, shapes, source)

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        averaged = tensors["average"] @ filled @ tensors["average"].T
        flat = averaged.reshape(len(filled), -1)
        return ((flat - tensors["mean"]) @ tensors["components"]).astype(np.float32)

    return transform


def _linear_network(weights: dict[str, np.ndarray], card: Card) -> bytes:
    """Averages, less the mean, projected, as ONNX. In float32 the mean has to come off before anything is scaled."""
    from onnx import TensorProto, helper, numpy_helper

    tensors = {**weights, "average_across": np.ascontiguousarray(weights["average"].T)}
    nodes = [
        helper.make_node("MatMul", ["average", "images"], ["rows"]),
        helper.make_node("MatMul", ["rows", "average_across"], ["blocks"]),
        helper.make_node("Flatten", ["blocks"], ["flat"]),
        helper.make_node("Sub", ["flat", "mean"], ["deviation"]),
        helper.make_node("MatMul", ["deviation", "components"], ["features"]),
    ]
    shapes = {"images": ["n", card.channels, card.pixels, card.pixels], "features": ["n", card.dimension]}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    constants = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    graph = helper.make_graph(nodes, "principal components", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)


def _random_weights(backbone: str, images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the state of an untrained network with the batch normalization of the images."""
    require_training()
    import torch
    from torch.optim.swa_utils import update_bn

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = build_backbone(backbone, images.shape[1])
    batches = np.array_split(images, -(-len(images) // BATCH))
    update_bn([torch.from_numpy(batch) for batch in batches], network)
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


def _finished(card: Card, weights: dict[str, np.ndarray], onnx: bytes) -> Encoder:
    """An encoder whose card names its files by their checksums."""
    from safetensors.numpy import save

    files = {WEIGHTS: save(weights), NETWORK: onnx}
    card = with_checksums(card, files)
    is_linear = card.method == PCA_METHOD
    transform = pca_transform(card, files[WEIGHTS], WEIGHTS) if is_linear else network_transform(onnx, card)
    return Encoder(card, transform, files)
