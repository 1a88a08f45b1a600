"""Leaves a tier alone for a while after it failed, so that not every request waits for it anew."""

import time
from collections.abc import Callable
from threading import Lock

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class Breaker:
    """Closed while calls succeed; a failure opens it, each failed new try for twice as long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._pause_s = FIRST_PAUSE_S
        self._open_until = 0.0

    def lets_pass(self) -> bool:
        """Whether a call may be tried; while others wait for a try to end, they are kept back."""
        with self._lock:
            if not self._open_until:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._pause_s  # one caller tries
            return True

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            self._open_until, self._pause_s = 0.0, FIRST_PAUSE_S

    def failed(self) -> None:
        """A call failed."""
        with self._lock:
            self._open_until = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
