"""Kendall's τ against scipy, and lists that flip against what was planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from exporter.rank_agreement import SHORTEST_LIST, flipped_lists, kendall_tau, kendall_taus

scores = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=20)


@given(scores)
def test_tau_is_scipys_ties_included(pairs):
    first, second = np.array(pairs, float).T

    found = kendall_tau(first, second)

    assert found == pytest.approx(kendalltau(first, second).statistic, nan_ok=True, abs=1e-12)


def test_short_and_constant_lists_have_no_tau():
    queries = ["long"] * SHORTEST_LIST + ["short"] * (SHORTEST_LIST - 1) + ["flat"] * SHORTEST_LIST
    first = np.concatenate([np.arange(2 * SHORTEST_LIST - 1), np.zeros(SHORTEST_LIST)])

    assert kendall_taus(queries, first, first) == {"long": 1.0}


def test_a_flipped_list_names_its_widest_change_and_both_gaps():
    pairs = [("q", name) for name in "abcde"] + [("same", name) for name in "fghij"]
    reference = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 5, 4, 3, 2, 1])
    served = reference.copy()
    served[[0, 3]] = 0.65, 0.68  # a falls below c and d, d rises above a
    taus = kendall_taus([query for query, _ in pairs], reference, served)

    (found,) = flipped_lists(pairs, reference, served, taus)

    assert (found.query, found.candidates, found.flips) == ("q", 5, 3)
    assert (found.above, found.below) == ("a", "d")
    assert found.reference_gap == pytest.approx(0.3)
    assert found.served_gap == pytest.approx(0.03)
    assert found.tau == pytest.approx(1 - 2 * 3 / 10)


def test_a_tie_that_opens_is_no_flip():
    pairs = [("q", name) for name in "abcde"]
    reference = np.array([3.0, 3.0, 2.0, 1.0, 0.0])
    served = np.array([3.0, 2.9, 2.0, 1.0, 0.0])

    taus = kendall_taus(["q"] * 5, reference, served)

    assert taus["q"] < 1
    assert flipped_lists(pairs, reference, served, taus) == ()


def test_lists_come_with_the_worst_first():
    pairs = [(query, name) for query in ("little", "much") for name in "abcdef"]
    reference = np.tile(np.arange(6.0), 2)
    served = np.concatenate([[1, 0, 2, 3, 4, 5], np.arange(6.0)[::-1]])

    taus = kendall_taus([query for query, _ in pairs], reference, served)

    assert [f.query for f in flipped_lists(pairs, reference, served, taus)] == ["much", "little"]
