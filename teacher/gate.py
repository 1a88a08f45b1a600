"""The gate before distilling: is this teacher shown to be better than the student it would teach?

Paired differences on the shared folds, resampled by query. Reading the files is
`held_out_scores.py`'s; nothing is trained or refused here, only found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from relevance.bootstrap import Interval, PairedScores, Statistic, paired_difference
from relevance.errors import BadInput
from relevance.metrics import neg_pr_auc, roc_auc
from teacher.held_out_scores import HeldOutScores

MEASURES: Mapping[str, Statistic] = {"ROC-AUC": roc_auc, "Neg PR-AUC": neg_pr_auc}


@dataclass(frozen=True, slots=True)
class GateRow:
    """One measure of a teacher and of the student, each a mean over folds, and their difference."""

    teacher_kind: str
    measure: str
    teacher: float
    student: float
    difference: Interval

    @property
    def passes(self) -> bool:
        """Whether the interval's lower bound is above 0; an undefined one is not."""
        return self.difference.low > 0

    @property
    def reason(self) -> str:
        """Why the row does not pass."""
        low, high = 100 * self.difference.low, 100 * self.difference.high
        if np.isnan(low):
            return f"{self.teacher_kind}: {self.measure}: too few pairs or queries for an interval"
        return (
            f"{self.teacher_kind}: {self.measure}: the interval of teacher − student, "
            f"[{low:+.1f}, {high:+.1f}] points, is not above 0"
        )

    def __str__(self) -> str:
        value, low, high = (
            100 * v for v in (self.difference.value, self.difference.low, self.difference.high)
        )
        return (
            f"{self.teacher_kind:28} {self.measure:11} {100 * self.teacher:5.1f} − "
            f"{100 * self.student:4.1f} = {value:+.1f} [{low:+.1f}, {high:+.1f}]  "
            f"{'passes' if self.passes else 'does not pass'}"
        )


@dataclass(frozen=True, slots=True)
class GateResult:
    """What was compared and what came of it."""

    folds: tuple[int, ...]
    of_folds: int
    pairs: int
    queries: int
    unscored: int
    rows: tuple[GateRow, ...]

    @property
    def passes(self) -> bool:
        """Whether every row does."""
        return all(row.passes for row in self.rows)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not."""
        return tuple(row.reason for row in self.rows if not row.passes)

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.folds))
        head = (
            f"teacher − student, points; test parts of folds {listed} of {self.of_folds}: "
            f"{self.pairs:,} pairs, {self.queries:,} groups of queries"
        )
        left_out = f"{self.unscored} pairs without a student's score are left out"
        return "\n".join([head, *([left_out] if self.unscored else []), *map(str, self.rows)])

    def content(self) -> dict[str, object]:
        """The result as plain data."""
        return {**asdict(self), "passes": self.passes, "reasons": list(self.reasons)}


def compare(scores: Mapping[str, Sequence[HeldOutScores]], *, of_folds: int) -> GateResult:
    """Hold each kind of teacher (name → its folds) against the student.

    Raises `BadInput` where there is no fold, one comes twice, or kinds differ in their folds.
    """
    kinds = list(scores.values())
    folds = tuple(fold.fold for fold in kinds[0]) if kinds else ()
    if not folds or len(set(folds)) != len(folds):
        raise BadInput(f"gate: expected each fold once and at least one, got {list(folds)}")
    if any(tuple(fold.fold for fold in kind) != folds for kind in kinds):
        raise BadInput("gate: expected every kind of teacher on the same folds")
    rows = tuple(
        _row(kind, measure, statistic, scores[kind])
        for kind in scores
        for measure, statistic in MEASURES.items()
    )
    return GateResult(
        folds=folds,
        of_folds=of_folds,
        pairs=sum(len(fold.good) for fold in kinds[0]),
        queries=sum(len(set(fold.groups)) for fold in kinds[0]),
        unscored=sum(fold.unscored for fold in kinds[0]),
        rows=rows,
    )


def _row(kind: str, measure: str, statistic: Statistic, folds: Sequence[HeldOutScores]) -> GateRow:
    paired = [PairedScores(f.good, f.teacher, f.student, f.groups) for f in folds]
    return GateRow(
        teacher_kind=kind,
        measure=measure,
        teacher=_mean(statistic, [(f.good, f.teacher) for f in folds]),
        student=_mean(statistic, [(f.good, f.student) for f in folds]),
        difference=paired_difference(paired, statistic),
    )


def _mean(statistic: Statistic, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    values = [statistic(good, scores, weights=np.ones((1, len(good)))) for good, scores in folds]
    return float(np.mean(values))
