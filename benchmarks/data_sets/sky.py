"""All-sky frames: simulated nights at two stations, and a real substorm at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import (
    DataSet,
    Rule,
    Task,
    all_of,
    data_file,
    flagged,
    negate,
    next_rows,
    not_self,
    same_value,
    thin,
    within,
)
from pyspedas_similarity.imaging.camera_geometry import View
from pyspedas_similarity.imaging.frames import frame_images, running_background
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.file_checks import read_npz
from pyspedas_similarity.search.reference import EVENT
from pyspedas_similarity.simulate.allsky import simulate_nights, station_places

STATIONS = ("fsmi", "fsim")
"""Fort Smith and Fort Simpson, 540 km apart: neighbors in the real network."""

FIRST_SEED = 500
SEEN = 0.3
"""A structure counts as seen if at least this share of its light is above 20 degrees elevation, in a clear sky."""

_TRUTH = "the simulator's truth; seen: 0.3 of the light above 20 degrees, in a clear sky"

SKY = FrameRecipe(projection="sky", least_elevation=10.0)
MAP = FrameRecipe(projection="geographic", least_elevation=10.0)
"""Projections, in addition to the default recipe without one."""

SAME_TIME = np.timedelta64(6, "s")
TOO_NEAR, NEAR = np.timedelta64(30, "s"), np.timedelta64(180, "s")
_MAX_QUERIES = 600
_START = np.datetime64("2020-01-01T06:00:00", "ns")

ARCS_FILE = "asi/kho_20131204_movie_gray.npz"
ARCS_STEP, ARCS_TOGETHER = 10, 15
"""Every so many frames of Longyearbyen is a query: one in 20 s; five minutes of them are one group."""

MOVIE_FILE = "asi/thg_asf_fsmi_20150326_movie.npz"
LEFT_OUT = np.timedelta64(120, "s")

EPISODES = (
    ("arc", "06:07:00", "06:08:45"),
    ("breakup", "06:09:45", "06:13:15"),
    ("diffuse", "06:15:45", "06:16:45"),
    ("streamer", "06:21:30", "06:25:15"),
    ("diffuse", "06:25:45", "06:27:15"),
    ("streamer", "06:28:00", "06:29:57"),
)
"""Kinds labeled by eye in the real frames by one person, times inclusive. Times in between are excluded, as one kind
changes into another.

arc: one bright band across the upper edge of the sky, nothing bright below. It lasts less than two minutes, so that it
has no right answers and can only be a wrong answer. breakup: a bright folded bulge fills half of the sky from the upper
edge, the rest is dark. streamer: one bright elongated form, first at the left and then down the middle of the sky
(06:23 to 06:25), again at the left from 06:28 on; along the north-south axis of the compass rose. diffuse: light all
over the sky without any bright form.
"""


@dataclass(frozen=True)
class Frames:
    """Frames of stations and nights with the truth; every array is (n, ...).

    ``frames`` (n, size, size); ``view`` (n,) indices into `views`; ``seen``: see `SEEN`; ``empty``: a clear sky
    without aurora; ``episode``: a unique number for every stretch of one kind in a night.
    """

    frames: np.ndarray
    views: list[View]
    view: np.ndarray
    times: np.ndarray
    night: np.ndarray
    station: np.ndarray
    kind: np.ndarray
    episode: np.ndarray
    seen: np.ndarray
    empty: np.ndarray

    def images(self, recipe: FrameRecipe) -> np.ndarray:
        """Return images of all frames."""
        images = np.empty((len(self.frames), *recipe.shape), np.float32)
        for number, view in enumerate(self.views):
            rows = np.flatnonzero(self.view == number)
            images[rows] = camera_images(self.frames[rows], self.times[rows], recipe, view)
        return images


def camera_images(frames: np.ndarray, times: np.ndarray, recipe: FrameRecipe, view: View | None = None) -> np.ndarray:
    """Return images of successive frames of one camera, north up."""
    level = running_background(frames, times, recipe, view).at(times) if recipe.background_s else None
    return frame_images(frames, recipe, view, level)


def simulate(nights: int, duration_s: float, cadence_s: float, size: int, first_seed: int = FIRST_SEED) -> Frames:
    """Simulate nights at `STATIONS`; the two stations have the same kinds and episodes in each night."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in Frames.__dataclass_fields__ if name != "views"}
    views = []
    for night in range(nights):
        start = _START + night * np.timedelta64(1, "D")
        sky = simulate_nights(start, duration_s, first_seed + night, STATIONS, cadence_s, size)
        for station, frames in sky.items():
            n = len(frames.times)
            begins = np.append(True, frames.kind[1:] != frames.kind[:-1])
            is_clear, is_quiet = frames.condition == "clear", frames.kind == "quiet"
            parts["frames"].append(frames.frames)
            parts["view"].append(np.full(n, len(views)))
            parts["times"].append(frames.times)
            parts["night"].append(np.full(n, night))
            parts["station"].append(np.full(n, station))
            parts["kind"].append(frames.kind)
            parts["episode"].append(1000 * night + begins.cumsum())
            parts["seen"].append(~is_quiet & is_clear & (frames.visible >= SEEN))
            parts["empty"].append(is_quiet & is_clear)
            views.append(frames.view)
    return Frames(views=views, **{name: np.concatenate(values) for name, values in parts.items()})


def make_nights(
    nights: int = 10, duration_s: float = 1560.0, cadence_s: float = 3.0, size: int = 128
) -> Iterator[DataSet]:
    """Yield simulated nights without projection; ten nights of 26 minutes are 5,200 frames per station."""
    sky = simulate(nights, duration_s, cadence_s, size)
    yield _nights(sky, (*station_tasks(sky), *single_station_tasks(sky)))


def make_projected(
    nights: int = 10, duration_s: float = 1560.0, cadence_s: float = 3.0, size: int = 128
) -> Iterator[DataSet]:
    """Yield the same nights projected, with the tasks across stations and near times."""
    sky = simulate(nights, duration_s, cadence_s, size)
    plain = _nights(sky, (*station_tasks(sky), near_times(sky)))
    on_map = replace(MAP, center=_middle())
    for name, how, recipe in (
        ("nights-sky", "north up, one scale of zenith angle", SKY),
        ("nights-map", "on one geographic map at 110 km", on_map),
        ("nights-moving", "on that map, less what stands still for ten minutes", replace(on_map, background_s=600.0)),
    ):
        yield replace(plain, name=name, title=f"{plain.title}; {how}", recipe=recipe)


def _nights(sky: Frames, tasks: tuple[Task, ...]) -> DataSet:
    return DataSet(
        "nights",
        f"simulated all-sky frames of {' and '.join(STATIONS)}: aurora, cloud, moon and twilight",
        simulated=True,
        recipe=FrameRecipe(),
        draw=sky.images,
        group=sky.night,
        tasks=tasks,
        following=next_rows(2 * sky.night + (sky.station == STATIONS[1])),
    )


def _middle() -> tuple[float, float]:
    """Return the mean latitude and longitude of the stations, accurate enough for the center of a map."""
    return tuple(np.mean(list(station_places(STATIONS).values()), axis=0).tolist())


def station_tasks(sky: Frames) -> Iterator[Task]:
    """Yield the tasks across stations, at the same time and in the same episode, and their control."""
    at_both = sky.seen & seen_elsewhere(sky)
    for name, title, relevant in (
        ("station", "finds those of the other station within 6 s", within(sky.times, SAME_TIME)),
        ("episode", "finds those of the other station in the same episode", same_value(sky.episode)),
    ):
        yield Task(
            name,
            f"a frame with structure seen by both stations {title}, among all of its nights; own station left out",
            _TRUTH,
            queries=thin(np.flatnonzero(at_both), _MAX_QUERIES),
            relevant=relevant,
            allowed=negate(same_value(sky.station)),
            leaky=not_self(len(sky.times)),
            looking_for=EVENT,
        )
    yield empty_task(sky, negate(same_value(sky.station)), "the other station's")


def empty_task(sky: Frames, where: Rule, whose: str) -> Task:
    """Return a control task: recognize a night by its background (airglow, stars, and the camera at one station).

    To the extent that it succeeds, other nights are no distractors in the tasks about the same night.
    """
    return Task(
        f"empty-{whose.split()[1]}",
        f"a control: an empty clear sky finds {whose} of the same night. Above chance, the background identifies the "
        "night, and other nights are not full distractors in the tasks about the same night",
        _TRUTH,
        queries=thin(np.flatnonzero(sky.empty), _MAX_QUERIES),
        relevant=same_value(sky.night),
        allowed=all_of(where, flagged(sky.empty)),
        leaky=all_of(not_self(len(sky.times)), flagged(sky.empty)),
    )


def near_times(sky: Frames) -> Task:
    """Return the task to find the same structure at the same station, some time before or after."""
    own_station = same_value(sky.station)
    return Task(
        "times",
        "a frame finds those of its station and episode less than 180 s away; 30 s left out",
        _TRUTH,
        queries=thin(np.flatnonzero(sky.seen), _MAX_QUERIES),
        relevant=all_of(same_value(sky.episode), within(sky.times, NEAR)),
        allowed=all_of(own_station, negate(within(sky.times, TOO_NEAR))),
        leaky=all_of(own_station, not_self(len(sky.times))),
        looking_for=EVENT,
    )


def single_station_tasks(sky: Frames) -> Iterator[Task]:
    """Yield the tasks of near times, of the same kind in other nights, and the control."""
    own_station, other_frame = same_value(sky.station), not_self(len(sky.times))
    queries = thin(np.flatnonzero(sky.seen), _MAX_QUERIES)
    yield near_times(sky)
    # A frame of the same kind that is not seen well is neither right nor wrong.
    hidden = all_of(same_value(sky.kind), flagged(~sky.seen))
    yield Task(
        "kind",
        "a frame finds those of its kind in other nights of its station; own night left out",
        _TRUTH,
        queries=queries,
        relevant=all_of(same_value(sky.kind), flagged(sky.seen)),
        allowed=all_of(own_station, negate(same_value(sky.night)), negate(hidden)),
        leaky=all_of(own_station, other_frame, negate(hidden)),
        across_groups=True,
    )
    yield empty_task(sky, all_of(own_station, negate(within(sky.times, TOO_NEAR))), "its own station's")


def seen_elsewhere(sky: Frames) -> np.ndarray:
    """Return True where the other station sees the structure at the same time: (n,) bool."""
    moments = {(time, station): seen for time, station, seen in zip(sky.times, sky.station, sky.seen, strict=True)}
    other = dict(zip(STATIONS, STATIONS[::-1], strict=True))
    return np.array(
        [moments[time, other[str(station)]] for time, station in zip(sky.times, sky.station, strict=True)], bool
    )


def make_movie(data: Path) -> DataSet:
    """Return frames of the substorm over Fort Smith on 2015-03-26 in one of `EPISODES`, or raise DataUnavailable."""
    path = data_file(data, MOVIE_FILE)
    movie = read_npz(path)
    frames, times = movie["frames"], movie["times"].astype("datetime64[ns]")
    episode = episodes_at(times)
    rows = np.flatnonzero(episode >= 0)
    frames, times, episode = frames[rows], times[rows], episode[rows]
    return DataSet(
        "movie",
        "real frames of Fort Smith, 2015-03-26, read from a movie",
        simulated=False,
        recipe=FrameRecipe(),
        draw=lambda recipe: camera_images(frames, times, recipe),
        group=episode,
        tasks=(movie_task(times, episode),),
        following=next_rows(episode),
    )


def make_arcs(data: Path) -> Iterator[DataSet]:
    """Yield the search for arcs of one camera among the frames of another one: as they are, and changed in three ways.

    Raise DataUnavailable if a file is missing.
    """
    searched = make_movie(data)
    file = read_npz(data_file(data, ARCS_FILE))
    arcs, times = file["frames"][::ARCS_STEP], file["times"][::ARCS_STEP].astype("datetime64[ns]")
    library = np.arange(len(searched.group) + len(arcs)) < len(searched.group)
    kind = np.array([kind for kind, _, _ in EPISODES])[searched.group]
    is_arc = np.append(kind == "arc", np.zeros(len(arcs), bool))
    task = Task(
        "arcs",
        "an arc above Longyearbyen finds the arc above Fort Smith; nothing else of its own camera is searched",
        "kinds labeled by eye by one person; one night of each camera",
        queries=np.flatnonzero(~library),
        relevant=flagged(is_arc),
        allowed=flagged(library),
        leaky=flagged(library),
    )
    following = np.append(searched.following, np.full(len(arcs), -1))
    group = np.append(searched.group, len(EPISODES) + np.arange(len(arcs)) // ARCS_TOGETHER)
    for name, how, changed in (
        ("as it is", "", arcs),
        ("blurred", "-blur", _blurred(arcs)),
        ("stretched", "-stretch", _stretched(arcs)),
        ("mirrored", "-mirror", arcs[:, :, ::-1]),
    ):
        yield DataSet(
            f"arcs{how}",
            f"real frames: arcs of Longyearbyen, 2013-12-04, {name}, as queries into Fort Smith, 2015-03-26",
            simulated=False,
            recipe=FrameRecipe(),
            draw=partial(_with_arcs, searched, changed, times),
            group=group,
            tasks=(task,),
            following=following,
            library=library,
        )


def _with_arcs(searched: DataSet, arcs: np.ndarray, times: np.ndarray, recipe: FrameRecipe) -> np.ndarray:
    return np.concatenate([searched.draw(recipe), camera_images(arcs, times, recipe)])


def _blurred(frames: np.ndarray) -> np.ndarray:
    """Return frames (n, rows, columns) as a lens with less resolution would show them."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(frames.astype(np.float32), (0, 1.5, 1.5)).astype(np.uint8)


def _stretched(frames: np.ndarray) -> np.ndarray:
    """Return frames with another contrast: percentiles 1 to 99.5, to the power of 0.6."""
    low, high = (np.percentile(frames, q, axis=(1, 2), keepdims=True) for q in (1, 99.5))
    return (255 * np.clip((frames - low) / np.maximum(high - low, 1), 0, 1) ** 0.6).astype(np.uint8)


def episodes_at(times: np.ndarray) -> np.ndarray:
    """Return the number of the episode at each of `times` (n,), -1 in between."""
    number = np.full(len(times), -1)
    for i, (_, start, end) in enumerate(EPISODES):
        start, end = (np.datetime64(f"2015-03-26T{clock}") for clock in (start, end))
        number[(times >= start) & (times <= end)] = i
    return number


def movie_task(times: np.ndarray, episode: np.ndarray) -> Task:
    """Return the task to find frames of the same kind more than two minutes away."""
    kind = np.array([kind for kind, _, _ in EPISODES])[episode]
    return Task(
        "movie",
        "a frame finds those of its kind; 2 minutes around it left out",
        "kinds labeled by eye by one person (times and reasons: benchmarks/data_sets/sky.py); one night: the interval "
        "is over its stretches and does not apply to other nights",
        queries=np.arange(len(times)),
        relevant=same_value(kind),
        allowed=negate(within(times, LEFT_OUT)),
        leaky=not_self(len(times)),
        list_groups=True,
    )
