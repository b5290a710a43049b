"""Filling by the workers of a Dask cluster: the same archive as without, whatever dies. Data are simulated."""

import dataclasses
import logging
import os
import shutil
import signal
import sys
import threading
import time

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from pyspedas import tplot_tools
from threadpoolctl import threadpool_limits

import pyspedas_similarity as sim
from pyspedas_similarity import cli
from pyspedas_similarity.errors import (
    ArchiveError,
    ArgumentError,
    LoadError,
    MixingError,
    VariableError,
    WorkerError,
)
from pyspedas_similarity.functions import archives
from pyspedas_similarity.imaging.frame_quality import FLAGS
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.library import distributed
from pyspedas_similarity.simulate.allsky import simulate_night
from pyspedas_similarity.simulate.fpi import simulate_event, store
from tests import fpi_files
from tests.instruments import test_themis_asi as themis

START = np.datetime64("2020-01-01T00:00:10", "ns")
RANGE = ["2020-01-01", "2020-01-02"]
MMS = {
    "instrument": "mms_des",
    "probe": ["1", "2"],
    "trange": RANGE,
    "load_keywords": {"no_update": True},
    "progress": False,
}
FILES = 6
QUIET = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products of matrices round by the threads that BLAS has. Dask gives its workers one, so this process has one."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, **QUIET) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two spacecraft, six files each, and the archive that is filled of them without a cluster."""
    root = tmp_path_factory.mktemp("mms")
    for probe in ("1", "2"):
        fpi_files.write_tree(
            root / "data", simulate_event(3, start=START, duration_s=12.0, probe=probe), segments=FILES
        )
    with pytest.MonkeyPatch.context() as patch:
        from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

        patch.setitem(CONFIG, "local_data_dir", str(root / "data"))
        assert sim.add(root / "serial", **MMS).added == 800
    return root


@pytest.fixture
def mms(template, monkeypatch):
    """Where the files are; workers are told, and are not asked for settings of their own."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", str(template / "data"))
    return template


def rows_of(path):
    """Everything an archive holds, by source and time; ids, checksums and embeddings among it."""
    kept = sim.open_archive(path).store
    heads = kept.heads()
    order = np.lexsort((heads.start, np.array(heads.sources)[heads.source]))
    rows = kept.take(heads, order)
    columns = [getattr(rows, one.name) for one in dataclasses.fields(rows)]
    return [heads.ids[order].tobytes(), heads.checksum[order].tobytes(), *(column.tolist() for column in columns)]


def assert_same(path, expected):
    assert rows_of(path) == rows_of(expected)
    assert sim.open_archive(path).verify().sound


def told(caplog, level):
    return [r.getMessage() for r in caplog.records if r.name.startswith("pyspedas_similarity") and r.levelno >= level]


def test_files_are_spread_over_workers_and_added_in_one_batch(client, mms, tmp_path, caplog):
    added = sim.add(tmp_path / "kept", client=client, **MMS)
    assert added == archives.Added(version=2, added=800, skipped=0, left_out=0)
    assert_same(tmp_path / "kept", mms / "serial")
    assert [(one.what, one.added) for one in sim.open_archive(tmp_path / "kept").versions()] == [
        ("create", 0),
        ("append", 800),
    ]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_is_there_is_not_encoded_again(client, mms, tmp_path, monkeypatch):
    half = [str(START), str(START + np.timedelta64(5, "s"))]
    first = sim.add(tmp_path / "kept", **{**MMS, "trange": half, "probe": "1"})
    assert first.added == 167
    seen = []
    result = distributed.Spread._result
    monkeypatch.setattr(distributed.Spread, "_result", lambda *given: seen.append(result(*given)) or seen[-1])
    added = sim.add(tmp_path / "kept", client=client, **MMS)
    assert added == archives.Added(version=5, added=633, skipped=167, left_out=0)
    assert [sum(map(len, one.rows)) for one in seen[:FILES]] == [0, 0, 34, 67, 66, 66]  # of 67, 67, 67, 67, 66, 66
    seen.clear()
    assert sim.add(tmp_path / "kept", client=client, **MMS) == archives.Added(5, 0, 800, 0)
    assert not any(one.rows for one in seen)


def test_frames_with_their_flags_of_several_stations(client, tmp_path, monkeypatch):
    from pyspedas.projects.themis.config import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "data"))
    for site in ("gako", "fsmi"):
        for hour in range(3):
            values = simulate_night(START, 60.0, seed=hour, size=96).frames.copy()
            values[12:] = values[11]  # the camera sent the same frame again and again
            times = themis.stamps(hour, 20).astype("int64") / 1e9
            themis.write(tmp_path / "data", site, hour, seconds=times, values=values)
    data = {"instrument": "themis_asi", "trange": themis.RANGE, "load_keywords": {"no_update": True}}
    serial = sim.add(tmp_path / "serial", probe=["gako", "fsmi"], **data)
    assert serial.added == 120
    data["load_keywords"]["site"] = ["gako", "fsmi"]
    assert sim.add(tmp_path / "kept", client=client, **data).added == 120
    assert_same(tmp_path / "kept", tmp_path / "serial")
    assert set(sim.open_archive(tmp_path / "kept").store.heads().quality.tolist()) >= {0, FLAGS["duplicate"]}


def test_variables_of_the_caller_are_sent_block_by_block(client, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "_SENT_BYTES", 1)
    names = store(simulate_event(3, start=START, duration_s=21.0))[:1]
    # A running mean looks over the ends of what is sent.
    recipe = DistributionRecipe(
        "electron", ("par-perp1",), 16, average=3, speed_max=15000.0, floor=1e-30, ceiling=1e-25
    )
    serial = sim.add(tmp_path / "serial", names, recipe=recipe)
    added = sim.add(tmp_path / "kept", names, recipe=recipe, client=client)
    assert added == serial and added.added == 700
    assert_same(tmp_path / "kept", tmp_path / "serial")
    again = sim.add(tmp_path / "kept", names, recipe=recipe, client=client)
    assert (again.added, again.skipped) == (0, 700)


def test_samples_that_cannot_be_encoded(client, tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 1000, (300, 32, 32)).astype(np.float32)
    frames[7], frames[280] = 5, np.nan
    times = START + np.arange(300) * np.timedelta64(3, "s")
    tplot_tools.store_data("sky", data={"x": times, "y": frames})
    serial = sim.add(tmp_path / "serial", "sky", encoder="pixels")
    assert (serial.added, serial.left_out) == (298, 2)
    assert sim.add(tmp_path / "kept", "sky", encoder="pixels", client=client) == serial
    assert_same(tmp_path / "kept", tmp_path / "serial")


def test_an_encoder_that_is_fitted_here_goes_to_the_workers(client, mms, tmp_path):
    one = {**MMS, "probe": "1"}
    serial = sim.add(tmp_path / "serial", encoder="pca", **one)
    assert serial.added == 400
    added = sim.add(tmp_path / "kept", encoder="pca", client=client, **one)
    assert added == dataclasses.replace(serial, version=2)
    assert_same(tmp_path / "kept", tmp_path / "serial")


def test_a_simulated_instrument(client, tmp_path):
    data = {"instrument": "simulated_dis", "trange": ["2020-01-01 00:00:00", "2020-01-01 00:01:30"]}
    serial = sim.add(tmp_path / "serial", **data)
    assert sim.add(tmp_path / "kept", client=client, **data) == serial and serial.added == 600
    assert_same(tmp_path / "kept", tmp_path / "serial")


def test_simulated_electrons_have_their_field_with_workers_too(client, tmp_path):
    data = {"instrument": "simulated_des", "probe": [1, 2], "trange": ["2020-01-01 00:00:00", "2020-01-01 00:00:04"]}
    serial = sim.add(tmp_path / "serial", **data)
    assert sim.add(tmp_path / "kept", client=client, **data).added == serial.added == 268
    assert sim.open_archive(tmp_path / "kept").identity.recipe == ELECTRONS.hash
    assert_same(tmp_path / "kept", tmp_path / "serial")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_worker_that_is_killed_costs_nothing(client, mms, tmp_path):
    kept, before = tmp_path / "kept", client.run(os.getpid)
    victim, killed = next(iter(before)), []

    def kill_while_it_works():
        """When the victim has a task."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            if client.processing([victim])[victim]:
                os.kill(before[victim], signal.SIGKILL)
                killed.append(len(sim.open_archive(kept)) if sim.open_archive(kept).begun else 0)
            time.sleep(0.002)

    killer = threading.Thread(target=kill_while_it_works)
    killer.start()
    added = sim.add(kept, client=client, **MMS)
    killer.join()
    assert killed == [0]  # before anything was added
    assert added.added == 800
    assert_same(kept, mms / "serial")
    client.wait_for_workers(2, timeout=60)
    assert before[victim] not in client.run(os.getpid).values()


@pytest.mark.skipif(sys.platform == "win32", reason="nannies")
def test_a_task_that_kills_its_workers_ends_with_its_name(mms, tmp_path, monkeypatch):
    namespace = {"__name__": "__main__"}  # functions of this module travel whole
    exec("def dies(job, encoder, task):\n    import os\n    os._exit(1)", namespace)
    monkeypatch.setattr(distributed, "work", namespace["dies"])
    monkeypatch.setattr(archives, "file_tasks", lambda *told: list(distributed.file_tasks(*told))[:1])
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, **QUIET) as cluster,
        Client(cluster) as client,
        pytest.raises(WorkerError, match=r"mms1_fpi_brst_l2_des-dist_20200101000010.*KilledWorker"),
    ):
        sim.add(tmp_path / "kept", client=client, **{**MMS, "probe": "1"})
    assert not sim.open_archive(tmp_path / "kept").begun


def test_an_error_names_its_file_and_what_came_before_stays(client, mms, tmp_path, monkeypatch):
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    shutil.copytree(mms / "data", tmp_path / "data")
    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "data"))
    file = sorted((tmp_path / "data").rglob("mms1*des-dist_*.cdf"))[3]
    raw = file.read_bytes()
    assert raw.count(b"s^3/cm^6") == 2
    file.write_bytes(raw.replace(b"s^3/cm^6", b"s^3/km^6"))
    with pytest.raises(VariableError, match=rf"1 {file.name}: mms1_des_dist_brst.*s\^3/km\^6"):
        sim.add(tmp_path / "kept", client=client, **MMS)
    kept = sim.open_archive(tmp_path / "kept")
    assert len(kept) == 67 * 3
    file.write_bytes(raw)
    assert sim.add(kept, client=client, **MMS) == archives.Added(3, 800 - 67 * 3, 67 * 3, 0)
    assert_same(tmp_path / "kept", mms / "serial")


def test_a_file_that_cannot_be_read_is_told_and_the_rest_comes(client, mms, tmp_path, monkeypatch, caplog):
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    shutil.copytree(mms / "data", tmp_path / "data")
    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "data"))
    files = sorted((tmp_path / "data").rglob("mms?_*des-dist_*.cdf"))
    files[4].write_bytes(files[4].read_bytes()[:1000])
    serial = sim.add(tmp_path / "serial", **MMS)
    caplog.clear()
    added = sim.add(tmp_path / "kept", client=client, **MMS)
    assert added == dataclasses.replace(serial, version=2) and added.added == 734
    assert_same(tmp_path / "kept", tmp_path / "serial")
    (warning,) = told(caplog, logging.WARNING)
    assert files[4].name in warning and "not a whole CDF" in warning


def test_files_that_workers_do_not_see(client, mms, tmp_path, monkeypatch, caplog):
    """Workers look where the caller does, and say so where there is nothing."""
    listed = distributed.file_tasks
    gone = str(tmp_path / "gone")

    def elsewhere(pieces, *rest):
        return listed((dataclasses.replace(one, local=gone) for one in pieces), *rest)

    monkeypatch.setattr(archives, "file_tasks", elsewhere)
    with pytest.raises(LoadError, match=r"nothing could be loaded: 1 mms1.*not below .*gone, which all workers"):
        sim.add(tmp_path / "kept", client=client, **MMS)
    assert not sim.open_archive(tmp_path / "kept").begun


def test_samples_that_are_in_two_files_are_kept_once(client, tmp_path, monkeypatch):
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "data"))
    event = simulate_event(3, start=START, duration_s=6.0)
    fpi_files.write_tree(tmp_path / "data", event)
    late = slice(100, 200)
    names = [one.name for one in dataclasses.fields(event) if np.shape(getattr(event, one.name))[:1] == (200,)]
    again = dataclasses.replace(event, **{name: getattr(event, name)[late] for name in names})
    changed = dataclasses.replace(again, distribution=again.distribution[::-1])  # so that which file it is of is seen
    fpi_files.write_tree(tmp_path / "data", changed)
    one = {**MMS, "probe": "1"}
    assert len(list((tmp_path / "data").rglob("*des-dist_*.cdf"))) == 2
    assert sim.add(tmp_path / "serial", **one).added == 200
    assert sim.add(tmp_path / "kept", client=client, **one).added == 200
    assert_same(tmp_path / "kept", tmp_path / "serial")


def test_an_interrupt_keeps_what_came_back_and_cancels_the_rest(client, mms, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_BATCH", 100)
    result, count = distributed.Spread._result, []

    def interrupted(*given):
        count.append(given)
        if len(count) == 4:
            raise KeyboardInterrupt
        return result(*given)

    monkeypatch.setattr(distributed.Spread, "_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sim.add(tmp_path / "kept", client=client, **MMS)
    kept = sim.open_archive(tmp_path / "kept")
    assert len(kept) == 67 * 3 and [one.what for one in kept.versions()] == ["create", *["append"] * 2]
    monkeypatch.setattr(distributed.Spread, "_result", result)
    added = sim.add(kept, client=client, **MMS)
    assert (added.added, added.skipped) == (800 - 67 * 3, 67 * 3)
    assert rows_of(tmp_path / "kept") == rows_of(mms / "serial")


def test_mixing_is_refused_before_work_is_spread(client, mms, tmp_path, monkeypatch):
    sim.add(tmp_path / "kept", client=client, **{**MMS, "probe": "1"})
    monkeypatch.setattr(client, "submit", lambda *_, **__: pytest.fail("work was spread"))
    with pytest.raises(MixingError, match="encoder"):
        sim.add(tmp_path / "kept", encoder="hog", client=client, **MMS)
    tplot_tools.store_data("sky", data={"x": START + np.arange(9), "y": np.random.default_rng(0).random((9, 32, 32))})
    with pytest.raises(MixingError, match="kind"):
        sim.add(tmp_path / "kept", "sky", encoder="pixels", client=client)
    with pytest.raises(ArchiveError, match="open at version 1"):
        sim.add(sim.open_archive(tmp_path / "kept").at(1), client=client, **MMS)
    assert len(sim.open_archive(tmp_path / "kept")) == 400


def test_a_worker_with_another_version_is_refused(client, mms, tmp_path, monkeypatch):
    made = distributed.Spread.__init__

    def other(self, *arguments):
        made(self, *arguments)
        self.job = dataclasses.replace(self.job, encoder="0" * 16)

    monkeypatch.setattr(distributed.Spread, "__init__", other)
    with pytest.raises(MixingError, match="same version"):
        sim.add(tmp_path / "kept", client=client, **MMS)
    assert not sim.open_archive(tmp_path / "kept").begun


def test_clients_that_cannot_be_used(client, mms, tmp_path, monkeypatch):
    for wrong in ("tcp://127.0.0.1:8786", client.cluster, 2):
        with pytest.raises(ArgumentError, match="dask.distributed.Client"):
            sim.add(tmp_path / "kept", client=wrong, **MMS)
    closed = Client(client.cluster)
    closed.close()
    with pytest.raises(ArgumentError, match="closed"):
        sim.add(tmp_path / "kept", client=closed, **MMS)
    with LocalCluster(n_workers=0, **QUIET) as empty, Client(empty) as lonely:
        with pytest.raises(ArgumentError, match="no workers"):
            sim.add(tmp_path / "kept", client=lonely, **MMS)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ArgumentError, match=r"pyspedas-similarity\[scale\]"):
        sim.add(tmp_path / "kept", client=client, **MMS)
    assert not (tmp_path / "kept").exists()


def test_a_cluster_that_loses_its_last_worker_is_not_waited_for_for_ever(mms, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "_LOOK_S", 0.2)
    monkeypatch.setattr(distributed, "_PATIENCE_S", 1.0)
    with LocalCluster(n_workers=1, **QUIET) as cluster, Client(cluster) as client:
        submit = distributed.Spread._submit

        def last_one_goes(self, *arguments):
            future = submit(self, *arguments)
            if self._submitted == 2:  # the encoder was the first
                cluster.scale(0)
                while client.nthreads():
                    time.sleep(0.05)
            return future

        monkeypatch.setattr(distributed.Spread, "_submit", last_one_goes)
        with pytest.raises(WorkerError, match="no worker for 1 s"):
            sim.add(tmp_path / "kept", client=client, **MMS)
    assert len(sim.open_archive(tmp_path / "kept")) == 0


def test_from_a_shell(client, tmp_path, capsys):
    data = ["--instrument", "simulated_dis", "--trange", "2020-01-01/00:00", "2020-01-01/00:01"]
    address = client.scheduler.address
    assert cli.main(["archive", "add", str(tmp_path / "kept"), *data, "--scheduler", address]) == cli.FOUND
    assert capsys.readouterr().out == "version 2: 400 added, 0 there already, 0 left out\n"
    assert cli.main(["archive", "add", str(tmp_path / "kept"), *data]) == cli.FOUND
    assert capsys.readouterr().out == "version 2: 0 added, 400 there already, 0 left out\n"
    with pytest.raises(SystemExit):
        cli.main(["archive", "add", str(tmp_path / "kept"), *data, "--workers", "0"])
