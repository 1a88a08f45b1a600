"""Servers against each other on the same pairs: in turns, in one run, on one machine.

Every round visits every contestant at every size, so a busy minute hits all of them. Ratios are
taken within a round; the interval holds nine tenths of the rounds. A slow contestant is asked less
often, at least once a visit; its p99 then is its slowest answer, and the count says so.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from loadtest.bare_client import BareConnection
from loadtest.contestants import Contestant
from loadtest.service_bench import Call, Calls, Interval
from relevance.metrics import roc_auc
from relevance.records import Pair

SIZES = (100, 1000)
WARM = 10  # candidates of the request before a visit's first
MOST_LOAD_REQUESTS = 3000
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """How long each visit may take, and how many there are."""

    rounds: int = 5
    requests: int = 30
    visit_seconds: float = 2.0
    load_seconds: float = 4.0
    connections: int = 4


@dataclass(slots=True)
class Row:
    """What was measured of one contestant; milliseconds by candidates and round."""

    name: str
    visits: dict[int, list[list[float]]] = field(default_factory=dict)
    cpu_ms: dict[int, list[float]] = field(default_factory=dict)
    pairs_per_second: float = float("nan")
    pairs_per_cpu_second: float = float("nan")
    private_mb: float = float("nan")
    cold_start_s: float = float("nan")
    roc_auc: float = float("nan")

    def quantile(self, candidates: int, q: float) -> float:
        """Of all answers at a size."""
        return float(np.quantile([ms for visit in self.visits[candidates] for ms in visit], q))

    def answers(self, candidates: int) -> int:
        """How many answers a quantile is of."""
        return sum(map(len, self.visits[candidates]))


def measure_peers(
    contestants: Sequence[Contestant],
    calls: Calls,
    pairs: Sequence[Pair],
    plan: PeerPlan,
    *,
    say: Say,
) -> list[Row]:
    """All contestants, in their order."""
    rows = [Row(one.name, cold_start_s=one.server.cold_start_s) for one in contestants]
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for row, contestant in zip(rows, contestants, strict=True):
            for candidates in SIZES:
                _visit(row, contestant, calls, candidates, plan)
    for row, contestant in zip(rows, contestants, strict=True):
        say(f"{row.name}: load and labelled pairs")
        _load(row, contestant, calls, plan)
        row.private_mb = contestant.server.private_mb()
        row.roc_auc = _auc(contestant, pairs)
    return rows


def ratio_to(base: Row, row: Row, candidates: int) -> Interval:
    """How many times longer a contestant's median answer takes, round by round."""
    pairs = zip(row.visits[candidates], base.visits[candidates], strict=True)
    return Interval.of([float(np.median(one) / np.median(other)) for one, other in pairs])


def labelled_auc(score: Callable[[Call], Sequence[float]], pairs: Sequence[Pair]) -> float:
    """ROC-AUC over labelled pairs, one call a query; NaN without pairs."""
    if not pairs:
        return float("nan")
    by_query: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_query.setdefault(pair.query, []).append(pair)
    good: list[bool] = []
    found: list[float] = []
    for query, some in by_query.items():
        found += score(Call(query, [pair.item_id for pair in some]))
        good += [bool(pair.good) for pair in some]
    return roc_auc(np.array(good), np.array(found))


def _auc(contestant: Contestant, pairs: Sequence[Pair]) -> float:
    with BareConnection(contestant.server.port, timeout_s=600.0) as connection:

        def score(call: Call) -> list[float]:
            reply = connection.post(*contestant.body(call))
            return contestant.scores(reply, len(call.item_ids))

        return labelled_auc(score, pairs)


def _visit(row: Row, contestant: Contestant, calls: Calls, candidates: int, plan: PeerPlan) -> None:
    milliseconds: list[float] = []
    with BareConnection(contestant.server.port, timeout_s=600.0) as connection:
        connection.post(*contestant.body(calls.new(WARM)))
        asked = [contestant.body(calls.new(candidates)) for _ in range(plan.requests)]
        cpu, stop = contestant.server.cpu_seconds(), time.perf_counter() + plan.visit_seconds
        for path, body in asked:
            milliseconds.append(_milliseconds(partial(connection.post, path, body)))
            if time.perf_counter() >= stop:
                break
        worked = contestant.server.cpu_seconds() - cpu
    row.visits.setdefault(candidates, []).append(milliseconds)
    row.cpu_ms.setdefault(candidates, []).append(worked * 1000 / len(milliseconds))


def _load(row: Row, contestant: Contestant, calls: Calls, plan: PeerPlan) -> None:
    """Several connections, each with one request at a time, until time is up; no query twice."""
    size, done, lock = SIZES[-1], 0, threading.Lock()
    expected = plan.load_seconds * 1000 / row.quantile(size, 0.5) * plan.connections
    count = min(max(int(expected), plan.connections), MOST_LOAD_REQUESTS)
    asked = iter([contestant.body(calls.new(size)) for _ in range(count)])
    started, cpu = time.perf_counter(), contestant.server.cpu_seconds()
    stop = started + plan.load_seconds

    def ask() -> None:
        nonlocal done
        with BareConnection(contestant.server.port, timeout_s=600.0) as connection:
            for request in asked:
                connection.post(*request)
                with lock:
                    done += 1
                if time.perf_counter() >= stop:
                    return

    threads = [threading.Thread(target=ask) for _ in range(plan.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row.pairs_per_second = done * size / (time.perf_counter() - started)
    row.pairs_per_cpu_second = done * size / (contestant.server.cpu_seconds() - cpu)


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def figures(rows: Sequence[Row]) -> list[Mapping[str, object]]:
    """Rows as JSON holds them."""
    return [
        {
            "name": row.name,
            "pairs_per_second": row.pairs_per_second,
            "pairs_per_cpu_second": row.pairs_per_cpu_second,
            "private_mb": row.private_mb,
            "cold_start_s": row.cold_start_s,
            "roc_auc": row.roc_auc,
            "milliseconds": {str(size): visits for size, visits in row.visits.items()},
            "cpu_milliseconds": {str(size): found for size, found in row.cpu_ms.items()},
        }
        for row in rows
    ]
