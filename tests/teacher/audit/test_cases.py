from itertools import pairwise

import pytest
from hypothesis import given

from relevance.domain import Label
from teacher.audit.cases import Kind, suspected_first
from tests.teacher.audit.make_cases import CASES, make_case


def who_stands_alone(human: Label, teacher: Label, student: Label | None) -> Kind:
    """The table of docs/audit.md, said another way."""
    if student is None:
        return Kind.AGREED if teacher is human else Kind.LABEL_SUSPECTED
    if teacher is student:
        return Kind.AGREED if teacher is human else Kind.LABEL_SUSPECTED
    if teacher is human:
        return Kind.STUDENT_MISSED if human is Label.BAD else Kind.STUDENT_REJECTED
    return Kind.TEACHER_MISSED if human is Label.BAD else Kind.TEACHER_REJECTED


@given(cases=CASES)
def test_the_kind_names_whoever_stands_alone(cases) -> None:
    for case in cases:
        assert case.kind is who_stands_alone(case.human, case.teacher, case.student)


@given(cases=CASES)
def test_the_surest_contradiction_of_a_label_comes_first(cases) -> None:
    ranked = suspected_first(cases)

    assert sorted(map(id, ranked)) == sorted(map(id, cases))
    assert all(first.suspicion >= second.suspicion for first, second in pairwise(ranked))


@pytest.mark.parametrize(("good", "suspicion"), [(True, 0.1192), (False, 0.8808)])
def test_suspicion_is_the_teachers_probability_of_the_other_label(good, suspicion) -> None:
    assert make_case(good=good, log_odds=2.0).suspicion == pytest.approx(suspicion, abs=1e-4)


def test_between_equals_the_student_decides() -> None:
    calm = make_case(number=1, good=True, log_odds=-2.0, logit=1.0)
    alarmed = make_case(number=2, good=True, log_odds=-2.0, logit=-1.0)

    assert suspected_first([calm, alarmed]) == [alarmed, calm]


def test_without_a_chain_of_thought_the_sign_of_the_log_odds_decides() -> None:
    assert make_case(log_odds=-0.1, with_thought=False).teacher is Label.BAD
