"""Simulated instruments: `fpi` (particles at the magnetopause) and `allsky` (camera frames of a night).

Each has pure functions that return a frozen dataclass of arrays, including the truth, and a ``load`` function like
those of pyspedas that stores the same tplot variables as the real loader, with names that start with ``simulated``.
"""
