"""Frames per second: reading files, and making images with each step of the recipe on and off.

    python -m benchmarks.bench_frames                   simulated frames
    python -m benchmarks.bench_frames --real FOLDER     also reading, and images of the real frames, in FOLDER/asi

Images are made on up to four cores. The first image of a camera takes longer when it needs a matrix; that is a separate
column.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.timing import fastest
from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.camera_geometry import View
from pyspedas_similarity.imaging.frames import frame_images, running_background
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.imaging.resampling import fitted_disc
from pyspedas_similarity.instruments.asi_files import read_cdf, read_stream

REPEATS = 5
FRAMES = 460
DEFAULT = FrameRecipe()
STEPS = {
    "default": {},
    "  without local contrast": {"contrast_pixels": 0.0},
    "  local contrast of half the width": {"contrast_pixels": 2.0},
    "  overlays": {"overlays": ((0.93, 1.0, 0.0, 0.4), (0.8, 1.0, 0.8, 1.0))},
    "  dark from the corners": {"dark": "corners"},
    "  vignetting": {"vignetting": 0.5},
    "  least elevation": {"least_elevation": 10.0},
    "  fitted circle": {"circle": "fitted"},
    "  background": {"background_s": 600.0},
    "  asinh": {"curve": "asinh"},
    "  sky": {"projection": "sky", "least_elevation": 10.0},
    "  geographic map": {"projection": "geographic", "least_elevation": 10.0},
    "  geomagnetic map": {"projection": "geomagnetic", "least_elevation": 10.0},
    "  64 pixels": {"pixels": 64},
    "  256 pixels": {"pixels": 256},
}


def synthetic_frames() -> np.ndarray:
    """Return smooth brightness with noise inside a disc, 256 x 256, uint16; they take as long as real frames."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.random((8, 256, 256)), (0, 8, 8))
    row, column = np.indices((256, 256)) - 127.5
    light = 3000 + 200000 * (smooth - smooth.min()) * (np.hypot(row, column) < 125)
    return rng.poisson(np.tile(light, (FRAMES // 8 + 1, 1, 1))[:FRAMES]).clip(0, 65535).astype(np.uint16)


def synthetic_view() -> View:
    """Return the view of a lens with the horizon at the edge of the frame."""
    row, column = np.indices((256, 256)) - 127.5
    zenith = np.hypot(row, column) / 128 * 90
    azimuth = np.degrees(np.arctan2(column, -row)) % 360
    return View(62.4, -145.2, azimuth, np.where(zenith <= 90, 90 - zenith, np.nan))


def reading(folder: Path) -> None:
    """Print frames per second of each reader."""
    cdf = folder / "asi/thg_l1_asf_gako_2011010617_v01.cdf"
    streams = sorted((folder / "asi").glob("*_gill_themis19_full.pgm.gz"))
    for name, read in (("CDF of gako", lambda: read_cdf(cdf)), ("streams of gill", lambda: read_stream(streams))):
        count = len(read().values)
        print(f"reading {name:26s} {count / fastest(read, REPEATS):8.0f} frames/s ({count} frames)")
    try:
        from asilib.asi.themis import _load_pgm
    except ImportError:
        print("asilib cannot be imported here: its loading is not measured")
        return
    count = sum(len(_load_pgm(path)[1]) for path in streams)
    seconds = fastest(lambda: [_load_pgm(path) for path in streams], REPEATS)
    print(f"reading streams of gill with asilib {count / seconds:8.0f} frames/s ({count} frames)")


def steps(name: str, frames: np.ndarray, view: View) -> None:
    """Print frames per second for each step, and the difference to the default."""
    times = np.datetime64("2015-03-26T06:00:00", "ns") + np.arange(len(frames)) * np.timedelta64(3, "s")
    size = f"{frames.shape[1]} x {frames.shape[2]} {frames.dtype}"
    print(f"images of {len(frames)} {name} frames, {size}, {os.cpu_count()} cores")
    reference = None
    for title, changes in STEPS.items():
        recipe = replace(DEFAULT, **changes)
        began = time.perf_counter()
        try:
            disc = fitted_disc(frames) if recipe.circle == "fitted" else None
        except VariableError as error:
            print(f"{title:36s} {error}")
            continue
        background = running_background(frames, times, recipe, view) if recipe.background_s else None
        level = None if background is None else background.at(times)
        frame_images(frames[:1], recipe, view, None if level is None else level[:1], disc)
        first = time.perf_counter() - began

        def make(recipe: FrameRecipe = recipe, background=background, disc=disc) -> np.ndarray:
            level = None if background is None else background.at(times)
            return frame_images(frames, recipe, view, level, disc)

        each = fastest(make, REPEATS) / len(frames)
        reference = reference or each
        extra = f"{1e3 * (each - reference):+6.2f} ms" if title != "default" else ""
        print(f"{title:36s} {1 / each:6.0f} frames/s {1e3 * each:6.2f} ms a frame {extra:10s} once {first:5.2f} s")
        sys.stdout.flush()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, metavar="FOLDER")
    folder = parser.parse_args().real
    view = synthetic_view()
    if folder:
        reading(folder)
        with np.load(folder / "asi/thg_asf_fsmi_20150326_movie.npz", allow_pickle=False) as file:
            steps("real (fsmi)", file["frames"], view)
        streams = sorted((folder / "asi").glob("*_gill_themis19_full.pgm.gz"))
        steps("real (gill)", read_stream(streams).values, view)
    steps("simulated", synthetic_frames(), view)


if __name__ == "__main__":
    main()
