"""Whole files as read-only arrays."""

from pathlib import Path

import numpy as np

from relevance.errors import BadGeneration


def map_array(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A read-only view of a whole file."""
    expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if path.stat().st_size != expected:
        size = path.stat().st_size
        raise BadGeneration(f"{path}: expected {expected} bytes for {shape}, got {size}")
    if not expected:  # which cannot be mapped
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))
