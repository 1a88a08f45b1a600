"""`ellm serve` as a real process over a store of its own, and load on it while things happen."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from loadtest.open_loop import HEADERS, Answer, Target, drive
from relevance.generation import Current, StorePaths, switch_current

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds; a shared machine may stand still, and nothing here measures it
UNHURRIED = {"drain_delay": "0.2", "max_wait_ms": "60000"}  # neighbours may take all cores
MOST = 100_000  # requests of one load; blocks end long before
QUERIES = ("red water bottle", "oak desk", "blue cotton shoe", "steel lamp")
ITEM_IDS = ("B001", "B002", "B003", "B004", "lamp-1", "lamp-7", "nobody")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], object], *, lacking: Callable[[], object] = str) -> None:
    """Wait until something is true; where it never is, say what is lacking."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except httpx.HTTPError:
            pass  # not up yet, or just closing
        time.sleep(0.02)
    pytest.fail(f"it never came true {lacking()}")


@dataclass
class LiveService:
    """A running service; `get` opens a connection each time, so any worker may answer."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{HOST}:{self.port}{path}", timeout=PATIENCE)

    def post(self, path: str, body: dict | None = None, *, key: str = "") -> httpx.Response:
        url, headers = f"http://{HOST}:{self.port}{path}", {"x-api-key": key} if key else {}
        return httpx.post(url, json=body or {}, headers=headers, timeout=PATIENCE)

    def workers(self) -> list[dict]:
        return self.get("/admin/workers").json()["workers"]

    def metrics(self) -> dict[str, float]:
        lines = self.get("/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def wait_ready(self, *, workers: int) -> None:
        def are_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return sum(worker["ready"] for worker in self.workers()) == workers

        eventually(are_ready)


@contextmanager
def live_service(store: Path, log: Path, *, workers: int, **settings: str) -> Iterator[LiveService]:
    port = free_port()
    words = ["serve", "--store", str(store), "--port", str(port), "--workers", str(workers)]
    for name, value in {**UNHURRIED, **settings}.items():
        words += [f"--{name.replace('_', '-')}", value]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "relevance", *words], cwd=ROOT, stderr=output, env=os.environ
        )
        service = LiveService(process, port, log)
        try:
            service.wait_ready(workers=workers)
            yield service
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class Expected:
    """What each generation answers to each query, bit for bit: asked while nothing else happens."""

    replies: dict[tuple[str, str], dict] = field(default_factory=dict)

    def learn(self, service: LiveService, generation: str) -> None:
        for query in QUERIES:
            reply = service.post("/score", body_of(query)).json()
            assert reply["generation"] == generation
            self.replies[generation, query] = reply

    def is_right(self, number: int, answer: Answer) -> bool:
        reply = json.loads(answer.body)
        expected = self.replies[reply["generation"], QUERIES[number % len(QUERIES)]]
        return bool(reply == expected)


def body_of(query: str) -> dict:
    return {"query": query, "item_ids": list(ITEM_IDS)}


def switch(store: StorePaths, current: Current, service: LiveService) -> None:
    """Make a generation current and wait until every worker answers from it."""
    switch_current(store, current)
    eventually(lambda: {w["generation"] for w in service.workers()} == {current.generation})


@contextmanager
def load(
    service: LiveService, *, per_second: float, lanes: int = 8, key: str = ""
) -> Iterator[list[Answer]]:
    """Requests at a steady rate while the block runs; the answers are there afterwards."""
    bodies: Sequence[bytes] = [json.dumps(body_of(query)).encode() for query in QUERIES]
    answers: list[Answer] = []
    end = threading.Event()

    def run() -> None:
        answers.extend(
            drive(
                Target(HOST, service.port, headers={**HEADERS, "x-api-key": key}),
                [bodies[number % len(bodies)] for number in range(MOST)],
                per_second=per_second,
                lanes=lanes,
                stopped=end.is_set,
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        end.set()
        thread.join()
