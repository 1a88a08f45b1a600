"""The service against the sum of its parts and against a peer, in alternating short rounds.

A machine that others use makes times wander, so all figures are ratios within one round, then the
median over rounds with the interval that holds nine tenths of them. What is run stands in
`bench_commands.py`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from loadtest.bare_client import BareConnection
from loadtest.processes import Answering, Server
from loadtest.traffic import Traffic

SIZES = (100, 1000)
HIT_RATES = (0.0, 0.8)
WARM_QUERIES = 40  # asked again and again at a hit rate above 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    rounds: int = 10
    requests: int = 20
    load_rounds: int = 3
    load_seconds: float = 3.0
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Call:
    """One request: a query nobody asked before (unless told otherwise) and random candidates."""

    query: str
    item_ids: list[str]

    @property
    def body(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class Interval:
    """A median over rounds, and what nine tenths of them lie between."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: ArrayLike) -> "Interval":
        """Of one value a round."""
        low, median, high = np.quantile(np.asarray(values, np.float64), (0.05, 0.5, 0.95)).tolist()
        return cls(median, low, high)


Question = Callable[[Sequence[Call]], Mapping[str, object]]
PARTS: Mapping[str, Question] = {
    "encode": lambda calls: {"encode": [call.query for call in calls]},
    "fetch": lambda calls: {"fetch": [call.item_ids for call in calls]},
    "score": lambda calls: {
        "score": [call.item_ids for call in calls],
        "queries": [call.query for call in calls],
    },
}


def in_a_row(part: str) -> str:
    """The name of a part that is timed without waiting in between."""
    return f"{part} in a row"


class Calls:
    """Calls without end: queries of the traffic, each made new by a number; ids at random."""

    def __init__(self, traffic: Traffic, *, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._queries = cycle(traffic.visitors)
        self._ids = list(traffic.item_ids)
        self._asked = 0
        self._lock = threading.Lock()

    def new(self, candidates: int) -> Call:
        """A query never asked before."""
        with self._lock:
            self._asked += 1
            return Call(f"{next(self._queries)} {self._asked}", self._candidates(candidates))

    def mixed(self, candidates: int, *, warm: Sequence[str], hit_rate: float) -> Call:
        """One of the warm queries as often as `hit_rate` says, else a new one."""
        call = self.new(candidates)
        with self._lock:
            if self._random.random() >= hit_rate:
                return call
            return Call(warm[int(self._random.integers(len(warm)))], call.item_ids)

    def _candidates(self, count: int) -> list[str]:
        rows = self._random.integers(len(self._ids), size=count)
        return [self._ids[row] for row in rows.tolist()]


@dataclass(slots=True)
class Latencies:
    """One number of candidates: for each thing timed, milliseconds a request in each round.

    `waited` is the median time from request to reply, `worked` the mean CPU time of the server.
    """

    candidates: int
    waited: dict[str, list[float]] = field(default_factory=dict)
    worked: dict[str, list[float]] = field(default_factory=dict)

    def add_taken(self, name: str, taken: Sequence[tuple[float, float]]) -> None:
        """One round of a part: the time and the CPU time of each call."""
        seconds, cpu_seconds = zip(*taken, strict=True)
        self.add(name, seconds=seconds, cpu_seconds=sum(cpu_seconds))

    def add(self, name: str, *, seconds: Sequence[float], cpu_seconds: float) -> None:
        """One round of one thing."""
        self.waited.setdefault(name, []).append(float(np.median(seconds)) * 1000)
        self.worked.setdefault(name, []).append(cpu_seconds / len(seconds) * 1000)


def ratio(
    rounds: Mapping[str, Sequence[float]], above: Sequence[str], below: Sequence[str]
) -> Interval:
    """The sum of some things' milliseconds over the sum of others', round by round."""
    tops = np.sum([rounds[name] for name in above], axis=0)
    return Interval.of(tops / np.sum([rounds[name] for name in below], axis=0))


def measure_latencies(
    servers: Sequence[Server], parts: Answering, calls: Calls, plan: Plan
) -> list[Latencies]:
    """One request at a time to each server and to the parts in turn, round after round."""
    found = [Latencies(size) for size in SIZES]
    for _ in range(plan.rounds):
        for latencies in found:
            for server in servers:
                _time_server(latencies, server, calls, plan.requests)
            _time_parts(latencies, parts, calls, plan.requests)
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """One stretch of closed-loop load: what the server did for its CPU time."""

    server: str
    hit_rate: float
    candidates: int
    requests: int
    seconds: float
    server_cpu: float
    client_cpu: float

    @property
    def pairs_per_cpu_second(self) -> float:
        """Pairs scored per second of the server's CPU."""
        return self.requests * self.candidates / self.server_cpu

    @property
    def pairs_per_second(self) -> float:
        """Pairs scored per second."""
        return self.requests * self.candidates / self.seconds


def measure_load(servers: Sequence[Server], calls: Calls, plan: Plan) -> list[Load]:
    """Each server in turn under load, at each rate of queries asked before."""
    warm = [calls.new(1).query for _ in range(WARM_QUERIES)]
    loads = []
    for _ in range(plan.load_rounds):
        for hit_rate in HIT_RATES:
            for server in servers:
                loads.append(_load(server, calls, warm, hit_rate, plan))
    return loads


def _time_server(latencies: Latencies, server: Server, calls: Calls, requests: int) -> None:
    first, *bodies = [calls.new(latencies.candidates).body for _ in range(requests + 1)]
    with BareConnection(server.port) as connection:
        connection.post("/score", first)  # opens the connection and wakes the server
        cpu = server.cpu_seconds()
        seconds = [_seconds(partial(connection.post, "/score", body)) for body in bodies]
        latencies.add(server.name, seconds=seconds, cpu_seconds=server.cpu_seconds() - cpu)


def _time_parts(latencies: Latencies, parts: Answering, calls: Calls, requests: int) -> None:
    """Each part one at a time, as requests come, and the same calls in a row.

    Work that a process is woken for takes longer than the same work back to back; bare HTTP, which
    a part's time is added to, can only be had the first way.
    """
    some = [calls.new(latencies.candidates) for _ in range(requests)]
    for part, question in PARTS.items():
        taken = [answer for call in some for answer in parts.ask(question([call]))]
        latencies.add_taken(part, taken)
        latencies.add_taken(in_a_row(part), parts.ask(question(some)))


def _load(server: Server, calls: Calls, warm: Sequence[str], hit_rate: float, plan: Plan) -> Load:
    size = SIZES[-1]
    made = [calls.mixed(size, warm=warm, hit_rate=hit_rate).body for _ in range(400)]
    with BareConnection(server.port) as connection:
        for query in warm:
            connection.post("/score", Call(query, calls.new(10).item_ids).body)
    done = [0] * plan.connections
    stop = time.perf_counter() + plan.load_seconds

    def ask(place: int) -> None:
        with BareConnection(server.port) as connection:
            for body in made[place :: plan.connections]:
                connection.post("/score", body)
                done[place] += 1
                if time.perf_counter() >= stop:
                    return

    started, cpu, own = time.perf_counter(), server.cpu_seconds(), time.process_time()
    threads = [threading.Thread(target=ask, args=(place,)) for place in range(plan.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(
        server=server.name,
        hit_rate=hit_rate,
        candidates=size,
        requests=sum(done),
        seconds=time.perf_counter() - started,
        server_cpu=server.cpu_seconds() - cpu,
        client_cpu=time.process_time() - own,
    )


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
