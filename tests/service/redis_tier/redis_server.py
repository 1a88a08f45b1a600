"""Real redis-server processes on free ports, for tests marked `network`."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXECUTABLE = "redis-server"
PATIENCE_S = 180.0  # a shared machine may stand still


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_node_port() -> int:
    """A free port whose bus port, 10,000 above, is one too: below what systems hand out."""
    for port in range(21_000, 22_000):
        with socket.socket() as probe, socket.socket() as bus:
            if probe.connect_ex(("127.0.0.1", port)) and bus.connect_ex(
                ("127.0.0.1", port + 10_000)
            ):
                return port
    raise AssertionError("no free port for a node of a cluster")


@contextmanager
def redis_server(folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    port = port or free_port()
    assert shutil.which(EXECUTABLE), "redis-server is in deploy/test-packages.txt"
    command = [EXECUTABLE, "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(
        [*command, "--dir", str(folder), "--bind", "127.0.0.1", *options],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield port
    finally:
        server.kill()
        server.wait()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")
