"""Requests sent at their own moments, whatever the service does meanwhile.

Times count from when a request was due, so a service that stands still cannot hide it by being
asked less. Standard library only; one thread and one kept-alive connection a lane. What is sent,
and what an answer ought to be, is the caller's.
"""

import http.client
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

TIMEOUT = 30.0
NO_ANSWER = 0  # the status of a request that got none
HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; times are monotonic seconds."""

    number: int
    due: float
    ended: float
    status: int
    body: bytes

    @property
    def seconds(self) -> float:
        """From when it was due until its last byte."""
        return self.ended - self.due


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str = "/score"
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


class Lane:
    """One connection, opened again where the service closed it between two requests."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT)

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the reply; `NO_ANSWER` where the connection broke."""
        if self._was_closed():
            self._connection.close()
        try:
            self._connection.request("POST", self._target.path, body, dict(self._target.headers))
            reply = self._connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as fault:
            self._connection.close()
            return NO_ANSWER, repr(fault).encode()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _was_closed(self) -> bool:
        """An idle connection with something to read has been closed by the other side."""
        found = self._connection.sock
        return found is not None and bool(select.select([found], [], [], 0)[0])


def drive(
    target: Target,
    bodies: Sequence[bytes],
    *,
    per_second: float,
    lanes: int = 8,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Answer]:
    """Send each body at its moment; the answers in the order of the requests."""
    numbers, start, answers = count(), time.monotonic() + 0.05, list[Answer]()

    def work() -> None:
        lane = Lane(target)
        while (number := next(numbers)) < len(bodies) and not stopped():
            due = start + number / per_second
            time.sleep(max(due - time.monotonic(), 0.0))
            status, body = lane.ask(bodies[number])
            answers.append(Answer(number, due, time.monotonic(), status, body))
        lane.close()

    threads = [threading.Thread(target=work) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers, key=lambda answer: answer.number)
