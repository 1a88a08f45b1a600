"""Golden rows and golden pairs: what a bundle answers on the machine it was made on.

Rows: a query, an arena and the integer maxima the definition finds for them. The service scores
them at start, so that a kernel that saturates or miscounts on some CPU is found before it answers
anyone. Extremes come first, because that is where saturation shows.

Pairs: odd texts and the logits of the whole path. Other CPU kinds come near, not equal: float
encoders differ in the last bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.late_interaction import QUERY_LIMIT, integer_maxima

ITEMS = 64
QUERY_TOKENS = 16
LEAST_BYTE = {8: 1, 4: 0}  # that `quantise_item` writes


@dataclass(frozen=True, slots=True)
class GoldenPair:
    """A normalised query and item text, and their logit."""

    query: str
    item: str
    logit: float


def write_golden(
    path: Path,
    *,
    dim: int,
    rows: int,
    bits: int = 8,
    seed: int = 0,
    pairs: Sequence[GoldenPair] = (),
) -> None:
    """Write `query` int8, `arena` uint8, `maxima` int32 and the pairs as the bundle's golden.npz.

    The pairs are `pair_queries` and `pair_items` (text) and `pair_logits` (float64).
    """
    random = np.random.default_rng(seed)
    query = random.integers(-QUERY_LIMIT, QUERY_LIMIT + 1, (QUERY_TOKENS, dim), dtype=np.int8)
    query[0], query[1] = QUERY_LIMIT, -QUERY_LIMIT
    arena = random.integers(1, 256, (ITEMS, rows, dim * bits // 8), dtype=np.uint8)
    arena[0], arena[1], arena[2] = 255, LEAST_BYTE[bits], 128
    np.savez_compressed(
        path,
        query=query,
        arena=arena,
        maxima=integer_maxima(query, arena, bits=bits),
        pair_queries=np.array([pair.query for pair in pairs], dtype=np.str_),
        pair_items=np.array([pair.item for pair in pairs], dtype=np.str_),
        pair_logits=np.array([pair.logit for pair in pairs], dtype=np.float64),
    )


def read_golden_pairs(path: Path) -> tuple[GoldenPair, ...]:
    """The pairs of a golden.npz; none in those of older bundles."""
    with np.load(path) as golden:
        if "pair_logits" not in golden:
            return ()
        columns = [golden[f"pair_{name}"].tolist() for name in ("queries", "items", "logits")]
    return tuple(GoldenPair(*row) for row in zip(*columns, strict=True))
