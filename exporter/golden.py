"""Golden rows: a query, an arena and the integer maxima the definition finds for them.

The service scores them at start, so that a kernel that saturates or miscounts on some CPU is
found before it answers anyone. Extremes come first, because that is where saturation shows.
"""

from pathlib import Path

import numpy as np

from relevance.late_interaction import QUERY_LIMIT, integer_maxima

ITEMS = 64
QUERY_TOKENS = 16


def write_golden(path: Path, *, dim: int, rows: int, seed: int = 0) -> None:
    """Write `query` int8, `arena` uint8 and `maxima` int32 as the bundle's golden.npz."""
    random = np.random.default_rng(seed)
    query = random.integers(-QUERY_LIMIT, QUERY_LIMIT + 1, (QUERY_TOKENS, dim), dtype=np.int8)
    query[0], query[1] = QUERY_LIMIT, -QUERY_LIMIT
    arena = random.integers(1, 256, (ITEMS, rows, dim), dtype=np.uint8)
    arena[0], arena[1], arena[2] = 255, 1, 128
    np.savez_compressed(path, query=query, arena=arena, maxima=integer_maxima(query, arena))
