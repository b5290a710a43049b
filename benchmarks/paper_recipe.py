"""The recipe of Smith et al. (2024, doi 10.1029/2023JA032096) as an encoder for the benchmark, one for each data set.

    python -m benchmarks.paper_recipe --data FOLDER --out paper [--pixels 256] [--most N] [--only edr movie]
    python -m benchmarks retrieval --data FOLDER --encoders paper pixels hog

It writes paper/DATASET/seedN; the benchmark uses for each data set the encoder trained on it. SimSiam with ResNet-18
on three equal channels of 256 px, lightly's views with crops down to 0.3, both flips 0.7 and blur 0.7, SGD at
0.05 * 64 / 256 with momentum 0.57 and weight decay 5e-4, batches of 64, ten epochs. As in the paper, it is trained
on the images that are searched, without labels. In full it takes days on a small machine: --pixels and --most reduce
that, and the card lists every departure.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_sets.tasks import DataSet, DataUnavailable, thin
from benchmarks.retrieval.plan import DATASETS, Plan, make_data_sets
from pyspedas_similarity.encoder.filters import resizing
from pyspedas_similarity.encoder.foreign import import_onnx
from pyspedas_similarity.encoder.monitor import collapse_report
from pyspedas_similarity.encoder.runtime import Encoder, fill
from pyspedas_similarity.encoder.weights import CARD, save_encoder
from pyspedas_similarity.imaging.recipes import Recipe

if TYPE_CHECKING:
    from lightly.transforms import SimSiamTransform
    from torch import nn

PAPER_PIXELS = 256
# Mean and standard deviation of ImageNet, as used by lightly's transform.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIPPED = (0.001, 0.999)
WIDTHS = (512, 512, 128)
"""Widths of the projection's layers and of the prediction's bottleneck, from lightly's example of SimSiam."""


@dataclass(frozen=True)
class PaperPlan:
    """Published settings, except `pixels`, `most` and `seed`."""

    pixels: int = PAPER_PIXELS
    most: int | None = None
    seed: int = 0
    epochs: int = 10
    batch: int = 64
    rate: float = 0.05 * 64 / 256
    momentum: float = 0.57
    weight_decay: float = 5e-4
    least_crop: float = 0.3
    flips: float = 0.7
    blur: float = 0.7


def mosaic(channels: int) -> tuple[int, int]:
    """Return rows and columns of channels in the picture of a sample, as close to a square as possible."""
    rows = int(np.sqrt(channels))
    while channels % rows:
        rows -= 1
    return rows, channels // rows


def contrast(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return black and white levels of each channel (channels, 1, 1): all but a thousandth at both ends."""
    values = fill(images)[0].swapaxes(0, 1).reshape(images.shape[1], -1)
    low, high = np.quantile(values, CLIPPED, axis=1)
    return low.reshape(-1, 1, 1).astype(np.float32), high.reshape(-1, 1, 1).astype(np.float32)


def pictures(images: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return one gray picture per sample, (n, rows, columns) uint8, as in an image file."""
    n, channels, pixels, _ = images.shape
    rows, columns = mosaic(channels)
    scaled = np.clip((fill(images)[0] - low) / (high - low), 0, 1)
    grid = scaled.reshape(n, rows, columns, pixels, pixels).transpose(0, 1, 3, 2, 4)
    return (255 * grid).round().astype(np.uint8).reshape(n, rows * pixels, columns * pixels)


def views_of(plan: PaperPlan) -> SimSiamTransform:
    """Return the published views, with lightly's defaults for unpublished settings."""
    from lightly.transforms import SimSiamTransform

    scale = plan.pixels / PAPER_PIXELS
    return SimSiamTransform(
        input_size=plan.pixels,
        min_scale=plan.least_crop,
        hf_prob=plan.flips,
        vf_prob=plan.flips,
        gaussian_blur=plan.blur,
        sigmas=(0.1 * scale, 2.0 * scale),  # the default's share of the picture
    )


def trained(drawn: np.ndarray, plan: PaperPlan) -> tuple[nn.Module, list[float]]:
    """Train on the result of `pictures`; return the backbone, and the mean loss of each epoch."""
    import torch
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
    from PIL import Image
    from torchvision.models import resnet18

    for seed in (torch.manual_seed, np.random.seed, random.seed):  # lightly's views draw from all three
        seed(plan.seed)
    files = [Image.fromarray(each).convert("RGB") for each in drawn]
    transform, criterion = views_of(plan), NegativeCosineSimilarity()
    backbone = resnet18(weights=None)
    backbone.fc = torch.nn.Identity()
    projection = SimSiamProjectionHead(512, *WIDTHS[:2])
    prediction = SimSiamPredictionHead(WIDTHS[1], WIDTHS[2], WIDTHS[1])
    model = torch.nn.ModuleList([backbone, projection, prediction]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), plan.rate, plan.momentum, weight_decay=plan.weight_decay)
    curve = []
    for _ in range(plan.epochs):
        order, losses = np.random.permutation(len(files)), []
        for first in range(0, len(order) - plan.batch + 1, plan.batch):
            views = [transform(files[row]) for row in order[first : first + plan.batch]]
            one, other = (projection(backbone(torch.stack(each))) for each in zip(*views, strict=True))
            loss = criterion(prediction(one), other.detach()) + criterion(prediction(other), one.detach())
            optimizer.zero_grad()
            (loss / 2).backward()
            optimizer.step()
            losses.append(loss.item() / 2)
        curve.append(float(np.mean(losses)))
    return backbone.eval(), curve


def whole(backbone: nn.Module, side: int, limits: tuple[np.ndarray, np.ndarray], pixels: int) -> nn.Module:
    """Return a network from images (n, channels, side, side) to features, with the steps of `pictures` and lightly."""
    import torch

    rows, columns = mosaic(len(limits[0]))

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            constants = {
                "low": limits[0],
                "range": limits[1] - limits[0],
                "down": resizing(rows * side, pixels),
                "across": np.ascontiguousarray(resizing(columns * side, pixels).T),
                "mean": np.array(MEAN).reshape(1, 3, 1, 1),
                "std": np.array(STD).reshape(1, 3, 1, 1),
            }
            for name, values in constants.items():
                self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            scaled = ((images - self.low) / self.range).clamp(0, 1)
            grid = scaled.reshape(-1, rows, columns, side, side).transpose(2, 3)
            picture = self.down @ grid.reshape(-1, 1, rows * side, columns * side) @ self.across
            return self.backbone((picture.expand(-1, 3, -1, -1) - self.mean) / self.std)

    return Whole().eval()


def exported(network: nn.Module, recipe: Recipe) -> Encoder:
    """Return the network as an encoder of images of the recipe."""
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch's exporter
        path = Path(folder) / "paper.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(2, *recipe.shape),),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
        return import_onnx(path, recipe, name="paper")


def departures(plan: PaperPlan, n: int, channels: int) -> list[str]:
    """Return the differences from the paper, and what the paper does not give."""
    steps = plan.epochs * (min(n, plan.most or n) // plan.batch)
    found = [
        f"It made {steps} steps; the paper about 550, ten epochs of more than 3,500 images.",
        "Trained on all images that it is given; the paper on a random 70 % of its own.",
        "How strongly brightness and contrast change and the widths of the heads are lightly's: not published with it.",
        "Images are made by this package's recipe, each channel scaled to 0 to 1; the paper's is not published.",
    ]
    if channels > 1:
        found.append(f"The {channels} channels lie side by side in one picture; the paper had one plane.")
    if plan.pixels != PAPER_PIXELS:
        found.append(f"Pictures of {plan.pixels} px, blur in proportion; the paper {PAPER_PIXELS} px.")
    if plan.most is not None and plan.most < n:
        found.append(f"Trained on {plan.most} of {n} images, spread evenly.")
    return found


def paper_encoder(images: np.ndarray, recipe: Recipe, plan: PaperPlan, data: str) -> Encoder:
    """Train on images (n, channels, pixels, pixels) as in the paper, with a card that lists differences."""
    chosen = images if plan.most is None else images[thin(np.arange(len(images)), plan.most)]
    limits = contrast(chosen)
    network, losses = trained(pictures(chosen, *limits), plan)
    encoder = exported(whole(network, recipe.shape[1], limits, plan.pixels), recipe)
    report = collapse_report(encoder.encode(chosen[:1024]))
    training: dict[str, Any] = {
        "data": [data],
        "n_samples": len(chosen),
        "steps": plan.epochs * (len(chosen) // plan.batch),
        "plan": asdict(plan),
        "losses": losses,
        "std_of_normalized": report.std_of_normalized,
        "effective_rank": report.effective_rank,
    }
    card = replace(
        encoder.card,
        method="simsiam",
        description=f"The recipe of Smith et al. (2024), trained on {len(chosen)} images of {data}, seed {plan.seed}.",
        training=training,
        known_failures=departures(plan, len(images), recipe.shape[0]),
    )
    return replace(encoder, card=card)


def write(data: DataSet, images: np.ndarray, plan: PaperPlan, folder: Path) -> None:
    """Train with one seed and save, unless the folder exists."""
    if (folder / CARD).is_file():
        print(f"{folder}: exists already", flush=True)
        return
    began = time.perf_counter()
    encoder = paper_encoder(images, data.recipe, plan, data.title)
    save_encoder(encoder, folder)
    record, seconds = encoder.card.training, time.perf_counter() - began
    shown = plan.epochs * record["n_samples"] / seconds
    print(
        f"{data.name} seed {plan.seed}: {record['n_samples']} images, {seconds:.0f} s, {shown:.1f} images/s, "
        f"loss {record['losses'][0]:.3f} to {record['losses'][-1]:.3f}, effective rank {record['effective_rank']:.1f}",
        flush=True,
    )


def main() -> None:
    """Train for each data set and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the real files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pixels", type=int, default=PAPER_PIXELS)
    parser.add_argument("--most", type=int, help="images to train on; all by default")
    parser.add_argument("--only", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=PaperPlan.epochs)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--projected", action="store_true", help="also for the projected frames of nights")
    parser.add_argument("--quick", action="store_true", help="the small simulated sets of retrieval --quick")
    choice = parser.parse_args()
    import torch

    torch.set_num_threads(choice.threads)
    for name in choice.only:
        try:
            for data in make_data_sets(name, Plan(quick=choice.quick, data=choice.data)):
                if data.name == name or choice.projected:
                    images = data.draw(data.recipe)
                    for seed in range(choice.seeds):
                        plan = PaperPlan(choice.pixels, choice.most, seed, choice.epochs)
                        write(data, images, plan, choice.out / data.name / f"seed{seed}")
        except DataUnavailable as reason:
            print(f"{name}: left out, {reason}")


if __name__ == "__main__":
    main()
