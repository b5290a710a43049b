"""The public verbs on a small made-up sky: stripes that turn, so that it is known what is like what."""

import logging

import numpy as np
import pyspedas
import pytest
import pytplot
from astropy.table import QTable
from astropy.time import Time
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.errors import (
    ArgumentError,
    EncoderError,
    QueryError,
    SimilarityError,
    TimeError,
    VariableError,
)
from pyspedas_similarity.imaging.frames import frame_images
from pyspedas_similarity.imaging.recipes import FrameRecipe, SpectrumRecipe
from pyspedas_similarity.provenance import ATTRIBUTE
from pyspedas_similarity.simulate import fpi

STEP = np.timedelta64(3_000_000_001, "ns")  # so that a nanosecond lost anywhere is seen
START = np.datetime64("2016-12-31T23:58:00.000000007", "ns")
TIMES = START + np.arange(90) * STEP
# Level stripes in 10-19 and 60-69, upright ones in 40-49, noise else.
LEVEL, UPRIGHT = np.r_[10:20, 60:70], np.r_[40:50]


def made_up_sky(seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.normal(1000, 10, (90, 64, 64))
    stripes = 200 * np.sin(np.arange(64) / 3.0)
    frames[LEVEL] += stripes[:, None]
    frames[UPRIGHT] += stripes
    return frames.astype(np.uint16)


def store(name="sky", frames=None, module=tplot_tools, times=TIMES):
    frames = made_up_sky() if frames is None else frames
    module.store_data(name, data={"x": times, "y": frames}, attr_dict={"data_att": {"units": "counts"}})


@pytest.fixture
def sky():
    store()
    return "sky"


def fingerprint():
    """Everything in the stores that a failed call might have changed."""
    return [
        {name: (id(one), one.values.tobytes(), repr(one.attrs)) for name, one in module.data_quants.items()}
        for module in (tplot_tools, pytplot)
    ]


def test_what_comes_back(sky):
    names = sim.find_similar(sky, like=TIMES[14], exclude=20, threshold="auto")
    assert names == ["sky_similar", "sky_similarity"]
    series = pyspedas.get_data(names[-1], dt=True)
    np.testing.assert_array_equal(series.times, TIMES)
    assert series.y.dtype == np.float64 and series.y[14] == pytest.approx(1, abs=1e-6)
    assert series.y[LEVEL].min() > series.y[UPRIGHT].max()
    table = sim.intervals(names)
    assert isinstance(table, QTable) and len(table) == 1
    assert table["start"].isot[0] == str(TIMES[60]) and table["end"].isot[0] == str(TIMES[70])
    assert table["n_samples"][0] == 10
    assert table["score"][0] == series.y[60:70].max()
    assert table["peak"].isot[0] == str(TIMES[60 + np.argmax(series.y[60:70])])
    assert table["source"][0] == "sky" and isinstance(table["start"], Time) and table["start"].scale == "utc"
    bars = pyspedas.get_data(names[0], dt=True)
    own = [TIMES[8], TIMES[8], TIMES[21], TIMES[21]]  # 20 s on both sides of the query
    np.testing.assert_array_equal(bars.times, [*own, TIMES[60], TIMES[60], TIMES[70], TIMES[70]])
    np.testing.assert_array_equal(bars.y[4:, 0], [np.nan, 1, 1, np.nan])
    np.testing.assert_array_equal(bars.y[:4, 1], [np.nan, 1, 1, np.nan])
    assert np.isnan(bars.y[:4, 0]).all() and np.isnan(bars.y[4:, 1]).all()


def test_score_is_the_cosine_of_the_embeddings(sky):
    (name,) = sim.encode(sky)
    embeddings = pyspedas.get_data(name).y
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    expected = fixed_encoder("structure", "frame").encode(frame_images(made_up_sky(), FrameRecipe()))
    np.testing.assert_array_equal(embeddings, expected)
    sim.find_similar(sky, like=TIMES[14], reference=None)
    np.testing.assert_allclose(pyspedas.get_data("sky_similarity").y, embeddings @ embeddings[14], atol=1e-6)


def test_provenance_and_plot_options(sky):
    names = sim.find_similar(sky, like=TIMES[14], exclude=20, threshold=0.5)
    for name in names:
        record = pyspedas.get_data(name, metadata=True)[ATTRIBUTE]
        assert record["source"] == "sky" and record["threshold"] == 0.5 and record["exclude_s"] == 20
        assert record["queries"] == [
            {
                "label": f"sky {TIMES[14]}",
                "variable": "sky",
                "n_samples": 1,
                "start": str(TIMES[14]),
                "end": str(TIMES[14]),
            }
        ]
        assert record["encoder"]["hash"] == fixed_encoder("structure", "frame").hash
        assert record["recipe"]["hash"] == FrameRecipe().hash
        assert {"pyspedas", "numpy", "pyspedas-similarity"} <= set(record["versions"])
    assert sim.intervals(names).meta["similarity"][0]["encoder"]["name"] == "structure"
    options = pyspedas.get_data(names[-1], metadata=True)["plot_options"]
    assert (options["yaxis_opt"]["axis_label"], options["yaxis_opt"]["axis_subtitle"]) == ("sky", "similarity")
    low, high = options["yaxis_opt"]["y_range"]
    assert low < np.nanmin(pyspedas.get_data(names[-1]).y) and high > 1
    assert pyspedas.get_data(names[0], metadata=True)["plot_options"]["extras"]["panel_size"] == 0.09


def test_tplot_draws_them(sky, tmp_path):
    names = sim.find_similar(sky, like=TIMES[14], exclude=20)
    pyspedas.tplot(names, display=False, save_png=str(tmp_path / "plot.png"))
    assert (tmp_path / "plot.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "like",
    [
        TIMES[14],
        str(TIMES[14]).replace("T", "/"),
        Time(str(TIMES[14]), precision=9).tai,
        float(TIMES[14].astype("int64") / 1e9),
        (TIMES[12], TIMES[16]),
        [[TIMES[12]], [TIMES[16]]],
        made_up_sky()[14],
        made_up_sky()[12:17],
        ("other", TIMES[14]),
    ],
    ids=["datetime64", "string", "Time", "unix", "interval", "two times", "array", "stack", "other variable"],
)
def test_every_kind_of_seed_finds_the_level_stripes(sky, like):
    store("other", made_up_sky(seed=5))
    table = sim.intervals(sim.find_similar(sky, like=like, exclude=15, threshold=0.8, errors="raise"))
    starts = np.searchsorted(TIMES, table["start"].to_value("datetime64"))
    assert 60 in starts and set(starts) <= set(range(8, 22)) | set(range(60, 70))


def test_times_around_a_seed_elsewhere_are_matches_too(sky):
    store("other", made_up_sky(seed=5))
    table = sim.intervals(sim.find_similar(sky, like=("other", TIMES[14]), exclude=60, threshold=0.8))
    assert str(TIMES[10]) in table["start"].isot


def test_several_variables_and_globs(sky):
    store("sky2", made_up_sky(seed=3))
    names = sim.find_similar("sky*", like=TIMES[14], exclude=20)
    assert names == ["sky_similar", "sky_similarity", "sky2_similar", "sky2_similarity"]
    table = sim.intervals(names)
    assert set(table["source"]) == {"sky", "sky2"}
    assert (np.diff(table["score"]) <= 0).all()


def test_a_variable_of_pytplot_comes_back_in_pytplot():
    store("theirs", module=pytplot)
    names = sim.find_similar("theirs", like=TIMES[14], exclude=20, threshold="auto")
    assert set(names) <= set(pytplot.data_quants) and not set(names) & set(tplot_tools.data_quants)
    assert len(sim.intervals(names)) == 1


def test_names_of_results(sky):
    assert sim.find_similar(sky, like=TIMES[14], newname="aurora", suffix="_a") == [
        "aurora_similar_a",
        "aurora_similarity_a",
    ]
    assert sim.encode(sky, newname="aurora") == ["aurora_embedding"]


def test_overwrite_false_keeps_what_is_there(sky):
    sim.find_similar(sky, like=TIMES[14])
    before = fingerprint()
    with pytest.raises(VariableError, match="sky_similarity"):
        sim.find_similar(sky, like=TIMES[44], overwrite=False, errors="raise")
    assert fingerprint() == before
    assert sim.find_similar(sky, like=TIMES[44], overwrite=True, k=1)[-1] == "sky_similarity"


def test_tplot_has_bars_without_legend_above_a_score_with_the_time_axis(sky):
    names = sim.find_similar(sky, like=TIMES[14], errors="raise")
    _, (bars, score) = pyspedas.tplot(names, display=False, return_plot_objects=True)
    assert not bars.axison and bars.get_legend() is None and score.get_legend() is None
    assert bars.get_position().y0 > score.get_position().y1 - 1e-3
    assert score.axison and any(label.get_text() for label in score.get_xticklabels())
    assert score.get_ylabel().split() == ["sky", "similarity"]
    np.testing.assert_array_equal(score.get_lines()[0].get_ydata(), pyspedas.get_data("sky_similarity").y)


def test_k_and_trange(sky):
    names = sim.find_similar(sky, like=TIMES[14], k=3, exclude=20)
    assert len(sim.intervals(names)) == 3
    names = sim.find_similar(sky, like=TIMES[14], trange=[TIMES[30], TIMES[80]], k=1)
    np.testing.assert_array_equal(pyspedas.get_data(names[-1], dt=True).times, TIMES[30:81])


def test_samples_that_cannot_be_encoded_are_nan():
    frames = made_up_sky().astype(np.float32)
    frames[[3, 65]] = np.nan
    store(frames=frames)
    names = sim.find_similar("sky", like=TIMES[14], exclude=20)
    assert np.flatnonzero(np.isnan(pyspedas.get_data(names[-1]).y)).tolist() == [3, 65]
    assert sim.intervals(names)["n_samples"][0] == 9


def test_the_choices_made_are_told(sky, caplog):
    caplog.set_level(logging.INFO, "pyspedas_similarity")
    sim.find_similar(sky, like=TIMES[14])
    names = sim.find_similar(sky, like=[[TIMES[14]], [TIMES[64]]])
    table = sim.intervals(names)
    one, _, two, events, _ = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    assert (one, two) == ("1 query, 1 sample", "2 queries, 2 samples")
    standing = int(table["stands_out"].sum())
    plural = "s" * (len(table) != 1), "s" * (standing == 1)
    assert events.startswith(
        f"sky: {len(table)} event{plural[0]}, {standing} of them stand{plural[1]} out (score above "
    )
    caplog.clear()
    sim.search(sky, like=TIMES[14], threshold=0.7)
    assert caplog.records[-1].getMessage().endswith("with a score of at least 0.700")


def test_samples_without_score_are_counted(caplog):
    flux = np.random.default_rng(0).lognormal(0, 1, (100, 9, 16))
    flux[40:48] = np.nan
    coordinates = {"v1": np.linspace(10, 170, 9), "v2": np.geomspace(20, 40000, 16)}
    times = np.datetime64("2020-01-01", "ns") + np.arange(100) * np.timedelta64(3, "s")
    pyspedas.store_data("flux", data={"x": times, "y": flux, **coordinates})
    with caplog.at_level(logging.INFO):
        sim.find_similar("flux", like=times[5], recipe=SpectrumRecipe(), errors="raise")
    assert np.isnan(pyspedas.get_data("flux_similarity").y).sum() == 8
    assert "flux: 8 of 100 samples have no score" in caplog.text


def test_wildcards_leave_out_results_and_errors(caplog):
    caplog.set_level(logging.INFO, "pyspedas_similarity")
    names = ["sky_dist", "sky_disterr"]
    for name in names:
        store(name)
    first = sim.find_similar("sky_dist*", like=TIMES[14], k=2, errors="raise")
    assert first == ["sky_dist_similar", "sky_dist_similarity"]
    assert "left out, as results or errors: sky_disterr" in caplog.text
    caplog.clear()
    assert sim.find_similar("sky_dist*", like=TIMES[14], k=2, errors="raise") == first
    left = "left out, as results or errors: sky_disterr, sky_dist_similar, sky_dist_similarity"
    assert [r.getMessage() for r in caplog.records].count(left) == 1
    found = sim.search(names, like=TIMES[14], k=2)  # names that are given are searched
    assert [one.name for one in found.searched] == names
    with pytest.raises(VariableError, match="only results of searches match"):
        sim.find_similar("*_simil*", like=TIMES[14], errors="raise")


@pytest.mark.parametrize("exclude", [1e9, 9e9])
def test_an_exclusion_longer_than_the_data_leaves_nothing(sky, exclude, caplog):
    found = sim.search(sky, like=TIMES[14], exclude=exclude)
    assert len(found) == 0 and "lies within the exclusion" in found.shortfalls[0]
    assert found.record["exclude_s"] == exclude


def test_a_counterexample_that_is_the_query_is_an_error(sky):
    with pytest.raises(QueryError, match="is also in like"):
        sim.find_similar(sky, like=[[TIMES[14]], [TIMES[3]]], unlike=TIMES[3], errors="raise")
    frame = made_up_sky()[14]
    with pytest.raises(QueryError, match="an array is also in like"):
        sim.find_similar(sky, like=frame, unlike=frame.copy(), errors="raise")


def test_without_a_reference_similarity_is_not_said_to_be_relative(sky, caplog):
    store(frames=made_up_sky()[[14] * 60 + [0] * 30])
    sim.search(sky, like=TIMES[14], reference=None)
    assert "compared without a reference" in caplog.text and "relative to the rest" not in caplog.text


def test_without_a_threshold_an_empty_result_names_none(caplog):
    names = fpi.load_electrons(["2020-01-01/00:00:02", "2020-01-01/00:00:10"], seed=3)
    region = np.array(pyspedas.get_data(names[0], metadata=True)["simulated"]["region"])
    query = pyspedas.get_data(names[0], dt=True).times[np.flatnonzero(region == "edr")[10]]
    windows = sim.recipes.WindowRecipe(length_s=2.0, stride_s=0.5, axis_range=(10.0, 30000.0))
    spectrum = next(name for name in names if "energyspectr" in name)
    assert sim.find_similar(spectrum, like=query, recipe=windows, k=2) == []
    (said,) = [r.getMessage() for r in caplog.records if "Nothing found" in r.getMessage()]
    assert "has no peak outside of the own event; the best sample there has" in said and "threshold" not in said


def test_nothing_found_is_an_empty_list_and_one_warning(sky, caplog):
    assert sim.find_similar(sky, like=TIMES[14], threshold=1.0, exclude=20) == []
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "the best is" in warning.getMessage() and "sky_similarity" in warning.getMessage()
    assert "sky_similar" not in tplot_tools.data_quants


BAD = {
    "unknown name": (dict(names="skyy", like=TIMES[14]), VariableError, "Near names: sky"),
    "no name": (dict(like=TIMES[14]), ArgumentError, "instrument and trange"),
    "a word as threshold": (
        dict(names="sky", like=TIMES[14], threshold="high"),
        ArgumentError,
        "to 1, 'auto', or None",
    ),
    "no seed": (dict(names="sky"), QueryError, "like"),
    "empty range": (dict(names="sky", like=TIMES[14], trange=["2015-01-01", "2015-01-02"]), VariableError, "0 samples"),
    "range backward": (dict(names="sky", like=TIMES[14], trange=[TIMES[9], TIMES[2]]), TimeError, "before it starts"),
    "range of one time": (dict(names="sky", like=TIMES[14], trange=TIMES[9]), TimeError, "start and an end"),
    "seed outside": (dict(names="sky", like="2017-02-01"), QueryError, "one cadence"),
    "seed not encodable": (dict(names="dark", like=TIMES[2]), QueryError, "cannot be encoded"),
    "seed of another shape": (dict(names="sky", like=np.ones((9, 9))), QueryError, "shape"),
    "no window": (dict(names="line", like=TIMES[14]), QueryError, "no window"),
    "too few samples": (dict(names="short", like=TIMES[0]), VariableError, "at least 3"),
    "times that go back": (dict(names="jumbled", like=TIMES[14]), VariableError, "go back"),
    "text": (dict(names="text", like=TIMES[14]), VariableError, "not numbers"),
    "k of 0": (dict(names="sky", like=TIMES[14], k=0), ArgumentError, "1 or more"),
    "k of half": (dict(names="sky", like=TIMES[14], k=1.5), ArgumentError, "1 or more"),
    "threshold": (dict(names="sky", like=TIMES[14], threshold=1.5), ArgumentError, "-1 to 1"),
    "threshold nan": (dict(names="sky", like=TIMES[14], threshold=float("nan")), ArgumentError, "-1 to 1"),
    "exclude": (dict(names="sky", like=TIMES[14], exclude=-1), ArgumentError, "exclude"),
    "unknown encoder": (dict(names="sky", like=TIMES[14], encoder="magic"), EncoderError, "structure"),
    "encoder of another kind": (
        dict(names="sky", like=TIMES[14], encoder=fixed_encoder("pixels", "distribution")),
        EncoderError,
        "not frame",
    ),
    "unknown instrument": (dict(instrument="mms", like=TIMES[14], trange=[0, 9]), ArgumentError, "mms_dis"),
    "instrument without range": (dict(instrument="mms_dis", like=TIMES[14]), ArgumentError, "trange"),
    "unknown keyword": (
        dict(instrument="simulated_asi", trange=[0, 60], like=30, color="red"),
        ArgumentError,
        "color",
    ),
    "loading with names": (
        dict(names="sky", like=TIMES[14], load_keywords={"data_rate": "brst"}),
        ArgumentError,
        "with names",
    ),
    "two kinds": (dict(names=["sky", "mms1_dis_dist_brst"], like=TIMES[14]), VariableError, "differ in kind"),
    "names for results": (dict(names="sky", like=TIMES[14], newname=["a", "b"]), ArgumentError, "newname"),
    "missing table": (dict(names="bare", like=TIMES[14], instrument="mms_dis"), VariableError, "v1"),
    "units": (dict(names="flux", like=TIMES[14], instrument="mms_dis"), VariableError, "eV"),
}


@pytest.fixture
def bad_variables(sky):
    dark = made_up_sky()
    dark[2] = 0
    store("dark", dark)
    store("short", made_up_sky()[:2], times=TIMES[:2])
    store("jumbled", times=TIMES[::-1])
    store("line", np.arange(90.0))
    store("text", np.full((90, 64, 64), "a"))
    tables = {"v1": np.arange(8.0) * 45, "v2": np.arange(4.0) * 45, "v3": np.geomspace(10, 1e4, 6)}
    values = np.ones((90, 8, 4, 6), np.float32)
    tplot_tools.store_data("mms1_dis_dist_brst", data={"x": TIMES, "y": values, **tables})
    tplot_tools.store_data("bare", data={"x": TIMES, "y": values})
    attributes = {"data_att": {"units": "eV/(cm^2 s sr eV)"}}
    tplot_tools.store_data("flux", data={"x": TIMES, "y": values, **tables}, attr_dict=attributes)


@pytest.mark.parametrize(("arguments", "error", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error_and_changes_nothing(bad_variables, arguments, error, says, caplog):
    before = fingerprint()
    with pytest.raises(error, match=says) as caught:
        sim.find_similar(**arguments, errors="raise")
    assert isinstance(caught.value, SimilarityError) and caught.value.remedy.endswith(".")
    caplog.clear()
    assert sim.find_similar(**arguments) == []
    (logged,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert logged.getMessage() == f"find_similar: {caught.value}"
    assert fingerprint() == before


def test_errors_takes_two_values(sky):
    with pytest.raises(ArgumentError, match="'log' or 'raise'"):
        sim.find_similar(sky, like=TIMES[14], errors="ignore")


def test_intervals_of_something_else(sky):
    with pytest.raises(VariableError, match="carries no intervals"):
        sim.intervals(sky)
    with pytest.raises(VariableError, match="no tplot variable"):
        sim.intervals("missing")


def test_the_input_is_left_as_it_was(sky):
    before = fingerprint()
    sim.encode(sky)
    sim.find_similar(sky, like=TIMES[14])
    assert fingerprint()[0]["sky"] == before[0]["sky"]


def test_instrument_and_range_load_and_leave_nothing_behind():
    trange = ["2020-01-02/06:00", "2020-01-02/06:02"]
    names = sim.find_similar(instrument="simulated_asi", trange=trange, like="2020-01-02/06:01", k=1, exclude=5)
    assert names == ["simulated_asf_similar", "simulated_asf_similarity"]
    assert set(tplot_tools.data_quants) == set(names)
    assert sim.intervals(names)["site"][0] == "simulated"


def test_an_instrument_without_data_is_an_empty_list_and_one_warning(caplog):
    trange = ["2020-11-19/23:34", "2020-11-19/23:36"]
    offline = {"no_update": True}
    found = sim.find_similar(instrument="mms_dis", trange=trange, like=trange[0], load_keywords=offline)
    assert found == []
    ours = [r for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith("pyspedas_similarity")]
    assert len(ours) == 1 and "mms_dis" in ours[0].getMessage()


TRAINING = dict(epochs=2, batch_size=32, recipe=FrameRecipe(pixels=16, contrast_pixels=0.0), progress=False)


def test_train_save_load_gives_identical_embeddings(sky, tmp_path):
    pytest.importorskip("torch")
    encoder = sim.train(sky, seed=1, **TRAINING)
    folder = sim.save_encoder(encoder, tmp_path / "mine")
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "encoder.onnx", "weights.safetensors"]
    images = frame_images(made_up_sky(), TRAINING["recipe"])
    loaded = sim.load_encoder(folder)
    np.testing.assert_array_equal(loaded.encode(images), encoder.encode(images))
    assert loaded.hash == encoder.hash


def test_the_same_seed_gives_the_same_weights(sky):
    pytest.importorskip("torch")
    first, again, other = (sim.train(sky, seed=seed, **TRAINING) for seed in (1, 1, 2))
    assert first.files["weights.safetensors"] == again.files["weights.safetensors"]
    assert first.files["weights.safetensors"] != other.files["weights.safetensors"]


def test_a_trained_encoder_searches_with_its_own_recipe(sky, tmp_path):
    pytest.importorskip("torch")
    encoder = sim.train(sky, **TRAINING)
    for given in (encoder, sim.save_encoder(encoder, tmp_path / "mine")):
        names = sim.find_similar(sky, like=TIMES[14], encoder=given, k=1, errors="raise")
        record = pyspedas.get_data(names[-1], metadata=True)[ATTRIBUTE]
        assert record["encoder"]["hash"] == encoder.hash
        assert record["recipe"]["hash"] == TRAINING["recipe"].hash
    with pytest.raises(EncoderError, match="another recipe"):
        sim.find_similar(sky, like=TIMES[14], encoder=encoder, recipe=FrameRecipe(), errors="raise")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (dict(names="sky", trange=[TIMES[0], TIMES[9]]), ArgumentError),
        (dict(names="sky", method="magic"), ArgumentError),
        (dict(names="sky", flavour="sweet"), ArgumentError),
        (dict(names="sky", epochs=0), ArgumentError),
        (dict(names="missing"), VariableError),
        (dict(instrument="simulated_asi", trange=["2020-01-01", "2020-01-01"]), SimilarityError),
    ],
)
def test_training_on_bad_input(sky, change, error):
    pytest.importorskip("torch")
    with pytest.raises(error):
        sim.train(**{**TRAINING, **change})


def test_the_nearest_option_of_a_training_is_named(sky):
    pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match=r"^epoch: TrainingPlan has no such keyword\. The nearest is epochs\.$"):
        sim.train(sky, epoch=3)


def test_training_with_partners_in_time_and_a_checkpoint(sky, tmp_path):
    pytest.importorskip("torch")
    options = {"method": "vicreg", "epochs": 2, "batch_size": 16, "progress": False}
    encoder = sim.train(sky, lag=10, checkpoint=tmp_path / "state", **options)
    record = encoder.card.training
    assert record["n_with_partners"] > 0 and record["n_held_out"] > 0 and (tmp_path / "state").is_dir()
    again = sim.train(sky, lag=10, checkpoint=tmp_path / "state", **options)
    assert again.hash == encoder.hash


def test_siblings_need_two_variables(sky):
    with pytest.raises(ArgumentError, match="siblings: only sky"):
        sim.train(sky, siblings=True, epochs=1)
