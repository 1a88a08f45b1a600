"""A ratio of two sums over clustered units, its interval, and the difference between two of them.

Units of one cluster (a query, a shopper) stand or fall together. The variance is that of the
ratio's linearisation, summed within clusters first: the delta method, which for weighted samples is
the Horvitz-Thompson (Hájek) ratio's. Sources: Särndal, Swensson & Wretman, "Model Assisted Survey
Sampling" (1992), ch. 5 and 8; Deng, Knoblich & Lu, "Applying the Delta Method in Metric
Analytics" (KDD 2018). Where the units come from is `goodrate.py`'s and `clicks.py`'s.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from relevance.bootstrap import student_quantile
from relevance.errors import BadInput

TAIL = 0.025
FEWEST = 3.0  # effective clusters; fewer say nothing about others


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Numerators and denominators, weights included, and the cluster of each unit."""

    numerators: Float64[np.ndarray, " units"]
    denominators: Float64[np.ndarray, " units"]
    clusters: Sequence[str]

    def __post_init__(self) -> None:
        sizes = {len(self.numerators), len(self.denominators), len(self.clusters)}
        if len(sizes) != 1:
            raise ValueError(f"units: expected as many of each, got {sorted(sizes)}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio with its 95 % interval; nan where there are too few clusters."""

    value: float
    low: float
    high: float
    standard_error: float
    clusters: int
    effective_clusters: float
    units: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, with its 95 % interval and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def ratio(units: Units) -> Estimate:
    """Sum of numerators over sum of denominators, for rates between 0 and 1.

    The interval is symmetric on the logit scale, so it stays between 0 and 1. At 0 and 1 it is the
    exact one of as many independent units as there are effective clusters.
    """
    made = _linearised(units)
    low, high = _within_bounds(made)
    return Estimate(
        value=made.value,
        low=low,
        high=high,
        standard_error=made.standard_error,
        clusters=len(made.names),
        effective_clusters=made.effective,
        units=len(units.numerators),
    )


def difference(first: Units, second: Units) -> Difference:
    """Ratio of `second` minus that of `first`; clusters that both have are paired."""
    one, other = _linearised(first), _linearised(second)
    value = other.value - one.value
    names = np.union1d(one.names, other.names)
    influence = np.zeros(len(names))
    influence[np.searchsorted(names, other.names)] += other.influence
    influence[np.searchsorted(names, one.names)] -= one.influence
    error = float(np.sqrt((influence**2).sum()))
    freedom = _joint_freedom(one, other)
    half = error * student_quantile(freedom) if freedom >= FEWEST - 1 else math.nan
    p_value = two_sided(value / error, freedom=freedom) if error else math.nan
    return Difference(value, value - half, value + half, error, p_value)


def two_sided(statistic: float, *, freedom: float) -> float:
    """P(|T| ≥ |statistic|) for Student's T (A&S 26.7.1 with 26.5.8's continued fraction)."""
    share = freedom / (freedom + statistic**2)
    return incomplete_beta(share, freedom / 2, 0.5)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by Lentz's method; about 12 digits."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly, its mirror image fast
        return 1 - incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    above, below = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = below
    for m in range(1, 500):
        odd = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        even = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (odd, even):
            below, above = 1 / (1 + term * below), 1 + term / above
            value *= below * above
        if abs(1 - below * above) < 1e-14:
            break
    return front * value


@dataclass(frozen=True, slots=True, eq=False)
class _Linearised:
    """A ratio, and each cluster's influence on it, widened for few clusters."""

    value: float
    names: np.ndarray
    influence: Float64[np.ndarray, " clusters"]
    effective: float

    @property
    def standard_error(self) -> float:
        return float(np.sqrt((self.influence**2).sum()))


def _linearised(units: Units) -> _Linearised:
    total = float(units.denominators.sum())
    if not total > 0:
        raise BadInput("a rate needs at least one unit with weight, got none")
    value = float(units.numerators.sum() / total)
    names, cluster_of = np.unique(np.asarray(units.clusters), return_inverse=True)
    residuals = (units.numerators - value * units.denominators) / total
    influence = np.bincount(cluster_of, residuals, minlength=len(names))
    sizes = np.bincount(cluster_of, units.denominators, minlength=len(names))
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())  # Kish (1965)
    widened = influence * math.sqrt(effective / (effective - 1)) if effective > 1 else influence
    return _Linearised(value, names, widened, effective)


def _joint_freedom(one: _Linearised, other: _Linearised) -> float:
    """Welch's and Satterthwaite's."""
    variances = (one.standard_error**2, other.standard_error**2)
    freedoms = (max(one.effective - 1, 1e-9), max(other.effective - 1, 1e-9))
    if not sum(variances):
        return min(freedoms)
    below = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return sum(variances) ** 2 / below


def _within_bounds(made: _Linearised) -> tuple[float, float]:
    value, error = made.value, made.standard_error
    if made.effective < FEWEST:
        return math.nan, math.nan
    if value in (0.0, 1.0):
        reach = 1 - TAIL ** (1 / made.effective)
        return (0.0, reach) if value == 0.0 else (1 - reach, 1.0)
    half = student_quantile(made.effective - 1) * error / (value * (1 - value))
    logit = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-(logit + side * half))) for side in (-1, 1))
    return low, high
