"""How good the ranking of suspected labels is, where it is known which labels are wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.domain import Label
from relevance.metrics import neg_pr_auc
from teacher.audit.cases import Case, student_against_label, suspected_first
from teacher.audit.sources import PairKey

DEPTHS = (10, 20, 50, 100, 200, 500)
Rank = Callable[[Sequence[Case]], list[Case]]


@dataclass(frozen=True, slots=True)
class MeasuredRanking:
    """Precision of the first k, for each k that there are so many pairs, and over the whole list.

    Rankings are `teacher`, the one shown, and `student`, that of the student's logits alone, where
    it scored every pair measured. `average_precision` of a ranking that knows nothing is near the
    base rate.
    """

    pairs: int
    errors: int
    average_precision: Mapping[str, float]
    precision_at: Mapping[int, Mapping[str, float]]

    @property
    def base_rate(self) -> float:
        """The share of wrong labels among the pairs measured."""
        return self.errors / self.pairs


def measure_ranking(cases: Sequence[Case], known: Mapping[PairKey, bool]) -> MeasuredRanking | None:
    """Measure on the pairs whose right label is known; None where there is none of them."""
    usable = [case for case in cases if _key(case) in known]
    if not usable:
        return None
    ranked = {name: rank(usable) for name, rank in _rankings(usable).items()}
    errors = {
        name: np.array([known[_key(case)] != (case.human is Label.GOOD) for case in order])
        for name, order in ranked.items()
    }
    return MeasuredRanking(
        pairs=len(usable),
        errors=int(errors["teacher"].sum()),
        average_precision={name: _average_precision(found) for name, found in errors.items()},
        precision_at={
            k: {name: float(found[:k].mean()) for name, found in errors.items()}
            for k in DEPTHS
            if k <= len(usable)
        },
    )


def _rankings(cases: Sequence[Case]) -> dict[str, Rank]:
    if any(case.logit is None for case in cases):
        return {"teacher": suspected_first}
    return {"teacher": suspected_first, "student": _by_student}


def _by_student(cases: Sequence[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: -student_against_label(case))


def _average_precision(is_error: np.ndarray) -> float:
    """Of a ranking, the first place first; NaN where nothing is wrong."""
    places = np.arange(len(is_error), dtype=np.float64)
    return neg_pr_auc(~is_error, places)


def _key(case: Case) -> PairKey:
    return case.pair.query, case.pair.item_id
