"""The judges of one data set side by side on its held-out folds: measures, differences, slices.

Reads what the folds' folders hold and computes; drawing is `report.py`'s. Definitions of every
measure stand in `relevance.metrics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from relevance.bootstrap import Interval, PairedScores, paired_difference
from relevance.errors import BadInput
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
from relevance.records import DataSet, Pair, read_catalogue, read_judgements, read_query_log
from relevance.text import words
from trainer.score_files import read_scores

STUDENTS = ("ce", "mkd")
MODELS = ("overlap", *STUDENTS, "teacher")
NEGATIONS = frozenset({"without", "no", "non", "not", "free"})
SMALLEST_SLICE = 30  # pairs; a slice with fewer says nothing


@dataclass(frozen=True, slots=True, eq=False)
class FoldScores:
    """One outer fold's test pairs and every judge's logits on them, in the same order."""

    fold: str
    pairs: tuple[Pair, ...]
    logits: Mapping[str, np.ndarray]

    @property
    def good(self) -> np.ndarray:
        """The human labels."""
        return np.array([bool(pair.good) for pair in self.pairs])

    @property
    def queries(self) -> list[str]:
        """The query of each pair."""
        return [pair.query for pair in self.pairs]


def read_fold(folder: Path, titles: Mapping[str, str]) -> FoldScores:
    """Read a fold's student scores and teacher judgements; pairs without any score are left out.

    `titles` by item id serve the token-overlap baseline.
    """
    pairs, logits = read_scores(folder / "ce_scores.parquet")
    other_pairs, mkd = read_scores(folder / "mkd_scores.parquet")
    if pairs != other_pairs:
        raise BadInput(f"{folder}: the two students were scored on different pairs")
    judged = {
        (j.query, j.item_id): j.log_odds
        for j in read_judgements(folder / "teacher" / "judgements.parquet")
    }
    teacher = np.array([judged.get((p.query, p.item_id), np.nan) for p in pairs])
    overlap = np.array([token_overlap(p.query, titles[p.item_id]) for p in pairs])
    scores = {"overlap": overlap, "ce": logits, "mkd": mkd, "teacher": teacher}
    usable = ~np.isnan(np.stack(list(scores.values()))).any(axis=0)
    kept = tuple(pair for pair, use in zip(pairs, usable, strict=True) if use)
    return FoldScores(folder.name, kept, {name: s[usable] for name, s in scores.items()})


def token_overlap(query: str, title: str) -> float:
    """Share of the query's words that stand in the title: the baseline everyone has."""
    asked, offered = words(query), set(words(title))
    return sum(word in offered for word in asked) / max(1, len(asked))


def compare(data: DataSet, folders: Sequence[Path]) -> dict[str, object]:
    """Every measure of every judge, differences with intervals, and slices."""
    catalogue = read_catalogue(data.items)
    titles = {item.item_id: item.title for item in catalogue}
    folds = [read_fold(folder, titles) for folder in folders]
    log = read_query_log(data.query_log) if data.query_log else None
    heads = {
        query: head
        for fold_scores in folds
        for query, head in zip(
            fold_scores.queries,
            head_or_tail(fold_scores.queries, visitors=log, titles=list(titles.values())),
            strict=True,
        )
    }
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
        "slices": _slices(folds, heads),
    }


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
        "queries with a negation": [_negates(pair.query) for pair, _, _ in rows],
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


def _negates(query: str) -> bool:
    return not NEGATIONS.isdisjoint(words(query))
