"""What commands share: arguments of data and query, exit statuses, output of tables and JSON."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, SimilarityError, VariableError

FOUND, NOTHING_FOUND, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def add_command(commands: Any, name: str, command: Any, text: str) -> argparse.ArgumentParser:
    """Add a command; return its parser, with the options of all commands."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-v", "--verbose", action="store_true", help="show the messages of pyspedas")
    verbosity.add_argument("-q", "--quiet", action="store_true", help="show errors only, no warnings or progress bars")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `data_of` reads."""
    loading = parser.add_argument_group("data to load with pyspedas")
    loading.add_argument("--instrument", help="name of an instrument; the command info lists them")
    loading.add_argument("--trange", nargs=2, metavar=("START", "END"), help="time range")
    loading.add_argument("--probe", help="spacecraft, or station of a camera")
    loading.add_argument("--data-rate", help="data rate: brst or fast")
    loading.add_argument("--path", help="folder or pattern of the instruments 'images' and 'oath'")
    about = "where 'images' finds times: a format with %%, a regular expression, a CSV file"
    loading.add_argument("--times", help=about)
    loading.add_argument("--no-update", action="store_true", help="use local files only, download nothing")
    files = parser.add_argument_group("or files to read")
    files.add_argument("--cdf", nargs="+", type=Path, metavar="FILE", help="CDF files")
    files.add_argument("--variable", nargs="+", metavar="NAME", help="names of variables in the files")


def data_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that name the data to search or to train on."""
    if chosen.cdf is not None:
        names = _read_cdf(chosen.cdf, chosen.variable)
        return {"names": names, "trange": chosen.trange, "instrument": chosen.instrument}
    keywords: dict[str, Any] = {} if chosen.data_rate is None else {"data_rate": chosen.data_rate}
    keywords |= {"no_update": True} if chosen.no_update else {}
    keywords |= {key: getattr(chosen, key) for key in ("path", "times") if getattr(chosen, key) is not None}
    data = {"instrument": chosen.instrument, "trange": chosen.trange, "probe": chosen.probe}
    return data | ({"load_keywords": keywords} if keywords else {})


def _read_cdf(files: list[Path], variables: list[str] | None) -> list[str]:
    if not variables:
        raise ArgumentError("--variable", "it is missing; --cdf needs it", "Name the variable in the files.")
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ArgumentError("--cdf", f"there is no file {missing[0]}", "Check the path.")
    from pyspedas.tplot_tools import cdf_to_tplot

    from ..instruments.file_checks import check_cdf

    for file in files:
        check_cdf(file, contents=True)
    try:
        for name in variables:
            _check_variable(files, name)
        cdf_to_tplot([str(file) for file in files], varnames=variables)
    except SimilarityError:
        raise
    except Exception as error:  # attributes that are wrong lead pyspedas to nearly every exception there is
        raise ArgumentError("--cdf", f"not readable ({error})", "Give CDF files.") from error
    return variables


def _check_variable(files: list[Path], name: str) -> None:
    """Raise VariableError if no file has a variable of a name; the message lists those that hold data."""
    import cdflib

    known, data = set(), []
    for file in files:
        cdf = cdflib.CDF(file)
        info = cdf.cdf_info()
        names = [*info.rVariables, *info.zVariables]
        known |= {*names}
        data += [one for one in names if cdf.varattsget(one).get("VAR_TYPE", "data") == "data"]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=5) or list(dict.fromkeys(data))[:12]
        raise VariableError(f"--variable {name}", "the files have no variable of this name", f"Give {', '.join(near)}.")


def add_search(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the arguments of data and query, and those that `rules_of` reads."""
    add_data(parser)
    about = "the query: a time, the start and end of an interval, or image files (--like frame.png)"
    parser.add_argument("--like", nargs="+", required=required, metavar="TIME", help=about)
    about = "search several time series and spectrograms as one; the query is an interval"
    parser.add_argument("--together", action="store_true", help=about)
    parser.add_argument("--archive", metavar="FOLDER", help="search this archive instead of loading data")
    parser.add_argument("--encoder", help="name of an encoder, folder of a saved one, or structure+FOLDER")
    parser.add_argument("-k", type=int, help="number of events of each variable, the best ones (default: 10)")
    about = "smallest score of an event, or 'auto' for all events that stand out of the background"
    parser.add_argument("--threshold", type=threshold_of, metavar="SCORE", help=about)
    about = "largest false discovery rate, instead of a threshold"
    parser.add_argument("--fdr", type=float, metavar="SHARE", help=about)
    about = "time around the query that is left out (default: the query's own event)"
    parser.add_argument("--exclude", type=float, metavar="SECONDS", help=about)
    about = "find the same kind of structure (default) or the same event"
    parser.add_argument("--looking-for", choices=("kind", "event"), help=about)
    about = "archive to which similarity is relative, 'library' for the searched data (default), or 'none'"
    parser.add_argument("--reference", metavar="FOLDER", help=about)


def rules_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a search as keywords of `find_similar`."""
    rules = {"k": chosen.k, "threshold": chosen.threshold, "encoder": chosen.encoder, "fdr": chosen.fdr}
    rest = {"exclude": chosen.exclude, "archive": chosen.archive, "looking_for": chosen.looking_for}
    found = rules | {key: value for key, value in rest.items() if value is not None}
    found |= {"together": True} if chosen.together else {}
    if chosen.reference is not None:
        found["reference"] = None if chosen.reference == "none" else chosen.reference
    return found


def like_of(times: list[str]) -> Any:
    """A time, or the interval that two of them are."""
    return times[0] if len(times) == 1 else times


def threshold_of(text: str) -> float | str:
    """A number or 'auto', as the type of an argument."""
    try:
        return text if text == "auto" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}; give a cosine from -1 to 1, or 'auto'") from error


def positive(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def print_table(table: Any, as_json: bool, columns: Sequence[str] = ()) -> None:
    """A table of intervals for people, some columns of it, or all of it as JSON for programs."""
    if as_json:
        from ..results.exports import json_text
        from ..results.tplot_output import result_table

        print(json_text(result_table(table)), end="")
        return
    if "score" in table.colnames:
        table["score"].info.format = ".3f"
    shown = table[list(columns)] if columns else table
    print("\n".join(shown.pformat(max_lines=-1, max_width=-1, show_unit=False)))


def print_json(record: Any) -> None:
    """A record as JSON; what JSON has no form of, as its text."""
    print(json.dumps(record, indent=1, default=str))
