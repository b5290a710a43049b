"""Refining a search by judging what it found: yes and no become likes and unlikes of the next search."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..encoder.fitted import NAMED
from ..encoder.shipped import SHIPPED
from ..errors import ArgumentError, QueryError
from ..files import check_place, write_whole
from ..functions.search import find_similar
from ..imaging.recipes import recipe_from_dict
from ..plotting.report_page.content import Result
from .judged_lists import META, VERSION, Judged, read_list, text_of
from .looking_again import Again, Seen, pictures_at
from .report import read_results

if TYPE_CHECKING:
    from astropy.table import Table

PAGE = 10
"""How many matches are offered at once."""

ANSWERS = ("yes", "no")
_SUFFIX = "_review"
_NAME = "variable"
"""Under this the provenance in a file names the variable, which an archive calls by source and site."""

_SEARCHING = set(inspect.signature(find_similar).parameters) - {"names", "probe", "load_keywords"}
"""Keywords of `find_similar` that are not handed on to a loader."""

_LABEL = re.compile(r"(?P<name>.+) \d{4}-\d\d-\d\dT[\d:.]+(?: to \d{4}-\d\d-\d\dT[\d:.]+)?", re.DOTALL)
# Keywords that a list keeps as text, so that it can be taken up again.
_KEPT = (str, int, float, bool, type(None))


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

    def __init__(self, results: Sequence[Result], search: Mapping[str, Any], names: Sequence[str] = ()) -> None:
        self.names, self.rounds, self.path = list(names), 0, None
        self.judged: list[Judged] = []
        self.waiting: list[Judged] = []
        self._results, self._search = list(results), dict(search)
        self._queries = _queries_of(self._results, self._search)
        self._offered, self._numbered, self._stamp = 0, 0, ""
        self._origin = [{**result.record, _NAME: result.name} for result in results]

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
        """What is looked for, as `find_similar` takes it: the first queries, and all that was answered yes."""
        return [*self._queries, *((one.source, one.peak) for one in self.judged if one.answer == "yes")]

    @property
    def unlikes(self) -> list[Any]:
        """What is not looked for."""
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
        # Around what was answered no, matches come again and are left out: so many more are asked for.
        most = n + len(self.judged) + len(self.waiting[: self._offered])
        keywords = {"k": most, "suffix": _SUFFIX, **self._search, "like": self.likes, "errors": "raise"}
        keywords["unlike"] = self.unlikes or None
        names = find_similar(**keywords)
        results = read_results(names) if names else []
        _check_same_images(results, self._origin)
        self.names, self._results = names, results or self._results
        self.rounds += 1
        self._offer(results)
        return self.next(n)

    def table(self) -> Table:
        """All answers, then what has none, as a table whose ``meta`` has the provenance."""
        from astropy.table import Table

        rows = [*self.judged, *self.waiting]
        extra = dict.fromkeys(key for one in rows for key in one.extra)
        columns = {name: [one.cell(name) for one in rows] for name in (*Judged.COLUMNS, *extra)}
        kinds = [_KINDS.get(name, str) for name in columns]
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
            Replace a file of somebody else, or one that was changed since.

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
        content = text_of(self.table()).encode("utf-8")
        write_whole(place, content, overwrite or own)
        self.path, self._stamp = place, _stamp(content)
        return place

    @classmethod
    def resume(cls, path: str | Path, **search: Any) -> Review:
        """Take a saved review up again; see `resume_review`."""
        found = read_list(path)
        results = [Result(record, _NOTHING, name=record[_NAME]) for record in found.about["search"]]
        lacking = sorted(set(found.about.get("not_kept", ())) - set(search))
        if lacking:
            remedy = "Give them to resume_review as they were given to review."
            raise ArgumentError(f"list {path}", f"it could not keep {', '.join(lacking)}", remedy)
        made = cls(results, {**_from_text(found.about.get("keywords", {})), **search})
        made.judged = sorted((one for one in found.rows if one.answer), key=lambda one: one.number)
        made.waiting = [one for one in found.rows if not one.answer]
        made.rounds = int(found.about.get("rounds", 0))
        made._numbered = max((one.number for one in found.rows), default=0)
        made.path, made._stamp = Path(path), found.stamp
        return made

    def pictures(self, matches: Sequence[Judged]) -> dict[int, tuple[tuple[Any, ...], str]]:
        """Pictures of matches by their number, and why there is none."""
        found = {}
        for result in self._results:
            mine = [one for one in matches if one.source == result.name]
            if not mine:
                continue
            seen = pictures_at(result, np.array([one.peak for one in mine], "datetime64[ns]"), self._reader())
            found |= {one.number: _picture(seen, one.peak) for one in mine}
        return found

    def query_pictures(self) -> list[tuple[tuple[Any, ...], str]]:
        """Pictures of the queries of the latest search that lie in what was searched."""
        nothing = np.array([], "datetime64[ns]")
        seen = [pictures_at(result, nothing, self._reader()) for result in self._results]
        return [pair for one in seen for pair in ([*one.cards.values()] or [((), one.missing)])]

    def _ipython_display_(self) -> None:
        if importlib.util.find_spec("ipywidgets") is None:
            raise NotImplementedError  # IPython then shows the text
        from .review_widget import show

        show(self)

    def _reader(self) -> Again:
        known = {"encoder": None, "instrument": None, "trange": None, "probe": None, "field": None, "velocity": None}
        given = known | {key: self._search[key] for key in known if key in self._search}
        companions = {key: given.pop(key) for key in ("field", "velocity")}
        loading = {key: value for key, value in self._search.items() if key not in {*_SEARCHING, *known, "names"}}
        return Again(*given.values(), companions, False, loading)

    def _offer(self, results: Sequence[Result]) -> None:
        """Wait for answers to what was found, without what has been answered."""
        found = [one for result in results for one in _matches(result)]
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


_KINDS = {"number": int, "round": int, "score": float, "n_samples": int}
_NOTHING: dict[str, list[Any]] = {"start_ns": [], "end_ns": [], "peak_ns": [], "score": [], "n_samples": []}


def review(names: str | Iterable[str], **search: Any) -> Review:
    """Judge the matches of a search, and search again with the answers.

    Parameters
    ----------
    names : str or list of str
        What `find_similar` returned.
    **search
        Keywords of `find_similar` for the searches that follow, where they cannot be read off the result: an encoder
        that has no name; ``instrument``, ``trange``, ``probe`` and the loader's keywords where it loaded what it
        searched; ``field``, ``velocity``; ``like`` where a query was an array.

    Returns
    -------
    Review
        In a notebook with ipywidgets it shows queries and matches with buttons. Elsewhere: ``next()``, ``judge(number,
        'yes')``, ``again()``, ``save(path)``.

    Raises
    ------
    SimilarityError
        If what is named is no result of `find_similar`, or cannot be searched again.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> judged = sim.review(found)  # doctest: +SKIP
    """
    results = read_results(names)
    if not results:
        raise ArgumentError("names", "nothing was found, so there is nothing to judge", "Give what find_similar found.")
    keywords = _search_again(results, {key: value for key, value in search.items() if value is not None})
    made = Review(results, keywords, [names] if isinstance(names, str) else list(names))
    made._offer(results)
    return made


def resume_review(path: str | Path, **search: Any) -> Review:
    """Take up a review that was saved.

    Parameters
    ----------
    path : str or Path
        What `Review.save` wrote. Times may carry an offset from UTC; columns that are not known here are kept.
    **search
        As of `review`; they come before those in the file.

    Raises
    ------
    ArgumentError
        If it is no such file, or one of its rows cannot be read; it says which.
    """
    return Review.resume(path, **search)


def _search_again(results: Sequence[Result], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of `find_similar` that search the same again, read off the provenance, and those given."""
    record = results[0].record
    encoder = record["encoder"].get("name", "")
    keywords: dict[str, Any] = {"exclude": record["exclude_s"], "progress": False}
    if "archive" in record:
        keywords["archive"] = record["archive"]["path"]
        sites = [site for result in results for site in (result.record.get("station") or {}).values()]
        keywords["probe"] = list(dict.fromkeys(sites)) or None
    if "archive" in record or not _is_to_be_loaded(results, given):
        keywords["names"] = list(dict.fromkeys(result.source for result in results))
    if "archive" not in record:
        keywords["recipe"] = recipe_from_dict({k: v for k, v in record["recipe"].items() if k != "hash"})
    if encoder in (*NAMED, *SHIPPED):
        keywords["encoder"] = encoder
    elif "encoder" not in given and "archive" not in record:
        found = f"the search was with {encoder!r}, which cannot be had by its name"
        raise ArgumentError("encoder", found, "Give it: encoder=.")
    times = [result.times for result in results if result.times is not None]
    if times:
        keywords["trange"] = [str(min(one[0] for one in times)), str(max(one[-1] for one in times))]
    if "gate" in record:
        keywords |= {key: record["gate"][key] for key in ("usable_only", "active_only")}
    unlike = [_query(one, results) for one in record.get("unlike", ())]
    return keywords | ({"unlike": unlike} if unlike else {}) | dict(given)


def _is_to_be_loaded(results: Sequence[Result], given: Mapping[str, Any]) -> bool:
    """Whether the instrument's loader has to bring what is searched; else it is loaded."""
    loading = set(given) - _SEARCHING - {"instrument"}
    loaded = {result.source for result in results} <= set(tplot.loaded_names())
    return "instrument" in given and (bool(loading) or not loaded)


def _queries_of(results: Sequence[Result], search: dict[str, Any]) -> list[Any]:
    if "like" in search:
        return _listed(search["like"])
    return [_query(one, results) for one in (results[0].record["queries"] if results else ())]


def _listed(like: Any) -> list[Any]:
    """Examples as a list; a pair of times stays one interval."""
    if like is None:
        return []
    return like if isinstance(like, list) and any(isinstance(one, (tuple, list)) for one in like) else [like]


def _query(query: Mapping[str, Any], results: Sequence[Result]) -> tuple[str, Any]:
    """A query of the provenance as `find_similar` takes it."""
    found = _LABEL.fullmatch(str(query.get("label", "")))
    if "start" not in query or found is None:
        remedy = "Give it to review: like=."
        raise QueryError(f"query {query.get('label', '')}", "it was an array, which no result keeps", remedy)
    owner = next((one.name for one in results if one.has(query)), found["name"])
    return owner, [query["start"], query["end"]]


def _matches(result: Result) -> Iterator[Judged]:
    found = result.intervals
    for number, score in enumerate(found["score"]):
        start, end, peak = (np.datetime64(int(found[f"{key}_ns"][number]), "ns") for key in ("start", "end", "peak"))
        yield Judged(0, "", 0, result.name, start, end, peak, float(score), int(found["n_samples"][number]))


def _is_same_event(match: Judged, old: Judged, gap: np.timedelta64) -> bool:
    return match.source == old.source and old.start - gap <= match.peak <= old.end + gap


def _check_same_images(results: Sequence[Result], origin: Sequence[Mapping[str, Any]]) -> None:
    """Refuse answers that would be mixed with those to other embeddings."""
    for result in results:
        for part in ("encoder", "recipe"):
            now, then = result.record[part]["hash"], origin[0][part]["hash"]
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
            kept[key] = [_example_as_text(one) for one in _listed(value)]
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


def _example_as_text(one: Any) -> Any:
    return {"name": one[0], "at": one[1]} if isinstance(one, tuple) else one


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, _KEPT)


def _stamp(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _picture(seen: Seen, time: np.datetime64) -> tuple[tuple[Any, ...], str]:
    return seen.cards.get(time, ((), seen.missing or "it is not there."))
