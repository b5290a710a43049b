"""Speed of planes of distributions compared with slices of pyspedas, and time and memory of a burst segment.

    python -m benchmarks.bench_distributions [--real FOLDER]

FOLDER holds mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf. Planes are cuts at 64 pixels, as those of
``slice2d`` (geometric, one sample at a time, with its input prepared before). Both are timed alternately, in one run;
the best of several times counts. Electrons are simulated.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.timing import fastest, resident_kb
from pyspedas_similarity import tplot
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import Distributions, at_times, distributions
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments import sample_images
from pyspedas_similarity.instruments.companions import find_companions, with_companions
from pyspedas_similarity.simulate.fpi import simulate_event, store

PLANES = ("perp1-perp2", "par-perp1", "par-perp2")
ROTATIONS = ("perp", "bv", "be")
ELECTRONS = DistributionRecipe(
    "electron", PLANES, 64, speed_max=15000.0, depth=0, floor=1e-30, ceiling=1e-25, least_counts=0.0
)
IONS = DistributionRecipe("ion", PLANES, 64, depth=0)
FILE = "mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
REPEATS, SLICES, SEGMENT = 5, 4, 4000
# The real file has no magnetic field; any field serves to rotate the planes.
FIELD, VELOCITY = np.array([3.0, -4.0, 2.0]), np.array([-250.0, 60.0, 0.0])


def electrons(duration_s: float) -> tuple[str, Distributions]:
    """Return simulated electrons, as name of a tplot variable and as distributions."""
    event = simulate_event(3, duration_s=duration_s)
    field = at_times(event.field[:, :3], event.field_times, event.times, np.timedelta64(1, "s"))
    tables = (event.azimuth, event.polar, event.energy_ev)
    measured = distributions(event.distribution, *tables, "electron", field=field, velocity=event.velocity)
    return store(event)[0], measured


def ions(folder: Path) -> tuple[str, Distributions]:
    """Return the real ions, loaded by pyspedas."""
    import pyspedas
    from pyspedas.projects.mms.config import CONFIG

    with tempfile.TemporaryDirectory() as tree:
        day = Path(tree, "mms1/fpi/brst/l2/dis-dist/2020/11/19")
        day.mkdir(parents=True)
        shutil.copy(folder / "mms" / FILE, day)
        CONFIG["local_data_dir"] = tree
        trange = ["2020-11-19/23:34:33", "2020-11-19/23:36:34"]
        pyspedas.projects.mms.fpi(trange=trange, probe=1, data_rate="brst", datatype="dis-dist", no_update=True)
    variable = tplot.read("mms1_dis_dist_brst")
    n = len(variable.times)
    vectors = {"field": np.tile(FIELD, (n, 1)), "velocity": np.tile(VELOCITY, (n, 1))}
    tables = (variable.coordinates[key] for key in ("v1", "v2", "v3"))
    return variable.name, distributions(variable.values, *tables, "ion", **vectors)


def slice_time(name: str, measured: Distributions) -> float:
    """Return the mean time in seconds of ``slice2d`` for one plane of one sample, over samples and rotations."""
    from pyspedas.particles.spd_slice2d.slice2d import slice2d
    from pyspedas.projects.mms.fpi_tools.mms_get_fpi_dist import mms_get_fpi_dist

    logging.disable(logging.INFO)
    times, total = tplot.read(name).times, []
    for index in np.linspace(0, len(times) - 1, SLICES + 2).astype(int)[1:-1]:
        dists = mms_get_fpi_dist(name, index=index, probe="1", data_rate="brst", species=measured.species[0])
        vectors = {"mag_data": measured.field[index].astype(float), "vel_data": measured.velocity[index].astype(float)}
        for rotation in ROTATIONS:
            options = {"time": str(times[index]), "samples": 1, "resolution": 64, "rotation": rotation} | vectors
            total.append(fastest(lambda d=dists, o=options: slice2d(d, interpolation="geometric", **o), 2))
    return float(np.mean(total))


def compare(title: str, name: str, measured: Distributions, recipe: DistributionRecipe, target: float) -> None:
    """Print two lines of the table."""
    reference = slice_time(name, measured)
    for planes in (PLANES[1:2], PLANES):
        cut = replace(recipe, planes=planes, blur=0.0)  # slice2d does not smooth
        ours = fastest(lambda r=cut: distribution_images(measured, r), REPEATS) / len(measured)
        each = ours / len(planes)
        line = f"{title:20} {len(planes):6d} {reference * 1e3:10.1f} {each * 1e3:10.3f} {reference / each:8.0f}"
        print(f"{line} {target:8.0f}", flush=True)


def segment(path: str) -> dict[str, float]:
    """Return wall time and peak memory above the input of one burst segment, in this process."""
    name, _ = electrons(3.0)
    loaded = tplot.read(name)
    rows = np.arange(SEGMENT) % len(loaded.times)
    step = np.timedelta64(30, "ms")
    companions = find_companions(loaded, {})
    prepared = sample_images.select(with_companions(loaded, companions, ELECTRONS), rows)
    prepared = replace(prepared, times=loaded.times[0] + np.arange(SEGMENT) * step)
    coordinates = prepared.coordinates
    tables = (coordinates[key] for key in ("v1", "v2", "v3"))
    vectors = {key: coordinates[key] for key in ("field", "velocity")}
    measured = distributions(prepared.values, *tables, "electron", **vectors)
    list(sample_images.images(sample_images.select(prepared, np.arange(8)), ELECTRONS))  # do not time imports
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = resident_kb("VmRSS")
    start = time.perf_counter()
    if path == "direct":
        distribution_images(measured, ELECTRONS)
    else:
        for _ in sample_images.images(prepared, ELECTRONS):
            pass
    took = time.perf_counter() - start
    return {"s": took, "GB": (resident_kb("VmHWM") - before) / 1e6}


def segment_apart(path: str) -> dict[str, float]:
    """Return the fastest result of three separate processes."""
    command = [sys.executable, "-m", "benchmarks.bench_distributions", "--segment", path]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    return min(runs, key=lambda run: run["s"])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of real data, for the ions")
    parser.add_argument("--segment", choices=("direct", "blocks"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.segment:
        print(json.dumps(segment(given.segment)))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; milliseconds for one plane of one sample, 64 pixels")
    print(f"{'':20} {'planes':>6} {'slice2d':>10} {'ours':>10} {'ratio':>8} {'target':>8}")
    compare("simulated electrons", *electrons(6.0), ELECTRONS, 500)
    if given.real:
        compare("real ions", *ions(given.real), IONS, 10)
    print(f"\n{SEGMENT} simulated electron distributions, {len(PLANES)} planes; target 6 s and 1.0 GB")
    print(f"{'':20} {'s':>6} {'GB above the input':>20}")
    for path, title in (("direct", "distribution_images"), ("blocks", "blocks of a variable")):
        found = segment_apart(path)
        print(f"{title:20} {found['s']:6.1f} {found['GB']:20.2f}", flush=True)


if __name__ == "__main__":
    main()
