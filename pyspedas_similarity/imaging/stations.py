"""Positions of the cameras of the THEMIS ground-based observatories."""

from __future__ import annotations

# Geodetic latitude and longitude, degrees, of the cameras of the THEMIS ground-based observatories: those of
# thm_asi_stations.pro, and of Resolute Bay in thm_asi_create_mosaic.pro, both in SPEDAS (projects/themis/ground).
STATIONS = {
    "atha": (54.714, -113.314),
    "chbg": (49.814, -74.419),
    "ekat": (64.733, -110.670),
    "fsim": (61.762, -121.221),
    "fsmi": (59.984, -111.842),
    "fykn": (66.560, -145.214),
    "gako": (62.407, -145.158),
    "gbay": (53.316, -60.460),
    "gill": (56.354, -94.656),
    "inuv": (68.413, -133.770),
    "kapu": (49.392, -82.320),
    "kian": (66.971, -160.438),
    "kuuj": (58.155, -68.532),
    "mcgr": (62.953, -155.596),
    "nrsq": (61.162, -45.442),
    "pgeo": (53.815, -122.828),
    "pina": (50.163, -96.066),
    "rank": (62.828, -92.113),
    "resu": (74.733, -94.900),
    "snap": (63.580, -110.870),
    "snkq": (56.536, -79.231),
    "talo": (69.546, -93.577),
    "tpas": (53.994, -100.941),
    "whit": (61.010, -135.223),
    "yknf": (62.520, -114.313),
}
