"""The page of a search: what is gathered, what is told where something is missing, and that a file is whole or not."""

from __future__ import annotations

import dataclasses
import json
import logging
import re

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import cli, files, tplot
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.errors import ArgumentError, SimilarityError, VariableError
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.instruments.sample_images import select
from pyspedas_similarity.instruments.segments import Segment
from pyspedas_similarity.results import report
from pyspedas_similarity.results.tplot_output import event_bars, similarity_series
from pyspedas_similarity.search.events import Events
from pyspedas_similarity.simulate import allsky, fpi
from pyspedas_similarity.tplot import Variable

TRANGE = ["2020-01-02/06:00", "2020-01-02/06:04"]
SEED = "2020-01-02/06:01:00"
FIND = ["--instrument", "simulated_asi", "--trange", *TRANGE, "--like", SEED, "--encoder", "pixels"]


@pytest.fixture
def frames() -> str:
    return allsky.load(TRANGE)[0]


@pytest.fixture
def found(frames) -> list[str]:
    return sim.find_similar(frames, like=SEED, encoder="pixels", k=4, exclude=6, errors="raise")


def page_of(names, tmp_path, **more) -> str:
    path = tmp_path / "page.html"
    assert sim.report(names, path, errors="raise", map_by="pca", overwrite=True, **more) == [str(path)]
    return path.read_text(encoding="utf-8")


def data_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_has_every_interval_picture_and_point(found, frames, tmp_path):
    text = page_of(found, tmp_path, title="My title")
    table = sim.intervals(found)
    data = data_of(text)
    columns = dict(zip(data["columns"], zip(*data["rows"], strict=True), strict=True))
    assert list(columns["start"]) == table["start"].isot.tolist()
    assert list(map(float, columns["score"])) == table["score"].tolist()
    assert data["title"] == "My title" and data["records"] == [data["records"][0]]
    assert text.count('<li class="card match"') == len(table) and text.count('<li class="card query"') == 1
    assert text.count("as encoded</figcaption>") == len(table) + 1 and "No picture" not in text
    assert text.count('class="query" data-point') == 1 and text.count('class="match" data-point') == len(table)
    assert len(data["points"]) == 80  # every frame
    assert f"{len(table)} intervals, with scores from" in text
    encoder = tplot.read(found[0]).attributes["similarity"]["encoder"]
    assert f"hash <code>{encoder['hash']}</code>" in text


def test_the_bars_alone_are_enough(found, tmp_path):
    assert data_of(page_of(found[0], tmp_path))["rows"] == data_of(page_of(found, tmp_path))["rows"]


def test_a_search_that_found_nothing_has_a_page(frames, tmp_path):
    assert sim.find_similar(frames, like=SEED, encoder="pixels", threshold=1.0, exclude=60) == []
    text = page_of(f"{frames}_similarity", tmp_path)
    assert "No interval was found." in text and "80 samples from" in text and 'class="card query"' in text
    assert text.count('<figure class="plot">') == 3  # score, histogram and the map
    assert "no record of a search" in page_of([], tmp_path)


def test_what_is_not_loaded_any_more_is_told(found, frames, tmp_path):
    import pyspedas

    pyspedas.del_data(frames)
    text = page_of(found, tmp_path)
    assert f"{frames}: it is not loaded, so there is no picture of it" in text
    assert text.count("No picture: ") == len(sim.intervals(found)) + 1
    assert '<svg id="points"' not in text and 'class="card match"' in text
    again = page_of(found, tmp_path, instrument="simulated_asi", trange=TRANGE)
    assert "No picture" not in again and '<svg id="points"' in again


def test_other_data_under_the_same_name_are_not_shown(found, frames, tmp_path):
    one = tplot.read(frames)
    tplot.write(Variable(frames, one.times, np.roll(one.values, 17, axis=0), {}, one.attributes))
    text = page_of(found, tmp_path)
    assert "the loaded data give other scores than those found" in text
    assert "as encoded</figcaption>" not in text and '<svg id="points"' not in text


def test_an_encoder_without_a_name_is_asked_for(frames, tmp_path):
    pixels = fixed_encoder("pixels", "frame")
    encoder = dataclasses.replace(pixels, card=dataclasses.replace(pixels.card, name="mine"))
    found = sim.find_similar(frames, like=SEED, encoder=encoder, k=2, exclude=6, errors="raise")
    text = page_of(found, tmp_path)
    assert "The encoder &#39;mine&#39; of the search is not available" in text and "No picture" not in text
    assert '<svg id="points"' in page_of(found, tmp_path, encoder=encoder)


def test_what_streamed_by_is_read_again_piece_by_piece(tmp_path, monkeypatch):
    trange = ["2020-01-01/00:00:00", "2020-01-01/00:00:40"]
    with tplot.preserved():
        whole = tplot.read(fpi.load(trange)[0])

    def segments(_trange, **_keywords):
        for rows in np.array_split(np.arange(len(whole.times)), 3):
            yield Segment(select(whole, rows), {})

    streaming = dataclasses.replace(INSTRUMENTS["simulated_dis"], segments=segments)
    monkeypatch.setitem(INSTRUMENTS, "simulated_dis", streaming)
    keywords = {"instrument": "simulated_dis", "trange": trange}
    found = sim.find_similar(**keywords, like="2020-01-01/00:00:20", k=3, encoder="pixels", errors="raise")
    assert whole.name not in tplot.loaded_names()
    text = page_of(found, tmp_path)  # the result records how it was loaded
    assert text == page_of(found, tmp_path, **keywords) or "No picture" not in page_of(found, tmp_path, **keywords)
    assert "No picture" not in text and text.count('class="match" data-point') == len(sim.intervals(found))
    review = sim.review(found, **keywords)
    review.judge(1, "yes")
    assert review.again() and review.pictures(review.waiting)[review.waiting[0].number][0]


def test_images_that_average_neighbors_come_out_the_same(tmp_path):
    name = fpi.load(["2020-01-01/00:00:00", "2020-01-01/00:00:40"])[0]
    keywords = {"like": "2020-01-01/00:00:20", "k": 2, "encoder": "pixels", "errors": "raise"}
    found = sim.find_similar(name, recipe=DistributionRecipe(average=3), **keywords)
    text = page_of(found, tmp_path)
    assert "No picture" not in text and '<svg id="points"' in text


def test_a_time_that_was_rounded_still_has_its_picture(found, frames):
    made = report.Reloaded()
    sample = select(tplot.read(frames), np.array([0]))
    time = sample.times[0]
    made.thumbnails[time] = b"png"
    assert made.at(time + np.timedelta64(128, "ns")) == time
    assert report.sample_pictures(made, time + np.timedelta64(128, "ns"))[0][0].png == b"png"
    later = time + np.timedelta64(2, "ms")
    assert made.at(later) == later and report.sample_pictures(made, later)[1] == "it is not available."


def test_several_variables_share_a_page(tmp_path):
    names = fpi.load_electrons(["2020-01-03/00:00:00", "2020-01-03/00:00:03"], probe=["1", "2"])[:2]
    found = sim.find_similar(names, like="2020-01-03/00:00:01.5", k=3, exclude=0.3, errors="raise")
    text = page_of(found, tmp_path)
    data = data_of(text)
    assert {row[data["columns"].index("source")] for row in data["rows"]} == set(names)
    assert {row[data["columns"].index("probe")] for row in data["rows"]} == {"simulated1", "simulated2"}
    assert text.count("score against time; query orange") == 2 and text.count('<li class="card query"') == 1
    assert sum("samples from 2020-01-03T00:00:00 to" in one for one in data["methods"]) == 2


def test_an_archive_gives_its_embeddings_but_no_pictures(tmp_path):
    archive = sim.open_archive(tmp_path / "kept")
    sim.add(archive, instrument="simulated_dis", trange=["2020-01-01 00:00", "2020-01-01 00:01"])
    found = sim.find_similar(archive=archive, like="2020-01-01 00:00:30", k=3, errors="raise")
    text = page_of(found, tmp_path)
    assert f"in version {archive.index().version} of an archive" in text and "No picture: " in text
    assert '<svg id="points"' in text and text.count('class="match" data-point') == len(sim.intervals(found))


def test_an_archive_shows_the_thumbnails_it_kept(tmp_path):
    archive = sim.open_archive(tmp_path / "kept")
    sim.add(archive, instrument="simulated_dis", trange=["2020-01-01 00:00", "2020-01-01 00:01"], thumbnails=True)
    found = sim.find_similar(archive=archive, like="2020-01-01 00:00:30", k=3, errors="raise")
    text = page_of(found, tmp_path)
    assert "No picture: " not in text
    assert text.count("the sample as measured, kept in the archive") == 1 + len(sim.intervals(found))
    review = sim.review(found)
    pictures = review.pictures(review.next())
    assert len(pictures) == len(sim.intervals(found)) and all(len(shown) == 1 for shown, _ in pictures.values())


def test_the_nearest_of_an_archive_have_a_page_and_a_review(tmp_path):
    archive = sim.open_archive(tmp_path / "kept")
    sim.add(archive, instrument="simulated_dis", trange=["2020-01-01 00:00", "2020-01-01 00:01"])
    found = sim.find_nearest(archive, "2020-01-01 00:00:30", k=4, errors="raise")
    text = page_of(found, tmp_path)
    assert len(data_of(text)["rows"]) == 4 and '<svg id="points"' in text and "The scores of" in text
    review = sim.review(found)
    review.judge(1, "yes")
    assert review.again(3) and len(review.likes) == 2


def test_an_interval_as_seed_and_an_array_are_told(frames, tmp_path):
    like = [[[SEED, "2020-01-02/06:01:30"]], tplot.read(frames).values[3]]
    found = sim.find_similar(frames, like=like[0], encoder="pixels", k=2, exclude=3, errors="raise")
    text = page_of(found, tmp_path)
    assert "(mean of 11 samples)" in text and "06:01:00.000 to 06:01:30.000" in text and "No picture" not in text
    found = sim.find_similar(frames, like=like[1], encoder="pixels", k=2, errors="raise")
    assert "an array given by the user" in (text := page_of(found, tmp_path)) and "it was given as an array" in text


def test_thousands_of_matches_are_all_in_the_table(tmp_path):
    n = 3000
    times = np.datetime64("2020-01-01", "ns") + np.arange(4 * n) * np.timedelta64(1, "s")
    starts = times[::4]
    found = Events(starts, starts + np.timedelta64(1, "s"), starts, np.linspace(0.9, 0.6, n), np.ones(n, int))
    record = {
        "source": "gone",
        "station": {},
        "queries": [],
        "threshold": 0.5,
        "exclude_s": 1.0,
        "encoder": {},
        "recipe": {},
    }
    source = Variable("gone", times, np.zeros(len(times)))
    scores = np.tile([0.6, 0.1, 0.1, 0.1], n)
    names = [
        tplot.write(similarity_series(source, "gone_similarity", scores, record).variable),
        tplot.write(event_bars(source, "gone_similar", found, record).variable),
    ]
    text = page_of(names, tmp_path, gallery=5)
    assert text.count('<tr id="row-') == n and text.count('<li class="card match"') == 5
    assert "Of 3,000 matches, the best 5 are shown; the table has all." in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"path": "page.txt"}, "found the ending '.txt'"),
        ({"path": "nowhere/page.html"}, "there is no folder"),
        ({"path": 3}, "Give the name of a file"),
        ({"gallery": -1}, "0 or more"),
        ({"map_by": "tsne"}, "auto, umap, pca, none"),
        ({"found": "nothing"}, "no tplot variable of this name"),
    ],
)
def test_bad_input_writes_nothing(found, tmp_path, change, says, caplog):
    keywords = {"found": found, "path": "page.html"} | change
    if isinstance(keywords["path"], str):
        keywords["path"] = tmp_path / keywords["path"]
    with pytest.raises(SimilarityError, match=re.escape(says)):
        sim.report(**keywords, errors="raise")
    with caplog.at_level(logging.ERROR):
        assert sim.report(**keywords) == []
    assert says in caplog.text and list(tmp_path.iterdir()) == []


def test_what_is_no_search_is_refused(frames, tmp_path):
    with pytest.raises(VariableError, match="not the result of a search with a query"):
        sim.report(frames, tmp_path / "page.html", errors="raise")
    labeled = {"a": [SEED], "b": ["2020-01-02/06:03:00"]}
    made = sim.classify(frames, examples=labeled, encoder="pixels", errors="raise")
    with pytest.raises(VariableError, match="not the result of a search with a query"):
        sim.report(made, tmp_path / "page.html", errors="raise")


def test_a_page_that_is_there_stays_unless_asked(found, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(ArgumentError, match="it is there already"):
        sim.report(found, path, errors="raise")
    assert path.read_text() == "mine"
    page_of(found, tmp_path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_folder_that_cannot_be_written_is_told_before_the_work(found, tmp_path, monkeypatch):
    """Root may write anywhere, so the answer of the system is put in."""
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    monkeypatch.setattr(report, "render", None)
    with pytest.raises(ArgumentError, match="its folder cannot be written.*Give another place"):
        sim.report(found, tmp_path / "page.html", errors="raise")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("no space left")])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_interrupted_page_leaves_the_old_one(found, tmp_path, monkeypatch, stop, where):
    path = tmp_path / "page.html"
    path.write_text("older")

    def refuse(*_):
        raise stop

    monkeypatch.setattr(files.os, where, refuse)
    with pytest.raises((KeyboardInterrupt, ArgumentError)):
        sim.report(found, path, overwrite=True, errors="raise", map_by="none")
    assert path.read_text() == "older" and [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_an_interrupt_while_it_is_drawn_leaves_nothing(found, tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sim.report(found, tmp_path / "page.html", map_by="none")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "page.html"
    files.write_whole(path, b"one", overwrite=False)
    with pytest.raises(ArgumentError, match="it is there already"):
        files.write_whole(path, b"two", overwrite=False)
    assert path.read_bytes() == b"one" and len(list(tmp_path.iterdir())) == 1


def test_nothing_of_the_users_is_changed(found, frames, tmp_path):
    import matplotlib.pyplot as plt

    names, style, figures = tplot.loaded_names(), dict(plt.rcParams), plt.get_fignums()
    before = tplot.read(frames).values.copy()
    page_of(found, tmp_path)
    assert tplot.loaded_names() == names and dict(plt.rcParams) == style and plt.get_fignums() == figures
    np.testing.assert_array_equal(tplot.read(frames).values, before)


def test_hostile_names_are_text(frames, tmp_path):
    name = "<script>alert(1)</script>&\"'"
    one = tplot.read(frames)
    tplot.write(Variable(name, one.times, one.values, {}, one.attributes))
    found = sim.find_similar([name], like=SEED, encoder="pixels", k=2, exclude=3, usable_only=False, errors="raise")
    text = page_of(found, tmp_path)
    assert "<script>alert" not in text and data_of(text)["rows"][0][-1] == name and "No picture" not in text


def test_the_command_searches_and_writes(tmp_path, capsys):
    path = tmp_path / "page.html"
    command = ["report", *FIND, "-k", "2", "--exclude", "6", "--map-by", "pca", "--out", str(path)]
    assert cli.main(command) == cli.FOUND
    assert capsys.readouterr().out == f"{path}\n"
    text = path.read_text(encoding="utf-8")
    assert "No picture" not in text and len(data_of(text)["rows"]) == 2
    assert cli.main(command) == cli.BAD_INPUT and "there already" in capsys.readouterr().err
    assert cli.main([*command, "--overwrite", "--title", "Mine"]) == cli.FOUND
    assert "<title>Mine</title>" in path.read_text(encoding="utf-8")


def test_the_command_tells_of_nothing_found_on_the_page(tmp_path):
    path = tmp_path / "page.html"
    assert (
        cli.main(["report", *FIND, "--threshold", "1", "--exclude", "60", "--map-by", "none", "--out", str(path)]) == 1
    )
    assert "No interval was found." in path.read_text(encoding="utf-8")
