"""While the service is up: real HTTP requests, their answers and their times.

Standard library only: `relevance` knows no HTTP framework. Load tests are `loadtest/`'s.
"""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from relevance.errors import Unavailable

HOST = "127.0.0.1"
START_SECONDS = 60.0
WARM_UP, TIMED = 5, 40  # requests before and during a latency measurement


class Answers:
    """One kept-alive connection to the service; raises `Unavailable` on any error status."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=30)

    def get(self, path: str) -> dict[str, object]:
        """The reply to a GET."""
        return self._answer("GET", path, None)

    def post(self, path: str, content: Mapping[str, object]) -> dict[str, object]:
        """The reply to a POST of JSON."""
        return self._answer("POST", path, json.dumps(content))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answer(self, method: str, path: str, body: str | None) -> dict[str, object]:
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = self._connection.getresponse()
            content: dict[str, object] = json.loads(reply.read())
        except (OSError, http.client.HTTPException) as fault:
            self._connection.close()
            raise Unavailable(f"{method} {path}: {fault}") from fault
        if reply.status != http.HTTPStatus.OK:
            raise Unavailable(f"{method} {path}: {reply.status}: {content}")
        return content


@contextmanager
def serving(
    store: Path, teacher: Path, log: Path, *, python: Path = Path(sys.executable)
) -> Iterator[Answers]:
    """The service on a free port, ready to answer; stopped at the end whatever happens."""
    port = _free_port()
    words = (
        *("serve", "--store", store, "--teacher", teacher, "--host", HOST, "--port", port),
        *("--drain-delay", "0"),  # no balancer in front that must notice first
    )
    with log.open("wb") as output:
        command = [str(python), "-m", "relevance", *map(str, words)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            answers = _ready(process, port, log)
            yield answers
            answers.close()
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def median_milliseconds(
    answers: Answers, queries: Sequence[str], item_ids: Sequence[str], *, candidates: int
) -> float:
    """Median time of a `/score` request with this many cached ids, a new query each time."""
    times = []
    for number in range(WARM_UP + TIMED):
        start = number * candidates
        chosen = [item_ids[(start + at) % len(item_ids)] for at in range(candidates)]
        content = {"query": queries[number % len(queries)], "item_ids": chosen}
        before = time.perf_counter()
        answers.post("/score", content)
        times.append(time.perf_counter() - before)
    timed = sorted(times[WARM_UP:])
    return timed[len(timed) // 2] * 1000


def _ready(process: subprocess.Popen[bytes], port: int, log: Path) -> Answers:
    deadline = time.monotonic() + START_SECONDS
    answers = Answers(port)
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answers.get("/health")
        except Unavailable:
            time.sleep(0.2)
        else:
            return answers
    raise Unavailable(f"the service did not become ready; its output: {log}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
