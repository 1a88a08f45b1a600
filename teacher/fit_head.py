"""Fits a head of the catalogue judge: weights, trees, and the line that calibrates their mean.

Which pairs are train stands in `relevance.folds`, what is made of a fitted head in `fit_fold.py`.
Validation and test pairs never come here.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from teacher.fit_trees import fit_trees
from teacher.online.head import Head
from teacher.online.inputs import Inputs

INNER_FOLDS = 5
THRESHOLD = 0.5  # the log-odds are calibrated, so this errs least and agrees with argmax of s_T
REGULARISATION = 0.003  # as scikit-learn's C, on standardised features; by cross-fit on train parts
_GROUP_POWER = 0.25  # by cross-fit on one fold's training part

Rows = Float[np.ndarray, "pairs inputs"]
Good = Bool[np.ndarray, " pairs"]
Groups = Int[np.ndarray, " pairs"]
Weights = Float[np.ndarray, " pairs"]


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head fitted on all train pairs, and what each train pair got from one that had not seen it.

    `inner` is the inner fold a pair was held out of; `held_out` are calibrated log-odds.
    """

    head: Head
    held_out: Float[np.ndarray, " pairs"]
    inner: Int[np.ndarray, " pairs"]


def fit_head(
    rows: Rows,
    good: Good,
    groups: Groups,
    *,
    inputs: Inputs,
    regularisation: float = REGULARISATION,
) -> FittedHead:
    """Fit on all pairs, cross-fit for held-out log-odds, calibrate on those.

    `rows` hold the head's `inputs`; `groups` keeps a query and its variants in one inner fold;
    `regularisation` is the linear part's. Raises `BadInput` where the labels cannot carry a fit.
    """
    if good.all() or not good.any() or len(np.unique(groups)) < INNER_FOLDS:
        raise BadInput(
            f"fitting a judge: expected Good and Bad pairs of at least {INNER_FOLDS} queries, "
            f"got {int(good.sum())} Good of {len(good)} pairs and {len(np.unique(groups))} queries"
        )
    fit = partial(fit_uncalibrated, inputs=inputs, regularisation=regularisation)
    raw, inner = np.zeros(len(good)), np.zeros(len(good), dtype=np.int64)
    for fold, (rest, held) in enumerate(GroupKFold(INNER_FOLDS).split(rows, good, groups)):
        part = fit(rows[rest], good[rest], groups[rest])
        raw[held] = part.raw(rows[held])
        inner[held] = fold
    slope, offset = calibrating_line(raw, good)
    head = fit(rows, good, groups)
    return FittedHead(replace(head, slope=slope, offset=offset), slope * raw + offset, inner)


def calibrating_line(log_odds: Float[np.ndarray, " pairs"], good: Good) -> tuple[float, float]:
    """Platt's slope and offset: the line that makes held-out log-odds probable.

    Labels are softened as Platt (1999) does, so that a perfect separation on few pairs does not
    make the judge certain. The slope is kept positive: calibration must not turn a ranking over.
    """
    softened = np.where(good, (good.sum() + 1) / (good.sum() + 2), 1 / ((~good).sum() + 2))
    both_ways = np.repeat([True, False], len(good))
    weights = np.concatenate([softened, 1 - softened])
    twice = np.tile(log_odds, 2)[:, None]
    fitted = LogisticRegression(C=np.inf).fit(twice, both_ways, sample_weight=weights)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope > 0:
        return slope, offset
    share = float(good.mean())
    return 1e-3, float(np.log(share / (1 - share)))


def fit_signed(
    features: Rows,
    good: Good,
    weights: Weights,
    allowed: tuple[int, ...],
    *,
    regularisation: float = REGULARISATION,
) -> tuple[Float[np.ndarray, " features"], float]:
    """Weights and bias of a logistic regression whose weights keep their `allowed` signs.

    With all signs 0 this is scikit-learn's `LogisticRegression(C=regularisation)`.
    """

    def loss(parameters: Float[np.ndarray, " parameters"]) -> tuple[float, np.ndarray]:
        logits = features @ parameters[:-1] + parameters[-1]
        losses = np.logaddexp(0, np.where(good, -logits, logits))
        errors = weights * (sigmoid(logits) - good)
        gradient = np.append(features.T @ errors, errors.sum()) * regularisation
        gradient[:-1] += parameters[:-1]
        penalty = float(parameters[:-1] @ parameters[:-1]) / 2
        return regularisation * float(weights @ losses) + penalty, gradient

    bounds = [*(_BOUNDS[sign] for sign in allowed), (None, None)]
    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


_BOUNDS = {1: (0, None), -1: (None, 0), 0: (None, None)}


def fit_uncalibrated(
    rows: Rows,
    good: Good,
    groups: Groups,
    *,
    inputs: Inputs,
    regularisation: float = REGULARISATION,
) -> Head:
    """A head whose log-odds rank pairs but are not yet probable."""
    weights = _group_weights(groups)
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    scales[scales < 1e-9] = 1.0  # constant columns
    fitted, bias = fit_signed(
        (rows - means) / scales, good, weights, inputs.signs, regularisation=regularisation
    )
    return Head(
        inputs=inputs,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(fitted.tolist()),
        bias=bias,
        trees=fit_trees(rows, good, weights, inputs.signs),
    )


def _group_weights(groups: Groups) -> Weights:
    """Less for each pair of a query with many, 1 on average: many pairs of a query are alike."""
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = counts[place].astype(np.float64) ** -_GROUP_POWER
    return weights / weights.mean()
