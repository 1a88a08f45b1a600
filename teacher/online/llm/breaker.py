"""A circuit breaker: an endpoint that keeps failing is left alone for a while, then tried once.

It knows nothing of HTTP; `client.py` tells it how each request went.
"""

import time
from collections.abc import Callable
from enum import StrEnum

Clock = Callable[[], float]


class State(StrEnum):
    """CLOSED: requests pass; OPEN: none does; TRYING: one is out to see whether it is well."""

    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"


class CircuitBreaker:
    """Opens after `failures` in a row, for `rest_s` seconds, doubled up to `longest_rest_s`.

    Not shared between threads; one event loop.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        rest_s: float = 5.0,
        longest_rest_s: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._allowed = failures
        self._rest_s = rest_s
        self._longest_rest_s = longest_rest_s
        self._clock = clock
        self.failed_in_a_row = 0
        self._rests = 0
        self._until = 0.0
        self.state = State.CLOSED

    def ready_in_s(self) -> float:
        """Seconds until a request may pass: 0 now, infinite while the one that tries is out."""
        if self.state is State.TRYING:
            return float("inf")
        return max(self._until - self._clock(), 0.0) if self.state is State.OPEN else 0.0

    def enter(self) -> None:
        """A request goes out; after a rest it is the one that tries."""
        if self.state is State.OPEN:
            self.state = State.TRYING

    def succeeded(self) -> None:
        """A request came back well."""
        self.state, self.failed_in_a_row, self._rests = State.CLOSED, 0, 0

    def failed(self) -> None:
        """A request failed by the endpoint's fault."""
        self.failed_in_a_row += 1
        if self.state is State.TRYING or self.failed_in_a_row >= self._allowed:
            rest = min(self._rest_s * 2.0**self._rests, self._longest_rest_s)
            self.state, self._until = State.OPEN, self._clock() + rest
            self._rests, self.failed_in_a_row = min(self._rests + 1, 30), 0

    def left(self) -> None:
        """A request ended without telling anything of the endpoint (it was cancelled)."""
        if self.state is State.TRYING:
            self.state, self._until = State.OPEN, self._clock()
