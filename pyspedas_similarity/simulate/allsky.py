r"""A simulated night of a THEMIS-like all-sky camera: aurora in sky coordinates, then the camera that looks at it.

Orientation of every frame, as seen on a map, row 0 first::

              north
            .--------.
          /            \
    west |   zenith +   | east
          \            /
            '--------'
              south

Aurora lies in a flat layer at `LAYER_KM`, where x is km to the east and y km to the north of the zenith.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..times import to_interval
from ..tplot import Variable, write
from .aurora import DRAW, Aurora
from .timeline import draw_episodes, kind_at, presence, random_streams, sample_times, seconds_since_first

LAYER_KM = 110.0
CADENCE = np.timedelta64(3, "s")
# Shortest and longest episode in seconds. At their longest, two rounds of the four kinds still fit into 1800 s.
LENGTH_S = {"quiet": (80, 180), "arc": (120, 240), "patches": (120, 240), "streamer": (90, 210)}
RAMP_S = 8.0


@dataclass(frozen=True)
class Camera:
    """A fisheye camera: zenith angle grows evenly from the centre to `edge_deg` at the rim.

    Dark level, read noise and counts per electron are those of a raw THEMIS file (Gakona, 2011-01-06): 2300, 20 and
    about 1.8, the last from the variance between frames above the read noise. `counts_per_kr` is chosen.
    """

    size: int = 256
    radius: float = 0.47
    edge_deg: float = 85.0
    dark_counts: float = 2300.0
    read_noise: float = 20.0
    counts_per_electron: float = 1.8
    counts_per_kr: float = 400.0
    vignetting: float = 0.35

    def zenith_angle(self) -> np.ndarray:
        """Zenith angle in degrees of every pixel, above `edge_deg` outside the disc, shape (size, size)."""
        return np.hypot(*self._offsets()) * self.edge_deg

    def ground_position(self) -> tuple[np.ndarray, np.ndarray]:
        """East and north distance in km at which each pixel meets the layer, each (size, size) float32."""
        east, north = self._offsets()
        distance = LAYER_KM * np.tan(np.radians(np.minimum(self.zenith_angle(), self.edge_deg)))
        scale = distance / np.maximum(np.hypot(east, north), 1e-9)
        return (east * scale).astype(np.float32), (north * scale).astype(np.float32)

    def transmission(self) -> np.ndarray:
        """Share of the light that arrives: vignetting inside, a horizon one pixel soft, nothing outside."""
        r = np.hypot(*self._offsets())
        return (1 - self.vignetting * r**2) / (1 + np.exp(np.minimum((r - 1) * self.radius * self.size / 0.5, 50)))

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """East and north from the centre in disc radii, each (size, size)."""
        along = (np.arange(self.size) - (self.size - 1) / 2) / (self.radius * self.size)
        return np.meshgrid(along, -along)


@dataclass(frozen=True)
class SimulatedNight:
    """``times`` (n,) datetime64[ns], ``frames`` (n, size, size) uint16 raw counts, ``kind`` (n,) str: the truth."""

    times: np.ndarray
    frames: np.ndarray
    kind: np.ndarray
    camera: Camera
    seed: int


def simulate_night(start: np.datetime64, duration_s: float = 1800.0, seed: int = 0, size: int = 256) -> SimulatedNight:
    """Simulate clear-sky frames at 3 s with episodes 'quiet', 'arc', 'patches' and 'streamer'.

    Parameters
    ----------
    start : numpy.datetime64
    duration_s : float
        1800 s hold at least two separate episodes of each kind.
    seed : int
        Of one seed, a shorter night is the beginning of a longer one.
    size : int
        Pixels along each side, at least 16.

    Returns
    -------
    SimulatedNight

    Raises
    ------
    ArgumentError
        If `duration_s`, `seed` or `size` is not usable.
    """
    if size < 16:
        raise ArgumentError("size", f"found {size!r}", "Give at least 16 pixels.")
    course, draws, sky, counting = random_streams(seed, 4)
    camera = Camera(size=size)
    times = sample_times(start, duration_s, CADENCE)
    times_s = seconds_since_first(times)
    episodes = draw_episodes(_rounds(course), LENGTH_S, duration_s, course)
    share = presence(episodes, times_s, RAMP_S)
    aurora = [DRAW[episode.kind](draws) for episode in episodes]
    since = times_s - np.array([[episode.start_s] for episode in episodes])
    background = night_sky(camera, sky)
    frames = np.empty((times.size, size, size), np.uint16)
    position, seen = camera.ground_position(), camera.transmission()
    for i in range(times.size):
        light = (background + _emission(aurora, share[:, i], since[:, i], position)) * seen
        frames[i] = expose(light, camera, counting)
    return SimulatedNight(times, frames, kind_at(episodes, share), camera, seed)


def _rounds(rng: np.random.Generator) -> Iterator[str]:
    """All kinds in a drawn order, again and again, never one kind twice in a row."""
    last = ""
    while True:
        order = [str(kind) for kind in rng.permutation(list(LENGTH_S))]
        if order[0] == last:
            order = order[::-1]
        yield from order
        last = order[-1]


def _emission(
    aurora: list[Aurora], share: np.ndarray, since_s: np.ndarray, position: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Sum in kR of the aurora that is there, each by its share and at its own time since it began."""
    present = np.flatnonzero(share > 1e-3)
    return np.sum([np.float32(share[k]) * aurora[k].emission(*position, since_s[k]) for k in present], axis=0)


def night_sky(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Airglow and fixed stars in kR, shape (size, size) float32.

    Airglow brightens towards the horizon as a thin layer seen at a slant (van Rhijn 1921), more on one side, which
    is drawn. Star counts follow a power law of brightness.
    """
    zenith = np.radians(np.minimum(camera.zenith_angle(), camera.edge_deg))
    slant = 1 / np.sqrt(1 - (6371.0 / (6371.0 + 95.0) * np.sin(zenith)) ** 2)
    east, north = camera.ground_position()
    towards, distance = rng.uniform(0, 2 * np.pi), np.hypot(east, north) + 200.0
    glow = 1.4 * slant**0.5 * (1 + 0.3 * (east * np.cos(towards) + north * np.sin(towards)) / distance)
    stars = np.zeros_like(glow)
    rows, columns = np.mgrid[: camera.size, : camera.size]
    for _ in range(150):
        row, column = rng.uniform(0, camera.size, 2)
        brightness = min(0.6 * (1 - rng.random()) ** -0.8, 25.0)
        near = np.s_[max(int(row) - 3, 0) : int(row) + 4, max(int(column) - 3, 0) : int(column) + 4]
        stars[near] += brightness * np.exp(-((rows[near] - row) ** 2 + (columns[near] - column) ** 2) / (2 * 0.6**2))
    return (glow + stars).astype(np.float32)


def expose(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Raw counts (uint16) of a frame of `light` in kR: shot noise of the electrons, read noise, dark level."""
    electrons = rng.poisson(light * (camera.counts_per_kr / camera.counts_per_electron))
    noise = camera.read_noise * rng.standard_normal(light.shape, np.float32)
    counts = camera.dark_counts + camera.counts_per_electron * electrons + noise
    return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def keogram(frames: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the five central columns of each frame, inside the disc.

    Returns
    -------
    values : numpy.ndarray of float32, shape (n, k)
        Counts, from south to north.
    zenith_angle : numpy.ndarray, shape (k,)
        Degrees, positive to the north, ascending.
    """
    middle = camera.size // 2
    angle = camera._offsets()[1][:, middle] * camera.edge_deg
    rows = np.flatnonzero(np.abs(angle) < camera.edge_deg)[::-1]
    return frames[:, rows, middle - 2 : middle + 3].mean(axis=2, dtype=np.float32), angle[rows]


def load(trange: object, probe: str = "simulated", suffix: str = "", seed: int = 0) -> list[str]:
    """Simulate an all-sky camera and store its frames and keogram as tplot variables.

    Parameters
    ----------
    trange : pair of times
        The night begins at the first: the same seed at another start is the same night at another time.
    probe : str
        The station; 'simulated': no camera of a real site is imitated.
    suffix : str
        Put after every name.
    seed : int

    Returns
    -------
    list of str
        Frames (time, row from the north, column from the west), then the keogram.

    Raises
    ------
    SimilarityError
        If the range, station or seed cannot be used.
    """
    if probe != "simulated":
        raise ArgumentError("probe", f"found {probe!r}", "Use 'simulated': real stations are not imitated.")
    start, end = to_interval(trange)
    return _store(simulate_night(start, float((end - start) / np.timedelta64(1, "s")), seed), suffix)


def _store(night: SimulatedNight, suffix: str) -> list[str]:
    attributes = {"data_att": {"units": "counts"}, "simulated": {"seed": night.seed, "kind": night.kind.tolist()}}
    pixels = np.arange(night.camera.size)
    values, angle = keogram(night.frames, night.camera)
    frames = Variable(f"simulated_asf{suffix}", night.times, night.frames, {"v1": pixels, "v2": pixels}, attributes)
    rows = Variable(f"simulated_keogram{suffix}", night.times, values, {"v": angle}, attributes)
    spectrogram = {
        "ytitle": "simulated ASF keogram",
        "ysubtitle": "[deg north of zenith]",
        "ztitle": "[counts]",
        "spec": True,
    }
    return [write(frames, {"ytitle": "simulated ASF"}), write(rows, spectrogram)]
