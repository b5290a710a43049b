"""A small archive served on loopback, with the faults that real ones have.

    <root>/mms1/fpi/brst/l2/des-dist/2020/01/mms1_fpi_brst_l2_des-dist_20200101000002_v3.4.0.cdf

The layout is SPDF's: one folder for each month, in burst too, and an index page of links for each folder.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def as_spdf(root: Path) -> Path:
    """Move the files of a tree in the SDC's layout (burst data by day) to where SPDF has them (by month)."""
    for path in sorted(root.glob("mms?/*/brst/**/[0-3][0-9]/*.cdf")):
        if path.parent.parent.name.isdigit() and len(path.parent.parent.name) == 2:
            path.rename(path.parent.parent / path.name)
    return root


class ArchiveServer:
    """Serves `root` until stopped or killed; may be started again at the same address.

    Attributes
    ----------
    url : str
        Of the root, for ``CONFIG['remote_data_dir']``.
    asked : list of str
        Names of the files and folders asked for, in that order.
    cut, missing : set of str
        Names of files of which only half is sent, and of files that are listed but not there.
    busy : dict of str to int
        How often a file is refused with HTTP status 503 before it is given.
    answers : dict of str to callable
        By the name of a file or folder, what answers instead: it gets the request handler and the path of the file.
    killed_at : str or None
        The server dies while it sends the first file with this in its name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.cut: set[str] = set()
        self.missing: set[str] = set()
        self.busy: dict[str, int] = {}
        self.answers: dict[str, Callable[[SimpleHTTPRequestHandler, Path], None]] = {}
        self.killed_at: str | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def __enter__(self) -> ArchiveServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        handler = functools.partial(_Handler, directory=str(self.root), archive=self)
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.socket.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, archive: ArchiveServer, **keywords: object) -> None:
        self.archive = archive
        super().__init__(*args, **keywords)

    def do_GET(self) -> None:
        archive, path = self.archive, Path(self.translate_path(self.path))
        archive.asked.append(path.name)
        dies = archive.killed_at is not None and archive.killed_at in path.name
        if path.name in archive.answers:
            archive.answers[path.name](self, path)
        elif path.name in archive.missing:
            self.send_error(404)
        elif archive.busy.get(path.name, 0) > 0:
            archive.busy[path.name] -= 1
            self.send_error(503)
        elif path.is_file() and (dies or path.name in archive.cut):
            if dies:
                archive.killed_at = None
                archive.stop()
            self._send_half(path.read_bytes())
        else:
            super().do_GET()

    def _send_half(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, *_: object) -> None:
        """Say nothing."""
