"""Slices of a study: which pairs are in them, and cells measured on them alone."""

import numpy as np

from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.study.rows import MKD, study_rows
from trainer.study.slices import restricted, slices_of


def test_a_query_is_among_those_with_few_pairs_or_with_many_and_negates_or_not():
    pairs = [Pair("desk without drawers", f"i{at}", True, "big") for at in range(5)]
    pairs += [Pair("oak desk", "i1", False, "small")]

    found = slices_of(pairs)

    many = {(pair.query, pair.item_id) for pair in pairs[:5]}
    assert found["queries with more"] == found["queries with a negation"] == found["`big`"] == many
    one = {("oak desk", "i1")}
    assert found["queries with at most 4 pairs"] == found["queries without one"] == one
    assert found["`small`"] == one


def test_a_slice_that_no_pair_is_in_is_left_out():
    assert "queries with a negation" not in slices_of([Pair("oak desk", "i1", True)])
    assert slices_of([]) == {}


def test_a_cell_restricted_to_some_pairs_is_measured_on_them_alone():
    result = make_result(make_cell(study_rows()[MKD]), skill=1.0, seed=7)
    pairs = list(zip(result.queries, result.item_ids, strict=True))
    kept = np.arange(0, len(pairs), 2)

    found = restricted(result, {pairs[at] for at in kept})

    assert found is not None
    assert found.queries == tuple(result.queries[at] for at in kept)
    assert found.measures["roc_auc"] == roc_auc(result.good[kept], result.logits[kept])
    assert found.measures["neg_pr_auc"] == neg_pr_auc(result.good[kept], result.logits[kept])
    assert found.measures["pairs"] == len(kept)


def test_pairs_of_one_class_alone_have_no_measure():
    result = make_result(make_cell(study_rows()[MKD]), skill=1.0, seed=7)
    pairs = zip(result.queries, result.item_ids, result.good, strict=True)

    assert restricted(result, {(query, item) for query, item, good in pairs if good}) is None
    assert restricted(result, set()) is None
