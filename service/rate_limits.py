"""How often each client may ask: sliding windows, counted per worker or, through Redis, for all.

Where Redis cannot be asked, each worker goes on counting for itself and says so: a broken counter
must not take scoring down, nor let everybody in. How many run at once is `fair_queue.py`'s.
"""

import asyncio
import math
import time
from enum import StrEnum

from limits import RateLimitItem, WindowStats, parse_many
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from relevance.errors import BadInput

SHARED_DOWN = "rate_limits_per_worker"  # the `degraded` reason
PATIENCE = 0.05  # seconds a shared counter may take: the hot path waits for it
ASK_AGAIN = 5.0  # seconds without the shared counter after it failed


class Scope(StrEnum):
    """Among whom a limit is counted."""

    NONE = "none"
    WORKER = "worker"
    SHARED = "shared"


class RateLimits:
    """The limits of every client; `rates` as in `100/second; 2000/minute`, empty for none."""

    def __init__(self, rates: str, *, store: str | None = None, patience: float = PATIENCE) -> None:
        self._rates: tuple[RateLimitItem, ...] = tuple(parse_many(rates)) if rates else ()
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = None if store is None else _shared(store)
        self._shared_again = 0.0
        self._patience = patience

    @property
    def scope(self) -> Scope:
        """Among whom limits are counted right now."""
        if not self._rates:
            return Scope.NONE
        return Scope.SHARED if self._may_ask_shared() else Scope.WORKER

    @property
    def degraded(self) -> tuple[str, ...]:
        """Why limits are looser than configured, if they are."""
        is_down = self._rates and self._shared is not None and not self._may_ask_shared()
        return (SHARED_DOWN,) if is_down else ()

    async def wait_for(self, client: str) -> int:
        """Count one request; 0 where it may pass, else whole seconds to wait."""
        if not self._rates:
            return 0
        if self._shared is not None and self._may_ask_shared():
            try:
                async with asyncio.timeout(self._patience):
                    return await self._count(self._shared, client)
            except (StorageError, TimeoutError, OSError):
                self._shared_again = time.monotonic() + ASK_AGAIN
        return await self._count(self._own, client)

    async def close(self) -> None:
        """Close the connections to Redis."""
        storage = None if self._shared is None else self._shared.storage
        if isinstance(storage, RedisStorage):
            await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]

    async def _count(self, limiter: SlidingWindowCounterRateLimiter, client: str) -> int:
        for rate in self._rates:
            if not await limiter.hit(rate, client):
                return _seconds_until(await limiter.get_window_stats(rate, client))
        return 0

    def _may_ask_shared(self) -> bool:
        return self._shared is not None and time.monotonic() >= self._shared_again


def _shared(store: str) -> SlidingWindowCounterRateLimiter:
    try:
        storage = storage_from_string(
            f"async+{store}", implementation="redispy", wrap_exceptions=True
        )
    except Exception as fault:  # limits' and redis' faults share no base; the URL may hold a secret
        raise BadInput(
            f"rate_limit_store: expected a redis:// URL: {type(fault).__name__}"
        ) from fault
    if not isinstance(storage, Storage) or not store.startswith("redis"):
        raise BadInput("rate_limit_store: expected a redis:// URL, got another kind")
    return SlidingWindowCounterRateLimiter(storage)


def _seconds_until(window: WindowStats) -> int:
    return max(1, math.ceil(window.reset_time - time.time()))
