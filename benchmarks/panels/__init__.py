"""Comparison of searches of windows of time series and spectrograms: data, methods and measures."""
