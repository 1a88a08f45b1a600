"""How often an endpoint may be asked: requests and tokens a minute, spread evenly over time.

Requests are spaced and never sent in bursts, so that servers that count by the second and by the
minute see the same. What an endpoint asks for by itself (429, `Retry-After`) is `endpoints.py`'s.
"""

import time
from dataclasses import dataclass

from relevance.errors import BadInput
from teacher.online.llm.breaker import Clock

_MINUTE = 60.0  # seconds
_FIRST_GUESS = 1000.0  # tokens of a request while no reply has told what one costs


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Of one endpoint; 0 is no limit. `tokens` are those read and those written."""

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0

    def __post_init__(self) -> None:
        if not (self.requests_per_minute >= 0 and self.tokens_per_minute >= 0):
            raise BadInput(f"rate limits: expected at least 0 a minute, got {self}")

    def shared_by(self, clients: int) -> "RateLimits":
        """The limits of each of so many clients that ask the same endpoints."""
        return RateLimits(self.requests_per_minute / clients, self.tokens_per_minute / clients)


NO_LIMITS = RateLimits()


class Pace:
    """When the next request may go out to one endpoint; for one event loop.

    A request takes its place in line for 1 / `requests_per_minute`, and for as long as its tokens
    take at `tokens_per_minute`. What it costs is known when its reply is there: until then it is
    taken to be what requests cost on average, and the difference is settled afterwards.
    """

    def __init__(self, limits: RateLimits, *, clock: Clock = time.monotonic) -> None:
        self._per_request = _seconds_each(limits.requests_per_minute)
        self._per_token = _seconds_each(limits.tokens_per_minute)
        self._clock = clock
        self._next = -float("inf")  # when the time of all requests so far is over
        self._paid = -float("inf")  # when the time of all tokens so far is over
        self._replies, self._tokens = 0, 0

    def ready_in_s(self) -> float:
        """Seconds until a request may go out."""
        return max(self._next - self._clock(), self._paid - self._clock(), 0.0)

    def enter(self) -> float:
        """A request goes out; the tokens it is taken to cost."""
        now, expected = self._clock(), self._expected()
        self._next = max(self._next, now) + self._per_request
        self._paid = max(self._paid, now) + self._per_token * expected
        return expected

    def told(self, tokens: int, *, expected: float) -> None:
        """A reply says what its request cost, which `enter` took to be `expected`."""
        self._replies += 1
        self._tokens += tokens
        self._paid += self._per_token * (tokens - expected)

    def _expected(self) -> float:
        return self._tokens / self._replies if self._replies else _FIRST_GUESS


def _seconds_each(a_minute: float) -> float:
    return _MINUTE / a_minute if a_minute else 0.0
