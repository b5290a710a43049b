"""
An auroral streamer at two stations
===================================

A north-south streamer passes over an all-sky camera. When did that camera see another, and what did the neighboring
station see?

**Everything here is simulated**, so that it runs without any file and the truth is known. What changes with real data
is said at the end.
"""

# %%
# Load
# ----
# Twenty-eight minutes of a simulated night above two cameras, at the places of Fort Smith (fsmi) and Fort Simpson
# (fsim), 540 km apart, every 3 s. Both see the same aurora; clouds, Moon and twilight come at each station by itself.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.frames import north_up
from pyspedas_similarity.instruments.sample_images import images, select
from pyspedas_similarity.provenance import ATTRIBUTE
from pyspedas_similarity.simulate import allsky

folder = Path(
    os.environ.get("CASE_STUDY_FOLDER", ".")
)  # where the page of this search goes
names = allsky.load(
    ["2020-01-02/06:00", "2020-01-02/06:28"], probe=["fsmi", "fsim"], seed=9
)

# %%
# Which frames can be used
# ------------------------
# Frames of cloud, Moon or twilight are flagged, and how much happens in a frame is measured. The search below leaves
# out what is flagged or quiet.

for name in names:
    flag, activity = sim.frame_quality(name)
    usable = pyspedas.get_data(flag).y == 0
    active = usable & (pyspedas.get_data(activity).y >= 1)
    print(
        f"{name}: {usable.size} frames, {usable.sum()} usable, {active.sum()} of them active"
    )

# %%
# Search
# ------
# The query is one frame of Fort Smith with a streamer in the field of view. The two cameras are turned differently and
# see the streamer from two sides, so the light of both is put on one map, at a height of 110 km, before frames are
# compared. The threshold is the default.

query = (names[0], "2020-01-02/06:13:12")
maps = [pyspedas.get_data(name, metadata=True)["skymap"] for name in names]
middle = (
    float(np.mean([view.latitude for view in maps])),
    float(np.mean([view.longitude for view in maps])),
)
one_map = FrameRecipe(projection="geographic", center=middle, width_km=1000)

found = sim.find_similar(names, like=query, recipe=one_map, active_only=True)
table = sim.intervals(found)
table["score"].info.format = ".3f"
print(table["start", "end", "score", "n_samples", "site"])

# %%
# Compare with the truth
# ----------------------
# The simulator knows what kind of aurora there was. One row of truth for each time that a streamer is there and one for
# each match, station by station.


def streamers(name: str) -> list[list[np.datetime64]]:
    """Start and end of each streamer in the sky above both stations."""
    kind = np.array(pyspedas.get_data(name, metadata=True)["simulated"]["kind"])
    times = pyspedas.get_data(name, dt=True).times
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kind == "streamer", [0]])))
    return [
        [times[first], times[last - 1] + np.timedelta64(3, "s")]
        for first, last in edges.reshape(-1, 2)
    ]


for name in names:
    own = [one for one in found if one.startswith(name)]
    joined = sim.join_events(own, streamers(name))
    print(name)
    print(joined["status", "start", "event_start", "overlap_s"])

# %%
# Fort Simpson, the neighbor, saw the query's streamer at the same time, and Fort Smith another one twelve minutes
# later. That one is missed at Fort Simpson:

second = streamers(names[1])[1]
series = pyspedas.get_data(f"{names[1]}_similarity", dt=True)
during = (series.times >= second[0]) & (series.times < second[1])
condition = np.array(
    pyspedas.get_data(names[1], metadata=True)["simulated"]["condition"]
)[during]
print(
    f"fsim, second streamer: {(condition == 'moon').sum()} of {during.sum()} frames under the Moon (truth)"
)
print(
    f"{np.isfinite(series.y[during]).sum()} frames were searched, best score {np.nanmax(series.y[during]):.3f}"
)

# %%
# Slices and score
# ----------------
# A keogram cuts along the meridian and would miss a streamer beside it: :func:`~pyspedas_similarity.ewogram` cuts
# across. What is drawn is less the median of each slice, so that moonlight and cloud do not hide what is faint.

figure, axes = plt.subplots(
    4, 1, figsize=(9, 8), sharex=True, layout="constrained", height_ratios=(3, 2, 3, 2)
)
for name, (above, below) in zip(names, axes.reshape(2, 2), strict=True):
    site = name[-4:]
    cut = pyspedas.get_data(sim.ewogram(name, height_km=110)[0], dt=True)
    light = cut.y - np.nanmedian(cut.y, axis=1, keepdims=True)
    mesh = above.pcolormesh(
        cut.times,
        cut.v,
        light.T,
        cmap="gray",
        vmin=-200,
        vmax=2000,
        shading="nearest",
        rasterized=True,
    )
    figure.colorbar(mesh, ax=above, label="counts", pad=0.01, extend="both")
    above.set_ylabel(f"{site}, simulated\nlongitude (deg)")
    score = pyspedas.get_data(f"{name}_similarity", dt=True)
    below.plot(score.times, score.y, color="black", linewidth=0.8)
    below.axhline(
        tplot.read(f"{name}_similar").attributes[ATTRIBUTE]["threshold"],
        color="0.5",
        linestyle=":",
        label="threshold",
    )
    below.set_ylim(-0.4, 1.05)
    below.set_ylabel("similarity\n(cosine)")
    for row in table[table["site"] == site]:
        below.axvspan(
            row["start"].datetime64,
            row["end"].datetime64,
            color="#009E73",
            alpha=0.3,
            lw=0,
            label="similar",
        )
    for first, last in streamers(name):
        below.plot(
            [first, last],
            [-0.3, -0.3],
            color="#0072B2",
            lw=4,
            solid_capstyle="butt",
            label="streamer (truth)",
        )
    if name == query[0]:
        below.axvline(
            np.datetime64("2020-01-02T06:13:12"), color="#D55E00", label="query"
        )
handles = {
    label: line
    for axis in axes
    for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
}
figure.legend(
    handles.values(), handles, loc="outside upper center", ncols=4, frameon=False
)
axes[-1].set_xlabel("UTC on 2020-01-02 (simulated)")
figure.show()

# %%
# Look at the frames
# ------------------
# As measured, north up and east to the right, and below as the encoder saw them: on one map, so that the streamer is at
# one place for both stations.

shown = [("query", names[0], np.datetime64("2020-01-02T06:13:12"))]
shown += [
    (f"{row['score']:.3f}", row["source"], row["peak"].datetime64) for row in table
]

figure, axes = plt.subplots(2, len(shown), figsize=(9, 6.4), layout="constrained")
for (title, name, time), (upper, lower) in zip(shown, axes.T, strict=True):
    series = tplot.read(name)
    sample = select(series, np.flatnonzero(series.times == time))
    frame = north_up(sample)[0][0].astype(float)
    low, high = np.percentile(frame, (5, 99.7))
    upper.imshow(frame, cmap="gray", vmin=low, vmax=high)
    upper.set_title(f"{title}\n{name[-4:]}, {str(time)[11:19]}", fontsize="medium")
    lower.imshow(next(images(sample, one_map))[0, 0], cmap="gray", vmin=-2, vmax=4)
    for axis in (upper, lower):
        axis.set_xticks([])
        axis.set_yticks([])
axes[0, 0].set_ylabel("as measured (simulated)")
axes[1, 0].set_ylabel("as encoded: map, 1000 km wide")
figure.show()

# %%
# A page for colleagues
# ---------------------
# `The page of this search <../streamer.html>`_ was written by this line.

page = sim.report(
    found,
    folder / "streamer.html",
    title="A simulated streamer",
    map_by="pca",
    overwrite=True,
)
print(f"{Path(page[0]).name}: {Path(page[0]).stat().st_size / 1e6:.1f} MB")

# %%
# With real data
# --------------
# Load frames with their skymap, or give instrument and time range, and files are read one after another:
#
# .. code-block:: python
#
#    trange = ["2015-03-26/06:00", "2015-03-26/07:00"]
#    for site in ("fsmi", "fsim"):
#        sim.load_asi(trange, site, skymap=f"themis_skymap_{site}_20150101.sav", no_update=True)
#    names = ["thg_asf_fsmi", "thg_asf_fsim"]
#    found = sim.find_similar(names, like=("thg_asf_fsmi", "2015-03-26/06:24:00"), recipe=one_map, active_only=True)
#
#    found = sim.find_similar(
#        instrument="themis_asi", probe=["fsmi", "fsim"], trange=trange, like="2015-03-26/06:24:00", active_only=True
#    )
#
# The second search needs no skymap, and compares frames as each camera has them: good for the same station at other
# times, not for its neighbor. ``no_update=True`` takes what was downloaded before.
#
# What to expect of it: this night was chosen because it has two streamers under a sky that is mostly clear. Over many
# simulated nights it is a hard question, the neighbor's view of the same structure the hardest of all;
# :doc:`/benchmarks/retrieval` has the numbers. :doc:`/allsky` tells more about frames.
