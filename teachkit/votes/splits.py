"""The splits of gold."""

SPLITS = ("train", "tune", "test")
"""In arrays a split is its index here. Gold of ``test`` never fits or tunes anything."""
