"""Readers of all-sky files: what is right, and every way in which a file can be wrong. The frames are simulated."""

import gzip

import cdflib
import numpy as np
import pytest

from pyspedas_similarity.errors import LoadError
from pyspedas_similarity.instruments import asi_files
from pyspedas_similarity.instruments.asi_files import read_cdf, read_skymap, read_stream, to_times

START = np.datetime64("2014-03-10T06:00:00.063119", "ns")
STEP = np.timedelta64(2_979_083, "us")


def header(number, site="gill", imager="themis19", stamp=None, shape=(16, 20), largest=65535):
    """A header as the cameras write it: the first one of a file names the camera."""
    stamp = stamp or str((START + number * STEP).astype("datetime64[us]")).replace("T", " ") + " UTC"
    camera = f'#"Project unique ID" themis-gbo\n#"Site unique ID" {site}\n#"Imager unique ID" {imager}\n'
    place = '#"Project unique ID" THEMIS\n#"Geodetic latitude" 56.3539\n#"Geodetic Longitude" -94.6557\n'
    named = f"{camera}{place}" if number % 20 == 0 else ""
    text = (
        f'P5\n{named}#"Image request start" {stamp}\n#"Pixel aspect ratio" 0.5181\n{shape[1]} {shape[0]}\n{largest}\n'
    )
    return text.encode("ascii")


def picture(number, shape=(16, 20)):
    return np.random.default_rng(number).integers(0, 65536, shape).astype(np.uint16)


def stream(numbers=range(20), **keywords):
    shape = keywords.get("shape", (16, 20))
    return b"".join(header(k, **keywords) + picture(k, shape).astype(">u2").tobytes() for k in numbers)


@pytest.fixture
def wrong(tmp_path):
    """Expect a LoadError that says `reason` for a stream of this content."""

    def check(content, reason, *more):
        path = tmp_path / "wrong.pgm"
        path.write_bytes(content)
        with pytest.raises(LoadError, match=reason):
            read_stream([path, *more])

    return check


@pytest.mark.parametrize("packed", [False, True])
def test_frames_times_and_camera_of_a_stream(tmp_path, packed):
    path = tmp_path / "20140310_0600_gill_themis19_full.anything"
    path.write_bytes(gzip.compress(stream()) if packed else stream())
    frames = read_stream(str(path))
    assert frames.name == "thg_asf_gill" and frames.values.dtype == np.dtype(np.uint16).newbyteorder("=")
    np.testing.assert_array_equal(frames.times, START + np.arange(20) * STEP)
    np.testing.assert_array_equal(frames.values, [picture(k) for k in range(20)])
    about = frames.attributes["data_att"]
    assert (about["site"], about["imager"], about["latitude"], about["longitude"]) == (
        "gill", "themis19", 56.3539, -94.6557,
    )  # fmt: skip


def test_files_come_in_the_order_of_their_times(tmp_path):
    paths = [tmp_path / f"{minute}.pgm" for minute in range(3)]
    for minute, path in enumerate(paths):
        path.write_bytes(stream(range(20 * minute, 20 * minute + 20)))
    frames = read_stream(paths[::-1])
    np.testing.assert_array_equal(frames.times, START + np.arange(60) * STEP)
    np.testing.assert_array_equal(frames.values[40:], [picture(k) for k in range(40, 60)])
    with pytest.raises(LoadError, match="decrease or repeat at 2014-03-10T06:00:00"):
        read_stream([paths[0], paths[0]])
    with pytest.raises(LoadError, match="no file is given"):
        read_stream([])


def test_eight_bit_frames_of_another_project(tmp_path):
    content = header(0, largest=255).replace(b"THEMIS", b"REGO") + bytes(range(160)) * 2
    path = tmp_path / "rego.pgm"
    path.write_bytes(content)
    frames = read_stream(path)
    assert frames.name == "rego_asf_gill" and frames.values.dtype == np.uint8
    assert frames.values[0].ravel().tolist() == [*range(160), *range(160)]


def foreign(tmp_path, project, imager, place="Geographic"):
    content = (
        f'P5\n#"Project unique ID" {project}\n#"Site unique ID" gill\n#"Imager unique ID" {imager}\n'
        f'#"{place} latitude" 56.4\n#"{place} longitude" -94.6\n#"Image request start" 2022-03-08 06:00:00.0 UTC\n'
        "20 16\n65535\n"
    )
    path = tmp_path / f"20220308_0600_gill_{imager}.pgm"
    path.write_bytes(content.encode() + picture(0).astype(">u2").tobytes())
    return path


def test_two_imagers_of_a_project_at_a_site_are_two_series(tmp_path):
    names = [read_stream(foreign(tmp_path, "trex", imager)).name for imager in ("blue-814", "nir-216")]
    assert names == ["trex_blue-814_asf_gill", "trex_nir-216_asf_gill"]
    assert read_stream(foreign(tmp_path, "themis-gbo", "themis19")).name == "thg_asf_gill"


@pytest.mark.parametrize("place", ["Geographic", "Geodetic", "GEOGRAPHIC"])
@pytest.mark.parametrize(
    ("project", "imager", "sides"),
    [
        ("themis-gbo", "themis19", ("north", "east")),
        ("REGO", "rego-652", ("north", "east")),
        ("trex", "nir-216", ("north", "west")),
        ("miracle", "kev-1", (None, None)),
    ],
)
def test_place_and_orientation_of_streams(tmp_path, project, imager, sides, place):
    about = read_stream(foreign(tmp_path, project, imager, place)).attributes["data_att"]
    assert (about["latitude"], about["longitude"]) == (56.4, -94.6)
    assert (about.get("first_row"), about.get("first_column")) == sides


@pytest.mark.parametrize("imager", ["spect-02", "spectrograph-1"])
def test_a_spectrograph_is_refused_by_name(tmp_path, imager):
    with pytest.raises(LoadError, match=f"spectrograph {imager}"):
        read_stream(foreign(tmp_path, "trex", imager))


def test_streams_that_are_cut_off(wrong):
    content = stream()
    wrong(content[:-1], "ends within frame 20, 1 bytes too early")
    wrong(content[: len(header(0)) - 3], "frame 1 has no complete header")
    wrong(content + b"P5\n", "frame 21 has no complete header")
    wrong(content + b"\n", "frame 21 has no complete header")
    wrong(b"", "the file is empty")
    packed = gzip.compress(content)
    wrong(packed[:-20], "not readable as gzip")
    wrong(packed[:5000] + b"\0" * 200 + packed[5200:], "not readable as gzip")


def test_sizes_that_a_stream_tells_are_not_believed(wrong, monkeypatch):
    body = picture(0).tobytes()
    wrong(header(0, shape=(4096, 4096)) + body, "ends within frame 1")
    wrong(header(0, shape=(99999, 99999)) + body, "99999 x 99999 pixels")
    wrong(header(0, shape=(0, 20)) + body, "20 x 0 pixels")
    wrong(header(0, largest=65536) + body, "up to 65536")
    wrong(header(0, largest=0) + body, "up to 0")
    wrong(header(0).replace(b"20 16", b"-20 16") + body, "no complete header")
    wrong(b"P5\n" + b"#\n" * 40000 + b"20 16\n65535\n" + body, "no complete header")
    monkeypatch.setattr(asi_files, "_MOST_STREAM_BYTES", 2**20)
    wrong(gzip.compress(bytes(2**20 + 1)), "more than 1 MiB")
    monkeypatch.setattr(asi_files, "_MOST_STREAM_FRAMES", 19)
    wrong(stream(), "more than 19 frames")


def test_frames_that_do_not_belong_together(wrong, tmp_path):
    wrong(stream(range(2)) + stream([2], shape=(16, 24)), "frame 3 has 16 x 24 pixels, those before 16 x 20")
    wrong(stream(range(2)) + stream([20], site="fsmi"), "two cameras, gill themis19 and fsmi themis19")
    good = tmp_path / "good.pgm"
    good.write_bytes(stream())
    wrong(stream(range(20, 22), imager="themis02"), "two cameras, gill themis19 and gill themis02", good)
    wrong(stream(range(20, 22), shape=(16, 24)), "frame 1 has 16 x 24 pixels, those of good.pgm", good)


def test_headers_without_time_or_camera(wrong):
    body = picture(0).astype(">u2").tobytes()
    wrong(header(0).replace(b"Image request start", b"Image readout start") + body, "no time 'Image request start'")
    wrong(header(0, stamp="2014-02-31 06:00:00 UTC") + body, "frame 1 has no time")
    wrong(header(1) + body, "has no project and site")
    wrong(header(0, site="../../x") + body, "has no project and site")
    wrong(b"P6" + header(0)[2:] + body, "no complete header of a binary PGM")
    with pytest.raises(LoadError, match="no such file"):
        read_stream("/no/such/file.pgm")


def test_unix_seconds_round_to_the_microsecond():
    """Every stamp in whole microseconds comes back from its double, up to the year 2100."""
    rng = np.random.default_rng(0)
    exact = rng.integers(0, 4_102_444_800_000_000, 20000).astype("datetime64[us]")
    np.testing.assert_array_equal(to_times(exact.astype("int64") / 1e6), exact.astype("datetime64[ns]"))
    strange = to_times(np.array([np.nan, np.inf, -1.0, 1e300, 0.0]))
    assert np.isnat(strange).tolist() == [True, True, True, True, False]
    assert to_times(np.empty(0)).dtype == np.dtype("datetime64[ns]")


def write_cdf(path, frames, seconds, sites=("gako",), kind=12):
    path.unlink(missing_ok=True)
    cdf = cdflib.cdfwrite.CDF(path)
    for site in sites:
        for name, values, number in ((f"thg_asf_{site}", frames, kind), (f"thg_asf_{site}_time", seconds, 45)):
            about = {"Variable": name, "Data_Type": number, "Num_Elements": 1, "Rec_Vary": True}
            cdf.write_var(about | {"Dim_Sizes": list(values.shape[1:])}, var_attrs={"UNITS": "counts"}, var_data=values)
    cdf.close()
    return path


def test_a_cdf_is_read_whole_or_not_at_all(tmp_path):
    frames = np.stack([picture(k) for k in range(300)])
    seconds = 1.3e9 + np.arange(300) * 3.0
    path = write_cdf(tmp_path / "frames.cdf", frames, seconds)
    read = read_cdf(path)
    np.testing.assert_array_equal(read.values, frames)
    np.testing.assert_array_equal(read.times.astype("int64"), seconds.astype("int64") * 10**9)
    assert not read.values.flags.writeable
    cut = tmp_path / "cut.cdf"
    for size in (0, 300, path.stat().st_size // 2, path.stat().st_size - 1):
        cut.write_bytes(path.read_bytes()[:size])
        with pytest.raises(LoadError, match="not a whole CDF"):
            read_cdf(cut)
    with pytest.raises(LoadError, match="no such file"):
        read_cdf(tmp_path / "none.cdf")


def test_a_cdf_with_something_else_in_it(tmp_path, monkeypatch):
    path, frames, seconds = tmp_path / "wrong.cdf", np.stack([picture(k) for k in range(3)]), np.arange(3.0)
    two = write_cdf(path, frames, seconds, sites=("gako", "fsmi"))
    with pytest.raises(LoadError, match="it holds thg_asf_gako, thg_asf_fsmi. .*one camera"):
        read_cdf(two)
    assert read_cdf(two, "thg_asf_fsmi").name == "thg_asf_fsmi"
    with pytest.raises(LoadError, match="not thg_asf_gill"):
        read_cdf(two, "thg_asf_gill")
    with pytest.raises(LoadError, match="no frames"):
        read_cdf(write_cdf(path, frames, seconds, sites=()))
    with pytest.raises(LoadError, match="3 frames, but not as many times"):
        read_cdf(write_cdf(path, frames, np.arange(2.0)))
    with pytest.raises(LoadError, match="CDF_DOUBLE|CDF_REAL8"):
        read_cdf(write_cdf(path, frames.astype(float), seconds, kind=45))
    with pytest.raises(LoadError, match=r"frames of \(4, 4\)"):
        read_cdf(write_cdf(path, frames[:, :4, :4], seconds))
    monkeypatch.setattr(asi_files, "_MOST_BYTES", frames.nbytes - 1)
    with pytest.raises(LoadError, match="3 frames of .16, 20., more than"):
        read_cdf(write_cdf(path, frames, seconds))


def test_a_skymap_that_is_none(tmp_path):
    path = tmp_path / "skymap.sav"
    for content, reason in (
        (b"", "no uncompressed IDL save file"),
        (b"SR\x00\x06" + bytes(100), "no uncompressed IDL save file"),
        (b"SR\x00\x04" + bytes(100), "not readable as IDL save file"),
    ):
        path.write_bytes(content)
        with pytest.raises(LoadError, match=reason):
            read_skymap(path)
    with pytest.raises(LoadError, match="not readable"):
        read_skymap(tmp_path / "none.sav")


def test_a_skymap_whose_arrays_do_not_fit(tmp_path, monkeypatch):
    def record(**changes):
        arrays = {"azimuth": np.full((16, 20), 359.0), "elevation": np.full((16, 20), np.nan)}
        arrays["elevation"][8, 10] = 89.7
        corners = np.full((2, 17, 21), 60.0)
        arrays |= {"map_latitude": corners, "map_longitude": corners, "map_altitude": np.array([90e3, 110e3])}
        about = {
            "site_uid": b"GAKO",
            "imager_uid": b"themis20",
            "site_map_latitude": 62.41,
            "site_map_longitude": 214.84,
        }
        return about | {f"full_{key}": value for key, value in (arrays | changes).items()}

    def read(**changes):
        monkeypatch.setattr(asi_files, "_idl_record", lambda path: record(**changes))
        return read_skymap(tmp_path / "simulated.sav")

    sky = read()
    assert (sky.site, sky.imager, sky.latitude) == ("gako", "themis20", 62.41)
    assert sky.longitude == pytest.approx(-145.16) and sky.map_altitude_km.tolist() == [90, 110]
    assert np.nanmax(sky.elevation) == np.float32(89.7) and not sky.azimuth.flags.writeable
    for changes, reason in (
        ({"azimuth": np.zeros((16, 16))}, "do not match"),
        ({"azimuth": np.zeros(320)}, "do not match"),
        ({"map_latitude": np.zeros((1, 17, 21))}, "do not match"),
        ({"elevation": np.full((16, 20), 91.0)}, "elevation is not within"),
        ({"elevation": np.full((16, 20), np.nan)}, "elevation is not within"),
        ({"azimuth": np.full((16, 20), "x")}, "this is no skymap"),
    ):
        with pytest.raises(LoadError, match=reason):
            read(**changes)
