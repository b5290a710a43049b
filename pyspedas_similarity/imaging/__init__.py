"""Measurements to small float32 images, each by a frozen and hashed Recipe."""
