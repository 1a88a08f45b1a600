"""Differences between two rows of a study, over the folds and seeds that both have.

A difference is the mean over seeds, its interval resamples queries: seeds of one fold share their
queries, so they are measured on the same draw and do not count as more queries.
"""

from collections.abc import Sequence

import numpy as np

from relevance.bootstrap import Interval, PairedScores, Statistic, paired_difference
from trainer.study.cells import CellResult


def row_difference(
    first: Sequence[CellResult], second: Sequence[CellResult], statistic: Statistic
) -> Interval | None:
    """first − second with its paired interval; None without a fold and seed in common."""
    ours = {(result.cell.fold, result.cell.seed): result for result in first}
    theirs = {(result.cell.fold, result.cell.seed): result for result in second}
    by_fold: dict[int, list[tuple[CellResult, CellResult]]] = {}
    for key in sorted(ours.keys() & theirs.keys()):
        by_fold.setdefault(key[0], []).append((ours[key], theirs[key]))
    if not by_fold:
        return None
    # Both judges' logits of every seed are rows of one table (pairs of both, seeds); what the
    # bootstrap passes around as scores are row numbers.
    tables: list[np.ndarray] = []
    folds = []
    for pairs in by_fold.values():
        aligned = [_aligned(one, other) for one, other in pairs]
        good, queries, rows = aligned[0][2], aligned[0][3], len(aligned[0][2])
        tables.append(np.stack([one for one, _, _, _ in aligned], axis=1))
        tables.append(np.stack([other for _, other, _, _ in aligned], axis=1))
        start = sum(len(table) for table in tables) - 2 * rows
        first_rows = np.arange(start, start + rows, dtype=np.float64)
        folds.append(PairedScores(good, first_rows, first_rows + rows, queries))
    return paired_difference(folds, _MeanOverSeeds(tables, statistic))


class _MeanOverSeeds:
    """The mean of a statistic over the seeds of the rows it is given."""

    def __init__(self, tables: Sequence[np.ndarray], statistic: Statistic) -> None:
        self._starts = np.cumsum([0, *(len(table) for table in tables)])
        self._tables = tables
        self._statistic = statistic

    def __call__(
        self, good: np.ndarray, scores: np.ndarray, /, *, weights: np.ndarray
    ) -> np.ndarray:
        number = int(np.searchsorted(self._starts, scores[0], side="right")) - 1
        rows = scores.astype(np.int64) - self._starts[number]
        logits = self._tables[number][rows]  # (pairs, seeds)
        found = [self._statistic(good, column, weights=weights) for column in logits.T]
        return np.asarray(np.mean(found, axis=0))


def _aligned(
    one: CellResult, other: CellResult
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Logits of both on the pairs that both scored, their labels and queries, in one order."""
    theirs = {key: at for at, key in enumerate(zip(other.queries, other.item_ids, strict=True))}
    ours = {key: at for at, key in enumerate(zip(one.queries, one.item_ids, strict=True))}
    keys = sorted(ours.keys() & theirs.keys())
    here, there = [ours[key] for key in keys], [theirs[key] for key in keys]
    return one.logits[here], other.logits[there], one.good[here], [query for query, _ in keys]
