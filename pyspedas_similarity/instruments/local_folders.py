"""Folders in which pyspedas keeps the files of MMS and THEMIS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def local_folders(folder: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """Give the folders of MMS and THEMIS; with `folder`, let pyspedas use those below it until the end.

    Parameters
    ----------
    folder : Path, optional
        Has the folders ``mms`` and ``themis``, which are made.

    Yields
    ------
    tuple of Path
        Folder of MMS, folder of THEMIS.
    """
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG as MMS
    from pyspedas.projects.themis.config import CONFIG as THEMIS

    before = MMS["local_data_dir"], THEMIS["local_data_dir"]
    if folder is not None:
        MMS["local_data_dir"], THEMIS["local_data_dir"] = str(folder / "mms"), str(folder / "themis")
    try:
        yield Path(MMS["local_data_dir"]), Path(THEMIS["local_data_dir"])
    finally:
        MMS["local_data_dir"], THEMIS["local_data_dir"] = before
