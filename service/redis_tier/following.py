"""The loops of `ellm redis follow` and `ellm refresh --watch`: steps, waiting out what fails.

Redis may go and come back; a follower says so once, and goes on where it stood.
"""

import time
from collections.abc import Callable

from relevance.errors import Unavailable
from service.redis_tier.replica import MissedChanges, Replica
from service.redis_tier.watch import Watcher, WatchStep

Say = Callable[[str], object]
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
LOOPBACK = "127.0.0.1"
TOLD_EVERY_S = 60.0
WAIT_MS = 1000
LAG_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)


def follow_replica(replica: Replica, *, say: Say, once: bool = False) -> None:
    """Apply changes until interrupted, or with `once` until none is left."""
    outage = _Outage(say)
    while True:
        try:
            step = replica.step(wait_ms=0 if once else WAIT_MS)
            outage.over()
        except MissedChanges as gap:
            say(f"comparing everything: {gap}")
            try:
                found = replica.resync()
                say(f"put {found.put:,}, removed {found.removed:,}, refused {found.refused:,}")
            except Unavailable as fault:
                outage.wait(fault, give_up=once)
            continue
        except Unavailable as fault:
            outage.wait(fault, give_up=once)
            continue
        if step.entries:
            say(
                f"sequence {step.sequence}: put {step.put:,}, removed {step.removed:,}, "
                f"refused {step.refused:,}, {step.lag_s:.2f} s behind"
            )
        elif once:
            return


def follow_catalogue(
    watcher: Watcher,
    *,
    say: Say,
    once: bool = False,
    items_per_second: float | None = None,
    metrics_port: int | None = None,
    metrics_host: str = LOOPBACK,
) -> None:
    """Apply the shop's changes until interrupted, or with `once` until none is left."""
    count = _metrics(metrics_port, metrics_host)
    outage, told = _Outage(say), time.monotonic()
    while True:
        began = time.monotonic()
        try:
            step = watcher.step(wait_ms=0 if once else WAIT_MS)
            outage.over()
        except Unavailable as fault:
            outage.wait(fault, give_up=once)
            continue
        count(step)
        if once and not step.entries:
            say(_lags(watcher))
            return
        if time.monotonic() - told > TOLD_EVERY_S and len(watcher.lags):
            say(_lags(watcher))
            told = time.monotonic()
        if items_per_second is not None:
            time.sleep(max(0.0, step.entries / items_per_second - (time.monotonic() - began)))


def _lags(watcher: Watcher) -> str:
    p50, p99 = (watcher.lags.quantile(share) for share in (0.5, 0.99))
    return f"{len(watcher.lags):,} changes, from entry to delta p50 {p50:.3f} s, p99 {p99:.3f} s"


def _metrics(port: int | None, host: str = LOOPBACK) -> Callable[[WatchStep], None]:
    """Counts steps where Prometheus finds them; nowhere without a port."""
    if port is None:
        return lambda step: None
    from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

    registry = CollectorRegistry()
    lag = Histogram(
        "relevance_change_lag_seconds",
        "From a change's entry in the stream to its delta on disk.",
        buckets=LAG_BUCKETS,
        registry=registry,
    )
    changes = Counter(
        "relevance_changes_total", "Changes by outcome.", ["outcome"], registry=registry
    )
    start_http_server(port, addr=host, registry=registry)

    def count(step: WatchStep) -> None:
        for seconds in step.lags:
            lag.observe(max(0.0, seconds))
        for outcome in ("put", "removed", "outdated", "refused"):
            changes.labels(outcome).inc(getattr(step, outcome))

    return count


class _Outage:
    """Waits longer and longer while something is gone, and says so once."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._failures = 0

    def wait(self, fault: Unavailable, *, give_up: bool) -> None:
        """Pause before the next try; with `give_up` raise the fault."""
        if give_up:
            raise fault
        if not self._failures:
            self._say(f"waiting: {fault}")
        time.sleep(PAUSES_S[min(self._failures, len(PAUSES_S) - 1)])
        self._failures += 1

    def over(self) -> None:
        """It is back."""
        if self._failures:
            self._say("going on")
        self._failures = 0
