"""The pool's balance: the scarcer verdict is kept whole, the other is thinned out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.records import Pair
from tests.trainer.make_students import make_judgement
from trainer.pool_balance import balanced_pool

Verdicts = dict[tuple[str, str], Judgement]


def make_pool(verdicts: list[bool]) -> tuple[list[Pair], Verdicts]:
    pool = [Pair(f"query {at // 4}", f"I{at}") for at in range(len(verdicts))]
    judged = {
        (pair.query, pair.item_id): make_judgement(pair.query, pair.item_id, 2.0 if good else -2.0)
        for pair, good in zip(pool, verdicts, strict=True)
    }
    return pool, judged


@given(
    st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda v: len(set(v)) == 2),
    st.floats(0.05, 0.95),
)
def test_the_scarcer_class_stays_whole_and_the_share_is_as_near_as_counts_allow(verdicts, share):
    pool, judged = make_pool(verdicts)

    kept = balanced_pool(pool, judged, good_share=share, seed=0)

    good = sum(judged[pair.query, pair.item_id].log_odds >= 0 for pair in kept)
    bad = len(kept) - good
    assert good == sum(verdicts) or bad == len(verdicts) - sum(verdicts)
    odds = share / (1 - share)
    assert good == pytest.approx(odds * bad, abs=0.5 + 0.5 * odds) or min(good, bad) == 1
    places = [pool.index(pair) for pair in kept]
    assert all(before < after for before, after in pairwise(places))


def test_a_share_of_nought_leaves_the_pool_as_it_is():
    pool, judged = make_pool([True, False, False])

    assert balanced_pool(pool, judged, good_share=0.0, seed=0) == pool


def test_pairs_that_nobody_judged_stay_to_be_counted():
    pool, judged = make_pool([True, False, False])
    unjudged = Pair("query 9", "I9")

    kept = balanced_pool([*pool, unjudged], judged, good_share=0.5, seed=0)

    assert len(kept) == 3
    assert kept[-1] == unjudged


def test_a_pool_of_one_class_is_left_alone():
    pool, judged = make_pool([False, False])

    assert balanced_pool(pool, judged, good_share=0.5, seed=0) == pool


def test_the_draw_depends_on_the_seed_alone():
    pool, judged = make_pool([True, *[False] * 30])
    draws = [balanced_pool(pool, judged, good_share=0.2, seed=seed) for seed in (1, 1, 2)]

    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(BadInput, match="good_share: expected at least 0 and less than 1"):
        balanced_pool([], {}, good_share=share, seed=0)
