import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teacher.audit.cases import suspected_first
from teacher.audit.ranking import DEPTHS, measure_ranking
from tests.teacher.audit.make_cases import CASES, make_case


@given(cases=CASES, data=st.data())
def test_precision_and_average_precision_are_those_of_the_list(cases, data) -> None:
    cases = list({case.pair.item_id: case for case in cases}.values())
    known = {(c.pair.query, c.pair.item_id): data.draw(st.booleans()) for c in cases}

    found = measure_ranking(cases, known)

    ranked = np.array(
        [known[c.pair.query, c.pair.item_id] != c.pair.good for c in suspected_first(cases)]
    )
    assert found is not None
    assert (found.pairs, found.errors) == (len(cases), ranked.sum())
    for k in [depth for depth in DEPTHS if depth <= len(cases)]:
        assert found.precision_at[k]["teacher"] == pytest.approx(ranked[:k].mean())
    if ranked.any():
        places = np.flatnonzero(ranked) + 1
        by_hand = np.mean([(n + 1) / place for n, place in enumerate(places)])
        assert found.average_precision["teacher"] == pytest.approx(by_hand)


def test_nothing_known_is_nothing_measured() -> None:
    assert measure_ranking([make_case()], {("oak desk", "I9"): True}) is None


def test_the_student_is_measured_only_where_it_scored_all() -> None:
    scored, unscored = make_case(logit=1.0), make_case(number=1)
    known = {(c.pair.query, c.pair.item_id): True for c in (scored, unscored)}

    found = [measure_ranking(cases, known) for cases in ([scored], [scored, unscored])]

    assert [set(f.average_precision) for f in found] == [{"teacher", "student"}, {"teacher"}]
