"""Errors and speed of the frame quality gate on simulated nights.

    python -m benchmarks.bench_gate [--real FOLDER]

Thresholds were chosen on other nights (seeds below 700) and on the real files that --real adds. All other data are
simulated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from pyspedas_similarity.imaging.frame_quality import FLAGS, FrameQuality, assess_frames
from pyspedas_similarity.instruments.asi_files import read_cdf, read_stream
from pyspedas_similarity.simulate.allsky import SimulatedNight, simulate_nights
from pyspedas_similarity.simulate.stations import NightOptions

START = np.datetime64("2015-01-01", "ns")
SEEDS, SITES = range(700, 706), ("gill", "snkq", "fsmi")
DURATION_S, CADENCE_S = 3600.0, 30.0
SPOILED = NightOptions(dropped=0.02, duplicate=0.02, saturated=0.02)
# A structure counts as seen if this share of its light is above 20 degrees elevation.
SEEN = 0.3


def sky_of(night: SimulatedNight) -> np.ndarray:
    """Return the kind of aurora at a station: 'aurora', 'low' (near or below the horizon), 'glow' or 'none'."""
    sky = np.where(night.visible > SEEN, "aurora", "low")
    return np.where(night.kind == "quiet", "none", np.where(night.kind == "glow", "glow", sky))


def row(title: str, gate: FrameQuality) -> str:
    counts = "".join(f"{(gate.flag == flag).sum():11d}" for flag in FLAGS.values())
    return f"{title:28s}{len(gate.flag):6d}{counts}{(gate.usable & gate.active).sum():11d}"


def simulated_table() -> None:
    nights = [
        night
        for seed in SEEDS
        for night in simulate_nights(START, DURATION_S, seed, SITES, CADENCE_S, options=SPOILED).values()
    ]
    began = time.process_time()
    gate = FrameQuality.joined([assess_frames(night.frames) for night in nights])
    spent = (time.process_time() - began) / len(gate.flag)
    condition = np.concatenate([night.condition for night in nights])
    sky = np.concatenate([sky_of(night) for night in nights])
    for state in ("clear", "moon", "twilight", "cloud"):
        for aurora in ("aurora", "low", "glow", "none"):
            chosen = (condition == state) & (sky == aurora)
            print(row(f"simulated, {state}, {aurora}", gate.at(chosen)))
    for state in ("saturated", "dropped", "duplicate"):
        print(row(f"simulated, {state}", gate.at(condition == state)))
    print(f"\n{spent * 1e3:.2f} ms of processor time a frame of 256 x 256")


def real_table(data: Path) -> None:
    movie = np.load(data / "asi/thg_asf_fsmi_20150326_movie.npz")
    streams = [data / f"asi/20140310_060{i}_gill_themis19_full.pgm.gz" for i in range(3)]
    real = {
        "gako 2011, clear": read_cdf(data / "asi/thg_l1_asf_gako_2011010617_v01.cdf").values,
        "gill 2014, cloud": read_stream(streams).values,
        "fsmi 2015, aurora": movie[next(key for key in movie.files if key != "times")],
    }
    for title, frames in real.items():
        print(row(f"real, {title}", assess_frames(frames)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path)
    chosen = parser.parse_args()
    names = "".join(f"{name.split()[0]:>11s}" for name in FLAGS)
    print(f"{'truth':28s}{'n':>6s}{names}     active")
    if chosen.real:
        real_table(chosen.real)
    simulated_table()


if __name__ == "__main__":
    main()
