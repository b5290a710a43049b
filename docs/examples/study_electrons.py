"""
The study of electron distributions, step by step
=================================================

Repeat the electron half of the study that this package extends (Smith et al. 2024, `doi:10.1029/2023JA032096
<https://doi.org/10.1029/2023JA032096>`_): from one distribution of an electron diffusion region, find those of other
known regions in a library of more than 5,000 distributions.

**All data are simulated**, so the script needs no files and the truth is known. At the end are a table of the claims
and the lines that change for measured data. How to choose a threshold, compare with a list of events and write a page
is shown in :doc:`/case_studies/case_diffusion_region`.
"""

# %%
# The library
# -----------
# Thirteen crossings of a reconnection site, twelve seconds of 30 ms distributions each. Six have a diffusion region,
# which takes about one second; seven have none. Each is loaded, turned into images and encoded, and only the
# embeddings are kept, with a small picture of each distribution for the figures: the data need not fit into memory.

import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pyspedas
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyspedas_similarity as sim
from pyspedas_similarity.simulate import fpi

has_region = [n in (0, 3, 5, 8, 11, 12) for n in range(13)]
starts = np.datetime64("2020-01-01") + np.arange(13) * np.timedelta64(10, "m")


def crossing(number: int) -> dict:
    """Arguments that load one crossing."""
    scene = "event" if has_region[number] else "control"
    trange = [starts[number], starts[number] + np.timedelta64(12, "s")]
    return {"trange": trange, "probe": 2, "seed": 501 + number, "scene": scene}


archive = f"{tempfile.mkdtemp()}/electrons"
for number in range(13):
    keywords = crossing(number)
    where = {"trange": keywords.pop("trange"), "probe": keywords.pop("probe")}
    sim.add(
        archive,
        instrument="simulated_des",
        load_keywords=keywords,
        thumbnails=True,
        progress=False,
        **where,
    )
size = len(sim.open_archive(archive))
print(f"{size} distributions")

# %%
# The six nearest events
# ----------------------
# The query is one distribution, in the diffusion region of the first crossing. The crossing of a match follows from its
# time, and whether there is a diffusion region in that crossing from the simulation.

query = starts[0] + np.timedelta64(6, "s")
found = sim.search(archive=archive, like=query, k=6)


def crossing_of(times: np.ndarray) -> np.ndarray:
    """Number of the crossing at each time."""
    return np.searchsorted(starts, times, side="right") - 1


table = found.events
table["crossing"] = crossing_of(found.peak)
table["region"] = np.array(has_region)[crossing_of(found.peak)]
table["score"].info.format = ".3f"
print(table["score", "peak", "crossing", "region"])

# %%
# :meth:`~pyspedas_similarity.SearchResult.plot_matches` draws the query and these matches, each in the planes across
# and along the magnetic field. The first five are the diffusion regions of the other crossings; the sixth, with the
# lowest score, is of a crossing without one.

matches = plt.figure(
    found.plot_matches(limit=6, title="Query and the six nearest (simulated)")
)
matches.show()

# %%
# Where the other diffusion regions are in the ranking
# ----------------------------------------------------
# All distributions in the order of their scores, and the best one of each of the other crossings.

(scores,) = found.scores.values()
order = np.argsort(-scores.values)
rank = np.empty(size, int)
rank[order] = np.arange(1, size + 1)
own = crossing_of(scores.time.values)
best = [int(rank[own == number].min()) for number in range(13)]
for number in sorted(range(1, 13), key=lambda one: best[one])[:7]:
    kind = "diffusion region" if has_region[number] else "none"
    print(
        f"crossing {number:2d}: best distribution is number {best[number]:4d}, {kind}"
    )

ranking, panel = plt.subplots(figsize=(7, 3.6), layout="constrained")
panel.plot(np.arange(1, size + 1), scores.values[order], color="0.6")
for with_region, color, label in (
    (True, "#0072B2", "best of a crossing with a diffusion region"),
    (False, "#D55E00", "best of one without"),
):
    of_kind = [best[one] for one in range(1, 13) if has_region[one] == with_region]
    panel.plot(
        of_kind,
        scores.values[order][np.array(of_kind) - 1],
        "o",
        color=color,
        label=label,
    )
panel.set(xscale="log", xlabel="rank among all distributions", ylabel="score")
panel.legend()
ranking.show()

# %%
# A map of similar observations
# -----------------------------
# Each point is a distribution; near ones are similar. The insets are distributions spread over the map.

chart = plt.figure(
    sim.plot_archive_map(archive, found, color="score", method="pca", insets=12)
)
chart.show()

# %%
# A classifier from few labels
# ----------------------------
# Label three distributions of the diffusion region of one crossing and eleven others of it, and classify every sample
# of two other crossings.

names = [
    fpi.load_electrons(suffix=f"_{number}", **crossing(number))[0]
    for number in (0, 3, 5)
]
times = [pyspedas.get_data(name, dt=True).times for name in names]
truth = [
    np.array(pyspedas.get_data(name, metadata=True)["simulated"]["region"]) == "edr"
    for name in names
]
inside = np.flatnonzero(truth[0])
others = np.linspace(5, 394, 12).astype(int)
examples = {
    "edr": list(times[0][inside[[3, len(inside) // 2, -4]]]),
    "other": list(times[0][others[~truth[0][others]]]),
}
sim.classify(names, examples)
recall, false_alarms = [], []
for name, is_region in zip(names[1:], truth[1:], strict=True):
    chosen = pyspedas.get_data(f"{name}_probability").y[:, 0] > 0.5
    recall.append(chosen[is_region].mean())
    false_alarms.append(chosen[~is_region].mean())
    print(f"{name}: {recall[-1]:.2f} of the region, {false_alarms[-1]:.3f} of the rest")

# %%
# Embeddings as input of another model
# ------------------------------------
# :func:`~pyspedas_similarity.encode` stores the embeddings as tplot variables. Here scikit-learn learns from two
# crossings to estimate the ratio of the temperatures along and across the field, and is tested on the third.

embeddings = [
    pyspedas.get_data(f"{name}_embedding").y
    for name in names
    if sim.encode(name, progress=False)
]
ratio = [
    np.log10(
        pyspedas.get_data(f"simulated2_des_temppara_brst_{number}").y
        / pyspedas.get_data(f"simulated2_des_tempperp_brst_{number}").y
    )
    for number in (0, 3, 5)
]
model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
model.fit(np.concatenate(embeddings[:2]), np.concatenate(ratio[:2]))
r_squared = model.score(embeddings[2], ratio[2])
print(f"explained variance of an unseen crossing: {r_squared:.2f}")

# %%
# Claims and commands
# -------------------
# What the abstract of the paper claims, and what gives it here. The numbers are those of this page, so of simulated
# data; those of the aurora are of :doc:`/case_studies/study_aurora`.
#
# .. list-table::
#    :header-rows: 1
#    :widths: 40 40 20
#
#    * - Claim
#      - Command
#      - Simulated
#    * - Distance between embeddings is similarity, in a library of more than 5,000 images
#      - ``search(archive=..., like=time)``; ``find --archive FOLDER --like TIME``
#      - a score for each of 5,200
#    * - Visually similar observations are grouped
#      - ``plot_archive_map(archive, insets=12)``
#      - the map above
#    * - Other known diffusion regions are among the six nearest
#      - ``search(..., k=6)``; ``find ... -k 6``
#      - five of five (paper: two)
#    * - The same aurora at an adjacent station, and at near times
#      - ``find --instrument themis_asi --looking-for event ...``
#      - same time, other station: the best event, and median rank 65 of 360 for 30 queries; 20 s later: rank 2
#    * - More events for a case study, without labels
#      - ``find_similar``, ``review``
#      - not on this page
#    * - A classifier from few labels
#      - ``classify``, ``fine_tune``
#      - three labels of a region: 0.40 to 1.00 of others found
#    * - Embeddings as input of other models
#      - ``encode``
#      - 0.88 of the variance explained
#
# With measured data
# ------------------
# Only the lines that load are different:
#
# .. code-block:: python
#
#    # of the list of Webster et al. (2018), doi:10.1029/2018JA025245
#    for time in ["2015-10-16T10:33:30", "2015-10-16T13:07:02", "2015-12-08T11:20:44", "2015-12-14T01:17:40"]:
#        middle, half = np.datetime64(time), np.timedelta64(30, "s")
#        where = {"instrument": "mms_des", "probe": 2, "trange": [middle - half, middle + half]}
#        sim.add(archive, thumbnails=True, **where)
#    found = sim.search(archive=archive, like="2015-10-16/13:07:02.2", k=6)  # that of Burch et al. (2016)
#    names = sim.instruments.INSTRUMENTS["mms_des"].load(where["trange"], probe=2)  # for classify and encode
#
# Each call of ``add`` downloads the burst files of distributions, moments and magnetic field that cover its minute:
# some hundred megabytes for an encounter, by our estimate. A minute is 2,000 distributions; to encode and draw them
# takes two cores half a minute or less, after the files are read. Samples that are in the archive are not added again,
# so the loop can be repeated.
#
# The command ``pyspedas-similarity check-real --electrons`` does this search and judges the result
# (:doc:`/howto/check`). Expect less than here, for the reasons given at the end of
# :doc:`/case_studies/case_diffusion_region`.
