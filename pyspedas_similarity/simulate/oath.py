"""A folder of simulated pictures in the layout of the Oslo Auroral THEMIS (OATH) data set, with classes and origin."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ArgumentError
from .allsky import SimulatedNight, simulate_nights
from .stations import NightOptions

# Pictures are the middle of the frames, without the lowest elevations, and their brightness is stretched.
_CROPPED, _STRETCH = 0.85, (1.0, 99.5)
_NIGHT_S = 600.0
_OPTIONS = NightOptions(conditions=("clear", "cloud", "clear", "moon", "clear"))
_CLASSES = ("arc", "diffuse", "discrete", "cloudy", "moon", "noaurora")
_LABELS = {"quiet": "noaurora", "arc": "arc", "patches": "diffuse", "glow": "diffuse"}
_LEAST_VISIBLE = 0.1  # share of the light of a structure below which it is not seen
_LICENSE = "-" * 79 + "\nSimulated pictures: no camera took them. The layout is that of OATH.\n" + "-" * 79 + "\n"


@dataclass(frozen=True)
class SimulatedPicture:
    """One picture: 8 bits (rows, columns), station, time and class."""

    pixels: np.ndarray
    station: str
    time: np.datetime64
    label: str


def write_oath(
    folder: str | Path,
    n: int = 720,
    seed: int = 0,
    sites: Sequence[str] = ("fsmi", "fsim"),
    size: int = 256,
    cadence_s: float = 10.0,
) -> Path:
    """Write pictures of simulated nights, on which the cameras see the same aurora at the same times.

    Parameters
    ----------
    folder : str or Path
        New or empty.
    n : int
        Number of pictures, of all stations together. Of a night they are ten minutes.
    seed : int
        Also of the random numbers of the pictures, which are in no order of time.
    sites : sequence of str
        Codes of THEMIS stations that are close together.
    size : int
        Pixels along each side, at least 16.
    cadence_s : float
        Seconds between the pictures of a station.

    Returns
    -------
    Path
        The folder: ``images/cropped_scaled/NNNNN.png`` in gray as RGB, ``images/files_origin.csv`` (``picNum``,
        ``station``, ``time``) and ``classifications/classifications.csv``.

    Raises
    ------
    ArgumentError
        If an argument is invalid, or the folder is not empty.
    """
    folder = Path(folder)
    if n < 1 or size < 16:
        raise ArgumentError("n, size", f"found {n!r} and {size!r}", "Give at least 1 picture of 16 pixels.")
    if folder.exists() and any(folder.iterdir()):
        raise ArgumentError("folder", f"{folder} is not empty", "Give another one.")
    rng = np.random.default_rng(seed)
    numbers, angles = rng.permutation(n) + 1, rng.integers(0, 360, n)
    rows = []
    for number, picture in zip(numbers, simulated_pictures(seed, sites, size, cadence_s), strict=False):
        _write_picture(folder / "images" / "cropped_scaled" / f"{number:05d}.png", picture.pixels)
        rows.append((int(number), picture.station, str(picture.time), picture.label))
    origin, classes = [("picNum", "station", "time")], [("class2", "class6", "picNum", "picType", "rotAng")]
    for (number, station, time, label), angle in zip(sorted(rows), angles, strict=True):
        six = _CLASSES.index(label)
        origin.append((f"{number:05d}", station, time))
        classes.append((int(six > 2), six, f"{number:05d}", label, f"{angle:03d}"))
    _write_table(folder / "images" / "files_origin.csv", origin, "")
    _write_table(folder / "classifications" / "classifications.csv", classes, _LICENSE)
    return folder


def simulated_pictures(seed: int, sites: Sequence[str], size: int, cadence_s: float) -> Iterator[SimulatedPicture]:
    """Yield pictures of one night after another, without end; at each time those of all stations."""
    night, whole = 0, round(size / _CROPPED)
    while True:
        start = np.datetime64("2020-01-01T06:00:00", "ns") + np.timedelta64(night, "D")
        nights = simulate_nights(start, _NIGHT_S, seed + 1000 * night, sites, cadence_s, whole, _OPTIONS)
        for i in range(len(next(iter(nights.values())).times)):
            yield from (_picture(one, i, size) for one in nights.values())
        night += 1


def _picture(night: SimulatedNight, i: int, size: int) -> SimulatedPicture:
    edge = (night.camera.size - size) // 2
    part = night.frames[i, edge : edge + size, edge : edge + size].astype(np.float32)
    low, high = np.percentile(part, _STRETCH)
    pixels = np.rint(np.clip((part - low) / max(high - low, 1.0), 0, 1) * 255).astype(np.uint8)
    condition, kind = str(night.condition[i]), str(night.kind[i])
    label = {"cloud": "cloudy", "moon": "moon"}.get(condition)
    if label is None:
        label = _LABELS.get(kind, "discrete") if night.visible[i] >= _LEAST_VISIBLE else "noaurora"
    return SimulatedPicture(pixels, night.site, night.times[i], label)


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(path, compress_level=1)


def _write_table(path: Path, rows: Sequence[Sequence[object]], above: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(above)
        csv.writer(file, lineterminator="\n").writerows(rows)
