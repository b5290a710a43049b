"""
Current sheets by field, flow and spectrogram
=============================================

Find the other crossings like one crossing, by several variables together: the magnetic field, the density and velocity
of the ions, their energy spectrum, and the power of waves.

**All data are simulated**, so the script needs no files and the truth is known. The last section lists what changes for
measured data.
"""

# %%
# Load
# ----
# Simulate a day of one spacecraft. The magnetic field has a cadence of 1 s, moments and spectra of 4 s, wave power of
# 8 s. There are events of six kinds, with durations that vary fourfold.

import numpy as np
import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity.simulate import panels

made = panels.simulate_panels(np.datetime64("2020-01-01"), 86400.0, seed=0)
names = panels.store(made)
for kind in panels.KINDS:
    print(f"{kind}: {(made.kinds == kind).sum()} events")

# %%
# Query
# -----
# The query is one of the current sheets: the field reverses along one axis while it is weak and the density high. Its
# axes have a random orientation, as those of the others.

sheets = made.of_kind("current_sheet")
query = [str(time) for time in sheets[3]]
print("query:", query)

# %%
# Search by components
# --------------------
# All variables are compared on one clock. Components of vectors are compared in the given axes, so that only sheets of
# a similar orientation look the same.


def print_kinds(result: sim.SearchResult) -> list[str]:
    """Print peak, score and simulated kind of each event; return the kinds."""
    kinds = []
    for peak, start, end in zip(result.peak, result.start, result.end, strict=True):
        there = np.flatnonzero((made.start < end) & (made.end > start))
        kinds.append(str(made.kinds[there[0]]) if len(there) else "no event")
        print(f"{peak!s:.19}  {result.score[len(kinds) - 1]:.2f}  {kinds[-1]}")
    return kinds


found = sim.search(names, like=query, together=True)
by_components = print_kinds(found)

# %%
# Search in any orientation, at other durations
# ---------------------------------------------
# With ``vectors="any_orientation"`` a rotation of all vectors changes nothing. With ``durations``, sheets that last
# half or twice as long are compared as well.

recipe = sim.recipes.PanelRecipe(vectors="any_orientation", durations=(0.5, 1, 2))
found = sim.search(names, like=query, together=True, recipe=recipe)
in_any_orientation = print_kinds(found)
counts = [kinds.count("current_sheet") for kinds in (by_components, in_any_orientation)]
print(
    f"current sheets among the ten best: {counts[0]} by components, {counts[1]} in any orientation"
)

# %%
# Figures
# -------
# The panels of the query are next to those of the matches. All panels of one variable have the same axis.

found.plot_matches(limit=5, title="Simulated current sheets: query and matches")

# %%
# The score is drawn below the panels, with the query, its own event and the matches shaded.

found.plot_score(trange=["2020-01-01/00:00", "2020-01-01/08:00"])

# %%
# Compare with a list of known events
# -----------------------------------

joined = sim.join_events(found, [[str(start), str(end)] for start, end in sheets])
print(joined["status", "start"])

# %%
# As tplot variables
# ------------------

stored = found.to_tplot("sheets")
print(stored)
pyspedas.tplot(stored, display=False)

# %%
# Measured data
# -------------
# Load variables of the same time with pyspedas, and search them by name. Nothing else changes:
#
# .. code-block:: python
#
#    trange = ["2015-09-08/10:00", "2015-09-08/11:30"]
#    pyspedas.projects.mms.fgm(trange=trange, probe=1)
#    pyspedas.projects.mms.fpi(
#        trange=trange, probe=1, data_rate="fast", datatype="dis-moms"
#    )
#    names = [
#        "mms1_fgm_b_gse_srvy_l2",
#        "mms1_dis_numberdensity_fast",
#        "mms1_dis_bulkv_gse_fast",
#        "mms1_dis_energyspectr_omni_fast",
#    ]
#    query = ["2015-09-08/10:29:15", "2015-09-08/10:29:45"]
#    found = sim.search(names, like=query, together=True)
