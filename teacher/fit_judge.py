"""Fits a head of the catalogue judge: weights, and the line that calibrates them.

Which pairs are train stands in `relevance.folds`, what is made of a fitted head in `fit_fold.py`.
Validation and test pairs never come here.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from teacher.online.features import signs
from teacher.online.linear_head import LinearHead, columns_of

INNER_FOLDS = 5
THRESHOLD = 0.5  # the log-odds are calibrated, so this errs least and agrees with argmax of s_T
REGULARISATION = 0.01  # as scikit-learn's C, on standardised features; by cross-fit on train parts

Features = Float[np.ndarray, "pairs features"]
Good = Bool[np.ndarray, " pairs"]
Groups = Int[np.ndarray, " pairs"]
Weights = Float[np.ndarray, " pairs"]


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head fitted on all train pairs, and what each train pair got from one that had not seen it.

    `inner` is the inner fold a pair was held out of; `held_out` are calibrated log-odds.
    """

    head: LinearHead
    held_out: Float[np.ndarray, " pairs"]
    inner: Int[np.ndarray, " pairs"]


def fit_head(
    features: Features, good: Good, groups: Groups, *, families: tuple[str, ...]
) -> FittedHead:
    """Fit on all pairs, cross-fit for held-out log-odds, calibrate on those.

    `groups` keeps a query and its variants in one inner fold. Rows hold every family; the head
    uses `families`. Raises `BadInput` where the labels cannot carry a fit.
    """
    if good.all() or not good.any() or len(np.unique(groups)) < INNER_FOLDS:
        raise BadInput(
            f"fitting a judge: expected Good and Bad pairs of at least {INNER_FOLDS} queries, "
            f"got {int(good.sum())} Good of {len(good)} pairs and {len(np.unique(groups))} queries"
        )
    weights = _group_weights(groups)
    raw, inner = np.zeros(len(good)), np.zeros(len(good), dtype=np.int64)
    for fold, (rest, held) in enumerate(GroupKFold(INNER_FOLDS).split(features, good, groups)):
        part = _standardised_fit(features[rest], good[rest], weights[rest], families)
        raw[held] = part.log_odds(features[held])
        inner[held] = fold
    slope, offset = calibrating_line(raw, good)
    head = _standardised_fit(features, good, weights, families)
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
    features: Features,
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


def _standardised_fit(
    features: Features, good: Good, weights: Weights, families: tuple[str, ...]
) -> LinearHead:
    kept = features[:, columns_of(families)]
    means, scales = kept.mean(axis=0), kept.std(axis=0)
    scales[scales < 1e-9] = 1.0  # constant columns
    fitted, bias = fit_signed((kept - means) / scales, good, weights, signs(families))
    return LinearHead(
        families=families,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(fitted.tolist()),
        bias=bias,
    )


def _group_weights(groups: Groups) -> Weights:
    """One over the root of a query's pairs, 1 on average: many pairs of a query are alike."""
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts)[place]
    return weights / weights.mean()
