"""A request's turn with a variant: computed in the request's own thread, watched by the event loop.

Handing the work to another thread and waiting there would be simpler and cost every request of a
treatment two more switches of threads. So the loop looks at its clock instead: what is overdue is
left behind, and the request computed again by control. The thread left behind finds out at its end.
"""

import asyncio
import math
import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

Outcome = TypeVar("Outcome")
SOONEST = 0.001


class Abandoned(Exception):
    """Nobody waits for this thread's reply any more."""


class Turn:
    """Between a request's thread and the loop: whether a variant computes, and until when it may.

    `look_every` is in seconds; no shorter than it, a variant's time may be over unnoticed.
    """

    def __init__(
        self, look_every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.look_every = look_every
        self.is_late = False
        self._clock = clock
        self._lock = Lock()
        self._ends_at = math.inf

    def begin(self, patience_s: float) -> None:
        """A variant starts to compute."""
        self._ends_at = self._clock() + patience_s

    def end(self) -> None:
        """The variant is done, one way or another; raises `Abandoned` where that was too late."""
        with self._lock:
            self._ends_at = math.inf
            if self.is_late:
                raise Abandoned

    def seconds_left(self) -> float:
        """How long the variant may still take; infinite while none computes."""
        return self._ends_at - self._clock()

    def declare_late(self) -> bool:
        """Leave the variant behind, unless it has just come to its end."""
        with self._lock:
            self.is_late = self._ends_at <= self._clock()
            return self.is_late


async def in_time(
    work: Callable[[], Outcome], *, limiter: CapacityLimiter, turn: Turn | None
) -> Outcome:
    """`work` in a thread; begun again in another one where its variant takes too long."""
    if turn is not None:
        with CancelScope() as scope:
            watch = _Watch(turn, scope)
            try:
                return await to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
            finally:
                watch.stop()
    return await to_thread.run_sync(work, limiter=limiter)


class _Watch:
    """Looks at a turn when it may be over, and cancels the waiting where it is."""

    def __init__(self, turn: Turn, scope: CancelScope) -> None:
        self._turn = turn
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(turn.look_every, self._look)

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        left = self._turn.seconds_left()
        if left <= 0 and self._turn.declare_late():
            self._scope.cancel()
            return
        again = min(max(left, SOONEST), self._turn.look_every)
        self._handle = self._loop.call_later(again, self._look)
