"""Reads what a gate compares: a teacher's held-out log-odds and a student's on one test part.

Both files are refused where they are not of the same held-out pairs. What follows from the
comparison is `gate.py`'s.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from relevance.domain import Target
from relevance.errors import BadInput
from relevance.folds import FoldAssignment
from relevance.records import Pair
from relevance.tables import Columns, read_table
from relevance.text import normalise

JUDGEMENTS = "judgements.parquet"
WITHOUT_STUDENT = "judgements_without_student.parquet"
STUDENT_COLUMNS = Columns(
    kind="student scores",
    required={"query": pa.string(), "item_id": pa.string(), "good": pa.int64()},
    optional={"logit": pa.float64(), "subset": pa.string()},  # a pair without a score is null
)
JUDGEMENT_COLUMNS = Columns(
    kind="judgements",
    required={name: pa.string() for name in ("query", "item_id", "target")}
    | {"log_odds": pa.float64()},
    optional={"held_out_of": pa.string()},
)

PairKey = tuple[str, str]  # query, item_id


@dataclass(frozen=True, slots=True)
class GateFiles:
    """One fold's files: the student's scores, the teacher's judgements, and those it gives when
    it may not look at any student's score (None where it never does).
    """

    student: Path
    teacher: Path
    without_student: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutScores:
    """One fold's test pairs: labels, both sides' log-odds, and each pair's group of variants.

    `unscored` pairs the student gave no score (no token) and that are left out.
    """

    fold: int
    good: Bool[np.ndarray, " pairs"]
    student: Float[np.ndarray, " pairs"]
    teacher: Float[np.ndarray, " pairs"]
    groups: Sequence[str]
    unscored: int


def files_of(teacher: Path, student: Path) -> GateFiles:
    """A fold's files; `teacher` is a folder written by `ellm teach fit`, or judgements alone."""
    if not teacher.is_dir():
        return GateFiles(student, teacher)
    without = teacher / WITHOUT_STUDENT
    return GateFiles(student, teacher / JUDGEMENTS, without if without.is_file() else None)


def read_held_out(
    student: Path, teacher: Path, assignment: FoldAssignment, *, target: Target
) -> HeldOutScores:
    """Both files' scores of one fold; raises `BadInput` where a pair was not held out of both."""
    scored = _student_scores(student)
    fold = _fold_of(scored, assignment, student)
    judged = _teacher_scores(teacher, target)
    usable = [pair for pair, logit in scored.items() if logit is not None]
    if not usable:
        raise BadInput(f"{student}: expected at least one score, found none")
    rows = [_held_out(judged, pair, fold, teacher) for pair in usable]
    return HeldOutScores(
        fold=fold,
        good=np.array([bool(pair.good) for pair in usable]),
        student=np.array([scored[pair] for pair in usable], dtype=np.float64),
        teacher=np.array(rows),
        groups=[assignment.assigned(pair.query).group for pair in usable],
        unscored=len(scored) - len(usable),
    )


def _student_scores(path: Path) -> dict[Pair, float | None]:
    scored: dict[Pair, float | None] = {}
    for row, record in enumerate(read_table(path, STUDENT_COLUMNS).to_pylist(), start=1):
        if record["good"] not in (0, 1):
            raise BadInput(f"{path}: row {row}: column `good`: expected 0 or 1")
        pair = Pair(
            normalise(record["query"]),
            record["item_id"],
            bool(record["good"]),
            record.get("subset") or "",
        )
        scored[pair] = record.get("logit")
    return scored


def _fold_of(scored: Mapping[Pair, object], assignment: FoldAssignment, path: Path) -> int:
    """The one fold all these pairs are tested in."""
    counts = Counter(assignment.fold_of(pair) for pair in scored)
    if len(counts) != 1 or None in counts:
        raise BadInput(
            f"{path}: expected the test pairs of one fold of {assignment.hash}, got pairs of "
            f"{', '.join(str(fold) for fold in counts)}"
        )
    fold = next(iter(counts))
    assert fold is not None
    return fold


def _teacher_scores(path: Path, target: Target) -> dict[PairKey, tuple[float, str | None]]:
    rows = read_table(path, JUDGEMENT_COLUMNS).to_pylist()
    return {
        (normalise(row["query"]), row["item_id"]): (row["log_odds"], row.get("held_out_of"))
        for row in rows
        if row["target"] == target
    }


def _held_out(
    judged: Mapping[PairKey, tuple[float, str | None]], pair: Pair, fold: int, path: Path
) -> float:
    named = f"the pair ({pair.query!r}, `{pair.item_id}`)"
    if (pair.query, pair.item_id) not in judged:
        raise BadInput(f"{path}: expected a judgement of {named}, found none")
    log_odds, held_out_of = judged[pair.query, pair.item_id]
    if held_out_of != f"outer-{fold}":
        raise BadInput(
            f"{path}: {named}: expected a judge held out of outer-{fold}, got {held_out_of}"
        )
    return log_odds
