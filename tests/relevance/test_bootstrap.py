"""Intervals: they hold the truth as often as they say, and resample queries, not pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.bootstrap import (
    Interval,
    PairedScores,
    SingleScores,
    effective_clusters,
    paired_difference,
    single,
)
from relevance.metrics import neg_pr_auc, roc_auc


def make_fold(
    stream: np.random.Generator, *, queries: int = 12, of_each: int = 8, alone: int = 10
) -> PairedScores:
    """Two judges who share most of their errors, and each have some of their own by query."""
    query_of = np.concatenate([np.repeat(np.arange(queries), of_each), queries + np.arange(alone)])
    pairs, whole = len(query_of), queries + alone
    good = stream.normal(size=whole)[query_of] + stream.normal(size=pairs) > 0
    errors = stream.normal(size=pairs)
    first, second = (
        gain * good + errors + 0.5 * stream.normal(size=whole)[query_of] for gain in (1.0, 0.7)
    )
    return PairedScores(good, first, second, [f"query {q}" for q in query_of])


def share_holding_the_truth(statistic, *, data_sets: int, folds: int, draws: int) -> float:
    stream = np.random.default_rng(20)
    shop = [[make_fold(stream) for _ in range(folds)] for _ in range(data_sets)]
    intervals = [paired_difference(s, statistic, draws=draws, seed=at) for at, s in enumerate(shop)]
    more = ([make_fold(stream) for _ in range(folds)] for _ in range(1000))
    truth = np.mean([paired_difference(s, statistic, draws=1).value for s in more])
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("statistic", [roc_auc, neg_pr_auc])
def test_the_interval_holds_the_truth_in_about_95_of_100_data_sets(statistic, folds):
    share = share_holding_the_truth(statistic, data_sets=240, folds=folds, draws=200)

    assert 0.90 <= share <= 0.99


def mean_difference(good, scores, /, *, weights):
    """A statistic whose bootstrap is known in closed form."""
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def test_the_width_is_that_of_student_for_a_mean_over_queries():
    scores = np.random.default_rng(3).normal(size=20)
    fold = SingleScores(np.ones(20, dtype=bool), scores, [str(at) for at in range(20)])

    found = single([fold], mean_difference, draws=20_000)

    half = 2.093 * scores.std(ddof=1) / np.sqrt(20)  # Student's 97.5 % at 19 degrees of freedom
    assert found.value == pytest.approx(scores.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.03)


def test_pairs_of_one_query_count_as_one_draw():
    scores = np.random.default_rng(3).normal(size=20)
    queries = [str(at) for at in range(20)]
    once = SingleScores(np.ones(20, dtype=bool), scores, queries)
    tenfold = SingleScores(
        np.ones(200, dtype=bool), scores.repeat(10), np.repeat(queries, 10).tolist()
    )

    few, many = single([once], mean_difference), single([tenfold], mean_difference)

    assert (many.value, many.low, many.high) == pytest.approx((few.value, few.low, few.high))


@given(st.lists(st.integers(1, 9), min_size=1))
def test_effective_clusters_are_all_where_sizes_are_equal_and_fewer_elsewhere(sizes):
    clusters = np.repeat([str(at) for at in range(len(sizes))], sizes).tolist()

    found = effective_clusters(clusters)

    assert 1 <= found <= len(sizes) + 1e-9
    assert (found == pytest.approx(len(sizes))) == (len(set(sizes)) == 1)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_same_seed_gives_the_same_interval_and_swapping_judges_mirrors_the_value(seed):
    fold = make_fold(np.random.default_rng(seed))
    swapped = PairedScores(fold.good, fold.second, fold.first, fold.clusters)

    found = paired_difference([fold], roc_auc, draws=50, seed=seed)
    mirrored = paired_difference([swapped], roc_auc, draws=50, seed=seed)

    assert found == paired_difference([fold], roc_auc, draws=50, seed=seed)
    assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_a_judge_never_differs_from_itself():
    fold = make_fold(np.random.default_rng(0))
    same = PairedScores(fold.good, fold.first, fold.first, fold.clusters)

    assert paired_difference([same, same], neg_pr_auc, draws=50) == Interval(0, 0, 0)


def test_the_value_is_the_mean_over_folds():
    folds = [make_fold(np.random.default_rng(seed)) for seed in range(3)]
    each = [roc_auc(f.good, f.first) - roc_auc(f.good, f.second) for f in folds]
    alone = [SingleScores(f.good, f.first, f.clusters) for f in folds]

    assert paired_difference(folds, roc_auc, draws=10).value == pytest.approx(np.mean(each))
    assert single(alone, roc_auc, draws=10).value == pytest.approx(
        np.mean([roc_auc(f.good, f.scores) for f in alone])
    )


def test_draws_without_a_class_are_passed_over():
    good = np.array([True, False, False])  # many draws of three hold no Good pair
    fold = SingleScores(good, np.array([0.5, 0.1, 0.9]), ["a", "b", "c"])

    found = single([fold], roc_auc)

    assert found.value == 0.5
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)


def test_one_query_or_one_class_gives_no_interval():
    good, scores = np.array([True, False]), np.array([0.9, 0.1])

    one_query = single([SingleScores(good, scores, ["a", "a"])], roc_auc, draws=10)
    one_class = single([SingleScores(~good | good, scores, ["a", "b"])], roc_auc, draws=10)

    assert one_query.value == 1
    assert math.isnan(one_query.low)
    assert math.isnan(one_class.value)
    assert math.isnan(one_class.high)


def test_columns_must_fit_and_a_fold_is_needed():
    with pytest.raises(ValueError, match=r"second: expected 2 .*, got 1"):
        PairedScores(np.array([True, False]), np.zeros(2), np.zeros(1), ["a", "b"])
    with pytest.raises(ValueError, match=r"scores: expected 0 \(at least 1\), got 0"):
        SingleScores(np.array([], dtype=bool), np.zeros(0), [])
    with pytest.raises(ValueError, match="at least one fold"):
        paired_difference([], roc_auc)
