"""What `audit.json` holds; its fields are described in docs/audit.md.

Lists of pairs are indices into `pairs`, so that a pair shown in three places is written once.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from relevance.chain_of_thought import render
from relevance.domain import Label
from teacher.audit.cases import Case, Kind, probability, student_against_label, suspected_first
from teacher.audit.ranking import measure_ranking
from teacher.audit.sources import Joined, PairKey
from teacher.audit.tables import (
    AspectRow,
    QueryRow,
    SliceRow,
    aspect_rows,
    count_decisions,
    query_rows,
    slice_rows,
)

FORMAT = "relevance-audit/1"
Content = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How many of each are listed: suspected labels, queries, and samples of a kind or aspect."""

    label_errors: int = 50
    queries: int = 20
    samples: int = 5


class Shown:
    """The pairs a report shows, each once, in the order in which they were first named."""

    def __init__(self) -> None:
        self._places: dict[PairKey, int] = {}
        self._cases: list[Case] = []

    def places(self, cases: Iterable[Case]) -> list[int]:
        """Where these pairs stand; added where they are new."""
        return [self._place(case) for case in cases]

    def content(self) -> list[Content]:
        """All of them."""
        return [_pair(case) for case in self._cases]

    def _place(self, case: Case) -> int:
        key = (case.pair.query, case.pair.item_id)
        if key not in self._places:
            self._places[key] = len(self._cases)
            self._cases.append(case)
        return self._places[key]


def audit_content(
    joined: Joined,
    *,
    known: Mapping[PairKey, bool] | None = None,
    amounts: Amounts = Amounts(),
) -> Content:
    """Everything an audit says, as JSON; the same input gives the same content."""
    cases, shown = joined.cases, Shown()
    suspected = [case for case in suspected_first(cases) if case.teacher_is_wrong]
    content: Content = {
        "format": FORMAT,
        "dataset": joined.dataset,
        "judge": {
            "name": joined.judge,
            "target": str(joined.target),
            "fingerprints": list(joined.fingerprints),
        },
        "counts": _counts(joined),
        "decisions": [
            {"human": human, "teacher": teacher, "student": student, "kind": kind, "pairs": pairs}
            for (human, teacher, student), kind, pairs in count_decisions(cases)
        ],
        "label_errors": {
            "pairs": shown.places(suspected[: amounts.label_errors]),
            "measured": _measured(cases, known),
            "measured_with_student": _measured([c for c in cases if c.logit is not None], known),
        },
        "aspects": [_aspect(row, shown, amounts.samples) for row in aspect_rows(cases)],
        "slices": [_slice(row) for row in slice_rows(cases)],
        "worst_queries": [
            _query(row, shown, amounts.samples)
            for row in query_rows(cases)[: amounts.queries]
            if row.wrong
        ],
        "samples": {
            kind: shown.places(_surest(cases, kind)[: amounts.samples])
            for kind in Kind
            if kind is not Kind.AGREED
        },
    }
    content["pairs"] = shown.content()
    return _defined(content)


def _counts(joined: Joined) -> Content:
    cases = joined.cases
    return {
        "pairs": joined.pairs,
        "queries": len({case.pair.query for case in cases}),
        "bad": sum(case.human is Label.BAD for case in cases),
        "judged": len(cases),
        "not_judged": joined.not_judged,
        "seen": joined.seen,
        "seen_used": joined.seen_used,
        "with_student": sum(case.logit is not None for case in cases),
    }


def _surest(cases: Sequence[Case], kind: Kind) -> list[Case]:
    """The pairs of a kind, those first in which whoever stands alone is surest."""
    of_kind = [case for case in cases if case.kind is kind]
    if kind in (Kind.STUDENT_MISSED, Kind.STUDENT_REJECTED):
        return sorted(of_kind, key=lambda case: -student_against_label(case))
    return suspected_first(of_kind)


def _measured(cases: Sequence[Case], known: Mapping[PairKey, bool] | None) -> Content | None:
    found = measure_ranking(cases, known or {})
    if found is None:
        return None
    return {
        "pairs": found.pairs,
        "errors": found.errors,
        "base_rate": found.base_rate,
        "average_precision": dict(found.average_precision),
        "precision_at": [{"k": k, **row} for k, row in found.precision_at.items()],
    }


def _aspect(row: AspectRow, shown: Shown, samples: int) -> Content:
    return {
        "aspect": row.aspect,
        "bad_pairs": row.bad,
        "bad_pairs_scored": row.scored,
        "student_missed": len(row.missed),
        "good_pairs_accused": len(row.accused),
        "verdicts": {
            verdict: {"pairs": pairs, "good": good}
            for verdict, (pairs, good) in row.verdicts.items()
        },
        "missed": shown.places(row.missed[:samples]),
        "accused": shown.places(row.accused[:samples]),
    }


def _slice(row: SliceRow) -> Content:
    found = asdict(row)
    return {"slice": found.pop("name"), **found}


def _query(row: QueryRow, shown: Shown, samples: int) -> Content:
    return {
        "query": row.query,
        "head": row.is_head,
        "pairs": row.pairs,
        "wrong": row.wrong,
        "least_share_wrong": row.least_share_wrong,
        "teacher_wrong": row.teacher_wrong,
        "within_query_auc": row.within_query_auc,
        "label_suspected": row.label_suspected,
        "examples": shown.places(row.examples[:samples]),
    }


def _pair(case: Case) -> Content:
    thought = case.judgement.chain_of_thought
    log_odds = case.judgement.log_odds
    return {
        "query": case.pair.query,
        "item_id": case.pair.item_id,
        "title": case.item.title,
        "subset": case.pair.subset,
        "head": case.is_head,
        "kind": case.kind,
        "human": case.human,
        "teacher": {
            "label": case.teacher,
            "score": probability(log_odds),
            "log_odds": log_odds,
        },
        "student": None
        if case.logit is None
        else {"label": case.student, "score": probability(case.logit), "logit": case.logit},
        "suspicion": case.suspicion,
        "cause": case.cause,
        "aspects": [asdict(finding) for finding in (thought.findings if thought else ())],
        "spans": [asdict(span) for span in case.judgement.spans],
        "chain_of_thought": None if thought is None else render(thought),
    }


def _defined(value: Any) -> Any:
    """The same with null for every undefined number: JSON has no NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {str(key): _defined(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_defined(one) for one in value]
    return value
