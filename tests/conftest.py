"""What every test stands on: no network, no display, no user preferences, its own tplot store, and the real data."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import astropy.utils.iers
import pytest

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get("PYSPEDAS_SIMILARITY_DATA") or PROJECT.parent / "shared" / "data").resolve()
REQUIRE_REAL_DATA = os.environ.get("PYSPEDAS_SIMILARITY_REQUIRE_DATA") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Set what the libraries read once, at their import, before any test module is collected."""
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["PYSPEDAS_GLOBAL_DISPLAY"] = "false"
    home = tempfile.TemporaryDirectory(prefix="pyspedas-similarity-tests-")
    config.add_cleanup(home.cleanup)
    os.environ["SPEDAS_DATA_DIR"] = str(Path(home.name, "data"))
    os.environ["PYSPEDAS_CONFIG_FILE"] = str(Path(home.name, "preferences.toml"))
    for name in ("MMS_DATA_DIR", "MMS_MIRROR_DATA_DIR", "THM_DATA_DIR"):  # these would win over SPEDAS_DATA_DIR
        os.environ.pop(name, None)
    astropy.utils.iers.conf.auto_download = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that read real data, so that `-m real_data` selects them."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker("real_data")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a real-data test that skips, for whatever reason, where PYSPEDAS_SIMILARITY_REQUIRE_DATA is 1."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if REQUIRE_REAL_DATA and report.skipped and not expected_failure and item.get_closest_marker("real_data"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"a real-data test may not skip where PYSPEDAS_SIMILARITY_REQUIRE_DATA=1: {reason}"
    return report


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the path of a file below PYSPEDAS_SIMILARITY_DATA (default ../shared/data), or skip the test."""

    def path_of(relative: str) -> Path:
        path = REAL_DATA / relative
        if not path.exists():
            pytest.skip(f"no real data at {path}; set PYSPEDAS_SIMILARITY_DATA to the folder that has {relative}")
        return path

    return path_of


@pytest.fixture(scope="session")
def object_server() -> Iterator[Any]:
    """An S3 on loopback, see object_server.py; whoever changes its faults sets them back."""
    from tests import object_server as module

    with module.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines; local sockets, as worker processes use them, stay open."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: object) -> None:
        remote = self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        )
        if remote:
            raise ConnectionRefusedError(f"tests run offline: connection to {address} refused")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture(autouse=True)
def own_tplot_store() -> Iterator[None]:
    """Take back what a test does to the tplot stores, pyspedas's and that of a separately installed pytplot."""
    names = ("pyspedas.tplot_tools", "pytplot")
    before = {name: _store(name) for name in names}
    contents = {name: dict(store) for name, store in before.items() if store is not None}
    yield
    for name in names:
        store = before[name] if before[name] is not None else _store(name)
        if store is not None:
            store.clear()
            store.update(contents.get(name, {}))
            sys.modules[name].data_quants = store  # tplot_rename puts another dictionary there
    if "pyspedas.tplot_tools" in sys.modules:
        sys.modules["pyspedas.tplot_tools"].tplot_opt_glob.pop("x_range", None)  # tlimit limits all later plots


@pytest.fixture(autouse=True)
def own_figures() -> Iterator[None]:
    """Close the figures a test leaves open, as tplot does: the next one counts its own."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _store(module: str) -> dict | None:
    return getattr(sys.modules.get(module), "data_quants", None)
