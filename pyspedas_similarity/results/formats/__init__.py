"""Readers and writers of tables and lists of intervals in the formats of other programs."""
