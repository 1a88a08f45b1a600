"""How often and how long a request is tried again; who is asked next stands in `client.py`.

Waiting grows exponentially and is drawn at random below that bound ("full jitter", AWS
Architecture Blog, 2015), so that many clients do not come back at once. What an endpoint asks for
in `Retry-After` comes first.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from relevance.errors import BadInput
from teacher.online.llm.faults import EndpointFault, FaultKind

_COUNTED = frozenset({FaultKind.TIMEOUT, FaultKind.BROKEN, FaultKind.GARBAGE})
_WAITED_OUT = frozenset({FaultKind.DOWN, FaultKind.BUSY})


@dataclass(frozen=True, slots=True)
class Retries:
    """Limits on trying again.

    `attempts` bounds requests that were slow, broken or answered with garbage: a request that
    always breaks the engine must end. An endpoint that is down or busy is waited for, `patience_s`
    seconds in all since the request was first tried.
    """

    attempts: int = 4
    patience_s: float = 900.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.patience_s < 0 or self.first_wait_s <= 0:
            raise BadInput(f"retries: expected attempts >= 1 and waits > 0, got {self}")

    def may_retry(self, fault: EndpointFault, *, counted: int, elapsed_s: float) -> bool:
        """Whether to try again after `counted` counted failures and `elapsed_s` seconds."""
        if fault.kind in _WAITED_OUT:
            return elapsed_s < self.patience_s
        return fault.kind in _COUNTED and counted < self.attempts

    def wait_s(self, failures: int, chance: random.Random) -> float:
        """Seconds before the next try, after `failures` of them (at least one)."""
        bound = min(self.longest_wait_s, self.first_wait_s * 2 ** min(failures - 1, 20))
        return chance.uniform(0, bound)


ONCE = Retries(attempts=1, patience_s=0.0)  # for requests somebody is waiting for


def counts(fault: EndpointFault) -> bool:
    """Whether a fault is one of those that `attempts` bounds."""
    return fault.kind in _COUNTED


def read_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds of a `Retry-After` header (a number or an HTTP date, RFC 9110 10.2.3).

    None where it is absent or neither; never negative.
    """
    if not value:
        return None
    try:
        return max(float(value), 0.0) if value.strip().isdigit() else _seconds_to(value, now)
    except (TypeError, ValueError):
        return None


def _seconds_to(date: str, now: datetime | None) -> float:
    then = parsedate_to_datetime(date)
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max((then - (now or datetime.now(UTC))).total_seconds(), 0.0)
