"""Encoders fitted to images without training: principal components, and networks with random weights.

A search that names one fits it to the variables searched, or to the first segment of segmented data.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import as_encoder, build_backbone, require_training
from .cards import KINDS, NETWORK, WEIGHTS, Card, with_checksums
from .filters import averaging
from .fixed import FIXED, fixed_encoder
from .runtime import Encoder, Transform, check_shape, fill, is_usable

FITTED = {
    "pca": "Principal components of 32 x 32 blocks, whitened, fitted to the samples that are searched.",
    "random": "A ResNet-18 with random weights, its normalization fitted to the samples that are searched.",
    "random_compact": "The 'compact' network with random weights, its normalization fitted in the same way.",
}
NAMED = {**FIXED, **FITTED}
"""Descriptions of all encoders that can be given by name."""

PCA_METHOD = "principal components"
_METHODS = {"pca": PCA_METHOD, "random": "no training", "random_compact": "no training"}

MAX_IMAGES = {"pca": 4096, "random": 512, "random_compact": 512}
"""Maximum number of images for the fit; means, variances and leading components hardly change with more."""

MIN_IMAGES = 16
IMAGES_PER_COMPONENT = 8
"""Minimum; with fewer images, whitening makes the embeddings of the fitted images mutually orthogonal."""

BLOCKS = 32
"""Blocks along a side of the averaged images for principal components."""

MAX_EXACT_BLOCKS = 1024
"""Maximum number of blocks for exact diagonalization; above, random projections are used (arXiv:0909.4061)."""

BATCH = 64
"""Batch size for batch normalization statistics, which are averaged over all batches."""

SMALLEST_VARIANCE = 1e-9
"""Minimum variance of a component relative to the largest; whitening would amplify rounding errors in smaller ones."""

Images = np.ndarray | Iterable[np.ndarray]


def named_encoder(name: str, kind: str) -> Encoder:
    """Return the encoder of a name in `NAMED`; those in `FITTED` must be fitted before use (`is_unfitted`, `fit`)."""
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
    """Fit the encoder of a name in `FITTED` to images; see `fit_pca` and `fit_random`."""
    if name not in FITTED:
        raise ArgumentError("encoder", f"{name!r}", f"Use one of {', '.join(FITTED)}.")
    return fit_pca(images, kind) if name == "pca" else fit_random(images, kind, name)


def mutually_distant(rows: np.ndarray, center: np.ndarray, number: int) -> np.ndarray:
    """Return the numbers of rows (n, d) that are far from each other: int, at most `number`, each once.

    The first is the one nearest to the center; each of the others is as far as possible from those before (Gonzalez
    1985, doi 10.1016/0304-3975(85)90224-5).
    """
    chosen = [int(((rows - center) ** 2).sum(axis=1).argmin())]
    nearest = ((rows - rows[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < number and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((rows - rows[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


def spread_evenly(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Return `most` ascending integers below `n` by stratified random sampling, or all if there are no more.

    A fixed step could coincide with the spin period of a spacecraft.
    """
    if n <= most:
        return np.arange(n)
    edges = np.arange(most + 1) * n // most
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def fit_pca(images: Images, kind: str, dimension: int = 64, whiten: bool = True, seed: int = 0) -> Encoder:
    """Fit principal components to images (n, channels, pixels, pixels), or to blocks of such images.

    Images that cannot be encoded are omitted, and there are at least eight images per component. Images are averaged to
    32 x 32 blocks, since the covariance of a 128 px frame would not fit into memory; with 16 x 16 blocks, simulated
    electron diffusion regions cannot be distinguished (`benchmarks/bench_edr.py`).
    """
    from safetensors.numpy import save

    if dimension < 1:
        raise ArgumentError("dimension", f"{dimension}", "Give 1 or more.")
    selected, pixels = _select_images(images, MAX_IMAGES["pca"], kind, seed, BLOCKS)
    weights, share = _principal_components(selected, dimension, whiten, seed)
    weights["average"] = averaging(pixels, min(BLOCKS, pixels)).astype(np.float32)
    training = {"n_samples": len(selected), "whiten": whiten, "explained_variance": round(float(share), 6)}
    training |= {"seed": seed}
    dimension = weights["components"].shape[1]
    card = Card("pca", kind, _METHODS["pca"], FITTED["pca"], dimension, selected.shape[1], pixels, training=training)
    files = {WEIGHTS: save(weights), NETWORK: _linear_network(weights, card)}
    card = with_checksums(card, files)
    return Encoder(card, pca_transform(card, files[WEIGHTS], WEIGHTS), files)


def fit_random(images: Images, kind: str, name: str = "random", seed: int = 0) -> Encoder:
    """Make an encoder from a network with random weights, as a baseline for training.

    Means and variances of batch normalization are those of the images. With their initial values (0 and 1) all
    embeddings would be nearly parallel, which would understate the baseline. torch's global generator is not changed.
    """
    backbones = {"random": "resnet18", "random_compact": "compact"}
    if name not in backbones:
        raise ArgumentError("name", f"{name!r}", f"Use one of {', '.join(backbones)}.")
    backbone = backbones[name]
    selected, pixels = _select_images(images, MAX_IMAGES[name], kind, seed)
    weights = _random_weights(backbone, selected, seed)
    normalization = "means and variances of the samples"
    training = {"n_samples": len(selected), "backbone": backbone, "normalisation": normalization, "seed": seed}
    dimension = 0  # as_encoder sets it
    card = Card(name, kind, _METHODS[name], FITTED[name], dimension, selected.shape[1], pixels, training=training)
    return as_encoder(backbone, weights, card)


def _select_images(images: Images, most: int, kind: str, seed: int, side: int | None = None) -> tuple[np.ndarray, int]:
    """Return usable images, filled and averaged to at most `side` blocks along a side, and their side before."""
    if kind not in KINDS:
        raise ArgumentError("kind", f"{kind!r}", f"Use one of {', '.join(KINDS)}.")
    parts, shapes = [], set()
    for block in [images] if isinstance(images, np.ndarray) else images:
        check_shape(block)
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
    return np.concatenate(parts)[spread_evenly(count, most, seed)], shapes.pop()[1]


def _principal_components(
    blocks: np.ndarray, dimension: int, whiten: bool, seed: int
) -> tuple[dict[str, np.ndarray], float]:
    """Return 'mean' (d,) and 'components' (d, k) of images (n, channels, side, side), and the explained variance."""
    from sklearn.decomposition import PCA

    features = blocks.reshape(len(blocks), -1).astype(np.float64)
    if (features == features[0]).all():
        raise ArgumentError("images", "all that can be encoded are equal", "Give images that differ.")
    most = min(dimension, len(features) // IMAGES_PER_COMPONENT, features.shape[1])
    solver = "covariance_eigh" if features.shape[1] <= MAX_EXACT_BLOCKS else "randomized"
    pca = PCA(most, svd_solver=solver, random_state=seed).fit(features)
    variance = pca.explained_variance_
    kept = variance > SMALLEST_VARIANCE * variance[0]
    scale = np.sqrt(variance[kept]) if whiten else np.ones(kept.sum())
    weights = {"mean": pca.mean_, "components": pca.components_[kept].T / scale}
    weights = {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}
    return weights, pca.explained_variance_ratio_[kept].sum()


def pca_transform(card: Card, content: bytes, source: str) -> Transform:
    """Return the transform that projects averaged blocks onto principal components.

    Products are computed in float64; the rounding of float32 products would depend on the number of BLAS threads.
    """
    from safetensors.numpy import load

    tensors = load(content)
    blocks = len(tensors.get("average", ()))
    width = card.channels * blocks**2
    shapes = {"average": (blocks, card.pixels), "mean": (width,), "components": (width, card.dimension)}
    for name, shape in shapes.items():
        found = tensors[name].shape if name in tensors else "no such tensor"
        if found != shape:
            raise EncoderError(source, f"tensor {name!r} of shape {found}, expected {shape}", "Restore the folder.")
    average, mean, components = (tensors[name].astype(np.float64) for name in shapes)

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        averaged = average @ filled @ average.T
        return ((averaged.reshape(len(filled), -1) - mean) @ components).astype(np.float32)

    return transform


def _linear_network(weights: dict[str, np.ndarray], card: Card) -> bytes:
    """Return the projection as an ONNX network; in float32 the mean must be subtracted before scaling."""
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
    """Return the state dict of an untrained network with batch normalization statistics of the images."""
    require_training()
    import torch
    from torch.optim.swa_utils import update_bn

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = build_backbone(backbone, images.shape[1])
    batches = np.array_split(images, -(-len(images) // BATCH))
    update_bn([torch.from_numpy(batch) for batch in batches], network)
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}
