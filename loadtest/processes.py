"""Servers under test: started on a free port, awaited, their CPU time read, stopped."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from relevance.errors import Unavailable

PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Server:
    """One server: where it listens, and its process."""

    name: str
    port: int
    process_id: int

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, threads that ended included, to the nanosecond.

        Linux: the clock id is what clock_getcpuclockid(3) makes of a process id.
        """
        return time.clock_gettime((~self.process_id << 3) | 2)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str],
) -> Iterator[Server]:
    """A server that says it is ready; stopped when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command), env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _await_ready(name, process, port, log)
            yield Server(name, port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Answering:
    """A process that answers a JSON line with a JSON line; a context manager."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *fault: object) -> None:
        self._process.communicate()

    def ask(self, question: Mapping[str, object]) -> Any:
        """The answer to a question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise Unavailable("the process that measures the parts ended early")
        return json.loads(answer)


def _await_ready(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1.0).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise Unavailable(f"{name}: not ready within {PATIENCE_S:.0f} s\n{tail}")
