"""The conventions of pyspedas hold for every public function: errors, empty results, unknown keywords."""

import inspect

import numpy as np
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity.errors import ArgumentError, QueryError, SimilarityError
from pyspedas_similarity.instruments.registry import INSTRUMENTS, Instrument

# These return an object that has no empty form, or write a file; their errors are always raised.
ALWAYS_RAISE = {
    "review",
    "resume_review",
    "export",
    "time_list",
    "time_ranges",
    "to_timeseries",
    "to_xarray",
    "open_archive",
    "adapt",
    "train",
    "fine_tune",
    "save_encoder",
    "load_encoder",
    "import_encoder",
}
FUNCTIONS = [name for name in sim.__all__ if inspect.isfunction(getattr(sim, name))]
LOGGING = [name for name in FUNCTIONS if name not in ALWAYS_RAISE]


@pytest.mark.parametrize("name", LOGGING)
def test_errors_are_logged_or_raised_as_asked(name):
    errors = inspect.signature(getattr(sim, name)).parameters["errors"]
    assert errors.kind is errors.KEYWORD_ONLY and errors.default in ("log", "raise")


@pytest.mark.parametrize("name", sorted(ALWAYS_RAISE))
def test_functions_that_always_raise_say_what(name):
    function = getattr(sim, name)
    assert "errors" not in inspect.signature(function).parameters
    assert "\nRaises\n------\n" in inspect.getdoc(function)


def takes_any_keyword(name):
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(getattr(sim, name)).parameters.values())


@pytest.mark.parametrize("name", [name for name in LOGGING if not takes_any_keyword(name)])
def test_an_unknown_keyword_is_refused(name):
    with pytest.raises(ArgumentError, match=rf"^overwrit: {name} has no such keyword"):
        getattr(sim, name)(overwrit=1, errors="raise")


def test_the_nearest_keyword_is_named():
    with pytest.raises(ArgumentError, match=r"The nearest is threshold\.$"):
        sim.find_similar("sky", like="2020-01-01", treshold=0.5, errors="raise")


@pytest.mark.parametrize("name", LOGGING)
def test_a_wrong_value_of_errors_is_refused(name):
    with pytest.raises(ArgumentError, match="^errors: found 'ignore'"):
        getattr(sim, name)(errors="ignore")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: sim.find_similar("absent", like="2020-01-01"), list),
        (lambda: sim.search("absent", like="2020-01-01", errors="log"), "result"),
        (lambda: sim.intervals([]), "table"),
        (lambda: sim.encode("absent"), list),
        (lambda: sim.find_nearest("absent.lance", like="2020-01-01"), list),
        (lambda: sim.join_events([], []), "table"),
    ],
    ids=["find_similar", "search", "intervals", "encode", "find_nearest", "join_events"],
)
def test_what_cannot_be_done_returns_the_empty_of_its_kind(call, kind, caplog):
    value = call()
    if kind is list:
        assert value == []
    elif kind == "table":
        assert len(value) == 0 and value.colnames is not None
    else:
        assert isinstance(value, sim.SearchResult) and len(value) == 0 and len(value.events) == 0


class CountingSource:
    """An instrument that counts how often it is asked for data."""

    def __init__(self):
        self.asked = 0

    def load(self, trange, probe="a", suffix="", **keywords):
        self.asked += 1
        name = f"counted{probe}_frames{suffix}"
        times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(60) * np.timedelta64(3, "s")
        frames = np.random.default_rng(0).integers(0, 1000, (60, 32, 32)).astype(np.uint16)
        frames[[20, 50]] = frames[0]
        tplot_tools.store_data(name, data={"x": times, "y": frames})
        return [name]


@pytest.fixture
def counted(monkeypatch):
    source = CountingSource()
    recipe = sim.recipes.FrameRecipe(pixels=32)
    instrument = Instrument("Counted", source.load, recipe, "counted*_frames*", r"counted(?P<probe>[a-z])_")
    monkeypatch.setitem(INSTRUMENTS, "counted", instrument)
    return source


WHERE = {"instrument": "counted", "probe": "a", "trange": ["2020-01-01/00:00", "2020-01-01/00:03"]}


def test_the_counted_source_is_searched(counted):
    found = sim.search(like="2020-01-01/00:01", **WHERE, k=2, progress=False)
    assert counted.asked == 1
    assert sorted(one[11:19] for one in found.events["start"].isot) == ["00:00:00", "00:02:30"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"like": "yesterday, about noon"}, SimilarityError),
        ({"like": None}, QueryError),
        ({"like": "2020-01-01/00:01", "k": 0}, ArgumentError),
        ({"like": "2020-01-01/00:01", "k": "many"}, ArgumentError),
        ({"like": "2020-01-01/00:01", "newname": 3}, ArgumentError),
        ({"like": "2020-01-01/00:01", "newname": ["same", "same"]}, ArgumentError),
        ({"like": "2020-01-01/00:01", "threshold": 2.0}, ArgumentError),
        ({"like": "2020-01-01/00:01", "exclude": -1}, ArgumentError),
        ({"like": "2020-01-01/00:01", "encoder": "no_such_encoder"}, SimilarityError),
    ],
    ids=["like", "no like", "k=0", "k", "newname", "same names", "threshold", "exclude", "encoder"],
)
def test_wrong_input_fails_before_anything_is_loaded(counted, wrong, error):
    with pytest.raises(error):
        sim.find_similar(**WHERE, **wrong, progress=False, errors="raise")
    assert counted.asked == 0


def test_a_search_result_is_not_changed_by_later_searches(counted):
    first = sim.search(like="2020-01-01/00:01", **WHERE, k=1, progress=False)
    events, scores = first.events.copy(), list(first.scores.values())
    names = first.to_tplot()
    tplot_tools.del_data(names)
    second = sim.search(like="2020-01-01/00:00:30", **WHERE, k=1, progress=False)
    second.to_tplot()
    assert second.events["start"].isot.tolist() != events["start"].isot.tolist()
    assert first.events["start"].isot.tolist() == events["start"].isot.tolist()
    assert first.events["score"].tolist() == events["score"].tolist()
    assert all(one.identical(other) for one, other in zip(first.scores.values(), scores, strict=True))
