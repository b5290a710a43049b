"""Archives as a user has them: filled, resumed, searched like loaded data, and never mixed."""

import logging

import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity.archive.index import Index
from pyspedas_similarity.archive.rows import make_rows
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.errors import ArchiveError, ArgumentError, EncoderError, MixingError, QueryError, VariableError
from pyspedas_similarity.functions import archives
from pyspedas_similarity.imaging.recipes import FrameRecipe

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


def store(name="sky", frames=None, times=TIMES):
    frames = made_up_sky() if frames is None else frames
    tplot_tools.store_data(name, data={"x": times, "y": frames}, attr_dict={"data_att": {"units": "counts"}})
    return name


@pytest.fixture
def archive(tmp_path):
    return sim.open_archive(tmp_path / "kept")


@pytest.fixture
def counted(monkeypatch):
    """How many images were encoded."""
    seen = []
    encode = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, images: seen.append(len(images)) or encode(self, images))
    return seen


def test_nothing_is_written_before_something_is_added(archive):
    assert len(archive) == 0 and not archive.path.exists() and "empty" in repr(archive)
    with pytest.raises(ArchiveError, match="no archive"):
        archive.versions()
    with pytest.raises(ArchiveError, match="no archive"):
        sim.find_similar(archive=archive, like=TIMES[14], errors="raise")
    assert not archive.path.exists()


def test_what_is_kept_is_what_encode_gives(archive):
    store()
    assert sim.add(archive, "sky") == archives.Added(version=2, added=90, skipped=0, left_out=0)
    assert len(archive) == 90 and archive.identity.recipe == FrameRecipe().hash
    assert archive.identity.encoder == fixed_encoder("structure", "frame").hash
    (name,) = sim.encode("sky")
    (series,) = archive.index().series
    np.testing.assert_array_equal(archive.index().embeddings(np.arange(90)), pyspedas.get_data(name).y)
    np.testing.assert_array_equal(series.start, TIMES)
    np.testing.assert_array_equal(series.end, TIMES + STEP)
    assert (series.source, series.site) == ("sky", "") and (series.quality == 0).all()


def test_a_search_of_the_archive_is_a_search_of_the_data(archive):
    store()
    sim.add(archive, "sky")
    loaded = sim.intervals(sim.find_similar("sky", like=TIMES[14], exclude=20, threshold="auto"))
    scores = pyspedas.get_data("sky_similarity").y
    pyspedas.del_data("*")
    names = sim.find_similar(archive=archive, like=TIMES[14], exclude=20, threshold="auto", errors="raise")
    assert names == ["sky_similar", "sky_similarity"]
    series = pyspedas.get_data("sky_similarity", dt=True)
    np.testing.assert_array_equal(series.times, TIMES)
    np.testing.assert_allclose(series.y, scores, atol=2e-6)
    table = sim.intervals(names)
    assert len(table) == len(loaded) == 1
    for column in ("start", "end", "peak"):
        assert (table[column].isot == loaded[column].isot).all()
    assert table["n_samples"][0] == loaded["n_samples"][0] == 10
    record = table.meta["similarity"][0]
    assert record["archive"] == {"path": str(archive.path), "version": 2, "damaged": 0}
    assert record["encoder"]["hash"] == fixed_encoder("structure", "frame").hash
    assert record["recipe"]["hash"] == FrameRecipe().hash and record["source"] == "sky"


def test_an_archive_that_is_larger_than_memory_gives_the_same(archive):
    store()
    sim.add(archive, "sky")
    sim.find_similar(archive=archive, like=(TIMES[12], TIMES[16]), exclude=20, threshold="auto", errors="raise")
    scores = pyspedas.get_data("sky_similarity").y
    small = sim.open_archive(archive.path, memory=1e-6)
    assert not small.index().in_memory and archive.index().in_memory
    sim.find_similar(archive=small, like=(TIMES[12], TIMES[16]), exclude=20, threshold="auto", errors="raise")
    np.testing.assert_allclose(pyspedas.get_data("sky_similarity").y, scores, atol=1e-6)


def test_adding_again_encodes_nothing(archive, counted):
    store()
    sim.add(archive, "sky")
    assert sum(counted) == 90
    assert sim.add(archive, "sky") == archives.Added(version=2, added=0, skipped=90, left_out=0)
    assert sum(counted) == 90


def test_adding_goes_on_where_it_stopped(archive, monkeypatch, counted):
    frames = np.concatenate([made_up_sky(seed) for seed in range(8)])
    times = START + np.arange(720) * STEP
    store(frames=frames, times=times)
    monkeypatch.setattr(archives, "_BATCH", 256)
    keep = archives._Filling.keep

    def dies(self, plan, rows):
        if self._batches == 2:
            raise KeyboardInterrupt
        keep(self, plan, rows)

    monkeypatch.setattr(archives._Filling, "keep", dies)
    with pytest.raises(KeyboardInterrupt):
        sim.add(archive, "sky")
    assert len(archive) == 512
    monkeypatch.setattr(archives._Filling, "keep", keep)
    counted.clear()
    assert sim.add(archive, "sky") == archives.Added(version=4, added=208, skipped=512, left_out=0)
    assert sum(counted) == 208
    (name,) = sim.encode("sky")
    np.testing.assert_array_equal(archive.index().embeddings(np.arange(720)), pyspedas.get_data(name).y)


def test_a_longer_range_adds_what_is_new(archive):
    store()
    assert sim.add(archive, "sky", trange=[TIMES[20], TIMES[49]]).added == 30
    assert sim.add(archive, "sky") == archives.Added(version=3, added=60, skipped=30, left_out=0)
    (series,) = archive.index().series
    np.testing.assert_array_equal(series.start, TIMES)


def test_samples_that_cannot_be_encoded_are_left_out_and_told(archive):
    frames = made_up_sky()
    frames[30:33] = 7
    store(frames=frames)
    assert sim.add(archive, "sky") == archives.Added(version=2, added=87, skipped=0, left_out=3)
    assert sim.add(archive, "sky").left_out == 3


def test_many_batches_are_joined(archive, monkeypatch):
    monkeypatch.setattr(archives, "_BATCH", 1)
    monkeypatch.setattr(archives, "_MAX_BATCHES", 4)
    store(frames=np.concatenate([made_up_sky(seed) for seed in range(15)]), times=START + np.arange(1350) * STEP)
    sim.add(archive, "sky")
    assert [one.what for one in archive.versions()] == ["create", *["append"] * 6, "compact"]
    assert len(archive) == 1350 and archive.verify().sound


def test_small_additions_are_joined_as_well(archive, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_BATCHES", 3)
    store()
    for first in range(0, 60, 10):
        sim.add(archive, "sky", trange=[TIMES[first], TIMES[first + 9]])
    assert [one.what for one in archive.versions()] == ["create", *(["append"] * 3 + ["compact"]) * 2]


def test_a_beginning_that_was_cut_off_is_begun_again(archive):
    store()
    sim.add(archive, "sky")
    for record in (archive.path / "seals").iterdir():
        record.unlink()
    again = sim.open_archive(archive.path)
    assert not again.begun and sim.add(again, "sky").added == 90
    assert again.verify().sound


def test_a_folder_of_other_files_is_no_empty_archive(tmp_path):
    assert len(sim.open_archive(tmp_path)) == 0
    (tmp_path / ".hidden").touch()
    assert len(sim.open_archive(tmp_path)) == 0
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ArchiveError, match=r"other files \(notes.txt\) and no archive"):
        sim.open_archive(tmp_path)


def test_several_sources_and_filters(archive):
    store("sky")
    store("other", made_up_sky(seed=5))
    sim.add(archive, ["sky", "other"])
    both = sim.find_similar(archive=archive, like=("sky", TIMES[14]), exclude=20, threshold="auto", errors="raise")
    assert both == ["other_similar", "other_similarity", "sky_similar", "sky_similarity"]
    table = sim.intervals(both)
    # The same time in the other source is a match like any other; in the seed's own it is the seed.
    starts = {
        name: np.searchsorted(TIMES, table["start"][table["source"] == name].to_value("datetime64"))
        for name in ("sky", "other")
    }
    assert starts["sky"].tolist() == [60] and sorted(starts["other"]) == [10, 60]
    one = sim.find_similar("oth*", archive=archive, like=TIMES[14], exclude=20, threshold="auto", errors="raise")
    assert one == ["other_similar", "other_similarity"]
    part = sim.find_similar(
        "sky",
        archive=archive,
        like=TIMES[44],
        trange=[[TIMES[38], TIMES[55]], [TIMES[80], TIMES[85]]],
        threshold=0.1,
        exclude=0,
        errors="raise",
    )
    scores = pyspedas.get_data(part[-1]).y
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(scores)), np.r_[38:56, 80:86])
    with pytest.raises(VariableError, match="sky"):
        sim.find_similar("nothing' OR 1=1", archive=archive, like=TIMES[14], errors="raise")


def test_probes_are_named_as_loaders_take_them(archive):
    for number in (1, 2):
        store(f"mms{number}_sky", made_up_sky(seed=number))
    identity_source = sim.open_archive(archive.path.with_name("one"))
    sim.add(identity_source, "mms1_sky")
    kept = archive.begin(identity_source.identity)
    for number in (1, 2):
        (name,) = sim.encode(f"mms{number}_sky")
        embeddings = pyspedas.get_data(name).y
        kept.append(make_rows(embeddings, TIMES, TIMES + STEP, f"mms{number}_sky", f"mms{number}"))
    for probe, expected in ((2, ["mms2"]), ("2", ["mms2"]), ("mms2", ["mms2"]), ([1, 2], ["mms1", "mms2"])):
        names = sim.find_similar(
            archive=archive, probe=probe, like=TIMES[14], exclude=20, threshold="auto", errors="raise"
        )
        assert names[1::2] == [f"{one}_sky_similarity" for one in expected]
        assert set(sim.intervals(names)["probe"]) == set(expected)


def test_what_is_outside_the_range_is_filtered_before_k_is_counted(archive):
    store()
    sim.add(archive, "sky")
    found = sim.find_similar(
        archive=archive, like=("sky", TIMES[14]), trange=[TIMES[25], TIMES[89]], k=1, errors="raise"
    )
    table = sim.intervals(found)
    assert len(table) == 1 and table["start"].isot[0] == str(TIMES[60])


def test_unlike_lowers_what_is_nearer_to_it(archive):
    store()
    sim.add(archive, "sky")
    sim.find_similar(archive=archive, like=TIMES[14], exclude=20, threshold="auto", errors="raise")
    plain = pyspedas.get_data("sky_similarity").y
    sim.find_similar(archive=archive, like=TIMES[44], exclude=20, threshold="auto", errors="raise")
    other = pyspedas.get_data("sky_similarity").y
    for where in ({"archive": archive}, {"names": "sky"}):
        names = sim.find_similar(
            like=TIMES[14], unlike=TIMES[44], exclude=20, threshold="auto", errors="raise", **where
        )
        scores = pyspedas.get_data("sky_similarity").y
        np.testing.assert_allclose(scores, np.maximum(plain - np.maximum(other - plain, 0), -1), atol=2e-6)
        assert scores[UPRIGHT].max() < plain[UPRIGHT].min() and scores[14] == pytest.approx(1, abs=1e-6)
        record = sim.intervals(names).meta["similarity"][0]
        assert [one["start"] for one in record["unlike"]] == [str(TIMES[44])]


def test_a_seed_of_a_loaded_variable_is_encoded_like_the_archive(archive):
    store()
    sim.add(archive, "sky")
    store("mine", made_up_sky(seed=9))
    names = sim.find_similar(archive=archive, like=("mine", TIMES[14]), threshold=0.8, exclude=15, errors="raise")
    starts = np.searchsorted(TIMES, sim.intervals(names)["start"].to_value("datetime64"))
    assert set(starts) <= set(range(8, 22)) | set(range(60, 70)) and 60 in starts
    with pytest.raises(MixingError, match="encoder"):
        sim.find_similar(archive=archive, like=("mine", TIMES[14]), encoder="hog", errors="raise")
    with pytest.raises(QueryError, match="array"):
        sim.find_similar(archive=archive, like=made_up_sky()[14], errors="raise")


def test_another_encoder_than_that_of_the_archive_is_an_error(archive):
    store()
    sim.add(archive, "sky")
    for encoder in ("hog", fixed_encoder("pixels", "frame")):
        with pytest.raises(MixingError, match="not that of its embeddings.*structure.*Leave encoder out"):
            sim.find_similar(archive=archive, like=TIMES[14], encoder=encoder, errors="raise")
    plain = sim.search(archive, TIMES[14]).score
    for encoder in ("structure", fixed_encoder("structure", "frame")):
        assert sim.search(archive, TIMES[14], encoder=encoder).score.tolist() == plain.tolist()


def test_mixing_is_refused_before_anything_is_encoded(archive, counted):
    store()
    sim.add(archive, "sky")
    counted.clear()
    with pytest.raises(MixingError, match=r"encoder.*open_archive\('another folder'\)"):
        sim.add(archive, "sky", encoder="hog")
    with pytest.raises(MixingError, match="recipe"):
        sim.add(archive, "sky", recipe=FrameRecipe(pixels=32))
    assert counted == [] and archive.version == 2


def test_the_archives_own_encoder_is_the_default(archive):
    store()
    sim.add(archive, "sky", encoder="hog", trange=[TIMES[0], TIMES[29]])
    assert sim.add(archive, "sky").added == 60
    assert archive.identity.card["name"] == "hog"


def test_an_archive_of_a_removed_encoder_is_searched_by_its_own_samples_only(archive, monkeypatch):
    store()
    sim.add(archive, "sky", encoder="pixels")
    before = sim.intervals(sim.find_similar(archive=archive, like=TIMES[14], k=3, errors="raise"))
    monkeypatch.setattr("pyspedas_similarity.encoder.weights.REMOVED_NAMES", ("pixels",))
    found = sim.intervals(sim.find_similar(archive=archive, like=TIMES[14], k=3, errors="raise"))
    assert found["score"].tolist() == before["score"].tolist()
    store("other", made_up_sky(1))
    for action in (
        lambda: sim.find_similar(archive=archive, like=("other", TIMES[14]), errors="raise"),
        lambda: sim.add(archive, "other"),
    ):
        with pytest.raises(EncoderError, match=r"archive .*: the encoder 'pixels' \(fixed transform\) was removed"):
            action()


def test_older_versions_can_be_searched_and_restored(archive):
    store()
    sim.add(archive, "sky", trange=[TIMES[0], TIMES[29]])
    sim.add(archive, "sky")
    old = archive.at(2)
    assert len(old) == 30 and len(archive) == 90
    names = sim.find_similar(archive=old, like=TIMES[14], exclude=0, threshold=0.5, errors="raise")
    assert len(pyspedas.get_data(names[-1]).y) == 30
    with pytest.raises(ArchiveError, match="open at version 2"):
        sim.add(old, "sky")
    assert archive.restore(2) == 4 and len(archive) == 30
    assert archive.index().version == 4
    with pytest.raises(ArchiveError, match="no version 17"):
        archive.at(17)


def test_frames_that_are_not_usable_are_kept_with_their_flag(archive):
    frames = np.full((40, 96, 96), 3000, np.uint16)
    rng = np.random.default_rng(0)
    frames += rng.integers(0, 200, frames.shape).astype(np.uint16)
    frames[20:] = frames[19]  # the camera sent the same frame again and again
    store("thg_asf_fsmi", frames, START + np.arange(40) * STEP)
    sim.frame_quality("thg_asf_fsmi")
    flags = pyspedas.get_data("thg_asf_fsmi_flag").y
    assert (flags[20:] != 0).all()
    sim.add(archive, "thg_asf_fsmi")
    (series,) = archive.index().series
    np.testing.assert_array_equal(series.quality, flags[np.searchsorted(START + np.arange(40) * STEP, series.start)])
    assert series.site == "fsmi"


def test_words_that_do_not_go_with_an_archive(archive):
    store()
    sim.add(archive, "sky")
    for keywords in ({"active_only": True}, {"load_keywords": {"no_update": True}}):
        with pytest.raises(ArgumentError):
            sim.find_similar(archive=archive, like=TIMES[14], errors="raise", **keywords)
    for path in ("ftp://host/archive", "s3://bucket", "", "a\0b", 7):
        with pytest.raises(ArgumentError):
            sim.find_similar(archive=path, like=TIMES[14], errors="raise")
    assert sim.find_similar("sky", probe="nowhere", archive=archive, like=TIMES[14]) == []


def test_a_damaged_row_is_left_out_and_told(archive, caplog):
    store()
    sim.add(archive, "sky")
    (file,) = (archive.path / "rows.lance" / "data").iterdir()
    embedding = archive.index().embeddings(np.array([65]))[0]
    raw = bytearray(file.read_bytes())
    at = raw.find(embedding.tobytes())
    assert at > 0
    raw[at + 8] ^= 1
    file.write_bytes(raw)
    again = sim.open_archive(archive.path)
    with caplog.at_level(logging.WARNING):
        names = sim.find_similar(archive=again, like=TIMES[14], exclude=20, threshold="auto", errors="raise")
    assert "1 of 90 rows are damaged" in caplog.text
    scores = pyspedas.get_data(names[-1]).y
    assert np.flatnonzero(np.isnan(scores)).tolist() == [65]
    assert sim.intervals(names).meta["similarity"][0]["archive"]["damaged"] == 1
    report = again.verify()
    assert (report.rows, report.damaged, report.sound) == (89, 1, False)
    again.repair()
    assert again.verify().sound and len(again) == 89
    assert sim.add(again, "sky").added == 1
    np.testing.assert_array_equal(again.index().embeddings(np.array([65]))[0], embedding)


def test_nearest_rows(archive):
    store()
    sim.add(archive, "sky")
    index = archive.index()
    assert isinstance(index, Index)
    block = index.embeddings(np.arange(90))
    rows, scores = index.nearest(block[14], 10)
    expected = np.argsort(-(block @ block[14]), kind="stable")[:10]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, (block @ block[14])[expected], atol=1e-6)
    assert len(index.nearest(block[14], 500)[0]) == 90


def wandering(n, memory, seed):
    """Simulated frames that look like nothing in particular, and like the one before."""
    rng = np.random.default_rng(seed)
    keep, frames = np.exp(-1 / memory), rng.standard_normal((n, 64, 64))
    for i in range(1, n):
        frames[i] = keep * frames[i - 1] + np.sqrt(1 - keep**2) * frames[i]
    return frames


def test_what_passes_a_false_discovery_rate(archive):
    frames = 1000 + 100 * wandering(1200, 3, 0)
    events = [500, 700, 900, 1100]
    for first in (100, *events):
        frames[first : first + 6] += 400 * np.sin(np.arange(64) / 3.0)[:, None]
    times = START + np.arange(1200) * STEP
    store("sky", frames.astype(np.float32), times)
    sim.add(archive, "sky", encoder="pixels")
    for where in ({"archive": archive}, {"names": "sky", "encoder": "pixels"}):
        names = sim.find_similar(like=times[102], fdr=0.05, errors="raise", **where)
        table = sim.intervals(names)
        starts = np.sort(np.searchsorted(times, table["start"].to_value("datetime64")))
        assert len(starts) == 4 and ((starts >= events) & (starts < np.add(events, 6))).all()
        assert (table["p_value"] < 0.01).all() and (table["share_higher"] < 0.05).all()
        scores = pyspedas.get_data(names[-1]).y
        assert table["share_higher"][0] == pytest.approx((scores > table["score"][0]).mean())
        assert table.meta["similarity"][0]["fdr"]["fdr"] == 0.05
    store("sky", (1000 + 100 * wandering(1200, 3, 1)).astype(np.float32), times)
    assert sim.find_similar("sky", like=times[102], encoder="pixels", fdr=0.05, errors="raise") == []
    for wrong in (0, 1, "0.05", True):
        with pytest.raises(ArgumentError, match="fdr"):
            sim.find_similar("sky", like=times[102], fdr=wrong, errors="raise")
    with pytest.raises(ArgumentError, match="threshold"):
        sim.find_similar("sky", like=times[102], fdr=0.05, threshold=0.5, errors="raise")


def test_a_seed_may_be_of_another_source_of_the_archive_than_is_searched(archive):
    store("sky")
    store("sky_2", made_up_sky(1))
    sim.add(archive, ["sky", "sky_2"])
    tplot_tools.del_data("*")
    like = ("sky", str(TIMES[14]))
    found = sim.find_similar(names="sky_2", archive=archive, like=like, k=2, reference=None, errors="raise")
    assert found == ["sky_2_similar", "sky_2_similarity"]
    scores = pyspedas.get_data("sky_2_similarity").y
    block = archive.index().embeddings(np.arange(180))
    np.testing.assert_allclose(scores, block[90:] @ block[14], atol=1e-6)


def test_thumbnails_are_kept_where_asked_for(archive, tmp_path):
    from io import BytesIO

    from PIL import Image

    store()
    sim.add(archive, "sky")
    assert archive.index().thumbnails(np.arange(90)) == [None] * 90
    other = sim.open_archive(tmp_path / "other")
    sim.add(other, "sky", thumbnails=True)
    kept = other.index().thumbnails(np.array([14, 44]))
    level, upright = (np.asarray(Image.open(BytesIO(one)), float) for one in kept)
    assert level.shape == (64, 64)
    # Level stripes differ from row to row, upright ones from column to column.
    assert level.mean(axis=1).std() > 5 * level.mean(axis=0).std()
    assert upright.mean(axis=0).std() > 5 * upright.mean(axis=1).std()
    np.testing.assert_array_equal(other.index().embeddings(np.arange(90)), archive.index().embeddings(np.arange(90)))


@pytest.mark.parametrize("where", [3, None, ["a"]])
def test_an_archive_that_is_no_place_is_refused(where):
    with pytest.raises(ArgumentError, match="archive: found.*Give a folder"):
        sim.open_archive(where)
