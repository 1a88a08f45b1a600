"""How long a shop's change takes to a delta here, and to one on a replica, on a server of its own.

A watcher and a replica follow in threads of this process, each with a copy of the store.
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.bundle import read_bundle
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current
from service.redis_tier.bench import own_server
from service.redis_tier.changes import START
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.keys import KeySpace
from service.redis_tier.replica import open_replica
from service.redis_tier.tier import RedisTier, shape_of
from service.redis_tier.watch import Watcher
from service.refresh.encode import open_codec
from service.store.generation_reader import open_generation

PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class LagFigures:
    """Seconds from a change's entry in the shop's stream until its delta was on disk, and from
    its announcement until the replica's was (at most: of a step's entries the oldest counts)."""

    changes: int
    rate: float
    delta_p50: float
    delta_p99: float
    delta_most: float
    replica_p50: float
    replica_p99: float
    replica_most: float


def measure_lag(store: Path, *, changes: int, rate: float) -> LagFigures:
    """Tell changes of the store's items at a steady rate, and watch when they arrive."""
    with tempfile.TemporaryDirectory() as folder, own_server() as port:
        roots = [Path(folder) / name for name in ("watched", "replica")]
        for root in roots:
            shutil.copytree(store, root)
        url = RedisSettings(f"redis://127.0.0.1:{port}")
        paths = StorePaths(roots[0])
        current = read_current(paths)
        bundle = read_bundle(paths.bundle(current.bundle))
        titles = _titles(paths, changes)
        watched = Watcher(
            RedisTier(RedisDoor.open(url), shape_of(bundle)),
            paths,
            open_codec(paths.bundle(bundle.bundle_id), bundle),
        )
        replica = open_replica(RedisTier(RedisDoor.open(url), shape_of(bundle)), roots[1], bundle)
        replica.follow_from(START)
        seconds: list[float] = []

        def replicate() -> None:
            step = replica.step(wait_ms=200)
            seconds.extend([step.lag_s] * step.entries)

        done = threading.Event()
        threads = [
            threading.Thread(target=_until, args=(done, work), daemon=True)
            for work in (lambda: watched.step(wait_ms=200), replicate)
        ]
        for thread in threads:
            thread.start()
        _tell(RedisDoor.open(url), titles, rate)
        _wait(lambda: len(watched.lags) >= changes and len(seconds) >= changes)
        done.set()
        for thread in threads:
            thread.join()
        return LagFigures(
            changes=changes,
            rate=rate,
            delta_p50=watched.lags.quantile(0.5),
            delta_p99=watched.lags.quantile(0.99),
            delta_most=watched.lags.quantile(1.0),
            replica_p50=float(np.quantile(seconds, 0.5)),
            replica_p99=float(np.quantile(seconds, 0.99)),
            replica_most=max(seconds),
        )


def _titles(paths: StorePaths, changes: int) -> dict[str, str]:
    """Items of the store with a changed title each, of about the usual length."""
    current = read_current(paths)
    bundle = read_bundle(paths.bundle(current.bundle))
    generation = open_generation(paths.generation(current.generation), bundle)
    rows = np.random.default_rng(0).permutation(generation.live_rows())[:changes]
    return {item.item_id: f"{item.title} new" for item in generation.items(rows.tolist())}


def _tell(door: RedisDoor, titles: dict[str, str], rate: float) -> None:
    began = time.monotonic()
    for number, (item_id, title) in enumerate(titles.items()):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        item = json.dumps({"item_id": item_id, "title": title})
        door.append(KeySpace().catalogue, [{"item": item}], keep=1_000_000)


def _until(done: threading.Event, work: Callable[[], object]) -> None:
    while not done.is_set():
        work()


def _wait(is_over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_over():
        if time.monotonic() > deadline:
            raise Unavailable(f"changes did not arrive within {PATIENCE_S:.0f} s")
        time.sleep(0.05)
