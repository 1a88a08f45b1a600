"""The audit's counts: decisions, aspects, slices, queries. Undefined numbers are NaN here.

Which pairs are shown as examples is `content.py`'s.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.aspects import aspect_names
from relevance.domain import Label, Verdict
from relevance.metrics import roc_auc, within_query_auc
from teacher.audit.cases import Case, Kind, student_against_label, suspected_first

Decision = tuple[Label, Label, Label | None]  # human, teacher, student
FEWEST_OF_QUERY = 3  # pairs; a query with fewer says little
Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class AspectRow:
    """One aspect: whom it divides, and how often pairs with each verdict are Good by their label.

    `bad`: human Bad pairs the teacher calls Bad because of it, `scored` of them by the student;
    `missed`: those the student calls Good, its highest scores first; `accused`: human Good pairs
    in which the teacher sees it mismatch, the surest first; `verdicts`: pairs with the verdict,
    and the Good ones of them.
    """

    aspect: str
    bad: int
    scored: int
    missed: tuple[Case, ...]
    accused: tuple[Case, ...]
    verdicts: Mapping[Verdict, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class SliceRow:
    """Some of the pairs: shares of wrong decisions, and how well each judge ranks them.

    What is said of the student counts the pairs it scored, NaN where there are none.
    """

    name: str
    pairs: int
    queries: int
    share_bad: float
    teacher_wrong: float
    student_wrong: float
    student_against_teacher: float
    label_suspected: float
    teacher_roc_auc: float
    student_roc_auc: float


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query by the decisions its judge got wrong; `least_share_wrong` is Wilson's lower end."""

    query: str
    is_head: bool
    pairs: int
    wrong: int
    least_share_wrong: float
    teacher_wrong: int
    within_query_auc: float
    label_suspected: int
    examples: tuple[Case, ...]


def count_decisions(cases: Sequence[Case]) -> list[tuple[Decision, Kind, int]]:
    """How many pairs are decided each way, the most frequent first."""
    counts = Counter((case.human, case.teacher, case.student) for case in cases)
    kinds = {(case.human, case.teacher, case.student): case.kind for case in cases}
    return [(decision, kinds[decision], count) for decision, count in counts.most_common()]


def aspect_rows(cases: Sequence[Case]) -> list[AspectRow]:
    """A row for each aspect a chain of thought speaks of; most missed, then most frequent first."""
    rows = [_aspect_row(name, cases) for name in aspect_names()]
    spoken_of = [row for row in rows if row.bad or row.accused or any(_counts(row.verdicts))]
    return sorted(spoken_of, key=lambda row: (-len(row.missed), -row.bad, row.aspect))


def slice_rows(cases: Sequence[Case]) -> list[SliceRow]:
    """All pairs, head, long tail, and each subset there is."""
    chosen: dict[str, Callable[[Case], bool]] = {
        "all": lambda case: True,
        "head": lambda case: case.is_head,
        "long tail": lambda case: not case.is_head,
    }
    for subset in sorted({case.pair.subset for case in cases if case.pair.subset}):
        chosen[f"subset {subset}"] = _of_subset(subset)
    found = ((name, [c for c in cases if holds(c)]) for name, holds in chosen.items())
    return [_slice_row(name, members) for name, members in found if members]


def query_rows(cases: Sequence[Case]) -> list[QueryRow]:
    """Queries of at least three pairs, the one most surely answered wrongly first.

    Judged are the student's decisions where it scored any pair of the audit, else the teacher's.
    """
    scored = [case for case in cases if case.student is not None]
    is_wrong = _student_is_wrong if scored else _teacher_is_wrong
    by_query: dict[str, list[Case]] = {}
    for case in scored or cases:
        by_query.setdefault(case.pair.query, []).append(case)
    rows = [
        _query_row(query, members, is_wrong)
        for query, members in by_query.items()
        if len(members) >= FEWEST_OF_QUERY
    ]
    return sorted(rows, key=lambda row: (-row.least_share_wrong, row.query))


def least_share(wrong: int, pairs: int) -> float:
    """The lower end of Wilson's 95 % interval of a share (Wilson 1927, JASA 22:209).

    >>> round(least_share(1, 1), 3), round(least_share(9, 10), 3)
    (0.207, 0.596)
    """
    share, spread = wrong / pairs, Z * Z / pairs
    centre = share + spread / 2
    half = Z * math.sqrt(share * (1 - share) / pairs + spread / (4 * pairs))
    return min(max((centre - half) / (1 + spread), 0.0), share)  # rounding may leave 1e-18 of 0


def _aspect_row(aspect: str, cases: Sequence[Case]) -> AspectRow:
    bad = [c for c in cases if c.cause == aspect and c.human is Label.BAD]
    missed = [c for c in bad if c.kind is Kind.STUDENT_MISSED]
    accused = [c for c in cases if aspect in c.mismatching and c.human is Label.GOOD]
    return AspectRow(
        aspect=aspect,
        bad=len(bad),
        scored=sum(case.logit is not None for case in bad),
        missed=tuple(sorted(missed, key=lambda case: -student_against_label(case))),
        accused=tuple(suspected_first(accused)),
        verdicts={verdict: _good_with(aspect, verdict, cases) for verdict in Verdict},
    )


def _good_with(aspect: str, verdict: Verdict, cases: Sequence[Case]) -> tuple[int, int]:
    chosen = [case for case in cases if (aspect, verdict) in set(_verdicts(case))]
    return len(chosen), sum(case.human is Label.GOOD for case in chosen)


def _verdicts(case: Case) -> Iterator[tuple[str, Verdict]]:
    thought = case.judgement.chain_of_thought
    return ((f.aspect, f.verdict) for f in (() if thought is None else thought.findings))


def _counts(verdicts: Mapping[Verdict, tuple[int, int]]) -> list[int]:
    return [pairs for pairs, _ in verdicts.values()]


def _slice_row(name: str, cases: Sequence[Case]) -> SliceRow:
    scored = [case for case in cases if case.logit is not None]
    return SliceRow(
        name=name,
        pairs=len(cases),
        queries=len({case.pair.query for case in cases}),
        share_bad=_share(cases, lambda case: case.human is Label.BAD),
        teacher_wrong=_share(cases, _teacher_is_wrong),
        student_wrong=_share(scored, _student_is_wrong),
        student_against_teacher=_share(scored, lambda case: case.student is not case.teacher),
        label_suspected=_share(cases, lambda case: case.kind is Kind.LABEL_SUSPECTED),
        teacher_roc_auc=roc_auc(_good(cases), _log_odds(cases)),
        student_roc_auc=roc_auc(_good(scored), _logits(scored)),
    )


def _query_row(query: str, cases: Sequence[Case], is_wrong: Callable[[Case], bool]) -> QueryRow:
    wrong = sum(map(is_wrong, cases))
    scores = _logits(cases) if is_wrong is _student_is_wrong else _log_odds(cases)
    return QueryRow(
        query=query,
        is_head=cases[0].is_head,
        pairs=len(cases),
        wrong=wrong,
        least_share_wrong=least_share(wrong, len(cases)),
        teacher_wrong=sum(case.teacher_is_wrong for case in cases),
        within_query_auc=within_query_auc(_good(cases), scores, [query] * len(cases)),
        label_suspected=sum(case.kind is Kind.LABEL_SUSPECTED for case in cases),
        examples=tuple(case for case in suspected_first(cases) if is_wrong(case)),
    )


def _of_subset(subset: str) -> Callable[[Case], bool]:
    return lambda case: case.pair.subset == subset


def _student_is_wrong(case: Case) -> bool:
    return case.student_is_wrong


def _teacher_is_wrong(case: Case) -> bool:
    return case.teacher_is_wrong


def _share(cases: Sequence[Case], holds: Callable[[Case], bool]) -> float:
    return sum(map(holds, cases)) / len(cases) if cases else math.nan


def _good(cases: Sequence[Case]) -> np.ndarray:
    return np.array([case.human is Label.GOOD for case in cases], dtype=bool)


def _log_odds(cases: Sequence[Case]) -> np.ndarray:
    return np.array([case.judgement.log_odds for case in cases], np.float64)


def _logits(cases: Sequence[Case]) -> np.ndarray:
    return np.array([np.nan if c.logit is None else c.logit for c in cases], np.float64)
