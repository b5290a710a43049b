"""Small simulated files of every form that the sources read, ways to damage them, and files made to do harm.

    root/thg/l1/asi/gako/2011/01/thg_l1_asf_gako_2011013122_v01.cdf
    root/mms1/...                                                    as fpi_files.py
    root/20140310_0600_gill_themis19_full.pgm, ....pgm.gz
    root/themis_skymap_gako_20110305.sav

No camera and no spacecraft saw what is in them.
"""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np

FIRST = np.datetime64("2011-01-31T22:00:00", "ns")
START = np.datetime64("2020-01-01T12:00:00", "ns")
EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2**16, 2**30)


def frames(n: int = 6, size: int = 16, seed: int = 0) -> np.ndarray:
    """Simulated noise: uint16, (n, size, size)."""
    return np.random.default_rng(seed).integers(2000, 60000, (n, size, size)).astype(np.uint16)


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
    distribution = rng.uniform(1e-28, 1e-26, (n, *shape)).astype(np.float32)
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
