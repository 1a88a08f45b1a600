"""Two fits a bundle needs: the items' quantisation scale, and the logit's weight and bias.

Both are small, exact and data-free of any model: arrays in, numbers out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from relevance.errors import BadInput, GateRefused
from relevance.late_interaction import FOUR_BIT_LIMIT, ITEM_LIMIT, sigmoid

# Of embedding values inside the quantisation range; the rest is clipped. Sixteen steps are so few
# that a narrower range is worth more clipping (docs/export.md).
KEPT_SHARE = {8: 0.9999, 4: 0.997}
LIMIT = {8: ITEM_LIMIT, 4: FOUR_BIT_LIMIT}
NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit = weight · similarity + bias."""

    weight: float
    bias: float


def item_scale(embeddings: Iterable[np.ndarray], *, bits: int = 8) -> float:
    """One step's size, so that `KEPT_SHARE` of all magnitudes fit into the steps there are.

    Raises `BadInput` where no item has a token.
    """
    magnitudes = np.abs(
        np.concatenate([np.zeros(0, np.float32), *(rows.ravel() for rows in embeddings)])
    )
    if not len(magnitudes):
        raise BadInput("calibration pairs: expected an item with a token, found none")
    return float(np.quantile(magnitudes, KEPT_SHARE[bits])) / LIMIT[bits]


def fit_calibration(similarities: np.ndarray, good: np.ndarray) -> Calibration:
    """Logistic regression of Good on one similarity by Newton's method (Platt, 1999).

    Platt's smoothed targets keep a separable sample finite. Raises `GateRefused` where higher
    similarity does not mean Good more often.
    """
    positives, negatives = int(good.sum()), int((~good).sum())
    targets = np.where(good, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(similarities.mean()), float(similarities.std()) or 1.0
    inputs = np.stack([(similarities - centre) / spread, np.ones_like(similarities)], axis=1)
    solution = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        probabilities = sigmoid(inputs @ solution)
        curvature = probabilities * (1 - probabilities)
        hessian = inputs.T @ (inputs * curvature[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, inputs.T @ (probabilities - targets))
        solution = solution - step
        if np.abs(step).max() < 1e-12:
            break
    weight = float(solution[0]) / spread
    if weight <= 0:
        raise GateRefused(
            f"calibration: expected higher similarity on Good pairs, got a slope of {weight:.3f} "
            f"over {positives} Good and {negatives} Bad pairs"
        )
    return Calibration(weight, float(solution[1]) - weight * centre)
