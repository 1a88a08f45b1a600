"""A store beside the service's own, followed like it, and the patience requests have with it.

Its CURRENT is watched, verified, warmed and swapped by the same code as the service's own. What
fails or is slow leads to a `FellBack`; the request is then answered by control.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from relevance.experiments.plan import StoreVariant
from service.current_watch import CurrentWatch, OpenPair, prepare
from service.deadline import Deadline
from service.experiments.turn import Abandoned, Turn
from service.job import Job
from service.redis_tier.breaker import Breaker
from service.replies import Refused
from service.run_folder import Phase, RunFolder, WorkerState
from service.self_check import SelfCheck
from service.settings import Settings
from service.snapshot import Snapshot

IN_A_ROW = 5  # failures after which the variant is left alone for a while
HEARTBEAT = 1.0
GRACE_S = 0.05  # what a variant that ran into the request's own deadline has to say so
log = logging.getLogger(__name__)

Body = TypeVar("Body")
Reply = TypeVar("Reply")
Compute = Callable[[Job, Body], Reply]


class Outcome(StrEnum):
    """What became of a request of a variant; each but the first makes control answer."""

    ANSWERED = "answered"
    FAILED = "variant_failed"  # it raised, or said that it is broken
    SLOW = "variant_slow"  # longer than its `timeout_ms`
    BUSY = "variant_busy"  # too many threads hang in it
    PAUSED = "variant_paused"  # it failed often in a row and is left alone for a while


class FellBack(Exception):
    """Why a variant did not answer."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class VariantFolder(RunFolder):
    """Where the workers of one service meet about one variant; nudged with the service itself."""

    service: RunFolder

    def last_nudge(self) -> int:
        """The service's."""
        return self.service.last_nudge()


class Patience:
    """Has a variant compute within its time, and leaves it alone after failures in a row.

    At most `most_abandoned` threads may hang in it before nobody waits for it any more.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        most_abandoned: int,
        breaker: Breaker | None = None,
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._most_abandoned = most_abandoned
        self._breaker = breaker or Breaker()
        self._lock = Lock()
        self._abandoned = 0
        self._failures = 0

    def answer(self, job: Job, body: Body, compute: Compute[Body, Reply], turn: Turn) -> Reply:
        """The variant's reply; its work is added to the job's. Raises `FellBack` or `Refused`."""
        self._check_worth_asking(turn)
        own = self._own(job, turn)
        try:
            reply = self._computed(own, body, compute, turn)
        except Refused as refused:
            if refused.status < 500 or refused.status == 504:  # an answer, if not a welcome one
                self._succeeded()
                raise
            raise self._failed(Outcome.FAILED, refused) from refused
        except Abandoned:
            raise
        except Exception as fault:
            raise self._failed(Outcome.FAILED, fault) from fault
        self._succeeded()
        job.work.take_over(own.work)
        return reply

    def _check_worth_asking(self, turn: Turn) -> None:
        if turn.is_late:  # the loop left another thread behind, and this one begins again
            self._count_abandoned(1)
            raise self._failed(Outcome.SLOW, TimeoutError(f"over {self._timeout_s:g} s"))
        if self._abandoned >= self._most_abandoned:
            raise FellBack(Outcome.BUSY)
        if self._failures >= IN_A_ROW and not self._breaker.lets_pass():
            raise FellBack(Outcome.PAUSED)

    def _own(self, job: Job, turn: Turn) -> Job:
        """The job with a work of its own, and less time where the request gives more."""
        turn.begin(min(self._timeout_s, job.deadline.seconds_left() + GRACE_S))
        # What nobody waits for any more ends at its next look at the clock.
        stop_at = min(job.deadline.at, job.deadline.clock() + self._timeout_s + GRACE_S)
        return job.watched(Deadline(stop_at, job.deadline.clock))

    def _computed(self, job: Job, body: Body, compute: Compute[Body, Reply], turn: Turn) -> Reply:
        try:
            return compute(job, body)
        finally:
            try:
                turn.end()
            except Abandoned:
                self._count_abandoned(-1)
                raise

    def _count_abandoned(self, change: int) -> None:
        with self._lock:
            self._abandoned += change

    def _succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            self._breaker.succeeded()

    def _failed(self, outcome: Outcome, fault: Exception) -> FellBack:
        self._failures += 1
        if self._failures >= IN_A_ROW:
            self._breaker.failed()
        log.warning("variant %s: %s: %s", self._name, type(fault).__name__, fault)
        return FellBack(outcome)


class LiveVariant:
    """An open variant: what it answers from now, and how requests are put to it."""

    def __init__(
        self,
        name: str,
        described: StoreVariant,
        *,
        watch: CurrentWatch,
        folder: RunFolder,
        patience: Patience,
        check: SelfCheck,
    ) -> None:
        self.name = name
        self.described = described
        self.watch = watch
        self.patience = patience
        self.check = check
        self.snapshot: Snapshot = watch.snapshot
        self._folder = folder
        self._announced = 0.0

    def answer(self, job: Job, body: Body, compute: Compute[Body, Reply], turn: Turn) -> Reply:
        """Answer a job of this variant's snapshot; raises `FellBack` or `Refused`."""
        if self.check.is_wrong:
            raise FellBack(Outcome.FAILED)
        return self.patience.answer(job, body, compute, turn)

    def follow(self, snapshot: Snapshot) -> None:
        """Answer from this snapshot from now on."""
        self.snapshot = snapshot

    async def look(self) -> None:
        """Follow the store's CURRENT and its deltas; never raises for a bad pair."""
        await self.watch.look(self.announce)
        if time.monotonic() - self._announced > HEARTBEAT:
            self.announce()

    async def check_now(self) -> None:
        """Compare a golden pair's answers with those at the start, in a thread."""
        prepared = self.watch.prepared
        await to_thread.run_sync(
            self.check.run, prepared.golden, prepared.pair.snapshot, limiter=CapacityLimiter(1)
        )

    def announce(self) -> None:
        """Make known to the other workers what is served here, so that all swap together."""
        self._announced = time.monotonic()
        self._folder.write(self.state())

    def state(self) -> WorkerState:
        """What this worker serves of the variant."""
        pair = self.watch.prepared.pair
        return WorkerState(
            process_id=os.getpid(),
            phase=Phase.READY,
            ready=not self.check.is_wrong,
            bundle=pair.snapshot.bundle.bundle_id,
            generation=pair.snapshot.items.generation_id,
            sequence=pair.snapshot.items.sequence,
            created=pair.created,
            prepared=self.watch.next_name,
            refused=self.watch.refused,
            degraded=pair.snapshot.degraded,
            nudge=self.watch.nudge,
            seen=time.time(),
        )

    def close(self) -> None:
        """Give up: nobody asks any more."""
        with contextlib.suppress(OSError):
            self._folder.forget(os.getpid())


def open_variant(
    name: str,
    described: StoreVariant,
    settings: Settings,
    *,
    run: RunFolder,
    opened: OpenPair,
    most_abandoned: int,
) -> LiveVariant:
    """Open, verify and warm what the variant's CURRENT names; raises where something is wrong."""
    own = settings.model_copy(update={"store": described.store, "write_back": False})
    folder = VariantFolder(run.root / "variants" / name, service=run)
    folder.make()
    followed: list[LiveVariant] = []
    watch = CurrentWatch(
        own,
        first=prepare(own, opened),
        run=folder,
        answer_with=lambda snapshot: followed[0].follow(snapshot),
        opened=opened,
    )
    variant = LiveVariant(
        name,
        described,
        watch=watch,
        folder=folder,
        patience=Patience(
            name, timeout_s=described.timeout_ms / 1000, most_abandoned=most_abandoned
        ),
        check=SelfCheck(interval=settings.self_check_interval),
    )
    followed.append(variant)
    variant.announce()
    return variant
