"""One fold's judge with the test pairs it was held out of: what the measures work on.

Also the few statistics they share. Fitting is `teacher.fit_fold`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from relevance.bootstrap import Interval, PairedScores, paired_difference
from relevance.domain import Item
from relevance.folds import FoldAssignment, split
from relevance.records import Pair
from teacher.online.catalogue import CatalogueJudge


@dataclass(frozen=True)
class HeldOut:
    """A fold's judge, and its test pairs, which it has not seen."""

    fold: int
    judge: CatalogueJudge
    pairs: tuple[Pair, ...]
    groups: tuple[str, ...]
    items: Mapping[str, Item]

    @property
    def good(self) -> Bool[np.ndarray, " pairs"]:
        """The human labels."""
        return np.array([bool(pair.good) for pair in self.pairs])


def held_out(
    folder: Path,
    fold: int,
    data: tuple[Sequence[Pair], Mapping[str, Item], FoldAssignment],
) -> HeldOut:
    """The judge in `folder` with the test part of its fold."""
    pairs, items, assignment = data
    tested = split(assignment, pairs, fold=fold).test
    groups = tuple(assignment.assigned(pair.query).group for pair in tested)
    return HeldOut(fold, CatalogueJudge.read(folder), tested, groups, items)


def mean(
    good: Bool[np.ndarray, " pairs"],
    scores: Float[np.ndarray, " pairs"],
    /,
    *,
    weights: Float[np.ndarray, "*draws pairs"],
) -> Float[np.ndarray, "*draws"]:
    """The weighted mean of `scores`, as a statistic for the bootstrap; labels play no part."""
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def difference_of_means(
    rows: Sequence[tuple[str, float, float]], *, fold: Callable[[str], int] = lambda group: 0
) -> Interval:
    """Mean of first − second over rows (group, first, second), groups resampled inside folds."""
    folds: dict[int, list[tuple[str, float, float]]] = {}
    for row in rows:
        folds.setdefault(fold(row[0]), []).append(row)
    paired = [
        PairedScores(
            np.ones(len(part), dtype=bool),
            np.array([first for _, first, _ in part]),
            np.array([second for _, _, second in part]),
            [group for group, _, _ in part],
        )
        for part in folds.values()
    ]
    return paired_difference(paired, mean)
