"""Instruments: loaders, and the registry that names their variables and recipes.

A new instrument is one module here and one entry in `registry.INSTRUMENTS`.
"""

from __future__ import annotations

from .registry import INSTRUMENTS, Instrument, instrument_named

__all__ = ["INSTRUMENTS", "Instrument", "instrument_named"]
