"""Speed of training compared with the published loop, in one run.

    python -m benchmarks.bench_training [--threads N] [--steps N] [--batches N ...] [--output FILE]

The published loop is lightly's ``SimSiamTransform`` on 256 px images through PIL and an eager torchvision ResNet-18 of
three channels in batches of 64. Ours are whole steps as `train_network` takes them: images from the library, two views,
both forward passes, the loss, the backward pass and the optimizer; SimSiam for both. Images are noise, since
speed does not depend on their contents. Each figure is the best of several steps. In addition to clock time,
processor time is given, which depends little on other work on the machine (with one thread; several wait for each
other).
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.timing import rates
from pyspedas_similarity.encoder import training
from pyspedas_similarity.encoder.training import TrainingPlan
from pyspedas_similarity.encoder.training_images import make_training_images
from pyspedas_similarity.encoder.views import ViewOptions

REFERENCE_BATCH, REFERENCE_PIXELS = 64, 256
BACKBONES = ("compact", "resnet18")
PIXELS = (32, 64, 128)
BATCHES = (64, 256)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Set the number of threads of torch inside the context."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reference() -> Callable[[], None]:
    """Return a function that takes one step of the published loop."""
    import torch
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
    from lightly.transforms import SimSiamTransform
    from PIL import Image
    from torchvision.models import resnet18

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (REFERENCE_BATCH, REFERENCE_PIXELS, REFERENCE_PIXELS, 3), np.uint8)
    pictures = [Image.fromarray(each) for each in pixels]
    transform = SimSiamTransform(input_size=REFERENCE_PIXELS)
    backbone = resnet18(weights=None)
    backbone.fc = torch.nn.Identity()
    projection, prediction = SimSiamProjectionHead(512, 512, 512), SimSiamPredictionHead(512, 128, 512)
    criterion = NegativeCosineSimilarity()
    model = torch.nn.ModuleList([backbone, projection, prediction])
    optimizer = torch.optim.SGD(model.parameters(), 0.05 * REFERENCE_BATCH / 256, 0.57, weight_decay=5e-4)

    def step() -> None:
        views = [transform(picture) for picture in pictures]
        first, second = (torch.stack([each[number] for each in views]) for number in (0, 1))
        one, other = projection(backbone(first)), projection(backbone(second))
        loss = criterion(prediction(one), other.detach()) + criterion(prediction(other), one.detach())
        optimizer.zero_grad()
        (loss / 2).backward()
        optimizer.step()

    return step


def ours(backbone: str, pixels: int, batch: int, method: str = "simsiam") -> Callable[[], None]:
    """Return a function that takes one training step of this package."""
    images = np.random.default_rng(0).random((batch, 1, pixels, pixels), np.float32)
    plan = TrainingPlan(method=method, backbone=backbone, batch_size=batch, epochs=1000, views=ViewOptions())
    run = training._Run(plan, make_training_images(images), training._device())
    epochs = iter(range(plan.epochs))

    def step() -> None:
        # The library is one batch, so that an epoch is a step.
        training._epoch(run.model, run.optimizer, run.library, plan, next(epochs))

    return step


def main() -> None:
    """Print the table, and write it if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    choice = parser.parse_args()
    rows = []
    with threads(choice.threads):
        base = rates(reference(), REFERENCE_BATCH, choice.steps)
        print(f"{training._device()}, {choice.threads} threads; images per second by clock and processor, and ratios")
        print(f"{'published loop':14s} {256:6d} {64:6d} {base[0]:9.1f} {base[1]:9.1f}", flush=True)
        for backbone, pixels, batch in itertools.product(BACKBONES, PIXELS, choice.batches):
            speed = rates(ours(backbone, pixels, batch), batch, choice.steps)
            rows.append({"backbone": backbone, "pixels": pixels, "batch": batch, "images_per_s": speed})
            ratio = speed[0] / base[0], speed[1] / base[1]
            numbers = f"{speed[0]:9.0f} {speed[1]:9.0f} {ratio[0]:7.1f} {ratio[1]:7.1f}"
            print(f"{backbone:14s} {pixels:6d} {batch:6d} {numbers}", flush=True)
    if choice.output is not None:
        record = {"threads": choice.threads, "reference_images_per_s": base, "ours": rows}
        choice.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
