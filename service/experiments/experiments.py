"""Every answered request passes here: who answers it, who scores it again, whether it is logged.

Without experiments and without a log that is one comparison. What runs is one value, read once by
each request and replaced as a whole by `following.py`.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from relevance.experiments.pair_log import Role
from relevance.experiments.plan import CONTROL, NOTHING, Assignment, Plan
from relevance.text import normalise
from service.experiments.counts import Answered, ExperimentCounts
from service.experiments.pair_log import Logged, PairLog
from service.experiments.shadow import Shadows
from service.experiments.turn import Turn
from service.experiments.variant import Compute, FellBack, LiveVariant, Outcome
from service.job import Job
from service.snapshot import Snapshot
from service.telemetry.observed import current
from service.wire import ServedVariant

REFUSED_PLAN = "experiments_refused"  # the `degraded` reason: the file changed and cannot be used

Body = TypeVar("Body")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Running:
    """A plan and the open stores it names."""

    plan: Plan = NOTHING
    variants: Mapping[str, LiveVariant] = field(default_factory=dict)

    @property
    def look_every(self) -> float:
        """Seconds between two looks at whether a variant is late: the shortest patience."""
        return min(one.described.timeout_ms for one in self.variants.values()) / 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides where it belongs, and its turn with a variant, if there are any."""

    key: str | None = None
    request_id: str = ""
    turn: Turn | None = None


class Headers(Protocol):
    """A request's headers."""

    def get(self, name: str, /) -> str | None:
        """The header's value, if it was sent."""
        ...


class Experiments:
    """One worker's experiments; `running` and `refused` change only on the event loop."""

    def __init__(
        self,
        *,
        running: Running | None = None,
        counts: ExperimentCounts | None = None,
        pair_log: PairLog | None = None,
        shadows: Shadows | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.running = running or Running()
        self.refused: str | None = None
        self.plans = {"followed": 0, "refused": 0}
        self.pair_log = pair_log
        self._shadows = shadows
        self._counts = counts
        self._draw = draw

    @property
    def degraded(self) -> tuple[str, ...]:
        """Why not everything runs as described."""
        variants = self.running.variants.values()
        is_refused = self.refused is not None or any(one.watch.refused for one in variants)
        return (REFUSED_PLAN,) if is_refused else ()

    def asked(self, headers: Headers) -> Asked:
        """What the headers of the request under way say."""
        observed = current.get()
        request_id = "" if observed is None else observed.request_id
        running = self.running
        turn = Turn(running.look_every) if running.variants else None
        return Asked(headers.get(running.plan.key_header), request_id, turn)

    def explaining(self, job: Job, body: object, asked: Asked) -> Job:
        """The job with the snapshot that scores for this key: reasons fit the score they explain.

        Nothing is counted, logged or shadowed.
        """
        running = self.running
        assigned = _assigned(running, body, asked) if running.variants else None
        if assigned is None:
            return job
        served = ServedVariant(assigned.experiment, assigned.variant, assigned.variant)
        if assigned.variant == CONTROL:
            return job.served(served)
        return job.put_to(running.variants[assigned.variant].snapshot, served)

    def answered(self, job: Job, body: Body, compute: Compute[Body, Reply], asked: Asked) -> Reply:
        """The reply of the variant the request belongs to, else or instead control's.

        Raises `Refused`.
        """
        running = self.running
        if not running.variants and self.pair_log is None:
            return compute(job, body)
        assigned = _assigned(running, body, asked)
        one = _Request(job, body, compute, assigned, asked)
        started = time.perf_counter()
        reply, outcome, answering = one.answered(running)
        seconds = time.perf_counter() - started
        if assigned is not None and self._counts is not None:
            names = (assigned.experiment, assigned.variant)
            self._counts.answered(Answered(*names, outcome.value, seconds, tuple(job.work.scores)))
        self._afterwards(running, one, answering)
        return reply

    def tick(self) -> None:
        """Count what happened since the last time."""
        if self._counts is None:
            return
        log = self.pair_log
        rows = {} if log is None else {"written": log.written, "lost": log.lost}
        totals = {} if self._shadows is None else dict(self._shadows.totals)
        self._counts.flush(shadows=totals, rows=rows, plans=self.plans)

    def close(self) -> None:
        """End the threads; the log is written and sealed."""
        if self._shadows is not None:
            self._shadows.close()
        if self.pair_log is not None:
            self.pair_log.close()
        for variant in self.running.variants.values():
            variant.close()

    def _afterwards(self, running: Running, one: "_Request", answering: Snapshot) -> None:
        """Log the answer and have shadows score the request, if it was drawn."""
        is_logged = self.pair_log is not None and self.pair_log.wants()
        if is_logged and self.pair_log is not None:
            self.pair_log.put(one.logged(answering))
        if self._shadows is None:
            return
        for shadow in running.plan.shadows:
            variant = running.variants[shadow.variant]
            is_same = variant.snapshot is answering  # it has answered already
            if not is_same and self._draw() * 100 < shadow.percent:
                log = self.pair_log if is_logged else None
                self._shadows.offer(variant.name, one.shadow(variant, log))


@dataclass(frozen=True, slots=True)
class _Request:
    """One request on its way."""

    job: Job
    body: Any
    compute: Compute[Any, Any]
    assigned: Assignment | None
    asked: Asked

    def answered(self, running: Running) -> tuple[Any, Outcome, Snapshot]:
        """The reply, how it came about, and the snapshot it was made from."""
        if self.assigned is None:
            return self.compute(self.job, self.body), Outcome.ANSWERED, self.job.snapshot
        if self.assigned.variant == CONTROL:
            return self._by_control(self.assigned, Outcome.ANSWERED)
        variant = running.variants[self.assigned.variant]
        job = self.job.put_to(variant.snapshot, _served(self.assigned, variant.name))
        try:
            turn = self.asked.turn or Turn()
            reply = variant.answer(job, self.body, self.compute, turn)
        except FellBack as fell_back:
            self.job.work.degraded += (fell_back.outcome.value,)
            return self._by_control(self.assigned, fell_back.outcome)
        return reply, Outcome.ANSWERED, job.snapshot

    def logged(self, answering: Snapshot) -> Logged:
        """The answer as the log takes it."""
        is_control = answering is self.job.snapshot
        assigned = self.assigned
        variant = CONTROL if assigned is None else assigned.variant
        return Logged(
            role=Role.ANSWER,
            ranked=tuple(self.job.work.ranked),
            snapshot=answering,
            request_id=self.asked.request_id,
            experiment="" if assigned is None else assigned.experiment,
            variant=variant,
            answered_by=CONTROL if is_control else variant,
            key=_key(self.body, self.asked) if assigned is None else assigned.key,
        )

    def shadow(self, variant: LiveVariant, log: PairLog | None) -> Callable[[], None]:
        """Scoring the same request with a variant, and logging that where the answer was."""
        job = Job(variant.snapshot, self.job.limits)  # no deadline, and nothing to be kept
        logged = replace(
            self.logged(self.job.snapshot),
            role=Role.SHADOW,
            snapshot=variant.snapshot,
            variant=variant.name,
            answered_by=variant.name,
        )
        body, compute = self.body, self.compute

        def scored() -> None:
            compute(job, body)
            if log is not None:
                log.put(replace(logged, ranked=tuple(job.work.ranked)))

        return scored

    def _by_control(self, assigned: Assignment, outcome: Outcome) -> tuple[Any, Outcome, Snapshot]:
        job = self.job.served(_served(assigned, CONTROL))
        return self.compute(job, self.body), outcome, job.snapshot


def _served(assigned: Assignment, answering: str) -> ServedVariant:
    return ServedVariant(assigned.experiment, assigned.variant, answering)


def _assigned(running: Running, body: object, asked: Asked) -> Assignment | None:
    key, query = _key(body, asked), getattr(body, "query", None)
    assigned = running.plan.assign(key, query=None if key or query is None else normalise(query))
    pinned = getattr(body, "generation", None)
    if assigned is None or pinned is None or assigned.variant == CONTROL:
        return assigned
    # A client that pins a generation got it from somewhere: a fall-back's must be found again.
    loaded = running.variants[assigned.variant].snapshot.items.generation_id
    return assigned if pinned == loaded else None


def _key(body: object, asked: Asked) -> str | None:
    return getattr(body, "experiment_key", None) or asked.key
