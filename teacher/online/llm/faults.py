"""What can go wrong between us and a language model, as one exception with a kind.

Which kind is tried again, and how often, stands in `retries.py`; what a caller answers instead is
the caller's business.
"""

from enum import StrEnum
from functools import partial
from typing import Any

from relevance.errors import Unavailable


class FaultKind(StrEnum):
    """Why there is no answer.

    DOWN: no connection, or every endpoint is resting; BUSY: 429 or 503, come back later; TIMEOUT:
    too slow; BROKEN: a server error, or the connection died in the middle; GARBAGE: an answer that
    is not of the protocol; REFUSED: the request was turned down and always will be; DENIED: wrong
    key, model or address.
    """

    DOWN = "down"
    BUSY = "busy"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    GARBAGE = "garbage"
    REFUSED = "refused"
    DENIED = "denied"


class EndpointFault(Unavailable):
    """One request to one endpoint failed; `retry_after` is what the endpoint asked for, seconds."""

    def __init__(self, message: str, *, kind: FaultKind, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Faults come home from Ray workers: keyword arguments travel as a call of their own."""
        return partial(EndpointFault, kind=self.kind, retry_after=self.retry_after), self.args
