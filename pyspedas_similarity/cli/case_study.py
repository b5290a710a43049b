"""The commands of a case study: ``report``, ``review``, and ``export`` and ``join`` of what ``find`` wrote."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..times import to_text
from .arguments import FOUND, NOTHING_FOUND, add_command, add_search, data_of, like_of, print_table, rules_of

if TYPE_CHECKING:
    from ..results.judged_lists import Judged
    from ..results.review import Review
    from ..results.search_result import SearchResult

_SHORT = {"y": "yes", "n": "no", "m": "more", "a": "again", "q": "quit"}
_QUESTION = "  similar to the query? yes, no, more, again, quit [y/n/m/a/q]: "


def add_commands(commands: Any) -> None:
    """Add the commands."""
    _add_report(commands)
    _add_review(commands)
    _add_export(commands)
    _add_join(commands)


def _add_report(commands: Any) -> None:
    parser = add_command(commands, "report", report, "Search and write the results to an HTML page.")
    add_search(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page (.html)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing page")
    parser.add_argument("--title", help="title of the page")
    about = "show pictures of the best N matches (default: 60)"
    parser.add_argument("--gallery", type=int, default=60, metavar="N", help=about)
    maps = ("auto", "umap", "pca", "none")
    about = "method of the map of embeddings (default: auto)"
    parser.add_argument("--map-by", choices=maps, default="auto", help=about)


def _add_review(commands: Any) -> None:
    parser = add_command(commands, "review", review, "Search, judge the matches one by one, and search again.")
    add_search(parser, required=False)
    about = "file for the answers (.ecsv), saved after each answer"
    parser.add_argument("--out", type=Path, metavar="FILE", help=about)
    parser.add_argument("--resume", type=Path, metavar="FILE", help="continue a review with the answers in this file")
    parser.add_argument("--page", type=int, default=10, metavar="N", help="matches shown together (default: 10)")
    parser.add_argument("--pictures", type=Path, metavar="FILE", help="draw each page of matches in this file (.png)")


def report(chosen: argparse.Namespace) -> int:
    """Search and write the page; one is written of a search that finds nothing, too."""
    from ..files import check_place

    check_place(chosen.out, (".html", ".htm"), chosen.overwrite)
    found = _search(chosen)
    options = {"title": chosen.title, "gallery": chosen.gallery, "map_by": chosen.map_by}
    print(found.report(chosen.out, overwrite=chosen.overwrite, **options)[0])
    return FOUND if len(found) else NOTHING_FOUND


def review(chosen: argparse.Namespace) -> int:
    """Ask and search until it is enough; every answer is saved at once."""
    if not sys.stdin.isatty():
        remedy = "Run it in a terminal, or use pyspedas_similarity.review in a script."
        raise ArgumentError("review", "it asks questions, and this is no terminal", remedy)
    if chosen.page < 1:
        raise ArgumentError("--page", f"found {chosen.page}", "Give 1 or more.")
    made = _resumed(chosen) if chosen.resume is not None else _begun(chosen)
    if made is None:
        return NOTHING_FOUND
    page = made.next(chosen.page)
    while page:
        if chosen.pictures is not None:
            _draw(made, page, chosen.pictures)
        command = _ask_page(made, page)
        if command == "quit":
            break
        page = made.next(chosen.page) if command == "more" else []
        if not page:
            print("searching again with the answers ...")
            page = made.again(chosen.page)
            made.save()
    print(f"{made!r}".strip("<>"))
    print(f"saved in {made.path}")
    return FOUND


def _ask_page(made: Review, page: list[Judged]) -> str:
    """Ask for the matches of one page; what is to be done next."""
    for one in page:
        print(f"[{one.number}] {one.source} {one.peak} UTC, score {one.score:.3f}, {one.n_samples} samples")
        answer = _ask()
        if answer not in ("yes", "no"):
            return answer
        made.judge(one.number, answer)
        made.save()
    return "more"


def _ask() -> str:
    while True:
        try:
            text = input(_QUESTION).strip().lower()
        except EOFError:
            print()
            return "quit"
        answer = _SHORT.get(text, text)
        if answer in _SHORT.values():
            return answer
        print("  please answer with one of these words, or its first letter")


def _begun(chosen: argparse.Namespace) -> Review | None:
    from ..files import check_place
    from ..functions.results import review as begin

    if chosen.like is None or chosen.out is None:
        raise ArgumentError("review", "--like or --out is missing", "Give both, or --resume FILE.")
    check_place(chosen.out, (".ecsv",), overwrite=False)
    found = _search(chosen)
    if not len(found):
        print(f"Nothing found: {'; '.join(found.shortfalls)}.", file=sys.stderr)
        return None
    encoder = {} if chosen.encoder is None else {"encoder": chosen.encoder}
    made = begin(found, **encoder)
    made.save(chosen.out)
    return made


def _resumed(chosen: argparse.Namespace) -> Review:
    from ..functions.results import resume_review

    asked = data_of(chosen) | {"encoder": chosen.encoder}
    asked = {key: value for key, value in asked.items() if value is not None and key != "names"}
    made = resume_review(chosen.resume, **asked)
    if chosen.out is not None:
        made.save(chosen.out)
    return made


def _search(chosen: argparse.Namespace) -> SearchResult:
    from ..functions.search import search

    data = data_of(chosen)
    return search(data.pop("names", None), like_of(chosen.like), **data, **rules_of(chosen))


def _draw(made: Review, page: list[Judged], path: Path) -> None:
    from ..plotting.report_page.content import Card
    from ..plotting.report_page.pictures import plot_contact_sheet

    queries = [Card("query", "", pictures=pictures, missing=missing) for pictures, missing in made.query_pictures()]
    pictures = made.pictures(page)
    cards = []
    for one in page:
        shown, missing = pictures.get(one.number, ((), ""))
        cards.append(Card(f"[{one.number}]", to_text(one.peak), one.number, f"{one.score:.3f}", shown, missing))
    try:
        plot_contact_sheet([*queries, *cards], path)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"--pictures {path}", f"it cannot be written ({error})", "Give a name in .png.") from error
    print(f"pictures of these matches are in {path}")


def export(chosen: argparse.Namespace) -> int:
    """Write a table that find wrote in another form."""
    from ..results.exports import export as write

    print(write(chosen.table, chosen.out, chosen.format, chosen.overwrite))
    return FOUND


def join(chosen: argparse.Namespace) -> int:
    """Compare a table written by find with a list of events; print what is known, new and missed."""
    from ..results.exports import export as write
    from ..results.joins import join_events, summary_of

    options = {"tolerance": chosen.tolerance, "searched": chosen.searched, "columns": chosen.columns}
    joined = join_events(chosen.table, chosen.events, **options)
    if chosen.out is not None:
        write(joined, chosen.out, overwrite=chosen.overwrite)
    columns = [name for name in ("status", "start", "end", "score", "event_start", "event") if name in joined.colnames]
    print_table(joined, chosen.json, columns)
    if not chosen.json:
        print(summary_of(joined))
    return FOUND if len(joined) else NOTHING_FOUND


def _add_export(commands: Any) -> None:
    parser = add_command(commands, "export", export, "Convert a table of intervals for another program.")
    parser.add_argument("table", type=Path, metavar="TABLE", help="table written by find (.ecsv or .csv)")
    parser.add_argument("out", type=Path, metavar="FILE", help="output file; its ending or --format sets the format")
    parser.add_argument("--format", help="ecsv, csv, votable, json, time_list, idl, hpevent or autoplot")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _add_join(commands: Any) -> None:
    text = "Compare intervals with a list of events: which are known, new or missed."
    parser = add_command(commands, "join", join, text)
    parser.add_argument("table", type=Path, metavar="TABLE", help="table written by find (.ecsv or .csv)")
    about = "list of events (.ecsv, .csv, .xml, or text with one event a line)"
    parser.add_argument("events", type=Path, metavar="EVENTS", help=about)
    about = "the time range that find searched"
    parser.add_argument("--searched", nargs=2, metavar=("START", "END"), required=True, help=about)
    about = "seconds added at both ends of events"
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="S", help=about)
    parser.add_argument("--columns", nargs="+", metavar="NAME", help="columns with the start and end of the events")
    about = "write the table to this file (.ecsv, .csv, .xml or .json)"
    parser.add_argument("--out", type=Path, metavar="FILE", help=about)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--json", action="store_true", help="print the table and the counts as JSON")
