"""
An auroral streamer at two stations
===================================

Find other frames that resemble a north-south auroral streamer, at the same all-sky camera and at its neighbor.

**All data are simulated**, so the script needs no files and the truth is known. The last section describes the same
search with measured data.
"""

# %%
# Load
# ----
# Simulate twenty-eight minutes of a night at two cameras, at the positions of Fort Smith (fsmi) and Fort Simpson
# (fsim), 540 km apart, with a frame every 3 s. Both see the same aurora. Clouds, Moon and twilight are different at
# each station.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity.simulate import allsky

folder = Path(os.environ.get("CASE_STUDY_FOLDER", "."))  # where the page is written
names = allsky.load(
    ["2020-01-02/06:00", "2020-01-02/06:28"], probe=["fsmi", "fsim"], seed=9
)

# %%
# Usable and active frames
# ------------------------
# :func:`~pyspedas_similarity.frame_quality` flags frames with cloud, Moon or twilight, and measures the auroral
# activity in each frame. The search below leaves out flagged and inactive frames.

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
# The query is one frame of Fort Smith with a streamer in the field of view. The two cameras have different orientations
# and see the streamer from two sides. The recipe therefore projects the frames of both onto one map, at a height of 110
# km, before they are compared. With ``threshold="auto"``, the events that stand out of the background are reported.

query = (names[0], "2020-01-02/06:13:12")
maps = [pyspedas.get_data(name, metadata=True)["skymap"] for name in names]
middle = (
    float(np.mean([view.latitude for view in maps])),
    float(np.mean([view.longitude for view in maps])),
)
one_map = sim.recipes.FrameRecipe(projection="geographic", center=middle, width_km=1000)

found = sim.find_similar(
    names, like=query, recipe=one_map, active_only=True, threshold="auto"
)
table = sim.intervals(found)
table["score"].info.format = ".3f"
print(table["start", "end", "score", "n_samples", "site"])

# %%
# Compare with the truth
# ----------------------
# The metadata of the simulated variables contain the kind of aurora in every frame. The matches of each station are
# compared with the times of its true streamers.


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
# The search finds the streamer of the query at the neighboring station, Fort Simpson, and a second streamer at Fort
# Smith twelve minutes later, and nothing else stands out. The second streamer is missed at Fort Simpson:

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
# Ewogram and score
# -----------------
# A keogram is a north-south slice and misses a streamer that is not on the meridian, so this plot has the east-west
# slice of :func:`~pyspedas_similarity.ewogram`. The median of each slice is subtracted, so that faint aurora is visible
# in moonlight and between clouds.

thresholds = {
    search["source"]: search["threshold"] for search in table.meta["similarity"]
}
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
        thresholds[name],
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
# :func:`~pyspedas_similarity.plot_matches` draws the query and the matches: above the frames as measured, with north up
# and east to the right; below the images that the encoder was given, on one map, where the streamer is at the same
# place for both stations. ``plt.figure`` gives the figure to pyplot, which displays it.

matches = plt.figure(sim.plot_matches(found, encoded=True))
matches.show()

# %%
# A page for colleagues
# ---------------------
# These lines wrote `the page of this search <../streamer.html>`_.

page = sim.report(
    found,
    folder / "streamer.html",
    title="A simulated streamer",
    map_by="pca",
    overwrite=True,
)
print(f"{Path(page[0]).name}: {Path(page[0]).stat().st_size / 1e6:.1f} MB")

# %%
# With measured data
# ------------------
# Load the frames with their skymaps, or give an instrument and a time range: files are then read one after another.
#
# .. code-block:: python
#
#    trange = ["2015-03-26/06:00", "2015-03-26/07:00"]
#    for site in ("fsmi", "fsim"):
#        sim.load_asi(trange, site, skymap=f"themis_skymap_{site}_20150101.sav", no_update=True)
#    names = ["thg_asf_fsmi", "thg_asf_fsim"]
#    query = ("thg_asf_fsmi", "2015-03-26/06:24:00")
#    found = sim.find_similar(names, like=query, recipe=one_map, active_only=True, threshold="auto")
#
#    found = sim.find_similar(
#        instrument="themis_asi", probe=["fsmi", "fsim"], trange=trange, like="2015-03-26/06:24:00", active_only=True
#    )
#
# The second search needs no skymap. It compares the frames in the orientation of each camera, so use it for the same
# station at other times, not for a neighboring station. ``no_update=True`` uses files that were downloaded before.
#
# Expect less from measured data. This night was chosen because it has two streamers and a mostly clear sky. Over many
# simulated nights the search is difficult, most of all for the same structure seen by the neighboring station;
# :doc:`/benchmarks/retrieval` has the results. :doc:`/allsky` describes the steps from a frame to its image.
