"""What eight bits make of activations and weights, in NumPy: steps, ranges, and what they lose.

The graph that does it stands in `quantise.py`.
"""

from collections.abc import Sequence

import numpy as np

STEPS = 127  # of a weight, to either side
KEPT_CHANNELS = (0, 4, 16, 48)  # of a product's inputs that may stay in float32
GOOD_ENOUGH = 0.035  # a product's relative error from which on no more channels are kept


def choose_channels(
    texts: Sequence[np.ndarray], weights: Sequence[np.ndarray], *, fixed: bool = False
) -> np.ndarray:
    """Which input channels stay in float32: the largest ones, rising int64 positions.

    `texts` are activations (tokens, inputs), each text quantised by its own range as when it is
    served, or all by one where ranges are `fixed`. The error is relative to each token's product:
    special tokens carry activations ten times as large, and an absolute error would see them alone.
    """
    largest = np.max([np.abs(text).max(axis=0) for text in texts], axis=0)
    falling = np.argsort(-largest, kind="stable")
    choices = [np.sort(falling[:count]) for count in KEPT_CHANNELS if count < len(largest)]
    for kept in choices:
        if _product_error(texts, weights, kept, fixed=fixed) <= GOOD_ENOUGH:
            break
    return kept.astype(np.int64)


def quantised_weight(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 steps (inputs, outputs) and one float32 scale an output."""
    scales = np.abs(weight).max(axis=0) / STEPS
    scales = np.where(scales > 0, scales, 1.0).astype(np.float32)
    return np.clip(np.rint(weight / scales), -STEPS, STEPS).astype(np.int8), scales


def range_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point of values' own range, as ONNX's DynamicQuantizeLinear takes them."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.array(scale, np.float32), np.array(zero, np.uint8)


def without(values: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """A copy (tokens, channels) with these channels at zero."""
    remaining = values.copy()
    remaining[:, channels] = 0
    return remaining


def _product_error(
    texts: Sequence[np.ndarray], weights: Sequence[np.ndarray], kept: np.ndarray, *, fixed: bool
) -> float:
    """Root mean square over tokens of |rounded product − product| / |product|."""
    exact = np.concatenate(texts)
    rest = [without(text, kept) for text in texts]
    rounded = _rounded(np.concatenate(rest)) if fixed else np.concatenate([*map(_rounded, rest)])
    lost = without(exact, kept) - rounded
    shares = []
    for weight in weights:
        energy = np.maximum(((exact @ weight) ** 2).sum(axis=1), np.finfo(np.float32).tiny)
        shares.append(float(np.mean(((lost @ weight) ** 2).sum(axis=1) / energy)))
    return float(np.sqrt(np.mean(shares)))


def _rounded(values: np.ndarray) -> np.ndarray:
    """What 8 bits keep of `values` by their own range, in float32."""
    scale, zero = (float(each) for each in range_of(values))
    steps = np.clip(np.rint(values / scale) + zero, 0, 255) - zero
    return (steps * scale).astype(np.float32)
