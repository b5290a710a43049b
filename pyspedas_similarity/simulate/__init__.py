"""Simulated instruments: `fpi` (particles at the magnetopause), `allsky` (a camera's night).

Each has a pure function that returns a frozen dataclass of arrays with the truth in it, and a pyspedas-style ``load``
that stores what the real loader would store, under names that begin with ``simulated``.
"""
