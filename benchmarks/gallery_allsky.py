"""Pictures of all-sky frames.

    python -m benchmarks.gallery_allsky FOLDER                  simulated: kinds and conditions, keogram and score
    python -m benchmarks.gallery_allsky FOLDER --real DATA      the three real states before and after each step

Simulated ones are those of docs/images. Real ones are not part of the repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments import frames as sources
from pyspedas_similarity.instruments.asi_files import read_cdf, read_skymap, read_stream
from pyspedas_similarity.simulate import allsky
from pyspedas_similarity.simulate.stations import CONDITION_S, LENGTH_S, NightOptions
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-02T06:00:00", "ns")
STEPS = {
    "frame": None,
    "mask, stretch": FrameRecipe(contrast_pixels=0),
    "asinh": FrameRecipe(contrast_pixels=0, curve="asinh"),
    "local contrast": FrameRecipe(),
    "background taken off": FrameRecipe(background_s=600, contrast_pixels=0),
    "sky": FrameRecipe(projection="sky", least_elevation=10, contrast_pixels=0),
    "map, 110 km": FrameRecipe(projection="geographic", contrast_pixels=0),
}


def kinds_and_conditions() -> dict[str, np.ndarray]:
    """Return a simulated frame of each kind under a clear sky, and of each condition without aurora."""
    shown = {}
    for kind in [name for name in LENGTH_S if name != "quiet"]:
        options = NightOptions((kind,), conditions=("clear",))
        night = allsky.simulate_nights(START, 90.0, 7, ("fsmi",), cadence_s=30.0, options=options)["fsmi"]
        shown[kind.replace("_", " ")] = night.frames[2]
    for condition in CONDITION_S:
        options = NightOptions(("quiet",), conditions=(condition,))
        night = allsky.simulate_nights(START, 150.0, 7, ("fsmi",), cadence_s=30.0, options=options)["fsmi"]
        shown[f"quiet, {condition}"] = night.frames[-1]
    return shown


def draw_sheet(path: Path, shown: Mapping[str, np.ndarray], columns: int, title: str) -> None:
    """Draw frames side by side, scaled from percentile 1 to 99.7."""
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns, 2.5 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, image) in zip(axes.flat, shown.items(), strict=False):
        low, high = np.nanpercentile(image, (1, 99.7))
        axis.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
        axis.set_title(name, fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def keogram_and_score(path: Path) -> None:
    """Draw a simulated night above Fort Smith, as in docs/allsky.rst."""
    names = allsky.load(["2020-01-02/06:00", "2020-01-02/06:12"], probe=["fsmi", "fsim"], seed=4)
    flag, activity = sim.frame_quality(names[0])
    usable = (pyspedas.get_data(flag).y == 0) & (pyspedas.get_data(activity).y >= 1)
    query = pyspedas.get_data(names[0], dt=True).times[np.flatnonzero(usable)[10]]
    found = sim.find_similar(names, like=query, k=3, active_only=True)
    shown = [*sim.keogram(names[0], height_km=110), flag, activity, *found[:2]]
    pyspedas.timebar(str(query), color="red")
    pyspedas.tplot_options("title", "simulated night above Fort Smith")
    pyspedas.tplot(shown, save_png=str(path.with_suffix("")), display=False, xsize=9, ysize=8)


def real_states(folder: Path, data: Path) -> None:
    """Draw each step for a frame of each of the three real states."""
    cdf = read_cdf(data / "asi/thg_l1_asf_gako_2011010617_v01.cdf")
    sky = read_skymap(data / "asi/themis_skymap_gako_20110305.sav").turned()
    clear = Variable(cdf.name, cdf.times, cdf.values, attributes={**cdf.attributes, "skymap": sky})
    cloud = read_stream([data / f"asi/20140310_060{i}_gill_themis19_full.pgm.gz" for i in range(3)])
    movie = np.load(data / "asi/thg_asf_fsmi_20150326_movie.npz")
    active = Variable("thg_asf_fsmi", movie["times"], movie[next(key for key in movie.files if key != "times")])
    for name, variable, row in (("clear", clear, 10), ("cloud", cloud, 30), ("active", active, 230)):
        draw_sheet(folder / f"real_{name}.png", steps(variable, row), len(STEPS), f"{variable.name}, {name}")


def steps(variable: Variable, row: int) -> dict[str, np.ndarray]:
    """Return one frame after each step that its variable allows."""
    shown = {}
    frames, view = sources.north_up(variable)
    for title, recipe in STEPS.items():
        if recipe is None:
            shown[title] = frames[row]
        elif view is not None or not recipe.needs_view:
            shown[title] = sources.images(sources.prepared(variable, recipe), slice(row, row + 1), recipe)[0, 0]
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.real:
        real_states(chosen.folder, chosen.real)
        return
    draw_sheet(chosen.folder / "simulated_skies.png", kinds_and_conditions(), 6, "simulated frames, Fort Smith")
    keogram_and_score(chosen.folder / "simulated_keogram.png")


if __name__ == "__main__":
    main()
