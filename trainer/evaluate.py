"""The judges of one data set side by side on its held-out folds: measures, differences, slices.

Reads what the folds' folders hold and computes; drawing is `report.py`'s. Definitions of every
measure stand in `relevance.metrics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from relevance.bootstrap import Interval, PairedScores, paired_difference
from relevance.late_interaction import sigmoid
from relevance.metrics import (
    brier,
    calibration_error,
    head_or_tail,
    log_loss,
    neg_pr_auc,
    roc_auc,
    within_query_auc,
)
from relevance.records import (
    DataSet,
    read_catalogue,
    read_pairs,
    read_query_log,
)
from relevance.slices import negates
from trainer.cases import agreement, count_flips, mismatch_recall, read_mismatches
from trainer.fold_scores import JUDGEMENTS, MODELS, STUDENTS, FoldScores, read_fold
from trainer.ranking import gains_of, mean_ndcg, read_gains

SMALLEST_SLICE = 30  # pairs; a slice with fewer says nothing


def compare(data: DataSet, folders: Sequence[Path]) -> dict[str, object]:
    """Every measure of every judge, differences with intervals, and slices."""
    catalogue = read_catalogue(data.items)
    titles = {item.item_id: item.title for item in catalogue}
    folds = [read_fold(folder, titles) for folder in folders]
    mismatches = [read_mismatches(folder / JUDGEMENTS) for folder in folders]
    return {
        "dataset": data.name,
        "folds": [fold_scores.fold for fold_scores in folds],
        "counts": _counts(folds),
        "models": {name: _mean_measures(folds, name) for name in MODELS},
        "per_fold": {f.fold: {name: _measures(f, name) for name in MODELS} for f in folds},
        "differences": {
            "mkd_minus_ce": _differences(folds, "mkd", "ce"),
            "teacher_minus_ce": _differences(folds, "teacher", "ce"),
            "teacher_minus_mkd": _differences(folds, "teacher", "mkd"),
        },
        "slices": _slices(folds, heads_of(data, list(titles.values()), folds)),
        "ndcg": _ndcg(folds, read_gains(data.pairs)),
        "flips": _flips(folds, "ce", "mkd", titles),
        "agreement": {
            name: agreement(*(_pooled(folds, judge) for judge in (name, "teacher")))
            for name in STUDENTS
        },
        "mismatch_recall": _mismatch_recall(folds, mismatches),
    }


def heads_of(data: DataSet, titles: Sequence[str], folds: Sequence[FoldScores]) -> dict[str, bool]:
    """Whether each query is head: one cut over the whole data set, whichever folds were run."""
    tested = (query for fold_scores in folds for query in fold_scores.queries)
    queries = list(dict.fromkeys([*(p.query for p in read_pairs(data.pairs)), *tested]))
    log = read_query_log(data.query_log) if data.query_log else None
    return dict(zip(queries, head_or_tail(queries, visitors=log, titles=titles), strict=True))


def _counts(folds: Sequence[FoldScores]) -> dict[str, float]:
    goods = np.concatenate([f.good for f in folds])
    return {
        "test_pairs": len(goods),
        "test_queries": len({query for f in folds for query in f.queries}),
        "share_bad": float(1 - goods.mean()),
    }


def _measures(fold_scores: FoldScores, name: str) -> dict[str, float]:
    good, logits = fold_scores.good, fold_scores.logits[name]
    measures = {
        "roc_auc": roc_auc(good, logits),
        "neg_pr_auc": neg_pr_auc(good, logits),
        "within_query_auc": within_query_auc(good, logits, fold_scores.queries),
    }
    if name == "overlap":  # a share of words is no probability
        return measures
    probabilities = sigmoid(logits)
    return measures | {
        "calibration_error": calibration_error(good, probabilities),
        "brier": brier(good, probabilities),
        "log_loss": log_loss(good, probabilities),
    }


def _mean_measures(folds: Sequence[FoldScores], name: str) -> dict[str, float]:
    rows = [_measures(fold_scores, name) for fold_scores in folds]
    return {measure: float(np.nanmean([row[measure] for row in rows])) for measure in rows[0]}


def _differences(folds: Sequence[FoldScores], first: str, second: str) -> dict[str, object]:
    paired = [PairedScores(f.good, f.logits[first], f.logits[second], f.queries) for f in folds]
    found: dict[str, Interval] = {
        "roc_auc": paired_difference(paired, roc_auc),
        "neg_pr_auc": paired_difference(paired, neg_pr_auc),
    }
    return {name: asdict(interval) for name, interval in found.items()}


def _slices(folds: Sequence[FoldScores], heads: Mapping[str, bool]) -> list[dict[str, object]]:
    """Head, long tail, negation and each subset: measures of the judges, pooled over folds."""
    rows = [(pair, at, number) for number, f in enumerate(folds) for at, pair in enumerate(f.pairs)]
    members: dict[str, list[bool]] = {
        "head queries": [heads[pair.query] for pair, _, _ in rows],
        "long-tail queries": [not heads[pair.query] for pair, _, _ in rows],
        "queries with a negation": [negates(pair.query) for pair, _, _ in rows],
    }
    for subset in sorted({pair.subset for pair, _, _ in rows if pair.subset}):
        members[f"subset {subset}"] = [pair.subset == subset for pair, _, _ in rows]
    good = np.concatenate([f.good for f in folds])
    logits = {name: np.concatenate([f.logits[name] for f in folds]) for name in MODELS}
    found = []
    for name, chosen in members.items():
        at = np.array(chosen)
        row = _slice(name, good[at], {model: scores[at] for model, scores in logits.items()})
        if row is not None:
            found.append(row)
    return found


def _slice(
    name: str, good: np.ndarray, logits: Mapping[str, np.ndarray]
) -> dict[str, object] | None:
    if len(good) < SMALLEST_SLICE or good.all() or not good.any():
        return None
    return {
        "slice": name,
        "pairs": len(good),
        "share_bad": float(1 - good.mean()),
        "roc_auc": {model: roc_auc(good, scores) for model, scores in logits.items()},
        "neg_pr_auc": {model: neg_pr_auc(good, scores) for model, scores in logits.items()},
    }


def _pooled(folds: Sequence[FoldScores], name: str) -> np.ndarray:
    return np.concatenate([fold.logits[name] for fold in folds])


def _ndcg(
    folds: Sequence[FoldScores], known: Mapping[tuple[str, str], float]
) -> dict[str, float] | None:
    """Mean over folds of each judge's mean nDCG; None where the data set has no such grades."""
    found: dict[str, list[float]] = {name: [] for name in MODELS}
    for fold in folds:
        gains = gains_of(fold.keys, known)
        if gains is None:
            return None
        for name in MODELS:
            found[name].append(mean_ndcg(gains, fold.logits[name], fold.queries))
    defined = {n: [v for v in values if not np.isnan(v)] for n, values in found.items()}
    return {n: float(np.mean(values)) for n, values in defined.items() if values} or None


def _flips(
    folds: Sequence[FoldScores], before: str, after: str, titles: Mapping[str, str]
) -> dict[str, object]:
    """Counts of changed decisions, and the pairs that changed most, in words."""
    good = np.concatenate([fold.good for fold in folds])
    found = count_flips(good, _pooled(folds, before), _pooled(folds, after))
    pairs = [pair for fold in folds for pair in fold.pairs]
    scores = {name: sigmoid(_pooled(folds, name)) for name in (before, after)}

    def shown(rows: Sequence[int]) -> list[dict[str, object]]:
        return [
            {
                "query": pairs[at].query,
                "title": titles[pairs[at].item_id],
                "good": bool(good[at]),
                **{name: round(float(values[at]), 4) for name, values in scores.items()},
            }
            for at in rows
        ]

    counts = {k: v for k, v in asdict(found).items() if isinstance(v, int)}
    return {**counts, "righted": shown(found.righted), "broken": shown(found.broken)}


def _mismatch_recall(
    folds: Sequence[FoldScores], mismatches: Sequence[Mapping[tuple[str, str], tuple[str, ...]]]
) -> list[dict[str, object]]:
    """A row an aspect, the most frequent first: pairs, and the share each judge caught."""
    caught: dict[str, dict[str, int]] = {}
    pairs: dict[str, int] = {}
    for fold, of_fold in zip(folds, mismatches, strict=True):
        for name in (*STUDENTS, "teacher"):
            found = mismatch_recall(fold.keys, fold.good, fold.logits[name], of_fold)
            for aspect, (count, hits) in found.items():
                row = caught.setdefault(aspect, {})
                row[name] = row.get(name, 0) + hits
                if name == "teacher":
                    pairs[aspect] = pairs.get(aspect, 0) + count
    return [
        {"aspect": aspect, "pairs": pairs[aspect], **{n: h / pairs[aspect] for n, h in row.items()}}
        for aspect, row in sorted(caught.items(), key=lambda item: (-pairs[item[0]], item[0]))
    ]
