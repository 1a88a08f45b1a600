import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Label, Verdict
from teacher.audit.tables import (
    FEWEST_OF_QUERY,
    Z,
    aspect_rows,
    count_decisions,
    least_share,
    query_rows,
    slice_rows,
)
from tests.teacher.audit.make_cases import CASES, finding, make_case


@given(cases=CASES)
def test_decisions_count_every_pair_once(cases) -> None:
    assert sum(count for _, _, count in count_decisions(cases)) == len(cases)


@given(cases=CASES)
def test_an_aspects_numbers_are_those_counted_by_hand(cases) -> None:
    for row in aspect_rows(cases):
        bad = [c for c in cases if c.human == "Bad" and c.cause == row.aspect]
        missed = [c for c in bad if c.student == "Good" and c.teacher == "Bad"]
        assert row.bad == len(bad)
        assert row.scored == sum(c.logit is not None for c in bad)
        assert sorted(map(id, row.missed)) == sorted(map(id, missed))
        for verdict, (pairs, good) in row.verdicts.items():
            having = []
            for case in cases:
                thought = case.judgement.chain_of_thought
                told = thought.findings if thought else ()
                if any(f.aspect == row.aspect and f.verdict is verdict for f in told):
                    having.append(case)
            assert (pairs, good) == (len(having), sum(c.human == "Good" for c in having))


def test_a_brand_mismatch_the_student_missed_is_counted_under_brand() -> None:
    told = (finding("brand", Verdict.MISMATCH), finding("color", Verdict.MATCH))
    missed = make_case(good=False, log_odds=-2.0, logit=1.5, findings=told)
    caught = make_case(number=1, good=False, log_odds=-2.0, logit=-1.5, findings=told)

    row = aspect_rows([missed, caught])[0]

    assert (row.aspect, row.bad, row.scored, row.missed) == ("brand", 2, 2, (missed,))


def test_an_accusation_the_teacher_overrules_itself_is_still_one() -> None:
    overruled = make_case(log_odds=3.0, findings=(finding("color", Verdict.MISMATCH),))

    row = aspect_rows([overruled])[0]

    assert (row.bad, row.accused) == (0, (overruled,))


@given(cases=CASES)
def test_head_and_long_tail_make_up_all(cases) -> None:
    rows = {row.name: row for row in slice_rows(cases)}
    parts = [rows[name] for name in ("head", "long tail") if name in rows]

    assert rows["all"].pairs == sum(part.pairs for part in parts) == len(cases)
    wrong = sum(case.teacher is not case.human for case in cases)
    assert sum(part.teacher_wrong * part.pairs for part in parts) == pytest.approx(wrong)


def test_a_slice_the_student_did_not_score_says_nothing_of_it() -> None:
    row = slice_rows([make_case(), make_case(number=1, good=False)])[0]

    assert math.isnan(row.student_wrong)
    assert math.isnan(row.student_roc_auc)
    assert not math.isnan(row.teacher_wrong)


@given(cases=CASES)
def test_worst_queries_count_the_decisions_of_whoever_scored(cases) -> None:
    scored = [case for case in cases if case.logit is not None]
    for row in query_rows(cases):
        of_query = [c for c in scored or cases if c.pair.query == row.query]
        decided = [c.student if scored else c.teacher for c in of_query]
        wrong = sum(d is not c.human for d, c in zip(decided, of_query, strict=True))
        assert (row.pairs, row.wrong) == (len(of_query), wrong)
        assert row.pairs >= FEWEST_OF_QUERY
        assert len(row.examples) == row.wrong


def test_one_wrong_of_one_does_not_lead() -> None:
    alone = [make_case(query="oak desk", good=True, log_odds=-2.0)] * 3
    often = [make_case(number=n, good=True, log_odds=-2.0) for n in range(9)]
    right = [make_case(number=10, good=True, log_odds=2.0)]

    assert [row.query for row in query_rows([*alone, *often, *right])] == ["red bottle", "oak desk"]


def test_wilsons_end_of_nothing_wrong_is_nothing():
    assert [least_share(0, pairs) for pairs in range(1, 500)] == [0.0] * 499


@given(pairs=st.integers(1, 200), data=st.data())
def test_wilsons_end_solves_its_equation(pairs, data) -> None:
    wrong = data.draw(st.integers(0, pairs))

    low, share = least_share(wrong, pairs), wrong / pairs

    assert 0 <= low <= share
    assert abs(share - low) == pytest.approx(Z * math.sqrt(low * (1 - low) / pairs), abs=1e-9)


def test_human_labels_are_words() -> None:
    assert make_case(good=False).human is Label.BAD
