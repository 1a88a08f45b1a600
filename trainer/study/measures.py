"""What a cell says of its test pairs: every measure that is defined, and slices of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from relevance.late_interaction import sigmoid
from relevance.metrics import (
    brier,
    calibration_error,
    log_loss,
    neg_pr_auc,
    roc_auc,
    within_query_auc,
)
from relevance.records import Pair
from trainer.examples import TextTable
from trainer.ranking import gains_of, mean_ndcg
from trainer.study.material import StudyMaterial
from trainer.study.slices import class_measures
from trainer.study.truncation import truncation_slices


def measure(
    pairs: Sequence[Pair],
    good: np.ndarray,
    logits: np.ndarray,
    material: StudyMaterial,
    *,
    is_probability: bool,
) -> dict[str, float]:
    """Every measure that is defined for these pairs."""
    queries = [pair.query for pair in pairs]
    found = {
        "pairs": float(len(pairs)),
        "share_bad": float(1 - good.mean()),
        "roc_auc": roc_auc(good, logits),
        "neg_pr_auc": neg_pr_auc(good, logits),
        "within_query_auc": within_query_auc(good, logits, queries),
    }
    gains = gains_of([(pair.query, pair.item_id) for pair in pairs], material.gains)
    if gains is not None:
        found["ndcg"] = mean_ndcg(gains, logits, queries)
    if is_probability:
        probabilities = sigmoid(logits)
        found |= {
            "calibration_error": calibration_error(good, probabilities),
            "brier": brier(good, probabilities),
            "log_loss": log_loss(good, probabilities),
        }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def measured_slices(
    pairs: Sequence[Pair],
    good: np.ndarray,
    logits: np.ndarray,
    heads: Mapping[str, bool],
    texts: TextTable | None,
) -> dict[str, dict[str, float]]:
    """Measures of head and tail queries and, where `texts` are given, of cut and whole pairs."""
    is_head = np.array([heads[pair.query] for pair in pairs])
    parts = (("head", is_head), ("long tail", ~is_head))
    found = {name: class_measures(good[chosen], logits[chosen]) for name, chosen in parts}
    cut = truncation_slices(pairs, good, logits, texts) if texts is not None else {}
    return {**{name: measures for name, measures in found.items() if measures}, **cut}
