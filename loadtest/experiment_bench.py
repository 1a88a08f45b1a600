"""What experiments cost: a plain service against one with two loaded variants and a pair log.

Requests go to the services in turn, one by one, so whatever the machine does meets all of them.
Each round gives one ratio of medians. A second plain service shows what ratio chance gives.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import numpy as np

from loadtest.bare_client import BareConnection
from loadtest.processes import Server
from loadtest.service_bench import Calls, Interval

PLAIN, AGAIN, BOTH = "plain", "plain again", "two variants"
CONTROL, CANDIDATE = "its control", "its candidate"
MOST_OVERHEAD = 0.05
SIZES = (100, 1000)


@dataclass(slots=True)
class Waited:
    """One number of candidates: for each thing, the median milliseconds of each round."""

    candidates: int
    medians: dict[str, list[float]] = field(default_factory=dict)

    def over_plain(self, name: str) -> Interval:
        """How much longer than the plain service, as a share: 0.05 is five in a hundred."""
        ratios = np.array(self.medians[name]) / np.array(self.medians[PLAIN])
        return Interval.of(ratios - 1)


def measure(
    servers: Mapping[str, Server],
    calls: Calls,
    keys: Mapping[str, str],
    *,
    rounds: int,
    requests: int,
) -> list[Waited]:
    """Ask each of the three services in turn; `keys` puts requests of `BOTH` into a variant.

    `keys` names one key of control and one of the candidate: every other request is of either.
    """
    found = [Waited(size) for size in SIZES]
    with ExitStack() as stack:
        lines = {
            name: stack.enter_context(BareConnection(one.port)) for name, one in servers.items()
        }
        for number in range(rounds + 1):
            for waited in found:
                seconds = _round(lines, calls, keys, waited.candidates, requests)
                if number:  # the first opens connections and wakes servers
                    for name, times in seconds.items():
                        waited.medians.setdefault(name, []).append(1000 * float(np.median(times)))
    return found


def _round(
    lines: Mapping[str, BareConnection],
    calls: Calls,
    keys: Mapping[str, str],
    candidates: int,
    requests: int,
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {}
    names = list(lines)
    for number in range(requests):
        arm = (CONTROL, CANDIDATE)[number % 2]
        for place in range(len(names)):
            name = names[(number + place) % len(names)]  # each is as often first as last
            call = asdict(calls.new(candidates))
            body = json.dumps({**call, "experiment_key": keys[arm]}).encode()
            started = time.perf_counter()
            lines[name].post("/score", body)
            taken = time.perf_counter() - started
            seconds.setdefault(name, []).append(taken)
            if name == BOTH:
                seconds.setdefault(arm, []).append(taken)
    return seconds


def table(found: Sequence[Waited]) -> str:
    """The figures as text."""
    lines = [
        "median milliseconds of a request, one at a time, every query new; beside it the share"
    ]
    lines.append("longer than the plain service: median of rounds (nine tenths of them)")
    for waited in found:
        for name, medians in waited.medians.items():
            over = waited.over_plain(name)
            shown = f"{over.median:+8.1%} ({over.low:+.1%} to {over.high:+.1%})"
            if name == PLAIN:
                shown = ""
            lines.append(f"{waited.candidates:>6}  {name:<14}{np.median(medians):8.2f}  {shown}")
    worst = max(waited.over_plain(BOTH).median for waited in found)
    verdict = "under" if worst < MOST_OVERHEAD else "NOT under"
    lines.append(f"two variants and the log: {worst:+.1%} at most, {verdict} {MOST_OVERHEAD:.0%}")
    return "\n".join(lines)
