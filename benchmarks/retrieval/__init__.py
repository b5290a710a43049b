"""Retrieval benchmark: data sets x encoders x measures."""
