"""The measures of a judge against human labels, in NumPy, each with its definition.

`good` is True for Good. A measure that is undefined for its data (one class only, no pair, no
weight) is nan, never an exception, so that a report can show the gap; arrays that do not fit or
hold nan raise ValueError. Intervals are in `bootstrap.py`; ranking measures are not needed here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Bool, Float

from relevance.text import words

HEAD_VISITORS = 10  # design: a query with more unique visitors than this is head

Good = Bool[np.ndarray, " pairs"]
Scores = Float[np.ndarray, " pairs"]
Weights = Float[np.ndarray, "*draws pairs"]
Values = Float[np.ndarray, "*draws"]
Masses = Float[np.ndarray, "*draws scores"]
Amounts = Float[np.ndarray, "..."] | np.float64  # a sum over the last axis may be a scalar


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs of about the same probability: its mean, the share of Good, the number of pairs."""

    mean_probability: float
    share_good: float
    count: int


@overload
def roc_auc(good: Good, scores: Scores, *, weights: None = None) -> float: ...
@overload
def roc_auc(good: Good, scores: Scores, *, weights: Weights) -> Values: ...
def roc_auc(good: Good, scores: Scores, *, weights: Weights | None = None) -> float | Values:
    """Probability that a Good pair scores above a Bad one, ties counting half.

    `weights` may have leading axes, one value comes for each of them: this is what makes a
    thousand bootstrap draws cheap.
    """
    if weights is None:
        return float(roc_auc(good, scores, weights=np.ones(len(good))))
    goods, bads = _mass_by_score(good, scores, weights)
    bads_below = np.cumsum(bads, axis=-1) - bads
    ordered = (goods * (bads_below + bads / 2)).sum(axis=-1)
    return _ratio(ordered, goods.sum(axis=-1) * bads.sum(axis=-1))


@overload
def neg_pr_auc(good: Good, scores: Scores, *, weights: None = None) -> float: ...
@overload
def neg_pr_auc(good: Good, scores: Scores, *, weights: Weights) -> Values: ...
def neg_pr_auc(good: Good, scores: Scores, *, weights: Weights | None = None) -> float | Values:
    """Average precision of Bad by falling −score: Σ (R_k − R_{k−1}) P_k over distinct scores.

    Pairs of one score come in together, as in scikit-learn's `average_precision_score`. A judge
    that knows nothing gets the share of Bad: print that beside it. `weights` as in `roc_auc`.
    """
    if weights is None:
        return float(neg_pr_auc(good, scores, weights=np.ones(len(good))))
    goods, bads = _mass_by_score(good, scores, weights)
    found = np.cumsum(bads, axis=-1)
    precision = _ratio(found, found + np.cumsum(goods, axis=-1), empty=0.0)
    return _ratio((bads * precision).sum(axis=-1), bads.sum(axis=-1))


def within_query_auc(good: Good, scores: Scores, queries: Sequence[str]) -> float:
    """Mean ROC-AUC inside each query that has Good and Bad pairs; every such query counts once.

    A judge that only knows each query's Good rate gets a high pooled AUC, but 0.5 here.
    """
    if len(queries) != len(good):
        raise ValueError(f"queries: expected {len(good)}, got {len(queries)}")
    _, query_of = np.unique(np.asarray(queries, dtype=object), return_inverse=True)
    order = np.argsort(query_of, kind="stable")
    bounds = np.flatnonzero(np.diff(query_of[order])) + 1
    aucs = [roc_auc(good[of], scores[of]) for of in np.split(order, bounds)]
    defined = [auc for auc in aucs if not np.isnan(auc)]
    return float(np.mean(defined)) if defined else float("nan")


def calibration_error(good: Good, probabilities: Scores, *, bins: int = 15) -> float:
    """Mean over pairs of |mean probability − share of Good| of their `reliability` bin."""
    found = reliability(good, probabilities, bins=bins)
    if not found:
        return float("nan")
    gaps = [abs(b.mean_probability - b.share_good) * b.count for b in found]
    return float(sum(gaps) / len(good))


def reliability(good: Good, probabilities: Scores, *, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Up to `bins` bins of about equal mass, by rising probability; none is empty.

    Pairs of one probability share the bin of their middle rank, so rows may come in any order.
    """
    _check_probabilities(good, probabilities)
    _, value_of, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    bin_of = np.minimum(bins * middle / max(len(good), 1), bins - 1).astype(int)[value_of]
    members = [bin_of == number for number in np.unique(bin_of)]
    return tuple(
        ReliabilityBin(float(probabilities[m].mean()), float(good[m].mean()), int(m.sum()))
        for m in members
    )


def brier(good: Good, probabilities: Scores) -> float:
    """Mean squared difference between probability and label, in [0, 1]."""
    _check_probabilities(good, probabilities)
    return float(np.mean((probabilities - good) ** 2)) if len(good) else float("nan")


def log_loss(good: Good, probabilities: Scores) -> float:
    """Mean −log of the probability given to the label, in nats.

    Probabilities are kept a float64 epsilon away from 0 and 1, as in scikit-learn.
    """
    _check_probabilities(good, probabilities)
    epsilon = np.finfo(np.float64).eps
    likely = np.where(good, probabilities, 1 - probabilities.astype(np.float64))
    return float(-np.log(np.clip(likely, epsilon, 1)).mean()) if len(good) else float("nan")


def roc_curve(
    good: Good, scores: Scores
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """(false positive rate, true positive rate) by falling score, from (0, 0) to (1, 1)."""
    goods, bads = _mass_by_score(good, scores, np.ones(len(good)))
    rates = [np.concatenate([[0.0], np.cumsum(mass[::-1])]) for mass in (bads, goods)]
    return _ratio(rates[0], bads.sum()), _ratio(rates[1], goods.sum())


def precision_recall_of_bad(
    good: Good, scores: Scores
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """(recall, precision) of Bad, one point a distinct score, by rising recall.

    The steps of this curve enclose `neg_pr_auc`; no point is invented at recall 0.
    """
    goods, bads = _mass_by_score(good, scores, np.ones(len(good)))
    found = np.cumsum(bads)
    return _ratio(found, bads.sum()), _ratio(found, found + np.cumsum(goods))


def head_or_tail(
    queries: Sequence[str], *, visitors: Mapping[str, int] | None, titles: Sequence[str]
) -> tuple[bool, ...]:
    """True for each head query, False for the long tail.

    With a log (`visitors`: unique visitors by query): head has more than 10. Without one: tail is
    the lowest tertile of distinct queries by the number of `titles` that hold the query's rarest
    word, ties with the tertile's last included. Fix it before training: it reads no labels.
    """
    if visitors is not None:
        return tuple(visitors.get(query, 0) > HEAD_VISITORS for query in queries)
    titles_with = Counter(word for title in titles for word in set(words(title)))
    rarest = {q: min((titles_with[w] for w in words(q)), default=0) for q in set(queries)}
    if not rarest:
        return ()
    cut = sorted(rarest.values())[(len(rarest) - 1) // 3]
    return tuple(rarest[query] > cut for query in queries)


def _mass_by_score(good: Good, scores: Scores, weights: Weights) -> tuple[Masses, Masses]:
    """The weight of Good and of Bad at each distinct score, rising; last axis: scores."""
    _check(good, scores)
    if weights.shape[-1:] != good.shape:
        raise ValueError(f"weights: expected {len(good)} on the last axis, got {weights.shape}")
    if not len(good):
        nothing = np.zeros((*weights.shape[:-1], 0))
        return nothing, nothing
    order = np.argsort(scores, kind="stable")
    rising = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
    ordered = weights[..., order].astype(np.float64)  # (*draws, pairs)
    goods = np.add.reduceat(ordered * good[order], starts, axis=-1)  # (*draws, scores)
    bads = np.add.reduceat(ordered * ~good[order], starts, axis=-1)
    return goods, bads


def _ratio(
    part: Amounts, whole: Amounts, *, empty: float = float("nan")
) -> Float[np.ndarray, "..."]:
    """part / whole, and `empty` where there is no whole."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(whole.shape, empty), where=whole > 0)


def _check(good: Good, scores: Scores) -> None:
    if good.ndim != 1 or good.shape != scores.shape:
        raise ValueError(f"expected one score a label, got {scores.shape} for {good.shape}")
    if good.dtype != np.bool_:
        raise ValueError(f"good: expected booleans, got {good.dtype}")
    if np.isnan(scores).any():
        raise ValueError(f"scores: {int(np.isnan(scores).sum())} of {len(scores)} are nan")


def _check_probabilities(good: Good, probabilities: Scores) -> None:
    _check(good, probabilities)
    if len(good) and not 0 <= probabilities.min() <= probabilities.max() <= 1:
        raise ValueError(
            "probabilities: expected values in [0, 1], "
            f"got {probabilities.min()} to {probabilities.max()}"
        )
