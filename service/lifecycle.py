"""One worker's life: starting, ready, draining; the loops that run beside the requests.

What a swap is stands in `current_watch.py`, what a check is in `self_check.py`. Nothing here
answers a request.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, to_thread

from service.api_keys import KeyRing
from service.current_watch import CurrentWatch
from service.rate_limits import RateLimits
from service.run_folder import Phase, RunFolder, WorkerState
from service.self_check import SelfCheck
from service.settings import Settings

HEARTBEAT = 1.0  # seconds between two signs of life
KEYS_FAULT = "api_keys_refused"  # the `degraded` reason: the file changed and cannot be read
DAMAGED = "generation_damaged"  # the `degraded` reason: a scrub found damage and no way back
RELOAD_PATIENCE = 10.0  # seconds a reload waits for every worker

log = logging.getLogger(__name__)


class Lifecycle:
    """What this worker is up to, for probes, metrics, admin calls and the other workers."""

    def __init__(
        self,
        settings: Settings,
        *,
        watch: CurrentWatch,
        run: RunFolder,
        keys: KeyRing,
        rates: RateLimits,
    ) -> None:
        self.settings = settings
        self.watch = watch
        self.run = run
        self.keys = keys
        self.rates = rates
        self.check = SelfCheck(interval=settings.self_check_interval)
        self.phase = Phase.READY
        self._announced = 0.0

    @property
    def not_ready(self) -> str | None:
        """Why no traffic should come here; None where it may."""
        return "draining" if self.phase is Phase.DRAINING else self.check.fault

    @property
    def degraded(self) -> tuple[str, ...]:
        """Why answers or protection are poorer than they should be."""
        keys = () if self.keys.fault is None else (KEYS_FAULT,)
        damage = (DAMAGED,) if self.run.is_damaged() else ()
        return (*self.watch.snapshot.degraded, *self.rates.degraded, *keys, *damage)

    def state(self) -> WorkerState:
        """This worker as the others and an operator see it."""
        snapshot = self.watch.prepared.pair.snapshot
        return WorkerState(
            process_id=os.getpid(),
            phase=self.phase,
            ready=self.not_ready is None,
            bundle=snapshot.bundle.bundle_id,
            generation=snapshot.items.generation_id,
            sequence=snapshot.items.sequence,
            created=self.watch.prepared.pair.created,
            prepared=self.watch.next_name,
            refused=self.watch.refused,
            degraded=self.degraded,
            nudge=self.watch.nudge,
            seen=time.time(),
        )

    def announce(self) -> None:
        """Make this worker's state known."""
        self._announced = time.monotonic()
        self.run.write(self.state())

    async def reload(self, *, patience: float = RELOAD_PATIENCE) -> tuple[WorkerState, ...]:
        """Have every worker look at CURRENT anew; their states once all have, or patience is over.

        The same as SIGHUP, and as a change of CURRENT: there is one way to swap.
        """
        number = self.run.nudge()
        deadline = time.monotonic() + patience
        while True:
            states = self.run.states()
            if all(state.nudge >= number for state in states) or time.monotonic() > deadline:
                return states
            await asyncio.sleep(0.05)

    def drain(self) -> None:
        """Ask for no more traffic, and go on answering what comes."""
        if self.phase is not Phase.DRAINING:
            self.phase = Phase.DRAINING
            self.announce()
            log.info("draining for %.1f s", self.settings.drain_delay)

    @asynccontextmanager
    async def running(self, tick: Callable[[], None]) -> AsyncIterator[None]:
        """Run the loops beside the requests, and `tick` every so often.

        Meanwhile this worker is known to the others.
        """
        self.announce()
        loops = (self._ticking(tick), self._watching(), self._checking())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.rates.close()
            self.run.forget(os.getpid())

    async def _ticking(self, tick: Callable[[], None]) -> None:
        """Small things that may not wait for a big generation to be opened."""
        parent = os.getppid()
        while True:
            await asyncio.sleep(self.settings.watch_interval)
            await self._survive(self._tick(tick))
            if os.getppid() != parent and self.settings.workers > 1:
                log.error("the parent process is gone: this worker ends, too")
                signal.raise_signal(signal.SIGTERM)
                return

    async def _tick(self, tick: Callable[[], None]) -> None:
        tick()
        self.keys.reload()
        if time.monotonic() - self._announced > HEARTBEAT:
            self.announce()

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(self.settings.watch_interval)
            await self._survive(self.watch.look(self.announce))

    async def _checking(self) -> None:
        thread = CapacityLimiter(1)
        while True:
            await asyncio.sleep(self.settings.self_check_interval)
            prepared = self.watch.prepared
            await self._survive(
                to_thread.run_sync(
                    self.check.run, prepared.golden, prepared.pair.snapshot, limiter=thread
                )
            )
            if self.check.is_wrong:
                log.error("not answering: %s", self.check.fault)

    @staticmethod
    async def _survive(work: Awaitable[None]) -> None:
        """A fault in one round must not end the loop; readiness notices where rounds fail."""
        try:
            await work
        except Exception:
            log.exception("a background round failed")


@asynccontextmanager
async def following_signals(lifecycle: Lifecycle) -> AsyncIterator[None]:
    """SIGTERM drains before the server stops, SIGHUP reloads; on the main thread only.

    uvicorn's own handler of SIGTERM, set before this, is called when the drain delay has passed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    stop_server = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        if callable(stop_server):
            stop_server(signal.SIGTERM, None)

    def terminate() -> None:
        if lifecycle.phase is Phase.DRAINING:
            return  # a supervisor and a service manager may both send one
        lifecycle.drain()
        loop.call_later(lifecycle.settings.drain_delay, stop)

    def hang_up() -> None:
        number = lifecycle.run.nudge()
        log.info("SIGHUP: every worker looks at CURRENT (nudge %d)", number)

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGHUP)
