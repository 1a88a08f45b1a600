"""The A/A test: the same shoppers split in two again and again, where no difference can be.

If intervals are honest, five splits in a hundred look like a difference at 5 %. More means that the
analysis sees what is not there; counting impressions as if they were independent does.
"""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from relevance.errors import BadInput
from relevance.experiments.clicks import by_key
from relevance.experiments.ratio import Units, difference

LEVEL = 0.05
FEWEST_KEYS = 20


@dataclass(frozen=True, slots=True)
class SameTwice:
    """How often a split looked like a difference, by the clustered analysis and by a naive one.

    `low` and `high` hold the share of honest intervals in 99 of 100 A/A tests of so many splits.
    """

    splits: int
    keys: int
    false_positives: float
    naive_false_positives: float
    low: float
    high: float
    p_values: tuple[float, ...]

    @property
    def is_honest(self) -> bool:
        """Whether the share is what chance allows."""
        return self.low <= self.false_positives <= self.high


def same_twice(table: pa.Table, *, splits: int, seed: int) -> SameTwice:
    """Split the keys of a click log in halves so many times; variants are ignored."""
    keys, clicks, impressions = by_key(table)
    if len(keys) < FEWEST_KEYS:
        raise BadInput(f"A/A: expected at least {FEWEST_KEYS} keys, got {len(keys)}")
    random = np.random.default_rng(seed)
    p_values, naive = np.empty(splits), np.empty(splits)
    names = np.asarray(keys)
    for at in range(splits):
        is_second = random.permutation(len(keys)) < len(keys) // 2
        halves = [
            Units(clicks[half], impressions[half], names[half].tolist())
            for half in (~is_second, is_second)
        ]
        p_values[at] = difference(*halves).p_value
        naive[at] = _naive_p_value(*halves)
    reach = 2.576 * math.sqrt(LEVEL * (1 - LEVEL) / splits)
    return SameTwice(
        splits=splits,
        keys=len(keys),
        false_positives=_share_below(p_values),
        naive_false_positives=_share_below(naive),
        low=max(LEVEL - reach, 0.0),
        high=LEVEL + reach,
        p_values=tuple(p_values.tolist()),
    )


def _share_below(p_values: Float64[np.ndarray, " splits"]) -> float:
    return float((p_values < LEVEL).mean())


def _naive_p_value(first: Units, second: Units) -> float:
    """The two-proportion z-test, every impression taken for independent."""
    clicks = np.array([first.numerators.sum(), second.numerators.sum()])
    shown = np.array([first.denominators.sum(), second.denominators.sum()])
    rate = clicks.sum() / shown.sum()
    error = math.sqrt(rate * (1 - rate) * (1 / shown).sum())
    rates = clicks / shown
    return math.erfc(abs(rates[1] - rates[0]) / error / math.sqrt(2)) if error else 1.0
