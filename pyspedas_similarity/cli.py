"""The verbs from a shell: ``pyspedas-similarity demo | find | report | review | export | join | train | ...``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from . import cli_case_study
from .cli_data import add_data, data_of, like_of
from .errors import ArgumentError, SimilarityError

FOUND, NOTHING_FOUND, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_EXAMPLES = """examples:
  pyspedas-similarity demo
  pyspedas-similarity demo --data FOLDER
  pyspedas-similarity find --instrument mms_dis --probe 1 --trange 2020-11-19/23:34 2020-11-19/23:37 \\
      --like 2020-11-19/23:36:22
  pyspedas-similarity find --cdf FILE.cdf --variable mms1_dis_dist_brst --like 2020-11-19/23:36:22 -k 5 --out found
  pyspedas-similarity export found.ecsv found.xml
  pyspedas-similarity join found.ecsv sitl_selections.csv --searched 2020-11-19/23:34 2020-11-19/23:37 --tolerance 5
  pyspedas-similarity report --cdf FILE.cdf --variable mms1_dis_dist_brst --like 2020-11-19/23:36:22 --out page.html
  pyspedas-similarity review --cdf FILE.cdf --variable mms1_dis_dist_brst --like 2020-11-19/23:36:22 --out list.ecsv
  pyspedas-similarity train --cdf FILE.cdf --variable mms1_dis_dist_brst --out my_encoder --epochs 20
  pyspedas-similarity archive add electrons --instrument mms_des --probe 1 --trange 2015-10-16 2015-10-17
  pyspedas-similarity find --archive electrons --like 2015-10-16/13:07:02.2
  pyspedas-similarity archive verify electrons
  pyspedas-similarity find --archive electrons --like 2015-10-16/13:07:02.2 --json | jq .data
  eval "$(pyspedas-similarity completion bash)"

Results go to the standard output, warnings and errors to the standard error output.
exit status: 0 found, 1 nothing found or an archive that is damaged, 2 bad input, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        Exit status: 0 found, 1 nothing found, 2 bad input, 130 interrupted.
    """
    chosen = _parser().parse_args(arguments)
    # pyspedas tells every file it opens; a person at a shell asked for the result.
    logging.disable(logging.NOTSET if chosen.verbose else logging.WARNING if chosen.quiet else logging.INFO)
    try:
        status = chosen.command(chosen)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who reads has enough, as `head` has; nothing more can be written, by Python at its end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    except SimilarityError as error:
        print(f"pyspedas-similarity: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("pyspedas-similarity: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        logging.disable(logging.NOTSET)


def demo(chosen: argparse.Namespace) -> int:
    """Run the demonstration."""
    from . import demo as demonstration

    found = demonstration.run(chosen.out, chosen.data, chosen.seed)
    return FOUND if found else NOTHING_FOUND


def find(chosen: argparse.Namespace) -> int:
    """Search a time range or files, print the table, write it on request."""
    from .exchange.flat import no_intervals
    from .exports import export as write
    from .exports import format_of
    from .verbs import find_similar, intervals

    if chosen.out is not None:
        format_of(chosen.out)  # before what may take long
    rules = {"k": chosen.k, "threshold": chosen.threshold, "encoder": chosen.encoder}
    if chosen.exclude is not None:
        rules["exclude"] = chosen.exclude
    if chosen.nearest:
        names = _find_nearest(chosen)
    else:
        if chosen.archive is not None:
            rules["archive"] = chosen.archive
        rules["progress"] = not chosen.quiet
        names = find_similar(like=like_of(chosen.like), errors="raise", **data_of(chosen), **rules)
    table = intervals(names) if names else no_intervals()
    if names and chosen.out is not None:
        write(table, chosen.out, overwrite=True)
    if names or chosen.json:
        _print_table(table, chosen.json)
    return FOUND if names else NOTHING_FOUND


def _find_nearest(chosen: argparse.Namespace) -> list[str]:
    from .neighbourhood import find_nearest

    data = data_of(chosen)
    asked = {"--threshold": chosen.threshold, "--encoder": chosen.encoder, "--instrument": data.pop("instrument", None)}
    unused = [name for name, value in asked.items() if value is not None]
    if chosen.archive is None or unused:
        found = f"given with {', '.join(unused)}" if unused else "given without --archive"
        raise ArgumentError("--nearest", found, "It takes --archive, --like, -k, --probe, --trange and --exclude.")
    part = {key: data[key] for key in ("trange", "probe") if key in data}
    rules = {} if chosen.exclude is None else {"exclude": chosen.exclude}
    return find_nearest(chosen.archive, like_of(chosen.like), chosen.k or 10, **part, **rules, errors="raise")


def export(chosen: argparse.Namespace) -> int:
    """Write a table that find wrote in another form."""
    from .exports import export as write

    print(write(chosen.table, chosen.out, chosen.format, chosen.overwrite))
    return FOUND


def join(chosen: argparse.Namespace) -> int:
    """Hold a table that find wrote against a list of events, print what is known, new and missed."""
    from .exports import export as write
    from .joins import join_events, summary_of

    joined = join_events(chosen.table, chosen.events, chosen.tolerance, chosen.searched, columns=chosen.columns)
    if chosen.out is not None:
        write(joined, chosen.out, overwrite=chosen.overwrite)
    columns = [name for name in ("status", "start", "end", "score", "event_start", "event") if name in joined.colnames]
    _print_table(joined, chosen.json, columns)
    if not chosen.json:
        print(summary_of(joined))
    return FOUND if len(joined) else NOTHING_FOUND


def train(chosen: argparse.Namespace) -> int:
    """Train an encoder and save it."""
    if chosen.shipped is not None:
        return _train_shipped(chosen)
    from .verbs import save_encoder
    from .verbs import train as train_encoder

    data = data_of(chosen)
    keywords = {key: data.pop(key) for key in ("data_rate", "no_update") if key in data}
    options = {"method": chosen.method}
    if chosen.method != "canonical":  # which has neither network nor chance
        options |= {"backbone": chosen.backbone, "epochs": chosen.epochs, "seed": chosen.seed}
    encoder = train_encoder(**data, load_keywords=keywords, lag=chosen.lag, **options)
    _say_saved(encoder, save_encoder(encoder, chosen.out, overwrite=chosen.overwrite))
    return FOUND


def _train_shipped(chosen: argparse.Namespace) -> int:
    from .bench.shipping import ship

    _say_saved(ship(chosen.shipped, chosen.out, chosen.data, chosen.quick, chosen.seed, chosen.overwrite), chosen.out)
    return FOUND


def _say_saved(encoder: Any, folder: Path) -> None:
    record = encoder.card.training
    print(f"Saved {encoder.card.name} ({encoder.hash}) in {folder}")
    for key in ("n_samples", "epochs", "final_loss", "std_of_normalised", "effective_rank"):
        if key in record:
            print(f"  {key}: {record[key]}")


def archive_add(chosen: argparse.Namespace) -> int:
    """Embed samples and keep them."""
    from .filling import add

    with _workers(chosen) as client:
        added = add(
            chosen.archive, encoder=chosen.encoder, client=client, thumbnails=chosen.thumbnails, **data_of(chosen)
        )
    print(f"version {added.version}: {added.added} added, {added.skipped} there already, {added.left_out} left out")
    return FOUND


@contextmanager
def _workers(chosen: argparse.Namespace) -> Iterator[Any]:
    """A client of the cluster that is asked for, or of one of this machine; None where there is none."""
    if chosen.scheduler is None and chosen.workers is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ArgumentError("--workers", f"{error}", "Install pyspedas-similarity[scale].") from error
    with ExitStack() as stack:
        if chosen.scheduler is None:
            options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
            cluster = stack.enter_context(LocalCluster(n_workers=chosen.workers, **options))
            client = stack.enter_context(Client(cluster))
            client.run(logging.disable, logging.NOTSET if chosen.verbose else logging.INFO)
        else:
            try:
                client = stack.enter_context(Client(chosen.scheduler))
            except (OSError, ValueError) as error:
                remedy = "Give the address that dask scheduler tells."
                raise ArgumentError("--scheduler", f"{chosen.scheduler} does not answer ({error})", remedy) from error
        yield client


def archive_info(chosen: argparse.Namespace) -> int:
    """Print what an archive holds."""
    from .filling import open_archive

    archive = open_archive(chosen.archive, chosen.version)
    identity, held = archive.identity, archive.index().series
    if chosen.json:
        sources = [
            {"source": one.source, "site": one.site, "samples": len(one), "start": one.start[0], "end": one.end[-1]}
            for one in held
        ]
        versions = {"versions": [asdict(one) for one in archive.versions()]} if chosen.versions else {}
        about = {"archive": str(archive.path), "version": archive.version, "samples": len(archive)}
        _print_json(about | {"identity": identity.compared, "sources": sources} | versions)
        return FOUND
    print(repr(archive))
    for name, value in identity.compared.items():
        note = f" ({identity.card.get('name', '')})" if name == "encoder" else ""
        print(f"  {name:16s} {value}{note}")
    for series in held:
        print(f"  {series.source} {series.site}: {len(series)} samples, {series.start[0]} to {series.end[-1]}")
    for one in archive.versions() if chosen.versions else ():
        print(f"  version {one.number}: {one.made} {one.what}, {one.rows} samples, {one.added} added")
    return FOUND


def archive_verify(chosen: argparse.Namespace) -> int:
    """Read everything and tell what is damaged."""
    from .filling import open_archive

    report = open_archive(chosen.archive).verify()
    if chosen.json:
        _print_json(asdict(report) | {"sound": report.sound})
        return FOUND if report.sound else NOTHING_FOUND
    return _tell(report)


def archive_repair(chosen: argparse.Namespace) -> int:
    """Leave out what is damaged, and tell what is left."""
    from .filling import open_archive

    archive = open_archive(chosen.archive)
    print("before:")
    _tell(archive.repair())
    print("after:")
    return _tell(archive.verify())


def _tell(report: Any) -> int:
    print(f"version {report.version}: {report.rows} samples intact, {report.damaged} damaged")
    for problem in report.problems:
        print(f"  {problem}")
    return FOUND if report.sound else NOTHING_FOUND


def archive_compact(chosen: argparse.Namespace) -> int:
    """Join small files, and give up old versions on request."""
    from .filling import open_archive

    version = open_archive(chosen.archive).compact(chosen.keep)
    print(f"version {version}")
    return FOUND


def archive_index(chosen: argparse.Namespace) -> int:
    """Build an index on the disk for quick searches of the nearest."""
    from .archive.neighbours import LEAST_RECALL
    from .filling import open_archive

    recall = open_archive(chosen.archive).build_index()
    print(f"recall {recall:.3f}" + ("" if recall >= LEAST_RECALL else f", below {LEAST_RECALL}: it is not used"))
    return FOUND


def archive_restore(chosen: argparse.Namespace) -> int:
    """Go back to a version."""
    from .filling import open_archive

    archive = open_archive(chosen.archive)
    archive.restore(chosen.version)
    print(repr(archive))
    return FOUND


def archive_export(chosen: argparse.Namespace) -> int:
    """Write an archive to one file."""
    from .archive.portable import export_archive
    from .filling import open_archive

    print(f"{export_archive(open_archive(chosen.archive, chosen.version), chosen.file)} samples in {chosen.file}")
    return FOUND


def archive_import(chosen: argparse.Namespace) -> int:
    """Add what such a file holds."""
    from .archive.portable import import_archive
    from .filling import open_archive

    added = import_archive(open_archive(chosen.archive), chosen.file)
    print(f"version {added.version}: {added.added} added, {added.skipped} there already")
    return FOUND


def bench(chosen: argparse.Namespace) -> int:
    """Run the benchmark, print its table and write it."""
    from .bench import few_labels
    from .bench.run import Plan, run

    plan = Plan(chosen.quick, chosen.data, tuple(chosen.only), tuple(chosen.encoders), chosen.seeds)
    rows = (few_labels.run if chosen.labels else run)(plan, chosen.out)
    return FOUND if len(rows) else NOTHING_FOUND


def info(chosen: argparse.Namespace) -> int:
    """Print versions, instruments and encoders, or one encoder's card."""
    from .encoder.fitted import NAMED
    from .encoder.shipped import available
    from .sources.registry import INSTRUMENTS
    from .verbs import load_encoder

    if chosen.encoder is not None:
        encoder = load_encoder(chosen.encoder)
        print(f"hash: {encoder.hash}\n{encoder.card.to_json()}", end="")
        return FOUND
    for package in ("pyspedas-similarity", "pyspedas", "astropy", "numpy", "onnxruntime", "torch", "lightly"):
        print(f"{package:20s} {_version(package)}")
    print("\ninstruments")
    for name, instrument in INSTRUMENTS.items():
        print(f"  {name:16s} {instrument.title}; variables {instrument.variables}; recipe {instrument.recipe.hash}")
    for title, encoders in (("that come trained", available()), ("without training", NAMED)):
        print(f"\nencoders {title}")
        for name, description in encoders.items():
            print(f"  {name:16s} {description}")
    return FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyspedas-similarity",
        description="Find the intervals like a seed, in MMS FPI distributions and all-sky frames.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version("pyspedas-similarity"))
    commands = parser.add_subparsers(
        required=True, metavar="demo | find | report | review | export | join | train | ..."
    )
    _add_demo(commands)
    _add_find(commands)
    cli_case_study.add_commands(commands, _add)
    _add_export(commands)
    _add_join(commands)
    _add_train(commands)
    _add_archive(commands)
    _add_bench(commands)
    _add_info(commands)
    _add_completion(commands)
    return parser


def _add(commands: Any, name: str, command: Any, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    told = parser.add_mutually_exclusive_group()
    told.add_argument("-v", "--verbose", action="store_true", help="show what pyspedas reports")
    told.add_argument("-q", "--quiet", action="store_true", help="show errors only: no warnings, no progress")
    return parser


def _print_table(table: Any, as_json: bool, columns: Sequence[str] = ()) -> None:
    """A table of intervals for people, some columns of it, or all of it as JSON for programs."""
    if as_json:
        from .exchange.tables import json_text
        from .results import result_table

        print(json_text(result_table(table)), end="")
        return
    if "score" in table.colnames:
        table["score"].info.format = ".3f"
    shown = table[list(columns)] if columns else table
    print("\n".join(shown.pformat(max_lines=-1, max_width=-1, show_unit=False)))


def _print_json(record: Any) -> None:
    import json

    print(json.dumps(record, indent=1, default=str))


def _add_demo(commands: Any) -> None:
    parser = _add(commands, "demo", demo, "The main job on simulated data, or on the real files of a folder.")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files; default: simulate")
    parser.add_argument(
        "--out", type=Path, default=Path("pyspedas-similarity-demo"), metavar="FOLDER", help="for results"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")


def _add_find(commands: Any) -> None:
    parser = _add(commands, "find", find, "Find the intervals like a seed and print them.")
    add_data(parser)
    parser.add_argument(
        "--like", nargs="+", required=True, metavar="TIME", help="a time, or the start and end of an interval"
    )
    parser.add_argument(
        "--nearest", action="store_true", help="the k nearest of an archive only; quick where it is large"
    )
    parser.add_argument("--archive", metavar="FOLDER", help="search what is kept there; nothing is loaded")
    parser.add_argument("--encoder", help="name of a fixed encoder or folder of a saved one")
    parser.add_argument("-k", type=int, help="how many intervals at most")
    parser.add_argument("--threshold", type=float, help="cosine that a match reaches")
    parser.add_argument("--exclude", type=float, metavar="SECONDS", help="around the seed; default: from the scores")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there: .ecsv, .csv, .xml or .json")
    parser.add_argument("--json", action="store_true", help="print the table as JSON, with its provenance")


def _add_export(commands: Any) -> None:
    parser = _add(commands, "export", export, "Write a table of intervals for another program.")
    parser.add_argument("table", type=Path, metavar="TABLE", help="that find wrote: .ecsv or .csv")
    parser.add_argument("out", type=Path, metavar="FILE", help="ending in .ecsv, .csv, .xml or .json; or with --format")
    parser.add_argument("--format", help="ecsv, csv, votable, json, time_list, idl, hpevent or autoplot")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def _add_join(commands: Any) -> None:
    parser = _add(commands, "join", join, "Hold a table of intervals against a list of events: known, new, missed.")
    parser.add_argument("table", type=Path, metavar="TABLE", help="that find wrote: .ecsv or .csv")
    parser.add_argument("events", type=Path, metavar="EVENTS", help=".ecsv, .csv, .xml, or text with times in a line")
    parser.add_argument("--searched", nargs=2, metavar=("START", "END"), required=True, help="what find searched")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="S", help="seconds, at both ends of events")
    parser.add_argument("--columns", nargs="+", metavar="NAME", help="of the events' starts and ends")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there: .ecsv, .csv, .xml or .json")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("--json", action="store_true", help="print the table as JSON, with the numbers")


def _add_train(commands: Any) -> None:
    parser = _add(commands, "train", train, "Train an encoder on data by self-supervision and save it.")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the encoder")
    parser.add_argument("--overwrite", action="store_true", help="replace an encoder that is there")
    parser.add_argument("--method", default="simsiam", help="or simclr, byol, vicreg, barlow_twins, canonical")
    parser.add_argument("--lag", type=float, metavar="S", help="samples so many seconds apart show the same thing")
    parser.add_argument("--backbone", default="compact", help="compact or resnet18")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    shipped = parser.add_argument_group("or one of the encoders that come with the package, as it was trained")
    shipped.add_argument("--shipped", choices=("distributions", "windows", "frames"))
    shipped.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files")
    shipped.add_argument("--quick", action="store_true", help="little data, to try it")


def _add_archive(commands: Any) -> None:
    text = "Embeddings that are kept: fill, inspect, repair, move."
    parser = commands.add_parser("archive", help=text, description=text)
    under = parser.add_subparsers(required=True, metavar="add | info | verify | repair | compact | restore | ...")
    for name, command, about in (
        ("add", archive_add, "Embed samples and keep them."),
        ("info", archive_info, "What it holds."),
        ("verify", archive_verify, "Read everything and tell what is damaged."),
        ("repair", archive_repair, "Leave out what is damaged and keep all the rest."),
        ("compact", archive_compact, "Join small files."),
        ("index", archive_index, "Build an index on the disk, for find --nearest in large archives."),
        ("restore", archive_restore, "Make a new version that holds what an older one held."),
        ("export", archive_export, "Write it to one Parquet file."),
        ("import", archive_import, "Add what such a file holds."),
    ):
        one = _add(under, name, command, about)
        one.add_argument("archive", metavar="FOLDER", help="or the address of an object store: s3://bucket/prefix")
        if name == "add":
            add_data(one)
            one.add_argument("--encoder", help="name of an encoder or folder of a saved one; default the archive's")
            one.add_argument("--thumbnails", action="store_true", help="keep a small picture of each sample as well")
            where = one.add_mutually_exclusive_group()
            where.add_argument(
                "--workers", type=_positive, metavar="N", help="as many processes of this machine share it"
            )
            where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster whose workers share it")
        if name in ("info", "export"):
            one.add_argument("--version", type=int, help="an older state; default the newest")
        if name == "info":
            one.add_argument("--versions", action="store_true", help="list them")
        if name in ("info", "verify"):
            one.add_argument("--json", action="store_true", help="print it as JSON")
        if name == "compact":
            one.add_argument("--keep", type=int, metavar="N", help="give up all but the newest N versions")
        if name == "restore":
            one.add_argument("version", type=int)
        if name in ("export", "import"):
            one.add_argument("file", type=Path, metavar="FILE")


def _add_bench(commands: Any) -> None:
    parser = _add(commands, "bench", bench, "How well encoders find what is alike: data sets x encoders x measures.")
    parser.add_argument("--quick", action="store_true", help="small simulated sets and cheap encoders, two minutes")
    parser.add_argument(
        "--labels", action="store_true", help="instead: accuracy against labels per class, on regions, edr and nights"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with the real files; default: none of them")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="DATASET", help="of edr, nights, reduced, regions, movie"
    )
    parser.add_argument(
        "--encoders",
        nargs="+",
        default=[],
        metavar="NAME|FOLDER",
        help="names as in info, folders of saved encoders, or a folder of such folders, one for each seed",
    )
    parser.add_argument("--seeds", type=int, default=3, help="of encoders that are drawn at random or fitted")
    parser.add_argument(
        "--out", type=Path, default=Path("pyspedas-similarity-bench"), metavar="FOLDER", help="for the table"
    )


def _add_info(commands: Any) -> None:
    parser = _add(commands, "info", info, "Versions, instruments and encoders, or the card of one encoder.")
    parser.add_argument("encoder", nargs="?", type=Path, help="folder of a saved encoder")


def completion(chosen: argparse.Namespace) -> int:
    """Print what makes a shell complete commands, options and names of files."""
    try:
        import shtab
    except ImportError as error:
        raise ArgumentError("completion", str(error), 'pip install "pyspedas-similarity[completion]".') from error

    parser = _parser()
    for one in _all_parsers(parser):
        for action in one._actions:  # argparse has no public way to its own arguments
            if action.type is Path:
                action.complete = shtab.DIRECTORY if action.metavar == "FOLDER" else shtab.FILE
    print(shtab.complete(parser, chosen.shell))
    return FOUND


def _all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _all_parsers(one)


def _add_completion(commands: Any) -> None:
    parser = _add(commands, "completion", completion, "Print what makes a shell complete these commands.")
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
