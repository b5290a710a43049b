"""Every form of `like`, and the samples it stands for."""

import numpy as np
import pytest
from astropy.time import Time

from pyspedas_similarity import tplot
from pyspedas_similarity.errors import QueryError, TimeError, VariableError
from pyspedas_similarity.search.query import read_queries, spans_of
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2015-10-16T13:07:00", "ns") + np.arange(20) * np.timedelta64(3, "s")
FRAMES = Variable("frames", TIMES, np.arange(20.0 * 32 * 32).reshape(20, 32, 32))
LATER = Variable("later", TIMES + np.timedelta64(1, "h"), FRAMES.values + 1)


def samples(like, variables=(FRAMES, LATER)):
    """(name, index of the samples in their variable) of every seed."""
    found = []
    for seed in read_queries(like, variables):
        owner = {"frames": FRAMES, "later": LATER}[seed.samples.name]
        indices = np.searchsorted(owner.times, seed.samples.times).tolist()
        np.testing.assert_array_equal(seed.samples.values, owner.values[indices])
        found.append((seed.samples.name, indices))
    return found


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ("2015-10-16/13:07:06", [("frames", [2])]),
        ("2015-10-16/13:07:07.4", [("frames", [2])]),
        (Time("2015-10-16T13:07:08"), [("frames", [3])]),
        (("2015-10-16/13:07:03", "2015-10-16/13:07:10"), [("frames", [1, 2, 3])]),
        (TIMES[4], [("frames", [4])]),
        (TIMES[[4, 6, 8]], [("frames", [4]), ("frames", [6]), ("frames", [8])]),
        ([[TIMES[4]], [TIMES[6]]], [("frames", [4]), ("frames", [6])]),
        ([TIMES[4], (TIMES[6], TIMES[7])], [("frames", [4]), ("frames", [6, 7])]),
        ("2015-10-16/14:07:00", [("later", [0])]),
        (("later", "2015-10-16/14:07:30"), [("later", [10])]),
        (("later", ("2015-10-16/14:07:30", "2015-10-16/14:07:36")), [("later", [10, 11, 12])]),
        ([TIMES[1], ("later", "2015-10-16/14:07:30")], [("frames", [1]), ("later", [10])]),
    ],
)
def test_forms_of_like(like, expected):
    assert samples(like) == expected


def test_a_seed_may_lie_in_a_variable_that_is_not_searched():
    tplot.write(Variable("elsewhere", TIMES, FRAMES.values + 5))
    (seed,) = read_queries(("elsewhere", TIMES[3]), [FRAMES])
    assert seed.samples.name == "elsewhere" and seed.samples.values[0, 0, 0] == FRAMES.values[3, 0, 0] + 5


@pytest.mark.parametrize("array", [np.ones((32, 32)), np.ones((4, 32, 32)), np.ones((32, 32), np.uint16)])
def test_arrays_are_samples(array):
    (seed,) = read_queries(array, [FRAMES])
    assert seed.samples.values.shape == (array.size // 1024, 32, 32) and seed.span is None


def test_an_array_of_a_distribution_gets_the_tables_of_the_variable():
    tables = {"v1": np.arange(20.0 * 8).reshape(20, 8), "v2": np.arange(4.0), "v3": np.arange(20.0 * 6).reshape(20, 6)}
    distributions = Variable("dist", TIMES, np.ones((20, 8, 4, 6)), tables)
    (seed,) = read_queries(np.ones((8, 4, 6)), [distributions])
    (pair,) = read_queries(np.ones((2, 8, 4, 6)), [distributions])
    np.testing.assert_array_equal(pair.samples.coordinates["v3"], tables["v3"][[0, 0]])
    np.testing.assert_array_equal(seed.samples.coordinates["v1"], tables["v1"][:1])
    np.testing.assert_array_equal(seed.samples.coordinates["v2"], tables["v2"])


@pytest.mark.parametrize(
    ("like", "error"),
    [
        (None, QueryError),
        ("2015-10-16/13:08:02", QueryError),
        ("2015-10-16/12:00", QueryError),
        (("2015-10-16/12:00", "2015-10-16/12:30"), QueryError),
        (np.ones((16, 16)), QueryError),
        (("missing", "2015-10-16/13:07:06"), VariableError),
        ("soon", TimeError),
        ([], TimeError),
        (["2015-10-16/13:07:09", "2015-10-16/13:07:03"], TimeError),
    ],
)
def test_seeds_that_are_not_there(like, error):
    with pytest.raises(error):
        read_queries(like, [FRAMES])


def test_the_error_tells_what_the_variable_has():
    with pytest.raises(QueryError, match="frames has 2015-10-16T13:07:00.000000000 to 2015-10-16T13:07:57"):
        read_queries("2016-01-01", [FRAMES])


def test_spans_of_everything_that_has_a_time():
    first, second = np.datetime64("2020-01-01T00:00:00", "ns"), np.datetime64("2020-01-01T00:00:09", "ns")
    found = spans_of(
        [("some_variable", "2020-01-01T00:00:00"), np.ones((4, 5, 6)), ["2020-01-01", "2020-01-01T00:00:09"]]
    )
    assert [(span.start, span.end) for span in found] == [(first, first), (first, second)]
    assert spans_of(None) == spans_of(np.ones((4, 5, 6))) == []
    assert [span.start for span in spans_of([first, second, first])] == [first, second, first]
