"""The drill's processes: Redis, two replicas, HAProxy, a witness; started, probed, killed.

All listen on loopback. The witness is a replica nobody loads and that knows no Redis: what it
answers is right by definition. What is done to them is `__main__.py`'s.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds; a shared machine may stand still
BALANCER = Path(__file__).parents[1] / "haproxy/haproxy.cfg"
ELLM = (sys.executable, "-m", "relevance")


class NotSo(Exception):
    """What was waited for did not come true."""


@dataclass
class Cluster:
    """The processes by name; `port` numbers are taken from `first` on."""

    folder: Path
    first: int
    arena_max_bytes: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    NAMES = ("redis", "a", "b", "balancer", "statistics", "witness", "newcomer")

    def port(self, name: str) -> int:
        """Where a process listens."""
        return self.first + self.NAMES.index(name)

    @property
    def store(self) -> Path:
        """The store that both replicas and the witness serve."""
        return self.folder / "store"

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return f"redis://{HOST}:{self.port('redis')}/0"

    def start_redis(self) -> None:
        """An empty Redis that keeps nothing on disk."""
        words = ("--port", str(self.port("redis")), "--save", "", "--appendonly", "no")
        self._start("redis", ["redis-server", "--bind", HOST, *words])
        eventually(lambda: self._redis_answers(), "Redis answers")

    def start_balancer(self) -> None:
        """HAProxy with the configuration that compose.yaml mounts."""
        told = {
            "RELEVANCE_A": f"{HOST}:{self.port('a')}",
            "RELEVANCE_B": f"{HOST}:{self.port('b')}",
            "LISTEN": f"{HOST}:{self.port('balancer')}",
            "STATS": f"{HOST}:{self.port('statistics')}",
        }
        self._start("balancer", ["haproxy", "-db", "-f", str(BALANCER)], told)
        eventually(lambda: self.get("balancer", "/readyz")["ready"], "the balancer has a replica")

    def start_replica(self, name: str) -> None:
        """A replica whose rows come from Redis, behind which the store lies."""
        redis = ("--redis-url", self.redis_url, "--arena-max-bytes", str(self.arena_max_bytes))
        self.start_service(name, self.store, *redis)

    def start_service(self, name: str, store: Path, *words: str) -> None:
        """`ellm serve`, awaited until it is ready."""
        calm = ("--drain-delay", "2", "--max-wait-ms", "20000", "--log-requests", "errors")
        place = ("--port", str(self.port(name)), "--store", str(store))
        self._start(name, [*ELLM, "serve", *place, *calm, *words])
        eventually(lambda: self.get(name, "/readyz")["ready"], f"{name} is ready")

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(PATIENCE)

    def run(self, *words: str) -> None:
        """One of our commands, to its end; raises `NotSo` with its output where it fails."""
        done = subprocess.run([*ELLM, *words], capture_output=True, text=True)
        if done.returncode:
            raise NotSo(f"ellm {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")

    def get(self, name: str, path: str) -> Any:
        """A JSON reply, whatever its status."""
        request = urllib.request.Request(f"http://{HOST}:{self.port(name)}{path}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refused:
            return json.load(refused)

    def ask(self, name: str, body: bytes) -> dict[str, Any]:
        """A process's own answer to a request."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.port(name)}/score",
            data=body,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return dict(json.load(reply))

    def is_balanced(self, name: str) -> bool:
        """Whether the balancer's probes have found a replica to be ready."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port('statistics')}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        up = f'haproxy_server_status{{proxy="replicas",server="{name}",state="UP"}} 1'
        return up in lines

    def _redis_answers(self) -> bool:
        words = ["redis-cli", "-p", str(self.port("redis")), "ping"]
        return subprocess.run(words, capture_output=True).stdout == b"PONG\n"

    def _start(self, name: str, words: Sequence[str], told: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, stdout=log, stderr=log, env=os.environ | (told or {})
            )


@contextmanager
def cluster(folder: Path, *, first_port: int, arena_max_bytes: int) -> Iterator[Cluster]:
    """An empty cluster; whatever runs at the end is killed."""
    made = Cluster(folder, first_port, arena_max_bytes)
    try:
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()


def eventually(check: Callable[[], object], what: str) -> None:
    """Wait until `check` is true; it may fail meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except (OSError, ValueError, KeyError):
            pass  # not up yet, or just closing
        time.sleep(0.05)
    raise NotSo(f"{PATIENCE:.0f} s passed and never: {what}")
