"""The commands of an archive: ``archive add``, ``info``, ``verify`` and so on."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from .arguments import FOUND, NOTHING_FOUND, add_command, add_data, data_of, positive, print_json

if TYPE_CHECKING:
    from ..archive.archive import Archive


def _opened(chosen: argparse.Namespace, version: int | None = None) -> Archive:
    from ..functions.archives import open_archive

    return open_archive(chosen.archive, version)


def add(chosen: argparse.Namespace) -> int:
    """Encode samples and add them."""
    from ..functions.archives import add as fill

    with _workers(chosen) as client:
        options = {"encoder": chosen.encoder, "client": client, "thumbnails": chosen.thumbnails}
        added = fill(chosen.archive, **options, **data_of(chosen))
    print(f"version {added.version}: {added.added} added, {added.skipped} there already, {added.left_out} left out")
    return FOUND


@contextmanager
def _workers(chosen: argparse.Namespace) -> Iterator[Any]:
    """Return a client of the requested cluster, or of one on this machine; None if there is none."""
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
                remedy = "Give the address that dask scheduler prints."
                raise ArgumentError("--scheduler", f"{chosen.scheduler} does not answer ({error})", remedy) from error
        yield client


def info(chosen: argparse.Namespace) -> int:
    """Print what an archive holds."""
    archive = _opened(chosen, chosen.version)
    identity, held = archive.identity, archive.index().series
    if chosen.json:
        sources = [
            {"source": one.source, "site": one.site, "samples": len(one), "start": one.start[0], "end": one.end[-1]}
            for one in held
        ]
        versions = {"versions": [asdict(one) for one in archive.versions()]} if chosen.versions else {}
        about = {"archive": str(archive.path), "version": archive.version, "samples": len(archive)}
        print_json(about | {"identity": identity.compared, "sources": sources} | versions)
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


def verify(chosen: argparse.Namespace) -> int:
    """Read everything and report what is damaged."""
    report = _opened(chosen).verify()
    if chosen.json:
        print_json(asdict(report) | {"sound": report.sound})
        return FOUND if report.sound else NOTHING_FOUND
    return _tell(report)


def repair(chosen: argparse.Namespace) -> int:
    """Leave out damaged rows, and report what is left."""
    archive = _opened(chosen)
    print("before:")
    _tell(archive.repair())
    print("after:")
    return _tell(archive.verify())


def _tell(report: Any) -> int:
    print(f"version {report.version}: {report.rows} samples intact, {report.damaged} damaged")
    for problem in report.problems:
        print(f"  {problem}")
    return FOUND if report.sound else NOTHING_FOUND


def compact(chosen: argparse.Namespace) -> int:
    """Join small files, and give up old versions on request."""
    version = _opened(chosen).compact(chosen.keep)
    print(f"version {version}")
    return FOUND


def index(chosen: argparse.Namespace) -> int:
    """Build an index on the disk for quick searches of the nearest."""
    from ..archive.neighbors import MIN_RECALL

    recall = _opened(chosen).build_index()
    print(f"recall {recall:.3f}" + ("" if recall >= MIN_RECALL else f", below {MIN_RECALL}: it is not used"))
    return FOUND


def restore(chosen: argparse.Namespace) -> int:
    """Go back to a version."""
    archive = _opened(chosen)
    archive.restore(chosen.version)
    print(repr(archive))
    return FOUND


def export_file(chosen: argparse.Namespace) -> int:
    """Write an archive to one file."""
    from ..archive.archive import export_archive

    print(f"{export_archive(_opened(chosen, chosen.version), chosen.file)} samples in {chosen.file}")
    return FOUND


def import_file(chosen: argparse.Namespace) -> int:
    """Add the contents of such a Parquet file."""
    from ..archive.archive import import_archive

    added = import_archive(_opened(chosen), chosen.file)
    print(f"version {added.version}: {added.added} added, {added.skipped} there already")
    return FOUND


def add_commands(commands: Any) -> None:
    """Add ``archive`` and its subcommands."""
    text = "Fill, inspect, repair and copy an archive of embeddings."
    parser = commands.add_parser("archive", help=text, description=text)
    under = parser.add_subparsers(
        required=True, metavar="add | info | verify | repair | compact | index | restore | export | import"
    )
    for name, command, about in (
        ("add", add, "Encode samples and add them."),
        ("info", info, "Print the contents of an archive."),
        ("verify", verify, "Read all files and report damage."),
        ("repair", repair, "Remove damaged rows and keep all others."),
        ("compact", compact, "Merge small files."),
        ("index", index, "Build an index on disk for find --nearest, of archives of 1,000 samples or more."),
        ("restore", restore, "Make a new version with the contents of an older one."),
        ("export", export_file, "Write an archive to a Parquet file."),
        ("import", import_file, "Add the contents of such a Parquet file."),
    ):
        one = add_command(under, name, command, about)
        where = "folder of the archive, or an address such as s3://bucket/prefix"
        one.add_argument("archive", metavar="FOLDER", help=where)
        if name == "add":
            add_data(one)
            one.add_argument("--encoder", help="name of an encoder, or folder of a saved one (default: the archive's)")
            one.add_argument("--thumbnails", action="store_true", help="store a small picture of each sample")
            on = one.add_mutually_exclusive_group()
            on.add_argument("--workers", type=positive, metavar="N", help="use N processes of this machine")
            on.add_argument("--scheduler", metavar="ADDRESS", help="address of a Dask scheduler whose workers are used")
        if name in ("info", "export"):
            one.add_argument("--version", type=int, help="number of the version (default: the newest)")
        if name == "info":
            one.add_argument("--versions", action="store_true", help="list all versions")
        if name in ("info", "verify"):
            one.add_argument("--json", action="store_true", help="print as JSON")
        if name == "compact":
            one.add_argument("--keep", type=int, metavar="N", help="delete all but the newest N versions")
        if name == "restore":
            one.add_argument("version", type=int, help="number of the version")
        if name in ("export", "import"):
            one.add_argument("file", type=Path, metavar="FILE", help="Parquet file")
