"""The page in headless Chromium, by clicks and keys: sort, filter, hover, export, print, narrow, hostile text."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from astropy.table import Table as AstropyTable

from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.plotting.report_page.content import Card, Map, Picture, Report, Result, methods_text, table_of
from pyspedas_similarity.plotting.report_page.page import render, table_csv, table_hash
from pyspedas_similarity.plotting.report_page.pictures import encoded_picture
from tests import browser

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "there is a browser")

START = np.datetime64("2020-01-01T00:00:00", "ns")
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'"
N = 12
PNG = encoded_picture(np.full((1, 16, 16), 0.5, np.float32), DistributionRecipe(planes=("xy",))).png


def report_of(name: str, n: int = N) -> Report:
    minute = 60 * 10**9
    starts = [int(START.astype("int64")) + ((5 * i) % n) * minute + 1 for i in range(n)]
    found = {"start_ns": starts, "end_ns": [s + (1 + i % 3) * 10**9 for i, s in enumerate(starts)]}
    found |= {"peak_ns": [s + 5 for s in starts], "score": [0.99 - 0.01 * i for i in range(n)]}
    found |= {"n_samples": [100 - 9 * (i % 7) for i in range(n)]}
    record = {
        "source": name,
        "station": {"site": "fsmi"},
        "encoder": {"name": "hog", "method": "fixed transform", "hash": "e" * 16},
        "recipe": {"kind": "frame", "hash": "f" * 16},
        "threshold": 0.5,
        "exclude_s": 3.0,
        "queries": [{"label": f"{name} {START}", "n_samples": 1, "start": str(START), "end": str(START)}],
    }
    results = (Result(record, found, START + np.arange(3) * np.timedelta64(1, "s"), np.array([1.0, 0.5, 0.2])),)
    table = table_of(results)
    pictures = (Picture(PNG, f"a picture of {name}", "as encoded"),)
    cards = [Card("Seed", "then", pictures=pictures)]
    cards += [
        Card(str(i + 1), "then", i, "0.9", pictures if i else (), "" if i else f"{name} is gone") for i in range(n)
    ]
    kinds = ["query", *["match"] * n, *["other"] * 20]
    places = np.random.default_rng(0).random((len(kinds), 2))
    texts = [f"Seed: {name}", *(f"Match {i + 1}: {name}" for i in range(n)), *[f"another {name}"] * 20]
    drawn = Map(places, kinds, texts, [-1, *range(n), *[-1] * 20], "two principal components")
    versions = {"pyspedas-similarity": "1.0", "numpy": "2"}
    methods = methods_text(results, versions)
    return Report(f"Page of {name}", "2020-01-02", results, methods, table, tuple(cards), {}, pictures, drawn, versions)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads")
    with browser.chromium(folder) as driver:
        driver.downloads = folder
        yield driver


@pytest.fixture
def opened(driver, tmp_path):
    """Open the page of a report, and fail where the console complains or anything is asked of a network."""

    def open_page(report: Report) -> None:
        path = tmp_path / "page.html"
        path.write_text(render(report), encoding="utf-8")
        browser.size(driver, *browser.WIDE)
        driver.get("about:blank")
        browser.requested(driver)
        driver.get(path.as_uri())

    yield open_page
    addresses = browser.requested(driver)
    assert [one for one in addresses if not one.startswith(("file:", "data:", "blob:", "about:"))] == []
    assert browser.complaints(driver) == []


def css(driver, selector: str):
    return driver.find_element("css selector", selector)


def shown(driver) -> list[int]:
    """Numbers of the rows that can be seen, in their order."""
    rows = "[...document.querySelectorAll('#matches tbody tr')]"
    return driver.execute_script(f"return {rows}.filter(r => r.offsetHeight).map(r => +r.dataset.row)")


def head(driver, name: str):
    index = ("no.", "peak", "score", "duration", "start", "end", "n_samples", "source", "site").index(name)
    return driver.find_elements("css selector", "#matches thead button")[index]


def test_a_click_on_a_head_sorts_and_says_so(driver, opened):
    report = report_of("sky")
    opened(report)
    assert shown(driver) == list(range(N))
    for name in ("n_samples", "peak", "duration"):
        texts = report.table.column(name)
        # Of equal values the better match comes first, whichever way it is sorted; ISO times sort as text.
        values = np.unique(texts, return_inverse=True)[1] if name == "peak" else np.array(texts, float)
        for direction, order in (("ascending", values), ("descending", -values)):
            head(driver, name).click()
            assert shown(driver) == np.argsort(order, kind="stable").tolist(), name
            assert head(driver, name).find_element("xpath", "..").get_attribute("aria-sort") == direction
    assert len(driver.find_elements("css selector", "th[aria-sort]")) == 1


def test_numbers_are_not_sorted_as_text(driver, opened):
    opened(report_of("sky"))
    head(driver, "n_samples").click()
    first = report_of("sky").table.column("n_samples")[shown(driver)[0]]
    assert first == "46" and shown(driver)[-1] in (0, 7)  # 100 comes last, not first


def test_filters_by_text_score_and_time(driver, opened):
    report = report_of("sky")
    opened(report)
    css(driver, "#least").send_keys("0.955")
    assert shown(driver) == [0, 1, 2, 3] and css(driver, "#shown").text == "4 of 12 intervals shown"
    css(driver, "#reset").click()
    assert shown(driver) == list(range(N)) and css(driver, "#shown").text == "12 intervals"
    css(driver, "#from").send_keys("2020-01-01/00:03")
    css(driver, "#to").send_keys("2020-01-01 00:05")
    peaks = report.table.column("peak")
    assert shown(driver) == [i for i in range(N) if "2020-01-01T00:03" <= peaks[i] < "2020-01-01T00:06"]
    css(driver, "#reset").click()
    css(driver, "#contains").send_keys("FSMI")
    assert len(shown(driver)) == N
    css(driver, "#contains").send_keys(" nobody")
    assert shown(driver) == [] and css(driver, "#shown").text == "0 of 12 intervals shown"


def test_exports_are_what_is_shown_in_its_order(driver, opened):
    report = report_of('=1+1,"x"')
    opened(report)
    css(driver, "[data-export=csv]").click()
    text = browser.downloaded(driver.downloads, "intervals.csv")
    assert text == table_csv(report.table)
    assert table_hash(report.table) in css(driver, "#provenance").text
    css(driver, "#least").send_keys("0.955")
    head(driver, "score").click()
    css(driver, "[data-export=csv]").click()
    read = AstropyTable.read(browser.downloaded(driver.downloads, "intervals.csv"), format="ascii.csv")
    assert list(read["score"]) == report.results[0].intervals["score"][3::-1]
    css(driver, "[data-export=json]").click()
    saved = json.loads(browser.downloaded(driver.downloads, "intervals.json"))
    assert [one["score"] for one in saved["intervals"]] == report.results[0].intervals["score"][3::-1]
    starts = np.array([one["start"] for one in saved["intervals"]], "datetime64[ns]").astype("int64")
    assert starts.tolist() == report.results[0].intervals["start_ns"][3::-1]
    assert saved["search"][0]["encoder"]["hash"] == "e" * 16 and saved["intervals"][0]["source"] == '=1+1,"x"'
    css(driver, "[data-export=times]").click()
    lines = browser.downloaded(driver.downloads, "intervals.txt").splitlines()
    assert len(lines) == 4 and lines[0].split()[0] == str(starts.astype("datetime64[ns]")[0]).replace("T", "/")


def test_pointing_at_the_map_tells_and_marks_the_row(driver, opened):
    from selenium.webdriver import ActionChains

    opened(report_of("sky"))
    mark = css(driver, "#points [data-point='3']")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
    ActionChains(driver).move_to_element(mark).perform()
    assert css(driver, "#told").text == "Match 3: sky"
    assert css(driver, "tr.chosen").get_attribute("data-row") == "2"
    mark.click()
    assert driver.execute_script("return location.hash") == "#row-2"


def test_the_map_is_read_by_keys(driver, opened):
    from selenium.webdriver.common.keys import Keys

    opened(report_of("sky"))
    points = css(driver, "#points")
    driver.execute_script("arguments[0].focus()", points)
    points.send_keys(Keys.ARROW_RIGHT)
    assert css(driver, "#told").text == "Seed: sky"
    told = []
    for _ in range(N):
        points.send_keys(Keys.ARROW_RIGHT)
        told.append(css(driver, "#told").text)
    assert sorted(told) == sorted(f"Match {i + 1}: sky" for i in range(N))


def test_everything_is_reached_by_the_keyboard_and_seen_to_be(driver, opened):
    from selenium.webdriver.common.keys import Keys

    opened(report_of("sky"))
    visited = []
    for _ in range(60):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        now = driver.switch_to.active_element
        if now.tag_name == "body":  # once around
            break
        outline = driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", now)
        assert outline != "none", now.get_attribute("outerHTML")[:100]
        visited.append(now.get_attribute("id") or now.text.lower() or now.get_attribute("class"))
        if visited[-1] == "skip to the table of matches":
            assert now.location["x"] >= 0  # it comes into view
    for wanted in ("skip to the table of matches", "copy", "contains", "least", "from", "to", "reset", "csv", "points"):
        assert wanted in visited, wanted
    assert sum(one.startswith(("score", "samples", "peak")) for one in visited) == 3
    button = head(driver, "duration")
    driver.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert shown(driver)[:4] == [0, 3, 6, 9]


def test_every_control_has_a_name_and_every_picture_words(driver, opened):
    opened(report_of("sky"))
    for element in driver.find_elements("css selector", "button, input, summary, [role=region], svg"):
        assert element.accessible_name.strip(), element.get_attribute("outerHTML")[:100]
    for element in driver.find_elements("css selector", "img"):
        assert len(element.get_attribute("alt")) > 5 and element.get_property("naturalWidth") > 0
    levels = [element.tag_name for element in driver.find_elements("css selector", "h1, h2, h3")]
    assert levels[0] == "h1" and levels.count("h1") == 1 and levels[1] == "h2"
    assert css(driver, "html").get_attribute("lang") == "en"


def test_text_has_enough_contrast(driver, opened):
    opened(report_of("sky"))
    script = """
    const light = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
        .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
    const behind = (e) => { while (e) { const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)|transparent/.test(c)) return c; e = e.parentElement; } return 'rgb(255,255,255)'; };
    return [...document.querySelectorAll('p, a, h1, h2, h3, td, th, button, figcaption, caption, label, li, code')]
      .filter(e => e.textContent.trim()).map(e => { const a = light(getComputedStyle(e).color), b = light(behind(e));
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)]; });
    """
    ratios = driver.execute_script(script)
    assert len(ratios) > 100 and min(ratios)[0] >= 4.5, min(ratios)  # WCAG 2, AA


def test_a_narrow_page_scrolls_in_the_table_only(driver, opened):
    opened(report_of("a_very_long_name_of_a_variable_" * 4))
    browser.size(driver, *browser.NARROW)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= browser.NARROW[0]
    inside = "const s = document.querySelector('.scroll'); return [s.scrollWidth, s.clientWidth]"
    wide, visible = driver.execute_script(inside)
    assert wide > visible and visible <= browser.NARROW[0]
    for name in ("peak", "score"):  # what tells most is seen without scrolling
        box = head(driver, name).rect
        assert box["x"] >= 0 and box["x"] + 20 < browser.NARROW[0], name
    controls = "[...document.querySelectorAll('button, input')].map(e => e.offsetHeight).filter(h => h)"
    assert min(driver.execute_script(f"return {controls}")) >= 24  # WCAG 2.2: targets of 24 px


def test_it_prints_whole(driver, opened):
    opened(report_of("sky", 200))
    printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF") and 3 <= printed.count(b"/Type /Page\n") <= 40
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    for selector in ("nav", ".filters", ".tools"):
        assert not css(driver, selector).is_displayed(), selector
    assert len(shown(driver)) == 200
    region = driver.execute_script(
        "const s = document.querySelector('.scroll'); return s.scrollHeight <= s.clientHeight + 1"
    )
    assert region  # nothing of the table is cut off
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert css(driver, "details").get_attribute("open") is not None
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert css(driver, "details").get_attribute("open") is None
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_hostile_text_does_nothing(driver, opened):
    opened(report_of(HOSTILE))
    assert driver.title == f"Page of {HOSTILE}"
    assert css(driver, "#row-0").text.count("onerror") == 1
    css(driver, "#contains").send_keys("<script>")
    assert len(shown(driver)) == N
    css(driver, "[data-export=json]").click()
    assert json.loads(browser.downloaded(driver.downloads, "intervals.json"))["intervals"][0]["source"] == HOSTILE
    assert len(driver.find_elements("css selector", "script")) == 2 and driver.title == f"Page of {HOSTILE}"


def test_the_policy_refuses_what_is_put_in_later(driver, opened):
    """Even where markup got in, it could neither run nor ask a network."""
    opened(report_of("sky"))
    script = """
    const one = document.createElement('script'), two = document.createElement('img');
    one.textContent = "document.title = 'taken'";
    two.src = 'http://127.0.0.1:9/x.png';
    document.body.append(one, two);
    """
    driver.execute_script(script)
    browser.wait_until(lambda: driver.execute_script("return document.images[document.images.length - 1].complete"))
    assert driver.title == "Page of sky"
    said = " ".join(browser.complaints(driver))
    assert said.count("Content Security Policy") == 2


def test_the_words_can_be_copied(driver, opened):
    report = report_of("sky")
    opened(report)
    css(driver, "#copy").click()
    browser.wait_until(lambda: css(driver, "#copied").text != "")
    if css(driver, "#copied").text.startswith("Selected"):
        selected = driver.execute_script("return getSelection().toString()")
        assert selected.split("\n")[0].strip() == report.methods[0]
    else:
        assert css(driver, "#copied").text == "Copied."


def test_an_empty_page_works(driver, opened):
    opened(Report("Nothing found", "now", (), methods_text([], {}), table_of([])))
    assert "No interval was found." in css(driver, "#matches").text
    css(driver, "#copy").click()
