"""Changed decisions, agreement and caught mismatches, counted once more by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from relevance.domain import AspectFinding, Verdict, conclude
from relevance.records import write_judgements
from tests.trainer.make_students import make_judgement
from trainer.cases import SHOWN, agreement, count_flips, mismatch_recall, read_mismatches

rows = st.lists(st.tuples(st.booleans(), st.floats(-5, 5), st.floats(-5, 5)), min_size=1)


@given(rows)
def test_every_pair_is_counted_under_what_happened_to_it(drawn):
    good, before, after = (np.array(column) for column in zip(*drawn, strict=True))

    found = count_flips(good, before, after)

    kinds = [((b >= 0) == g, (a >= 0) == g) for g, b, a in drawn]
    assert found.wrong_to_right == kinds.count((False, True))
    assert found.right_to_wrong == kinds.count((True, False))
    assert found.both_right == kinds.count((True, True))
    assert found.both_wrong == kinds.count((False, False))
    assert len(found.righted) == min(SHOWN, found.wrong_to_right)
    assert all(kinds[at] == (True, False) for at in found.broken)


def test_the_cases_shown_are_those_that_moved_furthest():
    good = np.zeros(7, dtype=bool)
    after = -np.array([1.0, 7.0, 3.0, 5.0, 2.0, 6.0, 4.0])

    assert count_flips(good, np.ones(7), after).righted == (1, 5, 3, 6, 2)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=20))
def test_agreement_is_scikit_learns_kappa(drawn):
    one, other = (np.where(column, 1.0, -1.0) for column in zip(*drawn, strict=True))

    found = agreement(one, other)

    assert found["alike"] == pytest.approx(np.mean(one == other))
    if len(set(one)) > 1 or len(set(other)) > 1:
        assert found["kappa"] == pytest.approx(cohen_kappa_score(one, other), abs=1e-9)
    else:
        assert np.isnan(found["kappa"]) or set(one) != set(other)


def thought(*findings: tuple[str, Verdict]):
    listed = tuple(
        AspectFinding(aspect, "asked", None if v is Verdict.MISSING else "offered", v)
        for aspect, v in findings
    )
    return conclude(listed, score=0.2, threshold=0.5)


def test_mismatches_of_bad_pairs_are_caught_by_aspect(tmp_path):
    thoughts = {
        "1": thought(("color", Verdict.MISMATCH), ("brand", Verdict.MATCH)),
        "2": thought(("color", Verdict.MISMATCH), ("brand", Verdict.MISMATCH)),
        "3": thought(("brand", Verdict.MISSING)),
        "4": thought(("brand", Verdict.MISMATCH)),
    }
    judged = [
        replace(make_judgement("q", item, -1.0), chain_of_thought=found)
        for item, found in thoughts.items()
    ]
    write_judgements(tmp_path / "judged.parquet", judged)

    mismatches = read_mismatches(tmp_path / "judged.parquet")
    found = mismatch_recall(
        [("q", item) for item in thoughts],
        np.array([False, False, False, True]),
        np.array([-1.0, 2.0, -1.0, -1.0]),
        mismatches,
    )

    assert mismatches == {
        ("q", "1"): ("color",),
        ("q", "2"): ("color", "brand"),
        ("q", "4"): ("brand",),
    }
    assert found == {"color": (2, 1), "brand": (1, 0)}
