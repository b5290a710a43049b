"""What a variable holds, by its tables, units, names and metadata; the number of dimensions alone does not decide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import VariableError
from ..imaging.tables import is_evenly_logarithmic, is_numbering
from ..tplot import Variable

_ENERGY_NAME = re.compile(
    r"energ|(?:^|[^a-z])k?ev(?:$|[^a-z])|(?:^|[^a-z])e_?(?:mid|bins?|chan|table)?$", re.IGNORECASE
)
_ANGLE_NAME = re.compile(
    r"pitch|(?:^|[^a-z])pa(?:$|[^a-z])|alpha|azim|polar|colat|theta|phi|look|sector|gyro|telescope", re.IGNORECASE
)
_PIXEL_NAME = re.compile(r"^(?:x|y|rows?|col(?:umn)?s?|pixels?|width|height|lat\w*|lon\w*)(?:_?dim)?$", re.IGNORECASE)
# Units of flux, phase space density and energy flux; those of brightness (counts, Rayleigh, DN) have none of these.
_LIGHT_UNITS = re.compile(r"rayleigh|^k?R$|^DN$|^ADU$|photon|^W|brightness", re.IGNORECASE)
_PARTICLE_UNITS = re.compile(r"eV|ster|\bsr\b|cm|\bs\^?[36]\b|flux", re.IGNORECASE)
_SPECTROGRAPH = re.compile(r"spectrograph|spect-\d", re.IGNORECASE)
_CAMERA_KEYS = ("site", "imager", "first_row", "first_column")
_SMALLEST_FRAME = 16
_COLORS = (3, 4)
_LEAST_RATIO = 4.0  # from the lowest to the highest energy of a table


def axis_kinds(variable: Variable) -> tuple[str, ...]:
    """Kinds of the axes after time: 'energy', 'angle', 'pixel' (a position or a plain number), or 'unknown'."""
    inner = variable.values.ndim - 1
    keys = ["v"] if inner == 1 else [f"v{i + 1}" for i in range(inner)]
    return tuple(_axis_kind(variable.coordinates.get(key), _axis_name(variable, i)) for i, key in enumerate(keys))


def is_spectra(variable: Variable) -> bool:
    """Return True where tables, names or units say that (time, a, b) are particles by energy or direction."""
    if variable.values.ndim != 3:
        return False
    named = any(_ANGLE_NAME.search(_axis_name(variable, i)) for i in range(2))
    particles = _PARTICLE_UNITS.search(variable.units) and not _LIGHT_UNITS.search(variable.units)
    return "energy" in axis_kinds(variable) or named or bool(particles)


def may_be_frames(variable: Variable) -> bool:
    """Return True where nothing speaks against camera frames, and something or the size speaks for them."""
    if variable.values.ndim != 3 or min(variable.values.shape[1:]) < _SMALLEST_FRAME or is_spectra(variable):
        return False
    about = variable.attributes
    stated = "skymap" in about or any(key in about.get("data_att", {}) for key in _CAMERA_KEYS)
    if stated or variable.values.dtype.kind in "iu" or _LIGHT_UNITS.search(variable.units):
        return True
    rows, columns = variable.values.shape[1:]
    return set(axis_kinds(variable)) <= {"pixel", "unknown"} and (rows == columns or min(rows, columns) >= 32)


def check_camera_frames(variable: Variable) -> None:
    """Refuse as frames what is none: VariableError for spectra by direction, spectrographs, colors and channels."""
    shape = variable.values.shape
    if variable.values.ndim == 4:
        raise VariableError(variable.name, *_channels(variable))
    if variable.values.ndim != 3:
        raise VariableError(variable.name, f"found the shape {shape}", "Give frames (time, row, column).")
    if _SPECTROGRAPH.search(" ".join(source_texts(variable))):
        found = "it is of a spectrograph, which sees a line of the sky in many colors, not an image of the sky"
        raise VariableError(variable.name, found, "Give the frames of a camera.")
    if is_spectra(variable):
        found = f"found the shape {shape} ({_described(variable)}): spectra by direction, not camera frames"
        raise VariableError(variable.name, found, f"Give {spectrum_recipe(variable)}.")


def unidentified(variable: Variable, instruments: Mapping[str, str]) -> VariableError:
    """Return the error for a variable of which neither name nor content says what image to make.

    `instruments` are kinds of image by registered instruments that its name or metadata point to.
    """
    shape = variable.values.shape
    if variable.values.ndim == 2:
        return VariableError(variable.name, *_two_dimensional(variable))
    if variable.values.ndim == 3:
        try:
            check_camera_frames(variable)
        except VariableError as error:
            return VariableError(variable.name, error.found, error.remedy + _spectra_proposal(instruments))
        if min(shape[1:]) < _SMALLEST_FRAME:
            remedy = f"Frames have at least {_SMALLEST_FRAME} rows and columns; for spectra give a SpectrumRecipe."
            return VariableError(variable.name, f"found the shape {shape}, of which no image is made", remedy)
        found = f"found the shape {shape} ({_described(variable)}), which may be camera frames or spectra by direction"
        remedy = (
            f"Give recipe=FrameRecipe() for frames (time, row, column), or {spectrum_recipe(variable)} for spectra."
        )
        return VariableError(variable.name, found, remedy + _spectra_proposal(instruments))
    if variable.values.ndim == 4 and _channel_axis(variable) is None:
        known = [name for name, kind in instruments.items() if kind == "distribution"]
        other = "instrument='mms_dis' for ions or 'mms_des' for electrons"
        remedy = f"Give {' or '.join(f'instrument={one!r}' for one in known) or other}, or a recipe."
        return VariableError(variable.name, f"found the shape {shape}, but not which particles these are", remedy)
    if variable.values.ndim == 4:
        return VariableError(variable.name, *_channels(variable))
    remedy = "Give a distribution (time, azimuth, polar, energy), frames (time, row, column), or a spectrogram."
    return VariableError(variable.name, f"found the shape {shape}, of which no image is made", remedy)


def spectrum_recipe(variable: Variable) -> str:
    """The argument `recipe` for a variable (time, a, b), in words that can be copied."""
    kinds = axis_kinds(variable)
    axis = 1 if kinds[0] == "energy" and kinds[1] != "energy" else 2
    energy_range = _range(variable.coordinates.get(f"v{axis}")) or "(lowest, highest)"
    look = ""
    if kinds[2 - axis] != "angle":
        look = ", direction='look'"
    return f"recipe=SpectrumRecipe(energy_range={energy_range}{', energy_axis=1' if axis == 1 else ''}{look})"


def names_bins(name: str) -> bool:
    """Return True for names of energies and angles."""
    return bool(_ENERGY_NAME.search(name) or _ANGLE_NAME.search(name))


def source_texts(variable: Variable) -> list[str]:
    """The name of a variable, and what its metadata say of its source."""
    about = variable.cdf_attributes("GATT")
    texts = [about.get(key, "") for key in ("Logical_source", "Logical_file_id", "Data_type", "Descriptor")]
    site = variable.attributes.get("data_att", {})
    texts.append(site.get("imager", "") if isinstance(site, Mapping) else "")
    return [variable.name, *(str(text) for text in texts if text is not None and np.size(text) == 1)]


def _axis_name(variable: Variable, axis: int) -> str:
    """The name of an axis after time in the metadata; empty where there is none."""
    depend = variable.cdf_attributes("VATT").get(f"DEPEND_{axis + 1}", "")
    names = variable.attributes.get("taken_from", {})
    names = names.get("axes", []) if isinstance(names, Mapping) else []
    return str(depend) if isinstance(depend, str) and depend else str(names[axis]) if axis < len(names) else ""


def _axis_kind(table: Any, name: str) -> str:
    for kind, pattern in (("energy", _ENERGY_NAME), ("angle", _ANGLE_NAME), ("pixel", _PIXEL_NAME)):
        if name and pattern.search(name):
            return kind
    values = np.empty(0) if table is None else _one_row(table)
    if len(values) < 2:
        return "unknown"
    if is_numbering(values):
        return "pixel"
    if (values > 0).all() and values.max() >= _LEAST_RATIO * values.min() and is_evenly_logarithmic(values):
        return "energy"
    return "angle" if values.min() >= -360 and values.max() <= 360 else "unknown"


def _one_row(table: Any) -> np.ndarray:
    """The finite values of a table, of its first sample where it changes; ascending. None of text."""
    if np.asarray(table).dtype.kind not in "fiu" or np.size(table) == 0:
        return np.empty(0)
    row = np.asarray(table, np.float64)
    row = row.reshape(-1, row.shape[-1])[0]
    return np.sort(row[np.isfinite(row)])


def _range(table: Any) -> str:
    values = np.empty(0) if table is None else _one_row(table)
    values = values[values > 0]
    return f"({values[0]:.3g}, {values[-1]:.3g})" if len(values) > 1 else ""


def _described(variable: Variable) -> str:
    texts = []
    for i, kind in enumerate(axis_kinds(variable)):
        parts = (kind, _axis_name(variable, i), _range(variable.coordinates.get(f"v{i + 1}")))
        texts.append(" ".join(part for part in parts if part))
    units = f"; units {variable.units}" if variable.units else ""
    return "axes: " + ", ".join(texts) + units


def _two_dimensional(variable: Variable) -> tuple[str, str]:
    shape, table = variable.values.shape, variable.coordinates.get("v")
    if table is None and shape[1] <= 4:
        found = f"found the shape {shape}, a time series of {shape[1]} components, of which no image is made"
        return found, "Give a distribution, frames, or a spectrogram (time, energy) with its energies in v."
    found = f"found the shape {shape}, a spectrogram, of which no image is made without a length of time"
    if table is None:
        return found + "; it has no table v", "Store it with the values of its bins in v, then give a WindowRecipe."
    values = _one_row(table)
    scale = "" if len(values) and values[0] > 0 and not is_numbering(values) else ", axis_scale='linear'"
    limits = f"({values[0]:.3g}, {values[-1]:.3g})" if len(values) > 1 else "(lowest, highest)"
    return found, f"Give recipe=WindowRecipe(length_s=..., stride_s=..., axis_range={limits}{scale})."


def _channel_axis(variable: Variable) -> int | None:
    """The axis of colors or of one channel of (time, a, b, c); None where it is a distribution."""
    sizes = variable.values.shape[1:]
    if "energy" in axis_kinds(variable) or ({"v1", "v2", "v3"} <= set(variable.coordinates) and 1 not in sizes):
        return None
    for axis in (2, 0):
        others = [size for i, size in enumerate(sizes) if i != axis]
        if sizes[axis] in (1, *_COLORS) and min(others) >= _SMALLEST_FRAME:
            return axis + 1
    return None


def _channels(variable: Variable) -> tuple[str, str]:
    shape, axis = variable.values.shape, _channel_axis(variable)
    if axis is None:
        return f"found the shape {shape}", "Give frames (time, row, column)."
    if shape[axis] == 1:
        remedy = f"Store the frames without the axis of one channel: values.squeeze({axis})."
        return f"found the shape {shape}, frames of one channel", remedy
    index = "values[..., 1]" if axis == 3 else "values[:, 1]"
    remedy = f"Store one color, such as {index}, or the brightness: values[...].mean(axis={axis})."
    return f"found the shape {shape}, frames in {shape[axis]} colors", remedy.replace("values[...]", "values")


def _spectra_proposal(instruments: Mapping[str, str]) -> str:
    """Return the sentence that names instruments whose images are of spectra; empty if there are none."""
    names = [name for name, kind in instruments.items() if kind == "spectrum"]
    return f" Or give {' or '.join(f'instrument={name!r}' for name in names)}." if names else ""
