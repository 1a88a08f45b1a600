"""Sample-ratio mismatch: whether as many keys came to each variant as the plan says.

Where they did not, something loses keys of one variant (crashes, redirects, bots), and no
difference between variants can be believed. Source: Fabijan et al., "Diagnosing Sample Ratio
Mismatch in Online Controlled Experiments" (KDD 2019).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from relevance.errors import BadInput, GateRefused

REFUSED_BELOW = 0.0005  # the p-value: a healthy experiment is refused once in two thousand


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Keys seen by variant, those expected, and how likely so large a mismatch is by chance."""

    seen: Mapping[str, int]
    expected: Mapping[str, float]
    p_value: float

    @property
    def is_mismatch(self) -> bool:
        """Whether chance is ruled out."""
        return self.p_value < REFUSED_BELOW


def sample_ratio(seen: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Pearson's chi-square test of the counts against `shares`, which sum to 1.

    Raises `BadInput` for a variant that is not in the plan.
    """
    unknown = sorted(set(seen) - set(shares))
    if unknown:
        raise BadInput(f"variants: expected {', '.join(shares)}, got `{unknown[0]}`")
    total = sum(seen.values())
    if not total:
        raise BadInput("variants: expected at least one key, got none")
    counts = {name: seen.get(name, 0) for name in shares}
    expected = {name: total * share for name, share in shares.items()}
    statistic = sum((counts[name] - expected[name]) ** 2 / expected[name] for name in shares)
    p_value = chi_square_tail(statistic, freedom=len(shares) - 1)
    return SampleRatio(counts, expected, p_value)


def refuse_mismatch(found: SampleRatio) -> None:
    """Raise `GateRefused` where keys were lost on the way to a variant."""
    if found.is_mismatch:
        seen = ", ".join(f"{name} {count:,}" for name, count in found.seen.items())
        expected = ", ".join(f"{name} {count:,.0f}" for name, count in found.expected.items())
        raise GateRefused(
            f"sample-ratio mismatch: expected about {expected} keys, got {seen} "
            f"(p = {found.p_value:.1e})\n"
            "hint: keys of one variant are lost or counted twice; find out why before reading on"
        )


def chi_square_tail(statistic: float, *, freedom: int) -> float:
    """P(X ≥ statistic) for chi-square with whole degrees of freedom (A&S 26.4.4 and 26.4.5)."""
    if freedom < 1 or statistic < 0:
        raise ValueError(f"expected freedom ≥ 1 and a statistic ≥ 0, got {freedom}, {statistic}")
    half = statistic / 2
    tail = math.erfc(math.sqrt(half)) if freedom % 2 else 0.0
    term_at = 0.5 if freedom % 2 else 0.0
    while term_at < freedom / 2:
        if half > 0 or term_at == 0:
            log_term = (term_at * math.log(half) if half else 0.0) - half - math.lgamma(term_at + 1)
            tail += math.exp(log_term)
        term_at += 1
    return min(tail, 1.0)
