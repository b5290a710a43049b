"""What comes back from a search: the similarity series, the interval bars, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VariableError
from ..imaging.frame_quality import FLAGS, FrameQuality
from ..imaging.keogram import Keogram
from ..provenance import ATTRIBUTE, CALIBRATED
from ..search.events import Events
from ..times import to_astropy
from ..tplot import Variable

if TYPE_CHECKING:
    from astropy.table import QTable


@dataclass(frozen=True)
class Product:
    """A variable to be stored, with the plot options that make ``tplot`` show it well at once."""

    variable: Variable
    options: Mapping[str, object]


def similarity_series(source: Variable, name: str, scores: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """One score per sample of the source, float64, NaN where there is none."""
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    variable = Variable(name, source.times, scores, {}, attributes, source.store)
    low = float(np.nanmin(scores)) if np.isfinite(scores).any() else -1.0
    options = {
        "ytitle": "similarity",
        "ysubtitle": "[cosine]",
        "yrange": [low - 0.02 * (1 - low), 1.0 + 0.02 * (1 - low)],
        "legend_names": [source.name],
        "color": "black",
    }
    return Product(variable, options)


def probability_series(
    source: Variable, name: str, probabilities: np.ndarray, classes: Sequence[str], provenance: Mapping[str, Any]
) -> Product:
    """The probability of each class, float64 (time, class), NaN where there is none."""
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    variable = Variable(name, source.times, probabilities, {}, attributes, source.store)
    options = {"ytitle": "probability", "ysubtitle": "[1]", "yrange": [-0.02, 1.02], "legend_names": list(classes)}
    return Product(variable, options)


def event_bars(
    source: Variable,
    name: str,
    found: Events,
    provenance: Mapping[str, Any],
    beside: Mapping[str, Sequence[float]] | None = None,
) -> Product:
    """Bars as pyspedas draws its burst segments: times start, start, end, end with values nan, 1, 1, nan.

    What is known `beside` of each interval, under names in `CALIBRATED`, goes into the table.
    """
    order = np.argsort(found.start, kind="stable")
    times = np.stack([found.start, found.start, found.end, found.end], axis=1)[order].ravel()
    values = np.tile([np.nan, 1.0, 1.0, np.nan], len(found))
    attributes = {
        "data_att": {"units": "", "coord_sys": ""},
        ATTRIBUTE: {**provenance, "intervals": _record(found) | dict(beside or {})},
    }
    options = {
        "ytitle": "",
        "yrange": [0.9, 1.1],
        "panel_size": 0.09,
        "thick": 4,
        "color": "green",
        "border": False,
        "legend_names": [provenance.get("class", "similar")],
    }
    return Product(Variable(name, times, values, {}, attributes, source.store), options)


def embedding_series(source: Variable, name: str, embeddings: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """The embeddings, float32 (time, dimension), as a spectrogram over the dimensions."""
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    dimensions = np.arange(embeddings.shape[1])
    variable = Variable(name, source.times, embeddings, {"v": dimensions}, attributes, source.store)
    options = {"spec": True, "ytitle": "embedding", "ysubtitle": "dimension", "ztitle": source.name, "zlog": False}
    return Product(variable, options)


def scalar_series(
    source: Variable, name: str, quantity: str, values: np.ndarray, provenance: Mapping[str, Any]
) -> Product:
    """A scalar that the images leave out, 'density' or 'temperature', float64 (time)."""
    unit = {"density": "cm^-3", "temperature": "eV"}[quantity]
    attributes = {"data_att": {"units": unit, "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    options = {"ytitle": quantity, "ysubtitle": f"[{unit}]", "ylog": True, "legend_names": [source.name]}
    return Product(Variable(name, source.times, values.astype(np.float64), {}, attributes, source.store), options)


def novelty_series(source: Variable, name: str, values: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """How unlike all others each sample is, float64 (time): from 0, the same as another, to 2."""
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    options = {"ytitle": "novelty", "ysubtitle": "1 - cosine", "legend_names": [source.name]}
    return Product(Variable(name, source.times, values, {}, attributes, source.store), options)


def cluster_series(source: Variable, name: str, values: np.ndarray, provenance: Mapping[str, Any]) -> Product:
    """Number of the group of each sample, float64 (time), NaN for none."""
    attributes = {"data_att": {"units": "", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    options = {"ytitle": "group", "symbols": True, "marker_size": 2, "legend_names": [source.name]}
    return Product(Variable(name, source.times, values, {}, attributes, source.store), options)


def flag_series(source: Variable, name: str, gate: FrameQuality, provenance: Mapping[str, Any]) -> Product:
    """The flag of each frame, uint8 (time); what the numbers mean is in the attributes."""
    meaning = ", ".join(f"{number} {flag}" for flag, number in FLAGS.items())
    attributes = {"data_att": {"units": "", "coord_sys": "", "flags": meaning}, ATTRIBUTE: dict(provenance)}
    options = {
        "ytitle": "flag",
        "ysubtitle": "0 usable",
        "yrange": [-0.5, max(FLAGS.values()) + 0.5],
        "symbols": True,
        "marker_size": 2,
        "color": "black",
        "legend_names": [source.name],
    }
    return Product(Variable(name, source.times, gate.flag, {}, attributes, source.store), options)


def activity_series(source: Variable, name: str, gate: FrameQuality, provenance: Mapping[str, Any]) -> Product:
    """The activity of each frame, float64 (time): from 1 on something happens."""
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, ATTRIBUTE: dict(provenance)}
    options = {"ytitle": "activity", "ysubtitle": "1 and more: active", "ylog": True, "legend_names": [source.name]}
    variable = Variable(name, source.times, gate.activity.astype(np.float64), {}, attributes, source.store)
    return Product(variable, options)


def keogram_series(source: Variable, name: str, made: Keogram, title: str) -> Product:
    """A keogram or ewogram as a spectrogram over its axis."""
    units = source.units or "counts"
    attributes = {"data_att": {"units": units, "coord_sys": "", "axis": made.name, "axis_units": made.units}}
    variable = Variable(name, source.times, made.values, {"v": made.axis}, attributes, source.store)
    options = {
        "spec": True,
        "ytitle": f"{source.attributes.get('data_att', {}).get('site') or source.name} {title}",
        "ysubtitle": f"{made.name} [{made.units}]",
        "yrange": [float(made.axis[0]), float(made.axis[-1])],
        "ztitle": f"[{units}]",
        "zrange": _robust_range(made.values),
        "colormap": "viridis",
    }
    return Product(variable, options)


def _robust_range(values: np.ndarray) -> list[float]:
    """Of the colors: without the brightest stars and the darkest pixels."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 99.5)) if known.size else (0.0, 1.0)
    return [float(low), float(high) if high > low else float(low) + 1.0]


def event_table(variables: Sequence[Variable]) -> QTable:
    """The intervals that bars carry, best first; of several variables, together.

    Returns
    -------
    astropy.table.QTable
        Columns ``start``, ``end``, ``peak`` (Time, UTC), ``score``, ``n_samples``, ``source``, and ``probe``, ``site``,
        ``class``, ``p_value`` and ``share_higher`` where there is one. The provenance is in ``meta``.

    Raises
    ------
    VariableError
        If a variable carries no intervals.
    """
    from astropy.table import QTable

    records = [_carried(variable) for variable in variables]
    joined = {key: np.concatenate([np.asarray(record["intervals"][key]) for record in records]) for key in _COLUMNS}
    table = QTable(meta={"similarity": [{k: v for k, v in r.items() if k != "intervals"} for r in records]})
    for key in ("start", "end", "peak"):
        table[key] = to_astropy(joined[f"{key}_ns"].astype("datetime64[ns]"))
    table["score"] = joined["score"].astype(float)
    table["n_samples"] = joined["n_samples"].astype(int)
    lengths = [len(record["intervals"]["score"]) for record in records]
    table["source"] = np.repeat([record["source"] for record in records], lengths)
    for place in ("probe", "site"):
        known = [record["station"].get(place, "") for record in records]
        if any(known):
            table[place] = np.repeat(known, lengths)
    for key in CALIBRATED:
        if all(key in record["intervals"] for record in records):
            table[key] = np.concatenate([np.asarray(record["intervals"][key], float) for record in records])
    classes = [record.get("class", "") for record in records]
    if any(classes):
        table["class"] = np.repeat(classes, lengths)
    return table[np.argsort(-table["score"], kind="stable")]


_COLUMNS = ("start_ns", "end_ns", "peak_ns", "score", "n_samples")


def _record(found: Events) -> dict[str, list[int] | list[float]]:
    """The table in plain numbers, so that it survives wherever attributes do."""
    record = {f"{key}_ns": getattr(found, key).astype("int64").tolist() for key in ("start", "end", "peak")}
    return {**record, "score": found.score.tolist(), "n_samples": found.n_samples.tolist()}


def _carried(variable: Variable) -> Mapping[str, Any]:
    record = variable.attributes.get(ATTRIBUTE)
    if not isinstance(record, Mapping) or "intervals" not in record:
        remedy = "Give the variable ending in _similar that find_similar returned."
        raise VariableError(variable.name, "it carries no intervals", remedy)
    return record
