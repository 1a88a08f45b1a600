"""Freeze: a trained student becomes a bundle the service can load, or is refused."""
