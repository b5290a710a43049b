"""An S3 that lives in this process: moto's, on loopback, with the faults that networks have.

moto looks whether there is an object and puts one in two steps; here only one request is served at a time, so that a
conditional put is what it is in S3: of several one succeeds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

BUCKET = "archives"
KEY, SECRET = "an-access-key", "a-s3cret-that-is-nowhere"


class ObjectServer:
    """Serves one bucket until stopped.

    Attributes
    ----------
    url : str
    asked : list of (str, str)
        Method and path of every request, in that order.
    fault : callable or None
        Gets the number of a request, its method and path, and says what becomes of it: None, 'lost' (the connection
        breaks before it is served), 'unanswered' (after it was served), 'busy' (503).
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.asked: list[tuple[str, str]] = []
        self.fault: Callable[[int, str, str], str | None] = lambda number, method, path: None
        self._served, self._lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_quiet_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self._call("PUT", f"/{BUCKET}")

    @property
    def options(self) -> dict[str, str]:
        """For `storage_options`."""
        return {
            "endpoint": self.url,
            "allow_http": "true",
            "region": "us-east-1",
            "access_key_id": KEY,
            "secret_access_key": SECRET,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same as the libraries read it from the environment."""
        names = {"endpoint": "AWS_ENDPOINT_URL"}
        return {names.get(name, f"AWS_{name.upper()}"): value for name, value in self.options.items()}

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Everything that is kept below a prefix."""
        from moto.s3.models import s3_backends

        (backend,) = (one["global"] for one in s3_backends.values())
        with self._lock:
            keys = backend.buckets[BUCKET].keys
            return {name: keys[name].value for name in keys if name.startswith(prefix)}

    def replace(self, name: str, content: bytes | None) -> None:
        """Change an object behind everybody's back, or take it away."""
        self._call("DELETE" if content is None else "PUT", f"/{BUCKET}/{name}", content)

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _call(self, method: str, path: str, content: bytes | None = None) -> None:
        import requests

        # moto wants to be told who asks, and does not check the signature.
        told = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request"}
        requests.request(method, self.url + path, data=content, headers=told, timeout=30).raise_for_status()

    def _serve(self, environ: dict, start: Callable) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.asked.append((method, path))
            fault = self.fault(len(self.asked), method, path)
            if fault == "busy":
                start("503 Slow Down", [("Content-Length", "0")])
                return []
            answer = [] if fault == "lost" else list(self._served(environ, start))
        if fault:
            raise ConnectionError("the connection breaks here")
        return answer


@contextmanager
def serving() -> Iterator[ObjectServer]:
    """A server for a while."""
    server = ObjectServer()
    try:
        yield server
    finally:
        server.stop()


def _quiet_handler() -> type:
    from werkzeug.serving import WSGIRequestHandler

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            """Say nothing."""

        def connection_dropped(self, *_: object) -> None:
            self.close_connection = True

    return Quiet
