"""One stretch of open-loop load: what the client saw, what the server says, who used the CPUs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.machine import watching
from loadtest.open_loop import NO_ANSWER, Answer, Request, Target, lasting, send
from loadtest.processes import Server
from loadtest.stages import scrape

OK, BUSY = 200, 429


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds from when requests were due; `closed_p99` is what a closed loop would show."""

    count: int
    p50: float
    p90: float
    p99: float
    most: float
    closed_p99: float

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Times":
        """Of answered requests; NaN where there are none."""
        if not answers:
            return cls(0, *[float("nan")] * 5)
        due = np.array([answer.seconds for answer in answers]) * 1000
        sent = np.array([answer.seconds_since_sent for answer in answers]) * 1000
        p50, p90, p99 = np.quantile(due, (0.5, 0.9, 0.99)).tolist()
        closed = float(np.quantile(sent, 0.99))
        return cls(len(answers), p50, p90, p99, float(due.max()), closed)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Shares: `machine_cpu` of all CPUs; `client_cpu` and `server_cpu` of one."""

    name: str
    per_second: float
    seconds: float
    sent: int
    failed: int
    refused: int
    times: Times
    by_kind: Mapping[str, Times]
    machine_cpu: float
    client_cpu: float
    server_cpu: float
    client_limited: bool
    hit_rate: float
    stage_ms: Mapping[str, float]
    statuses: Mapping[str, int]

    @property
    def answered_per_second(self) -> float:
        """Requests that were answered."""
        return self.times.count / self.seconds


def run_stretch(
    name: str, server: Server, stream: Iterator[Request], *, per_second: float, seconds: float
) -> Stretch:
    """Send a stream's requests for so long, at this rate; bodies are made before the clock runs."""
    made = lasting(stream, seconds=seconds, per_second=per_second)
    before, cpu = scrape(server.port), server.cpu_seconds()
    with watching() as busy:
        answers = send(
            Target("127.0.0.1", server.port),
            made,
            per_second=per_second,
            lanes=lanes_for(per_second),
            keep_bodies=False,
        )
    server_cpu = (server.cpu_seconds() - cpu) / busy.seconds
    told = scrape(server.port).since(before)
    good = [answer for answer in answers if answer.status == OK]
    kinds = dict.fromkeys(answer.kind for answer in answers)
    return Stretch(
        name=name,
        per_second=per_second,
        seconds=busy.seconds,
        sent=len(answers),
        failed=sum(answer.status not in (OK, BUSY) for answer in answers),
        refused=sum(answer.status == BUSY for answer in answers),
        times=Times.of(good),
        by_kind={kind: Times.of([one for one in good if one.kind == kind]) for kind in kinds},
        machine_cpu=busy.machine,
        client_cpu=busy.client,
        server_cpu=server_cpu,
        client_limited=busy.is_client_limited,
        hit_rate=told.hit_rate,
        stage_ms=told.stage_ms,
        statuses=_statuses(answers),
    )


def lanes_for(per_second: float) -> int:
    """Connections enough for replies that take a tenth of a second, and not more threads."""
    return int(np.clip(per_second / 10, 8, 64))


def _statuses(answers: Sequence[Answer]) -> dict[str, int]:
    counts = Counter(answer.status for answer in answers)
    return {"no answer" if status == NO_ANSWER else str(status): n for status, n in counts.items()}
