"""
From one diffusion region to the others
=======================================

Find all electron diffusion regions that resemble a known one, on several spacecraft, and write a page with the result.
A crescent in the electron distribution is a signature of the electron diffusion region (Burch et al. 2016,
`doi:10.1126/science.aaf2939 <https://doi.org/10.1126/science.aaf2939>`_).

**All data are simulated**, so the script needs no files and the truth is known. The last section describes the same
search with measured data.
"""

# %%
# Load
# ----
# Simulate eight crossings of a reconnection site, ten minutes apart, each seen by two spacecraft. Two of the crossings
# have no diffusion region; they are the control. The simulator stores the same variables as the loaders of MMS FPI and
# FGM, under names that begin with ``simulated``.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity.simulate import fpi

folder = Path(os.environ.get("CASE_STUDY_FOLDER", "."))  # where the page is written
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
    )  # the distributions of both spacecraft; field and moments are loaded too
names = [name for pair in passes for name in pair]

# %%
# The truth
# ---------
# The metadata of the simulated variables contain the region of every sample. They are used here to choose a query, for
# which you would take the time of a published event, and to check the result. The search does not use them.


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
# All samples of the sixteen series, one every 30 ms, are compared with the query. ``exclude`` removes the samples near
# the query in its own series. The threshold is chosen with the controls: it is half way between the highest score in a
# control and 1, the score of the query itself.

control = [
    name
    for scene, pair in zip(scenes, passes, strict=True)
    if scene == "control"
    for name in pair
]
nearest_control = sim.find_similar(
    control, like=(names[0], query), suffix="_control", k=1
)
best_control = sim.intervals(nearest_control)["score"][0]  # the best comes first
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
# Compare the matches with the list of true diffusion regions. Passages of the two spacecraft that overlap in time are
# one event. The samples around the query in its own series were not searched; the second spacecraft saw the same event.

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
# Plot the result
# ---------------
# The score and the intervals are tplot variables. This plot shows them with the electrons and the magnetic field of the
# second spacecraft at the fifth crossing.

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
# A score is no evidence by itself, so look at the distributions. :func:`~pyspedas_similarity.plot_matches` draws phase
# space density as measured, in field-aligned planes: the query and the seven best matches, each with its score and
# time. ``perp1`` is along **b** x (**v** x **b**). ``plt.figure`` gives the figure to pyplot, which displays it.

matches = plt.figure(sim.plot_matches(found))
matches.show()

# %%
# The same figure for the controls: the best sample of each series without a diffusion region.

controls = plt.figure(sim.plot_matches(nearest_control, title="Query and controls"))
controls.show()

# %%
# A page for colleagues
# ---------------------
# Write one HTML file that needs no other file: text for a methods section, the table of matches, a gallery, plots, a
# map of the embeddings, the provenance and citations. These lines wrote `the page of this search
# <../diffusion_region.html>`_.

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
# With measured data
# ------------------
# Only loading is different. Give an instrument and a time range in place of names: distributions, field and velocity
# are then loaded through pyspedas, one burst segment after another, so the range may be long.
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
# Or load the variables yourself. Load the magnetic field and the bulk velocity too: the images are made in
# field-aligned axes and in the frame of the flow.
#
# .. code-block:: python
#
#    trange = ["2015-10-16/13:06:50", "2015-10-16/13:07:10"]
#    options = {"trange": trange, "probe": 2, "data_rate": "brst", "time_clip": True, "no_update": True}
#    pyspedas.projects.mms.fpi(datatype=["des-dist", "des-moms"], **options)
#    pyspedas.projects.mms.fgm(**options)
#    found = sim.find_similar("mms2_des_dist_brst", like="2015-10-16/13:07:02.2")
#
# Expect less from measured data. The simulated crescents follow a formula, their surroundings are simple, and there are
# no secondary electrons and no penetrating particles. All eleven are found here; :doc:`/benchmarks/retrieval` has the
# results of a harder test. The encoder was never tested on measured diffusion regions. So
# choose a new threshold, on an interval that contains no diffusion region, and check the matches by eye
# (:doc:`/report`). Fewer than one in a hundred real magnetopause crossings meets a diffusion region; here it is six of
# eight.
