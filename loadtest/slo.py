"""What load has to be answered like, and what of it was not held."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.stretch import Stretch


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds of one stretch; milliseconds count from when requests were due.

    `refused` and `failed` are shares of all requests: 429 is an answer, anything else is not.
    """

    p99_ms: float
    p50_ms: float = float("inf")
    refused: float = 0.0
    failed: float = 0.0

    def faults(self, stretch: Stretch) -> tuple[str, ...]:
        """What the stretch did not hold, one sentence each."""
        if not stretch.times.count:
            return (f"{stretch.name}: no request was answered",)
        name, refused, failed = stretch.name, stretch.refused, stretch.failed
        return exceeded(
            (
                (f"{name}: p50", stretch.times.p50, self.p50_ms, " ms"),
                (f"{name}: p99", stretch.times.p99, self.p99_ms, " ms"),
                (f"{name}: share of refused requests", refused / stretch.sent, self.refused, ""),
                (f"{name}: share of failed requests", failed / stretch.sent, self.failed, ""),
            )
        )

    def held(self, stretch: Stretch) -> bool:
        """Whether there was no fault."""
        return not self.faults(stretch)


def exceeded(checks: Iterable[tuple[str, float, float, str]]) -> tuple[str, ...]:
    """A sentence for each (what, found, most, unit) beyond its bound, as NaN is beyond any."""
    return tuple(
        f"{what} {found:.4g}{unit}, expected at most {most:.4g}{unit}"
        for what, found, most, unit in checks
        if not found <= most
    )
