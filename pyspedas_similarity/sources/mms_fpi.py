"""MMS FPI distributions through pyspedas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError, LoadError
from ..times import to_interval
from ..tplot import loaded_names


def load_ions(trange: Any, probe: str | int | Sequence[str | int] = "1", **keywords: Any) -> list[str]:
    """Load DIS distributions; see `load`."""
    return load("dis", trange, probe, **keywords)


def load_electrons(trange: Any, probe: str | int | Sequence[str | int] = "1", **keywords: Any) -> list[str]:
    """Load DES distributions; see `load`."""
    return load("des", trange, probe, **keywords)


def load(
    sensor: str,
    trange: Any,
    probe: str | int | Sequence[str | int],
    data_rate: str = "brst",
    suffix: str = "",
    **keywords: Any,
) -> list[str]:
    """Load distributions of FPI with ``pyspedas.projects.mms.fpi``.

    Parameters
    ----------
    sensor : {'dis', 'des'}
    trange : time range in any form
    probe : '1' to '4', or several
    data_rate : {'brst', 'fast'}
    suffix : str
    **keywords
        Further keywords of that loader, such as ``no_update`` or ``spdf``. Downloads come from SPDF unless
        ``spdf=False``: the loader's other way may ask for a password at the terminal.

    Returns
    -------
    list of str
        Names of the distributions, one for each probe that has data.

    Raises
    ------
    ArgumentError
        For a probe or data rate that does not exist.
    LoadError
        If the loader fails.
    """
    probes = [str(one) for one in ([probe] if isinstance(probe, (str, int)) else probe)]
    if not probes or any(one not in ("1", "2", "3", "4") for one in probes):
        raise ArgumentError("probe", f"found {probe!r}", "Give one or more of 1, 2, 3, 4.")
    if data_rate not in ("brst", "fast"):
        raise ArgumentError("data_rate", f"found {data_rate!r}", "Give 'brst' or 'fast'.")
    from pyspedas.projects import mms

    options = {"time_clip": True, "spdf": not keywords.get("no_update", False), **keywords}
    trange = [str(time) for time in to_interval(trange)]
    try:
        names = mms.fpi(
            trange=trange, probe=probes, data_rate=data_rate, datatype=f"{sensor}-dist", suffix=suffix, **options
        )
    except TypeError as error:
        raise ArgumentError("keywords of mms.fpi", str(error), "See the documentation of pyspedas.") from error
    except (OSError, ValueError) as error:
        raise LoadError(f"mms.fpi {trange}", str(error), "Try again, or with no_update=True on local files.") from error
    wanted = [f"mms{one}_{sensor}_dist_{data_rate}{suffix}" for one in probes]
    return [name for name in wanted if names and name in names and name in loaded_names()]
