"""Differences of rows: the bootstrap's own for one seed, the mean over seeds for more."""

import numpy as np
import pytest

from relevance.bootstrap import PairedScores, paired_difference
from relevance.metrics import neg_pr_auc, roc_auc
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.study.differences import row_difference


def results(skill: float, cells: list[tuple[int, int]], start: int = 0):
    return [
        make_result(make_cell(fold=fold, seed=seed), skill=skill, seed=start + 10 * fold + seed)
        for fold, seed in cells
    ]


@pytest.mark.parametrize("statistic", [roc_auc, neg_pr_auc])
def test_with_one_seed_it_is_the_paired_difference_of_the_folds(statistic):
    cells = [(0, 0), (1, 0)]
    first, second = results(1.5, cells), results(0.5, cells, start=500)

    found = row_difference(first, second, statistic)

    folds = []
    for one, other in zip(first, second, strict=True):
        order = sorted(range(len(one.queries)), key=lambda at: (one.queries[at], one.item_ids[at]))
        folds.append(
            PairedScores(
                one.good[order],
                one.logits[order],
                other.logits[order],
                [one.queries[at] for at in order],
            )
        )
    expected = paired_difference(folds, statistic)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_over_seeds_it_is_the_mean_and_seeds_do_not_count_as_queries():
    cells = [(0, seed) for seed in range(3)]
    first, second = results(1.5, cells), results(0.5, cells, start=500)

    found = row_difference(first, second, roc_auc)

    each = [
        row_difference([one], [other], roc_auc) for one, other in zip(first, second, strict=True)
    ]
    assert found.value == pytest.approx(np.mean([one.value for one in each]))
    widths = [one.high - one.low for one in each]
    assert found.high - found.low > 0.5 * min(widths)  # three times the queries would give 0.58


def test_only_folds_and_seeds_of_both_count():
    first = results(1.5, [(0, 0), (1, 0), (0, 1)])
    second = results(0.5, [(0, 0), (2, 0)], start=500)

    found = row_difference(first, second, roc_auc)

    expected = row_difference(first[:1], second[:1], roc_auc)
    assert found == expected
    assert row_difference(first[1:2], second, roc_auc) is None


def test_pairs_that_one_judge_could_not_score_are_left_out_of_both():
    from dataclasses import replace

    (first,), (second,) = results(1.5, [(0, 0)]), results(0.5, [(0, 0)], start=500)
    shorter = replace(
        second,
        queries=second.queries[4:],
        item_ids=second.item_ids[4:],
        good=second.good[4:],
        logits=second.logits[4:],
    )

    found = row_difference([first], [shorter], roc_auc)

    good = first.good[4:]
    expected = roc_auc(good, first.logits[4:]) - roc_auc(good, shorter.logits)
    assert found.value == pytest.approx(expected)
