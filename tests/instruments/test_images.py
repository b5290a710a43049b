"""Folders, lists and movies of images as frames: pixels, times, bad files, bounded memory. All images are simulated."""

import gc
import io
import logging
import pickle
import struct
import warnings
import weakref
import zlib

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, LoadError
from pyspedas_similarity.instruments import images
from pyspedas_similarity.instruments.image_files import frames_of, header_of, one_channel, time_of_files

START = np.datetime64("2020-01-01T00:00:00", "ns")
SECOND = np.timedelta64(1, "s")
RANGE = ["2020-01-01", "2020-01-02"]


def pixels(seed=0, size=(24, 32), top=250):
    return np.random.default_rng(seed).integers(0, top, size).astype(np.uint8)


def stamp(number, step=3):
    return str(START + number * step * SECOND)[:19].translate(str.maketrans({"-": "", ":": "", "T": "_"}))


def folder(path, n=5, **keywords):
    path.mkdir(exist_ok=True, parents=True)
    for i in range(n):
        Image.fromarray(pixels(i, **keywords)).save(path / f"sky_{stamp(i)}.png")
    return path


def colored(seed=0):
    return np.stack([pixels(seed + i) for i in range(3)], axis=-1)


def movie(path, frames, codec="ffv1", form="gray"):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = form
        for frame in frames:
            kind = "gray" if frame.ndim == 2 else "rgb24"
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=kind)))
        out.mux(stream.encode(None))
    return path


def bomb(path, columns=60000, rows=60000):
    """A PNG of some bytes that states 3.6 billion pixels."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


WIDE = pixels().astype(np.uint16) * 257
FORMS = {
    "gray.png": (lambda path: Image.fromarray(pixels()).save(path), pixels()),
    "wide.png": (lambda path: Image.fromarray(WIDE).save(path), WIDE),
    "wide.tif": (lambda path: Image.fromarray(WIDE).save(path), WIDE),
    "float.tiff": (lambda path: Image.fromarray(pixels() / np.float32(7)).save(path), pixels() / np.float32(7)),
    "equal.png": (lambda path: Image.fromarray(np.stack([pixels()] * 3, axis=-1)).save(path), pixels()),
    "palette.png": (lambda path: Image.fromarray(pixels()).convert("P").save(path), pixels()),
    "still.gif": (lambda path: Image.fromarray(pixels()).save(path), pixels()),
    "bits.png": (lambda path: Image.fromarray(pixels() > 100).save(path), (pixels() > 100) * np.uint8(255)),
    "opaque.png": (
        lambda path: Image.fromarray(np.stack([pixels(), np.full_like(pixels(), 255)], -1)).save(path),
        pixels(),
    ),
    "clear.png": (
        lambda path: Image.fromarray(np.stack([pixels(), np.zeros_like(pixels())], -1)).save(path),
        np.zeros_like(pixels()),
    ),
    "wide.fits": (lambda path: fits.writeto(path, WIDE), WIDE),
    "float.fit": (lambda path: fits.writeto(path, pixels() / 7.0), pixels() / 7.0),
    "second.fts": (lambda path: fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels())]).writeto(path), pixels()),
    "packed.fits": (
        lambda path: fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(WIDE.astype(np.int32))]).writeto(path),
        WIDE.astype(np.int32),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_pixels_are_those_of_the_file(tmp_path, name):
    write, expected = FORMS[name]
    write(tmp_path / name)
    (frame,) = frames_of(tmp_path / name)
    np.testing.assert_array_equal(frame, expected)
    header = header_of(tmp_path / name)
    assert (header.shape, header.dtype, header.count) == (frame.shape, frame.dtype, 1) and frame.dtype.isnative


def test_warnings_are_as_they_were_while_a_frame_is_used(tmp_path):
    several(tmp_path / "a.gif", [pixels(i) for i in range(3)])
    for _ in frames_of(tmp_path / "a.gif"):
        with pytest.warns(UserWarning, match="mine"):
            warnings.warn("mine", stacklevel=1)


def test_jpeg_differs_by_its_compression_only(tmp_path):
    smooth = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) * 3
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    (frame,) = frames_of(tmp_path / "a.jpg")
    assert np.abs(frame.astype(int) - smooth).max() <= 2


def test_colors_are_refused_or_become_one_channel_by_the_rule(tmp_path):
    values = colored()
    Image.fromarray(values).save(tmp_path / "a.png")
    with pytest.raises(LoadError, match="in color.*channel='brightness'"):
        list(frames_of(tmp_path / "a.png"))
    (brightness,) = frames_of(tmp_path / "a.png", "brightness")
    np.testing.assert_array_equal(brightness, np.rint(values.mean(axis=2)))
    (green,) = frames_of(tmp_path / "a.png", "green")
    np.testing.assert_array_equal(green, values[..., 1])


def test_what_is_transparent_is_laid_on_black(tmp_path):
    opacity = np.full((24, 32, 1), 51, np.uint8)  # a fifth
    frame = one_channel(np.concatenate([np.full((24, 32, 3), 100, np.uint8), opacity], axis=2), None, tmp_path)
    np.testing.assert_array_equal(frame, np.full((24, 32), 20))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PKR_DASC_0558_20151007_082351.743.FITS", "2015-10-07T08:23:51.743"),
        ("20131204T050007.png", "2013-12-04T05:00:07"),
        ("a-2013-12-04-05-00-07-b.png", "2013-12-04T05:00:07"),
        ("2013-12-04T05:00:07.25.png", "2013-12-04T05:00:07.25"),
        ("20131204050007.png", "2013-12-04T05:00:07"),
        ("99999999_999999_20131204_050007.png", "2013-12-04T05:00:07"),
        ("20131304_050007.png", None),
        ("120131204050007.png", None),
        ("frame_12.png", None),
    ],
)
def test_times_in_names(tmp_path, name, expected):
    found = time_of_files(None)(tmp_path / name)
    assert found == (None if expected is None else np.datetime64(expected, "ns"))


@pytest.mark.parametrize(
    ("times", "name"),
    [
        ("cam%d.%m.%Y %H%M%S.png", "cam04.12.2013 050007.png"),
        ("%Y-%j-%H%M%S", "2013-338-050007.png"),
        (r"(?P<year>\d{4})(?P<doy>\d{3})_(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)", "b_2013338_050007.gif"),
        (r"(?P<year>\d{4})x(?P<month>\d\d)x(?P<day>\d\d)_(?P<hour>\d\d)h00m07", "2013x12x04_05h00m07.png"),
        (lambda path: 1386133200 + int(path.stem), "7.png"),
    ],
)
def test_times_by_format_expression_and_function(tmp_path, times, name):
    if times == r"(?P<year>\d{4})x(?P<month>\d\d)x(?P<day>\d\d)_(?P<hour>\d\d)h00m07":
        assert time_of_files(times)(tmp_path / name) == np.datetime64("2013-12-04T05:00:00", "ns")
    else:
        assert time_of_files(times)(tmp_path / name) == np.datetime64("2013-12-04T05:00:07", "ns")


@pytest.mark.parametrize("times", ["nothing", r"(?P<hour>\d\d)", r"(?P<year>\d{4", 12j, "(?P<what>a)"])
def test_times_that_are_no_rule(tmp_path, times):
    with pytest.raises((ArgumentError, sim.SimilarityError)):
        sim.load_images(folder(tmp_path), times=times, errors="raise")


def test_folder_becomes_a_variable_with_exact_times_and_pixels(tmp_path):
    assert sim.load_images(folder(tmp_path / "my camera"), errors="raise") == ["images_my_camera"]
    found = tplot.read("images_my_camera")
    np.testing.assert_array_equal(found.times, START + np.arange(5) * 3 * SECOND)
    np.testing.assert_array_equal(found.values, [pixels(i) for i in range(5)])
    assert found.values.dtype == np.uint8 and found.units == "counts"


def test_list_pattern_and_time_range(tmp_path):
    paths = sorted(folder(tmp_path / "a").iterdir())
    (name,) = sim.load_images([str(paths[3]), paths[1], paths[3]], name="two", errors="raise")
    np.testing.assert_array_equal(tplot.read(name).values, [pixels(1), pixels(3)])
    later = {"name": "late", "trange": ["2020-01-01/00:00:06", "2020-01-01/00:00:09"]}
    (name,) = sim.load_images(str(tmp_path / "**/*.png"), **later, errors="raise")
    np.testing.assert_array_equal(tplot.read(name).times, START + np.array([2, 3]) * 3 * SECOND)


def test_table_of_times(tmp_path, caplog):
    folder(tmp_path / "sky")
    table = "A license.\n-----------\nTime (UTC),File,other\n" + "".join(
        f"2021-02-03 04:05:0{i}.5,sky/sky_{stamp(i)}.png,x\n" for i in range(4)
    )
    extra = f"2021-02-03 04:05:09,gone.png,x\n2021-02-03 04:05:08,sky/sky_{stamp(0)}.png,x\n"
    (tmp_path / "times.csv").write_text(table.replace("Time (UTC)", "Time") + extra)
    (name,) = sim.load_images(tmp_path / "sky", times=tmp_path / "times.csv", errors="raise")
    np.testing.assert_array_equal(
        tplot.read(name).times, np.datetime64("2021-02-03T04:05:00.5", "ns") + np.arange(4) * SECOND
    )
    assert "3 images are left out, 4 are loaded" in caplog.text
    assert f"1 without a time (sky_{stamp(4)}.png)" in caplog.text
    assert "1 named in the table and not there (gone.png)" in caplog.text
    assert f"1 named in the table again (sky/sky_{stamp(0)}.png)" in caplog.text


def test_table_with_other_columns_names_them(tmp_path):
    (tmp_path / "times.csv").write_text("number,when\n1,2\n")
    with pytest.raises(LoadError, match="its columns are number, when.*time: time, datetime"):
        sim.load_images(folder(tmp_path / "sky"), times=str(tmp_path / "times.csv"), errors="raise")


def test_given_times(tmp_path):
    given = START + np.arange(5) * SECOND
    (name,) = sim.load_images(folder(tmp_path / "sky"), times=given, errors="raise")
    np.testing.assert_array_equal(tplot.read(name).times, given)
    with pytest.raises(ArgumentError, match="4 times for 5 files"):
        sim.load_images(tmp_path / "sky", times=given[:4], errors="raise")


def several(path, frames):
    Image.fromarray(frames[0]).save(path, save_all=True, append_images=[Image.fromarray(one) for one in frames[1:]])


@pytest.mark.parametrize("suffix", ["gif", "tif", "fits", "mkv"])
def test_files_of_several_frames(tmp_path, suffix):
    frames = [pixels(i) for i in range(4)]
    path = tmp_path / f"a_{stamp(0)}.{suffix}"
    if suffix == "fits":
        fits.writeto(path, np.stack(frames))
    else:
        movie(path, frames) if suffix == "mkv" else several(path, frames)
    with pytest.raises(LoadError, match="with several frames and no cadence_s"):
        sim.load_images(path, errors="raise")
    (name,) = sim.load_images(path, cadence_s=0.5, errors="raise")
    found = tplot.read(name)
    np.testing.assert_array_equal(found.times, START + np.arange(4) * np.timedelta64(500, "ms"))
    np.testing.assert_array_equal(found.values, frames)
    given = START + np.array([0, 1, 5, 7]) * SECOND
    (name,) = sim.load_images(path, times=given, trange=[given[1], given[2]], errors="raise")
    np.testing.assert_array_equal(tplot.read(name).times, given[1:3])
    np.testing.assert_array_equal(tplot.read(name).values, frames[1:3])


def test_gray_movie_of_a_lossy_codec(tmp_path):
    levels = [np.full((48, 64), level, np.uint8) for level in (0, 40, 80, 160)]
    path = movie(tmp_path / f"m_{stamp(0)}.avi", levels, "mpeg4", "yuv420p")
    (name,) = sim.load_images(path, cadence_s=3, errors="raise")
    means = tplot.read(name).values.mean(axis=(1, 2))
    np.testing.assert_allclose(means, [0, 40, 80, 160], atol=5)


def test_a_playlist_is_no_movie(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / f"m_{stamp(0)}.mp4"
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(LoadError, match="not readable as a movie"):
        header_of(path)


def broken(path):
    whole = io.BytesIO()
    Image.fromarray(pixels(9)).save(whole, "PNG")
    path.write_bytes(whole.getvalue()[:-200])


BAD = {
    "broken": (broken, "not readable as an image"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "huge": (bomb, "too large or too small"),
    "wide": (lambda path: Image.fromarray(WIDE).save(path), "of another size or type than most"),
    "other size": (lambda path: Image.fromarray(pixels(0, (30, 30))).save(path), "of another size or type than most"),
    "colored": (lambda path: Image.fromarray(colored()).save(path), "in color"),
    "animated": (
        lambda path: Image.fromarray(pixels()).save(path, save_all=True, append_images=[Image.fromarray(pixels(1))]),
        "with several frames and no cadence_s",
    ),
    "pickled": (lambda path: path.write_bytes(pickle.dumps(pixels())), "not readable as an image"),
    "fits": (
        lambda path: fits.writeto(path.with_suffix(".fits"), np.zeros(3)),
        "without an image of two or three axes",
    ),
    "gzip": (lambda path: path.with_suffix(".fits").write_bytes(b"\x1f\x8b" + bytes(50)), "not readable as FITS"),
    "no time": (lambda path: Image.fromarray(pixels()).save(path.with_name("frame.png")), "without a time"),
    "same time": (
        lambda path: Image.fromarray(pixels()).save(path.with_name(f"zzz_{stamp(2)}.png")),
        "with the time of another, or an earlier one",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_costs_only_itself(tmp_path, caplog, kind):
    """The first file is bad, so that it does not decide what the others have to be like."""
    write, reason = BAD[kind]
    folder(tmp_path / "sky")
    write(tmp_path / "sky" / "a_20191231_235959.png")
    (name,) = sim.load_images(tmp_path / "sky", errors="raise")
    np.testing.assert_array_equal(tplot.read(name).values, [pixels(i) for i in range(5)])
    warned = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 1 and f"1 images are left out, 5 are loaded: 1 {reason} (" in warned[0].getMessage()


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "same time"])
def test_only_bad_files_are_an_error(tmp_path, kind):
    write, reason = BAD[kind]
    (tmp_path / "sky").mkdir()
    write(tmp_path / "sky" / "a_20191231_235959.png")
    if kind in ("wide", "other size"):
        assert len(sim.load_images(tmp_path / "sky", errors="raise")) == 1
        return
    with pytest.raises(LoadError, match=reason):
        sim.load_images(tmp_path / "sky", errors="raise")
    assert sim.load_images(tmp_path / "sky") == []


def test_doubled_names_in_two_folders_are_loaded_once(tmp_path, caplog):
    folder(tmp_path / "a")
    folder(tmp_path / "b", 3)
    (name,) = sim.load_images(str(tmp_path / "*" / "*.png"), errors="raise")
    np.testing.assert_array_equal(tplot.read(name).values, [pixels(i) for i in range(5)])
    assert "3 images are left out, 5 are loaded: 3 with the time of another" in caplog.text


def mutated(content, rng):
    changed = bytearray(content)
    for position in rng.integers(0, len(changed), rng.integers(1, 6)):
        changed[position : position + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", rng.bytes(1)])
    return bytes(changed[: rng.integers(1, len(changed)) if rng.random() < 0.2 else None])


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "fits", "mkv"])
def test_damaged_files_are_read_or_refused(tmp_path, suffix, capfd):
    path = tmp_path / f"a.{suffix}"
    if suffix == "mkv":
        movie(path, [pixels(i) for i in range(3)])
    elif suffix == "fits":
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(WIDE.astype(np.int32))]).writeto(path)
    elif suffix == "gif":
        several(path, [pixels(i) for i in range(3)])
    else:
        Image.fromarray(pixels()).save(path)
    content, rng, refused = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(60):
        path.write_bytes(mutated(content, rng))
        try:
            for frame in frames_of(path, "brightness"):
                assert frame.ndim == 2 and frame.size <= 2**26
        except LoadError:
            refused += 1
    assert refused > 0  # all of PNG, whose parts have checksums


@pytest.mark.parametrize("path", ["nowhere", "", [], 3, [3], "x" * 5000, "a\0b.png"])
def test_paths_without_images(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ArgumentError, LoadError)):
        sim.load_images(path, errors="raise")


def test_nothing_in_the_time_range(tmp_path, caplog):
    assert sim.load_images(folder(tmp_path / "sky"), trange=["2021-01-01", "2021-01-02"], errors="raise") == []
    assert "have no frames in" in caplog.text


def test_segments_hold_one_block_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_SEGMENT_FRAMES", 4)
    folder(tmp_path, 15)
    made, counts, times = [], [], []
    for segment in images.segments(RANGE, tmp_path):
        made.append(weakref.ref(segment.distribution.values))
        assert len(segment.distribution.values) <= 4
        times.append(segment.distribution.times)
        del segment
        gc.collect()
        counts.append(sum(one() is not None for one in made))
    assert len(counts) == 4 and max(counts) <= 1
    np.testing.assert_array_equal(np.concatenate(times), START + np.arange(15) * 3 * SECOND)


def test_files_are_closed_one_after_another(tmp_path, monkeypatch):
    folder(tmp_path, 12)
    opened, most = [0], [0]
    original = images.frames_of

    def counting(path, channel):
        opened[0] += 1
        most[0] = max(most[0], opened[0])
        try:
            yield from original(path, channel)
        finally:
            opened[0] -= 1

    monkeypatch.setattr(images, "frames_of", counting)
    assert sum(len(one.distribution.times) for one in images.segments(RANGE, tmp_path)) == 12
    assert (opened[0], most[0]) == (0, 1)


def test_pieces_are_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_SEGMENT_FRAMES", 4)
    folder(tmp_path, 10)
    movie(tmp_path / "m_20200101_010000.mkv", [pixels(20), pixels(21)])
    options = {"path": str(tmp_path), "cadence_s": 60}
    whole = [one.distribution for one in images.segments(RANGE, **options)]
    found = list(images.pieces(RANGE, **options))
    assert [one.name for one in found] == [f"sky_{stamp(i)}.png" for i in (0, 4, 8)] + ["m_20200101_010000.mkv"]
    parts = [part.distribution for one in found for part in images.segments(RANGE, **options, piece=one)]
    for key in ("times", "values"):
        joined = [np.concatenate([getattr(one, key) for one in group]) for group in (whole, parts)]
        np.testing.assert_array_equal(*joined)
    assert len(np.concatenate([one.times for one in whole])) == 12


def test_search_report_and_archive_of_a_folder(tmp_path):
    rows, columns = np.mgrid[:32, :32]
    (tmp_path / "sky").mkdir()
    for i in range(80):
        frame = pixels(i, (32, 32), 60)
        if i in (20, 50):
            frame[np.abs(rows - columns) < 4] += 150
        Image.fromarray(frame).save(tmp_path / "sky" / f"sky_{stamp(i)}.png")
    asked = {"instrument": "images", "trange": RANGE, "load_keywords": {"path": tmp_path / "sky"}}
    found = sim.find_similar(like=START + 60 * SECOND, k=1, **asked, errors="raise")
    assert sim.intervals(found)["peak"][0].datetime64 == START + 150 * SECOND
    page = sim.report(found, tmp_path / "page.html", map_by="pca", errors="raise")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page and text.count("data:image/png") >= 2 and "is not loaded" not in text
    archive = sim.open_archive(tmp_path / "archive")
    assert sim.add(archive, **asked, errors="raise").added == 80
    assert sim.add(archive, **asked, errors="raise").skipped == 80
    again = sim.find_similar(archive=archive, like=START + 60 * SECOND, k=1, newname="again", errors="raise")
    assert sim.intervals(again)["peak"][0].datetime64 == START + 150 * SECOND


def test_unknown_channel_and_keyword(tmp_path):
    folder(tmp_path)
    with pytest.raises(ArgumentError, match="channel.*'purple'.*brightness, red"):
        sim.load_images(tmp_path, channel="purple", errors="raise")
    with pytest.raises(ArgumentError, match="cadence_s"):
        sim.load_images(tmp_path, cadence_s=0, errors="raise")
    with pytest.raises(ArgumentError, match="keywords of images.*path"):
        sim.find_similar(instrument="images", trange=RANGE, like=START, errors="raise")
