"""Speed of encoders compared with the published loop, in one run, and the best batch size.

    python -m benchmarks.bench_inference speed [--output FILE]     every backbone, shape and precision
    python -m benchmarks.bench_inference default [--output FILE]   encoders that need no training
    python -m benchmarks.bench_inference batches [--output FILE]   images at once and threads
    python -m benchmarks.bench_inference samples [--output FILE]   from what is stored to embeddings, default encoder

The published loop is torchvision's ResNet-18, three channels of 256 px, eager, in batches of 64, in evaluation mode and
without gradients. Ours is `Encoder.encode` from images with NaN to unit embeddings, in a separate process that never
imports torch; its peak memory includes Python, the libraries, the encoder and the images. Networks have random weights
and images are simulated. Each figure is the best of several tries. In addition to clock time, processor time is given,
summed over cores, which depends little on other work on the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.data_sets.edr import make_edr
from benchmarks.data_sets.sky import Frames, simulate
from benchmarks.timing import Output, rates, resident_kb
from pyspedas_similarity.encoder import runtime
from pyspedas_similarity.encoder.fitted import fit_random
from pyspedas_similarity.encoder.fixed import DEFAULT, fixed_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.weights import WEIGHTS, default_encoder, load_encoder, save_encoder
from pyspedas_similarity.imaging.recipes import FrameRecipe

BACKBONES = {"compact": "random_compact", "resnet18": "random"}
PIXELS = (32, 64, 128)
COUNTS = {"compact": 512, "resnet18": 64}
"""Images in one try: enough for about a second."""
PUBLISHED_BATCH, PUBLISHED_PIXELS = 64, 256
TRIES = 3
WITHOUT_TRAINING = (DEFAULT, "hog", "pixels")
TORCH = ("torch", "torchvision", "lightly")


def published() -> tuple[float, float]:
    """Return the speed of the published loop, on the default number of threads or one, whichever is faster.

    Several threads spin while they wait for each other, which is slow next to other work.
    """
    import torch
    from torchvision.models import resnet18

    network = resnet18(weights=None).eval()
    network.fc = torch.nn.Identity()
    batch = torch.rand(PUBLISHED_BATCH, 3, PUBLISHED_PIXELS, PUBLISHED_PIXELS)
    default, found = torch.get_num_threads(), []
    with torch.no_grad():
        for threads in (default, 1):
            torch.set_num_threads(threads)
            found.append(rates(lambda: network(batch), PUBLISHED_BATCH, TRIES))
    torch.set_num_threads(default)
    return tuple(map(max, zip(*found, strict=True)))


@cache
def two_nights() -> Frames:
    """Simulate two nights at two stations."""
    return simulate(2, 180.0, 3.0, 128)


def frames(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated frames of one night, and of another."""
    sky = two_nights()
    images = sky.images(FrameRecipe(pixels=pixels))
    return images[sky.night == 0], images[sky.night == 1]


def distributions(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated electron distributions of one event, and of another."""
    data = make_edr(events=2, duration_s=3.6)
    images = data.draw(replace(data.recipe, pixels=pixels))
    return images[data.group == data.group[0]], images[data.group != data.group[0]]


def against_torch(encoder: Encoder, backbone: str, images: np.ndarray) -> float:
    """Return the largest difference between embeddings of ONNX Runtime and of torch."""
    import torch
    from safetensors.numpy import load

    from pyspedas_similarity.encoder.backbone import build_backbone

    network = build_backbone(backbone, images.shape[1])
    network.load_state_dict({key: torch.from_numpy(value) for key, value in load(encoder.files[WEIGHTS]).items()})
    with torch.no_grad():
        features = network.eval()(torch.from_numpy(runtime.fill(images)[0])).numpy()
    return float(np.abs(encoder.encode(images) - runtime.unit_length(features)).max())


def encoders(backbone: str, channels: int, pixels: int) -> Iterator[tuple[str, Encoder, str]]:
    """Yield a network with random weights, and in words how far it agrees with torch."""
    known, other = (frames if channels == 1 else distributions)(pixels)
    kind = "frame" if channels == 1 else "distribution"
    encoder = fit_random(known, kind, BACKBONES[backbone])
    yield "float32", encoder, f"{against_torch(encoder, backbone, other[:64]):.0e} from torch"


def in_process(
    folder: Path,
    count: int,
    batch: int = 0,
    threads: int = 0,
    spin: bool = False,
    shape: tuple[int, int] = (0, 0),
) -> dict[str, float]:
    """Run `alone` in a separate process; 0 for default settings, and for channels and pixels that the card states."""
    given = {"batch": batch, "threads": threads, "spin": spin, "shape": shape}
    settings = json.dumps({"folder": str(folder), "count": count, **given})
    # Without the number of threads that some shells set.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_"))}
    command = [sys.executable, "-m", "benchmarks.bench_inference", "alone", settings]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def alone(folder: str, count: int, batch: int, threads: int, spin: bool, shape: list[int]) -> dict[str, float]:
    """Return images per second and peak memory of this process, which must not import torch."""
    if threads or spin:
        _settings(threads, spin)
    encoder = load_encoder(folder)
    channels, pixels = encoder.card.channels or shape[0], encoder.card.pixels or shape[1]
    images = np.random.default_rng(0).random((count, channels, pixels, pixels), np.float32)
    images[:, :, :2] = np.nan
    options = {"batch": batch} if batch else {}
    clock, processor = rates(lambda: encoder.encode(images, **options), count, TRIES)
    found = [name for name in TORCH if name in sys.modules]
    if found:
        raise SystemExit(f"imported {', '.join(found)}")
    return {"clock": clock, "processor": processor, "peak": resident_kb() / 1024}


def _settings(threads: int, spin: bool) -> None:
    """Change the settings of sessions opened from now on."""
    import onnxruntime

    def open_session(onnx: bytes, source: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    runtime.open_session = open_session


def speed(say: Output) -> None:
    """Print the table of backbones and shapes."""
    base = _first_line(say, "backbone")
    for backbone, channels, pixels in itertools.product(BACKBONES, (1, 4), PIXELS):
        if channels == 4 and pixels > 64:
            continue  # no recipe of distributions is that large
        for precision, encoder, agreement in encoders(backbone, channels, pixels):
            with tempfile.TemporaryDirectory() as folder:
                found = in_process(save_encoder(encoder, Path(folder) / "encoder"), COUNTS[backbone])
            say(f"{backbone:14s} {channels:2d} {pixels:4d} {precision:8s} {_numbers(found, base)}  {agreement}")


def _first_line(say: Output, column: str) -> tuple[float, float]:
    """Print the head of a table and the published loop, and return its images per second."""
    base = published()
    say(f"{os.cpu_count()} cores. Images a second by clock and processor, times the published loop, peak memory (MB).")
    say(f"{column:14s} {'ch':>2s} {'px':>4s} {'':8s} {'clock':>7s} {'proc.':>7s} {'x':>6s} {'x':>6s} {'MB':>5s}")
    say(f"{'published':14s} {3:2d} {PUBLISHED_PIXELS:4d} {'eager':8s} {base[0]:7.1f} {base[1]:7.1f} {1:6.1f} {1:6.1f}")
    return base


def _numbers(found: dict[str, float], base: tuple[float, float]) -> str:
    ratio = found["clock"] / base[0], found["processor"] / base[1]
    speed = f"{found['clock']:7.0f} {found['processor']:7.0f} {ratio[0]:6.1f} {ratio[1]:6.1f}"
    return f"{speed} {found['peak']:5.0f}"


def default(say: Output) -> None:
    """Print the table of the encoders that need no training, each on images of two kinds."""
    base = _first_line(say, "encoder")
    for name, (channels, pixels) in itertools.product(WITHOUT_TRAINING, ((1, 128), (4, 32))):
        kind = "frame" if channels == 1 else "distribution"
        with tempfile.TemporaryDirectory() as folder:
            where = save_encoder(fixed_encoder(name, kind), Path(folder) / "encoder")
            found = in_process(where, COUNTS["compact"], shape=(channels, pixels))
        say(f"{name:14s} {channels:2d} {pixels:4d} {'float64':8s} {_numbers(found, base)}")


def batches(say: Output) -> None:
    """Print the table of batch sizes and threads."""
    say(f"{os.cpu_count()} cores, one channel, float32. Images a second by clock and processor, peak memory (MB).")
    say(f"{'backbone':9s} {'px':>4s} {'batch':>6s} {'threads':>21s} {'clock':>7s} {'proc.':>7s} {'MB':>5s}")
    default = (0, False)
    for backbone, pixels in itertools.product(BACKBONES, (64, 128)):
        with tempfile.TemporaryDirectory() as folder:
            encoder = fit_random(frames(pixels)[0], "frame", BACKBONES[backbone])
            where = save_encoder(encoder, Path(folder) / "encoder")
            middle = 2**18 // pixels**2
            tried = [(batch, *default) for batch in (4, 16, 64, 256)] + [(middle, 1, False), (middle, 0, True)]
            for batch, threads, spin in tried:
                found = in_process(where, 256, batch, threads, spin)
                words = f"{threads or 'one a core'}{', spinning' if spin else ''}"
                numbers = f"{found['clock']:7.0f} {found['processor']:7.0f} {found['peak']:5.0f}"
                say(f"{backbone:9s} {pixels:4d} {batch:6d} {words:>21s} {numbers}")


def samples(say: Output) -> None:
    """Print how long a frame and a distribution take from what is stored to an embedding, by the default recipes."""
    # Here, so that the memory of other tables is that of an encoder.
    from benchmarks.bench_distributions import electrons
    from benchmarks.bench_frames import synthetic_frames
    from pyspedas_similarity.imaging.distributions import distribution_images
    from pyspedas_similarity.imaging.frames import frame_images
    from pyspedas_similarity.instruments.registry import INSTRUMENTS

    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Milliseconds a sample by clock and by processor.")
    say(f"{'':14s} {'image':>15s} {'embedding':>15s} {'both':>15s} {'samples/s':>10s}")
    stored, recipe = synthetic_frames(), FrameRecipe()
    measured, plane = electrons(12.0)[1], INSTRUMENTS["mms_des"].recipe
    for of_kind, make in (
        (recipe, lambda: frame_images(stored, recipe)),
        (plane, lambda: distribution_images(measured, plane)),
    ):
        kind = of_kind.kind
        encoder, images = default_encoder(kind, of_kind.hash), make()
        steps = make, partial(encoder.encode, images), lambda make=make, encoder=encoder: encoder.encode(make())
        found = [1e3 / np.array(rates(step, len(images), 5 * TRIES)) for step in steps]
        numbers = " ".join(f"{clock:7.2f} {processor:7.2f}" for clock, processor in found)
        say(f"{kind:14s} {numbers} {1e3 / found[2][0]:10.0f}")


def main() -> None:
    """Print one of the tables."""
    if sys.argv[1:2] == ["alone"]:
        print(json.dumps(alone(**json.loads(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {"speed": speed, "default": default, "batches": batches, "samples": samples}
    parser.add_argument("table", choices=tables)
    parser.add_argument("--output", type=Path)
    choice = parser.parse_args()
    tables[choice.table](Output(choice.output))


if __name__ == "__main__":
    main()
