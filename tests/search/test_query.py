"""Every form of `like`, and the samples it stands for."""

import numpy as np
import pytest
from astropy.time import Time

from pyspedas_similarity import tplot
from pyspedas_similarity.errors import QueryError, TimeError, VariableError
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.library.plan import EncodingOptions, make_plan
from pyspedas_similarity.library.samples import prepare
from pyspedas_similarity.library.series import library_of
from pyspedas_similarity.search.query import find_queries, parse_examples
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2015-10-16T13:07:00", "ns") + np.arange(20) * np.timedelta64(3, "s")
FRAMES = Variable("frames", TIMES, np.arange(20.0 * 32 * 32).reshape(20, 32, 32))
LATER = Variable("later", TIMES + np.timedelta64(1, "h"), FRAMES.values + 1)
DISTRIBUTIONS = {
    "v1": np.arange(20.0 * 8).reshape(20, 8),
    "v2": np.arange(4.0),
    "v3": np.arange(20.0 * 6).reshape(20, 6),
}


def library(*variables, recipe=None):
    plan = make_plan(variables, EncodingOptions(encoder="pixels", recipe=recipe))
    return library_of([prepare(one, plan) for one in variables], plan)


def queries(like, *variables):
    return find_queries(parse_examples(like), library(*(variables or (FRAMES, LATER))))


def samples(like):
    """(name, index of the samples in their variable) of every query."""
    return [(one.variable, one.rows.tolist()) for one in queries(like)]


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


def test_a_query_may_lie_in_a_variable_that_is_not_searched():
    tplot.write(Variable("elsewhere", TIMES, FRAMES.values + 5))
    (query,) = queries(("elsewhere", TIMES[3]), FRAMES)
    assert query.variable == "elsewhere"
    assert query.series.samples.values[query.rows[0], 0, 0] == FRAMES.values[3, 0, 0] + 5


@pytest.mark.parametrize("array", [np.ones((32, 32)), np.ones((4, 32, 32)), np.ones((32, 32), np.uint16)])
def test_arrays_are_samples(array):
    (query,) = queries(array, FRAMES)
    assert query.series.samples.values.shape == (array.size // 1024, 32, 32)
    assert query.span is None and query.variable == "" and query.record["label"] == "array"


def test_an_array_of_a_distribution_gets_the_tables_of_the_variable():
    distributions = Variable("dist", TIMES, np.ones((20, 8, 4, 6)), DISTRIBUTIONS, {"data_att": {"units": "s^3/cm^6"}})
    found = library(distributions, recipe=DistributionRecipe())
    one, pair = (found.array_series(np.ones(shape)).samples for shape in ((8, 4, 6), (2, 8, 4, 6)))
    np.testing.assert_array_equal(pair.coordinates["v3"], DISTRIBUTIONS["v3"][[0, 0]])
    np.testing.assert_array_equal(one.coordinates["v1"], DISTRIBUTIONS["v1"][:1])
    np.testing.assert_array_equal(one.coordinates["v2"], DISTRIBUTIONS["v2"])


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
        queries(like, FRAMES)


def test_the_error_tells_what_the_variable_has():
    with pytest.raises(QueryError, match="frames covers 2015-10-16T13:07:00.000000000 to 2015-10-16T13:07:57"):
        queries("2016-01-01", FRAMES)


def test_examples_are_parsed_without_data():
    first, second = np.datetime64("2020-01-01T00:00:00", "ns"), np.datetime64("2020-01-01T00:00:09", "ns")
    like = [("some_variable", "2020-01-01T00:00:00"), np.ones((4, 5, 6)), ["2020-01-01", "2020-01-01T00:00:09"]]
    named, array, bare = parse_examples(like)
    assert (named.variable, named.span.start, named.span.end) == ("some_variable", first, first)
    assert array.span is None and array.array.shape == (4, 5, 6)
    assert (bare.variable, bare.span.start, bare.span.end) == (None, first, second)
    assert [one.span.start for one in parse_examples([first, second, first])] == [first, second, first]
