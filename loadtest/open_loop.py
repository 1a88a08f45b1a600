"""Requests sent at their own moments, whatever the service does meanwhile.

Times count from when a request was due, so a service that stands still cannot hide it by being
asked less (what is called coordinated omission). One thread and one kept-alive connection a lane.
What is sent, and what an answer ought to be, is the caller's.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from loadtest.bare_client import JSON, BareConnection
from relevance.errors import Unavailable

TIMEOUT = 30.0
NO_ANSWER = 0  # the status of a request that got none
HEADERS = JSON
HEAD_START = 0.05  # seconds until the first request is due: the lanes are waiting by then


@dataclass(frozen=True, slots=True)
class Request:
    """Something to send; `kind` is what its answer is counted under."""

    path: str
    body: bytes
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; times are monotonic seconds.

    A request is sent later than it was due where no lane was free, which its time counts.
    """

    number: int
    due: float
    ended: float
    status: int
    body: bytes
    kind: str = ""
    sent: float = 0.0

    @property
    def seconds(self) -> float:
        """From when it was due until its last byte."""
        return self.ended - self.due

    @property
    def seconds_since_sent(self) -> float:
        """What a closed loop would have measured: without the wait for a free lane."""
        return self.ended - self.sent


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
        self._path = target.path
        self._connection = BareConnection(
            target.port, host=target.host, timeout_s=TIMEOUT, headers=target.headers
        )

    def ask(self, body: bytes, *, path: str | None = None) -> tuple[int, bytes]:
        """Status and body of the reply; `NO_ANSWER` where the connection broke."""
        try:
            return self._connection.exchange(path or self._path, body)
        except (OSError, ValueError, Unavailable) as fault:
            self._connection.close()
            return NO_ANSWER, repr(fault).encode()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def drive(
    target: Target,
    bodies: Sequence[bytes],
    *,
    per_second: float,
    lanes: int = 8,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Answer]:
    """Send each body at its moment; the answers in the order of the requests."""
    requests = (Request(target.path, body) for body in bodies)
    return send(target, requests, per_second=per_second, lanes=lanes, stopped=stopped)


def send(
    target: Target,
    requests: Iterable[Request],
    *,
    per_second: float,
    lanes: int = 8,
    stopped: Callable[[], bool] = lambda: False,
    keep_bodies: bool = True,
) -> list[Answer]:
    """Send each request at its moment; the answers in the order of the requests.

    Requests are taken one by one, so they may be made while others are under way, and need no end
    where `stopped` says when. Replies' bodies are empty where they are not kept.
    """
    waiting = _Numbered(requests)
    start, answers = time.monotonic() + HEAD_START, list[Answer]()

    def work() -> None:
        lane = Lane(target)
        while not stopped() and (found := waiting.take()) is not None:
            number, request = found
            due = start + number / per_second
            time.sleep(max(due - time.monotonic(), 0.0))
            sent = time.monotonic()
            status, body = lane.ask(request.body, path=request.path)
            ended = time.monotonic()
            kept = body if keep_bodies else b""
            answers.append(Answer(number, due, ended, status, kept, request.kind, sent))
        lane.close()

    threads = [threading.Thread(target=work) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers, key=lambda answer: answer.number)


def lasting(requests: Iterator[Request], *, seconds: float, per_second: float) -> list[Request]:
    """The requests of so many seconds, made beforehand so that making them costs no time later."""
    return list(islice(requests, round(seconds * per_second)))


class _Numbered:
    """Requests and their numbers, for several threads to take."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = enumerate(requests)
        self._lock = threading.Lock()

    def take(self) -> tuple[int, Request] | None:
        with self._lock:
            return next(self._requests, None)
