"""Small simulated files of every form that the sources read, ways to damage them, and files made to do harm.

    root/thg/l1/asi/gako/2011/01/thg_l1_asf_gako_2011013122_v01.cdf
    root/mms1/...                                                    as fpi_files.py
    root/20140310_0600_gill_themis19_full.pgm, ....pgm.gz
    root/themis_skymap_gako_20110305.sav

No camera and no spacecraft saw what is in them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import random
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

FIRST = np.datetime64("2011-01-31T22:00:00", "ns")
START = np.datetime64("2020-01-01T12:00:00", "ns")
EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2**16, 2**30)


def frames(n: int = 6, size: int = 16, seed: int = 0) -> np.ndarray:
    """Simulated noise that can be compressed: uint16, (n, size, size)."""
    return np.random.default_rng(seed).integers(2000, 2128, (n, size, size)).astype(np.uint16)


def write_frames(path: Path, values: np.ndarray, start: np.datetime64 = FIRST, site: str = "gako") -> Path:
    """A CDF of all-sky frames every 3 s with the variables of real ones."""
    import cdflib

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    seconds = start.astype("int64") / 1e9 + 3.0 * np.arange(len(values))
    cdf = cdflib.cdfwrite.CDF(path)
    cdf.write_globalattrs({"TEXT": {0: "SIMULATED: no camera saw this."}})
    for name, kind, array, level in (
        (f"thg_asf_{site}", 12, values, 6),
        (f"thg_asf_{site}_time", 45, seconds, 0),
        (f"thg_asf_{site}_tend", 45, seconds + 0.985, 0),
    ):
        about = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Compress": level}
        cdf.write_var(about | {"Dim_Sizes": list(array.shape[1:])}, var_attrs={"UNITS": "counts"}, var_data=array)
    cdf.close()
    return path


def frames_path(root: Path, hour: int = 22, site: str = "gako") -> Path:
    """Where the archive has an hour of them."""
    return root / f"thg/l1/asi/{site}/2011/01/thg_l1_asf_{site}_20110131{hour}_v01.cdf"


def event(n: int = 12, shape: tuple[int, int, int] = (4, 2, 8), start: np.datetime64 = START) -> SimpleNamespace:
    """Numbers without physics, with what ``fpi_files.write_tree`` writes."""
    rng = np.random.default_rng(n)
    times = start + np.arange(n) * np.timedelta64(30, "ms")
    second, (azimuth, polar, energy) = np.timedelta64(1, "s"), shape
    field_times = np.arange(times[0] - second, times[-1] + second, np.timedelta64(8, "ms"))
    distribution = (rng.integers(0, 3, (n, *shape)) * 1e-27).astype(np.float32)  # compressible, as counts are
    return SimpleNamespace(
        times=times, species="electron", data_rate="brst", probe="1", seed=0,
        azimuth=rng.uniform(0, 360, (n, azimuth)), polar=np.linspace(5, 175, polar),
        energy_ev=np.geomspace(10, 3e4, energy) * rng.uniform(0.9, 1, (n, 1)),
        distribution=distribution, error=distribution / 10, omni=rng.uniform(1, 2, (n, energy)),
        density=rng.uniform(1, 20, n), velocity=rng.normal(0, 100, (n, 3)), temperature=rng.uniform(1, 9, (n, 3, 3)),
        temperature_parallel=rng.uniform(50, 90, n), temperature_perpendicular=rng.uniform(50, 90, n),
        error_flags=np.arange(n), parity=np.arange(n) % 2, startdelphi_count=np.arange(n).astype(np.uint16),
        field_times=field_times, field=rng.normal(0, 20, (len(field_times), 4)),
    )  # fmt: skip


def stream(n: int = 4, size: int = 16) -> bytes:
    """Frames as the cameras of Calgary send them: binary PGM, one after another."""
    parts = []
    for number, frame in enumerate(frames(n, size)):
        text = 'P5\n#"Project unique ID" THEMIS\n#"Site unique ID" gill\n#"Imager unique ID" themis19\n'
        text += f'#"Image request start" 2014-03-10 06:00:{3 * number:02}.063119 UTC\n{size} {size}\n65535\n'
        parts.append(text.encode() + frame.astype(">u2").tobytes())
    return b"".join(parts)


def skymap(size: int = 16) -> bytes:
    """An IDL save file with a structure of arrays and texts (C. Markwardt's description of the format)."""
    angles = np.tile(np.linspace(1, 89, size), (size, 1))
    corners = np.full((2, size + 1, size + 1), 60.0)
    fields = {
        "full_azimuth": angles, "full_elevation": angles.T, "full_map_latitude": corners,
        "full_map_longitude": corners, "full_map_altitude": np.array([90e3, 110e3]),
        "site_uid": "gako", "imager_uid": "themis20", "site_map_latitude": 62.41, "site_map_longitude": 214.84,
    }  # fmt: skip
    tags, names, tables, values = b"", b"", b"", b""
    for name, value in fields.items():
        is_array = isinstance(value, np.ndarray)
        tags += struct.pack(">3i", 0, 7 if isinstance(value, str) else 4, 4 if is_array else 0)
        names += _text(name.upper())
        tables += _array(value.shape, 4) if is_array else b""
        if isinstance(value, str):
            values += struct.pack(">i", len(value)) + _text(value)
        else:
            values += np.asarray(value, ">f4").tobytes()
    structure = struct.pack(">i", 9) + _text("") + struct.pack(">3i", 0, len(fields), 0) + tags + names + tables
    content = _text("SKYMAP") + struct.pack(">2i", 8, 36) + _array((1,), 0) + structure + struct.pack(">i", 7) + values
    ending = 4 + 16 + len(content)
    return b"SR\x00\x04" + struct.pack(">iIIi", 2, ending, 0, 0) + content + struct.pack(">iIIi", 6, 0, 0, 0)


def _text(value: str) -> bytes:
    return struct.pack(">i", len(value)) + value.encode() + bytes(-len(value) % 4)


def _array(shape: tuple[int, ...], itemsize: int) -> bytes:
    count = int(np.prod(shape))
    about = (8, 0, count * itemsize, count, len(shape), 0, 0, 8)
    return struct.pack(">16i", *about, *shape[::-1], *([1] * (8 - len(shape))))


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The same with something wrong in it: bits, numbers, or pieces that are cut out, doubled, moved or zero."""
    raw = bytearray(content)
    at, length = rng.randrange(len(raw)), min(int(10 ** rng.uniform(0, 3)), len(raw) // 2)
    match rng.randrange(8):
        case 0 | 1:
            for _ in range(rng.choice((1, 1, 1, 4, 32))):
                raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        case 2 | 3:
            for _ in range(rng.choice((1, 1, 3))):
                place = 4 * rng.randrange(len(raw) // 4)
                raw[place : place + 4] = struct.pack(">i", rng.choice((*EXTREMES, rng.randrange(len(raw)))))
        case 4:
            place = 4 * rng.randrange(len(raw) // 4)
            raw[place : place + 8] = struct.pack(">q", rng.choice((*EXTREMES, 2**40, rng.randrange(len(raw)))))
        case 5:
            raw = raw[:at] if rng.random() < 0.5 else raw[:at] + raw[at + length :]
        case 6:
            raw = raw[:at] + raw[at : at + length] + raw[at:]
        case _:
            raw[at : at + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return bytes(raw)


def mutated_packed(content: bytes, rng: random.Random) -> bytes:
    """A gzip file with something wrong in it or in what it holds."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    return gzip.compress(mutated(gzip.decompress(content), rng), 1)


@dataclass(frozen=True)
class CdfPlaces:
    """Offsets of some records in a CDF of version 3 that `write_frames` wrote."""

    directory: int
    variable: int
    index: int
    block: int
    attribute: int

    @classmethod
    def of(cls, content: bytes) -> CdfPlaces:
        """Of the first variable."""
        directory = _number(content, 20)
        variable = _number(content, directory + 20)
        index = _number(content, variable + 28)
        entries = _number(content, index + 20, 4)
        return cls(
            directory, variable, index, _number(content, index + 28 + 8 * entries), _number(content, directory + 28)
        )


def _number(content: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(content[at : at + size], "big")


def _changed(content: bytes, *changes: tuple[int, str, int]) -> bytes:
    raw = bytearray(content)
    for at, form, value in changes:
        struct.pack_into(">" + form, raw, at, value)
    return bytes(raw)


def cdf_bombs(folder: Path) -> dict[str, bytes | Callable[[], bytes]]:
    """CDF files of all-sky frames that make a reader take 256 MB or more, or walk for ever; large ones when called."""
    small = write_frames(folder / "small.cdf", frames(1)).read_bytes()
    at = CdfPlaces.of(small)
    records = 2**28 // 512
    bombs = {
        "2 kB that say 256 MB": _changed(small, (at.variable + 24, "i", records)),
        "2 kB whose block says 256 MB": _changed(
            small,
            (at.variable + 24, "i", records),
            (at.index + 28 + 4 * _number(small, at.index + 20, 4), "i", records),
        ),
        "2 kB with 256 MB of absent records": _changed(
            small, (at.variable + 24, "i", records), (at.variable + 48, "i", 1)
        ),
        "frames of 2^31 rows": _changed(small, (at.variable + 344, "i", 2**31 - 1)),
        "2^31 dimensions": _changed(small, (at.variable + 340, "i", 2**31 - 1)),
        "2^31 variables": _changed(small, (at.directory + 60, "i", 2**31 - 1)),
        "2^31 variables in a circle": _changed(
            small, (at.directory + 60, "i", 2**31 - 1), (at.variable + 12, "q", at.variable)
        ),
        "2^31 attributes in a circle": _changed(
            small, (at.directory + 48, "i", 2**31 - 1), (at.attribute + 12, "q", at.attribute)
        ),
        "an index that follows itself": _changed(small, (at.index + 12, "q", at.index)),
        "an index in itself": _changed(small, (at.index + 28 + 8 * _number(small, at.index + 20, 4), "q", at.index)),
        "an index of 2^31 entries": _changed(small, (at.index + 20, "i", 2**31 - 1), (at.index + 24, "i", 2**31 - 1)),
        "a block of 2^62 bytes": _changed(small, (at.block, "q", 2**62)),
        "a block of -1 bytes": _changed(small, (at.block, "q", -1)),
    }
    return bombs | {
        "256 MB in one block": lambda: _zeros(folder),
        "256 MB in a block that says 128 kB": lambda: _says_less(_zeros(folder)),
        "256 MB, compressed as a whole": _compressed_as_a_whole,
    }


def _zeros(folder: Path) -> bytes:
    return write_frames(folder / "zeros.cdf", np.zeros((2048, 256, 256), np.uint16)).read_bytes()


def _says_less(zeros: bytes) -> bytes:
    at = CdfPlaces.of(zeros)
    end = at.block + 24 + _number(zeros, at.block + 16) - 4
    one = _changed(zeros, (at.variable + 24, "i", 0))
    return one[:end] + struct.pack("<I", 2**17) + one[end + 4 :]


def _compressed_as_a_whole() -> bytes:
    packed = gzip.compress(bytes(2**28), 9)
    head = struct.pack(">qiqqi", 32 + len(packed), 10, 40 + len(packed), 2**28, 0)
    return bytes.fromhex("cdf30001cccc0001") + head + packed + struct.pack(">qiiiii", 28, 11, 5, 0, 1, 9)


def stream_bombs() -> dict[str, Callable[[], bytes]]:
    """Raw streams that expand to 256 MB or more, when called."""
    head = stream(1)[: stream(1).index(b"16 16")]
    return {
        "256 MB of zeros": lambda: gzip.compress(bytes(2**28), 9),
        "ten times 256 MB": lambda: gzip.compress(bytes(2**28), 9) * 10,
        "frames of 32 MB": lambda: gzip.compress(head + b"4096 4096\n65535\n" + bytes(2**25), 9) * 10,
        "a frame that says 20 GB": lambda: gzip.compress(head + b"99999 99999\n65535\n", 9),
        "a frame that says 32 MB": lambda: gzip.compress(head + b"4096 4096\n65535\n", 9),
        "a header of 256 MB": lambda: gzip.compress(b"P5\n" + b"#" * 2**28, 9),
        "a million frames of 8 x 8": lambda: gzip.compress((head + b"8 8\n255\n" + bytes(64)) * 10**6, 1),
    }


def sav_bombs() -> dict[str, bytes]:
    """IDL save files that make a reader take gigabytes, or walk for ever."""
    good = skymap()
    rows = good.index(struct.pack(">8i", 8, 0, 0, 1, 1, 0, 0, 8)) + 12
    first = good.index(struct.pack(">8i", 8, 0, 1024, 256, 2, 0, 0, 8))
    texts = struct.pack(">iIIi", 2, 2**20, 0, 0) + _text("SKYMAP") + struct.pack(">2i", 7, 4) + _array((2**31 - 1,), 0)
    circle = struct.pack(">iIIiii", 16, 48, 0, 0, 1, 0) + struct.pack(">4i", 10, 0, 7, 1)
    start = len(b"SR\x00\x04")
    pointer = struct.pack(">iIIi", 2, start + 48 + 44, 0, 0) + _text("SKYMAP") + struct.pack(">4i", 10, 0, 7, 1)
    end = struct.pack(">iIIi", 6, 0, 0, 0)
    return {
        "compressed, 256 MB": b"SR\x00\x06" + struct.pack(">iIIi", 2, 2**19, 0, 0) + gzip.compress(bytes(2**28), 9),
        "2^31 structures": _changed(good, (rows, "i", 2**31 - 1)),
        "10^6 structures": _changed(good, (rows, "i", 10**6)),
        "an array of 2^31 bytes": _changed(good, (first + 8, "i", 2**31 - 1)),
        "an array of -1 bytes": _changed(good, (first + 8, "i", -1)),
        "2^31 texts": good[:4] + texts + struct.pack(">i", 7) + bytes(2**16),
        "a record that follows itself": _changed(good, (8, "I", 4)),
        "2^31 tags": good.replace(struct.pack(">3i", 0, 9, 0), struct.pack(">3i", 0, 2**31 - 1, 0), 1),
        "a pointer to itself": good[:4] + circle.ljust(44, b"\0") + pointer + end,
    }


def good_npz() -> bytes:
    """Simulated frames as arrays of NumPy."""
    out = io.BytesIO()
    np.savez_compressed(out, frames=frames())
    return out.getvalue()


def npz_bombs() -> dict[str, bytes | Callable[[], bytes]]:
    """Files of NumPy arrays that expand to 256 MB or more, or hold what has to be unpickled; large ones when called."""

    def packed(**members: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in members.items():
                archive.writestr(f"{name}.npy", content)
        return out.getvalue()

    def array(shape: str, content: bytes, form: str = "<f4") -> bytes:
        head = f"{{'descr': '{form}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + content

    def zeros() -> bytes:
        return packed(frames=array("(67108864,)", bytes(2**28)))

    def says_less() -> bytes:
        told = bytearray(zeros())
        directory = told.rindex(b"PK\x01\x02")
        struct.pack_into("<I", told, directory + 24, 1000)  # the size when expanded, in the directory alone
        return bytes(told)

    return {
        "256 MB of zeros": zeros,
        "256 MB that say 1 kB": says_less,
        "40 times 16 MB": lambda: packed(**{f"a{k}": array("(4194304,)", bytes(2**24)) for k in range(40)}),
        "a head that says 16 GB": packed(frames=array("(4294967296,)", b"")),
        "a head of negative size": packed(frames=array("(-4,)", b"")),
        "a head that is code": packed(frames=array("(__import__('os').system('true'),)", b"")),
        "objects": packed(frames=array("(1,)", pickle.dumps([print]), "|O")),
        "a pickle": pickle.dumps({"frames": 1}),
    }


def sent(change: Callable = lambda content: content, length: int = 0, kind: str = "", encoding: str = "") -> Callable:
    """Answer with a changed file, and a length, kind or encoding that may be wrong."""

    def answer(request: Any, path: Path) -> None:
        content = change(path.read_bytes() if path.is_file() else b"")
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) + length))
        request.send_header("Content-Type", kind or "application/x-cdf")
        if encoding:
            request.send_header("Content-Encoding", encoding)
        request.end_headers()
        with contextlib.suppress(OSError):  # who asked has had enough
            request.wfile.write(content)

    return answer


def cut(share: float, length: bool = True) -> Callable:
    """Answer with the first part of a file."""

    def answer(request: Any, path: Path) -> None:
        content = path.read_bytes()
        request.send_response(200)
        if length:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: int(share * len(content))])

    return answer


def chunked(share: float, end: bool) -> Callable:
    """Answer with the first part of a file in chunks, with or without the one that ends them."""

    def answer(request: Any, path: Path) -> None:
        content = path.read_bytes()
        request.protocol_version = "HTTP/1.1"
        request.close_connection = True
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        part = content[: int(share * len(content))]
        request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) + (b"0\r\n\r\n" if end else b""))

    return answer


def endless(request: Any, _: Path) -> None:
    """Answer with zeros until nobody listens."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(bytes(2**16))


def stalled(part: str) -> Callable:
    """Answer up to some part, and then not, or one byte at a time, for three seconds."""

    def answer(request: Any, path: Path) -> None:
        content, until = path.read_bytes() if path.is_file() else bytes(1000), time.monotonic() + 3
        if part == "in the head":
            request.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Le")
        elif part != "no answer":
            request.send_response(200)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
        if part == "in the middle":
            request.wfile.write(content[: len(content) // 2])
        with contextlib.suppress(OSError):
            for byte in content:
                if time.monotonic() > until:
                    break
                if part == "byte by byte":
                    request.wfile.write(bytes([byte]))
                time.sleep(0.02)

    return answer


def refused(status: int, headers: dict[str, str] | None = None) -> Callable:
    """Answer with a status and a page."""

    def answer(request: Any, _: Path) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(b"<html>No.</html>")

    return answer


def redirected(place: str) -> Callable:
    """Answer with another address."""

    def answer(request: Any, path: Path) -> None:
        request.send_response(302)
        request.send_header("Location", place.format(name=path.name, port=request.server.server_address[1]))
        request.end_headers()

    return answer


def moved(change: Callable) -> Callable:
    """The server keeps the file, or another, at another place of its own, and says so."""

    def prepare(server: Any, path: Path, _: Path) -> None:
        there = server.root / "elsewhere"
        there.mkdir()
        (there / "moved.cdf").write_bytes(change(path.read_bytes()))
        server.answers[path.name] = redirected("/elsewhere/moved.cdf")

    return prepare


def listed(*names: str) -> Callable:
    """Answer with a page of links."""
    return sent(lambda _: "".join(f"<a href='{name}'>{name}</a>" for name in names).encode())


def damages() -> dict[str, Callable]:
    """Ways to change what the records of a CDF tell, or what they hold."""

    def at(place: Callable[[CdfPlaces], int], form: str, value: int) -> Callable:
        return lambda content: _changed(content, (place(CdfPlaces.of(content)), form, value))

    def in_block(content: bytes) -> bytes:
        place = CdfPlaces.of(content).block + 60
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    return {
        "more than there are": at(lambda one: one.variable + 24, "i", 10**6),
        "a block that is elsewhere": at(lambda one: one.index + 28, "i", 3),
        "a block that is damaged": in_block,
        "a circle of variables": lambda content: _changed(
            content, (CdfPlaces.of(content).variable + 12, "q", CdfPlaces.of(content).variable)
        ),
        "zeros in the middle": lambda content: (
            content[: len(content) // 3] + bytes(len(content) // 3) + content[len(content) // 3 * 2 :]
        ),
        "of another type": at(lambda one: one.variable + 20, "i", 99),
    }


def left_half(_: Any, path: Path, here: Path) -> None:
    """Half of the file is here, from an attempt of long ago."""
    here.parent.mkdir(parents=True)
    content = path.read_bytes()
    here.write_bytes(content[: len(content) // 2])


def left_half_alone(server: Any, path: Path, here: Path) -> None:
    """The same, and the server fails."""
    left_half(server, path, here)
    server.answers[path.name] = refused(500)


def left_download(_: Any, path: Path, here: Path) -> None:
    """The folder of a download is here, with half of a file in it."""
    fresh = here.parent / ".download-abc"
    fresh.mkdir(parents=True)
    (fresh / "earlier").touch()
    (fresh / here.name).write_bytes(path.read_bytes()[:1000])


def swapped(isolation: Any, other: bytes) -> Callable:
    """The file is exchanged, once, right after it was checked to be read."""

    @contextlib.contextmanager
    def prepare(_: Any, path: Path, here: Path) -> Iterator[None]:
        check = isolation.check_cdf

        def check_and_swap(given: Path) -> Any:
            found = check(given)
            Path(given).with_name("fresh").write_bytes(other)
            Path(given).with_name("fresh").replace(given)
            return found

        isolation.check_cdf = check_and_swap
        try:
            yield
        finally:
            isolation.check_cdf = check

    return prepare
