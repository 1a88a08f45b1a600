"""What calibrated probabilities are worth: thresholds for stated precisions, and measures.

All from labels and probabilities alone. On the labels that fitted the calibration they flatter;
`ellm evaluate --bundle` takes them on others.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from relevance.bootstrap import Interval, SingleScores, single
from relevance.bundle import StatedThreshold
from relevance.metrics import brier, calibration_error, log_loss, neg_pr_auc, roc_auc

STATED_PRECISIONS = (0.6, 0.7, 0.8, 0.9, 0.95)
FEWEST_SHOWN = 30  # pairs above a threshold; a precision of fewer is chance
SHORT_QUERY_WORDS = 3  # a query with at most this many words is short

Good = Bool[np.ndarray, " pairs"]
Probabilities = Float[np.ndarray, " pairs"]


def stated_thresholds(good: Good, probabilities: Probabilities) -> tuple[StatedThreshold, ...]:
    """For each stated precision the least threshold that reaches it; unreachable ones left out.

    Pairs of one probability come in together. A cut with fewer than `FEWEST_SHOWN` pairs above it
    is not offered.
    """
    order = np.argsort(-probabilities, kind="stable")
    falling, found = probabilities[order], np.cumsum(good[order])
    shown = np.arange(1, len(good) + 1)
    is_cut = np.append(falling[1:] != falling[:-1], True) & (shown >= FEWEST_SHOWN)
    stated = []
    for precision in STATED_PRECISIONS:
        usable = np.flatnonzero(is_cut & (found >= precision * shown))
        if len(usable):
            at = usable[-1]
            stated.append(
                StatedThreshold(
                    precision=precision,
                    probability=float(falling[at]),
                    reached=float(found[at] / shown[at]),
                    recall=float(found[at] / found[-1]),
                )
            )
    return tuple(stated)


def bundle_measures(
    good: Good, probabilities: Probabilities, queries: Sequence[str], *, threshold: float
) -> dict[str, float]:
    """What a bundle's card says about its scores; undefined measures are left out."""
    interval = error_interval(good, probabilities, queries)
    long = np.array([len(query.split()) > SHORT_QUERY_WORDS for query in queries])
    by_length = {
        "precision_short_queries": precision_above(good[~long], probabilities[~long], threshold),
        "precision_long_queries": precision_above(good[long], probabilities[long], threshold),
    }
    measures = {
        "labels": float(len(good)),
        "share_bad": float(1 - good.mean()) if len(good) else float("nan"),
        "roc_auc": roc_auc(good, probabilities),
        "neg_pr_auc": neg_pr_auc(good, probabilities),
        "calibration_error": interval.value,
        "calibration_error_low": interval.low,
        "calibration_error_high": interval.high,
        "brier": brier(good, probabilities),
        "log_loss": log_loss(good, probabilities),
        "precision": precision_above(good, probabilities, threshold),
        **by_length,
    }
    short, longer = by_length.values()
    measures["precision_points_apart"] = 100 * abs(short - longer)
    return {name: value for name, value in measures.items() if not np.isnan(value)}


def error_interval(good: Good, probabilities: Probabilities, queries: Sequence[str]) -> Interval:
    """Calibration error with the 95 % interval of a bootstrap over queries.

    Every error of a resampled set is above 0, so the interval leans to the high side.
    """
    return single(
        [SingleScores(good, probabilities, queries)], _weighted(calibration_error), draws=300
    )


def precision_above(good: Good, probabilities: Probabilities, threshold: float) -> float:
    """The share of Good from `threshold` on; nan where no pair is."""
    above = probabilities >= threshold
    return float(good[above].mean()) if above.any() else float("nan")


def _weighted(
    measure: Callable[[Good, Probabilities], float],
) -> Callable[..., Float[np.ndarray, "*draws"]]:
    """A measure without weights as one that repeats each pair as often as it was drawn."""

    def weighted(good: Good, scores: Probabilities, /, *, weights: np.ndarray) -> np.ndarray:
        counts = weights.reshape(-1, len(good)).astype(np.int64)
        drawn = [measure(np.repeat(good, c), np.repeat(scores, c)) for c in counts]
        return np.array(drawn).reshape(weights.shape[:-1])

    return weighted
