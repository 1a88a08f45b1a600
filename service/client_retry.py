"""When a client tries again, and when it has waited enough; nothing here sends or sleeps."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from relevance.errors import Unavailable
from service.deadline import Clock

GRACE_S = 0.25  # on top of what is left: the service itself answers by the deadline


class Failure(Unavailable):
    """An attempt failed, and another one may succeed; `retry_after` is the service's wish."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to try and how long to wait.

    The wait before attempt n is drawn from [0, first_wait_s · 2ⁿ⁻²], at most `longest_wait_s`, and
    never less than the service asked for. `timeout_s` bounds an attempt without a deadline.
    """

    attempts: int = 4
    first_wait_s: float = 0.05
    longest_wait_s: float = 5.0
    timeout_s: float = 10.0


@dataclass(slots=True)
class Attempts:
    """The attempts of one method call: counted anew for each request, one deadline for all."""

    patience: Patience
    deadline_s: float | None = None
    clock: Clock = time.monotonic
    draw: Callable[[], float] = random.random
    _end: float | None = field(init=False)
    _failed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._end = None if self.deadline_s is None else self.clock() + self.deadline_s

    def seconds_left(self) -> float | None:
        """Until the deadline; None without one, raises `Unavailable` once it has passed."""
        if self._end is None:
            return None
        left = self._end - self.clock()
        if left <= 0:
            raise Unavailable(f"no answer within {self.deadline_s} s")
        return left

    def timeout(self) -> float:
        """How long the next attempt may take."""
        left = self.seconds_left()
        return self.patience.timeout_s if left is None else left + GRACE_S

    def succeeded(self) -> None:
        """The next request starts to count anew."""
        self._failed = 0

    def wait_after(self, failure: Failure) -> float:
        """Seconds before the next attempt; raises `failure` where there shall be none."""
        self._failed += 1
        patience = self.patience
        longest = min(patience.first_wait_s * 2 ** (self._failed - 1), patience.longest_wait_s)
        wait = max(self.draw() * longest, failure.retry_after)
        left = None if self._end is None else self._end - self.clock()
        if self._failed >= patience.attempts or (left is not None and wait >= left):
            raise failure
        return wait
