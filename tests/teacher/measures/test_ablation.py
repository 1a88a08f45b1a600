"""Ablation: each row lacks just what it is named for, and all rows are of the same pairs."""

from dataclasses import replace

import numpy as np
import pytest

from relevance.errors import BadInput
from relevance.folds import split
from relevance.metrics import roc_auc
from teacher.measures.ablation import EVERYTHING, FoldAblation, ablate, choices, compare
from teacher.online.features import FAMILIES
from teacher.online.inputs import Inputs
from teacher.online.pair_reading import PairReader
from teacher.signal_files import SignalTable
from tests.teacher.make_teacher import fold_data, lexicon, signals_of

COLUMNS = ("mean_maxsim_title", "mean_maxsim_text", "min_maxsim_title", "cosine_text", "own")
WHOLE = Inputs(tuple(FAMILIES), COLUMNS, ("ce",))


def test_each_row_lacks_just_what_it_is_named_for():
    found = choices(WHOLE)

    lacking = {
        name: set(WHOLE.names) - set(inputs.names)
        for name, inputs in found.items()
        if name not in FAMILIES
    }
    assert lacking == {
        EVERYTHING: set(),
        "similarities with the title": {"mean_maxsim_title", "min_maxsim_title"},
        "similarities with the text": {"mean_maxsim_text", "cosine_text"},
        "minima": {"min_maxsim_title"},
        "similarity": set(COLUMNS),
        "student": {"ce"},
    }
    for family in FAMILIES:
        assert set(WHOLE.names) - set(found[family].names) == set(FAMILIES[family])


@pytest.mark.parametrize("columns", [(), ("cosine_title",), ("own", "other")])
def test_a_group_that_is_empty_or_all_there_is_has_no_row_of_its_own(columns):
    found = choices(Inputs(tuple(FAMILIES), columns))

    rows = [EVERYTHING, *FAMILIES, *(["similarity"] if columns else [])]
    assert list(found) == rows


def test_a_student_that_knows_the_label_is_missed_and_pairs_without_it_count_in_no_row():
    data = fold_data()
    seen = signals_of(data.pairs)
    known = {
        (p.query, p.item_id): replace(
            seen.of(p.query, p.item_id), students={"oracle": 4.0 if p.good else -4.0}
        )
        for p in data.pairs
    }
    parts = split(data.assignment, data.pairs, fold=data.fold)
    lost = parts.test[0]
    del known[lost.query, lost.item_id]
    table = SignalTable(seen.similarities, ("oracle",), known)

    found = ablate(replace(data, signals=table), PairReader(lexicon()))

    assert {len(scores) for scores in found.scores.values()} == {len(parts.test) - 1}
    assert roc_auc(found.good, found.scores[EVERYTHING]) == 1
    assert not np.array_equal(found.scores["student"], found.scores[EVERYTHING])


def test_what_helps_has_a_difference_below_nothing_and_what_does_not_has_none():
    random = np.random.default_rng(0)
    folds = []
    for _ in range(3):
        good = random.integers(0, 2, 300) == 1
        whole = good + random.normal(size=300)
        scores = {EVERYTHING: whole, "needed": random.normal(size=300), "idle": whole * 3}
        names = [f"q{n // 3}" for n in range(300)]
        folds.append(FoldAblation(good, names, names, scores))

    found = compare(folds)

    assert found["needed"]["differences"]["roc_auc"]["high"] < 0
    assert found["needed"]["differences"]["neg_pr_auc"]["high"] < 0
    assert found["idle"]["differences"]["roc_auc"] == {"value": 0, "low": 0, "high": 0}
    assert found["idle"]["measures"] == found[EVERYTHING]["measures"]
    assert "differences" not in found[EVERYTHING]


def test_a_fold_without_any_pair_that_feeds_all_rows_is_refused():
    data = fold_data()

    with pytest.raises(BadInput, match="every signal in fold 0, got none"):
        ablate(replace(data, signals=SignalTable(("cosine",), (), {})), PairReader(lexicon()))
