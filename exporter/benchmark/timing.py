"""Timing things against each other on a machine that others use too.

Contestants take turns, so a busy minute hits all of them; the figures are quantiles of their own
turns, and only ratios within one run are worth quoting.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds a turn: the fastest, the lower quartile and the median."""

    best: float
    quartile: float
    median: float


def take_turns(contestants: Mapping[str, Callable[[], object]], *, turns: int) -> dict[str, Timing]:
    """Time each contestant `turns` times, alternating, after one turn that does not count."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(turns):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: _timing(np.array(each) * 1e3) for name, each in seconds.items()}


def _timing(milliseconds: np.ndarray) -> Timing:
    best, quartile, median = (float(np.quantile(milliseconds, q)) for q in (0.0, 0.25, 0.5))
    return Timing(best, quartile, median)
