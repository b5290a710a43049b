"""Files of simulated events, read by pyspedas as it reads the archive's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyspedas_similarity.simulate import fpi
from tests import fpi_files

TRANGE = ["2020-01-01/12:00:00", "2020-01-01/12:00:30"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from pyspedas.projects.mms.config import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("species", "sensor", "probe"), [("electron", "des", "3"), ("ion", "dis", "1")])
def test_pyspedas_reads_what_was_simulated(tree: Path, species: str, sensor: str, probe: str):
    import pyspedas
    from pyspedas.projects import mms

    event = fpi.simulate_event(4, species, duration_s=3.0, probe=probe)
    paths = fpi_files.write_tree(tree, event, segments=3)
    assert [str(path.relative_to(tree)) for path in paths[3:6]] == [
        f"mms{probe}/fpi/brst/l2/{sensor}-{kind}/2020/01/01/mms{probe}_fpi_brst_l2_{sensor}-{kind}_20200101120001_v3.4.0.cdf"
        for kind in ("dist", "moms")
    ] + [f"mms{probe}/fgm/brst/l2/2020/01/01/mms{probe}_fgm_brst_l2_20200101120000_v5.270.0.cdf"]
    datatype = [f"{sensor}-dist", f"{sensor}-moms"]
    keywords = dict(trange=TRANGE, probe=probe, data_rate="brst", no_update=True, time_clip=False)
    mms.fpi(datatype=datatype, **keywords)
    mms.fgm(**keywords)
    base, dist = f"mms{probe}_{sensor}", pyspedas.get_data(f"mms{probe}_{sensor}_dist_brst", dt=True)
    np.testing.assert_array_equal(dist.times.astype("datetime64[ns]"), event.times)
    for found, wanted in zip(dist[1:], (event.distribution, event.azimuth, event.polar, event.energy_ev), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
    expected = {
        f"{base}_disterr_brst": event.error,
        f"{base}_steptable_parity_brst": event.parity,
        f"{base}_startdelphi_count_brst": event.startdelphi_count,
        f"{base}_errorflags_brst_dist": event.error_flags,
        f"{base}_numberdensity_brst": event.density.astype(np.float32),
        f"{base}_bulkv_dbcs_brst": event.velocity.astype(np.float32),
        f"{base}_bulkv_gse_brst": event.velocity.astype(np.float32),
        f"{base}_temptensor_dbcs_brst": event.temperature.astype(np.float32),
        f"{base}_temppara_brst": event.temperature_parallel.astype(np.float32),
        f"{base}_tempperp_brst": event.temperature_perpendicular.astype(np.float32),
        f"{base}_energyspectr_omni_brst": event.omni,
    }
    for name, wanted in expected.items():
        np.testing.assert_array_equal(pyspedas.get_data(name).y, wanted, err_msg=name)
    field = pyspedas.get_data(f"mms{probe}_fgm_b_dmpa_brst_l2", dt=True)
    # Field files of neighboring segments overlap by their margins: samples come once or twice.
    times, first = np.unique(field.times.astype("datetime64[ns]"), return_index=True)
    np.testing.assert_array_equal(times, event.field_times)
    np.testing.assert_array_equal(field.y[first], event.field)


def test_every_file_says_that_it_is_simulated(tree: Path):
    import cdflib

    for path in fpi_files.write_tree(tree, fpi.simulate_event(4, duration_s=0.9)):
        attributes = cdflib.CDF(path).globalattsget()
        assert attributes["Generated_by"] == ["SIMULATED"] and attributes["Logical_file_id"] == [path.stem]
        assert attributes["TEXT"][0].startswith("SIMULATED") and "SIMULATED" in attributes["Source_name"][0]


def test_fast_files_lie_by_month_with_the_survey_field_beside_them(tree: Path):
    import pyspedas
    from pyspedas.projects import mms

    event = fpi.simulate_event(4, duration_s=20.0, instrument=fpi.DES_FAST)
    paths = fpi_files.write_tree(tree, event)
    assert paths[0].relative_to(tree).parts[:-1] == ("mms1", "fpi", "fast", "l2", "des-dist", "2020", "01")
    assert paths[2].name == "mms1_fgm_srvy_l2_20200101_v5.270.0.cdf"
    mms.fpi(trange=TRANGE, probe=1, data_rate="fast", datatype="des-dist", no_update=True)
    np.testing.assert_array_equal(pyspedas.get_data("mms1_des_dist_fast").y, event.distribution)
