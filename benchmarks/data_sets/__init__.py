"""Data sets with known right answers."""
