"""Scoring requests again with another variant, after they were answered and at low priority.

One thread and a bounded queue: where shadows cannot keep up, requests are passed over and counted.
Nothing that happens here reaches an answer.
"""

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SCORED, FAILED, DROPPED = "scored", "failed", "dropped"
NICE = 19  # Linux counts niceness per thread: what serves goes first
log = logging.getLogger(__name__)

Work = Callable[[], Any]


class Shadows:
    """A queue of work by variant and the thread that does it; `totals` says what became of it."""

    def __init__(self, *, most_waiting: int = 64) -> None:
        self.totals: Counter[tuple[str, str]] = Counter()
        self._most = most_waiting
        self._waiting: deque[tuple[str, Work]] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="shadow scoring", daemon=True)
        self._thread.start()

    def offer(self, variant: str, work: Work) -> None:
        """Have `work` done some time, or not at all."""
        if len(self._waiting) >= self._most:
            self.totals[variant, DROPPED] += 1
            return
        self._waiting.append((variant, work))
        self._wake.set()

    def close(self, *, patience: float = 1.0) -> None:
        """Give up what waits; what is being scored may end."""
        self._is_closing = True
        self._waiting.clear()
        self._wake.set()
        self._thread.join(patience)

    def _serve(self) -> None:
        with suppress(OSError, AttributeError):  # where threads have no niceness of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self._is_closing:
            self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._is_closing:
                self._do(*self._waiting.popleft())

    def _do(self, variant: str, work: Work) -> None:
        try:
            work()
        except Exception as fault:  # a broken shadow is what a shadow is there to find
            self.totals[variant, FAILED] += 1
            log.warning("shadow %s: %s: %s", variant, type(fault).__name__, fault)
        else:
            self.totals[variant, SCORED] += 1
