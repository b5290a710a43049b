"""Pictures of what was found, from the verbs: what is drawn is what was measured and found; bad input is told."""

from __future__ import annotations

import io
import logging

import numpy as np
import pyspedas
import pytest
import pytplot
from matplotlib.colors import to_rgba
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.rows import Identity, make_rows
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError, QueryError, VariableError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe, WindowRecipe
from pyspedas_similarity.instruments import sample_images
from pyspedas_similarity.plotting.embedding_map import spread_places
from pyspedas_similarity.plotting.gallery import measured
from pyspedas_similarity.simulate import fpi
from pyspedas_similarity.times import to_astropy
from pyspedas_similarity.tplot import Variable

STEP = np.timedelta64(3_000_000_001, "ns")  # so that a nanosecond lost anywhere is seen
START = np.datetime64("2016-12-31T23:58:00.000000007", "ns")
TIMES = START + np.arange(90) * STEP
# Level stripes in 10-19 and 60-69, noise else; brighter at the top, so that up can be told from down.
LEVEL = np.r_[10:20, 60:70]
RECIPE = FrameRecipe(pixels=32, mask_radius=1.5, contrast_pixels=0)


def made_up_sky(seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.normal(1000, 10, (90, 64, 64))
    frames[LEVEL] += 200 * np.sin(np.arange(64) / 3.0)[:, None] + 3 * (64 - np.arange(64))[:, None]
    return frames.astype(np.uint16)


def store(name="sky", module=tplot_tools, times=TIMES, frames=None):
    frames = made_up_sky() if frames is None else frames
    module.store_data(name, data={"x": times, "y": frames}, attr_dict={"data_att": {"units": "counts"}})
    return name


def search(name="sky", **more):
    more = {"threshold": "auto", "errors": "raise"} | more
    return sim.find_similar(name, like=TIMES[14], exclude=20, recipe=RECIPE, encoder="pixels", **more)


@pytest.fixture
def found():
    store()
    return search()


def fingerprint():
    """Everything in the stores that a picture might have changed."""
    return [
        {name: (id(one), one.values.tobytes(), repr(one.attrs)) for name, one in module.data_quants.items()}
        for module in (tplot_tools, pytplot)
    ]


def mesh(panel):
    return np.ma.filled(panel.collections[0].get_array().astype(float), np.nan)


# --- plot_matches


def test_frames_are_drawn_as_measured_and_north_up(found, tmp_path):
    before = fingerprint()
    figure = sim.plot_matches(found, tmp_path / "matches.png", errors="raise")
    assert fingerprint() == before and (tmp_path / "matches.png").stat().st_size > 5000
    table = sim.intervals(found)
    assert len(table) == 1
    # Rows of a mesh ascend upward: the first row of a frame, in the north, is the last of them.
    np.testing.assert_array_equal(mesh(figure.axes[0]), made_up_sky()[14][::-1])
    peak = int(np.searchsorted(TIMES, table["peak"][0].to_value("datetime64")))
    np.testing.assert_array_equal(mesh(figure.axes[1]), made_up_sky()[peak][::-1])
    assert figure.axes[1].get_title().splitlines()[0] == f"1: {table['score'][0]:.3f}"
    assert figure.axes[0].get_title().splitlines() == ["query", str(TIMES[14])[:10], str(TIMES[14])[11:23]]
    assert figure.axes[-1].get_ylabel() == "counts"


def test_a_frame_whose_first_row_is_in_the_south_is_turned(found):
    entry = tplot_tools.data_quants["sky"]
    entry.attrs["data_att"] = {**entry.attrs["data_att"], "first_row": "south"}
    figure = sim.plot_matches(found, errors="raise")
    np.testing.assert_array_equal(mesh(figure.axes[0]), made_up_sky()[14])


def test_a_cut_through_a_distribution_is_in_km_s_and_s3_cm6():
    names = fpi.load(trange=["2020-01-01/00:00:00", "2020-01-01/00:00:40"], seed=3)
    times = pyspedas.get_data(names[0], dt=True).times
    cut = DistributionRecipe(depth=0)
    found = sim.find_similar(names[0], like=times[20], k=2, recipe=cut, errors="raise")
    figure = sim.plot_matches(found, limit=1, errors="raise")
    panel = figure.axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("", "$v_y$ (km/s)") or panel.get_xlabel() == "$v_x$ (km/s)"
    density = np.asarray(pyspedas.get_data(names[0]).y[20], float)
    drawn = mesh(panel)
    measured = drawn[np.isfinite(drawn)]
    # Nearest bins: every value drawn is one that was measured, to the last digits that a float32 logarithm keeps.
    known = np.sort(density[density > 0])
    near = np.searchsorted(known, measured).clip(1, len(known) - 1)
    apart = np.minimum(np.abs(known[near] / measured - 1), np.abs(known[near - 1] / measured - 1))
    assert len(measured) > 100 and apart.max() < 1e-3
    assert panel.get_xlim()[1] == pytest.approx(1000, abs=20)
    assert figure.axes[-1].get_ylabel() == "f (s$^3$ cm$^{-6}$)"
    assert figure.get_supxlabel().splitlines()[-1] == "spacecraft frame; axes of the measurement"


def test_a_cut_is_where_the_encoded_image_is():
    names = fpi.load(trange=["2020-01-01/00:00:00", "2020-01-01/00:00:40"], seed=3)
    velocity = pyspedas.get_data("simulated1_dis_bulkv_dbcs_brst", dt=True)
    query = velocity.times[np.argmax(np.abs(velocity.y[:, 2]))]
    found = sim.find_similar(names[0], like=query, k=1, errors="raise")
    figure = sim.plot_matches(found, limit=1, encoded=True, errors="raise")
    assert "mean over 270 km/s on each side of the plane" in figure.get_supxlabel()
    columns = figure.axes[:12:2]  # six rows of a query and a match
    for cut, encoded in zip(columns[:3], columns[3:], strict=True):
        density = np.nan_to_num(mesh(cut)).reshape(32, 2, 32, 2).mean(axis=(1, 3))
        logarithm = np.log10(np.maximum(density, 3e-25))
        assert np.corrcoef(logarithm.ravel(), np.nan_to_num(mesh(encoded)).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("is_subtracted", [True, False])
def test_a_cut_goes_through_the_velocity_of_the_image(is_subtracted):
    names = fpi.load(trange=["2020-01-01/00:00:00", "2020-01-01/00:00:40"], seed=3)
    recipe = DistributionRecipe(planes=("xz",), subtract_velocity=is_subtracted)
    velocity = pyspedas.get_data("simulated1_dis_bulkv_dbcs_brst")
    row = int(np.argmax(np.abs(velocity.y[:, 2])))
    sample = sample_images.select(tplot.read(names[0]), np.array([row]))
    (cut,) = measured(sample, recipe, 1000.0)
    weight = np.nan_to_num(cut.values)
    mean = (weight.sum(axis=1) * cut.y).sum() / weight.sum()
    bulk = velocity.y[row, 2]
    assert abs(bulk) > 300 and abs(mean - (0 if is_subtracted else bulk)) < 0.3 * abs(bulk)
    assert cut.frame.startswith("plasma frame" if is_subtracted else "spacecraft frame")


def test_field_aligned_planes_and_without_field_those_of_the_instrument():
    names = fpi.load_electrons(trange=["2020-01-01/00:00:00", "2020-01-01/00:00:03"], seed=2)
    times = pyspedas.get_data(names[0], dt=True).times
    found = sim.find_similar(names[0], like=times[30], k=1, encoder="pixels", errors="raise")
    labels = [panel.get_ylabel() for panel in sim.plot_matches(found, errors="raise").axes]
    assert [one for one in labels if "km/s" in one] == [
        r"$v_{\bot 2}$ (km/s)",
        r"$v_{\bot 1}$ (km/s)",
        r"$v_{\bot 2}$ (km/s)",
    ]
    for name in [one for one in tplot_tools.data_quants if "fgm" in one]:
        tplot_tools.del_data(name)
    labels = [panel.get_ylabel() for panel in sim.plot_matches(found, errors="raise").axes]
    assert [one for one in labels if "km/s" in one] == ["$v_y$ (km/s)", "$v_z$ (km/s)", "$v_z$ (km/s)"]


def test_windows_of_a_spectrogram_are_drawn_against_time():
    rng = np.random.default_rng(0)
    values = rng.random((200, 16)) + np.exp(-(((np.arange(200) % 50 - 25) / 4) ** 2))[:, None] * 5
    times = START + np.arange(200) * STEP
    tplot.write(Variable("spectrum", times, values, {"v": np.geomspace(10, 1e4, 16)}))
    recipe = WindowRecipe(length_s=36, stride_s=3, pixels=16)
    found = sim.find_similar("spectrum", like=times[75], k=2, recipe=recipe, encoder="pixels", errors="raise")
    figure = sim.plot_matches(found, limit=2, errors="raise")
    panel = figure.axes[0]
    assert "time from the middle" in panel.get_xlabel() and panel.get_yscale() == "log"
    drawn = mesh(panel)
    assert drawn.shape[0] == 16
    first = 75 - drawn.shape[1] // 2
    np.testing.assert_allclose(drawn, values[first : first + drawn.shape[1]].T)


def test_how_many_are_shown_is_told_and_can_be_chosen(found):
    rows = sim.intervals(found)[[0] * 12]
    figure = sim.plot_matches(rows, limit=9, errors="raise")
    titles = [panel.get_title() for panel in figure.axes if panel.get_title()]
    assert len(titles) == 10 and "the 9 best of 12 matches" in figure.get_supxlabel()
    assert "all 12 matches" in sim.plot_matches(rows, limit=100, errors="raise").get_supxlabel()


def test_matches_that_do_not_stand_out_are_gray(found):
    note, gray = "gray: does not stand out of the background", to_rgba("0.6")
    assert note not in sim.plot_matches(found, errors="raise").get_supxlabel()
    rows = sim.intervals(found)[[0, 0]]
    rows["stands_out"] = [True, False]
    figure = sim.plot_matches(rows, errors="raise")
    assert note in figure.get_supxlabel()
    frames = [panel.spines["left"].get_edgecolor() for panel in figure.axes[:3]]
    assert frames[2] == gray and gray not in frames[:2]
    assert [panel.title.get_color() for panel in figure.axes[1:3]] == ["black", "0.6"]


def test_what_is_no_longer_loaded_says_so(found):
    table = sim.intervals(found)
    tplot_tools.del_data("sky")
    figure = sim.plot_matches(table, errors="raise")
    said = [text.get_text().replace("\n", " ") for panel in figure.axes for text in panel.texts]
    assert len(said) == 2 and all("it is not loaded" in one for one in said)
    store("sky again")
    figure = sim.plot_matches(table, originals="sky again", errors="raise")
    np.testing.assert_array_equal(mesh(figure.axes[0]), made_up_sky()[14][::-1])


def test_other_data_under_the_same_name_are_not_drawn(found):
    store(times=TIMES + np.timedelta64(1, "h"))
    figure = sim.plot_matches(found, errors="raise")
    said = " ".join(text.get_text().replace("\n", " ") for panel in figure.axes for text in panel.texts)
    assert "no sample at" in said and not any(panel.collections for panel in figure.axes)


def test_the_encoders_image_comes_below_where_asked_for(found):
    figure = sim.plot_matches(found, encoded=True, errors="raise")
    assert mesh(figure.axes[2]).shape == (32, 32) and figure.axes[2].get_ylabel() == "as encoded"


# --- plot_score


def test_score_below_variables_with_intervals_and_seed_shaded(found, tmp_path):
    from matplotlib.dates import date2num

    tplot.write(Variable("line", TIMES, np.arange(90.0)), {"ytitle": "a line"})
    before = fingerprint()
    figure = sim.plot_score(found, ["line", "sky"], path=tmp_path / "score.png", errors="raise")
    assert fingerprint() == before and (tmp_path / "score.png").stat().st_size > 5000
    line, keogram, score = figure.axes[:3]
    np.testing.assert_array_equal(line.get_lines()[0].get_ydata(), np.arange(90.0))
    np.testing.assert_allclose(score.get_lines()[0].get_ydata(), pyspedas.get_data(found[-1]).y)
    table = sim.intervals(found)
    threshold = table.meta["similarity"][0]["threshold"]
    assert set(score.get_lines()[-1].get_ydata()) == {threshold}
    for panel in (line, keogram, score):
        (match, own, seed) = [patch.get_bbox() for patch in panel.patches]
        assert own.x0 < seed.x0 < seed.x1 < own.x1 < match.x0
        ends = date2num([table[key][0].to_value("datetime64") for key in ("start", "end")])
        np.testing.assert_allclose([match.x0, match.x1], ends, atol=1e-9)
        assert (seed.x0 + seed.x1) / 2 == pytest.approx(date2num(TIMES[14]), abs=1e-9)
        assert seed.width > 0  # though the seed is an instant


def test_a_variable_of_pytplot_and_hostile_names_are_drawn(tmp_path):
    name = store("a$b_{$ *x", module=pytplot)
    found = search(name)
    figure = sim.plot_score(found, [name], path=tmp_path / "score.png", errors="raise")
    assert len(figure.axes) == 3  # keogram, score, bar
    sim.plot_matches(found, tmp_path / "matches.png", errors="raise")
    sim.plot_keogram(found, tmp_path / "keogram.png", errors="raise")
    sim.superposed_epochs(found, found[-1], path=tmp_path / "epochs.png", errors="raise")
    sim.what_drove(found, path=tmp_path / "drove.png", errors="raise")
    for path in tmp_path.glob("*.png"):
        assert path.stat().st_size > 5000
    assert len(list(tmp_path.glob("*.png"))) == 5


def test_thousands_of_intervals_stay_few_shapes(found):
    table = sim.intervals(found)
    rng = np.random.default_rng(0)
    starts = TIMES[0] + (rng.uniform(0, 260, 5000) * 1e9).astype("timedelta64[ns]")
    many = table[[0] * 5000]
    many["start"], many["end"], many["peak"] = (to_astropy(starts) for _ in range(3))
    tplot.write(Variable("line", TIMES, np.arange(90.0)))
    figure = sim.plot_score(many, "line", errors="raise")
    assert 1 <= len(figure.axes[0].patches) <= 601


def test_a_search_that_found_nothing_shows_its_scores(caplog):
    store()
    assert search(threshold=1.0, errors="log") == []
    figure = sim.plot_score("sky_similarity", errors="raise")
    assert figure.axes[0].get_lines() and "0 events" in figure.get_suptitle()


# --- superposed_epochs


def test_epochs_are_around_the_peaks_with_or_without_the_seeds(found):
    table = sim.intervals(found)
    values = np.random.default_rng(0).standard_normal(90)
    tplot.write(Variable("line", TIMES, values))
    window = 6 * STEP
    made = sim.superposed_epochs(found, "line", before=window, after=window, errors="raise")
    peak = int(np.searchsorted(TIMES, table["peak"][0].to_value("datetime64")))
    np.testing.assert_allclose(made["line"].median[:, 0], values[peak - 6 : peak + 7])
    assert made.centers.tolist() == TIMES[[peak]].tolist() and made.overlapping == 0
    both = sim.superposed_epochs(found, "line", before=window, after=window, queries=True, errors="raise")
    expected = (values[peak - 6 : peak + 7] + values[14 - 6 : 14 + 7]) / 2
    np.testing.assert_allclose(both["line"].median[:, 0], expected)
    assert (both["line"].table()["n_events"] == 2).all()


# --- plot_keogram


def test_the_keogram_is_that_of_the_verb_with_the_score_below(found, tmp_path):
    figure = sim.plot_keogram(found, tmp_path / "keogram.png", errors="raise")
    upper, lower = figure.axes[:2]
    (name,) = sim.keogram("sky")
    np.testing.assert_allclose(mesh(upper), pyspedas.get_data(name).y.T)
    assert upper.get_ylim()[0] < upper.get_ylim()[1]  # south below
    np.testing.assert_allclose(lower.get_lines()[0].get_ydata(), pyspedas.get_data(found[-1]).y)
    assert {one.get_text() for one in lower.get_legend().get_texts()} == {"threshold", "similar", "own event", "query"}


@pytest.mark.parametrize(
    ("about", "label", "unit"),
    [
        ({"units": "R", "first_row": "south"}, "row, north up", "R"),
        ({}, "row from the bottom", "brightness, no unit stored"),
    ],
)
def test_a_keogram_is_the_same_in_all_figures(about, label, unit):
    store()
    tplot_tools.data_quants["sky"].attrs["data_att"] = about
    found = search()
    rows = made_up_sky() if about else made_up_sky()[:, ::-1]
    expected = rows[:, :, 30:35].mean(axis=2).T
    (name,) = sim.keogram("sky", errors="raise")
    np.testing.assert_allclose(pyspedas.get_data(name).y.T, expected, rtol=1e-6)
    options = pyspedas.get_data(name, metadata=True)["plot_options"]
    assert " ".join(options["yaxis_opt"]["axis_subtitle"].split()) == label.replace(",", "")
    assert options["zaxis_opt"]["axis_label"] == unit
    assert pyspedas.get_data(name, metadata=True)["data_att"]["units"] == about.get("units", "")
    for figure in (sim.plot_keogram(found, errors="raise"), sim.plot_score(found, "sky", errors="raise")):
        panel, bar = figure.axes[0], figure.axes[-1]
        np.testing.assert_allclose(mesh(panel), expected, rtol=1e-6)
        assert panel.get_ylim()[0] < panel.get_ylim()[1]
        assert label in panel.get_ylabel().replace(",\n", ", ").replace("\n", " ").replace("row north", "row, north")
        assert " ".join(bar.get_ylabel().split()) == unit


def test_spectra_by_pitch_angle_are_drawn_with_their_axes():
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(size=(90, 9, 20))) * np.geomspace(1e5, 1, 20)
    tables = {"v1": np.linspace(10, 170, 9), "v2": np.geomspace(15, 5e4, 20)}
    about = {"data_att": {"units": "s!E-1!Ncm!E-2!N", "depend_1_units": "deg", "depend_2_units": "eV"}}
    tplot.write(Variable("rbspa_hope_FPDU", TIMES, values, tables, about))
    found = sim.find_similar("rbspa_hope_FPDU", like=TIMES[14], k=2, encoder="pixels", errors="raise")
    figure = sim.plot_matches(found, limit=2, errors="raise")
    panel = figure.axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("energy (eV)", "pitch angle (deg)")
    assert panel.get_xscale() == "log" and panel.get_ylim() == (0, 180)
    np.testing.assert_allclose(mesh(panel), values[14])
    assert figure.axes[-1].get_ylabel() == "s$^{-1}$ cm$^{-2}$" and "rbspa_hope_FPDU" in figure.get_suptitle()
    figure = sim.plot_score(found, "rbspa_hope_FPDU", errors="raise")
    assert figure.axes[0].get_ylabel().split("\n") == ["rbspa_hope_FPDU", "energy (eV)"]
    np.testing.assert_allclose(mesh(figure.axes[0]), values.mean(axis=1).T)


def test_a_keogram_has_a_hole_where_frames_are_missing(found):
    kept = np.r_[0:30, 50:90]
    store(times=TIMES[kept], frames=made_up_sky()[kept])
    drawn = mesh(sim.plot_keogram(found, errors="raise").axes[0])
    assert drawn.shape[1] == 72 and np.isnan(drawn[:, 30:32]).all() and np.isfinite(drawn[:, 32:]).all()


# --- plot_archive_map


def unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def kept(tmp_path):
    """Two simulated series of 300 embeddings each about three axes."""
    made = Archive(tmp_path / "kept")
    store_of = made.begin(Identity("frame", "e", "r", 8))
    for number, (source, site) in enumerate((("sky_a", "fsmi"), ("sky_b", "gako"))):
        noise = np.random.default_rng(number).standard_normal((300, 8))
        embeddings = unit(np.eye(8)[np.arange(300) // 100] + 0.1 * noise)
        times = START + np.arange(300) * STEP
        store_of.append(make_rows(embeddings, times, times + STEP, source, site))
    return made


def test_seed_matches_and_events_are_marked_where_they_lie(kept):
    found = sim.find_nearest(kept, ("sky_a", str(START + 40 * STEP)), k=4, exclude=30, errors="raise")
    events = [[str(START + 150 * STEP), str(START + 154 * STEP)]]
    figure = sim.plot_archive_map(kept, found, events=events, method="pca", errors="raise")
    panel = figure.axes[0]
    drawn = {one.get_label().split(" (")[0]: one.get_offsets() for one in panel.collections}
    assert sum(len(one.get_offsets()) for one in panel.collections if one.get_label().startswith("_")) == 600
    everything = np.concatenate([one.get_offsets() for one in panel.collections if one.get_label().startswith("_")])
    np.testing.assert_array_equal(drawn["query"], everything[[40]])
    np.testing.assert_array_equal(drawn["known event"], everything[[152, 452]])  # of both series
    table = sim.intervals(found)
    rows = [
        int(np.searchsorted(START + np.arange(300) * STEP, peak.to_value("datetime64"))) + 300 * (source == "sky_b")
        for peak, source in zip(table["peak"], table["source"], strict=True)
    ]
    np.testing.assert_array_equal(drawn["match"], everything[rows])
    assert "principal components" in panel.get_xlabel()


def test_a_large_archive_is_thinned_and_told_but_marks_stay(kept):
    found = sim.find_nearest(kept, ("sky_a", str(START + 41 * STEP)), k=3, exclude=30, errors="raise")
    figure = sim.plot_archive_map(kept, found, color="site", limit=100, method="pca", errors="raise")
    panel = figure.axes[0]
    counts = {one.get_label(): len(one.get_offsets()) for one in panel.collections}
    assert "query (1)" in counts and f"match ({len(sim.intervals(found))})" in counts
    n = sum(count for label, count in counts.items() if label.startswith(("fsmi", "gako")))
    assert 100 <= n <= 104 and panel.get_title(loc="left") == f"{n} of 600 samples of an archive, evenly in time"


def test_only_what_stands_out_counts_as_a_match_on_a_map(kept):
    found = sim.find_similar(archive=kept, like=("sky_a", str(START + 40 * STEP)), k=3, errors="raise")
    table = sim.intervals(found)
    table["stands_out"] = np.arange(len(table)) == 0
    figure = sim.plot_archive_map(kept, table, method="pca", errors="raise")
    labels = [one.get_label() for one in figure.axes[0].collections]
    assert "match (1)" in labels and f"does not stand out ({len(table) - 1})" in labels


def test_the_color_may_be_the_score(kept):
    found = sim.find_similar(archive=kept, like=("sky_a", str(START + 40 * STEP)), k=3, errors="raise")
    figure = sim.plot_archive_map(kept, found, color="score", method="pca", errors="raise")
    drawn = next(one for one in figure.axes[0].collections if one.get_array() is not None)
    expected = np.concatenate([pyspedas.get_data(name).y for name in found if name.endswith("_similarity")])
    np.testing.assert_allclose(drawn.get_array(), expected)


def test_insets_are_the_thumbnails_of_spread_samples(tmp_path, caplog):
    from PIL import Image

    embeddings = unit(np.random.default_rng(0).standard_normal((40, 8)))
    times = START + np.arange(40) * STEP

    def png(number):
        file = io.BytesIO()
        Image.fromarray(np.full((4, 12, 3), number, np.uint8)).save(file, "PNG")
        return file.getvalue()

    made = Archive(tmp_path / "pictures")
    pictures = [None if number == 5 else png(number) for number in range(40)]
    rows = make_rows(embeddings, times, times + STEP, "sky", "fsmi", np.zeros(40, np.uint8), pictures)
    made.begin(Identity("frame", "e", "r", 8)).append(rows)
    panel = sim.plot_archive_map(made, method="pca", insets=9, errors="raise").axes[0]
    places = next(one for one in panel.collections if one.get_array() is not None).get_offsets().data
    boxes = panel.artists
    shown = [round(float(box.offsetbox.get_data()[0, 0, 0]) * 255) for box in boxes]
    assert len(set(shown)) == len(shown) >= 8
    for number, box in zip(shown, boxes, strict=True):
        np.testing.assert_array_equal(box.xy, places[number])
    # Each next one is as far as possible from those before.
    scaled = places / np.ptp(places, axis=0)
    chosen = spread_places(places, 9)
    for count in range(1, 9):
        gaps = np.linalg.norm(scaled[:, None] - scaled[chosen[:count]], axis=2).min(axis=1)
        assert gaps[chosen[count]] == pytest.approx(gaps.max())
    assert spread_places(np.full((3, 2), np.nan), 2).size == 0 and len(spread_places(np.zeros((5, 2)), 3)) == 1


def test_an_archive_without_thumbnails_has_no_insets(kept, caplog):
    with caplog.at_level(logging.WARNING):
        figure = sim.plot_archive_map(kept, method="pca", insets=3, errors="raise")
    assert not figure.axes[0].artists and "holds no thumbnails of these samples" in caplog.text
    with pytest.raises(ArgumentError, match="insets: found -1"):
        sim.plot_archive_map(kept, insets=-1, errors="raise")


def test_a_map_of_bad_input(kept, caplog):
    with pytest.raises(ArgumentError, match="time, source, site, score"):
        sim.plot_archive_map(kept, color="density", errors="raise")
    with pytest.raises(ArgumentError, match="no scores are given"):
        sim.plot_archive_map(kept, color="score", errors="raise")
    with caplog.at_level(logging.WARNING):
        assert sim.plot_archive_map(kept, trange=["1999-01-01", "1999-01-02"]) == []
    assert "holds nothing of this" in caplog.text


def test_umap_takes_the_neighbors_of_the_archive(monkeypatch):
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    from pyspedas_similarity.archive.neighbors import make_graph
    from pyspedas_similarity.plotting.embedding_map import embedding_map

    vectors = unit(np.eye(8)[np.arange(90) // 30] + 0.1 * np.random.default_rng(0).standard_normal((90, 8)))
    vectors[5] = np.nan
    asked = []

    class Recorded:
        def __init__(self, **settings):
            asked.append(settings)

        def fit_transform(self, given):
            return given[:, :2]

    monkeypatch.setattr(umap, "UMAP", Recorded)
    found = embedding_map(vectors, "umap", graph=make_graph)
    near, distance = asked[0]["precomputed_knn"]
    known = np.delete(vectors, 5, axis=0)
    expected = np.sort(1 - known @ known.T, axis=1)[:, :15]
    np.testing.assert_array_equal(near[:, 0], np.arange(89))
    np.testing.assert_allclose(distance, expected, atol=1e-6)
    assert near.shape == (89, 15) == (89, asked[0]["n_neighbors"]) and np.isnan(found.places[5]).all()


# --- what_drove


def test_the_part_that_the_match_shares_with_the_seed_is_found():
    frames = np.random.default_rng(0).normal(1000, 20, (90, 64, 64))
    frames[[14, 62], 40:50, 10:20] += 1500  # the same spot, south-west
    store(frames=frames.astype(np.uint16))
    found = search(k=1)
    made = sim.what_drove(found, errors="raise")
    assert made.score == pytest.approx(sim.intervals(found)["score"][0], abs=1e-6)
    channel, row, column = made.strongest
    assert channel == 0 and 20 <= row < 25 and 5 <= column < 10  # in pixels of 32
    assert made.change[0, 20:25, 5:10].min() > 5 * np.abs(made.change[0, :12]).max()
    again = sim.what_drove(found, TIMES[62], fill="median", errors="raise")
    assert 20 <= again.strongest[1] < 25 and 5 <= again.strongest[2] < 10


def test_other_data_or_another_encoder_are_not_explained(found):
    with pytest.raises(EncoderError, match="differs from that of the search"):
        sim.what_drove(found, encoder="hog", errors="raise")
    other = made_up_sky()
    other[60:70] = other[60:70].swapaxes(1, 2)
    store(frames=other)
    with pytest.raises(VariableError, match="gives? .*score"):
        sim.what_drove(found, errors="raise")


def test_an_encoder_without_a_name_has_to_be_given():
    from dataclasses import replace

    store()
    pixels = fixed_encoder("pixels", "frame")
    mine = replace(pixels, card=replace(pixels.card, name="mine"))
    found = sim.find_similar("sky", like=TIMES[14], exclude=20, recipe=RECIPE, encoder=mine, errors="raise")
    with pytest.raises(EncoderError, match="Give it as encoder"):
        sim.what_drove(found, errors="raise")
    assert sim.what_drove(found, encoder=mine, errors="raise").score > 0.5


def test_a_seed_that_was_an_array_cannot_be_explained():
    store()
    found = sim.find_similar(
        "sky", like=made_up_sky()[14], recipe=RECIPE, encoder="pixels", threshold=0.5, errors="raise"
    )
    with pytest.raises(QueryError, match="does not hold the samples of an array"):
        sim.what_drove(found, errors="raise")
    figure = sim.plot_matches(found, limit=1, errors="raise")
    assert figure.axes[0].texts[0].get_text().split() == "the query was given as an array".split()


# --- all of them


@pytest.mark.parametrize(
    ("draw", "error", "says"),
    [
        (lambda found: sim.plot_matches(found, limit=0, errors="raise"), ArgumentError, "limit"),
        (lambda found: sim.plot_matches(found, cmap="rainbows", errors="raise"), ArgumentError, "rainbows"),
        (lambda found: sim.plot_matches(found, colors="gray", errors="raise"), ArgumentError, "no such choice"),
        (lambda found: sim.plot_matches(found, "a.doc", errors="raise"), ArgumentError, "ending"),
        (lambda found: sim.plot_matches("sky", errors="raise"), VariableError, "not the result of a search"),
        (lambda found: sim.plot_matches(found, originals=3, errors="raise"), ArgumentError, "originals"),
        (lambda found: sim.plot_score(found, "nothing", errors="raise"), VariableError, "nothing"),
        (lambda found: sim.plot_score(sim.intervals(found), errors="raise"), ArgumentError, "no scores"),
        (lambda found: sim.superposed_epochs(found, "sky", errors="raise"), VariableError, "lines or spectrograms"),
        (lambda found: sim.superposed_epochs(found, "line", before=-1, errors="raise"), ArgumentError, "before"),
        (lambda found: sim.plot_keogram(sim.intervals(found), errors="raise"), ArgumentError, "no scores"),
        (lambda found: sim.what_drove(found, 99, errors="raise"), ArgumentError, "from 0 to 0"),
        (lambda found: sim.what_drove(found, TIMES[40], errors="raise"), ArgumentError, "no event holds"),
        (lambda found: sim.what_drove(found, fill="gray", errors="raise"), ArgumentError, "mean, median"),
        (lambda found: sim.what_drove(found, patch=99, errors="raise"), ArgumentError, "1 to 32"),
    ],
)
def test_bad_input_is_told(found, draw, error, says):
    tplot.write(Variable("line", TIMES, np.arange(90.0)))
    before = fingerprint()
    with pytest.raises(error, match=says):
        draw(found)
    assert fingerprint() == before


def test_nothing_found_is_an_empty_list_and_one_warning(found, caplog):
    tplot.write(Variable("line", TIMES, np.arange(90.0)))
    nothing = sim.intervals(found)[:0]
    for draw in (
        sim.plot_matches,
        sim.what_drove,
        lambda one: sim.superposed_epochs(one, "line"),
    ):
        for empty in ([], nothing):
            caplog.clear()
            with caplog.at_level(logging.WARNING, "pyspedas_similarity"):
                assert draw(empty) == []
            assert len(caplog.records) == 1
    for draw in (sim.plot_score, sim.plot_keogram):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "pyspedas_similarity"):
            assert draw([]) == []
        assert len(caplog.records) == 1


def test_small_pictures_that_an_archive_kept_stand_in_for_what_is_not_loaded(tmp_path):
    from io import BytesIO

    from matplotlib.image import imread

    names = fpi.load(trange=["2020-01-01/00:00:00", "2020-01-01/00:00:20"], seed=3)
    times = pyspedas.get_data(names[0], dt=True).times
    kept = sim.open_archive(tmp_path / "kept")
    sim.add(kept, names[0], thumbnails=True)
    found = sim.find_similar(archive=kept, like=times[20], k=2, exclude=3, errors="raise")
    table = sim.intervals(found)
    tplot_tools.del_data("simulated*")
    figure = sim.plot_matches(table, errors="raise")
    index = kept.index()
    rows = np.searchsorted(times, [times[20], *table["peak"].to_value("datetime64")])
    for panel, png in zip(figure.axes, index.thumbnails(rows), strict=False):
        shown = panel.images[0].get_array()
        assert not panel.texts and panel.images[0].origin == "lower"
        np.testing.assert_allclose(shown[::-1], imread(BytesIO(png), format="png"))
    assert len(figure.axes) == 1 + len(table)  # a picture in its own colors has no bar
