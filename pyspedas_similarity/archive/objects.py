"""Archives in an object store: S3 and compatible stores, Google Cloud Storage, Azure.

Puts are atomic, and durable when the store acknowledges them. Conditional puts take the place of locks; maintenance
holds a lease, an object that its holder renews. Credentials come from the environment or from `storage_options`; they
are passed only to the libraries, and never occur in an address, record, message or repr.
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

_ENVIRONMENT_PREFIX = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
SCHEMES = tuple(_ENVIRONMENT_PREFIX)
# A lease expires when it is not renewed for this time.
LEASE_S = 60.0
# A store that does not respond is reported within one to two minutes.
_TIME_LIMITS = {"connect_timeout": "5s", "timeout": "30s", "client_max_retries": "3", "client_retry_timeout": "30"}
# Lance takes all options in one mapping; obstore takes client options, retry options and the rest separately.
_CLIENT_OPTIONS = frozenset(
    (
        "allow_http allow_invalid_certificates connect_timeout http1_only http2_only http2_keep_alive_interval "
        "http2_keep_alive_timeout http2_keep_alive_while_idle pool_idle_timeout pool_max_idle_per_host proxy_url "
        "proxy_ca_certificate proxy_excludes randomize_addresses read_timeout timeout user_agent"
    ).split()
)
_RETRIES = ("client_max_retries", "client_retry_timeout")
_REMEDY = "Check the address, the network and the credentials, and try again: rows are never stored twice."


class Bucket:
    """Archive location in an object store: a prefix in a bucket; see `Place`.

    An empty object reserves a name after deletion (see `retire`); it is treated as missing otherwise. The options are
    those of the Rust crate object_store, which obstore and Lance use.
    """

    locks = False

    def __init__(self, address: str, options: Mapping[str, str]) -> None:
        self.address = _check_address(address)
        self.rows = f"{self.address}/rows.lance"
        given = {str(name).lower(): str(value) for name, value in options.items()}
        self.options = _TIME_LIMITS | _client_options_in_environment(address) | given
        self._store = _open(self.address, self.options)

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Place`."""
        import obstore

        prefix = f"{folder}/"
        with self._convert_errors(folder):
            offset = {"offset": prefix + after} if after else {}
            found = [one for chunk in obstore.list(self._store, prefix, **offset) for one in chunk]
        names = [one["path"].removeprefix(prefix) for one in found if one["size"]]
        return sorted(name for name in names if "/" not in name)

    def read(self, name: str) -> bytes:
        """See `Place`."""
        import obstore

        with self._convert_errors(name):
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
            with suppress(FileNotFoundError), self._convert_errors(name):
                obstore.delete(self._store, name)

    def retire(self, *names: str) -> None:
        """See `Place`."""
        for name in names:
            self.write(name, b"")

    def make_durable(self, *names: str) -> None:
        """See `Place`; objects are durable already."""

    @contextmanager
    def exclusive(self, name: str, patience_s: float, doing: str) -> Iterator[None]:
        """See `Place`; the lease of a killed holder expires after `LEASE_S` seconds."""
        lease = _Lease(self, f"locks/{name}.json")
        until = time.monotonic() + patience_s
        while not lease.acquire():
            if time.monotonic() > until:
                found = f"another process has been {doing} for more than {patience_s:g} s"
                raise BusyArchiveError(self.address, found, f"Wait until it ends; if it was killed, {LEASE_S:g} s.")
            time.sleep(0.2)
        try:
            with lease.renewing():
                yield
        finally:
            lease.release()

    def _head(self, name: str) -> ObjectMeta:
        import obstore

        with self._convert_errors(name):
            return obstore.head(self._store, name)

    def _put(self, name: str, content: bytes, mode: Any) -> dict[str, str]:
        """Put an object and return its version tag, for a later conditional replacement."""
        import obstore

        with self._convert_errors(name):
            return _object_version(obstore.put(self._store, name, content, mode=mode, use_multipart=False))

    @contextmanager
    def _convert_errors(self, name: str) -> Iterator[None]:
        """Convert errors of obstore to FileNotFoundError, FileExistsError or an ArchiveError with the location."""
        from obstore import exceptions

        try:
            yield
        except exceptions.NotFoundError:
            raise FileNotFoundError(name) from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise FileExistsError(name) from None
        except exceptions.BaseError as error:
            # Not chained: the original message may contain a signed address.
            raise ArchiveError(self.address, f"it cannot be reached ({reason_of(error)})", _REMEDY) from None


class _Lease:
    """Lock of limited duration: an object that its holder renews."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name
        self._owner, self._counter = secrets.token_hex(16), 0
        self._mine: Any = None

    def acquire(self) -> bool:
        """Try to acquire the lease; True if it was free or had expired."""
        try:
            there = self._bucket._head(self._name)
        except FileNotFoundError:
            return self._put("create")
        return (not there["size"] or self._has_expired(there)) and self._put(_object_version(there))

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease in a background thread."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def release(self) -> None:
        """Release the lease, if it is still held."""
        with suppress(FileExistsError, ArchiveError):
            self._bucket._put(self._name, b"", self._mine)

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(LEASE_S / 4):
            with suppress(ArchiveError):  # retried at the next interval
                if not self._put(self._mine):
                    return

    def _put(self, mode: Any) -> bool:
        self._counter += 1  # content must change, since some stores derive the tag from it
        content = json.dumps({"owner": self._owner, "turn": self._counter}).encode()
        try:
            self._mine = self._bucket._put(self._name, content, mode)
        except FileExistsError:
            return False
        return True

    def _has_expired(self, there: ObjectMeta) -> bool:
        """Return True if the lease has expired by the clock of the store, read by writing an object."""
        clock = "locks/clock"
        self._bucket.write(clock, self._owner.encode())
        return self._bucket._head(clock)["last_modified"] - there["last_modified"] > timedelta(seconds=LEASE_S)


def reason_of(error: BaseException) -> str:
    """Return the first line of an error message, without query strings, which may contain secrets."""
    return re.sub(r"\?\S*", "", str(error).partition("\n")[0])[:300]


def _client_options_in_environment(address: str) -> dict[str, str]:
    """Read client options such as AWS_ALLOW_HTTP, which obstore ignores if others are passed explicitly."""
    prefix = _ENVIRONMENT_PREFIX[address.partition(":")[0]]
    found = {name: os.environ.get(f"{prefix}_{name.upper()}") for name in _CLIENT_OPTIONS}
    return {name: value for name, value in found.items() if value}


def is_panic(error: BaseException) -> bool:
    """Return True for a Rust panic, which obstore 0.12 raises for some invalid options; not an Exception."""
    return type(error).__name__ == "PanicException"


def _object_version(there: Mapping[str, Any]) -> dict[str, str]:
    return {key: there[key] for key in ("e_tag", "version") if there.get(key)}


def _check_address(address: str) -> str:
    """Return the address without trailing '/'; ArgumentError if it is not scheme://bucket/prefix."""
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        found = f"the address of {parts.hostname} has more than a bucket and a prefix"
        raise ArgumentError("archive", found, "Give credentials in the environment or as storage_options.")
    prefix = parts.path.strip("/")
    if not parts.netloc or not prefix or {"", ".", ".."} & set(prefix.split("/")):
        raise ArgumentError("archive", f"found {address!r:.200}", f"Give {parts.scheme}://bucket/prefix.")
    return address.rstrip("/")


def _open(address: str, options: Mapping[str, str]) -> Any:
    """Make the obstore store, without accessing it."""
    try:
        from obstore import exceptions
        from obstore.store import from_url
    except ImportError as error:
        found = f"{address} needs the package obstore, which is not installed"
        raise ArgumentError("archive", found, "Install it: pip install 'pyspedas-similarity[objects]'.") from error
    client = {name: value for name, value in options.items() if name in _CLIENT_OPTIONS}
    config = {name: value for name, value in options.items() if name not in (*_CLIENT_OPTIONS, *_RETRIES)}
    try:
        seconds = timedelta(seconds=float(options["client_retry_timeout"]))
        retries = {"max_retries": int(options["client_max_retries"]), "retry_timeout": seconds}
        return from_url(address, config=config, client_options=client, retry_config=retries)
    except exceptions.UnknownConfigurationKeyError as error:
        # The message names the option; not chained, as in `Bucket._convert_errors`.
        raise ArgumentError("storage_options", reason_of(error), "See the options of the crate object_store.") from None
    except BaseException as error:
        if not isinstance(error, (exceptions.BaseError, ValueError, TypeError)) and not is_panic(error):
            raise
        # The original message contains the wrong value, which may be a secret.
        found = f"{address} cannot be opened with {', '.join(sorted(options))} and the environment"
        raise ArgumentError("storage_options", found, "See the options of the crate object_store.") from None
