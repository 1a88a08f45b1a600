"""Fits the catalogue judge's weights and calibration on one fold's train part.

Which pairs are train stands in `relevance.folds`; mining the lexicon in `mine_lexicon.py`; what is
made of a fitted judge in `judge_pairs.py`. Validation and test are never fitted on.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from relevance.errors import BadInput
from teacher.online.linear_head import LinearHead, columns_of

INNER_FOLDS = 5
THRESHOLD = 0.5  # the log-odds are calibrated, so this errs least and agrees with argmax of s_T
_REGULARISATION = 0.003  # scikit-learn's C on standardised features

Features = Float[np.ndarray, "pairs features"]
Good = Bool[np.ndarray, " pairs"]
Groups = Int[np.ndarray, " pairs"]


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
    raw, inner = np.zeros(len(good)), np.zeros(len(good), dtype=np.int64)
    for fold, (rest, held) in enumerate(GroupKFold(INNER_FOLDS).split(features, good, groups)):
        raw[held] = _fit(features[rest], good[rest], families).log_odds(features[held])
        inner[held] = fold
    slope, offset = calibrating_line(raw, good)
    head = replace(_fit(features, good, families), slope=slope, offset=offset)
    return FittedHead(head, slope * raw + offset, inner)


def calibrating_line(log_odds: Float[np.ndarray, " pairs"], good: Good) -> tuple[float, float]:
    """Platt's slope and offset: the line that makes held-out log-odds probable.

    The slope is kept positive: calibration must not turn a ranking over.
    """
    fitted = LogisticRegression(C=np.inf).fit(log_odds[:, None], good)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope > 0:
        return slope, offset
    share = float(good.mean())
    return 1e-3, float(np.log(share / (1 - share)))


def _fit(features: Features, good: Good, families: tuple[str, ...]) -> LinearHead:
    kept = features[:, columns_of(families)]
    means, scales = kept.mean(axis=0), kept.std(axis=0)
    scales[scales == 0] = 1.0
    fitted = LogisticRegression(C=_REGULARISATION, max_iter=1000).fit((kept - means) / scales, good)
    return LinearHead(
        families=families,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(fitted.coef_[0].tolist()),
        bias=float(fitted.intercept_[0]),
    )
