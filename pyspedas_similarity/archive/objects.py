"""An archive in an object store: S3 and compatible ones, Google Cloud Storage, Azure.

An object is there whole or not at all, and lasts when the store has acknowledged it; there is nothing to sync. No lock
dies with its holder there. What takes its place is the conditional put: of several who create the same object one
succeeds, and the others get an error. Maintenance holds a lease, an object that its holder renews.

Credentials come from the environment or from `storage_options`. They are passed to the libraries only:
they are in no address, record, message or repr.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ArchiveError, ArgumentError, BusyArchiveError

if TYPE_CHECKING:
    from obstore import ObjectMeta

_IN_ENVIRONMENT = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
SCHEMES = tuple(_IN_ENVIRONMENT)
# A lease that was not renewed for so long has lost its holder.
LEASE_S = 60.0
# A store that does not answer is reported within a minute or two, however long the libraries would wait.
_BOUNDS = {"connect_timeout": "5s", "timeout": "30s", "client_max_retries": "3", "client_retry_timeout": "30"}
# Lance takes all options in one mapping, obstore in three.
_OF_CLIENT = frozenset(
    (
        "allow_http allow_invalid_certificates connect_timeout http1_only http2_only http2_keep_alive_interval "
        "http2_keep_alive_timeout http2_keep_alive_while_idle pool_idle_timeout pool_max_idle_per_host proxy_url "
        "proxy_ca_certificate proxy_excludes randomize_addresses read_timeout timeout user_agent"
    ).split()
)
_RETRIES = ("client_max_retries", "client_retry_timeout")
_REMEDY = "Check the address, the network and the credentials, and do it again: nothing is kept twice."


class Bucket:
    """A prefix in a bucket; see `Place`.

    An empty object marks a name that stays taken after deletion: `retire` leaves one.

    Parameters
    ----------
    address : str
        Such as 's3://bucket/ions'.
    options : mapping of str to str
        For the library, by the names of the Rust crate object_store, which Lance uses as well.

    Raises
    ------
    ArgumentError
        If the library is missing, or does not take the address or an option.
    """

    locks = False

    def __init__(self, address: str, options: Mapping[str, str]) -> None:
        self.address = _checked(address)
        self.rows = f"{self.address}/rows.lance"
        given = {str(name).lower(): str(value) for name, value in options.items()}
        self.options = _BOUNDS | _of_client_in_environment(address) | given
        self._store = _open(self.address, self.options)

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Place`."""
        import obstore

        prefix = f"{folder}/"
        with self._asking(folder):
            offset = {"offset": prefix + after} if after else {}
            found = [one for chunk in obstore.list(self._store, prefix, **offset) for one in chunk]
        names = [one["path"].removeprefix(prefix) for one in found if one["size"]]
        return sorted(name for name in names if "/" not in name)

    def read(self, name: str) -> bytes:
        """See `Place`."""
        import obstore

        with self._asking(name):
            content = obstore.get(self._store, name).bytes().to_bytes()
        if not content:
            raise FileNotFoundError(name)
        return content

    def size(self, name: str) -> int:
        """See `Place`."""
        size = self._head(name)["size"]
        if not size:
            raise FileNotFoundError(name)
        return size

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        self._put(name, content, "overwrite")

    def create(self, name: str, content: bytes) -> None:
        """See `Place`."""
        self._put(name, content, "create")

    def remove(self, *names: str) -> None:
        """See `Place`."""
        import obstore

        for name in names:
            with suppress(FileNotFoundError), self._asking(name):
                obstore.delete(self._store, name)

    def retire(self, *names: str) -> None:
        """See `Place`."""
        for name in names:
            self.write(name, b"")

    def keep(self, *names: str) -> None:
        """See `Place`: they last already."""

    @contextmanager
    def exclusive(self, name: str, patience_s: float, doing: str) -> Iterator[None]:
        """See `Place`; who holds it and dies is waited for no longer than `LEASE_S` seconds."""
        lease = _Lease(self, f"locks/{name}.json")
        until = time.monotonic() + patience_s
        while not lease.take():
            if time.monotonic() > until:
                found = f"another process has been {doing} for more than {patience_s:g} s"
                raise BusyArchiveError(self.address, found, f"Wait until it is done; if it died, for {LEASE_S:g} s.")
            time.sleep(0.2)
        try:
            with lease.renewed():
                yield
        finally:
            lease.leave()

    def _head(self, name: str) -> ObjectMeta:
        import obstore

        with self._asking(name):
            return obstore.head(self._store, name)

    def _put(self, name: str, content: bytes, mode: Any) -> dict[str, str]:
        """Put an object and return its tag, so that it is replaced only if no other writer replaced it."""
        import obstore

        with self._asking(name):
            return _recognized(obstore.put(self._store, name, content, mode=mode, use_multipart=False))

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """Convert errors of the library into those of a folder, or into one error that names the location."""
        from obstore import exceptions

        try:
            yield
        except exceptions.NotFoundError:
            raise FileNotFoundError(name) from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise FileExistsError(name) from None
        except exceptions.BaseError as error:
            # Not chained: what the library shows of itself may hold a signed address.
            raise ArchiveError(self.address, f"it cannot be reached ({reason_of(error)})", _REMEDY) from None


class _Lease:
    """Object that marks work in progress, renewed as long as it lasts."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name
        self._owner, self._turn = secrets.token_hex(16), 0
        self._mine: Any = None

    def take(self) -> bool:
        """Try to take the lock; True if it was free, or not renewed by its holder for too long."""
        try:
            there = self._bucket._head(self._name)
        except FileNotFoundError:
            return self._put("create")
        return (not there["size"] or self._has_lapsed(there)) and self._put(_recognized(there))

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it in the background."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def leave(self) -> None:
        """Give it back, if it is still ours."""
        with suppress(FileExistsError, ArchiveError):
            self._bucket._put(self._name, b"", self._mine)

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(LEASE_S / 4):
            with suppress(ArchiveError):  # it is tried again
                if not self._put(self._mine):
                    return

    def _put(self, mode: Any) -> bool:
        self._turn += 1  # never the same content, by which some stores recognize an object
        content = json.dumps({"owner": self._owner, "turn": self._turn}).encode()
        try:
            self._mine = self._bucket._put(self._name, content, mode)
        except FileExistsError:
            return False
        return True

    def _has_lapsed(self, there: ObjectMeta) -> bool:
        """By the clock of the store, asked by writing something: those of two machines may differ."""
        clock = "locks/clock"
        self._bucket.write(clock, self._owner.encode())
        return self._bucket._head(clock)["last_modified"] - there["last_modified"] > timedelta(seconds=LEASE_S)


def reason_of(error: BaseException) -> str:
    """Return the first line of a library's message, without possible secrets in an address."""
    return re.sub(r"\?\S*", "", str(error).partition("\n")[0])[:300]


def _of_client_in_environment(address: str) -> dict[str, str]:
    """Such as AWS_ALLOW_HTTP, which obstore does not look for where it is given others of that kind."""
    prefix = _IN_ENVIRONMENT[address.partition(":")[0]]
    found = {name: os.environ.get(f"{prefix}_{name.upper()}") for name in _OF_CLIENT}
    return {name: value for name, value in found.items() if value}


def _is_panic(error: BaseException) -> bool:
    """Return True for a panic in Rust, which obstore 0.12 raises for some wrong options; it is no Exception."""
    return type(error).__name__ == "PanicException"


def _recognized(there: Mapping[str, Any]) -> dict[str, str]:
    return {key: there[key] for key in ("e_tag", "version") if there.get(key)}


def _checked(address: str) -> str:
    """The address without '/' at its end; ArgumentError if there is more in it than bucket and prefix."""
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        found = f"an address of {parts.hostname} came with more than a bucket and a prefix"
        raise ArgumentError("archive", found, "Give credentials in the environment or as storage_options.")
    prefix = parts.path.strip("/")
    if not parts.netloc or not prefix or {"", ".", ".."} & set(prefix.split("/")):
        raise ArgumentError("archive", f"found {address!r:.200}", f"Give {parts.scheme}://bucket/prefix.")
    return address.rstrip("/")


def _open(address: str, options: Mapping[str, str]) -> Any:
    """The library's store; nothing is contacted."""
    try:
        from obstore import exceptions
        from obstore.store import from_url
    except ImportError as error:
        found = f"{address} needs the package obstore, which is not installed"
        raise ArgumentError("archive", found, "Install it: pip install 'pyspedas-similarity[objects]'.") from error
    client = {name: value for name, value in options.items() if name in _OF_CLIENT}
    config = {name: value for name, value in options.items() if name not in (*_OF_CLIENT, *_RETRIES)}
    try:
        seconds = timedelta(seconds=float(options["client_retry_timeout"]))
        retries = {"max_retries": int(options["client_max_retries"]), "retry_timeout": seconds}
        return from_url(address, config=config, client_options=client, retry_config=retries)
    except exceptions.UnknownConfigurationKeyError as error:
        # The message names the option; not chained, as in `Bucket._asking`.
        raise ArgumentError("storage_options", reason_of(error), "See the options of the crate object_store.") from None
    except BaseException as error:
        if not isinstance(error, (exceptions.BaseError, ValueError, TypeError)) and not _is_panic(error):
            raise
        # Of a value that is wrong the library shows all, and it may be a secret under the wrong name.
        found = f"{address} cannot be opened with {', '.join(sorted(options))} and the environment"
        raise ArgumentError("storage_options", found, "See the options of the crate object_store.") from None
