"""Encoders: a small image becomes a unit-length embedding, by a fixed transform or by a trained network."""
