"""The held-out teacher beside judges that need no training, and beside students: who ranks better?

Every judge is measured on the same test pairs, fold by fold and pooled, and in slices. Judges
without training are token overlap, BM25, and each zero-shot similarity alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from relevance.baselines import baseline_scores
from relevance.bootstrap import PairedScores, paired_difference
from relevance.errors import BadInput
from relevance.folds import holdout
from relevance.late_interaction import sigmoid
from relevance.metrics import calibration_error, neg_pr_auc, roc_auc, within_query_auc
from relevance.records import Pair
from relevance.slices import negates
from relevance.tables import Columns, read_table
from relevance.text import normalise
from teacher.held_out_scores import JUDGEMENTS
from teacher.measures.calibration import chance_error
from teacher.measures.given_scores import PairKey, Scores
from teacher.measures.held_out import HeldOut
from teacher.signal_files import SignalTable

TEACHER = "catalogue teacher"
SMALLEST_SLICE = 30  # pairs; a slice with fewer says nothing
_JUDGED = Columns(
    "judgements",
    {"query": pa.string(), "item_id": pa.string(), "log_odds": pa.float64()},
    optional={"held_out_of": pa.string()},
)


@dataclass(frozen=True, slots=True, eq=False)
class RankedFold:
    """One fold's test pairs and every judge's scores of them, all in one order.

    `left_out` pairs lack the score of some judge.
    """

    fold: int
    pairs: Sequence[Pair]
    groups: Sequence[str]
    good: Bool[np.ndarray, " pairs"]
    scores: Mapping[str, Float[np.ndarray, " pairs"]]
    left_out: int


def held_out_log_odds(folder: Path, fold: int) -> dict[PairKey, float]:
    """The log-odds of pairs that a fold's teacher was held out of, as `ellm teach fit` wrote."""
    rows = read_table(folder / JUDGEMENTS, _JUDGED).to_pylist()
    return {
        (normalise(row["query"]), row["item_id"]): row["log_odds"]
        for row in rows
        if row.get("held_out_of") == f"outer-{fold}"
    }


def ranked_fold(
    held: HeldOut, folder: Path, signals: SignalTable, given: Mapping[str, Scores]
) -> RankedFold:
    """Score a fold's test pairs by every judge; `given` are students' scores by name."""
    pairs = held.pairs
    tables: dict[str, Mapping[PairKey, float]] = {TEACHER: held_out_log_odds(folder, held.fold)}
    lexical = baseline_scores(pairs, held.items, held_out=holdout(pairs).items)
    keys = [(pair.query, pair.item_id) for pair in pairs]
    for name, values in (("token overlap", lexical["overlap"]), ("BM25", lexical["bm25"])):
        tables[name] = dict(zip(keys, values.tolist(), strict=True))
    for column in signals.similarities:
        tables[f"zero-shot {column}"] = {
            key: row.similarities[column]
            for key in keys
            if column in (row := signals.of(*key)).similarities
        }
    tables |= given
    usable = [at for at, key in enumerate(keys) if all(key in table for table in tables.values())]
    if not usable:
        lacking = ", ".join(name for name, table in tables.items() if not set(keys) & set(table))
        raise BadInput(
            f"fold {held.fold}: expected test pairs that every judge scored, found none"
            + (f"; no score at all of {lacking}" if lacking else "")
        )
    return RankedFold(
        fold=held.fold,
        pairs=[pairs[at] for at in usable],
        groups=[held.groups[at] for at in usable],
        good=held.good[usable],
        scores={
            name: np.array([table[keys[at]] for at in usable]) for name, table in tables.items()
        },
        left_out=len(pairs) - len(usable),
    )


def ranking(folds: Sequence[RankedFold]) -> dict[str, object]:
    """The teacher fold by fold, every judge over all folds, and slices."""
    pooled, groups = _pooled(folds, TEACHER), [g for fold in folds for g in fold.groups]
    return {
        "left_out": sum(fold.left_out for fold in folds),
        "teacher": {str(fold.fold): _calibrated(fold) for fold in folds},
        "calibration_error_pooled": calibration_error(_good(folds), sigmoid(pooled)),
        "calibration_error_by_chance": asdict(chance_error(_good(folds), pooled, groups)),
        "judges": {name: _judge(folds, name) for name in folds[0].scores},
        "slices": _slices(folds),
    }


def _calibrated(fold: RankedFold) -> dict[str, float]:
    error = calibration_error(fold.good, sigmoid(fold.scores[TEACHER]))
    return {**_measures(fold, TEACHER), "calibration_error": error}


def _judge(folds: Sequence[RankedFold], name: str) -> dict[str, object]:
    """Means over folds, figures pooled over folds, and the teacher's lead with its interval."""
    rows = [_measures(fold, name) for fold in folds]
    good, scores = _good(folds), _pooled(folds, name)
    found: dict[str, object] = {
        "mean": {measure: float(np.nanmean([row[measure] for row in rows])) for measure in rows[0]},
        "pooled": {"roc_auc": roc_auc(good, scores), "neg_pr_auc": neg_pr_auc(good, scores)},
    }
    if name != TEACHER:
        paired = [PairedScores(f.good, f.scores[TEACHER], f.scores[name], f.groups) for f in folds]
        found["teacher_minus_it"] = {
            measure: asdict(paired_difference(paired, statistic))
            for measure, statistic in (("roc_auc", roc_auc), ("neg_pr_auc", neg_pr_auc))
        }
    return found


def _measures(fold: RankedFold, name: str) -> dict[str, float]:
    scores = fold.scores[name]
    return {
        "roc_auc": roc_auc(fold.good, scores),
        "neg_pr_auc": neg_pr_auc(fold.good, scores),
        "within_query_auc": within_query_auc(fold.good, scores, [p.query for p in fold.pairs]),
    }


def _slices(folds: Sequence[RankedFold]) -> dict[str, dict[str, object]]:
    """Each subset, and queries with and without a negation, pooled over folds."""
    pairs, good = [pair for fold in folds for pair in fold.pairs], _good(folds)
    negated = np.array([negates(pair.query) for pair in pairs])
    subsets = np.array([pair.subset for pair in pairs], dtype=object)
    members = {f"subset {name}": subsets == name for name in sorted(set(subsets.tolist())) if name}
    members |= {"queries with a negation": negated, "queries without one": ~negated}
    found: dict[str, dict[str, object]] = {}
    for name, chosen in members.items():
        labels = good[chosen]
        if len(labels) >= SMALLEST_SLICE and labels.any() and not labels.all():
            found[name] = {
                "pairs": len(labels),
                "share_bad": float(1 - labels.mean()),
                "judges": {
                    judge: {
                        "roc_auc": roc_auc(labels, scores[chosen]),
                        "neg_pr_auc": neg_pr_auc(labels, scores[chosen]),
                    }
                    for judge in folds[0].scores
                    for scores in [_pooled(folds, judge)]
                },
            }
    return found


def _good(folds: Sequence[RankedFold]) -> Bool[np.ndarray, " pairs"]:
    return np.concatenate([fold.good for fold in folds])


def _pooled(folds: Sequence[RankedFold], name: str) -> Float[np.ndarray, " pairs"]:
    return np.concatenate([fold.scores[name] for fold in folds])
