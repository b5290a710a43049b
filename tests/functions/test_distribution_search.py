"""Search of simulated distributions: what belongs to them, what may be wrong with it, and MMS by time range."""

import gc
import logging
import weakref
from dataclasses import replace

import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import SimilarityError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe
from pyspedas_similarity.instruments import sample_images
from pyspedas_similarity.instruments import segments as pieces
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.instruments.segments import Segment
from pyspedas_similarity.library.plan import EncodingOptions
from pyspedas_similarity.library.series import streamed_library
from pyspedas_similarity.provenance import ATTRIBUTE
from pyspedas_similarity.simulate.fpi import simulate_event, store
from pyspedas_similarity.tplot import Variable, read, write
from tests import archive_server, fpi_files

NAME, FIELD, FLOW = "simulated1_des_dist_brst", "simulated1_fgm_b_dmpa_brst_l2", "simulated1_des_bulkv_dbcs_brst"
RECIPE = DistributionRecipe(
    "electron", ("perp1-perp2", "par-perp1"), 16, speed_max=15000.0, depth=0, floor=1e-30, ceiling=1e-25
)
INSTRUMENT_PLANES = ["xy", "xz"]
QUIET = {"errors": "raise", "progress": False}
NAT = np.datetime64("NaT", "ns")
TIMES_OF_SKY = np.datetime64("2020-01-01", "ns") + np.arange(5) * np.timedelta64(3, "s")


@pytest.fixture(scope="module")
def event():
    return simulate_event(3, duration_s=3.0)


@pytest.fixture
def stored(event):
    return store(event)


def search(event, like=40, name=NAME, recipe=RECIPE, **keywords):
    like = event.times[like] if isinstance(like, int) else like
    return sim.find_similar(name, like=like, recipe=recipe, **QUIET, **keywords)


def scores(names):
    return pyspedas.get_data(names[-1]).y


def record(names):
    return pyspedas.get_data(names[-1], metadata=True)[ATTRIBUTE]


def warnings_of(caplog):
    ours = [r for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith("pyspedas_similarity")]
    said = [r.getMessage() for r in ours]
    return [one for one in said if "looks like the query" not in one]  # in these short passes most of it does


def change(old, **parts):
    """Store a variable again under another name or with other times, values or coordinates."""
    old = read(old)
    coordinates = {**old.coordinates, **parts.pop("coordinates", {})}
    parts = {"times": old.times, "values": old.values} | parts
    parts = {"name": old.name} | parts
    write(Variable(**parts, coordinates=coordinates, attributes=old.attributes))


def fingerprint():
    return {
        name: (id(one), one.values.tobytes(), one.time.values.tobytes())
        for name, one in tplot_tools.data_quants.items()
    }


def refused(event, named, **keywords):
    """The message of the one error that a search ends in; it names `named` and leaves the store as it was."""
    before = fingerprint()
    with pytest.raises(SimilarityError, match=named) as caught:
        search(event, **keywords)
    assert fingerprint() == before
    return str(caught.value)


def test_field_and_velocity_are_found_by_name(event, stored, caplog):
    names = search(event)
    assert names == [f"{NAME}_similar", f"{NAME}_similarity"]
    assert record(names)["recipe"]["planes"] == list(RECIPE.planes)
    assert record(names)["recipe"]["hash"] == RECIPE.hash
    assert record(names)["station"] == {"probe": "simulated1"}
    assert np.isfinite(scores(names)).all() and scores(names)[40] == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(pyspedas.get_data(names[-1], dt=True).times, event.times)
    assert warnings_of(caplog) == []


def test_given_names_come_before_those_found(event, stored):
    found = scores(search(event))
    change(FIELD, name="b")
    change(FLOW, name="v")
    turned = read(FIELD).values[:, [1, 2, 0]]
    change(FIELD, values=turned)
    change(FLOW, values=np.array(read(FLOW).values) * np.nan)
    np.testing.assert_array_equal(scores(search(event, field="b", velocity="v")), found)
    assert not np.allclose(scores(search(event, velocity="v")), found, atol=1e-3)


def test_a_velocity_that_is_not_there_is_computed(event, stored):
    found = scores(search(event))
    del tplot_tools.data_quants[FLOW]
    assert np.corrcoef(scores(search(event)), found)[0, 1] > 0.8


def test_without_a_field_the_planes_are_those_of_the_instrument(event, stored, caplog):
    del tplot_tools.data_quants[FIELD]
    standard = sim.find_similar(NAME, like=event.times[40], k=1, **QUIET)
    planes = record(standard)["recipe"]["planes"]
    assert set(planes) <= {"xy", "xz", "yz"}
    said = warnings_of(caplog)
    assert len(said) <= 1 and all(NAME in one and "no magnetic field" in one for one in said)
    # A recipe that was asked for is not replaced.
    assert "magnetic field" in refused(event, NAME)


def test_a_default_of_the_field_without_a_field_is_one_warning(event, stored, caplog, monkeypatch):
    monkeypatch.setitem(INSTRUMENTS, "simulated_des", replace(INSTRUMENTS["simulated_des"], recipe=RECIPE))
    with_field = sim.find_similar(NAME, like=event.times[40], **QUIET)
    assert record(with_field)["recipe"]["planes"] == list(RECIPE.planes) and warnings_of(caplog) == []
    del tplot_tools.data_quants[FIELD]
    without = sim.find_similar(NAME, like=event.times[40], **QUIET)
    assert record(without)["recipe"]["planes"] == INSTRUMENT_PLANES
    (said,) = warnings_of(caplog)
    assert NAME in said and "no magnetic field" in said


def within(times, first, last):
    return (times > first) & (times < last)


def test_a_gap_of_the_field_makes_its_samples_nan(event, stored, caplog):
    times = read(FIELD).times
    gap = within(times, event.times[60], event.times[80])
    change(FIELD, times=times[~gap], values=read(FIELD).values[~gap])
    missing = np.isnan(scores(search(event)))
    assert missing[61:80].all() and not missing[:60].any() and not missing[81:].any()
    (said,) = warnings_of(caplog)
    assert said.startswith(NAME) and f"{missing.sum()} of 100 for {FIELD}" in said


@pytest.mark.parametrize("fill", [np.nan, -1e31])
@pytest.mark.parametrize("name", [FIELD, FLOW])
def test_fill_values_are_as_good_as_a_gap(event, stored, caplog, name, fill):
    one = read(name)
    gap = within(one.times, event.times[60], event.times[80])
    values = np.array(one.values)
    values[gap] = fill
    change(name, values=values)
    missing = np.isnan(scores(search(event)))
    assert missing[61:80].all() and not missing[:60].any() and not missing[81:].any()
    (said,) = warnings_of(caplog)
    assert name in said


@pytest.mark.parametrize("fill", [np.nan, -1e31])
def test_a_field_of_fill_values_only(event, stored, fill):
    change(FIELD, values=np.full_like(read(FIELD).values, fill))
    assert "cannot be encoded" in refused(event, NAME)


def test_a_field_of_zero_points_nowhere(event, stored):
    values = np.array(read(FIELD).values)
    values[within(read(FIELD).times, event.times[60], event.times[80])] = 0
    change(FIELD, values=values)
    missing = np.isnan(scores(search(event)))
    assert missing[62:79].all() and not missing[:60].any()


def test_a_velocity_of_nan_only_refuses_to_point(event, stored, caplog):
    change(FLOW, values=np.full_like(read(FLOW).values, np.nan))
    assert "cannot be encoded" in refused(event, NAME)


def test_field_times_that_go_back_lose_their_own_samples_only(event, stored, caplog):
    found, times = scores(search(event, reference=None)), read(FIELD).times.copy()
    times[100:110] -= np.timedelta64(1, "s")
    change(FIELD, times=times)
    lost = scores(search(event, reference=None))
    gap = within(event.times, read(FIELD).times[99], read(FIELD).times[110])
    rest = ~gap
    np.testing.assert_allclose(lost[rest], found[rest], atol=1e-6)
    assert f"{FIELD}: 10 of " in caplog.text and "go back" in caplog.text


def test_field_times_that_are_missing(event, stored, caplog):
    found, times = scores(search(event, reference=None)), read(FIELD).times.copy()
    times[100] = NAT
    tplot_tools.data_quants[FIELD] = tplot_tools.data_quants[FIELD].assign_coords(time=times)
    lost = scores(search(event, reference=None))
    near = np.abs(event.times - read(FIELD).times[99]) < np.timedelta64(50, "ms")
    np.testing.assert_allclose(lost[~near], found[~near], atol=1e-6)
    assert f"{FIELD}: 1 of " in caplog.text


@pytest.mark.parametrize(
    ("damage", "said"),
    [(np.nan, f"{FIELD} is missing"), (-1e31, f"{FIELD} is missing"), (0.0, f"{FIELD} is zero")],
)
def test_a_query_in_a_gap_names_the_companion_and_its_gap(event, stored, damage, said):
    values = np.array(read(FIELD).values)
    values[within(read(FIELD).times, event.times[60], event.times[80])] = damage
    change(FIELD, values=values)
    message = refused(event, "cannot be encoded", like=70)
    first, last = (event.times[row] for row in ((62, 78) if damage == 0 else (61, 79)))
    start, end = (
        np.datetime64(one, "ns") for one in message.split(f"{said} from ")[1].split(". Give")[0].split(" to ")
    )
    assert abs(start - first) <= np.timedelta64(30, "ms") and abs(end - last) <= np.timedelta64(30, "ms")


def test_a_query_at_a_flagged_sample_names_the_flags(event, stored):
    flags = np.zeros(100, np.uint32)
    flags[38:43] = 1
    change("simulated1_des_errorflags_brst_dist", values=flags)
    said = f"errorflags_brst_dist flags it as bad from {event.times[38]} to {event.times[42]}"
    assert said in refused(event, "cannot be encoded")


def test_a_query_in_a_gap_of_streamed_data_names_the_companion(event, stored):
    field = read(FIELD)
    known = ~within(field.times, event.times[60], event.times[80])
    companions = {"field": replace(field, times=field.times[known], values=field.values[known]), "velocity": read(FLOW)}
    whole = read(NAME)
    segments = [Segment(sample_images.select(whole, slice(start, start + 50)), companions) for start in (0, 50)]
    library = streamed_library(iter(segments), EncodingOptions(recipe=RECIPE, progress=False))
    why = library.series[0].why_not(np.array([70]))
    assert why == f"{FIELD} is missing from {event.times[60]} to {event.times[80]}"
    assert library.series[0].why_not(np.array([5])) == library.series[0].without_embedding


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("simulated1_des_errorflags_brst_dist", RECIPE),
        (NAME.replace("dist", "disterr"), replace(RECIPE, least_counts=1.5)),
    ],
)
def test_a_companion_that_is_cut_short_loses_its_own_samples(event, stored, name, recipe):
    found = scores(search(event, recipe=recipe, reference=None))
    one = read(name)
    change(
        name,
        times=one.times[:90],
        values=one.values[:90],
        coordinates={
            key: table[:90] if table.ndim > 1 and len(table) == 100 else table for key, table in one.coordinates.items()
        },
    )
    lost = scores(search(event, recipe=recipe, reference=None))
    assert np.isnan(lost[90:]).all()
    np.testing.assert_allclose(lost[:90], found[:90], atol=1e-6)


def test_doubled_field_times_are_no_gap(event, stored, caplog):
    one = read(FIELD)
    change(FIELD, times=np.repeat(one.times, 2), values=np.repeat(one.values, 2, axis=0))
    assert np.isfinite(scores(search(event))).all()
    assert warnings_of(caplog) == []


def test_distribution_times_that_go_back_lose_their_own_samples_only(event, stored, caplog):
    found, times = scores(search(event, reference=None)), event.times.copy()
    times[[10, 20]] = times[[20, 10]]
    change(NAME, times=times)
    caplog.clear()
    lost = scores(search(event, reference=None))
    np.testing.assert_allclose(lost, np.delete(found, [10, 20]), atol=1e-6)
    total = f"{NAME}: 2 of {len(times)} samples are left out: their times go back or are missing."
    assert warnings_of(caplog) == [total]
    change(NAME, times=event.times[::-1])
    assert "go back" in refused(event, NAME)


def test_doubled_distribution_times_are_kept(event, stored):
    times = event.times.copy()
    times[11] = times[10]
    change(NAME, times=times)
    names = search(event)
    np.testing.assert_array_equal(pyspedas.get_data(names[-1], dt=True).times, times)
    assert np.isfinite(scores(names)).all()


def test_zero_and_negative_densities(event, stored):
    values = np.array(read(NAME).values)
    plain = scores(search(event, reference=None))  # a library without some samples has another center
    values[5] = 0
    values[6] = -1e31
    values[7] = np.nan
    values[8] *= -1
    change(NAME, values=values)
    changed = scores(search(event, reference=None))
    missing = np.flatnonzero(np.isnan(changed))
    assert {5, 6, 7} <= set(missing) <= {5, 6, 7, 8}
    rest = np.setdiff1d(np.arange(100), [5, 6, 7, 8])
    np.testing.assert_allclose(changed[rest], plain[rest], atol=1e-6)


def test_all_densities_zero(event, stored):
    change(NAME, values=np.zeros_like(read(NAME).values))
    assert "cannot be encoded" in refused(event, NAME)


def test_energies_out_of_order(event, stored):
    change(NAME, coordinates={"v3": np.array(read(NAME).coordinates["v3"])[:, ::-1]})
    assert "ascend" in refused(event, f"{NAME}: energy table")


@pytest.mark.parametrize("size", [31, 33])
def test_an_azimuth_table_of_the_wrong_length(event, stored, size, monkeypatch):
    tables = {"v1": np.resize(event.azimuth, (100, size)), "v2": event.polar, "v3": event.energy_ev}
    wrong = Variable(NAME, event.times, event.distribution, tables, read(NAME).attributes)
    # pyspedas's own store does not take such a variable, so it is handed in at the door.
    monkeypatch.setattr(tplot, "read", lambda name: wrong if name == NAME else read(name))
    assert f", {size})" in refused(event, f"{NAME}: azimuth table")


def test_a_field_of_another_spacecraft(event, stored):
    change(FIELD, name="simulated2_fgm_b_dmpa_brst_l2")
    assert "another spacecraft" in refused(event, "simulated2_fgm", field="simulated2_fgm_b_dmpa_brst_l2")
    del tplot_tools.data_quants[FIELD]
    assert "magnetic field" in refused(event, NAME)  # nor is it found by itself


def test_a_field_that_is_no_vector(event, stored):
    one = read(FIELD)
    change(FIELD, values=one.values[:, 0])
    assert "vector" in refused(event, FIELD)


def test_a_field_that_is_not_loaded(event, stored):
    assert "no tplot variable" in refused(event, "bb", field="bb")


def test_a_field_of_another_day(event, stored):
    change(FIELD, times=read(FIELD).times + np.timedelta64(1, "D"))
    assert "cannot be encoded" in refused(event, NAME)


def test_errors_of_other_samples_are_refused(event, stored):
    error = NAME.replace("dist", "disterr")
    change(error, times=read(error).times + np.timedelta64(1, "ms"))
    assert "lacks some" in refused(event, error, recipe=replace(RECIPE, least_counts=1.5))


def test_flagged_samples_have_no_score_and_are_counted(event, stored, caplog):
    flags = np.zeros(100, np.uint32)
    flags[[3, 4]] = 1
    flags[5] = 2  # saturation: kept
    change("simulated1_des_errorflags_brst_dist", values=flags)
    assert np.flatnonzero(np.isnan(scores(search(event)))).tolist() == [3, 4]
    (said,) = warnings_of(caplog)
    assert "2 of 100 because simulated1_des_errorflags_brst_dist flags it as bad" in said


def test_one_sample_cannot_be_searched_but_can_be_a_seed(event, stored):
    one = read(NAME)
    tables = {key: table[:1] if table.ndim == 2 else table for key, table in one.coordinates.items()}
    single = "simulated1_des_dist_brst_single"
    write(Variable(single, one.times[40:41], one.values[40:41], tables, one.attributes))
    assert "1 sample" in refused(event, single, name=single)
    names = search(event, like=(single, event.times[40]))
    assert np.isfinite(scores(names)).all()


def test_a_suffix_of_names_is_shared(event):
    store(event, suffix="_mine")
    names = search(event, name=NAME + "_mine")
    assert names == [f"{NAME}_mine_similar", f"{NAME}_mine_similarity"]
    assert record(names)["recipe"]["planes"] == list(RECIPE.planes)
    assert sim.find_similar(NAME + "_mine", like=event.times[40], recipe=RECIPE, suffix="_a", **QUIET)[-1].endswith(
        "_similarity_a"
    )


def test_companions_without_the_suffix_serve_too(event, stored):
    expected = scores(search(event))
    change(NAME, name=NAME + "_cut")
    np.testing.assert_array_equal(scores(search(event, name=NAME + "_cut")), expected)


def test_blocks_do_not_show(event, stored, monkeypatch):
    averaged = replace(RECIPE, average=4)
    variable = read(NAME)
    plain = replace(averaged, planes=("xy",))
    whole = np.concatenate(list(sample_images.images(variable, plain)))
    in_blocks = np.concatenate(list(sample_images.images(variable, plain, block=7)))
    np.testing.assert_array_equal(in_blocks, whole)


START = np.datetime64("2020-01-31T23:59:56", "ns")  # over the end of a month
SEGMENTS = 4


@pytest.fixture(scope="module")
def burst():
    return simulate_event(3, start=START, duration_s=6.0)


@pytest.fixture
def served(tmp_path, monkeypatch, burst):
    """A server of the burst in several files, and a local tree that is empty."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    (tmp_path / "served").mkdir()
    fpi_files.write_tree(tmp_path / "served", burst, segments=SEGMENTS)
    archive_server.as_spdf(tmp_path / "served")
    monkeypatch.setattr(pieces, "_BACKOFF_S", 0.0)
    with archive_server.ArchiveServer(tmp_path / "served") as running:
        monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "local"))
        monkeypatch.setitem(CONFIG, "remote_data_dir", running.url)
        yield running


def ranged(burst, verb=sim.find_similar, **keywords):
    given = {"instrument": "mms_des", "trange": [burst.times[0], burst.times[-1]], "probe": 1}
    keywords["load_keywords"] = {"data_rate": "brst"} | keywords.get("load_keywords", {})
    return verb(**given | {"recipe": RECIPE} | QUIET | keywords)


def files(served, kind):
    return sorted(path.name for path in served.root.rglob(f"*{kind}*.cdf"))


SERVED = "mms1_des_dist_brst"


def test_a_range_is_searched_segment_by_segment(served, burst, caplog):
    tplot_tools.store_data("mine", data={"x": [0.0, 1.0], "y": [1.0, 2.0]})
    tplot_tools.store_data(SERVED, data={"x": [0.0, 1.0], "y": [3.0, 4.0]})
    before = fingerprint()
    names = ranged(burst, like=burst.times[140])
    assert names == [f"{SERVED}_similar", f"{SERVED}_similarity"]
    after = fingerprint()
    assert set(after) - set(before) == set(names) and {name: after[name] for name in before} == before
    series = pyspedas.get_data(names[-1], dt=True)
    np.testing.assert_array_equal(series.times, burst.times)
    assert np.isfinite(series.y).all() and series.y[140] == pytest.approx(1, abs=1e-6)
    assert record(names)["recipe"]["planes"] == list(RECIPE.planes) and record(names)["station"] == {"probe": "mms1"}
    assert warnings_of(caplog) == []
    # The same from the store, all at once.
    store(burst)
    np.testing.assert_allclose(series.y, scores(search(burst, like=140)), atol=1e-5)
    # An array is a seed too; it is taken for one with the tables, field and velocity of the first sample.
    again = ranged(burst, like=burst.distribution[0], load_keywords={"no_update": True})
    assert np.argmax(scores(again)) == 0 and scores(again)[0] == pytest.approx(1, abs=1e-6)
    (embedding,) = ranged(burst, sim.encode, load_keywords={"no_update": True})
    vectors = pyspedas.get_data(embedding, dt=True)
    np.testing.assert_array_equal(vectors.times, burst.times)
    plain = scores(ranged(burst, like=burst.times[140], reference=None))
    np.testing.assert_allclose(vectors.y @ vectors.y[140], plain, atol=1e-5)


def test_a_server_that_dies_loses_its_segments_and_says_so(served, burst, caplog):
    names = files(served, "des-dist")
    served.killed_at = names[2]
    found = ranged(burst, like=burst.times[50])
    parts = np.array_split(np.arange(burst.times.size), SEGMENTS)
    series = pyspedas.get_data(found[-1], dt=True)
    np.testing.assert_array_equal(series.times, burst.times[np.concatenate(parts[:2])])
    assert np.isfinite(series.y).all()
    (said,) = warnings_of(caplog)
    assert "2 parts" in said and "does not answer" in said
    # Back again: what was lost is fetched; then gone for good, everything is here.
    served.start()
    again = ranged(burst, like=burst.times[50])
    np.testing.assert_array_equal(pyspedas.get_data(again[-1], dt=True).times, burst.times)
    served.stop()
    offline = ranged(burst, like=burst.times[50], load_keywords={"no_update": True})
    np.testing.assert_array_equal(pyspedas.get_data(offline[-1], dt=True).times, burst.times)
    served.start()


def test_one_broken_file_loses_one_segment(served, burst, caplog):
    served.cut.add(files(served, "des-dist")[1])
    found = ranged(burst, like=burst.times[20])
    parts = np.array_split(np.arange(burst.times.size), SEGMENTS)
    np.testing.assert_array_equal(
        pyspedas.get_data(found[-1], dt=True).times, burst.times[np.concatenate([parts[0], *parts[2:]])]
    )
    (said,) = warnings_of(caplog)
    assert "1 part" in said


def test_segments_without_a_field_have_no_scores(served, burst, caplog):
    lost = files(served, "fgm")[1:]
    served.missing.update(lost)
    series = pyspedas.get_data(ranged(burst, like=burst.times[20], k=1)[-1], dt=True)
    np.testing.assert_array_equal(series.times, burst.times)
    first, second, *others = np.array_split(series.y, SEGMENTS)
    assert np.isfinite(first).all() and np.isnan(np.concatenate(others)).all()
    # The field of a file reaches a second beyond its distributions, and one and a half cadences more are bridged.
    assert np.flatnonzero(np.isnan(second))[0] == pytest.approx(1000 / 30, abs=3)
    files_lost, samples_lost = warnings_of(caplog)
    assert all(name in files_lost for name in lost) and "HTTP status 404" in files_lost
    assert f"{np.isnan(second).sum()} of 200 for mms1_fgm_b_dmpa_brst_l2" in samples_lost
    assert "100 of 200 for magnetic field" in samples_lost


def test_ions_by_range(served, burst, tmp_path):
    ions = simulate_event(3, "ion", START, 6.0)
    fpi_files.write_tree(tmp_path / "ions", ions, segments=2)
    archive_server.as_spdf(tmp_path / "ions")
    served.root = tmp_path / "ions"
    served.stop()
    served.start()
    names = sim.find_similar(
        instrument="mms_dis", trange=[ions.times[0], ions.times[-1]], like=ions.times[20], probe="1", k=1, **QUIET
    )
    assert names[-1] == "mms1_dis_dist_brst_similarity"
    np.testing.assert_array_equal(pyspedas.get_data(names[-1], dt=True).times, ions.times)


def test_a_recipe_of_another_kind_is_one_error(served, burst):
    with pytest.raises(SimilarityError, match=SERVED):
        ranged(burst, like=burst.times[0], recipe=FrameRecipe())


def test_a_seed_outside_the_range_is_one_error(served, burst):
    before = fingerprint()
    with pytest.raises(SimilarityError, match="no sample within"):
        ranged(burst, like=burst.times[0] - np.timedelta64(1, "h"))
    assert fingerprint() == before


def test_training_by_range_uses_the_field_and_all_segments(served, burst):
    pytest.importorskip("torch")
    encoder = sim.train(
        instrument="mms_des",
        trange=[burst.times[0], burst.times[-1]],
        probe=1,
        recipe=RECIPE,
        load_keywords={"data_rate": "brst"},
        epochs=1,
        progress=False,
    )
    assert encoder.card.recipe_hash == RECIPE.hash and RECIPE.field_aligned
    assert encoder.card.training["data"] == [SERVED]
    assert encoder.card.training["n_samples"] == len(burst.times)


def test_no_segment_is_held_while_the_next_is_read():
    """The pipeline lets go of a segment before it asks for another."""
    alive = []

    def one_after_another():
        for part in range(4):
            gc.collect()
            assert [one() is not None for one in alive] == [False] * part
            times = TIMES_OF_SKY + part * np.timedelta64(1, "m")
            frames = np.random.default_rng(part).integers(0, 999, (5, 32, 32)).astype(np.uint16)
            alive.append(weakref.ref(frames))
            segment = Segment(Variable("sky", times, frames), {})
            del frames
            held = [segment]
            del segment
            yield held.pop()

    (series,) = streamed_library(one_after_another(), EncodingOptions(progress=False)).series
    assert len(alive) == 4 and series.embedded.embeddings.shape[0] == 20


def test_what_images_in_thermal_units_leave_out_is_kept_beside_the_embeddings(event, stored):
    recipe = replace(INSTRUMENTS["mms_des"].recipe, pixels=16)
    names = sim.encode(NAME, recipe=recipe, **QUIET)
    assert names == [f"{NAME}_embedding", f"{NAME}_embedding_density", f"{NAME}_embedding_temperature"]
    density, temperature = (pyspedas.get_data(name).y for name in names[1:])
    # The simulated truth, against moments of the counts above 30 eV: some of the cold electrons are missed.
    assert np.median(density / event.density) == pytest.approx(0.8, abs=0.25)
    assert np.corrcoef(density, event.density)[0, 1] > 0.9
    truth = np.trace(event.temperature, axis1=1, axis2=2) / 3
    assert np.corrcoef(np.log(temperature), np.log(truth))[0, 1] > 0.9
    assert pyspedas.get_data(names[1], metadata=True)["data_att"]["units"] == "cm^-3"
    assert sim.encode(NAME, recipe=RECIPE, **QUIET) == [f"{NAME}_embedding"]
