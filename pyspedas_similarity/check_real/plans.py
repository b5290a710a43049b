"""What is checked: pinned time ranges with their sources, and what has to be found, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..times import to_datetime64


@dataclass(frozen=True)
class ElectronPlan:
    """Encounters with electron diffusion regions, and what a search from one of them has to find.

    Times are from the list of Webster et al. 2018 (doi 10.1029/2018JA025245). The query is the encounter of Burch et
    al. 2016 (doi 10.1126/science.aaf2939), with crescents in MMS2 at 13:07:02.160 to .280. The others are of the same
    dayside season; that of 2015-12-08 is the one of Burch and Phan 2016 (doi 10.1002/2016GL069787).

    Attributes
    ----------
    encounters : tuple of str
    query : str
        Time in one of them.
    probe : str
        The spacecraft of the query. The others of a tetrahedron cross within less than a second of it.
    around_s : float
        Time before and after each encounter that is searched: 4 x 60 s of burst data are 8,000 distributions, more
        than the 5,000 of the paper.
    tolerance_s : float
        Distance in time of a match from an encounter. The list has whole seconds, for one of four spacecraft.
    nearest, fewest : int
        Of so many nearest events, so many have to be other encounters: two of six, as in the paper (Smith et al. 2024,
        doi 10.1029/2023JA032096). Events at random times would pass with a probability of 0.03 (`chance`).
    most : float
        Largest share of the windows elsewhere, as long as those around the encounters, that have a sample as similar
        as the best one of an encounter. With random scores two of three encounters would reach it with a probability
        of 0.03.
    """

    encounters: tuple[str, ...] = (
        "2015-10-16/10:33:30",
        "2015-10-16/13:07:02",
        "2015-12-08/11:20:44",
        "2015-12-14/01:17:40",
    )
    query: str = "2015-10-16/13:07:02.2"
    probe: str = "2"
    around_s: float = 30.0
    tolerance_s: float = 2.0
    nearest: int = 6
    fewest: int = 2
    most: float = 0.1

    @property
    def times(self) -> np.ndarray:
        """Times of the encounters, datetime64[ns]."""
        return np.array([to_datetime64(one) for one in self.encounters])

    @property
    def others(self) -> np.ndarray:
        """Times of the encounters that the query is not in."""
        distance = np.abs(self.times - to_datetime64(self.query))
        return self.times[np.arange(len(distance)) != distance.argmin()]

    @property
    def tolerance(self) -> np.timedelta64:
        """Distance in time of a match from an encounter."""
        return _seconds(self.tolerance_s)

    @property
    def tranges(self) -> list[list[str]]:
        """Time ranges that are searched."""
        return [[str(one - _seconds(self.around_s)), str(one + _seconds(self.around_s))] for one in self.times]

    @property
    def chance(self) -> float:
        """Probability that as many of the nearest events are near other encounters, if their times were random."""
        from scipy.stats import binom

        share = self.tolerance_s / self.around_s * len(self.others) / len(self.times)
        return float(binom.sf(self.fewest - 1, self.nearest, share))


@dataclass(frozen=True)
class AuroraPlan:
    """An hour at two neighboring stations, and what a search from one frame has to find.

    Fort Smith and Athabasca are 590 km apart; light at 110 km is seen by both up to a few hundred km from the middle.
    The hour is one of the storm of 17 and 18 March 2015, of the pilot set of THEMISim 0.2, which has the SHA-256 of
    both files.

    Attributes
    ----------
    trange : tuple of str
    sites : tuple of str
        The station of the query, and its neighbor.
    near_s : float
        What is nearer in time than this shows the same structure: three minutes, a usual duration of auroral forms.
    apart_s : float
        Frames nearer than this are left out at the query's station: those next to each other differ by noise only.
    most : float
        Largest share of the other windows of the hour, of the same length, that are on average as similar to the query
        as the one around it. By chance, the window at one station would be among the most similar tenth in one of ten
        cases.
    """

    trange: tuple[str, str] = ("2015-03-18/07:00", "2015-03-18/08:00")
    sites: tuple[str, str] = ("fsmi", "atha")
    near_s: float = 180.0
    apart_s: float = 30.0
    most: float = 0.1

    @property
    def near(self) -> np.timedelta64:
        """Half width of the window around the query."""
        return _seconds(self.near_s)

    @property
    def apart(self) -> np.timedelta64:
        """Half width of the part of the window that is left out at the query's station."""
        return _seconds(self.apart_s)


def _seconds(value: float) -> np.timedelta64:
    return np.timedelta64(round(value * 1e9), "ns")
