"""The only door to tplot stores.

pyspedas keeps its variables in ``pyspedas.tplot_tools.data_quants``; a separately installed pytplot keeps another store
of the same form, which pyspedas does not see. Both are served here: what comes from one store goes back to it. The
stores are looked up at every call, because programs replace and clear them.
"""

from __future__ import annotations

import copy
import difflib
import fnmatch
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import VariableError
from .provenance import ATTRIBUTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COORDINATES = ("v", "v1", "v2", "v3")
_LONG_BYTES = 2**24
_PLAIN_NAME = "similarity_options"
_MARGIN = np.timedelta64(2, "us")


@dataclass(frozen=True)
class Variable:
    """A tplot variable as arrays, apart from any store.

    ``values`` are read-only where they came from a store. ``coordinates`` are under tplot's names ``v`` or ``v1``,
    ``v2``, ``v3``, each of shape (k,) or (n, k). ``attributes`` are metadata without plot options; ``options``, see
    `options_of`, are not written.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    coordinates: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    store: str = "pyspedas"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> str:
        """Units of the values as the metadata names them, or an empty string."""
        units = str(self.attributes.get("data_att", {}).get("units", ""))
        return "" if units == "None" else units  # as pyspedas writes what a file lacks

    def cdf_attributes(self, group: str) -> Mapping[str, Any]:
        """Return the variable's ('VATT') or the file's ('GATT') attributes of a CDF file; empty if there are none."""
        about = self.attributes.get("CDF", {})
        found = about.get(group, {}) if isinstance(about, Mapping) else {}
        return found if isinstance(found, Mapping) else {}


def expand(names: str | int | Iterable[str | int]) -> list[str]:
    """Return the names of the loaded variables that names, globs or indices denote, in their order, each once.

    As in pyspedas, they are exact names, ``*`` and ``?`` patterns, several separated by blanks, or indices. Raise
    VariableError if one of them denotes no variable; near names are given.
    """
    if names is None:
        raise VariableError("names", "no name is given", "Give the name of a loaded tplot variable.")
    wanted = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    if not wanted:
        raise VariableError("names", "the list is empty", "Give the name of a loaded tplot variable.")
    loaded = loaded_names()
    found = [name for one in wanted for name in _expand_one(one, loaded)]
    return list(dict.fromkeys(found))


def has_groups(names: Any) -> bool:
    """Return True for a list of lists of names, as of the same variables of several spacecraft."""
    return isinstance(names, (list, tuple)) and any(isinstance(one, (list, tuple)) for one in names)


def expand_measured(names: str | int | Iterable[str | int]) -> tuple[list[str], list[str]]:
    """Return names as `expand` does, and apart from them what a pattern matched that is no measurement.

    These are results of this package, and errors (``disterr``) of a distribution that is among the names.
    """
    found = expand(names)
    given = {names} if isinstance(names, (str, int, np.integer)) else set(names)
    numbers = {loaded_names()[one] for one in given if not isinstance(one, str)}
    left_out = [
        name
        for name in found
        if name not in given | numbers and (_is_result(name) or name.replace("disterr", "dist") in {*found} - {name})
    ]
    return [name for name in found if name not in left_out], left_out


def _is_result(name: str) -> bool:
    return ATTRIBUTE in getattr(_entry(name)[1], "attrs", {})


def loaded_names() -> list[str]:
    """Names of all variables in all stores; a name that is in both means pyspedas's."""
    return list(dict.fromkeys(name for module in _stores().values() for name in module.data_quants))


def read(name: str) -> Variable:
    """Take a variable out of its store, without copying its values.

    Raise VariableError if it is not loaded, does not vary with time, or is a pseudovariable.
    """
    store, entry = _entry(name)
    return _from_dataarray(name, entry, store)


def write(variable: Variable, options: Mapping[str, object] | None = None) -> str:
    """Put a variable into its store, over one of the same name, which is returned.

    `options` are under the names that ``pyspedas.options`` takes. Raise VariableError if the store refuses it.
    """
    module = _store(variable.store)
    stored = _stand_in(variable) if _is_long_movie(variable) else variable.values
    data = {"x": np.array(variable.times, "datetime64[ns]"), "y": stored, **variable.coordinates}
    if len(variable.times) == 0 or not module.store_data(variable.name, data=data, attr_dict=dict(variable.attributes)):
        raise VariableError(variable.name, "the tplot store does not take it", "It needs at least one sample.")
    if stored is not variable.values:
        entry = module.data_quants[variable.name]
        whole = {"data": variable.values.copy(), "dims": entry.dims, "coords": {"time": entry.coords["time"]}}
        module.data_quants[variable.name] = type(entry)(**whole, attrs=entry.attrs, name=entry.name)
    if options:
        _set_options(variable.name, dict(options), module)
    return variable.name


def _set_options(name: str, options: dict[str, object], module: ModuleType) -> None:
    """Set options of this variable: pyspedas would take brackets, stars and blanks in its name for patterns."""
    entry = module.data_quants[name]
    lent = entry.copy(deep=False)
    lent.name, lent.attrs = _PLAIN_NAME, entry.attrs
    module.data_quants[_PLAIN_NAME] = lent
    try:
        module.options(_PLAIN_NAME, opt_dict=options)
        entry.attrs = module.data_quants[_PLAIN_NAME].attrs
    finally:
        del module.data_quants[_PLAIN_NAME]


def options_of(name: str) -> dict[str, Any]:
    """Some options of a loaded variable, such as ``spec``, ``colormap`` and ``legend_names``; a copy."""
    return _flat(_entry(name)[1].attrs.get("plot_options", {}))


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of all axes; ``z_title`` is the label of the z axis, whose key is that of the y axis, too."""
    z = options.get("zaxis_opt", {})
    return {**z, **options.get("yaxis_opt", {}), **options.get("extras", {}), "z_title": z.get("axis_label")}


@contextmanager
def preserved() -> Iterator[list[str]]:
    """Give the stores back as they were, whatever happens inside.

    A loader called on the user's behalf may overwrite variables of theirs. Inside this it may; what it loaded has to be
    read before the end, or its names added to the list that this gives, which are kept unless there is an error.
    """
    kept: list[str] = []
    _store("pyspedas")  # so that a store which the loader would first import is restored as well
    before = {name: dict(module.data_quants) for name, module in _stores().items()}
    try:
        yield kept
    except BaseException:
        kept.clear()
        raise
    finally:
        for name, variables in before.items():
            quantities = _store(name).data_quants
            new = {one: quantities[one] for one in kept if one in quantities}
            quantities.clear()
            quantities.update(variables | new)


@dataclass(frozen=True, eq=False)
class Panel:
    """A variable as `panels` draws it: the loaded one of a name, or other values `instead`.

    ``options`` are under the names that ``pyspedas.options`` takes, over those stored with it; None takes one of the y
    axis away.
    """

    name: str
    instead: Variable | None = None
    options: Mapping[str, object] = field(default_factory=dict)


def panels(drawn: Sequence[Panel], trange: tuple[np.datetime64, np.datetime64], figsize: tuple[float, float]) -> Figure:
    """Draw variables below each other as ``pyspedas.tplot`` does, with the options stored with them.

    The figure is not registered with pyplot, and not displayed; the panels are the first of its axes. `figsize` is in
    inches. The stores are as before.
    """
    from matplotlib.figure import Figure

    module = _store("pyspedas")
    with preserved():
        lent = [_lend(panel, f"similarity_panel_{number}", module) for number, panel in enumerate(drawn)]
        sizes = [module.data_quants[name].attrs["plot_options"]["extras"].get("panel_size") or 1 for name in lent]
        figure = Figure(figsize=figsize, layout="constrained")
        axes = figure.subplots(len(lent), 1, sharex=True, gridspec_kw={"height_ratios": sizes}, squeeze=False)[:, 0]
        # Strings, since pyspedas before 2.2.1 fails with numbers. It truncates them to microseconds and makes them
        # doubles of unix seconds, which resolve a quarter of a microsecond: the samples at both ends are to be inside.
        start, end = (time.astype("datetime64[ns]") for time in trange)
        ends = [str(start - _MARGIN), str(end + _MARGIN)]
        # Given a figure and its axes pyspedas makes none by pyplot; of one variable it asks for the axis alone.
        module.tplot(lent, trange=ends, fig=figure, axis=axes if len(lent) > 1 else axes[0], display=False)
    for axis in figure.axes:
        legend = axis.get_legend()
        if legend is not None:  # above the panel, where it hides nothing
            legend.set(loc="lower right", frame_on=False)
            legend.set_bbox_to_anchor((1.0, 1.0), axis.transAxes)
        axis.tick_params(labelsize="small")
        axis.xaxis.get_offset_text().set_fontsize("small")
        axis.yaxis.label.set(text=_wrapped(axis.get_ylabel()), fontsize="small")
    return figure


def _wrapped(label: str) -> str:
    """Wrap a label to fit next to a panel; formulas stay on one line."""
    return label if "$" in label.replace(r"\$", "") else over_lines(label, 18)


def over_lines(text: str, width: int) -> str:
    """Wrap text at blanks and after underscores, without empty lines."""
    lines = [one for line in text.splitlines() for one in textwrap.wrap(line.replace("_", "_ "), width)]
    return "\n".join(one.replace("_ ", "_") for one in lines)


def _lend(panel: Panel, name: str, module: ModuleType) -> str:
    """Put a copy of a variable, its options too, into pyspedas's store under a name without wildcards."""
    if panel.instead is not None:
        write(replace(panel.instead, name=name, store="pyspedas"))
    else:
        entry = _entry(panel.name)[1]
        lent = entry.copy(deep=False)
        lent.name, lent.attrs = name, copy.deepcopy(entry.attrs)
        module.data_quants[name] = lent
    given = {key: value for key, value in panel.options.items() if value is not None}
    module.options(name, opt_dict={"legend_size": 8, "legend_linewidth": 2, "legend_ncols": 6} | given)
    for key in set(panel.options) - set(given):
        module.data_quants[name].attrs["plot_options"]["yaxis_opt"].pop(key, None)
    for group in ("xaxis_opt", "yaxis_opt", "zaxis_opt", "line_opt"):
        options = module.data_quants[name].attrs["plot_options"].get(group) or {}
        options.update({key: _drawable(value) for key, value in options.items()})
    return name


def _drawable(value: Any) -> Any:
    """Text that matplotlib would stumble over as a formula, as it is; everything else untouched."""
    from matplotlib.mathtext import MathTextParser

    if isinstance(value, list):
        return [_drawable(one) for one in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        MathTextParser("agg").parse(value)
    except ValueError:
        return value.replace("$", r"\$")
    return value


def _is_long_movie(variable: Variable) -> bool:
    values = variable.values
    plain = values.ndim >= 3 and values.dtype.kind in "iu" and not variable.coordinates
    return plain and values.nbytes > _LONG_BYTES


def _stand_in(variable: Variable) -> np.ndarray:
    """Return an array as long as the values with one pixel per sample and the same extremes.

    To find the range for its plots, store_data makes two float64 copies of what it is given and more for the way: an
    hour of full frames would take 1.3 GB. It is given this instead, and the frames are put in afterward.
    """
    values = variable.values
    pixels = np.full((len(values), *[1] * (values.ndim - 1)), values.min())
    pixels[-1] = values.max()
    return pixels


def _stores() -> dict[str, ModuleType]:
    """The stores loaded now, pyspedas's first. Reading never imports one: what is not imported holds nothing."""
    stores = {}
    if "pyspedas.tplot_tools" in sys.modules:
        stores["pyspedas"] = sys.modules["pyspedas.tplot_tools"]
    pytplot = sys.modules.get("pytplot")
    # Releases of pytplot that only forward to pyspedas show the same store.
    if pytplot is not None and getattr(pytplot, "data_quants", None) is not None:
        if "pyspedas" not in stores or pytplot.data_quants is not stores["pyspedas"].data_quants:
            stores["pytplot"] = pytplot
    return stores


def _store(name: str) -> ModuleType:
    if name == "pyspedas":
        import pyspedas.tplot_tools

        return pyspedas.tplot_tools
    stores = _stores()
    if name not in stores:
        raise VariableError(f"store {name!r}", "it is not loaded", f"Import {name} first.")
    return stores[name]


def _entry(name: str) -> tuple[str, Any]:
    """Return the store that has a variable, and its entry there; raise VariableError if it is not loaded."""
    for store, module in _stores().items():
        if name in module.data_quants:
            return store, module.data_quants[name]
    raise _unknown(name, loaded_names())


def _expand_one(wanted: str | int, loaded: list[str]) -> list[str]:
    if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
        if not 0 <= wanted < len(loaded):
            found = f"{len(loaded)} variables are loaded"
            raise VariableError(f"variable {wanted}", found, "See pyspedas.tplot_names().")
        return [loaded[wanted]]
    if not isinstance(wanted, str):
        raise VariableError(repr(wanted)[:80], "this is not a name", "Give the name of a loaded tplot variable.")
    if wanted in loaded:
        return [wanted]
    found = [name for pattern in wanted.split() for name in loaded if fnmatch.fnmatchcase(name, pattern)]
    missing = [p for p in wanted.split() or [wanted] if not any(fnmatch.fnmatchcase(name, p) for name in loaded)]
    if missing:
        raise _unknown(missing[0], loaded)
    return found


def _unknown(name: str, loaded: list[str]) -> VariableError:
    near = difflib.get_close_matches(name, loaded, n=3)
    hint = f"Near names: {', '.join(near)}." if near else "pyspedas.tplot_names() shows what is loaded."
    return VariableError(name, "no tplot variable of this name is loaded", hint)


def _from_dataarray(name: str, entry: Any, store: str) -> Variable:
    if isinstance(entry, dict) or "time" not in getattr(entry, "coords", {}):
        raise VariableError(name, "it does not vary with time", "Give a variable with a time for every sample.")
    if entry.attrs.get("plot_options", {}).get("overplots"):
        raise VariableError(name, "it is a pseudovariable, a list of others to be plotted together", "Name its parts.")
    values = entry.values.view()
    values.flags.writeable = False
    coordinates = {key: np.asarray(entry.coords[key].values) for key in _COORDINATES if key in entry.coords}
    attributes = {key: value for key, value in entry.attrs.items() if key != "plot_options"}
    times = np.asarray(entry.coords["time"].values).astype("datetime64[ns]")
    options = _flat(entry.attrs.get("plot_options", {}))
    return Variable(name, times, values, coordinates, attributes, store, options)
