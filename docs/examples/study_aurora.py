"""
The auroral half of the published study
=======================================

Follow the auroral half of Smith et al. (2024, doi 10.1029/2023JA032096) step by step, on pictures in the layout of the
Oslo Auroral THEMIS (OATH) data set.

**All pictures are simulated**, so the script needs no files and the truth is known. The loader is that of the real data
set; the last section says which lines change for it.
"""

# %%
# The pictures
# ------------
# Write 720 simulated pictures of ten minutes of twelve nights, taken at the positions of Fort Smith (fsmi) and Fort
# Simpson (fsim), 540 km apart, at the same times. :func:`~pyspedas_similarity.read_oath` reads their stations, times
# and classes.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyspedas_similarity as sim
from pyspedas_similarity.plotting.embedding_map import embedding_map
from pyspedas_similarity.simulate.oath import write_oath

work = tempfile.TemporaryDirectory()
folder = write_oath(Path(work.name, "oath"), n=720, seed=2, size=128, cadence_s=20)
trange = ["2020-01-01", "2020-01-13"]

pictures = sim.read_oath(folder)
labels = np.array(pictures["class"])
times = pictures["time"].datetime64.astype("datetime64[ns]")
for kind in dict.fromkeys(labels):
    print(f"{kind}: {(labels == kind).sum()} pictures")

# %%
# Embeddings
# ----------
# Encode every picture once and keep the embeddings in an archive. The pictures are read a few hundred at a time, so
# that any number of them needs the same memory.

asked = {
    "instrument": "oath",
    "trange": trange,
    "load_keywords": {"path": str(folder)},
}
archive = sim.open_archive(Path(work.name, "archive"))
print(sim.add(archive, **asked))

names = sim.encode(**asked)
embeddings = np.concatenate([pyspedas.get_data(name).y for name in names])
print(f"{', '.join(names)}: {embeddings.shape}")

# %%
# Similar pictures are close to each other
# ----------------------------------------
# Map the embeddings to a plane, without labels. Colors are the classes, which the encoder does not know; the insets
# are pictures at their places. Bright aurora, diffuse aurora, clear sky and cloud lie in different parts; arcs lie
# among other discrete aurora, and the Moon among what it shines on.

colors = {
    "arc": "#D55E00",
    "discrete": "#E69F00",
    "diffuse": "#CC79A7",
    "cloudy": "#999999",
    "moon": "#56B4E9",
    "noaurora": "#0072B2",
}
drawn = embedding_map(embeddings - embeddings.mean(axis=0))
figure, axis = plt.subplots(figsize=(9, 7.5), layout="constrained")
for kind, color in colors.items():
    here = labels == kind
    axis.scatter(*drawn.places[here].T, s=9, color=color, label=kind)
chosen: list[int] = []  # pictures that are far from those that are drawn already
extent = np.ptp(drawn.places, axis=0)
for row in np.random.default_rng(0).permutation(len(labels)):
    distance = np.abs((drawn.places[row] - drawn.places[chosen]) / extent).max(axis=1)
    if len(chosen) < 22 and (distance > 0.115).all():
        chosen.append(row)
for row in chosen:
    inset = OffsetImage(plt.imread(pictures["file"][row]), zoom=0.34)
    edge = {"edgecolor": colors[labels[row]], "linewidth": 2}
    axis.add_artist(AnnotationBbox(inset, drawn.places[row], pad=0.1, bboxprops=edge))
axis.set(xticks=[], yticks=[], title=f"720 simulated pictures\n{drawn.method}")
figure.legend(loc="outside lower center", ncols=6, markerscale=2, frameon=False)
figure.show()

# %%
# The six nearest
# ---------------
# The query is a picture of Fort Smith with an auroral spiral at the end of an arc. The six best events are the pictures
# that are most like it, each with the time around it that is like it as well.

query = ("oath_fsmi", np.datetime64("2020-01-05T06:01:00"))
found = sim.search(**asked, like=query, k=6)
table = found.events[:6]
table["score"].info.format = ".3f"
print(table["site", "peak", "duration", "score"])

matches = plt.figure(
    found.plot_matches(
        limit=6, figsize=(11, 2.6), title="Query and matches (simulated)"
    )
)
matches.show()

# %%
# The same structure at the other station and at near times
# ---------------------------------------------------------
# With ``looking_for="event"`` the place of a structure in the picture counts as well, as for the same aurora some
# minutes later. The figure shows the score of both stations in the ten minutes of that night: it is high for as long as
# the spiral lasts, and at the other station as well, which sees the same spiral from another side.

near = sim.search(archive, query, looking_for="event", exclude=0)
middle = query[1]
figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
for axis, (name, score) in zip(axes, near.scores.items(), strict=True):
    inside = np.abs(score.time.values - middle) < np.timedelta64(20, "m")
    axis.plot(
        score.time.values[inside], score.values[inside], color="black", marker="."
    )
    axis.axvline(middle, color="#D55E00", label="query")
    axis.set_ylabel(f"{name}, simulated\nsimilarity (cosine)")
axes[0].legend()
axes[1].set_xlabel("UTC (simulated)")
figure.show()

# %%
# How often does it hold? Each of thirty pictures of aurora at Fort Smith is a query; of each, the score of the picture
# of Fort Simpson at the same time is ranked among all pictures of Fort Simpson. By chance the median rank would be half
# of them. The next picture of the same station, twenty seconds later, is ranked among all pictures of that station.

ranks: dict[str, list[int]] = {"same time, fsim": [], "20 s later, fsmi": []}
aurora = pictures[
    np.isin(labels, ["arc", "discrete", "diffuse"]) & (pictures["station"] == "fsmi")
]
seen = {
    one["time"].datetime64
    for one in pictures
    if one["station"] == "fsim" and one["class2"] == 0
}
both = [one["time"].datetime64 for one in aurora if one["time"].datetime64 in seen]
for time in np.random.default_rng(1).choice(both, 30, replace=False):
    scores = sim.search(
        archive, ("oath_fsmi", time), looking_for="event", exclude=0
    ).scores
    later = time + np.timedelta64(20, "s")
    for key, name, when in (
        ("same time, fsim", "oath_fsim", time),
        ("20 s later, fsmi", "oath_fsmi", later),
    ):
        row = np.flatnonzero(scores[name].time.values == when)
        if row.size:
            ranks[key].append(
                int((scores[name].values > scores[name].values[row]).sum()) + 1
            )
for key, found_ranks in ranks.items():
    first = np.mean(np.array(found_ranks) <= 10)
    print(
        f"{key}: median rank {np.median(found_ranks):.0f} of 360, among the first ten: {first:.0%}"
    )

# %%
# A classifier from few labels
# ----------------------------
# Five pictures of each class, of every other night, are the examples. :func:`~pyspedas_similarity.classify` gives the
# probability of each class for every picture; those of the other six nights are judged. The classes are not easy to
# separate: aurora shines through thin cloud and next to the Moon, and such a picture has one class only.

first_half = times.astype("datetime64[D]").astype(int) % 2 == 0
most = max(np.mean(labels[~first_half] == kind) for kind in colors)
print(f"the most frequent class has {most:.0%} of the pictures that are judged")
rng = np.random.default_rng(3)
examples = {}
for kind in colors:
    known = np.flatnonzero((labels == kind) & first_half)
    examples[kind] = [
        (f"oath_{pictures['station'][row]}", times[row])
        for row in rng.choice(known, 5, replace=False)
    ]
classified = sim.classify(**asked, examples=examples)
probability = np.concatenate(
    [pyspedas.get_data(f"oath_{site}_probability").y for site in ("fsim", "fsmi")]
)
guess = np.array(sorted(colors))[probability.argmax(axis=1)]
few = np.mean(guess[~first_half] == labels[~first_half])
two = np.mean(
    np.isin(guess, ["arc", "discrete", "diffuse"])[~first_half]
    == np.isin(labels, ["arc", "discrete", "diffuse"])[~first_half]
)
print(f"30 labels: {few:.0%} of the six classes correct; aurora or none: {two:.0%}")

# %%
# Embeddings as input of another model
# ------------------------------------
# The embeddings are plain numbers, and scikit-learn or any other package can use them. Here the ridge classifier that
# Clausen and Nickisch (2018, doi 10.1029/2018JA025274) put on the features of a network is fitted to all labels of
# the same six nights.

model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.geomspace(1, 1e5, 16)))
model.fit(embeddings[first_half], labels[first_half])
predicted = model.predict(embeddings[~first_half])
many = np.mean(predicted == labels[~first_half])
print(
    f"{first_half.sum()} labels, ridge classifier: {many:.0%} of the six classes correct"
)

figure, axis = plt.subplots(figsize=(6, 5.5), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    labels[~first_half], predicted, labels=list(colors), ax=axis, colorbar=False
)
axis.set_title("ridge classifier on embeddings (simulated)")
figure.show()
work.cleanup()

# %%
# Most errors are pictures under the Moon or thin cloud in which aurora is seen as well.
#
# With the real pictures
# ----------------------
# Download OATH, an archive of about 500 MB, from the page that the study names (``tid.uio.no/plasma/oath``), and unpack
# it. Two lines change:
#
# .. code-block:: python
#
#    folder = "oath"  # with images/ and classifications/
#    trange = ["2005-01-01", "2021-01-01"]
#
# The pictures are 5,824, of many stations and nights; encoding them takes less than a minute on two cores, see
# :doc:`/howto/images`. The halves for training and testing are then those of ``train_test_split.csv`` or whole nights,
# and a query is any ``(f"oath_{station}", time)`` of the table. Expect less from real pictures, which have scattered
# light, snow on domes and structures of several kinds at once. The names of the columns of ``files_origin.csv`` are not
# documented; :func:`~pyspedas_similarity.read_oath` says which ones it reads.
