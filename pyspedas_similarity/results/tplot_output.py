"""Results as tplot variables with plot options, and the table of the events that they carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import tplot
from ..encoder.library_view import PACKED
from ..errors import ArgumentError, VariableError
from ..imaging.frame_quality import FLAGS, FrameQuality
from ..imaging.keogram import Keogram
from ..plotting.style import MATCH_COLOR, QUERY_COLOR, brightness_unit, color_limits, slice_label, units_text
from ..provenance import ATTRIBUTE, CALIBRATED, own_events
from ..search.enrichment import Intervals
from ..search.events import Events
from ..times import to_astropy, to_times
from ..tplot import Variable, over_lines, write
from .event_lists import table_of_file
from .flat import checked_intervals, no_intervals

if TYPE_CHECKING:
    from astropy.table import QTable


class Source(Protocol):
    """A variable or series that a result belongs to."""

    name: str
    times: np.ndarray
    store: str


@dataclass(frozen=True)
class Product:
    """A variable to be stored, with its plot options."""

    variable: Variable
    options: Mapping[str, object]


def write_all(products: Iterable[Product]) -> list[str]:
    """Store variables with their plot options; return their names."""
    return [write(one.variable, one.options) for one in products]


CARRIED = ("peak", "score", "n_samples", "source", "probe", "site", "class", *CALIBRATED)
"""Columns of a table of intervals that go along into tables made of it."""
_FORMATS = {"deviations": ".1f", "share_higher": ".4f", "p_value": ".2g"}
_TIMES = ("start", "end", "peak")

# Of the color-blind safe palette of Okabe and Ito (2008).
_COLORS = ("#0072B2", "#D55E00", MATCH_COLOR, "#CC79A7", "#E69F00", "#000000")


# Characters of a name that fit to the left of a panel.
_TITLE_WIDTH = 14


def _color_of(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _product(
    source: Source,
    name: str,
    values: np.ndarray,
    units: str,
    provenance: Mapping[str, Any],
    options: Mapping[str, object],
    coordinates: Mapping[str, np.ndarray] | None = None,
    **data_att: str,
) -> Product:
    """Make a variable with one value, or row of values, for each sample of the source."""
    attributes = {"data_att": {"units": units, "coord_sys": "", **data_att}, ATTRIBUTE: dict(provenance)}
    variable = Variable(name, source.times, values, dict(coordinates or {}), attributes, source.store)
    return Product(variable, {"ytitle": over_lines(source.name, _TITLE_WIDTH), **options})


def similarity_series(source: Source, name: str, scores: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """One score per sample of the source, float64, NaN where there is none."""
    low = float(np.nanmin(scores)) if np.isfinite(scores).any() else -1.0
    limits = [low - 0.02 * (1 - low), 1.0 + 0.02 * (1 - low)]
    options = {"ysubtitle": "similarity", "yrange": limits, "color": "black"}
    return _product(source, name, scores, "1", provenance, options)


def probability_series(
    source: Source, name: str, probabilities: np.ndarray, classes: Sequence[str], provenance: Mapping[str, Any]
) -> Product:
    """The probability of each class, float64 (time, class), NaN where there is none."""
    options = {
        "ysubtitle": "probability",
        "yrange": [-0.02, 1.02],
        "legend_names": list(classes),
        "color": [_color_of(number) for number in range(len(classes))],
        "legend_location": "spedas",  # to the right of the panel, where it hides nothing
        "legend_size": 9,
    }
    return _product(source, name, probabilities, "1", provenance, options)


def event_bars(
    source: Source,
    name: str,
    found: Events,
    provenance: Mapping[str, Any],
    calibration: Mapping[str, Sequence[float]] | None = None,
) -> Product:
    """Return bars as pyspedas draws burst segments: times start, start, end, end with values nan, 1, 1, nan.

    `calibration` has a value of each event under names in `CALIBRATED`. Bars of a class have the color of its line in
    `probability_series`. Where the record has own events of the queries, values are (time, 2): events, own events.
    """
    own, own_end = own_events(provenance)
    start, end = np.concatenate([found.start, own]), np.concatenate([found.end, own_end])
    order = np.argsort(start, kind="stable")
    times = np.stack([start, start, end, end], axis=1)[order].ravel()
    bars = np.tile([np.nan, 1.0, 1.0, np.nan], len(start))
    is_own = np.repeat(np.arange(len(start))[order] >= len(found), 4)
    columns = np.where(np.stack([~is_own, is_own], axis=1), bars[:, None], np.nan)
    values = columns if len(own) else bars
    attributes = {
        "data_att": {"units": "", "coord_sys": ""},
        ATTRIBUTE: event_record(provenance, found, calibration or {}),
    }
    options = {
        "ytitle": "",
        "yrange": [0.9, 1.1],
        "panel_size": 0.09,
        "thick": 4,
        "color": [MATCH_COLOR, QUERY_COLOR] if len(own) else MATCH_COLOR,
        "border": False,
    }
    if "class" in provenance:
        options["color"] = _color_of(list(provenance["classes"]).index(provenance["class"]))
    return Product(Variable(name, times, values, {}, attributes, source.store), options)


def embedding_series(source: Source, name: str, embeddings: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """The embeddings, float32 (time, dimension), as a spectrogram over the dimensions."""
    dimensions = np.arange(embeddings.shape[1])
    options = {"spec": True, "ytitle": "embedding", "ysubtitle": "dimension", "ztitle": source.name, "zlog": False}
    return _product(source, name, embeddings, "1", provenance, options, {"v": dimensions})


def scalar_series(
    source: Source, name: str, quantity: str, values: np.ndarray, provenance: Mapping[str, Any]
) -> Product:
    """A scalar that the images leave out, 'density' or 'temperature', float64 (time)."""
    unit = {"density": "cm^-3", "temperature": "eV"}[quantity]
    label = f"{quantity} ({units_text(unit)})"
    options = {"ysubtitle": label, "ylog": True}
    return _product(source, name, values.astype(np.float64), unit, provenance, options)


def novelty_series(source: Source, name: str, values: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """Return the novelty of each sample, float64 (time): from 0, equal to another sample, to 2."""
    options = {"ysubtitle": "novelty\n1 - cosine"}
    return _product(source, name, values, "1", provenance, options)


def cluster_series(source: Source, name: str, values: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """Number of the group of each sample, float64 (time), NaN for none."""
    options = {"ysubtitle": "group", "symbols": True, "marker_size": 2}
    return _product(source, name, values, "", provenance, options)


def flag_series(source: Source, name: str, gate: FrameQuality, provenance: Mapping[str, Any]) -> Product:
    """The flag of each frame, uint8 (time); what the numbers mean is in the attributes."""
    meaning = ", ".join(f"{number} {flag}" for flag, number in FLAGS.items())
    options = {"ysubtitle": "flag\n0 usable", "yrange": [-0.5, max(FLAGS.values()) + 0.5]}
    options |= {"symbols": True, "marker_size": 2, "color": "black"}
    return _product(source, name, gate.flag, "", provenance, options, flags=meaning)


def activity_series(source: Source, name: str, gate: FrameQuality, provenance: Mapping[str, Any]) -> Product:
    """The activity of each frame, float64 (time): from 1 on something happens."""
    options = {"ysubtitle": "activity\n1 and more: active", "ylog": True}
    return _product(source, name, gate.activity.astype(np.float64), "1", provenance, options)


def keogram_series(source: Variable, name: str, made: Keogram, title: str) -> Product:
    """A keogram or ewogram as a spectrogram over its axis."""
    attributes = {"data_att": {"units": source.units, "coord_sys": "", "axis": made.name, "axis_units": made.units}}
    variable = Variable(name, source.times, made.values, {"v": made.axis}, attributes, source.store)
    options = {
        "spec": True,
        "ytitle": f"{source.attributes.get('data_att', {}).get('site') or source.name} {title}",
        "ysubtitle": slice_label(made, source, title).replace(", ", "\n"),
        "yrange": [float(made.axis[0]), float(made.axis[-1])],
        "ztitle": brightness_unit(source),
        "zrange": list(color_limits(made.values, 2, 99.5)),  # without the brightest stars and the darkest pixels
        "colormap": "viridis",
    }
    return Product(variable, options)


def event_record(
    provenance: Mapping[str, Any], events: Events, calibration: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Return a provenance record with the events in plain numbers, so that attributes can hold them."""
    record: dict[str, Any] = {f"{key}_ns": getattr(events, key).astype("int64").tolist() for key in _TIMES}
    record |= {"score": events.score.tolist(), "n_samples": events.n_samples.tolist()}
    record |= {key: np.asarray(values).tolist() for key, values in calibration.items()}
    return {**provenance, "intervals": record}


def without_events(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without the events that `event_record` added."""
    return {key: value for key, value in record.items() if key != "intervals"}


def table_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record for the header of a table: of the view only what a reader needs, not its numbers."""
    view = {key: value for key, value in record.get("view", {}).items() if key != PACKED}
    return {**record, "view": view} if view else dict(record)


def event_table(records: Sequence[Mapping[str, Any]]) -> QTable:
    """Return the events of records of one or several series together, best first.

    The columns are those of `intervals`; ``meta['similarity']`` has the provenance.
    """
    from astropy.table import QTable
    from astropy.units import Quantity

    def joined(key: str, kind: type) -> np.ndarray:
        return np.array([value for record in records for value in record["intervals"][key]], kind)

    start, end, peak = (joined(f"{key}_ns", np.int64) for key in _TIMES)
    table = QTable(meta={"similarity": [table_record(without_events(record)) for record in records]})
    table["score"], table["peak"] = joined("score", float), to_astropy(peak.astype("datetime64[ns]"))
    table["duration"] = Quantity(np.round((end - start) * 1e-9, 9), "s")
    table["start"], table["end"] = (to_astropy(times.astype("datetime64[ns]")) for times in (start, end))
    table["score"].info.format, table["duration"].info.format = ".3f", ".3f"
    table["n_samples"] = joined("n_samples", int)
    lengths = np.array([len(record["intervals"]["score"]) for record in records], int)
    table["source"] = np.repeat(np.array([record["source"] for record in records], str), lengths)
    for place in ("probe", "site"):
        known = [record["station"].get(place, "") for record in records]
        if any(known):
            table[place] = np.repeat(known, lengths)
    for key in CALIBRATED:
        if records and all(key in record["intervals"] for record in records):
            values = np.concatenate([np.asarray(record["intervals"][key]) for record in records])
            if values.dtype == bool or np.isfinite(values).any() or not len(values):
                table[key] = values
                table[key].info.format = _FORMATS.get(key)
    classes = [record.get("class", "") for record in records]
    if any(classes):
        table["class"] = np.repeat(classes, lengths)
    return table[np.argsort(-table["score"], kind="stable")] if len(table) else table


def result_table(found: Any) -> QTable:
    """Return the table of intervals behind names of bars, in a file or a table itself; without rows of an empty list.

    SimilarityError if it is no table of intervals.
    """
    found = getattr(found, "events", found)  # a SearchResult
    if hasattr(found, "colnames"):
        return checked_intervals(found)
    if isinstance(found, Path):
        return checked_intervals(table_of_file(found))
    if not isinstance(found, Iterable):
        remedy = "Give what find_similar or intervals returned."
        raise ArgumentError("found", f"{type(found).__name__} is no table of intervals", remedy)
    return checked_intervals(events_of_names(found))


def events_of_names(names: str | Iterable[str | int]) -> QTable:
    """Return the events of bars together, best first; a table without rows for an empty list.

    VariableError if a variable carries no events.
    """
    names = names if isinstance(names, (str, int)) else list(names)
    if names == []:
        return no_intervals()
    variables = [tplot.read(one) for one in tplot.expand(names)]
    # Of the list that find_similar returned, the scores carry no events.
    bars = [one for one in variables if "intervals" in one.attributes.get(ATTRIBUTE, {})]
    for one in bars or variables:
        record = one.attributes.get(ATTRIBUTE)
        if not isinstance(record, Mapping) or "intervals" not in record:
            remedy = "Give the variable ending in _similar that find_similar returned."
            raise VariableError(one.name, "it carries no intervals", remedy)
    return event_table([one.attributes[ATTRIBUTE] for one in bars or variables])


def intervals_of(table: QTable) -> Intervals:
    """Starts and ends of a table of intervals."""
    return Intervals(to_times(table["start"]), to_times(table["end"]))
