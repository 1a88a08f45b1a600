"""When a request's time is up: counted from its arrival, checked between pieces of work."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock in seconds; infinity where nobody set one."""

    at: float = math.inf
    clock: Clock = time.monotonic

    @classmethod
    def after(
        cls, milliseconds: float | None, *, since: float, clock: Clock = time.monotonic
    ) -> Self:
        """So long after `since`; never, for None."""
        return cls(math.inf if milliseconds is None else since + milliseconds / 1000, clock)

    def has_passed(self) -> bool:
        """Whether time is up."""
        return self.at != math.inf and self.clock() >= self.at

    def seconds_left(self) -> float:
        """How long there still is; 0 once it has passed."""
        return max(self.at - self.clock(), 0.0)
