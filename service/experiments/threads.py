"""Threads whose work is waited for only so long: what hangs in one never holds up a request.

They are daemons, so a computation that never ends cannot keep the process from ending either.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock, Thread
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome")


class Busy(Exception):
    """Every thread is at work."""


class Late(Exception):
    """The work was not done in time; its outcome is thrown away."""


class _Task(Generic[Outcome]):
    """Work on its way through a thread, and the place its outcome comes to."""

    def __init__(self, work: Callable[[], Outcome]) -> None:
        self.work = work
        self.outcome: SimpleQueue[tuple[Outcome | None, BaseException | None]] = SimpleQueue()

    def done(self) -> tuple[Outcome | None, BaseException | None]:
        try:
            return self.work(), None
        except BaseException as fault:  # the one who waits is told, whatever it is
            return None, fault


class PatientThreads:
    """Up to `count` threads, started when first needed; `close` lets idle ones end."""

    def __init__(self, count: int, *, name: str) -> None:
        self._count = count
        self._name = name
        self._free = BoundedSemaphore(count)
        self._tasks: SimpleQueue[_Task[object] | None] = SimpleQueue()
        self._lock = Lock()
        self._started = 0

    def run(self, work: Callable[[], Outcome], *, patience: float) -> Outcome:
        """The outcome of `work`, computed in a thread; raises its fault, `Busy` or `Late`."""
        if not self._free.acquire(blocking=False):
            raise Busy(f"{self._name}: all {self._count} threads are at work")
        self._start_one_more()
        task = _Task(work)
        self._tasks.put(task)  # type: ignore[arg-type]
        try:
            outcome, fault = task.outcome.get(timeout=max(patience, 0.0))
        except Empty:
            raise Late(f"{self._name}: not done within {patience * 1000:.0f} ms") from None
        if fault is not None:
            raise fault
        return outcome  # type: ignore[return-value]

    def close(self) -> None:
        """Have every thread end after what it is doing."""
        for _ in range(self._started):
            self._tasks.put(None)

    def _start_one_more(self) -> None:
        with self._lock:
            if self._started < self._count:
                self._started += 1
                Thread(target=self._serve, name=self._name, daemon=True).start()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            outcome = task.done()
            self._free.release()  # first: whoever hears of it may come back at once
            task.outcome.put(outcome)
