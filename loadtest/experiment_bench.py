"""What experiments cost: a plain service against ones with two loaded variants and a pair log.

Services are asked in turn, a few requests in a row each, so whatever the machine does meets all of
them. The first of a row are not counted: by then the service has its weights back in the
processor's cache, as one that is alone on its machine always has. Each round gives one ratio. A
second plain service shows what ratio chance gives.
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

PLAIN, AGAIN = "plain", "plain again"
ONE_BUNDLE, TWO_BUNDLES = "one bundle twice", "two bundles"
EXPERIMENTS = (ONE_BUNDLE, TWO_BUNDLES)
CONTROL, TREATMENT = "control", "treatment"
MOST_OVERHEAD = 0.05
SIZES = (100, 1000)


@dataclass(frozen=True, slots=True)
class Rows:
    """How many requests a service gets in a round, and how they are dealt out.

    `in_a_row` are counted of each row, `uncounted` go before them. One request in
    `treatment_every` goes to the treatment, the others to control.
    """

    requests: int
    in_a_row: int
    uncounted: int
    treatment_every: int = 2

    @property
    def per_round(self) -> int:
        """Rows of each service in a round."""
        return max(self.requests // self.in_a_row, 1)

    def variant(self, number: int) -> str:
        """Whose the request of this number is, counted over the rows of a round."""
        return CONTROL if (number + 1) % self.treatment_every else TREATMENT


@dataclass(slots=True)
class Waited:
    """One number of candidates: a figure of each round, for each service and arm.

    `medians` are milliseconds waited, `processor` the service's milliseconds of processor time a
    request.
    """

    candidates: int
    medians: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)

    def over_plain(self, name: str) -> Interval:
        """How much longer than the plain service, as a share: 0.05 is five in a hundred."""
        return _over_plain(self.medians, name)

    def work_over_plain(self, name: str) -> Interval:
        """How much more processor time than the plain service, likewise."""
        return _over_plain(self.processor, name)


def _over_plain(rounds: Mapping[str, Sequence[float]], name: str) -> Interval:
    return Interval.of(np.array(rounds[name]) / np.array(rounds[PLAIN]) - 1)


def arm(service: str, variant: str) -> str:
    """What a service's requests of one variant are called."""
    return f"{service}: {variant}"


def measure(
    servers: Mapping[str, Server],
    calls: Calls,
    keys: Mapping[str, str],
    *,
    rounds: int,
    rows: Rows,
) -> list[Waited]:
    """Ask each service in turn; `keys` names one key of control and one of the treatment.

    They are mixed as `rows` says, to the plain services too.
    """
    found = [Waited(size) for size in SIZES]
    with ExitStack() as stack:
        lines = {
            name: stack.enter_context(BareConnection(one.port)) for name, one in servers.items()
        }
        asking = _Asking(servers, lines, calls, keys)
        for number in range(rounds + 1):
            for waited in found:
                seconds, processor = asking.round(waited.candidates, rows, turn=number)
                if number:  # the first opens connections and wakes servers
                    for name, times in seconds.items():
                        waited.medians.setdefault(name, []).append(1000 * float(np.median(times)))
                    for name, taken in processor.items():
                        waited.processor.setdefault(name, []).append(1000 * taken)
    return found


@dataclass(frozen=True, slots=True)
class _Asking:
    """Everything needed to ask; the services' order changes from row to row."""

    servers: Mapping[str, Server]
    lines: Mapping[str, BareConnection]
    calls: Calls
    keys: Mapping[str, str]

    def round(
        self, candidates: int, rows: Rows, *, turn: int
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        """Seconds waited for each request; seconds of processor time a request."""
        seconds: dict[str, list[float]] = {}
        processor: dict[str, float] = {}
        names, asked = list(self.lines), rows.per_round * (rows.uncounted + rows.in_a_row)
        for number in range(rows.per_round):
            for place in range(len(names)):
                # each is as often first as last, over the rounds
                name = names[(turn * rows.per_round + number + place) % len(names)]
                before = self.servers[name].cpu_seconds()
                self._row(name, candidates, rows, seconds, first=number * rows.in_a_row)
                taken = self.servers[name].cpu_seconds() - before
                processor[name] = processor.get(name, 0.0) + taken / asked
        return seconds, processor

    def _row(
        self,
        name: str,
        candidates: int,
        rows: Rows,
        seconds: dict[str, list[float]],
        *,
        first: int,
    ) -> None:
        for number in range(-rows.uncounted, rows.in_a_row):
            variant = rows.variant(first + number)
            call = asdict(self.calls.new(candidates))
            body = json.dumps({**call, "experiment_key": self.keys[variant]}).encode()
            started = time.perf_counter()
            self.lines[name].post("/score", body)
            taken = time.perf_counter() - started
            if number < 0:
                continue
            seconds.setdefault(name, []).append(taken)
            if name in EXPERIMENTS:
                seconds.setdefault(arm(name, variant), []).append(taken)


def table(found: Sequence[Waited]) -> str:
    """The figures as text."""
    lines = [
        "median milliseconds of a request, one at a time, every query new; beside it the share",
        "longer than the plain service, then processor milliseconds a request and their share:",
        "medians of rounds (nine tenths of them)",
    ]
    for waited in found:
        for name in sorted(waited.medians):
            line = f"{waited.candidates:>6}  {name:<28}{np.median(waited.medians[name]):8.2f}  "
            line += f"{_share(waited.over_plain(name)) if name != PLAIN else '':<28}"
            if name in waited.processor:
                line += f"{np.median(waited.processor[name]):8.2f}  "
                line += _share(waited.work_over_plain(name)) if name != PLAIN else ""
            lines.append(line.rstrip())
    measured = [name for name in EXPERIMENTS if name in found[0].medians]
    return "\n".join([*lines, *(_verdict(name, found) for name in measured)])


def _verdict(name: str, found: Sequence[Waited]) -> str:
    worst = max(waited.over_plain(name).median for waited in found)
    verdict = "under" if worst < MOST_OVERHEAD else "NOT under"
    return f"{name}, with the log: {worst:+.1%} at most, {verdict} {MOST_OVERHEAD:.0%}"


def _share(over: Interval) -> str:
    return f"{over.median:+.1%} ({over.low:+.1%} to {over.high:+.1%})"
