"""Damage of every kind to variables of every kind: a typed error, or NaN where it is and no other result changed.

Results are scores of a search in variables and of one in an archive, embeddings, and probabilities of classes. Scores
are plain cosines (``reference=None``), so that samples that lack one do not change those of others.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import SimilarityError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe, SpectrumRecipe, WindowRecipe
from pyspedas_similarity.simulate.fpi import simulate_event, store
from pyspedas_similarity.tplot import Variable

N, LIKE = 60, 20
EXAMPLES = {"a": LIKE, "b": 50}  # one each: no calibration, which enlarges differences of the last digit
TIMES = np.datetime64("2020-01-01", "ns") + np.arange(N) * np.timedelta64(3, "s")
ENERGY, ANGLE = np.geomspace(10, 30000, 16), np.linspace(5, 175, 18)
DISTRIBUTION, FIELD, FLAGS = (
    "simulated1_des_dist_brst",
    "simulated1_fgm_b_dmpa_brst_l2",
    "simulated1_des_errorflags_brst_dist",
)
RECIPES = {
    "distribution": DistributionRecipe(
        "electron", ("perp1-perp2",), 16, speed_max=15000.0, depth=0, floor=1e-30, ceiling=1e-25
    ),
    "frames": FrameRecipe(pixels=32),
    "spectrogram": WindowRecipe(12, 3, pixels=16),
    "pitch angle": SpectrumRecipe(pixels=16),
}
LENGTH = 4  # samples of a window


@dataclass(frozen=True)
class Damage:
    """One damage to `rows` samples from `first` on."""

    kind: str
    first: int
    rows: int

    @property
    def where(self):
        return slice(self.first, self.first + self.rows)


@cache
def whole(kind):
    """Variables of a kind, the searched one first."""
    if kind == "distribution":
        store(simulate_event(3, duration_s=N * 0.03))
        names = (DISTRIBUTION, FIELD, FLAGS, "simulated1_des_bulkv_dbcs_brst")
        return tuple(tplot.read(name) for name in names)
    rng = np.random.default_rng(1)
    if kind == "frames":
        y = rng.poisson(300, (N, 32, 32)) * (1 + np.sin(np.arange(N)[:, None, None] / 5 + np.arange(32) / 3)) + 50.0
        return (Variable("damaged", TIMES, y),)
    shape, tables = ((N, 16), {"v": ENERGY}) if kind == "spectrogram" else ((N, 18, 16), {"v1": ANGLE, "v2": ENERGY})
    return (Variable("damaged", TIMES, rng.lognormal(0, 1, shape) * 1e6 / ENERGY, tables),)


def search(name, kind, times):
    sim.find_similar(name, like=times[LIKE], recipe=RECIPES[kind], reference=None, errors="raise", progress=False)
    return f"{name}_similarity"


def encode(name, kind, times):
    sim.encode(name, recipe=RECIPES[kind], errors="raise", progress=False)
    return f"{name}_embedding"


def search_archive(name, kind, times):
    options = {"errors": "raise", "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        sim.add(archive, name, recipe=RECIPES[kind], **options)
        sim.find_similar(archive=archive, like=times[LIKE], reference=None, **options)
    return f"{name}_similarity"


def classify(name, kind, times):
    examples = {each: [[times[row]]] for each, row in EXAMPLES.items()}
    sim.classify(name, examples, recipe=RECIPES[kind], reference=None, errors="raise", progress=False)
    return f"{name}_probability"


@dataclass(frozen=True)
class Function:
    """A function that is tested, the samples that it asks for, and the number of damages."""

    made: Callable[[str, str, np.ndarray], str]
    asked: tuple[int, ...]
    examples: int


FUNCTIONS = {
    "search": Function(search, (LIKE,), 20),
    "encode": Function(encode, (), 10),
    "archive": Function(search_archive, (LIKE,), 10),
    "classify": Function(classify, tuple(EXAMPLES.values()), 10),
}


def results(kind, function, variables):
    """Times and results of a function for these variables alone, in two dimensions."""
    with tplot.preserved():
        tplot_tools.data_quants.clear()
        for one in variables:
            tplot.write(one)
        found = tplot.read(FUNCTIONS[function].made(variables[0].name, kind, whole(kind)[0].times))
        return found.times, found.values.reshape(len(found.times), -1)


@cache
def undamaged(kind, function):
    return results(kind, function, whole(kind))


def changed(variable, where, values=None, times=None):
    new, stamps = np.array(variable.values, float), variable.times.copy()
    if values is not None:
        new[where] = values
    if times is not None:
        stamps[where] = times(stamps[where])
    new = new.astype(variable.values.dtype) if variable.values.dtype.kind in "iu" else new
    return Variable(variable.name, stamps, new, variable.coordinates, variable.attributes)


def without(variable, where):
    kept = np.ones(len(variable.times), bool)
    kept[where] = False
    tables = {k: t[kept] if t.ndim > 1 and len(t) == len(kept) else t for k, t in variable.coordinates.items()}
    return Variable(variable.name, variable.times[kept], variable.values[kept], tables, variable.attributes)


def damage_companions(others, damage):
    """Damage the field over the time of the samples, or the flags."""
    field, flags, *rest = others
    first, last = (whole("distribution")[0].times[row] for row in (damage.first, damage.first + damage.rows - 1))
    inside = (field.times >= first) & (field.times <= last)
    match damage.kind:
        case "field missing":
            field = changed(field, inside, np.nan)
        case "field of fill values":
            field = changed(field, inside, -1e31)
        case "field zero":
            field = changed(field, inside, 0.0)
        case "field cut":
            field = without(field, inside)
        case "field back":
            field = changed(field, inside, times=lambda t: t - np.timedelta64(60, "s"))
        case "flagged":
            flags = changed(flags, damage.where, 1)
        case "flags cut":
            flags = without(flags, damage.where)
    return (field, flags, *rest)


OF_VALUES = {"missing": np.nan, "fill": -1e31, "large fill": 9.96921e36, "infinite": np.inf, "zeros": 0.0}
OF_TIMES = ("reversed", "repeated", "gap")
OF_COMPANIONS = (
    "field missing", "field of fill values", "field zero", "field cut", "field back", "flagged", "flags cut",
)  # fmt: skip


def damaged(kind, damage):
    main, *others = whole(kind)
    if damage.kind in OF_VALUES:
        main = changed(main, damage.where, OF_VALUES[damage.kind])
    elif damage.kind == "reversed":
        main = changed(main, damage.where, times=lambda t: t[::-1])
    elif damage.kind == "repeated":
        main = changed(main, damage.where, times=lambda t: t[:1])
    elif damage.kind == "gap":
        main = without(main, damage.where)
    else:
        others = damage_companions(others, damage)
    return (main, *others)


def kinds_of_damage(kind):
    more = OF_COMPANIONS if kind == "distribution" else ()
    return st.sampled_from((*OF_VALUES, *OF_TIMES, *more))


def touched(kind, damage):
    """Samples that a damage may leave without a score, or with another one: bool over the undamaged samples."""
    at = np.zeros(N, bool)
    at[max(damage.first - 2, 0) : damage.first + damage.rows + 2] = True
    if kind != "spectrogram":
        return at
    starts = np.arange(N - LENGTH + 1)
    return np.array([at[start : start + LENGTH].any() for start in starts])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", RECIPES)
def test_damage_is_an_error_with_a_name_or_loses_its_own_samples(kind, function):
    known_times, known = undamaged(kind, function)
    main = whole(kind)[0].times
    assert np.isfinite(known).all() and len(known) == (N - LENGTH + 1 if kind == "spectrogram" else N)
    # Times of windows are those of their third samples.
    asked = [row - (LENGTH // 2 if kind == "spectrogram" else 0) for row in FUNCTIONS[function].asked]

    @settings(
        max_examples=FUNCTIONS[function].examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(kinds_of_damage(kind), st.integers(0, N - 12), st.integers(1, 12))
    def check(what, first, rows):
        damage = Damage(what, first, rows)
        asks_for_damaged = touched(kind, damage)[asked].any()
        try:
            times, found = results(kind, function, damaged(kind, damage))
        except SimilarityError as error:
            two_cameras = kind == "frames" and what == "repeated"
            assert asks_for_damaged or two_cameras, f"{damage}: {error}"
            return
        if asks_for_damaged:
            return
        rest = known_times[~touched(kind, damage)]
        before, after = np.searchsorted(known_times, rest), np.searchsorted(times, rest)
        assert np.isin(rest, times).all()
        np.testing.assert_allclose(found[after], known[before], atol=1e-5)
        # An archive does not hold samples without an embedding.
        if what in OF_VALUES and what != "zeros" and kind != "spectrogram":
            assert np.isnan(found[np.isin(times, main[damage.where])]).all()
        if what in OF_COMPANIONS and rows > 8:
            assert np.isnan(found[np.isin(times, main[first + 4 : first + rows - 4])]).all()

    check()
