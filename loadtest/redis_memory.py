"""What an item costs in Redis: a store loaded into a redis-server of this run alone."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.own_service import ellm
from loadtest.processes import free_port
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current, read_manifest

PATIENCE_S = 180.0


def redis_item_bytes(store: Path, scratch: Path) -> float | None:
    """Bytes of memory for each item, keys and Redis's own overhead included; None without Redis."""
    if shutil.which("redis-server") is None:
        return None
    paths = StorePaths(store)
    items = read_manifest(paths.generation(read_current(paths).generation)).items
    with own_redis(scratch) as port:
        empty = used_memory(port)
        load_store(store, port)
        return (used_memory(port) - empty) / items


@contextmanager
def own_redis(scratch: Path) -> Iterator[int]:
    """A redis-server without persistence; yields its port."""
    port = free_port()
    words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command = ["redis-server", *map(str, words), "--dir", str(scratch)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def load_store(store: Path, port: int) -> None:
    """Load the current generation, and make its bundle the one Redis names."""
    ellm("redis", "load", "--store", store, "--live", "--redis", f"redis://127.0.0.1:{port}")


def used_memory(port: int) -> float:
    """Bytes, as Redis's INFO says."""
    for line in _asked(port, b"INFO memory\r\n").splitlines():
        if line.startswith("used_memory:"):
            return float(line.partition(":")[2])
    raise Unavailable("redis-server: INFO without used_memory")


def _await(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if _asked(port, b"PING\r\n").startswith("+PONG"):
                return
        except OSError:
            time.sleep(0.05)
    raise Unavailable(f"redis-server: not ready within {PATIENCE_S:.0f} s")


def _asked(port: int, words: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), 5.0) as connection:
        connection.sendall(words)
        return connection.recv(1 << 16).decode()
