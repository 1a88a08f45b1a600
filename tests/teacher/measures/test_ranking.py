"""Rankings: every judge on the same pairs, only held-out teachers, leads and slices as defined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as oracle

from relevance.baselines import token_overlap
from relevance.domain import Judgement, Target
from relevance.errors import BadInput
from relevance.records import Pair, write_judgements
from teacher.held_out_scores import JUDGEMENTS
from teacher.measures.held_out import HeldOut
from teacher.measures.ranking import TEACHER, RankedFold, held_out_log_odds, ranked_fold, ranking
from teacher.online.catalogue import CatalogueJudge
from teacher.online.signals import Signals
from teacher.signal_files import NO_TABLE, SignalTable
from tests.teacher.make_teacher import catalogue, labelled_pairs

ITEMS = {item.item_id: item for item in catalogue()}
PAIRS = labelled_pairs()


def held_out(tmp_path: Path, log_odds: dict[Pair, float], *, fold: int = 0) -> HeldOut:
    """A fold whose teacher wrote these log-odds of its test pairs."""
    judged = [
        Judgement("catalogue", p.query, p.item_id, Target.DIRECT, value, "print", f"outer-{fold}")
        for p, value in log_odds.items()
    ]
    write_judgements(tmp_path / JUDGEMENTS, judged)
    judge = object.__new__(CatalogueJudge)  # rankings read what it wrote, never itself
    return HeldOut(fold, judge, tuple(log_odds), tuple(p.query for p in log_odds), ITEMS)


def known(pairs) -> dict[Pair, float]:
    """Log-odds that are right but for every seventh pair."""
    return {
        p: (1.0 + n / 100) * (1 if p.good else -1) * (1, -1)[n % 7 == 0]
        for n, p in enumerate(pairs)
    }


def random_fold(seed: int, *, fold: int = 0) -> RankedFold:
    random = np.random.default_rng(seed)
    words = ("red lamp", "lamp without shade", "blue desk", "sugar free gum")
    pairs = [
        Pair(words[at % 4], f"{fold}-{at}", bool(good), ("big", "small")[at % 5 == 0])
        for at, good in enumerate(random.integers(0, 2, 200))
    ]
    good = np.array([bool(pair.good) for pair in pairs])
    scores = {
        TEACHER: good + random.normal(size=200),
        "coin": random.normal(size=200),
    }
    return RankedFold(fold, pairs, [p.item_id for p in pairs], good, scores, left_out=fold)


def test_a_folds_judges_are_the_held_out_teacher_the_baselines_and_each_similarity(tmp_path):
    told = known(PAIRS)
    fold = held_out(tmp_path, told)
    cosines = {(p.query, p.item_id): Signals({"cosine": n / 100}) for n, p in enumerate(PAIRS)}
    student = {(p.query, p.item_id): -float(n) for n, p in enumerate(PAIRS)}

    found = ranked_fold(fold, tmp_path, SignalTable(("cosine",), (), cosines), {"student": student})

    assert list(found.scores) == [TEACHER, "token overlap", "BM25", "zero-shot cosine", "student"]
    assert found.scores[TEACHER] == pytest.approx(list(told.values()))
    assert found.scores["student"].tolist() == [-float(n) for n in range(len(PAIRS))]
    assert found.scores["token overlap"].tolist() == [
        token_overlap(p.query, ITEMS[p.item_id].title) for p in PAIRS
    ]
    assert (list(found.pairs), found.left_out) == (list(PAIRS), 0)


def test_a_pair_some_judge_has_no_score_of_is_left_out_of_all_and_counted(tmp_path):
    fold = held_out(tmp_path, known(PAIRS))
    student = {(p.query, p.item_id): 1.0 for p in PAIRS[3:]}

    found = ranked_fold(fold, tmp_path, NO_TABLE, {"student": student})

    assert list(found.pairs) == list(PAIRS[3:])
    assert found.left_out == 3
    assert {len(scores) for scores in found.scores.values()} == {len(PAIRS) - 3}


def test_a_judge_that_scored_none_of_the_pairs_is_named(tmp_path):
    with pytest.raises(BadInput, match="fold 0: expected test pairs.*no score at all of student"):
        ranked_fold(held_out(tmp_path, known(PAIRS)), tmp_path, NO_TABLE, {"student": {}})


def test_judgements_of_a_teacher_that_saw_the_pair_are_not_read(tmp_path):
    told = held_out(tmp_path, known(PAIRS), fold=1)
    rows = pq.read_table(tmp_path / JUDGEMENTS)
    seen = ["inner-2" if n < 5 else "outer-1" for n in range(len(rows))]
    at = rows.column_names.index("held_out_of")
    pq.write_table(rows.set_column(at, "held_out_of", pa.array(seen)), tmp_path / JUDGEMENTS)

    assert set(held_out_log_odds(tmp_path, 1)) == {(p.query, p.item_id) for p in told.pairs[5:]}
    assert held_out_log_odds(tmp_path, 0) == {}


def test_means_and_pooled_figures_are_those_of_scikit_learn():
    folds = [random_fold(1), random_fold(2, fold=1)]

    row = ranking(folds)["judges"]["coin"]

    each = [oracle.roc_auc_score(f.good, f.scores["coin"]) for f in folds]
    good, coin = (np.concatenate([f.good for f in folds]), [f.scores["coin"] for f in folds])
    assert row["mean"]["roc_auc"] == pytest.approx(np.mean(each))
    assert row["pooled"]["neg_pr_auc"] == pytest.approx(
        oracle.average_precision_score(~good, -np.concatenate(coin))
    )


def test_a_teacher_that_knows_leads_a_coin_and_nobody_leads_his_equal():
    folds = [random_fold(3), random_fold(4, fold=1)]
    folds = [replace(f, scores={**f.scores, "his equal": f.scores[TEACHER].copy()}) for f in folds]

    judges = ranking(folds)["judges"]

    assert judges["coin"]["teacher_minus_it"]["roc_auc"]["low"] > 0
    assert judges["his equal"]["teacher_minus_it"]["roc_auc"] == {"value": 0, "low": 0, "high": 0}
    assert "teacher_minus_it" not in judges[TEACHER]


def test_slices_are_subsets_and_negation_and_each_is_measured_on_its_own_pairs():
    folds = [random_fold(5), random_fold(6, fold=1)]

    found = ranking(folds)

    slices = found["slices"]
    assert list(slices) == [
        "subset big",
        "subset small",
        "queries with a negation",
        "queries without one",
    ]
    assert [slices[name]["pairs"] for name in slices] == [320, 80, 200, 200]
    at = np.array([p.subset == "small" for f in folds for p in f.pairs])
    good = np.concatenate([f.good for f in folds])[at]
    teacher = np.concatenate([f.scores[TEACHER] for f in folds])[at]
    assert slices["subset small"]["judges"][TEACHER]["roc_auc"] == pytest.approx(
        oracle.roc_auc_score(good, teacher)
    )
    assert found["left_out"] == 1


def test_a_slice_of_a_handful_or_of_one_label_is_not_shown():
    fold = random_fold(7)
    few = [replace(p, subset="few") if n < 5 else p for n, p in enumerate(fold.pairs)]
    good = np.array([bool(p.good) or p.subset == "small" for p in few])

    slices = ranking([replace(fold, pairs=few, good=good)])["slices"]

    assert "subset few" not in slices
    assert "subset small" not in slices
    assert "subset big" in slices
