"""
From one diffusion region to the others
=======================================

An electron distribution with a crescent is a mark of the electron diffusion region (Burch et al. 2016,
`doi:10.1126/science.aaf2939 <https://doi.org/10.1126/science.aaf2939>`_). You know one; you want the others, on all
spacecraft, and then a page to show to colleagues.

**Everything here is simulated**, so that it runs without any file and the truth is known. What changes with real data
is said at the end.
"""

# %%
# Load
# ----
# Eight crossings of a reconnection site, ten minutes apart, each seen by two spacecraft. Two of them have no diffusion
# region: they are the control. The simulator stores what the loaders of MMS FPI and FGM would store, under names that
# begin with ``simulated``.

import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.instruments.companions import find_companions, with_companions
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.instruments.sample_images import images, select
from pyspedas_similarity.simulate import fpi

folder = Path(
    os.environ.get("CASE_STUDY_FOLDER", ".")
)  # where the page of this search goes
scenes = ["event", "event", "event", "control", "event", "event", "control", "event"]

passes = []
for number, scene in enumerate(scenes):
    start = np.datetime64("2020-01-01T00:00:00") + np.timedelta64(10 * number, "m")
    loaded = fpi.load_electrons(
        [start, start + np.timedelta64(8, "s")],
        probe=[1, 2],
        seed=301 + number,
        scene=scene,
        suffix=f"_{number + 1}",
    )
    passes.append(
        loaded[:2]
    )  # the distributions of both spacecraft; what belongs to them is loaded too
names = [name for pair in passes for name in pair]

# %%
# The truth
# ---------
# The simulator knows in which region every sample was taken. It is used to choose a query, as an expert would with the
# time of a published event, and to judge the result; the search does not see it.


def diffusion_region(name: str) -> list[np.datetime64]:
    """Start and end of the diffusion region in a simulated variable; empty where there is none."""
    region = np.array(pyspedas.get_data(name, metadata=True)["simulated"]["region"])
    inside = pyspedas.get_data(name, dt=True).times[region == "edr"]
    return [inside[0], inside[-1] + np.timedelta64(30, "ms")] if inside.size else []


truth = [diffusion_region(name) for name in names if diffusion_region(name)]
start, end = diffusion_region(names[0])
query = start + (end - start) // 2
print(
    f"{len(truth)} passages through a diffusion region in {len(names)} series of distributions"
)
print(f"query: {query} in {names[0]}")

# %%
# Search
# ------
# Every 30 ms of all sixteen series is compared with the query. ``exclude`` leaves out what is near the query in its own
# series. A threshold has to come from somewhere: here from the controls. It lies half way between the best score that
# anything reaches there, and 1, the score of the query itself.

control = [
    name
    for scene, pair in zip(scenes, passes, strict=True)
    if scene == "control"
    for name in pair
]
sim.find_similar(control, like=(names[0], query), suffix="_control", k=1)
best_control = max(
    np.nanmax(pyspedas.get_data(f"{name}_similarity_control").y) for name in control
)
threshold = (1 + best_control) / 2
print(
    f"best score without a diffusion region: {best_control:.3f}; threshold: {threshold:.3f}"
)

found = sim.find_similar(names, like=(names[0], query), threshold=threshold, exclude=2)
table = sim.intervals(found)
table["score"].info.format = ".3f"
print(table["start", "score", "n_samples", "probe"])

# %%
# Known, new, missed
# ------------------
# The matches are compared with the list of true diffusion regions. Passages of the two spacecraft that overlap in
# time are one event. The surroundings of the query in its own series were not searched; the second spacecraft saw the
# same event.

searched = [f"{name}_similarity" for name in names]  # also where nothing was found
joined = sim.join_events(found, truth, searched=searched)
numbers = joined.meta["join"]
print(", ".join(f"{numbers[status]} {status}" for status in ("known", "new", "missed")))
chance = numbers["enrichment"]
print(
    f"the peaks of {chance['n_inside']} of {chance['n_matches']} matches lie in a diffusion region, which takes "
    f"{chance['base_rate']:.3f} of the searched time: enrichment {chance['value']:.1f} "
    f"(95 % interval {chance['low']:.1f} to {chance['high']:.1f})"
)

# %%
# Look at it
# ----------
# The score and the intervals are tplot variables. Here with what the second spacecraft saw of the fifth crossing.

chosen = passes[4][1]
probe, suffix = chosen[:10], chosen[-2:]
shown = {  # name: title of the axis, of the lines
    f"{chosen}_similar": ("similar", ["match"]),
    f"{probe}_des_energyspectr_omni_brst{suffix}": ("electrons", None),
    f"{probe}_fgm_b_dmpa_brst_l2{suffix}": ("B DMPA", ["x", "y", "z", "total"]),
    f"{chosen}_similarity": ("similarity", ["score"]),
}
for name, (title, lines) in shown.items():
    pyspedas.options(
        name,
        opt_dict={"ytitle": title, "legend_names": lines, "legend_location": "spedas"},
    )
pyspedas.options(f"{probe}_des_energyspectr_omni_brst{suffix}", "Colormap", "viridis")
pyspedas.options(
    f"{probe}_fgm_b_dmpa_brst_l2{suffix}",
    opt_dict={
        "ysubtitle": "[nT]",
        "line_color": ["#0072B2", "#009E73", "#D55E00", "black"],
    },
)
pyspedas.tplot_options("title", f"Simulated crossing, {probe}")
pyspedas.timespan(str(pyspedas.get_data(chosen, dt=True).times[0]), 8, "seconds")
pyspedas.tplot(list(shown), xsize=9, ysize=7, display=False)

# %%
# A score is no evidence by itself: look at the distributions. This is phase space density in the plane across the
# magnetic field, in the frame of the electrons, before anything else is done to it: the query, the best sample of each
# other crossing, and the best of each control, with its score. ``perp1`` is along **b** x (**v** x **b**); what lies
# below 30 eV, where photoelectrons are, is left out.

plane = replace(
    INSTRUMENTS["mms_des"].recipe,
    planes=("perp1-perp2",),
    agyrotropy=False,
    pixels=96,
    speed_unit="km/s",
    speed_max=14000.0,
    density_unit="absolute",
    floor=1e-29,
    ceiling=1e-25,
    blur=0.0,
)


def cut(name: str, time: np.datetime64) -> np.ndarray:
    """Logarithm of phase space density at a time, s^3 cm^-6."""
    series = tplot.read(name)
    sample = select(series, np.abs(series.times - time).argmin()[None])
    scaled = next(
        images(with_companions(sample, find_companions(series, {}), plane), plane)
    )[0, 0]
    return np.log10(plane.floor) + scaled * np.log10(plane.ceiling / plane.floor)


def best(pair: list[str], ending: str = "") -> tuple[float, str, np.datetime64]:
    """Score, series and time of the best sample of a crossing."""
    scored = [
        (name, pyspedas.get_data(f"{name}_similarity{ending}", dt=True))
        for name in pair
    ]
    name, series = max(scored, key=lambda one: np.nanmax(one[1].y))
    return float(np.nanmax(series.y)), name, series.times[np.nanargmax(series.y)]


panels = [("query", names[0], query)]
for number, (scene, pair) in enumerate(zip(scenes, passes, strict=True)):
    score, name, time = best(pair, "_control" if scene == "control" else "")
    if number > 0:
        panels.append(
            (
                f"{number + 1}{', control' if scene == 'control' else ''}: {score:.3f}",
                name,
                time,
            )
        )

figure, axes = plt.subplots(
    2, 4, figsize=(9, 5.2), sharex=True, sharey=True, layout="constrained"
)
edge = plane.speed_max / 1e3
for axis, (title, name, time) in zip(axes.flat, panels, strict=True):
    drawn = axis.imshow(
        cut(name, time),
        origin="lower",
        extent=(-edge, edge, -edge, edge),
        vmin=-29,
        vmax=-25,
    )
    axis.set_title(f"{title}\n{str(time)[11:23]}", fontsize="small")
    axis.set_xticks([-10, 0, 10])
    axis.set_yticks([-10, 0, 10])
figure.supxlabel("v perp1 (10³ km/s)", fontsize="medium")
figure.supylabel("v perp2 (10³ km/s)", fontsize="medium")
figure.colorbar(drawn, ax=axes, label="log₁₀ f (s³ cm⁻⁶)", shrink=0.8)
figure.show()

# %%
# A page for colleagues
# ---------------------
# One HTML file that needs nothing else: words for a methods section, the table, gallery, plots, a map of the
# embeddings, provenance and what to cite. `The page of this search <../diffusion_region.html>`_ was written by this
# line.

everything = [*found, *(name for name in searched if name not in found)]
page = sim.report(
    everything,
    folder / "diffusion_region.html",
    title="Simulated diffusion regions",
    map_by="pca",
    overwrite=True,
)
print(f"{Path(page[0]).name}: {Path(page[0]).stat().st_size / 1e6:.1f} MB")

# %%
# With real data
# --------------
# Nothing changes but where the data come from. With a time range in place of names, distributions, field and velocity
# are loaded through pyspedas, burst segment by burst segment, so that the range may be long:
#
# .. code-block:: python
#
#    where = {"instrument": "mms_des", "probe": [1, 2, 3, 4], "trange": ["2015-10-16/13:00", "2015-10-16/13:10"]}
#    found = sim.find_similar(
#        like=("mms2_des_dist_brst", "2015-10-16/13:07:02.2"),  # an encounter of Burch et al. (2016)
#        threshold=0.9,
#        load_keywords={"no_update": True},  # use downloaded files; leave it out to download
#        **where,
#    )
#    joined = sim.join_events(found, "published_encounters.csv", tolerance=5)
#    sim.report(found, "edr.html")
#
# Or load the variables yourself, with the magnetic field and the bulk velocity, which the images need: they turn the
# planes into the field's axes and take the flow out.
#
# .. code-block:: python
#
#    trange = ["2015-10-16/13:06:50", "2015-10-16/13:07:10"]
#    options = {"trange": trange, "probe": 2, "data_rate": "brst", "time_clip": True, "no_update": True}
#    pyspedas.projects.mms.fpi(datatype=["des-dist", "des-moms"], **options)
#    pyspedas.projects.mms.fgm(**options)
#    found = sim.find_similar("mms2_des_dist_brst", like="2015-10-16/13:07:02.2")
#
# What to expect of it: these simulated crescents are drawn by a formula, with clean neighbors and without secondary
# electrons or penetrating particles. All eleven are found here; :doc:`/benchmarks/retrieval` has the numbers of a
# harder test. The encoder was trained on other simulated events and never tried on measured ones: choose the threshold
# anew, on an interval that you know to hold none, and judge the matches by eye (:doc:`/report`). Of real magnetopause
# crossings fewer than one in a hundred meets a diffusion region, not six of eight.
