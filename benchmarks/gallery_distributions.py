"""Pictures of every simulated plasma state, and of three states of the real bow shock, in all planes.

python -m benchmarks.gallery_distributions FOLDER [--real DATA]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.data_sets.edr import distributions_of
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import Distributions, distributions
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS, INSTRUMENTS
from pyspedas_similarity.simulate.fpi import simulate_event

EVENTS = range(6)
SHOCK = "mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
# Field-aligned planes for ions too: simulated ions have a field.
IONS = DistributionRecipe(
    planes=ELECTRONS.planes, speed_unit="thermal", speed_max=4.0, depth=1, subtract_velocity=True,
    density_unit="thermal", floor=1e-3, ceiling=1.0, agyrotropy=True,
)  # fmt: skip


def states(species: str) -> dict[str, Distributions]:
    """Return the middle sample of the longest stay in each state, over some events."""
    longest: dict[str, tuple[int, Distributions]] = {}
    for seed in EVENTS:
        event = simulate_event(seed=seed, species=species, duration_s=12.0)
        borders = np.flatnonzero(event.region[1:] != event.region[:-1]) + 1
        for run in np.split(np.arange(len(event.region)), borders):
            state, middle = str(event.region[run[0]]), run[len(run) // 2]
            if len(run) > longest.get(state, (0, None))[0]:
                longest[state] = len(run), distributions_of(event).part(np.array([middle]))
    return {state: part for state, (_, part) in sorted(longest.items())}


def real_states(folder: Path) -> dict[str, Distributions]:
    """Return samples upstream, in the ramp and downstream of the bow shock."""
    import cdflib

    with cdflib.CDF(folder / SHOCK) as cdf:
        density, azimuth, polar, energy = (cdf.varget(f"mms1_dis_{k}_brst") for k in ("dist", "phi", "theta", "energy"))
    whole = distributions(density, azimuth, polar, energy)
    return {name: whole.part(np.array([i])) for name, i in (("upstream", 300), ("ramp", 660), ("downstream", 740))}


def draw(parts: dict[str, Distributions], recipe: DistributionRecipe, title: str, path: Path) -> None:
    """Draw one column for each state, one row for each plane."""
    rows = [*recipe.planes, *(["agyrotropy"] if recipe.agyrotropy else [])]
    figure = Figure(figsize=(1.7 * len(parts) + 0.8, 1.75 * len(rows) + 0.8), layout="constrained")
    panels = figure.subplots(len(rows), len(parts), squeeze=False)
    edge = recipe.speed_max
    for column, (state, part) in enumerate(parts.items()):
        image = distribution_images(part, recipe)[0]
        for row, plane in enumerate(rows):
            panel = panels[row, column]
            scale = {"cmap": "RdBu_r", "vmin": -0.3, "vmax": 0.3} if plane == "agyrotropy" else {"vmin": 0, "vmax": 1}
            drawn = panel.imshow(image[row], origin="lower", extent=(-edge, edge, -edge, edge), **scale)
            panel.set_facecolor("0.85")  # where nothing was measured
            if column == len(parts) - 1:
                figure.colorbar(drawn, ax=list(panels[row]), pad=0.01).ax.tick_params(labelsize=6)
            panel.axhline(0, color="0.6", linewidth=0.3)
            panel.axvline(0, color="0.6", linewidth=0.3)
            panel.set_xticks([-edge / 2, 0, edge / 2])
            panel.set_yticks([-edge / 2, 0, edge / 2])
            panel.tick_params(labelsize=6, labelbottom=row == len(rows) - 1, labelleft=column == 0)
            if column == 0:
                panel.set_ylabel(plane, fontsize=8)
        panels[0, column].set_title(state.replace("_", "\n"), fontsize=8)
    unit = "thermal speeds" if recipe.speed_unit == "thermal" else "km/s"
    figure.suptitle(title, fontsize=10)
    about = f"{unit}; first axis to the right, second upward; colors: logarithm of f, 0 at the floor, 1 at the ceiling"
    figure.supxlabel(about, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    draw(states("electron"), ELECTRONS, "Simulated electrons", chosen.folder / "simulated_electrons.png")
    draw(states("ion"), IONS, "Simulated ions", chosen.folder / "simulated_ions.png")
    if chosen.real:
        shock = real_states(chosen.real)
        draw(shock, INSTRUMENTS["mms_dis"].recipe, "MMS1 ions, 2020-11-19", chosen.folder / "real_ions.png")


if __name__ == "__main__":
    main()
