"""Servers under test: started on a free port, awaited, their CPU and memory read, stopped.

CPU times and memory are of the process and of all it started: servers' workers are its children.
Linux only.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from relevance.errors import Unavailable

PATIENCE_S = 180.0  # a peer that tries its settings out on a busy machine takes a while


@dataclass(frozen=True, slots=True)
class Server:
    """One server: where it listens, its process, and how long it took to be ready."""

    name: str
    port: int
    process_id: int
    cold_start_s: float = 0.0

    def cpu_seconds(self) -> float:
        """CPU time so far, threads that ended included, to the nanosecond.

        The clock id is what clock_getcpuclockid(3) makes of a process id.
        """
        total = 0.0
        for process_id in self.processes():
            with suppress(OSError):  # it has just ended
                total += time.clock_gettime((~process_id << 3) | 2)
        return total

    def private_mb(self) -> float:
        """Memory only this server has: private pages, written or not, of all its processes.

        A file that several processes map is not in it, nor is one that only one maps and nobody
        wrote to: its pages can be had again.
        """
        return sum(_private_kb(process_id) for process_id in self.processes()) / 1e3

    def open_files(self) -> int:
        """File descriptors of all its processes."""
        total = 0
        for process_id in self.processes():
            with suppress(OSError):
                total += len(os.listdir(f"/proc/{process_id}/fd"))
        return total

    def processes(self) -> list[int]:
        """The process and its descendants."""
        found = [self.process_id]
        for process_id in found:  # grows on the way
            found += _children(process_id)
        return found


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
    ready: str = "/readyz",
) -> Iterator[Server]:
    """A server that says it is ready; stopped when the block ends."""
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            list(command), env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _await_ready(process, f"http://127.0.0.1:{port}{ready}", log)
            yield Server(name, port, process.pid, time.monotonic() - started)
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


def _children(process_id: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process_id}/task"):
            path = Path(f"/proc/{process_id}/task/{thread}/children")
            found += map(int, path.read_text().split())
    return found


def _private_kb(process_id: int) -> int:
    """Private_Dirty of smaps_rollup: proc_pid_smaps(5)."""
    with suppress(OSError):
        text = Path(f"/proc/{process_id}/smaps_rollup").read_text()
        fields = (line.split() for line in text.splitlines())
        return sum(int(field[1]) for field in fields if field[0] == "Private_Dirty:")
    return 0


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=1.0).is_success:
                return
        except httpx.HTTPError:
            pass  # not up yet
        time.sleep(0.05)
    code, tail = process.poll(), log.read_text(errors="replace")[-2000:]
    became = f"not ready within {PATIENCE_S:.0f} s" if code is None else f"ended with code {code}"
    raise Unavailable(f"{log.stem}: {became}\n{tail}")
