"""A store beside the service's own, followed like it, and the patience requests have with it.

Its CURRENT is watched, verified, warmed and swapped by the same code as the service's own. What
fails or is slow leads to a `FellBack`; the request is then answered by control.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from relevance.experiments.plan import StoreVariant
from service.current_watch import CurrentWatch, OpenPair, prepare
from service.experiments.threads import Busy, Late, PatientThreads
from service.job import Job
from service.redis_tier.breaker import Breaker
from service.replies import Refused
from service.run_folder import Phase, RunFolder, WorkerState
from service.self_check import SelfCheck
from service.settings import Settings
from service.snapshot import Snapshot
from service.work import Work

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
    BUSY = "variant_busy"  # all its threads are at work
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
    """Runs a variant's work within its time, and leaves it alone after failures in a row."""

    def __init__(
        self, name: str, *, timeout_s: float, threads: int, breaker: Breaker | None = None
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._threads = PatientThreads(threads, name=f"variant {name}")
        self._breaker = breaker or Breaker()
        self._failures = 0

    def answer(self, job: Job, body: Body, compute: Compute[Body, Reply]) -> Reply:
        """The variant's reply; its work is added to the job's. Raises `FellBack` or `Refused`."""
        if self._failures >= IN_A_ROW and not self._breaker.lets_pass():
            raise FellBack(Outcome.PAUSED)
        try:
            reply, work = self._in_time(job, body, compute)
        except Refused as refused:
            if refused.status < 500 or refused.status == 504:  # an answer, if not a welcome one
                self._succeeded()
                raise
            self._failed(refused)
            raise FellBack(Outcome.FAILED) from refused
        except Busy as fault:
            raise FellBack(Outcome.BUSY) from fault
        except Late as fault:
            self._failed(fault)
            raise FellBack(Outcome.SLOW) from fault
        except Exception as fault:
            self._failed(fault)
            raise FellBack(Outcome.FAILED) from fault
        self._succeeded()
        job.work.take_over(work)
        return reply

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def _in_time(self, job: Job, body: Body, compute: Compute[Body, Reply]) -> tuple[Reply, Work]:
        left = job.deadline.seconds_left()
        patience = min(self._timeout_s, left + GRACE_S)
        # Work that nobody waits for any more ends at its next look at the clock.
        stop_at = min(job.deadline.at, job.deadline.clock() + self._timeout_s)
        own = replace(job, work=Work(), deadline=replace(job.deadline, at=stop_at))

        def computed() -> tuple[Reply, Work]:
            return compute(own, body), own.work

        return self._threads.run(computed, patience=patience)

    def _succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            self._breaker.succeeded()

    def _failed(self, fault: Exception) -> None:
        self._failures += 1
        if self._failures >= IN_A_ROW:
            self._breaker.failed()
        log.warning("variant %s: %s: %s", self._name, type(fault).__name__, fault)


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

    def answer(self, job: Job, body: Body, compute: Compute[Body, Reply]) -> Reply:
        """Answer a job of this variant's snapshot; raises `FellBack` or `Refused`."""
        if self.check.is_wrong:
            raise FellBack(Outcome.FAILED)
        return self.patience.answer(job, body, compute)

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
        self.patience.close()
        with contextlib.suppress(OSError):
            self._folder.forget(os.getpid())


def open_variant(
    name: str,
    described: StoreVariant,
    settings: Settings,
    *,
    run: RunFolder,
    opened: OpenPair,
    threads: int,
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
        patience=Patience(name, timeout_s=described.timeout_ms / 1000, threads=threads),
        check=SelfCheck(interval=settings.self_check_interval),
    )
    followed.append(variant)
    variant.announce()
    return variant
