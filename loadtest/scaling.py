"""What a request costs as one thing grows: points that are measured once and kept.

Each point is a line of `points.jsonl`, written when it is known: a run that was cut short goes on
after its last point. How points are drawn is `scaling_page.py`'s.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loadtest.bare_client import BareConnection
from loadtest.machine import watching
from loadtest.open_loop import Request
from loadtest.own_service import own_service
from loadtest.processes import Answering, Server
from loadtest.traffic import Traffic, only_score, requests
from relevance.atomic import write_text
from relevance.errors import BadInput

ENGINE_ITEMS, CANDIDATES, QUERY_TOKENS, ROWS = 300_000, 1000, 16, 32
ROOMY = {"max_queue": "1024", "max_wait_ms": "60000"}  # 256 connections are to wait, not to go
CLOSED_SECONDS = 4.0
JOURNAL = "points.jsonl"
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point: milliseconds a run or request (quantiles), and how many a second.

    Figures of other series may be NaN: an engine's run has no requests a second.
    """

    series: str
    x: float
    p10: float
    p50: float
    p99: float
    per_second: float
    machine_cpu: float
    server_cpu: float


@dataclass(frozen=True, slots=True)
class World:
    """What is measured: the store's bundle alone, and the service over the store."""

    store: Path
    bundle: Path
    traffic: Traffic
    scratch: Path


Measure = Callable[[World, Answering, int], Point]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: where it is measured, and how."""

    name: str
    xs: Sequence[int]
    measure: Measure


def scored(name: str, *, grows: str) -> Measure:
    """Points of the engine's scoring in which one number grows and the others stay."""

    def measure(world: World, engine: Answering, x: int) -> Point:
        usual = {
            "candidates": CANDIDATES,
            "items": ENGINE_ITEMS,
            "query_tokens": QUERY_TOKENS,
            "rows": ROWS,
        }
        asked = usual | {grows: x}
        repeats = int(np.clip(300_000 / asked["candidates"], 8, 300))
        with watching() as busy:
            seconds = engine.ask({"score": asked, "repeats": repeats})
        return _point(name, x, seconds, machine_cpu=busy.machine)

    return measure


def encoded(name: str) -> Measure:
    """Points of encoding one text."""

    def measure(world: World, engine: Answering, x: int) -> Point:
        with watching() as busy:
            seconds = engine.ask({"encode": x, "repeats": 150})
        return _point(name, x, seconds, machine_cpu=busy.machine)

    return measure


def asked_alone(name: str) -> Measure:
    """Points of one request at a time over HTTP, by candidates."""

    def measure(world: World, engine: Answering, x: int) -> Point:
        with own_service(world.store, world.scratch) as server:
            return closed_loop(name, x, server, _stream(world, x), connections=1)

    return measure


def crowded(name: str, *, candidates: int = 100) -> Measure:
    """Points of a closed loop with so many connections at once."""

    def measure(world: World, engine: Answering, x: int) -> Point:
        with own_service(world.store, world.scratch, settings=ROOMY) as server:
            return closed_loop(name, x, server, _stream(world, candidates), connections=x)

    return measure


def staffed(name: str, *, candidates: int = 100, connections: int = 16) -> Measure:
    """Points of a closed loop against so many worker processes."""

    def measure(world: World, engine: Answering, x: int) -> Point:
        settings = {**ROOMY, "workers": str(x)}
        with own_service(world.store, world.scratch, settings=settings) as server:
            stream = _stream(world, candidates)
            return closed_loop(name, x, server, stream, connections=connections)

    return measure


ALL = (
    Series(
        "engine: candidates",
        (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000),
        scored("engine: candidates", grows="candidates"),
    ),
    Series(
        "HTTP: candidates", (10, 30, 100, 300, 1000, 3000, 5000), asked_alone("HTTP: candidates")
    ),
    Series(
        "engine: catalogue",
        (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
        scored("engine: catalogue", grows="items"),
    ),
    Series("encoder: tokens", (1, 2, 4, 8, 16, 32, 64), encoded("encoder: tokens")),
    Series(
        "engine: query tokens",
        (1, 2, 4, 8, 16, 32, 64),
        scored("engine: query tokens", grows="query_tokens"),
    ),
    Series("engine: item tokens", (4, 8, 16, 32, 64), scored("engine: item tokens", grows="rows")),
    Series("concurrency", (1, 2, 4, 8, 16, 32, 64, 128, 256), crowded("concurrency")),
    Series("workers", (1, 2, 3, 4), staffed("workers")),
)


class Journal:
    """Points that are known, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._points = {(point.series, point.x): point for point in read_points(path)}

    def __contains__(self, key: tuple[str, float]) -> bool:
        return key in self._points

    def keep(self, point: Point) -> None:
        """Add a point, on disk at once."""
        self._points[point.series, point.x] = point
        lines = [json.dumps(asdict(one)) for one in self._points.values()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self._path, "\n".join(lines) + "\n")

    def points(self) -> list[Point]:
        """All of them, by series and place."""
        return sorted(self._points.values(), key=lambda one: (one.series, one.x))


def read_points(path: Path) -> list[Point]:
    """The points of a journal; none where there is no file."""
    if not path.exists():
        return []
    points = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            points.append(Point(**json.loads(line)))
        except (ValueError, TypeError) as fault:
            raise BadInput(f"{path}: line {number}: expected a measured point: {fault}") from fault
    return points


def measure_missing(world: World, chosen: Sequence[Series], journal: Journal, *, say: Say) -> None:
    """Measure and keep each point that the journal does not know."""
    engine = [sys.executable, "-m", "service.benchmark.engine", str(world.bundle)]
    with Answering(engine) as answering:
        for series in chosen:
            for x in series.xs:
                if (series.name, x) in journal:
                    continue
                point = series.measure(world, answering, x)
                journal.keep(point)
                say(f"{series.name:<22} {x:>9,}  p50 {point.p50:10.3f} ms")


def closed_loop(
    name: str, x: float, server: Server, stream: Iterator[Request], *, connections: int
) -> Point:
    """So many connections, each with one request at a time, for some seconds; no query twice."""
    made = [next(stream) for _ in range(50 + connections)]  # the first wake the server
    lock, seconds = threading.Lock(), list[float]()
    with BareConnection(server.port) as connection:
        for request in made[:20]:
            connection.post(request.path, request.body)
    made = made[20:] + [next(stream) for _ in range(int(CLOSED_SECONDS * 600))]
    waiting, stop = iter(made), time.perf_counter() + CLOSED_SECONDS

    def ask() -> None:
        with BareConnection(server.port) as connection:
            while time.perf_counter() < stop:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                started = time.perf_counter()
                connection.post(request.path, request.body)
                seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    cpu = server.cpu_seconds()
    with watching() as busy:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _point(
        name,
        x,
        seconds,
        per_second=len(seconds) / busy.seconds,
        machine_cpu=busy.machine,
        server_cpu=(server.cpu_seconds() - cpu) / busy.seconds,
    )


def _stream(world: World, candidates: int) -> Iterator[Request]:
    return requests(world.traffic, only_score(candidates), seed=candidates)


def _point(
    name: str,
    x: float,
    seconds: Sequence[float],
    *,
    machine_cpu: float,
    per_second: float = float("nan"),
    server_cpu: float = float("nan"),
) -> Point:
    p10, p50, p99 = (np.quantile(seconds, (0.1, 0.5, 0.99)) * 1000).tolist()
    return Point(name, x, p10, p50, p99, per_second, machine_cpu, server_cpu)
