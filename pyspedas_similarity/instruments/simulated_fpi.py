"""Simulated electrons with the field and velocity that their images need, without leaving them loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..simulate import fpi
from ..tplot import preserved, read
from .companions import find_companions
from .segments import Segment


def segments_electrons(trange: Any, probe: Any = "1", **keywords: Any) -> Iterator[Segment]:
    """Electrons of a simulated crossing, one segment for each spacecraft.

    Parameters
    ----------
    trange, probe, **keywords
        As of `pyspedas_similarity.simulate.fpi.load`.
    """
    with preserved():
        names = [name for name in fpi.load_electrons(trange, probe, **keywords) if "_des_dist_" in name]
        distributions = [read(name) for name in names]
        segments = [Segment(one, find_companions(one, {})) for one in distributions]
    yield from segments
