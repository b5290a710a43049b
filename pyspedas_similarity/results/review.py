"""Review of the matches of a search: answers of yes and no refine the next search."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, QueryError
from ..files import check_place, write_whole
from ..imaging.recipes import recipe_from_dict
from ..library.plan import is_available_by_name, recipe_of_record
from .exports import ecsv
from .judged_lists import COLUMNS, META, NUMBERS, VERSION, Judged, read_list
from .reading import read_result
from .reload import Reloaded, ReloadOptions, reload_series
from .report import sample_pictures
from .search_result import SearchResult
from .searched_series import QueryRecord, SearchedSeries

if TYPE_CHECKING:
    from astropy.table import Table

PAGE = 10
"""Number of matches offered at once."""

ANSWERS = ("yes", "no")
_SUFFIX = "_review"
_LOADING = ("instrument", "trange", "probe", "load_keywords", "field", "velocity")
# Types of keywords that a saved review can hold as text.
_SAVED = (str, int, float, bool, type(None))

Find = Callable[..., list[str]]
"""The function `find_similar`, by which a review searches again."""


class Review:
    """Matches that are judged one by one, and the search they refine.

    Made by `review` and `resume_review`. In a notebook with ipywidgets it shows itself, with buttons.

    Attributes
    ----------
    names : list of str
        What `find_similar` returned of the latest search.
    rounds : int
        How often it was searched again.
    judged : list of Judged
        Answers so far, in the order of their numbers.
    waiting : list of Judged
        Matches of the latest search that have no answer, best first.
    path : Path or None
        Where it was saved.

    Notes
    -----
    A yes adds the best sample of the match to `like`, a no to `unlike`. The rule of `find_similar` for several of them
    then counts: the nearest like is the score, and where something unlike is nearer, the score is lowered by the
    difference. What was judged does not come again.
    """

    def __init__(self, result: SearchResult, search: Mapping[str, Any], find: Find, names: Sequence[str] = ()) -> None:
        self.names, self.rounds, self.path = list(names), 0, None
        self.judged: list[Judged] = []
        self.waiting: list[Judged] = []
        self._result, self._search, self._find = result, dict(search), find
        self._queries = _queries_of(result, self._search)
        self._offered, self._numbered, self._stamp = 0, 0, ""
        self._origin = [{**one.record, "name": one.name} for one in result.searched]

    def __repr__(self) -> str:
        yes, no = (sum(one.answer == answer for one in self.judged) for answer in ANSWERS)
        return f"<Review: {yes} yes, {no} no, {len(self.waiting)} waiting, {self.rounds} times searched again>"

    def next(self, n: int = PAGE) -> list[Judged]:
        """The next matches that have no answer, best first; fewer, or none, at the end of the list."""
        page = self.waiting[self._offered : self._offered + n]
        self._offered += len(page)
        return page

    def judge(self, number: int, answer: str) -> None:
        """Answer for one match; a later answer takes the place of an earlier one.

        Parameters
        ----------
        number : int
            Of the match, as `next` gave it.
        answer : {'yes', 'no'}

        Raises
        ------
        ArgumentError
            If there is no such match, or it is no answer.
        """
        if answer not in ANSWERS:
            raise ArgumentError("answer", f"found {answer!r:.80}", "Give 'yes' or 'no'.")
        for place, one in enumerate(self.judged):
            if one.number == number:
                self.judged[place] = replace(one, answer=answer)
                return
        for place, one in enumerate(self.waiting):
            if one.number == number:
                self.judged.append(replace(self.waiting.pop(place), answer=answer))
                self.judged.sort(key=lambda judged: judged.number)
                self._offered -= place < self._offered
                return
        raise ArgumentError("number", f"found {number!r:.80}", "Give the number of a match that was offered.")

    @property
    def likes(self) -> list[Any]:
        """Examples for `like` of `find_similar`: the first queries, and all matches answered yes."""
        return [*self._queries, *((one.source, one.peak) for one in self.judged if one.answer == "yes")]

    @property
    def unlikes(self) -> list[Any]:
        """Examples for `unlike`."""
        given = self._search.get("unlike")
        return [*_listed(given), *((one.source, one.peak) for one in self.judged if one.answer == "no")]

    def again(self, n: int = PAGE) -> list[Judged]:
        """Search again with all answers.

        The results are tplot variables whose names end in ``_review``; those of the first search stay.

        Parameters
        ----------
        n : int
            How many matches to offer.

        Returns
        -------
        list of Judged
            As of `next`: the best that have no answer.

        Raises
        ------
        SimilarityError
            If what was searched is not there any more, or would be encoded otherwise. The answers stay.
        """
        # Matches around those answered no come again and are left out: so many more are requested.
        most = n + len(self.judged) + len(self.waiting[: self._offered])
        keywords = {"k": most, "suffix": _SUFFIX, **self._search, "like": self.likes, "errors": "raise"}
        keywords["unlike"] = self.unlikes or None
        names = self._find(**keywords)
        result = read_result(names)
        _check_same_images(result, self._origin)
        self.names = names
        if names:
            self._result = result
        self.rounds += 1
        self._offer(result)
        return self.next(n)

    def table(self) -> Table:
        """All answers, then what has none, as a table whose ``meta`` has the provenance."""
        from astropy.table import Table

        rows = [*self.judged, *self.waiting]
        extra = dict.fromkeys(key for one in rows for key in one.extra)
        columns = {name: [one.cell(name) for one in rows] for name in (*COLUMNS, *extra)}
        kinds = [NUMBERS.get(name, str) for name in columns]
        table = Table(list(columns.values()), names=list(columns), dtype=kinds)
        kept = _as_text(self._search)
        table.meta[META] = {
            "version": VERSION,
            "rounds": self.rounds,
            "times": "UTC",
            "search": self._origin,
            "keywords": kept,
            "not_kept": sorted(set(self._search) - set(kept)),
        }
        return table

    def save(self, path: str | Path | None = None, overwrite: bool = False) -> Path:
        """Write all answers and what has none to an ECSV file, whole or not at all.

        Parameters
        ----------
        path : str or Path, optional
            Ending in .ecsv; default where it was saved or read before.
        overwrite : bool
            Replace the file of another program, or one that was changed since.

        Raises
        ------
        ArgumentError
            If it cannot be written there.
        """
        given = self.path if path is None else path
        if given is None:
            raise ArgumentError("path", "none is given", "Give the name of a file that ends in .ecsv.")
        own = self.path is not None and Path(given).resolve() == self.path.resolve()
        place = check_place(given, (".ecsv",), overwrite or own)
        if own and not overwrite and place.exists() and _stamp(place.read_bytes()) != self._stamp:
            remedy = "Save under another name, or overwrite=True to lose that change."
            raise ArgumentError(f"path {place}", "it was changed since it was read", remedy)
        content = ecsv(self.table(), delimiter=",").encode("utf-8")
        write_whole(place, content, overwrite or own)
        self.path, self._stamp = place, _stamp(content)
        return place

    @classmethod
    def resume(cls, path: str | Path, find: Find, **search: Any) -> Review:
        """Read a saved review; see `resume_review`."""
        found = read_list(path)
        empty = SearchResult.empty("").events
        result = SearchResult(empty, [SearchedSeries(record) for record in found.about["search"]])
        lacking = sorted(set(found.about.get("not_kept", ())) - set(search))
        if lacking:
            remedy = "Give them to resume_review as they were given to review."
            raise ArgumentError(f"list {path}", f"it could not keep {', '.join(lacking)}", remedy)
        made = cls(result, {**_from_text(found.about.get("keywords", {})), **search}, find)
        made.judged = sorted((one for one in found.rows if one.answer), key=lambda one: one.number)
        made.waiting = [one for one in found.rows if not one.answer]
        made.rounds = int(found.about.get("rounds", 0))
        made._numbered = max((one.number for one in found.rows), default=0)
        made.path, made._stamp = Path(path), found.stamp
        return made

    def pictures(self, matches: Sequence[Judged]) -> dict[int, tuple[tuple[Any, ...], str]]:
        """Return pictures of matches by their number, and the reason where there is none."""
        found = {}
        for series in self._result.searched:
            own = [one for one in matches if one.source == series.name]
            if own:
                made = self._reload(series, np.array([one.peak for one in own], "datetime64[ns]"))
                found |= {one.number: sample_pictures(made, one.peak) for one in own}
        return found

    def query_pictures(self) -> list[tuple[tuple[Any, ...], str]]:
        """Return pictures of the queries of the latest search that lie in what was searched."""
        found = []
        for series in self._result.searched:
            made = self._reload(series, np.array([], "datetime64[ns]"))
            times = [*made.samples, *made.thumbnails]
            found += [sample_pictures(made, time) for time in times] or [((), made.missing)]
        return found

    def _reload(self, series: SearchedSeries, times: np.ndarray) -> Reloaded:
        given = {key: self._search[key] for key in ("encoder", *_LOADING) if key in self._search}
        return reload_series(self._result, series, times, ReloadOptions(**given))

    def _ipython_display_(self) -> None:
        if importlib.util.find_spec("ipywidgets") is None:
            raise NotImplementedError  # IPython then shows the text
        from .review_widget import ReviewWidget

        importlib.import_module("IPython.display").display(ReviewWidget(self).box)

    def _offer(self, result: SearchResult) -> None:
        """Wait for answers to the matches of a result, without those already answered."""
        found = list(_matches(result))
        kept = [one for one in found if not any(_is_same_event(one, old, self._gap) for old in self.judged)]
        kept.sort(key=lambda one: -one.score)
        known = {(one.source, one.peak): one for one in self.waiting}
        self.waiting, self._offered = [], 0
        for one in kept:
            old = known.get((one.source, one.peak))
            if old is None:
                self._numbered += 1
            number, extra = (self._numbered, {}) if old is None else (old.number, old.extra)
            self.waiting.append(replace(one, number=number, round=self.rounds, extra=extra))

    @property
    def _gap(self) -> np.timedelta64:
        seconds = max((record.get("exclude_s") or 0.0 for record in self._origin), default=0.0)
        return np.timedelta64(round(seconds * 1e9), "ns")


def begin_review(found: Any, find: Find, search: Mapping[str, Any]) -> Review:
    """Begin the review of a result; SimilarityError if nothing was found or the search cannot be repeated."""
    result = read_result(found)
    if not len(result):
        raise ArgumentError("found", "there is no match to judge", "Give what find_similar returned.")
    keywords = _repeated_search(result, {key: value for key, value in search.items() if value is not None})
    names = [] if isinstance(found, SearchResult) else [found] if isinstance(found, str) else list(found)
    made = Review(result, keywords, find, names)
    made._offer(result)
    return made


def _repeated_search(result: SearchResult, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of `find_similar` that repeat a search: those given, and those in its record."""
    record = result.record
    sources = list(dict.fromkeys(one.source for one in result.searched))
    keywords: dict[str, Any] = {"exclude": record["exclude_s"], "progress": False}
    if "archive" in record:
        keywords["archive"], keywords["names"] = record["archive"]["path"], sources
        keywords["probe"] = list(dict.fromkeys(one.place for one in result.searched if one.place)) or None
    else:
        keywords["recipe"] = recipe_of_record(record)
        groups = [one.panel_names for one in result.searched]
        together = any(len(one) > 1 for one in groups)
        keywords |= {"together": True} if together else {}
        recorded = {key: value for key, value in record.get("input", {}).items() if value}
        if _has_to_load(sources, {**recorded, **given}):
            keywords |= recorded
        else:
            keywords["names"] = groups if together else sources
            keywords |= {key: recorded[key] for key in ("instrument", "field", "velocity") if key in recorded}
    encoder = record["encoder"].get("name", "")
    if is_available_by_name(encoder):
        keywords["encoder"] = encoder
    elif "encoder" not in given and "archive" not in record and not any(one.is_of_panels for one in result.searched):
        found = f"the search used {encoder!r}, a name that does not identify the encoder"
        raise ArgumentError("encoder", found, "Give it: encoder=.")
    times = [one.times for one in result.searched if one.times is not None]
    if times:
        seconds = record["recipe"].get("length_s") or 0.0 if result.searched[0].is_of_panels else 0.0
        half = np.timedelta64(round(seconds * 5e8), "ns")  # times of windows of panels are those of their middles
        keywords["trange"] = [str(min(one[0] for one in times) - half), str(max(one[-1] for one in times) + half)]
    if "frame_quality" in record:
        keywords |= {key: record["frame_quality"][key] for key in ("usable_only", "active_only")}
    unlike = [_example(one) for one in result.searched[0].unlike]
    return keywords | ({"unlike": unlike} if unlike else {}) | dict(given)


def _has_to_load(sources: Sequence[str], given: Mapping[str, Any]) -> bool:
    """Return True if the loader of the instrument has to bring the data; else they are loaded."""
    loaded = set(sources) <= set(tplot.loaded_names())
    return "instrument" in given and "trange" in given and (bool(given.get("load_keywords")) or not loaded)


def _queries_of(result: SearchResult, search: Mapping[str, Any]) -> list[Any]:
    if "like" in search:
        return _listed(search["like"])
    return [_example(one) for one in (result.searched[0].queries if result.searched else ())]


def _listed(like: Any) -> list[Any]:
    """Examples as a list; a pair of times stays one interval."""
    if like is None:
        return []
    return like if isinstance(like, list) and any(isinstance(one, (tuple, list)) for one in like) else [like]


def _example(query: QueryRecord) -> tuple[str, Any]:
    """Return a recorded query as `find_similar` takes it."""
    if query.span is None:
        raise QueryError(
            f"query {query.label}", f"it was {query.kind}, which no result holds", "Give it to review: like=."
        )
    return query.variable, [str(query.span.start), str(query.span.end)]


def _matches(result: SearchResult) -> Iterator[Judged]:
    for series in result.searched:
        events = result.events_of(series)
        columns = (events.start, events.end, events.peak, events.score, events.n_samples)
        for start, end, peak, score, n_samples in zip(*columns, strict=True):
            yield Judged(0, "", 0, series.name, start, end, peak, float(score), int(n_samples))


def _is_same_event(match: Judged, old: Judged, gap: np.timedelta64) -> bool:
    return match.source == old.source and old.start - gap <= match.peak <= old.end + gap


def _check_same_images(result: SearchResult, origin: Sequence[Mapping[str, Any]]) -> None:
    """Raise ArgumentError if answers would be mixed with those to other embeddings."""
    for series in result.searched:
        for part in ("encoder", "recipe"):
            now, then = series.record[part]["hash"], origin[0][part]["hash"]
            if now != then:
                found = f"searched again with the hash {now}, first with {then}"
                remedy = f"Give the {part} of the first search, and field and velocity if they were given."
                raise ArgumentError(part, found, remedy)


def _as_text(search: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that a file can keep: plain values, paths, recipes as in the provenance, and examples with times."""
    kept: dict[str, Any] = {}
    for key, value in search.items():
        if isinstance(value, Path):
            value = str(value)
        if key == "recipe" and hasattr(value, "to_dict"):
            kept[key] = value.to_dict()
        elif key in ("like", "unlike") and all(map(_is_example, _listed(value))):
            kept[key] = [{"name": one[0], "at": one[1]} if isinstance(one, tuple) else one for one in _listed(value)]
        elif _is_plain(value):
            kept[key] = value
    return kept


def _from_text(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords again."""
    search = dict(kept)
    if isinstance(search.get("recipe"), Mapping):
        search["recipe"] = recipe_from_dict(search["recipe"])
    for key in ("like", "unlike"):
        if key in search:
            search[key] = [(one["name"], one["at"]) if isinstance(one, Mapping) else one for one in search[key]]
    return search


def _is_example(one: Any) -> bool:
    return _is_plain(one) or (isinstance(one, tuple) and len(one) == 2 and all(map(_is_plain, one)))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return isinstance(value, _SAVED)


def _stamp(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
