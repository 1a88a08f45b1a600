"""A head of the catalogue judge: logistic weights and boosted trees, averaged and calibrated.

Plain numbers, evaluated with NumPy; fitting them is `teacher.fit_head`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from relevance.errors import BadInput
from teacher.online.inputs import Inputs
from teacher.online.trees import NO_TREES, Trees


@dataclass(frozen=True)
class Head:
    """Two opinions of a pair, their mean, and the line that makes it probable.

    linear = Σ weight · (input − mean) / scale + bias; raw = the mean of linear and Σ trees (linear
    alone where there are none); log-odds = slope · raw + offset.
    """

    inputs: Inputs
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    trees: Trees = NO_TREES
    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        names = self.inputs.names
        if not len(names) == len(self.means) == len(self.scales) == len(self.weights):
            raise BadInput(f"a head: expected {len(names)} weights, got {len(self.weights)}")
        numbers = [*self.means, *self.scales, *self.weights, self.bias, self.slope, self.offset]
        if not np.isfinite(numbers).all() or min(self.scales, default=1.0) <= 0:
            raise BadInput("a head: expected finite weights and positive scales")
        if self.trees.width > len(names):
            raise BadInput(f"a head: expected trees over {len(names)} inputs")

    def raw(self, rows: Float[np.ndarray, "pairs inputs"]) -> Float[np.ndarray, " pairs"]:
        """The mean opinion before calibration; a row gets the same bits alone and among others."""
        linear = ((rows - self._means) * self._steepness).sum(axis=1) + self.bias
        return (linear + self.trees.sums(rows)) / 2 if self.trees.roots else linear

    def log_odds(self, rows: Float[np.ndarray, "pairs inputs"]) -> Float[np.ndarray, " pairs"]:
        """Calibrated log-odds."""
        return self.slope * self.raw(rows) + self.offset

    def contributions(self, row: Float[np.ndarray, " inputs"]) -> Mapping[str, float]:
        """What each group of inputs adds to the log-odds; with `bias` they sum up to it."""
        shares = (row - self._means) * self._steepness
        rest = self.bias
        if self.trees.roots:
            grown, constant = self.trees.contributions(row)
            shares, rest = (shares + grown) / 2, (rest + constant) / 2
        found: dict[str, float] = {}
        for name, share in zip(self.inputs.names, (self.slope * shares).tolist(), strict=True):
            group = self.inputs.group_of[name]
            found[group] = found.get(group, 0.0) + share
        return {**found, "bias": self.slope * rest + self.offset}

    @cached_property
    def _means(self) -> Float[np.ndarray, " inputs"]:
        return np.array(self.means)

    @cached_property
    def _steepness(self) -> Float[np.ndarray, " inputs"]:
        return np.array(self.weights) / np.array(self.scales)
