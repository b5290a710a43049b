"""Words: the paragraphs for a methods section, and the citation. Every number in them is of the provenance."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...imaging.recipes import PanelRecipe
from ...provenance import METHOD
from .content import Result

# Trailing zeros of a time of day.
_ZEROS = re.compile(r"(\d\d:\d\d:\d\d)(\.\d*?)0+(?!\d)")
# From this number on, variables that were searched with the same settings share one paragraph.
_MANY = 3
SOFTWARE = "pyspedas-similarity developers, pyspedas-similarity"


def methods_text(results: Sequence[Result], versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return paragraphs for a methods section on how the events were found, by software of these versions."""
    if not results:
        return ("No interval was found, and no record of a search was given.",)
    record = results[0].record
    first = " ".join((_what(record, versions), _score(record)))
    return tuple(tidy(one) for one in (first, *_paragraphs(results), _software(versions)))


def tidy(text: str) -> str:
    """Times without the zeros at their ends."""
    return _ZEROS.sub(lambda found: found[1] + found[2].rstrip("."), text)


def citation(versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return the citations of the method and of this software."""
    return METHOD, f"{SOFTWARE}, version {versions.get('pyspedas-similarity', 'unknown')}"


def _what(record: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    version = versions.get("pyspedas-similarity", "of unknown version")
    method = METHOD.partition(",")[0]
    return (
        f"Events that resemble {_queries(record.get('queries', ()))} were searched for with pyspedas-similarity "
        f"{version}, by the method of {method}."
    )


def _queries(queries: Sequence[Mapping[str, Any]]) -> str:
    if not queries:
        return "a query that is not recorded"
    if len(queries) == 1:
        return f"the query {_query(queries[0])}"
    parts = [_query(one) for one in queries[:3]]
    if len(queries) > 3:
        parts.append(f"{len(queries) - 3} more")
    return f"{len(queries)} queries: {'; '.join(parts[:-1])} and {parts[-1]}"


def _query(query: Mapping[str, Any]) -> str:
    label = str(query.get("label", ""))
    n = query.get("n_samples", 1)
    if "file" in query:
        return f"the image file {label}"
    if "start" not in query:
        return "an array given by the user"
    return f"{label} UTC" + (f" (mean of {n} samples)" if n != 1 else "")


def _score(record: Mapping[str, Any]) -> str:
    many = len(record.get("queries", ())) > 1
    query = "the nearest query" if many else "the query"
    is_panel = record.get("recipe", {}).get("kind") == PanelRecipe.kind
    text = _windows(record, query) if is_panel else _images(record, query)
    unlike = len(record.get("unlike", ()))
    if unlike:
        text += f", lowered by the difference where it is nearer to one of {count(unlike, 'unlike example')}"
    return f"{text}.{_relative(record)}"


def _images(record: Mapping[str, Any], query: str) -> str:
    recipe, encoder = record.get("recipe", {}), record.get("encoder", {})
    return (
        f"Every sample was made into an image by a fixed recipe for {recipe.get('kind', 'unknown')} images (hash "
        f"{recipe.get('hash', 'unknown')}) and into an embedding by the encoder '{encoder.get('name', 'unknown')}' "
        f"({encoder.get('method', 'unknown')}; hash {encoder.get('hash', 'unknown')}). "
        f"The score of a sample is the cosine between its embedding and that of {query}"
    )


def _windows(record: Mapping[str, Any], query: str) -> str:
    recipe = record["recipe"]
    names = ", ".join(str(one["name"]) for one in record.get("panels", ()))
    length, stride = recipe.get("length_s"), record.get("stride_s")
    long = f"Windows of {length:g} s" if length is not None else "Windows as long as the query"
    every = f", one every {stride:g} s," if stride is not None else ""
    return (
        f"{long}{every} of {names} were compared by curve, level and fluctuations (recipe hash "
        f"{recipe.get('hash', 'unknown')}). The score of a window is its similarity to {query}"
    )


def _relative(record: Mapping[str, Any]) -> str:
    """Return what similarity is relative to; nothing for a record that does not say."""
    rule = record.get("view", {}).get("rule")
    if rule == "none":
        return " The score is not relative to a library."
    where = "a reference archive" if "relative_to" in record else "the searched library"
    common = f" It is relative to {where}: what its samples have in common was subtracted before the comparison."
    return common if rule is not None else ""


def _paragraphs(results: Sequence[Result]) -> Iterator[str]:
    """One paragraph for each variable, or one for all that were searched by the same rules, if these are many."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((_archive(result.record), _rules(result.record)), []).append(result)
    for group in groups.values():
        if len(group) < _MANY:
            yield from map(_searched, group)
        else:
            yield _all_searched(group)


def _all_searched(results: Sequence[Result]) -> str:
    record = results[0].record
    each = "; ".join(f"{result.source}, {_samples(result)}" for result in results)
    scores = [score for result in results for score in result.intervals.get("score", ())]
    text = f"{len(results)} variables were searched{_archive(record)}: {each}. {_rules(record)}"
    if not scores:
        return f"{text} No interval was found."
    with_some = sum(len(result.intervals.get("score", ())) > 0 for result in results)
    found = f"{count(len(scores), 'interval')} in {count(with_some, 'variable')}"
    return f"{text} This gave {found}, {_scores_of(results)}."


def _scores_of(results: Sequence[Result]) -> str:
    """Return the range of the scores, and how many stand out of the background, where that is known."""
    scores = [score for result in results for score in result.intervals.get("score", ())]
    text = f"with scores from {min(scores):.4f} to {max(scores):.4f}"
    known = [bool(one) for result in results for one in result.intervals.get("stands_out", ())]
    if len(known) < len(scores):
        return text
    number = sum(known)
    if len(known) == 1:
        return f"{text}; it {'stands' if number else 'does not stand'} out of the background"
    which = "none" if number == 0 else "all" if number == len(known) else str(number)
    return f"{text}; {which} of them {'stands' if number < 2 else 'stand'} out of the background"


def _archive(record: Mapping[str, Any]) -> str:
    if "archive" not in record:
        return ""
    return f" in version {record['archive'].get('version', 'unknown')} of an archive"


def _searched(result: Result) -> str:
    record, found = result.record, result.intervals.get("score", ())
    text = f"In {result.source}, {_samples(result)} were searched{_archive(record)}. {_rules(record)}"
    if len(found):
        return f"{text} This gave {count(len(found), 'interval')}, {_scores_of([result])}."
    return f"{text} No interval was found."


def _samples(result: Result) -> str:
    n = result.searched
    if n is None:
        return "samples whose number is not recorded"
    if not len(result.times):
        return "0 samples"
    return f"{count(n, 'sample')} from {result.times[0]} to {result.times[-1]} UTC"


def _rules(record: Mapping[str, Any]) -> str:
    exclude, threshold = record.get("exclude_s"), record.get("threshold")
    text = ""
    if record.get("own_events") and record.get("exclude") == "auto":
        text += "The event that holds a query, down to where the score falls to the background, was left out. "
    elif exclude is not None:
        text += f"Samples within {exclude:g} s of a query were left out. "
    text += "An event is a peak of the score, as far as the score stays above half of its height above the median."
    if threshold is not None and not math.isfinite(threshold):
        text += " No score stands out of the background."
    elif threshold is not None and record.get("threshold_by") == "background":
        text += f" Scores from {threshold:.4f} on stand out of the background."
    elif threshold is not None:
        text += f" Events with a score of at least {threshold:.4f} were taken."
    if record.get("k") is not None:
        text += f" At most the best {count(record['k'], 'interval')} were kept."
    calibrated = record.get("fdr")
    if calibrated:
        text += (
            f" The threshold keeps the false discovery rate among the intervals at {calibrated['fdr']:g} (Benjamini "
            f"and Hochberg), judged by {count(calibrated['n_stretches'], 'stretch', 'stretches')} of background."
        )
    gate = record.get("gate")
    if gate and gate.get("usable_only"):
        text += f" Frames that are not usable were left out ({gate.get('frames', '')})."
    return text


def _software(versions: Mapping[str, str]) -> str:
    return "Software: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def count(n: int, one: str, more: str | None = None) -> str:
    """A number with its noun."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"
