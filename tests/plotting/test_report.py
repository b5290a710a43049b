"""The page as text: what is escaped, what is told, what is exported; nothing here needs a browser."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table as AstropyTable
from PIL import Image

from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe, SpectrumRecipe, WindowRecipe
from pyspedas_similarity.plotting.report_page.content import (
    Card,
    Map,
    Picture,
    Report,
    Result,
    citation,
    methods_text,
    table_of,
    tidy,
)
from pyspedas_similarity.plotting.report_page.page import render, seen, table_csv, table_hash
from pyspedas_similarity.plotting.report_page.pictures import encoded_picture, measured_picture, plot_contact_sheet
from pyspedas_similarity.provenance import METHOD
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-01T00:00:00", "ns")
VERSIONS = {"pyspedas-similarity": "1.2.3", "pyspedas": "2.2.2", "numpy": "2.4"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--\x00\u202e{{7*7}}"


def result(name: str = "sky", n: int = 3, **record) -> Result:
    about = {
        "source": name,
        "station": {"site": "fsmi"},
        "encoder": {"name": "hog", "method": "fixed transform", "hash": "e" * 16},
        "recipe": {"kind": "frame", "hash": "f" * 16},
        "versions": VERSIONS,
        "threshold": 0.75,
        "exclude_s": 12.5,
        "k": None,
        "queries": [
            {"label": f"{name} {START}", "n_samples": 1, "start": str(START), "end": str(START)},
        ],
    }
    starts = [int(START.astype("int64")) + 1_000_000_001 * (i + 1) for i in range(n)]
    found = {"start_ns": starts, "end_ns": [s + 2_500_000_000 for s in starts], "peak_ns": [s + 7 for s in starts]}
    found |= {"score": [0.9 - 0.01 * i for i in range(n)], "n_samples": [i + 1 for i in range(n)]}
    times = START + np.arange(40) * np.timedelta64(1, "s")
    scores = np.append(np.linspace(0, 1, 39), np.nan)
    return Result(about | record, found, times, scores)


def page(*results: Result, **more) -> str:
    table = table_of(results)
    report = Report("Title", "2020-01-02 00:00:00", results, methods_text(results, VERSIONS), table, **more)
    return render(report)


def test_many_variables_searched_alike_are_told_in_one_paragraph():
    alike = [result(f"sky{i}", n) for i, n in enumerate((3, 1, 0))]
    other = result("moon", 2, threshold=0.5)
    told = methods_text([*alike, other], VERSIONS)
    assert len(told) == 4  # how, the three, the other, software
    assert told[1].startswith("3 variables were searched: sky0, 39 samples from 2020-01-01T00:00:00 to ")
    assert "; sky2, 39 samples from" in told[1] and told[1].count("at least 0.7500") == 1
    assert told[1].endswith("This gave 4 intervals in 2 variables, with scores from 0.8800 to 0.9000.")
    assert told[2].startswith("In moon, 39 samples") and "at least 0.5000" in told[2]
    none = methods_text([result(f"sky{i}", 0) for i in range(3)], VERSIONS)
    assert none[1].endswith("No interval was found.")


class Tags(html.parser.HTMLParser):
    """Every tag with its attributes, and the text outside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.words, self._inside = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if not self._inside:
            self.words.append(data)


def test_the_methods_say_every_number_of_the_search():
    text = " ".join(methods_text([result()], VERSIONS))
    for told in (
        "the query sky 2020-01-01T00:00:00 UTC",
        "pyspedas-similarity 1.2.3",
        "method of Smith et al. 2024",
        "frame images (hash ffffffffffffffff)",
        "encoder 'hog' (fixed transform; hash eeeeeeeeeeeeeeee)",
        "In sky, 39 samples from 2020-01-01T00:00:00 to 2020-01-01T00:00:39 UTC were searched",
        "within 12.5 s of a query were left out",
        "score of at least 0.7500 were taken",
        "This gave 3 intervals, with scores from 0.8800 to 0.9000.",
        "pyspedas 2.2.2, numpy 2.4",
    ):
        assert told in text, told


def test_the_methods_tell_unlikes_false_discoveries_archives_and_few_results():
    calibrated = {"fdr": 0.05, "n_stretches": 80}
    unlike = [{"label": "sky x"}]
    text = " ".join(methods_text([result(k=2, fdr=calibrated, unlike=unlike, archive={"version": 4})], VERSIONS))
    assert "nearer to one of 1 unlike example" in text and "version 4 of an archive" in text
    assert "At most the best 2 intervals were kept" in text
    assert "false discovery rate among the intervals at 0.05" in text and "80 stretches of background" in text
    nothing = " ".join(methods_text([result(n=0, threshold=float("inf"))], VERSIONS))
    assert "No score stands out of the background." in nothing and "No interval was found." in nothing
    assert methods_text([], VERSIONS) == ("No interval was found, and no record of a search was given.",)
    array = methods_text([result(queries=[{"label": "array", "n_samples": 3}])], VERSIONS)
    assert "the query an array given by the user were" in array[0]


def test_the_methods_say_what_stands_out_and_what_similarity_is_relative_to():
    def of(stands, **record):
        made = result(n=len(stands), **record)
        return " ".join(methods_text([replace(made, intervals=made.intervals | {"stands_out": stands})], VERSIONS))

    assert "0.8800 to 0.9000; none of them stands out of the background." in of([False, False, False])
    assert "; 1 of them stands out of the background." in of([True, False, False])
    assert "; 2 of them stand out of the background." in of([True, True, False])
    assert "; all of them stand out of the background." in of([True, True])
    assert "; it does not stand out of the background." in of([False])
    assert "relative to the searched library: what its samples have in common" in of([True], view={"rule": "center"})
    assert "relative to a reference archive" in of([True], view={"rule": "center"}, relative_to="a")
    assert "not relative to a library" in of([True], view={"rule": "none", "reason": "no reference"})
    assert "relative" not in of([True])


def test_the_methods_describe_windows_of_panels():
    recipe = {"kind": "panel", "hash": "f" * 16, "length_s": 90.0}
    made = result(recipe=recipe, panels=[{"name": "b"}, {"name": "ne"}], stride_s=22.5)
    text = methods_text([made], VERSIONS)[0]
    assert "Windows of 90 s, one every 22.5 s, of b, ne were compared by curve, level and fluctuations" in text
    assert "image" not in text and "encoder" not in text


def test_a_match_that_does_not_stand_out_is_marked_in_the_gallery():
    made = result(n=2)
    made = replace(made, intervals=made.intervals | {"stands_out": [True, False]})
    assert table_of([made]).faint == (False, True)
    cards = tuple(Card(str(row + 1), "now", row, faint=faint) for row, faint in enumerate(table_of([made]).faint))
    text = page(made, cards=cards)
    assert text.count('id="card-1" data-faint>') == text.count("does not stand out</p>") == 1


def test_times_lose_their_zeros_only():
    assert tidy("at 00:01:00.000000000 and 10:20:30.120000000, x 1.500") == "at 00:01:00 and 10:20:30.12, x 1.500"
    assert tidy("00:01:07.000000007") == "00:01:07.000000007"


def test_the_table_is_exact_and_best_first():
    table = table_of([result("b", 2), result("a", 3)])
    assert table.column("source") == ["b", "a", "b", "a", "a"]
    assert [float(one) for one in table.column("score")] == sorted(map(float, table.column("score")), reverse=True)
    assert table.column("start")[0] == "2020-01-01T00:00:01.000000001" and table.column("duration")[0] == "2.5"
    assert table.column("peak")[0] == "2020-01-01T00:00:01.000000008"
    assert "probe" not in table.columns and table.column("site")[0] == "fsmi" and "p_value" not in table.columns


def test_exported_text_reads_back_and_its_hash_is_on_the_page():
    one = result(n=4, source='a,"b"')
    text = table_csv(table_of([one]))
    read = AstropyTable.read(text, format="ascii.csv")
    np.testing.assert_array_equal(read["score"], one.intervals["score"])
    starts = np.array(read["start"], "datetime64[ns]").astype("int64")
    np.testing.assert_array_equal(starts, one.intervals["start_ns"])
    assert list(read["source"]) == ['a,"b"'] * 4
    assert hashlib.sha256(text.encode()).hexdigest() == table_hash(table_of([one]))
    assert table_hash(table_of([one])) in page(one)


def test_no_cell_is_a_formula():
    rows = table_csv(table_of([result(n=1, source="=HYPERLINK(1)")])).splitlines()
    assert "'=HYPERLINK(1)" in rows[1]


def test_hostile_text_stays_text():
    record = {"source": HOSTILE, "station": {"site": HOSTILE}, "encoder": {"name": HOSTILE, "hash": HOSTILE}}
    one = result(n=2, **record, queries=[{"label": HOSTILE, "start": str(START), "end": str(START)}])
    cards = (Card(HOSTILE, HOSTILE, 0, "0.9", (Picture(b"png", HOSTILE, HOSTILE),), HOSTILE, HOSTILE),)
    drawn = Map(np.eye(2), ["query", "match"], [HOSTILE] * 2, [-1, 0], HOSTILE)
    plain, attacked = Tags(page(result(n=2))), Tags(page(one, cards=cards, map=drawn, notes={"map": (HOSTILE,)}))
    added = {"li", "h3", "figure", "figcaption", "img", "svg", "circle", "path", "ol", "a", "span", "bdi", "p"}
    assert {tag for tag, _ in attacked.tags} - {tag for tag, _ in plain.tags} <= added
    assert sum(tag == "script" for tag, _ in attacked.tags) == 2
    assert not any(name.startswith("on") for _, attributes in attacked.tags for name in attributes)
    images = [attributes["src"] for tag, attributes in attacked.tags if tag == "img"]
    assert images and all(address.startswith("data:image/png;base64,") for address in images)
    words = "".join(attacked.words)
    assert "alert(1)" in words and "{{7*7}}" in words and "\x00" not in words and "\u202e" not in words


def test_what_the_script_reads_is_what_was_found():
    text = page(result(n=2, source=HOSTILE))
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert not set("<>&") & set(data)
    read = json.loads(data)
    assert read["rows"][0][read["columns"].index("source")] == seen(HOSTILE)
    assert read["records"][0]["threshold"] == 0.75 and read["citation"][0] == METHOD


def test_infinite_thresholds_and_lone_surrogates_can_be_written():
    text = page(result("a\udc80", n=1, threshold=float("inf")))
    assert '"threshold":"inf"' in text and "a?" in text
    text.encode("utf-8")


def test_the_policy_lets_only_the_own_script_and_style_work():
    text = page(result())
    policy = next(a["content"] for t, a in Tags(text).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "img-src data:" in policy and "unsafe" not in policy
    for tag, source in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        inside = re.search(source, text, re.S)[1]
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in policy, tag


def test_nothing_on_the_page_is_elsewhere():
    for tag, attributes in Tags(page(result(), cards=(Card("1", "t", 0, pictures=(Picture(b"x", "a", "b"),)),))).tags:
        for name in ("src", "href", "srcset", "action", "data"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:")) or (tag == "a" and address.startswith("https://doi.org/"))


def test_an_empty_search_says_so():
    for text in (page(result(n=0)), render(Report("Nothing", "now", (), methods_text([], {}), table_of([])))):
        assert "No interval was found." in text and "<table>" not in text.replace('class="facts"', "")
        assert "data-export=" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_ten_thousand_rows_are_all_there():
    text = page(result(n=10_000))
    assert text.count('<tr id="row-') == 10_000


def test_what_to_cite_has_the_version():
    assert citation(VERSIONS) == (METHOD, "pyspedas-similarity developers, pyspedas-similarity, version 1.2.3")


def as_image(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def test_a_frame_is_drawn_north_up_and_small():
    frame = np.zeros((1, 300, 300), np.uint16)
    frame[0, :30] = 1000  # bright on the side of row 0, which is south
    about = {"data_att": {"first_row": "south"}}
    drawn = as_image(measured_picture(Variable("sky", np.array([START]), frame, {}, about), FrameRecipe()))
    assert drawn.shape == (100, 100, 3)
    assert (drawn[-5:] > 250).all() and (drawn[:80] < 5).all()


def test_a_window_has_energy_upward_and_gaps_are_gray():
    values = np.tile(np.geomspace(1, 1e4, 16), (1, 20, 1))
    values[0, 5] = np.nan
    recipe = WindowRecipe(length_s=20, stride_s=20)
    tables = {"v1": START + np.arange(20)[None] * np.timedelta64(1, "s"), "v2": np.geomspace(10, 1e4, 16)}
    picture = measured_picture(Variable("w", np.array([START]), values, tables), recipe)
    drawn = as_image(picture)
    assert drawn.shape == (64, 64, 3)
    assert drawn[0, 0, 0] > 200 and drawn[-1, 0, 0] < 90  # viridis: yellow above, violet below
    assert (drawn[:, 5 * 64 // 20 + 1] == 190).all()
    assert picture.label == "measured: time from the middle (s) to the right, energy upward"


def test_a_spectrum_has_the_axes_of_its_image():
    values = np.tile(np.geomspace(1e4, 1, 20), (1, 9, 1))
    values[0, 0] = np.nan
    tables = {"v1": np.linspace(0, 180, 9), "v2": np.geomspace(10, 5e4, 20)}
    sample = Variable("FPDU", np.array([START]), values, tables, {"data_att": {"depend_2_units": "eV"}})
    picture = measured_picture(sample, SpectrumRecipe())
    drawn = as_image(picture)
    assert drawn[0, 0, 0] > 200 and drawn[0, -1, 0] < 90  # flux falls with energy, which is to the right
    assert (drawn[-1] == 190).all() and (drawn[0] != 190).any()  # the first pitch angle is at the foot
    assert picture.label == "measured: energy (eV) to the right, pitch angle (deg) upward"


def test_a_cut_shows_where_particles_fly():
    """Counts in one look direction only are drawn at the opposite velocity."""
    density = np.zeros((1, 32, 16, 32), np.float32)
    azimuth = (np.arange(32) + 0.5) * 11.25
    density[0, np.abs(azimuth - 90) < 20, 6:10] = 1e-20  # seen looking along +y: flying along -y
    tables = {"v1": azimuth[None], "v2": (np.arange(16) + 0.5) * 11.25, "v3": np.geomspace(10, 30000, 32)[None]}
    sample = Variable(
        "simulated1_dis_dist_brst", np.array([START]), density, tables, {"data_att": {"units": "s^3/cm^6"}}
    )
    picture = measured_picture(sample, DistributionRecipe(depth=0))
    drawn = as_image(picture)
    assert drawn.shape == (64, 3 * 64, 3)  # planes xy, xz, yz
    rows, columns = np.nonzero((drawn[:, :64] != 190).any(axis=2))
    assert rows.min() > 32 and abs(columns.mean() - 31.5) < 2  # the lower half: v_y below zero
    rows, columns = np.nonzero((drawn[:, 128:] != 190).any(axis=2))
    assert columns.max() < 32  # the left half of yz
    assert "1000 km/s" in picture.alt
    assert picture.label == "measured: xy, xz, yz; ±1000 km/s, spacecraft frame"


def test_channels_of_the_encoder_stand_side_by_side():
    recipe = DistributionRecipe(planes=("perp1-perp2", "par-perp1"), agyrotropy=True)
    image = np.stack([np.full((32, 32), level, np.float32) for level in (0, 0.5, 0.5)])
    image[0, 0] = np.nan  # row 0 is the lowest
    picture = encoded_picture(image, recipe)
    drawn = as_image(picture)
    assert drawn.shape == (32, 96, 3) and picture.label == "as encoded: perp1-perp2, par-perp1, agyrotropy"
    assert (drawn[-1, :32] == 190).all() and (drawn[0, :32] != 190).any()
    assert tuple(drawn[0, 80]) == (253, 231, 37)  # the end of viridis


def test_a_contact_sheet_has_every_card(tmp_path):
    png = encoded_picture(np.full((1, 8, 8), 0.5, np.float32), DistributionRecipe(planes=("xy",))).png
    cards = [
        Card("seed $x$", "t0", pictures=(Picture(png, "", ""),)),
        *(Card(f"[{i}]", "t", i, "0.9") for i in range(7)),
    ]
    figure = plot_contact_sheet(cards, tmp_path / "sheet.png", "title")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) == 12 and figure.axes[0].get_title() == "seed \\$x\\$  \nt0"
    assert len(figure.axes[0].images) == 1 and figure.axes[1].texts[0].get_text() == "no picture"


@pytest.mark.parametrize("text", ["plain", "ümlaut β", "a\tb"])
def test_text_that_can_be_seen_stays(text):
    assert seen(text) == text
