"""How long a shop's change takes until the service scores it, from one end to the other.

redis-server, `ellm refresh --watch` and `ellm serve` run as processes over a copy of a store, and
changes are told at a steady rate. Each gives an item another one's title. What its score must be
then is asked beforehand with the title sent along: inline and cached are the same bits. The service
is asked again and again until it says so, so a lag ends with the answer that shows it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from relevance.bundle import read_bundle
from relevance.domain import Item
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current
from service.client import RelevanceClient
from service.client_retry import Patience
from service.redis_tier.bench import own_server
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.keys import KeySpace
from service.store.generation_reader import open_generation
from service.wire import InlineItem

PATIENCE_S = 180.0
BETWEEN_LOOKS_S = 0.005
QUERY_WORDS = 3  # of a title: an ordinary query, which tells the titles of most items apart


@dataclass(frozen=True, slots=True)
class ScoreableFigures:
    """Seconds from just before a change is told to the answer that scores it.

    `look_ms` is the median time of one question, which every lag holds at least once.
    """

    changes: int
    rate: float
    workers: int
    watch_interval_s: float
    p50: float
    p99: float
    most: float
    look_ms: float


@dataclass(frozen=True, slots=True)
class Change:
    """An item's new title, and its score from then on."""

    item_id: str
    title: str
    score: float


def measure_scoreable(
    store: Path, *, changes: int, rate: float, workers: int, watch_interval_s: float
) -> ScoreableFigures:
    """Tell `changes` at `rate` a second and wait for each; the store itself is only read."""
    with tempfile.TemporaryDirectory(prefix="ellm-bench-") as scratch, own_server() as redis:
        root = Path(scratch) / "store"
        shutil.copytree(store, root)
        settings = {"workers": workers, "watch_interval": watch_interval_s}
        patience = Patience(timeout_s=PATIENCE_S)  # a busy machine makes lags, and no faults
        with (
            _service(root, settings) as url,
            _watcher(root, redis),
            RelevanceClient(url, patience=patience) as client,
        ):
            door = RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{redis}"))
            query, told = _changes(root, client, changes + 1)
            first, rest = told[:1], told[1:]
            _lags(client, door, query, first, rate=rate)  # everything is warm from then on
            lags, looks = _lags(client, door, query, rest, rate=rate)
    return ScoreableFigures(
        changes=len(rest),
        rate=rate,
        workers=workers,
        watch_interval_s=watch_interval_s,
        p50=float(np.quantile(lags, 0.5)),
        p99=float(np.quantile(lags, 0.99)),
        most=max(lags),
        look_ms=1000 * float(np.median(looks)),
    )


def _changes(root: Path, client: RelevanceClient, wanted: int) -> tuple[str, list[Change]]:
    """A query, and items with titles of others that change their scores for it."""
    items = _some_items(root, 2 * wanted)
    query = " ".join(items[0].title.split()[:QUERY_WORDS])
    titles = [item.title for item in (*items[1:], items[0])]
    before = _scores(client, query, [item.item_id for item in items])
    inline = [
        InlineItem(id=item.item_id, title=title) for item, title in zip(items, titles, strict=True)
    ]
    after = {row.id: row.score for row in client.score(query, items=inline).results}
    found = [
        Change(item.item_id, title, score)
        for item, title in zip(items, titles, strict=True)
        if (score := after[item.item_id]) is not None and score != before[item.item_id]
    ]
    if len(found) < wanted:
        raise Unavailable(f"{root}: expected {wanted} items to change, found {len(found)}")
    return query, found[:wanted]


def _some_items(root: Path, count: int) -> list[Item]:
    paths = StorePaths(root)
    current = read_current(paths)
    bundle = read_bundle(paths.bundle(current.bundle))
    generation = open_generation(paths.generation(current.generation), bundle)
    rows = np.random.default_rng(0).permutation(generation.live_rows())[:count]
    return generation.items(rows.tolist())


def _scores(
    client: RelevanceClient, query: str, item_ids: Sequence[str]
) -> dict[str, float | None]:
    return {row.id: row.score for row in client.score(query, item_ids).results}


def _lags(
    client: RelevanceClient, door: RedisDoor, query: str, changes: Sequence[Change], *, rate: float
) -> tuple[list[float], list[float]]:
    """Seconds from telling each change to its score, and the seconds each look took."""
    told: dict[str, float] = {}
    expected = {change.item_id: change.score for change in changes}
    teller = threading.Thread(target=_tell, args=(door, changes, rate, told), daemon=True)
    teller.start()
    lags: list[float] = []
    looks: list[float] = []
    deadline = time.monotonic() + len(changes) / rate + PATIENCE_S
    while expected:
        began = time.monotonic()
        scores = _scores(client, query, list(expected))
        now = time.monotonic()
        looks.append(now - began)
        for item_id in [i for i, score in scores.items() if score == expected[i]]:
            lags.append(now - told[item_id])
            del expected[item_id]
        if now > deadline:
            raise Unavailable(f"{len(expected)} changes were not scored in {PATIENCE_S:.0f} s")
        time.sleep(BETWEEN_LOOKS_S)
    teller.join()
    return lags, looks


def _tell(door: RedisDoor, changes: Sequence[Change], rate: float, told: dict[str, float]) -> None:
    began = time.monotonic()
    for number, change in enumerate(changes):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        item = json.dumps({"item_id": change.item_id, "title": change.title})
        told[change.item_id] = time.monotonic()
        door.append(KeySpace().catalogue, [{"item": item}], keep=1_000_000)


@contextmanager
def _service(root: Path, settings: dict[str, float]) -> Iterator[str]:
    """A ready service over the store; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    told = {"store": root, "port": port, "log_requests": "none", "drain_delay": 0, **settings}
    environment = {f"ELLM_{name.upper()}": str(value) for name, value in told.items()}
    with _running(["serve"], root.parent / "service.log", environment) as process:
        _wait_until_ready(f"http://127.0.0.1:{port}", process, root.parent / "service.log")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _watcher(root: Path, redis: int) -> Iterator[None]:
    words = ["refresh", "--watch", "--store", str(root), "--redis", f"redis://127.0.0.1:{redis}"]
    log = root.parent / "watcher.log"
    with _running(words, log, {}):
        try:
            yield
        except Unavailable as fault:
            raise Unavailable(f"{fault}\nthe watcher: {log.read_text()[-1000:]}") from fault


@contextmanager
def _running(
    words: Sequence[str], log: Path, environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """A command of `ellm`, ended with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "relevance", *words],
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise Unavailable(f"the service did not become ready: {log.read_text()[-1000:]}")
