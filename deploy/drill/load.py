"""Steady load through the balancer, and the verdict on every reply.

A reply is right when it is, bit for bit, what the witness answered to that request in one of the
states the store went through. Only `degraded` and `sequence` may differ, for a replica over Redis
says how it fares and counts no deltas; and `encoded` is as good as `ok`: where Redis lacks a record
the item's text is encoded for the request, and must give the same bits. How many is counted.
"""

import json
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from loadtest.open_loop import Answer, Request, Target, send


@dataclass(frozen=True)
class Step:
    """Something done to the cluster, and when; times are monotonic seconds."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Found:
    """What became of the requests that were due during a step."""

    step: str
    seconds: float
    requests: int
    failed: int
    wrong: int
    degraded: int
    encoded: int
    p50_ms: float
    p99_ms: float


@dataclass
class Known:
    """Right answers: for each request those of every state so far."""

    answers: dict[int, list[Any]] = field(default_factory=dict)

    def learn(self, number: int, reply: Mapping[str, Any]) -> bool:
        """Add the witness's answer; whether it is a new one."""
        known, core = self.answers.setdefault(number, []), core_of(reply)
        if core in known:
            return False
        known.append(core)
        return True

    def is_right(self, number: int, reply: Mapping[str, Any]) -> bool:
        """Whether some state answered so."""
        return core_of(reply) in self.answers[number]


def core_of(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A reply without what may differ between replicas."""
    results = [
        row | {"status": "ok"} if row["status"] == "encoded" else row for row in reply["results"]
    ]
    core = {name: part for name, part in reply.items() if name not in ("degraded", "sequence")}
    return core | {"results": results}


@contextmanager
def load(
    port: int, bodies: Sequence[bytes], *, per_second: float, lanes: int
) -> Iterator[list[Answer]]:
    """Requests at a steady rate while the block runs; the answers are there afterwards.

    An answer's `kind` is the place of its body.
    """
    answers: list[Answer] = []
    end = threading.Event()
    endless = (Request("/score", bodies[at], kind=str(at)) for at in cycle(range(len(bodies))))
    thread = threading.Thread(
        target=lambda: answers.extend(
            send(
                Target("127.0.0.1", port),
                endless,
                per_second=per_second,
                lanes=lanes,
                stopped=end.is_set,
            )
        )
    )
    thread.start()
    try:
        yield answers
    finally:
        end.set()
        thread.join()


def judged(answers: Sequence[Answer], steps: Sequence[Step], known: Known) -> list[Found]:
    """Every answer told to the step it was due in, and compared."""
    return [
        _found(step, [one for one in answers if step.began <= one.due < step.ended], known)
        for step in steps
    ]


def faults(answers: Sequence[Answer], known: Known, *, most: int = 5) -> list[str]:
    """The first answers that failed or were wrong, for the eye."""
    shown = []
    for one in answers:
        if one.status != 200 or not known.is_right(int(one.kind), json.loads(one.body)):
            shown.append(f"request {one.number}: status {one.status}: {one.body[:300]!r}")
    return shown[:most]


def _found(step: Step, answers: Sequence[Answer], known: Known) -> Found:
    good = [(one, json.loads(one.body)) for one in answers if one.status == 200]
    seconds = [one.seconds for one, _ in good]
    cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else [float("nan")] * 99
    return Found(
        step=step.name,
        seconds=step.ended - step.began,
        requests=len(answers),
        failed=len(answers) - len(good),
        wrong=sum(not known.is_right(int(one.kind), reply) for one, reply in good),
        degraded=sum(bool(reply["degraded"]) for _, reply in good),
        encoded=sum(any(r["status"] == "encoded" for r in reply["results"]) for _, reply in good),
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
    )


def now() -> float:
    """The clock the answers are told by."""
    return time.monotonic()
