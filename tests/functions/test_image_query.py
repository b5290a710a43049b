"""An image file as a query, in all verbs that search frames. All images are simulated."""

import numpy as np
import pytest
from PIL import Image

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.cli import main
from pyspedas_similarity.errors import QueryError
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.search.query import parse_examples
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-01T00:00:00", "ns")
TIMES = START + np.arange(60) * np.timedelta64(3, "s")


def frame(angle, seed, size=64):
    """A bright bar through the middle, on noise."""
    y, x = (np.mgrid[:size, :size] - size / 2) * (64 / size)
    values = np.random.default_rng(seed).integers(0, 60, (size, size))
    values[np.abs(y * np.cos(angle) - x * np.sin(angle)) < 5] += 150
    return values.astype(np.uint8)


@pytest.fixture
def frames():
    """Bars at 30 degrees in samples 10 and 40, else noise or bars across."""
    values = np.stack([frame(np.pi / 6 if i in (10, 40) else 2.4, i) for i in range(60)])
    values[::3] = [frame(0, i)[::-1] // 200 * 100 + np.uint8(i % 7) + frame(1, i) // 9 for i in range(0, 60, 3)]
    return tplot.write(Variable("sky", TIMES, values, attributes={"data_att": {"units": "counts"}}))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "my frame.png"
    Image.fromarray(frame(np.pi / 6, 99, 100)).save(path)
    return path


def peaks(found):
    return sorted(np.searchsorted(TIMES, [row["peak"].datetime64 for row in sim.intervals(found)]).tolist())


@pytest.mark.parametrize("form", [str, lambda path: path, lambda path: [path]])
def test_file_of_another_size_finds_the_same(frames, picture, form):
    found = sim.find_similar(frames, like=form(picture), k=2, exclude=0, errors="raise")
    assert peaks(found) == [10, 40]
    assert sim.intervals(found)["stands_out"].tolist() == [True, True]


def test_file_and_time_are_two_queries(frames, picture):
    found = sim.search(frames, [str(picture), TIMES[40]], k=1)
    assert [one.label for one in found.queries] == ["my frame.png", f"sky {TIMES[40]}"]
    assert found.peak.tolist() == [TIMES[10].astype(int)]


def test_search_is_that_of_the_array(frames, tmp_path):
    values = tplot.read(frames).values[10]
    Image.fromarray(values).save(tmp_path / "own.png")
    by_file, by_array = sim.search(frames, tmp_path / "own.png", k=3), sim.search(frames, values, k=3)
    np.testing.assert_array_equal(by_file.scores["sky"], by_array.scores["sky"])


def test_label_and_record_name_the_file(frames, picture):
    found = sim.search(frames, picture, k=2)
    (query,) = found.queries
    assert (query.label, query.file, query.span) == ("my frame.png", str(picture), None)
    assert found.events.meta["similarity"][0]["queries"][0]["file"] == str(picture)


def test_figure_and_page_show_the_file(frames, picture, tmp_path):
    found = sim.search(frames, picture, k=2)
    found.plot_matches(tmp_path / "matches.png", encoded=True)
    found.report(tmp_path / "page.html", map_by="none")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "the image file my frame.png" in page and page.count("data:image/png") >= 3
    picture.unlink()
    found.report(tmp_path / "page.html", map_by="none", overwrite=True)
    assert "not there" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_archive(frames, picture, tmp_path):
    archive = sim.open_archive(tmp_path / "archive")
    sim.add(archive, frames, errors="raise")
    found = sim.find_similar(archive=archive, like=picture, k=2, exclude=0, errors="raise")
    assert peaks(found) == [10, 40]
    nearest = sim.find_nearest(archive, picture, k=2, errors="raise")
    assert peaks(nearest) == [10, 40]


def test_unlike(frames, picture, tmp_path):
    Image.fromarray(frame(2.4, 98, 80)).save(tmp_path / "other.tif")
    plain = sim.search(frames, picture)
    lowered = sim.search(frames, picture, unlike=tmp_path / "other.tif")
    assert (lowered.scores["sky"] <= plain.scores["sky"] + 1e-9).all()
    assert (lowered.scores["sky"] < plain.scores["sky"] - 0.1).any()
    with pytest.raises(QueryError, match="is also in like"):
        sim.search(frames, picture, unlike=picture)


def test_shell(picture, tmp_path, capsys):
    folder = tmp_path / "sky"
    folder.mkdir()
    for i in range(20):
        stamp = str(TIMES[i])[:19].translate(str.maketrans({"-": "", ":": "", "T": "_"}))
        Image.fromarray(frame(np.pi / 6 if i == 10 else 2.4, i)).save(folder / f"{stamp}.png")
    data = ["--instrument", "images", "--path", str(folder), "--trange", "2020-01-01", "2020-01-02"]
    assert main(["find", *data, "--like", str(picture), "-k", "1"]) == 0
    assert "2020-01-01T00:00:30" in capsys.readouterr().out
    assert main(["find", *data, "--like", str(tmp_path / "gone.png")]) == 2
    assert "gone.png: it is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("gone.png", None, "it is not there"),
        ("empty.png", b"", "it is empty"),
        ("broken.jpg", b"\xff\xd8\xff", "it is not readable as an image"),
        ("text", b"hello", "it is not readable as an image"),
    ],
)
def test_files_that_are_no_query(frames, tmp_path, name, content, complaint):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(QueryError, match=f"{name}: {complaint}"):
        sim.search(frames, tmp_path / name)


def test_colors_and_several_frames(frames, tmp_path):
    color = np.stack([frame(0, i) for i in range(3)], axis=-1)
    Image.fromarray(color).save(tmp_path / "color.png")
    with pytest.raises(QueryError, match="it is in color"):
        sim.search(frames, tmp_path / "color.png")
    more = [Image.fromarray(frame(1, 3))]
    Image.fromarray(frame(0, 1)).save(tmp_path / "two.gif", save_all=True, append_images=more)
    with pytest.raises(QueryError, match="it holds several frames"):
        sim.search(frames, tmp_path / "two.gif")


def test_text_is_a_time_before_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2020-01-01").write_bytes(b"")
    (example,) = parse_examples("2020-01-01")
    assert example.file is None and example.span.start == START
    with pytest.raises(sim.SimilarityError, match="not a time"):
        parse_examples("nothing")


def test_what_needs_a_skymap_or_is_no_frame(frames, picture):
    with pytest.raises(QueryError, match="needs a background in time"):
        sim.search(frames, picture, recipe=FrameRecipe(background_s=60))
    spectra = np.random.default_rng(0).random((60, 12)) + 1
    line = tplot.write(Variable("spectra", TIMES, spectra, {"v": np.geomspace(10, 1e4, 12)}))
    with pytest.raises(QueryError, match="has no time to start from"):
        sim.search([line], [picture], together=True)
    with pytest.raises(QueryError, match="for camera frames only"):
        sim.search([line], [[TIMES[3], TIMES[9]], picture], together=True)
