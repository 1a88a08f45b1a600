"""Measures against scikit-learn (ties and weights included), loops, and their own definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from relevance.metrics import (
    brier,
    calibration_error,
    head_or_tail,
    log_loss,
    neg_pr_auc,
    precision_recall_of_bad,
    reliability,
    roc_auc,
    roc_curve,
    within_query_auc,
)

EITHER_AUC = pytest.mark.parametrize("measure", [roc_auc, neg_pr_auc])
NOTHING = np.array([], dtype=bool), np.array([])


@st.composite
def judged(draw: st.DrawFn, min_size: int = 2, two_classes: bool = True):
    """Labels, scores with many ties in [0, 1], and positive weights."""
    rows = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 8), st.floats(0.1, 5)),
            min_size=min_size,
            max_size=40,
        )
    )
    good, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    if two_classes:
        good[:2] = [True, False]
    return good, scores / 8, weights


@given(judged())
def test_roc_auc_agrees_with_scikit_learn(case):
    good, scores, weights = case

    assert roc_auc(good, scores) == pytest.approx(oracle.roc_auc_score(good, scores))
    assert float(roc_auc(good, scores, weights=weights)) == pytest.approx(
        oracle.roc_auc_score(good, scores, sample_weight=weights)
    )


@given(judged())
def test_roc_auc_is_the_share_of_ordered_pairs(case):
    good, scores, _ = case
    wins = [(g > b) + (g == b) / 2 for g in scores[good] for b in scores[~good]]

    assert roc_auc(good, scores) == pytest.approx(np.mean(wins))


@given(judged())
def test_neg_pr_auc_agrees_with_scikit_learn(case):
    good, scores, weights = case

    assert neg_pr_auc(good, scores) == pytest.approx(oracle.average_precision_score(~good, -scores))
    assert float(neg_pr_auc(good, scores, weights=weights)) == pytest.approx(
        oracle.average_precision_score(~good, -scores, sample_weight=weights)
    )


@EITHER_AUC
@given(judged(), st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_a_whole_weight_is_so_many_copies(measure, case, copies):
    good, scores, _ = case
    copies = np.array(copies[: len(good)])
    copies[:2] += 1

    assert float(measure(good, scores, weights=copies.astype(float))) == pytest.approx(
        measure(good.repeat(copies), scores.repeat(copies))
    )


@EITHER_AUC
@given(judged())
def test_leading_axes_of_weights_give_a_value_each(measure, case):
    good, scores, weights = case
    draws = np.stack([weights, np.ones(len(good)), weights[::-1]]).reshape(3, 1, -1)

    found = measure(good, scores, weights=draws)

    assert found.shape == (3, 1)
    expected = [float(measure(good, scores, weights=row)) for row in draws[:, 0]]
    assert found[:, 0].tolist() == pytest.approx(expected)


@EITHER_AUC
@given(judged(), st.randoms())
def test_the_order_of_rows_does_not_matter(measure, case, random):
    good, scores, _ = case
    order = random.sample(range(len(good)), len(good))

    assert measure(good[order], scores[order]) == pytest.approx(measure(good, scores))


@pytest.mark.parametrize("good", [[True, True], [False, False], []])
def test_roc_auc_of_one_class_is_nan(good):
    assert math.isnan(roc_auc(np.array(good, dtype=bool), np.arange(len(good), dtype=float)))


def test_neg_pr_auc_without_bad_pairs_is_nan_and_without_good_ones_is_one():
    assert math.isnan(neg_pr_auc(np.array([True, True]), np.array([0.1, 0.2])))
    assert neg_pr_auc(np.array([False, False]), np.array([0.1, 0.2])) == 1


def test_a_draw_without_a_class_is_nan_while_the_others_are_not():
    weights = np.array([[1.0, 0.0], [1.0, 1.0]])

    found = roc_auc(np.array([True, False]), np.array([0.9, 0.1]), weights=weights)

    assert np.isnan(found[0])
    assert found[1] == 1


def test_infinite_scores_tie_with_each_other():
    scores = np.array([-np.inf, -np.inf, np.inf, np.inf])

    assert roc_auc(np.array([True, False, True, False]), scores) == 0.5


@EITHER_AUC
@pytest.mark.parametrize(
    ("good", "scores", "fault"),
    [
        ([True, False], [0.1], "expected one score a label"),
        ([1, 0], [0.1, 0.2], "expected booleans, got int64"),
        ([True, False], [0.1, math.nan], "1 of 2 are nan"),
    ],
)
def test_what_does_not_fit_is_refused(measure, good, scores, fault):
    with pytest.raises(ValueError, match=fault):
        measure(np.array(good), np.array(scores))


@EITHER_AUC
def test_weights_that_do_not_fit_are_refused(measure):
    with pytest.raises(ValueError, match="expected 2 on the last axis"):
        measure(np.array([True, False]), np.array([0.1, 0.2]), weights=np.ones((2, 3)))


def test_within_query_auc_is_the_mean_over_queries_with_both_classes():
    good = np.array([True, False, True, False, True, True])
    scores = np.array([0.9, 0.1, 0.1, 0.9, 0.5, 0.6])

    found = within_query_auc(good, scores, ["a", "a", "b", "b", "c", "c"])

    assert found == 0.5  # a is right, b is wrong, c has one class


@given(judged(), st.data())
def test_within_query_auc_agrees_with_a_loop(case, data):
    good, scores, _ = case
    letters = st.lists(st.sampled_from("abc"), min_size=len(good), max_size=len(good))
    queries = np.array(data.draw(letters))
    queries[:2] = "a"

    found = within_query_auc(good, scores, queries.tolist())

    aucs = [
        oracle.roc_auc_score(good[queries == q], scores[queries == q])
        for q in "abc"
        if len(set(good[queries == q])) == 2
    ]
    assert found == pytest.approx(np.mean(aucs))


def test_a_judge_that_only_knows_each_querys_good_rate_gets_one_half():
    good = np.array([True, True, False, False, False, True])
    scores = np.array([0.7, 0.7, 0.7, 0.3, 0.3, 0.3])

    assert within_query_auc(good, scores, list("aaabbb")) == 0.5
    assert roc_auc(good, scores) > 0.5


def test_within_query_auc_without_such_a_query_is_nan_and_queries_must_fit():
    assert math.isnan(within_query_auc(np.array([True, False]), np.array([0.1, 0.2]), ["a", "b"]))
    with pytest.raises(ValueError, match="queries: expected 2, got 1"):
        within_query_auc(np.array([True, False]), np.array([0.1, 0.2]), ["a"])


@given(judged())
def test_brier_and_log_loss_agree_with_scikit_learn(case):
    good, probabilities, _ = case

    assert brier(good, probabilities) == pytest.approx(oracle.brier_score_loss(good, probabilities))
    assert log_loss(good, probabilities) == pytest.approx(oracle.log_loss(good, probabilities))


@given(judged(min_size=1, two_classes=False), st.integers(1, 20), st.randoms())
def test_calibration_does_not_depend_on_the_order_of_tied_rows(case, bins, random):
    good, probabilities, _ = case
    order = random.sample(range(len(good)), len(good))

    found = reliability(good, probabilities, bins=bins)

    again = reliability(good[order], probabilities[order], bins=bins)
    assert [b.count for b in found] == [b.count for b in again]
    assert [b.share_good for b in found] == [b.share_good for b in again]


@given(judged(min_size=1, two_classes=False), st.integers(1, 20))
def test_reliability_bins_are_few_filled_rising_and_hold_every_pair(case, bins):
    good, probabilities, _ = case

    found = reliability(good, probabilities, bins=bins)

    assert 1 <= len(found) <= bins
    assert sum(b.count for b in found) == len(good)
    assert sum(b.count * b.share_good for b in found) == pytest.approx(good.sum())
    means = [b.mean_probability for b in found]
    assert means == sorted(means)


@given(st.integers(1, 200), st.integers(1, 20))
def test_bins_of_distinct_probabilities_have_equal_mass(pairs, bins):
    probabilities = np.linspace(0, 1, pairs)

    counts = [b.count for b in reliability(probabilities > 0.5, probabilities, bins=bins)]

    assert max(counts) - min(counts) <= 1


def test_calibration_error_is_the_mean_gap():
    good = np.array([True, False, True, True])
    probabilities = np.array([0.2, 0.2, 0.9, 0.9])

    assert calibration_error(good, probabilities) == pytest.approx((0.3 + 0.1) / 2)
    assert calibration_error(good, probabilities, bins=1) == pytest.approx(0.2)


def test_a_constant_at_the_base_rate_is_calibrated():
    good = np.array([True] * 3 + [False] * 7)

    assert calibration_error(good, np.full(10, 0.3)) == pytest.approx(0)


@pytest.mark.parametrize("measure", [calibration_error, brier, log_loss])
def test_measures_of_probabilities_are_nan_for_nothing_and_refuse_what_is_none(measure):
    assert math.isnan(measure(*NOTHING))
    with pytest.raises(ValueError, match=r"expected values in \[0, 1\], got 0.5 to 1.5"):
        measure(np.array([True, False]), np.array([0.5, 1.5]))


def test_log_loss_is_finite_for_a_certain_error():
    assert math.isfinite(log_loss(np.array([True]), np.array([0.0])))


@given(judged())
def test_the_roc_curve_agrees_with_scikit_learn(case):
    good, scores, _ = case

    false_positives, true_positives = roc_curve(good, scores)

    expected = oracle.roc_curve(good, scores, drop_intermediate=False)
    assert false_positives == pytest.approx(expected[0])
    assert true_positives == pytest.approx(expected[1])


@given(judged())
def test_the_curves_enclose_the_areas(case):
    good, scores, _ = case

    false_positives, true_positives = roc_curve(good, scores)
    recall, precision = precision_recall_of_bad(good, scores)

    assert np.trapezoid(true_positives, false_positives) == pytest.approx(roc_auc(good, scores))
    assert np.diff(recall, prepend=0) @ precision == pytest.approx(neg_pr_auc(good, scores))
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx((~good).mean())


def test_curves_of_one_class_are_nan_where_they_are_undefined():
    false_positives, true_positives = roc_curve(np.array([True]), np.array([0.5]))

    assert np.isnan(false_positives).all()
    assert true_positives.tolist() == [0, 1]


def test_with_a_log_head_has_more_than_ten_visitors():
    visitors = {"red shoe": 11, "blue shoe": 10}

    found = head_or_tail(["red shoe", "blue shoe", "unseen"], visitors=visitors, titles=[])

    assert found == (True, False, False)


def test_without_a_log_the_tail_is_the_third_with_the_rarest_words():
    titles = ["red shoe", "Red shoe", "red oak desk", "lamp lamp lamp"]

    found = head_or_tail(
        ["red shoe", "RED", "oak desk", "red shoe"], visitors=None, titles=titles
    )  # 2, 3, 1, 2 titles hold the rarest word

    assert found == (True, True, False, True)


def test_ties_at_the_tertile_are_all_tail():
    queries = ["lamp", "desk", "sofa", "red"]

    assert head_or_tail(queries, visitors=None, titles=["red", "red"]) == (
        False,
        False,
        False,
        True,
    )


@given(st.lists(st.text("abc ", max_size=6)), st.lists(st.text("abc ", max_size=6)), st.randoms())
def test_head_or_tail_reads_distinct_queries_in_any_order(queries, titles, random):
    found = dict(zip(queries, head_or_tail(queries, visitors=None, titles=titles), strict=True))
    shuffled = random.sample(queries, len(queries)) * 2

    again = head_or_tail(shuffled, visitors=None, titles=titles)

    assert again == tuple(found[query] for query in shuffled)
    if queries:
        assert sum(not head for head in found.values()) >= len(found) / 3
