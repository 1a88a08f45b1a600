"""The highest rate a service answers as its SLO asks, and what it costs it.

Rates are doubled until one does not hold, then the gap is halved. Every rate asked is a point of
the throughput-latency curve. Costs in CPU time, which a plan is made from, are measured apart:
one request at a time, at several numbers of candidates, and fitted by least squares.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.bare_client import BareConnection
from loadtest.open_loop import Request
from loadtest.processes import Server
from loadtest.slo import Slo
from loadtest.stretch import Stretch

COST_SIZES = (100, 1000, 5000)
COST_REQUESTS = 60
KEPT_UP = 0.8  # of the rate: the last replies of a stretch come after its end
Measure = Callable[[float], Stretch]
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Search:
    """Every rate that was tried, in that order, and the highest one that held (None: none did)."""

    tried: tuple[Stretch, ...]
    best: Stretch | None


def find_capacity(measure: Measure, slo: Slo, *, first: float, steps: int, say: Say) -> Search:
    """Double `first` until a rate does not hold, or halve it until one does; then narrow down.

    `steps` halvings of the gap leave the answer within a factor of 2 ** (1 / 2 ** steps).
    """
    tried: list[Stretch] = []

    def holds(rate: float) -> bool:
        stretch = measure(rate)
        tried.append(stretch)
        faults = (*slo.faults(stretch), *_fell_behind(stretch))
        limited = " (client-limited)" if stretch.client_limited else ""
        say(f"{rate:8.1f}/s  p99 {stretch.times.p99:7.1f} ms{limited}  {'; '.join(faults)}")
        return not faults

    low, high = _bracket(holds, first)
    for _ in range(steps if low else 0):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    held = [one for one in tried if one.per_second == low]
    return Search(tuple(tried), held[-1] if held else None)


def _fell_behind(stretch: Stretch) -> tuple[str, ...]:
    """A rate that was not reached is not held, however kind the SLO is."""
    reached = (stretch.times.count + stretch.refused + stretch.failed) / stretch.seconds
    if reached >= KEPT_UP * stretch.per_second:
        return ()
    return (
        f"{stretch.name}: {reached:.4g}/s of {stretch.per_second:.4g}/s got their reply in time",
    )


def _bracket(holds: Callable[[float], bool], first: float) -> tuple[float, float]:
    """Two neighbours of which the lower holds and the higher does not; the lower is 0 if none."""
    rate = first
    if holds(rate):
        while holds(rate * 2):
            rate *= 2
        return rate, rate * 2
    while rate > first / 64:
        rate /= 2
        if holds(rate):
            return rate, rate * 2
    return 0.0, rate


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU milliseconds a request costs the server: `fixed` and `per_candidate` on top."""

    fixed_ms: float
    candidate_us: float
    measured: tuple[tuple[int, float], ...]


def measure_costs(server: Server, streams: Callable[[int], Iterator[Request]]) -> Costs:
    """Ask one request at a time for each number of candidates and read the server's CPU clock."""
    measured = [(size, _cpu_ms(server, streams(size))) for size in COST_SIZES]
    return fit_costs(measured)


def fit_costs(measured: Sequence[tuple[int, float]]) -> Costs:
    """The line through (candidates, CPU milliseconds), errors counted relative to the value."""
    sizes, found = np.array(measured, np.float64).T
    weights = 1 / found
    columns = np.stack([np.ones_like(sizes), sizes], axis=1) * weights[:, None]
    (fixed, slope), *_ = np.linalg.lstsq(columns, found * weights, rcond=None)
    return Costs(float(fixed), float(slope) * 1000, tuple((int(s), float(f)) for s, f in measured))


def _cpu_ms(server: Server, stream: Iterator[Request]) -> float:
    made = [next(stream) for _ in range(COST_REQUESTS + 5)]
    with BareConnection(server.port) as connection:
        for request in made[:5]:
            connection.post(request.path, request.body)
        before = server.cpu_seconds()
        for request in made[5:]:
            connection.post(request.path, request.body)
        return (server.cpu_seconds() - before) / COST_REQUESTS * 1000
