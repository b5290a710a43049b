"""Simulated nights of THEMIS-like all-sky cameras at several stations under the same aurora.

Aurora lies on shells about 110 km high; each pixel of each camera sees the sum of the shells where its line of sight
meets them. Clouds, Moon and twilight are separate at each station. For the orientation of frames see `sky`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..imaging.camera_geometry import STATIONS, View
from ..imaging.keogram import keogram
from ..tplot import Variable, write
from .sky import Camera
from .stations import NightOptions, SharedSky, Station
from .timeline import sample_times, start_and_duration

# Position of the camera of `simulate_night`, which is not a real station.
_SINGLE_CAMERA = {"simulated": (65.0, -105.0)}
_TURNED = {"first_row": "north", "first_column": "west"}
CLEAR = NightOptions(("quiet", "arc", "patches", "streamer"), conditions=("clear",), cameras="plain")


@dataclass(frozen=True, eq=False)
class SimulatedNight:
    """Frames of one station, with the truth.

    Attributes
    ----------
    times : numpy.ndarray of datetime64[ns], shape (n,)
    frames : numpy.ndarray of uint16, shape (n, size, size)
        Raw counts.
    kind : numpy.ndarray of str, shape (n,)
        Kind of aurora; the same at all stations.
    condition : numpy.ndarray of str, shape (n,)
        clear, cloud, moon, twilight, dropped, duplicate or saturated.
    latitude, longitude : numpy.ndarray, shape (n,)
        Center of the structure, weighted by the square of its emission within 350 km east, west, north and south of
        its nominal position; NaN where quiet.
    visible : numpy.ndarray, shape (n,)
        Fraction of the light of the structure, within those 350 km, that is above 20 degrees elevation at this station,
        regardless of the weather; 0 where quiet.
    view : View
        The true skymap.
    camera : Camera
    site : str
    seed : int
    """

    times: np.ndarray
    frames: np.ndarray
    kind: np.ndarray
    condition: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    visible: np.ndarray
    view: View
    camera: Camera
    site: str
    seed: int


def simulate_nights(
    start: np.datetime64,
    duration_s: float = 1800.0,
    seed: int = 0,
    sites: Sequence[str] | Mapping[str, tuple[float, float]] = ("fsmi", "fsim"),
    cadence_s: float = 3.0,
    size: int = 256,
    options: NightOptions | None = None,
) -> dict[str, SimulatedNight]:
    """Simulate one night for several cameras.

    Parameters
    ----------
    start : numpy.datetime64
        The same seed at another start is the same night at another time.
    duration_s : float
    seed : int
        Seed. For the same seed and sites, a shorter night is the beginning of a longer one.
    sites : sequence of str, or mapping of str to (latitude, longitude)
        Codes of THEMIS stations, or other positions. Aurora is placed between them, so they should be close together.
    cadence_s : float
    size : int
        Pixels along each side, at least 16.
    options : NightOptions, optional

    Returns
    -------
    dict of str to SimulatedNight
        Nights by site. The memory is 2 bytes per pixel plus some tens of MB.

    Raises
    ------
    ArgumentError
        If an argument is invalid.
    """
    if size < 16:
        raise ArgumentError("size", f"found {size!r}", "Give at least 16 pixels.")
    if not (np.isfinite(cadence_s) and cadence_s >= 1e-3):
        raise ArgumentError("cadence_s", f"found {cadence_s!r}", "Give seconds, at least 0.001.")
    options = options or NightOptions()
    places = sites if isinstance(sites, Mapping) else station_places(sites)
    times = sample_times(start, duration_s, np.timedelta64(round(cadence_s * 1e9), "ns"))
    if not places:
        raise ArgumentError("sites", "found none", "Give at least one station.")
    sky = SharedSky.draw(times, duration_s, seed, places, options)
    stations = [Station.draw(name, place, size, sky, options) for name, place in places.items()]
    frames = [np.empty((times.size, size, size), np.uint16) for _ in stations]
    for i in range(times.size):
        for station, made in zip(stations, frames, strict=True):
            made[i] = made[i - 1] if station.weather.condition[i] == "duplicate" else station.frame(i, sky)
    latitude, longitude, shares = sky.truth([station.place for station in stations])
    return {
        station.site: SimulatedNight(
            times,
            made,
            sky.kind,
            station.weather.condition,
            latitude,
            longitude,
            visible,
            station.camera.view(*station.place),
            station.camera,
            station.site,
            seed,
        )
        for station, made, visible in zip(stations, frames, shares, strict=True)
    }


def simulate_night(start: np.datetime64, duration_s: float = 1800.0, seed: int = 0, size: int = 256) -> SimulatedNight:
    """Simulate one plain camera under a clear sky at 3 s, with 'quiet', 'arc', 'patches' and 'streamer'.

    Parameters and errors are those of `simulate_nights`; 1800 s hold at least two separate episodes of each kind.
    """
    return simulate_nights(start, duration_s, seed, _SINGLE_CAMERA, size=size, options=CLEAR)["simulated"]


def station_places(sites: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return latitude and longitude of THEMIS stations by code; raise ArgumentError for an unknown one."""
    names = [sites] if isinstance(sites, str) else list(sites)
    unknown = [name for name in names if name not in STATIONS]
    if unknown or not names:
        raise ArgumentError("sites", f"found {unknown or names!r}", f"Use {', '.join(STATIONS)}.")
    return {name: STATIONS[name] for name in names}


def load(trange: object, probe: str | Sequence[str] = "simulated", suffix: str = "", seed: int = 0) -> list[str]:
    """Simulate all-sky cameras and store their frames as tplot variables.

    Parameters
    ----------
    trange : pair of times
        The night begins at the first. The same seed at another start is the same night at another time.
    probe : str or sequence of str
        'simulated': one plain camera under a clear sky, with a keogram. Codes of THEMIS stations: cameras at these
        places under one simulated sky, each with its own weather; they do not reproduce real frames.
    suffix : str
        Appended to every name.
    seed : int

    Returns
    -------
    list of str
        ``simulated_asf`` (time, row from the north, column from the west) and ``simulated_keogram``; or
        ``simulated_asf_<site>`` of each station with its `View` as attribute ``skymap``.

    Raises
    ------
    SimilarityError
        If the time range, station or seed is invalid.
    """
    start, duration_s = start_and_duration(trange)
    if probe == "simulated":
        return _store_single(simulate_night(start, duration_s, seed), suffix)
    nights = simulate_nights(start, duration_s, seed, station_places(probe))
    return [_store_station(night, suffix) for night in nights.values()]


def _store_single(night: SimulatedNight, suffix: str) -> list[str]:
    about = {"units": "counts", **_TURNED}
    attributes = {"data_att": about, "simulated": {"seed": night.seed, "kind": night.kind.tolist()}}
    line = keogram(night.frames, night.view)
    rows = Variable(f"simulated_keogram{suffix}", night.times, line.values, {"v": line.axis}, attributes)
    spectrogram = {"ytitle": "simulated ASF keogram", "ysubtitle": "[deg north of zenith]"}
    spectrogram |= {"ztitle": "[counts]", "spec": True}
    return [_write_frames(f"simulated_asf{suffix}", night, attributes), write(rows, spectrogram)]


def _store_station(night: SimulatedNight, suffix: str) -> str:
    truth = {name: getattr(night, name).tolist() for name in ("kind", "condition", "latitude", "longitude", "visible")}
    place = {"latitude": night.view.latitude, "longitude": night.view.longitude}
    attributes = {
        "data_att": {"units": "counts", "site": night.site, **place, **_TURNED},
        "skymap": night.view,
        "simulated": {"seed": night.seed, **truth},
    }
    return _write_frames(f"simulated_asf_{night.site}{suffix}", night, attributes)


def _write_frames(name: str, night: SimulatedNight, attributes: dict[str, object]) -> str:
    pixels = np.arange(night.camera.size)
    frames = Variable(name, night.times, night.frames, {"v1": pixels, "v2": pixels}, attributes)
    return write(frames, {"ytitle": "simulated ASF"})
