"""Goodrate: the share of what was shown that people judge Good, by variant, head and tail apart.

Each judged pair counts with its exposures over the probability it was drawn with. Pairs of one
query belong together. An audit rate with an interval, never a threshold (design, resolution 18).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.errors import BadInput
from relevance.experiments.audit_sample import Drawn
from relevance.experiments.plan import CONTROL
from relevance.experiments.ratio import Difference, Estimate, Units, difference, ratio
from relevance.experiments.segments import Segment

Judged = Mapping[tuple[str, str], bool]


@dataclass(frozen=True, slots=True)
class Compared:
    """One segment: every variant's rate, and each treatment's difference from control."""

    segment: Segment
    rates: Mapping[str, Estimate]
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Goodrate:
    """Rates over all queries, head and tail; `unjudged` pairs of `drawn` were left out."""

    experiment: str
    segments: tuple[Compared, ...]
    drawn: int
    unjudged: int


def goodrate(drawn: Sequence[Drawn], judged: Judged) -> Goodrate:
    """Estimate every variant's Goodrate; raises `BadInput` where a variant has no judged pair."""
    experiments = {one.experiment for one in drawn}
    if len(experiments) != 1:
        raise BadInput(f"design: expected one experiment, got {sorted(experiments)}")
    pairs = {(one.query, one.item_id) for one in drawn}
    known = [one for one in drawn if (one.query, one.item_id) in judged]
    segments = tuple(
        compared(segment, {name: _units(rows, judged) for name, rows in by_variant.items()})
        for segment in Segment
        if (by_variant := _by_variant(known, segment))
    )
    if not segments or set(segments[0].rates) != {one.variant for one in drawn}:
        raise BadInput("judged pairs: expected some of every variant's sample")
    return Goodrate(min(experiments), segments, len(pairs), len(pairs - set(judged)))


def compared(segment: Segment, units: Mapping[str, Units]) -> Compared:
    """Rates, and differences from control where control is there."""
    control = units.get(CONTROL)
    others = {} if control is None else {n: u for n, u in units.items() if n != CONTROL}
    return Compared(
        segment,
        {name: ratio(one) for name, one in units.items()},
        {name: difference(control, one) for name, one in others.items() if control is not None},
    )


def _by_variant(drawn: Sequence[Drawn], segment: Segment) -> dict[str, list[Drawn]]:
    found: dict[str, list[Drawn]] = {}
    for one in drawn:
        if segment in (Segment.ALL, one.segment):
            found.setdefault(one.variant, []).append(one)
    return {name: found[name] for name in sorted(found, key=lambda name: (name != CONTROL, name))}


def _units(drawn: Sequence[Drawn], judged: Judged) -> Units:
    weights = np.array([one.mass / one.probability for one in drawn])
    good = np.array([judged[one.query, one.item_id] for one in drawn], np.float64)
    return Units(weights * good, weights, [one.query for one in drawn])
