"""nDCG with the gains of the ESCI benchmark, for data sets that carry its four grades.

Source: Reddy et al., "Shopping Queries Dataset" (2022, arXiv:2206.06588): Exact 1, Substitute 0.1,
Complement 0.01, Irrelevant 0, discounted by log2(rank + 1). Binary measures are in
`relevance.metrics`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.tables import Columns, read_table
from relevance.text import normalise

GAINS = {"exact": 1.0, "substitute": 0.1, "complement": 0.01, "irrelevant": 0.0}
GAINS |= {name[0]: gain for name, gain in GAINS.items()}  # as the benchmark's own files spell them

GRADE_COLUMNS = Columns(
    kind="pairs",
    required={"query": pa.string(), "item_id": pa.string()},
    optional={"label": pa.string()},
)


def read_gains(pairs: Path) -> dict[tuple[str, str], float]:
    """The gain of each pair whose `label` is an ESCI grade; empty for any other data set."""
    rows = read_table(pairs, GRADE_COLUMNS).to_pylist()
    labelled = ((row, str(row.get("label") or "").casefold()) for row in rows)
    return {
        (normalise(row["query"]), row["item_id"]): GAINS[label]
        for row, label in labelled
        if label in GAINS
    }


def mean_ndcg(gains: np.ndarray, scores: np.ndarray, queries: Sequence[str]) -> float:
    """Mean nDCG over the queries with two items or more and any gain at all; nan without one."""
    by_query: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        by_query.setdefault(query, []).append(at)
    found = [
        ndcg(gains[rows], scores[rows])
        for rows in by_query.values()
        if len(rows) > 1 and gains[rows].any()
    ]
    return float(np.mean(found)) if found else float("nan")


def ndcg(gains: np.ndarray, scores: np.ndarray) -> float:
    """DCG by falling score over the best possible DCG; items of one score share their places.

    DCG = Σ gain_i / log2(rank_i + 1), each of tied items getting the mean discount of their places
    (McSherry & Najork, 2008), so that the order of rows changes nothing.
    """
    discounts = 1 / np.log2(np.arange(len(gains)) + 2)
    _, tied, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(discounts)])
    shared = (sums[bounds[1:]] - sums[bounds[:-1]]) / counts
    best = float(np.sort(gains)[::-1] @ discounts)
    return float(gains @ shared[tied]) / best


def gains_of(
    keys: Sequence[tuple[str, str]], known: Mapping[tuple[str, str], float]
) -> np.ndarray | None:
    """Each pair's gain; None where a pair has none."""
    found = [known.get(key) for key in keys]
    return None if not found or None in found else np.array(found, dtype=np.float64)
