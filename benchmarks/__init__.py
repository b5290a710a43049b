"""Benchmarks of the package, run from a clone; every printed table of the documentation comes from here."""
