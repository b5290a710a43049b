"""Speed of training compared with the published loop, in one run.

    python -m benchmarks.bench_training [--output FILE]

The published loop is that of `paper_recipe`: SimSiam of lightly, ResNet-18, three equal channels of 256 px, batches of
64. Images are random numbers, since their content does not change the time. Each line is an epoch after a first one,
without loading of data and without the export at the end of a training.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.networks.trials import METHODS
from benchmarks.paper_recipe import PaperPlan, trained
from benchmarks.timing import Output, rates
from pyspedas_similarity.encoder.training import TrainingPlan, train_network

BATCH, REPEATS = 64, 1
CASES = (("electrons", 4, 32, "compact"), ("frames", 1, 128, "compact"), ("electrons", 4, 32, "resnet18"))
"""Kind of image, channels, pixels and network."""

BATCHES = {"compact": 8, "resnet18": 2}


def cases() -> Iterator[tuple[str, int, int, str, tuple[float, float]]]:
    """Yield the published loop and `CASES` with images per second of an epoch, by clock and by processor."""
    rng, plan = np.random.default_rng(0), PaperPlan(epochs=1)
    drawn = rng.integers(0, 256, (BATCH, plan.pixels, plan.pixels), np.uint8)
    yield "published", 3, plan.pixels, "resnet18", rates(lambda: trained(drawn, plan), BATCH, REPEATS)
    for kind, channels, pixels, backbone in CASES:
        images = rng.random((BATCH * BATCHES[backbone], channels, pixels, pixels), np.float32)
        own = TrainingPlan(
            method="simsiam", backbone=backbone, epochs=1, batch_size=BATCH, views=METHODS["simsiam"].plan.views
        )
        yield (
            kind,
            channels,
            pixels,
            backbone,
            rates(lambda i=images, p=own: train_network(i, p, False), len(images), REPEATS),
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE")
    say = Output(parser.parse_args().output)
    say(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Images a second in an epoch of training, and times the"
    )
    say("published loop: by clock, by processor.")
    say(f"{'':12s}{'channels':>9s}{'pixels':>7s}  {'network':10s}{'clock':>8s}{'proc.':>8s}{'clock':>8s}{'proc.':>8s}")
    base: tuple[float, float] | None = None
    for kind, channels, pixels, network, found in cases():
        base = base or found
        ratio = "".join(f"{one / other:8.1f}" for one, other in zip(found, base, strict=True))
        say(f"{kind:12s}{channels:9d}{pixels:7d}  {network:10s}{found[0]:8.1f}{found[1]:8.1f}{ratio}")


if __name__ == "__main__":
    main()
