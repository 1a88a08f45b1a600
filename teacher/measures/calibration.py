"""What a calibration error can be at best: chance alone moves it, more so where queries differ.

Pairs of one query are Good together more often than their probabilities say. So a judge whose
probabilities are right on average still shows an error on a few hundred queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from relevance.late_interaction import sigmoid
from relevance.metrics import calibration_error

_DRAWS = 200
_FLATTEST = 0.1  # keeps the spread finite where queries are all Good or all Bad


@dataclass(frozen=True, slots=True)
class ChanceError:
    """The error of a judge that is calibrated: its mean over draws and their standard deviation.

    `query_spread` is the standard deviation, in log-odds, of what a query's pairs have in common.
    """

    mean: float
    deviation: float
    query_spread: float


def chance_error(
    good: Bool[np.ndarray, " pairs"],
    log_odds: Float[np.ndarray, " pairs"],
    groups: Sequence[str],
    *,
    draws: int = _DRAWS,
    seed: int = 0,
) -> ChanceError:
    """Draw labels of which these log-odds are calibrated, with the spread that queries show."""
    place = np.unique(groups, return_inverse=True)[1]
    spread = query_spread(good, log_odds, place)
    # E sigmoid(steeper · z + e) is about sigmoid(z) for e ~ N(0, spread²): MacKay (1992).
    steeper = np.sqrt(1 + np.pi * spread**2 / 8)
    random = np.random.default_rng(seed)
    errors = []
    for _ in range(draws):
        shared = random.normal(0, spread, place.max() + 1)[place]
        drawn = random.random(len(place)) < sigmoid(steeper * log_odds + shared)
        errors.append(calibration_error(drawn, sigmoid(log_odds)))
    return ChanceError(float(np.mean(errors)), float(np.std(errors)), spread)


def query_spread(
    good: Bool[np.ndarray, " pairs"], log_odds: Float[np.ndarray, " pairs"], place: np.ndarray
) -> float:
    """By moments: Var Σ(good − p) of a query = Σ p(1 − p) + s² · (Σ p(1 − p))².

    s² is the spread as the probabilities show it, flattened: spread² / (1 + π spread² / 8).
    """
    p = sigmoid(log_odds)
    variance = np.bincount(place, p * (1 - p))
    surplus = np.bincount(place, good - p) ** 2 - variance
    shown = max(0.0, float(surplus.sum() / max((variance**2).sum(), 1e-12)))
    return float(np.sqrt(shown / max(1 - np.pi * shown / 8, _FLATTEST)))
