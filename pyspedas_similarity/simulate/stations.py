"""Simulated nights at stations: shared aurora, stars and Moon; camera and weather of each station."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import ArgumentError
from ..imaging.camera_geometry import direction_of, emission_position, from_offsets
from .aurora import DRAW, Aurora
from .sky import CLOUD_KM, LAYER_KM, Camera, Cloud, Moon, Stars, Twilight, airglow, direction_vector, expose, to_km
from .timeline import Episode, draw_episodes, kind_at, presence, random_streams, seconds_since_first

# Shortest and longest episode in seconds. With the longest, two rounds of the first four kinds fit into 1800 s.
LENGTH_S = {
    "quiet": (80, 180),
    "arc": (120, 240),
    "patches": (120, 240),
    "streamer": (90, 210),
    "folded_arc": (120, 240),
    "spiral": (90, 210),
    "breakup": (120, 240),
    "omega": (150, 270),
    "glow": (90, 210),
}
CONDITION_S = {"clear": (300, 900), "cloud": (180, 450), "moon": (200, 500), "twilight": (150, 300)}
RAMP_S = 8.0
Place = tuple[float, float]  # latitude and longitude
# Seed of stars and cameras, the same for all nights; otherwise they would identify the night.
_STARS = 20150326
# Minimum elevation at which a position is visible from a station.
VISIBLE_DEG = 20.0
# Grid for the true position and light: finer than the full width of the narrowest shape.
_GRID_KM, _GRID_REACH_KM = 12.0, 350.0


@dataclass(frozen=True)
class NightOptions:
    """Options of a simulated night.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of aurora, names of `LENGTH_S`, repeated in random order. A name given twice is twice as frequent.
    conditions : tuple of str
        Conditions of the sky above a station: names of `CONDITION_S`.
    heights_km, height_weights : tuple of float
        Heights of the shells of emission, and the share of light of each.
    cameras : {'drawn', 'plain'}
        'drawn': rotated, off center and among trees; 'plain': the defaults of `Camera`.
    dropped, duplicate, saturated : float
        Share of frames that are all zero, that repeat the previous one, or that are overexposed.
    """

    kinds: tuple[str, ...] = tuple(LENGTH_S)
    conditions: tuple[str, ...] = ("clear", "cloud", "clear", "moon", "clear", "twilight")
    heights_km: tuple[float, ...] = (104.0, 110.0, 117.0)
    height_weights: tuple[float, ...] = (0.3, 0.45, 0.25)
    cameras: str = "drawn"
    dropped: float = 0.0
    duplicate: float = 0.0
    saturated: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("kinds", LENGTH_S), ("conditions", CONDITION_S)):
            given = getattr(self, name)
            if isinstance(given, str) or not given or not set(given) <= set(known):
                raise ArgumentError(name, f"found {given!r}", f"Use {', '.join(known)}.")
        if self.cameras not in ("drawn", "plain"):
            raise ArgumentError("cameras", f"found {self.cameras!r}", "Give 'drawn' or 'plain'.")
        if not self.heights_km or len(self.heights_km) != len(self.height_weights) or min(self.heights_km) <= 0:
            found = f"found {self.heights_km!r} and {self.height_weights!r}"
            raise ArgumentError("heights_km, height_weights", found, "Give one weight for each positive height.")
        rates = [getattr(self, field.name) for field in fields(self)[-3:]]
        if not all(0 <= rate <= 1 for rate in rates):
            raise ArgumentError("dropped, duplicate, saturated", f"found {rates}", "Give shares from 0 to 1.")


@dataclass(frozen=True, eq=False)
class SharedSky:
    """Shared state of all stations: times, timeline and positions of aurora, stars and Moon.

    ``share`` and ``since_s`` (seconds from the start) of episodes (episodes, n); ``center_km`` (episodes, 2) from
    `reference`.
    """

    times_s: np.ndarray
    duration_s: float
    seed: int
    reference: Place
    aurora: list[Aurora]
    center_km: np.ndarray
    share: np.ndarray
    since_s: np.ndarray
    kind: np.ndarray
    stars: Stars
    moon: Moon

    @classmethod
    def draw(
        cls, times: np.ndarray, duration_s: float, seed: int, places: Mapping[str, Place], options: NightOptions
    ) -> SharedSky:
        """Draw the timeline, shapes with their positions, stars and Moon."""
        course, draws, sky, positions = random_streams(seed, 4)
        times_s = seconds_since_first(times)
        episodes = draw_episodes(shuffled_rounds(options.kinds, course), LENGTH_S, duration_s, course)
        share = presence(episodes, times_s, RAMP_S)
        reference = _middle(list(places.values()))
        stations = np.stack(to_km(*np.array(list(places.values())).T, reference), axis=-1)
        # Positions between the stations, with lower probability close to a station.
        weights = positions.dirichlet(np.full(len(stations), 4.0), len(episodes))
        return cls(
            times_s=times_s,
            duration_s=duration_s,
            seed=seed,
            reference=reference,
            aurora=[DRAW[episode.kind](draws) for episode in episodes],
            center_km=weights @ stations,
            share=share,
            since_s=_since(episodes, times_s),
            kind=kind_at(episodes, share),
            stars=Stars.draw(np.random.default_rng(_STARS)),
            moon=Moon.draw(sky, reference[1]),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, i: int) -> np.ndarray:
        """Return the sum in kR of all aurora at sample `i`, weighted by share."""
        total = np.zeros_like(x_km)
        for k in np.flatnonzero(self.share[:, i] > 1e-3):
            x, y = (values - np.float32(center) for values, center in zip((x_km, y_km), self.center_km[k], strict=True))
            total += np.float32(self.share[k, i]) * self.aurora[k].emission(x, y, float(self.since_s[k, i]))
        return total

    def truth(self, places: list[Place]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return latitude and longitude of the strongest structure (n,), and its visible share of light (places, n)."""
        along = np.arange(-_GRID_REACH_KM, _GRID_REACH_KM + 1, _GRID_KM, np.float32)
        x, y = (values.ravel() for values in np.meshgrid(along, along))
        found = np.full((2, self.times_s.size), np.nan)
        visible = np.zeros((len(places), self.times_s.size))
        for k in np.unique(self.share.argmax(axis=0)):
            ground = from_offsets(x + self.center_km[k, 0], y + self.center_km[k, 1], self.reference)
            seen = np.array([direction_of(*ground, LAYER_KM, place)[1] >= VISIBLE_DEG for place in places])
            for i in np.flatnonzero(self.share.argmax(axis=0) == k):
                light = self.aurora[k].emission(x, y, float(self.since_s[k, i]))
                if light.max() > 0:
                    found[:, i] = self.center_km[k] + np.array([light**2 @ x, light**2 @ y]) / (light**2).sum()
                    visible[:, i] = seen @ light / light.sum()
        return *from_offsets(*found, self.reference), visible


_WEATHER = {"clear": lambda rng: None, "moon": lambda rng: None, "cloud": Cloud.draw, "twilight": Twilight.draw}


@dataclass(frozen=True, eq=False)
class Weather:
    """Conditions of the sky above one station over time, including camera faults (n,).

    ``moonlight`` is the share of the Moon's light (n,); ``layers`` are cloud or twilight of each episode, or None.
    """

    condition: np.ndarray
    moonlight: np.ndarray
    share: np.ndarray
    since_s: np.ndarray
    layers: list[Cloud | Twilight | None]

    @classmethod
    def draw(cls, sky: SharedSky, place: Place, options: NightOptions, rngs: list[np.random.Generator]) -> Weather:
        """Draw timeline, layers and camera faults, each from one of three generators."""
        course, draws, faults = rngs
        episodes = draw_episodes(shuffled_rounds(options.conditions, course), CONDITION_S, sky.duration_s, course)
        layers = [_WEATHER[episode.kind](draws) for episode in episodes]
        shines = [
            episode.kind == "moon" or (isinstance(layer, Cloud) and layer.moonlit)
            for episode, layer in zip(episodes, layers, strict=True)
        ]
        share = presence(episodes, sky.times_s, RAMP_S)
        condition = kind_at(episodes, share)
        is_up = sky.moon.direction(sky.times_s, *place)[1] > 0
        condition = np.where((condition == "moon") & ~is_up, "clear", condition)
        return cls(
            condition=_with_faults(condition, options, faults),
            moonlight=np.array(shines, float) @ share * is_up,
            share=share,
            since_s=_since(episodes, sky.times_s),
            layers=layers,
        )

    def attenuate(
        self, light: np.ndarray, i: int, toward: np.ndarray, cloud_km: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """Return the light below the clouds (p,) at sample `i`, with twilight and clouds, kR."""
        for k in np.flatnonzero(self.share[:, i] > 1e-3):
            layer, share, since = self.layers[k], float(self.share[k, i]), float(self.since_s[k, i])
            if isinstance(layer, Twilight):
                light = light + np.float32(share) * layer.light(toward, since)
            elif isinstance(layer, Cloud):
                light = layer.veil(light, share, cloud_km, since)
        return light


@dataclass(frozen=True, eq=False)
class Station:
    """A camera with its place and weather; arrays of p pixels contain only those that receive light.

    ``pixels`` (p,) are indices into the flat frame; ``toward`` (3, p) unit vectors east, north, up. Positions are
    distances east and north: ``position_km`` (heights, p) from the middle of the stations, ``cloud_km`` (p,) from the
    station, in the cloud layer. ``weights`` (heights,).
    """

    site: str
    place: Place
    camera: Camera
    weather: Weather
    pixels: np.ndarray
    transmission: np.ndarray
    airglow: np.ndarray
    toward: np.ndarray
    position_km: tuple[np.ndarray, ...]
    cloud_km: tuple[np.ndarray, ...]
    weights: np.ndarray

    @classmethod
    def draw(cls, site: str, place: Place, size: int, sky: SharedSky, options: NightOptions) -> Station:
        """Draw the weather from seed and name of the site, and the camera from the name only."""
        own, *weather = _site_streams(sky.seed, site, 4)
        (built,) = _site_streams(_STARS, site, 1)
        camera = Camera.draw(built, size) if options.cameras == "drawn" else Camera(size=size)
        transmission = camera.transmission().ravel()
        pixels = np.flatnonzero(transmission > 1e-3)
        # The soft rim extends slightly beyond the disc; there, use the light at the rim.
        elevation = np.maximum(90 - camera.zenith_angle(), 90 - camera.edge_deg).ravel()[pixels]
        azimuth = camera.azimuth().ravel()[pixels]
        shells = [to_km(*emission_position(azimuth, elevation, *place, h), sky.reference) for h in options.heights_km]
        toward = direction_vector(azimuth, elevation)
        return cls(
            site=site,
            place=place,
            camera=camera,
            weather=Weather.draw(sky, place, options, weather),
            pixels=pixels,
            transmission=transmission[pixels].astype(np.float32),
            airglow=airglow(toward, own),
            toward=toward,
            position_km=tuple(np.array([shell[axis] for shell in shells], np.float32) for axis in (0, 1)),
            cloud_km=tuple(position.ravel()[pixels] for position in camera.ground_position(CLOUD_KM)),
            weights=np.array(options.height_weights, np.float32),
        )

    def frame(self, i: int, sky: SharedSky) -> np.ndarray:
        """Return counts at sample `i`, uint16, shape (size, size), with independent noise for each sample."""
        if self.weather.condition[i] == "dropped":
            return np.zeros((self.camera.size,) * 2, np.uint16)
        light = self.weather.attenuate(self._above(i, sky), i, self.toward, self.cloud_km)
        if self.weather.condition[i] == "saturated":
            light = light + np.float32(1000.0)
        whole = np.zeros(self.camera.size**2, np.float32)
        whole[self.pixels] = light * self.transmission
        (noise,) = _site_streams(sky.seed, self.site, 1, i)
        return expose(whole.reshape(self.camera.size, -1), self.camera, noise)

    def _above(self, i: int, sky: SharedSky) -> np.ndarray:
        """Return the light above the clouds in kR, shape (p,)."""
        t_s = float(sky.times_s[i])
        light = self.airglow + sky.stars.light(self.camera, t_s, *self.place)[self.pixels]
        light += self.weights @ sky.emission(*self.position_km, i)
        if self.weather.moonlight[i] > 1e-3:
            light += np.float32(self.weather.moonlight[i]) * sky.moon.light(self.toward, t_s, *self.place)
        return light


def shuffled_rounds(kinds: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield all kinds in random order, repeatedly; if possible, no round starts with the previous kind."""
    last = ""
    while True:
        order = [str(kind) for kind in rng.permutation(list(kinds))]
        if order[0] == last:
            order = order[::-1]
        yield from order
        last = order[-1]


def _since(episodes: tuple[Episode, ...], times_s: np.ndarray) -> np.ndarray:
    return times_s - np.array([[episode.start_s] for episode in episodes])


def _middle(places: list[Place]) -> Place:
    """Return the middle of places on the sphere."""
    x, y, z = direction_vector(*np.array(places)[:, ::-1].T).mean(axis=1, dtype=float)
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(x, y)))


def _site_streams(seed: int, site: str, count: int, *more: int) -> list[np.random.Generator]:
    """Return random generators of a station, which do not depend on the other stations."""
    sequence = np.random.SeedSequence([int(seed), zlib.crc32(site.encode()), *more])
    return [np.random.default_rng(child) for child in sequence.spawn(count)]


def _with_faults(condition: np.ndarray, options: NightOptions, rng: np.random.Generator) -> np.ndarray:
    """Return the conditions with dropped, repeated or overexposed frames; the first frame is never a repeat."""
    draw = rng.random(condition.size)
    edges = np.cumsum([options.dropped, options.duplicate, options.saturated])
    faulty = np.where(draw < edges[0], "dropped", np.where(draw < edges[1], "duplicate", "saturated"))
    faulty = np.where(draw < edges[2], faulty, condition)
    return np.where((faulty == "duplicate") & (np.arange(draw.size) == 0), condition, faulty)
