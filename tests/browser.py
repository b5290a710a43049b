"""Headless Chromium for tests of the page, where it is installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = (1280, 900), (390, 844)


def missing() -> str:
    """Why there is no browser here; empty where there is one."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    if not any(map(shutil.which, _NAMES)) or not shutil.which("chromedriver"):
        return "no Chromium with its driver (on Debian: apt-get install chromium chromium-driver)"
    return ""


@contextmanager
def chromium(downloads: Path) -> Iterator[Any]:
    """A headless Chromium with a profile of its own, which writes what it downloads into a folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, _NAMES)))
    # Without smooth scrolling, which the page leaves out where it is not wanted, a click meets what it was aimed at.
    arguments = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    for argument in (*arguments, "--force-prefers-reduced-motion"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Both paths are given, so that selenium looks for neither in the network.
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        size(driver, *WIDE)
        yield driver
    finally:
        driver.quit()


def size(driver: Any, width: int, height: int) -> None:
    """Give the page this many pixels of the style sheet."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def requested(driver: Any) -> list[str]:
    """Addresses that were asked for since this was last read, without those that the page's own policy refused."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    refused = {
        one["params"]["requestId"]
        for one in events
        if one["method"] == "Network.loadingFailed" and one["params"].get("blockedReason") == "csp"
    }
    sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent if one["requestId"] not in refused]


def complaints(driver: Any) -> list[str]:
    """What the console says: errors, warnings, refusals of the page's policy."""
    return [entry["message"] for entry in driver.get_log("browser")]


def downloaded(folder: Path, name: str, patience_s: float = 20.0) -> str:
    """The text of a file that a click brings, which is then taken away."""
    wait_until(lambda: (folder / name).is_file() and not list(folder.glob("*.crdownload")), patience_s)
    text = (folder / name).read_bytes().decode("utf-8")
    (folder / name).unlink()
    return text


def wait_until(holds: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for something that will hold, and fail where it does not."""
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come in {patience_s:g} s")
        time.sleep(0.02)
