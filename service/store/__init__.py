"""Generations on disk: written whole, published by one switch, read through memory maps."""
