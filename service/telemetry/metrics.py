"""Prometheus metrics that stay right over several workers, restarts of one included.

prometheus-client's multiprocess mode keeps each process's counters in a mapped file; a scrape adds
up all files, dead processes' too, so nothing ever decreases. Labels come from closed lists: no
query, item or client shows here.
"""

import os
import time
from collections import Counter as Counted
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.fair_queue import FairQueue
from service.run_folder import RunFolder, WorkerState
from service.telemetry.observed import Observed, current
from service.work import Work

NAMESPACE = "relevance"
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus-client when it is imported
# Each bound is about 1.8 times the one before: a median between two is known to a factor of 1.8.
SECONDS = (
    *(0.0001, 0.00018, 0.00032, 0.00056, 0.001, 0.0018, 0.0032, 0.0056, 0.01, 0.018),
    *(0.032, 0.056, 0.1, 0.18, 0.32, 0.56, 1.0, 3.2, 10.0),
)
SCORES = tuple(tenth / 10 for tenth in range(1, 11))
Taken = TypeVar("Taken")
TRIES = 5  # a worker that just starts has made its file and not yet written to it


class Metrics:
    """Every metric of one worker; `record` takes what routes measured (a `Telemetry`)."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._registry = registry = CollectorRegistry()
        counter = partial(Counter, namespace=NAMESPACE, registry=registry)
        histogram = partial(Histogram, namespace=NAMESPACE, registry=registry)
        gauge = partial(Gauge, namespace=NAMESPACE, registry=registry, multiprocess_mode="livesum")
        self._requests = counter("requests_total", "Requests answered.", ["route", "status"])
        self._seconds = histogram(
            "request_seconds", "From the first byte to the last.", ["route"], buckets=SECONDS
        )
        self._stages = histogram(
            "stage_seconds", "Time per stage of a request.", ["stage"], buckets=SECONDS
        )
        self._refused = counter("refused_total", "Requests turned away before any work.", ["code"])
        self._cache = counter("query_cache_total", "Queries looked up in the cache.", ["outcome"])
        self._candidates = counter(
            "candidates_total", "Candidates by what became of them.", ["status"]
        )
        self._degraded = counter(
            "degraded_total", "Answers slower, older or poorer than they should be.", ["reason"]
        )
        self._teacher = counter("teacher_total", "Explanations by the teacher's state.", ["state"])
        self._asked = counter(
            "teacher_asked_total", "Teachers asked, by what came of it.", ["teacher", "state"]
        )
        self._scores = histogram(
            "score", "Scores given; a shape that moves is drift.", buckets=SCORES
        )
        self._updates = counter("updates_total", "Changes of CURRENT by outcome.", ["outcome"])
        self._delta_lag = histogram(
            "delta_visible_seconds",
            "From a change's delta on disk until it could be scored.",
            buckets=SECONDS,
        )
        self._lost_lines = counter("log_lines_lost_total", "Log lines nobody took in time.")
        self._in_flight = gauge("in_flight", "Requests being answered.")
        self._depth = gauge("queue_depth", "Requests waiting for a place.", ["queue"])
        self._running = gauge("queue_running", "Requests holding a place.", ["queue"])
        self._answered: dict[tuple[str, int], Counter] = {}
        self._works: deque[Work] = deque()
        self._ended: deque[Observed] = deque()
        self._lost_lines_told = 0
        self._updates_told = Counted[str]()
        self._under_way = 0

    @property
    def registry(self) -> CollectorRegistry:
        """Where further metrics of this worker are registered."""
        return self._registry

    def record(self, route: str, work: Work) -> None:
        """Take what one answered request took; counted at the next `flush`."""
        observed = current.get()
        if observed is not None:
            observed.work = work
        self._works.append(work)

    def begun(self) -> None:
        """A request has come."""
        self._under_way += 1

    def ended(self) -> None:
        """A request has gone, answered or not."""
        self._under_way -= 1

    def answering(self, observed: Observed) -> None:
        """A reply is about to be sent: counted at once, so none is answered and not counted."""
        key = (observed.route, observed.status)
        counter = self._answered.get(key)
        if counter is None:
            counter = self._answered[key] = self._requests.labels(*key)
        counter.inc()

    def answered(self, observed: Observed) -> None:
        """A reply's last byte is about to be sent; its time is counted at the next `flush`."""
        self._ended.append(observed)

    def updated(self, *, followed: int, refused: int) -> None:
        """How often CURRENT has been followed and refused until now."""
        for outcome, total in (("followed", followed), ("refused", refused)):
            self._updates.labels(outcome).inc(total - self._updates_told[outcome])
            self._updates_told[outcome] = total

    def became_visible(self, lags: list[float]) -> None:
        """How long changes waited for this worker; empties the list."""
        if lags:
            observe_many(self._delta_lag, np.array(lags))
            lags.clear()

    def lost_lines(self, total: int) -> None:
        """How many log lines have been dropped until now."""
        self._lost_lines.inc(total - self._lost_lines_told)
        self._lost_lines_told = total

    def flush(self) -> None:
        """Count what waits for it, many requests in one go: some 100 µs spared on each of them.

        A killed worker takes the details of its last moments with it, but no answered request.
        """
        works, ended = _taken(self._works), _taken(self._ended)
        self._in_flight.set(self._under_way)
        _observe_by(self._stages, _stage_seconds(works, ended))
        _observe_by(self._seconds, _grouped((one.route, one.seconds) for one in ended))
        _count(self._refused, Counted(one.refused for one in ended if one.refused is not None))
        _count(self._candidates, _added(work.statuses for work in works))
        _count(self._degraded, Counted(reason for work in works for reason in work.degraded))
        _count(self._teacher, Counted(work.teacher for work in works if work.teacher is not None))
        for named, times in _added(work.asked for work in works).items():
            self._asked.labels(*named.split()).inc(times)
        hits, misses = (sum(work.cache_hits for work in works), sum(w.cache_misses for w in works))
        _count(self._cache, {"hit": hits, "miss": misses})
        scores = [part for work in works for part in work.scores]
        if scores:
            observe_many(self._scores, np.concatenate(scores))

    def watch_queue(self, name: str, queue: FairQueue) -> None:
        """Show a queue as it stands."""
        self._depth.labels(name).set(queue.depth)
        self._running.labels(name).set(queue.running)

    def text(self) -> bytes:
        """All workers' metrics as Prometheus reads them; belongs in a thread."""
        registry = CollectorRegistry()
        registry.register(_Workers(self._run.states()))
        if MULTIPROCESS_VARIABLE in os.environ:
            MultiProcessCollector(registry, str(self._run.counters))  # type: ignore[no-untyped-call]
            return _patiently(registry)
        return generate_latest(registry) + generate_latest(self._registry)


class _Workers(Collector):
    """What the living workers say of themselves at this moment."""

    def __init__(self, states: Iterable[WorkerState]) -> None:
        self._states = tuple(states)

    def collect(self) -> Iterator[Metric]:
        """One family for each thing known."""
        yield _by_label(
            "workers", "Living workers.", "phase", [state.phase for state in self._states]
        )
        yield _by_label(
            "workers_by_generation",
            "Living workers by what they answer from.",
            "generation",
            [state.generation for state in self._states],
        )
        yield _by_label(
            "degraded_workers",
            "Living workers that are slower, older or poorer than they should be.",
            "reason",
            [reason for state in self._states for reason in state.degraded],
        )
        ready = sum(state.ready for state in self._states)
        yield _gauge("ready_workers", "Workers that want traffic.", ready)
        refused = sum(state.refused is not None for state in self._states)
        yield _gauge("workers_refusing_update", "Workers that stayed on an old pair.", refused)
        created = [state.created for state in self._states if state.created is not None]
        if created:
            age = time.time() - min(created)
            yield _gauge("generation_age_seconds", "Age of the oldest one answering.", age)
        if self._states:
            least = min(state.sequence for state in self._states)
            yield _gauge("sequence", "Changes on top of the generation, the least of all.", least)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", help_text, value=value)


def _by_label(name: str, help_text: str, label: str, values: list[str]) -> Metric:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", help_text, labels=[label])
    for value in sorted(set(values)):
        family.add_metric([value], values.count(value))
    return family


def _added(several: Iterable[Mapping[str, int]]) -> Counted[str]:
    """Their sum; adding counters up by `+` makes a new one each time."""
    total = Counted[str]()
    for one in several:
        for label, amount in one.items():
            total[label] += amount
    return total


def _count(counter: Counter, amounts: Mapping[str, int]) -> None:
    for label, amount in amounts.items():
        if amount:
            counter.labels(label).inc(amount)


def _taken(waiting: deque[Taken]) -> list[Taken]:
    """What lay in a queue at this moment; other threads may go on adding."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _stage_seconds(works: list[Work], ended: list[Observed]) -> dict[str, list[float]]:
    named = [(str(stage), taken) for work in works for stage, taken in work.seconds.items()]
    return _grouped([*named, *(("queue", one.waited) for one in ended if one.work is not None)])


def _grouped(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    grouped: dict[str, list[float]] = defaultdict(list)
    for name, value in pairs:
        grouped[name].append(value)
    return grouped


def _observe_by(histogram: Histogram, values: Mapping[str, list[float]]) -> None:
    for label, measured in values.items():
        observe_many(histogram.labels(label), np.array(measured))


def observe_many(histogram: Histogram, values: np.ndarray) -> None:
    """As `observe` for each value, with one addition a bucket; a test holds it to `observe`."""
    bounds = histogram._upper_bounds  # prometheus-client counts one value at a time
    # A comparison a bound: of a hundred thousand scores, a tenth of what searching them costs.
    up_to = [np.count_nonzero(values <= bound) for bound in bounds]
    counts = np.diff(up_to, prepend=0)
    histogram._sum.inc(float(values.sum()))
    for bucket, count in zip(histogram._buckets, counts.tolist(), strict=True):
        if count:
            bucket.inc(count)


def _patiently(registry: CollectorRegistry) -> bytes:
    for _ in range(TRIES - 1):
        try:
            return generate_latest(registry)
        except Exception:  # struct.error, ValueError or RuntimeError of a file half made
            time.sleep(0.02)
    return generate_latest(registry)
