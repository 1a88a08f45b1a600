"""A background check that answers are still right: the same text and rows, the same bits as before.

Probes only read its outcome; no probe runs a graph. A check that is overdue counts as failed: then
threads or the event loop hang.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from relevance.errors import BadBundle
from relevance.late_interaction import integer_maxima, quantise_query
from service.snapshot import Snapshot

GOLDEN_QUERY = "red steel water bottle 24 oz for kids"
GOLDEN_ROWS = 32
OVERDUE = 3  # intervals, and at least
AT_LEAST = 10.0  # seconds: a busy machine is not a wrong one

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class GoldenPair:
    """What one bundle must always answer: to this query, against these rows."""

    vectors: Float32[np.ndarray, "tokens dim"]
    rows: UInt8[np.ndarray, "items rows row_bytes"]
    maxima: Int32[np.ndarray, "items tokens"]

    def fault(self, snapshot: Snapshot) -> str | None:
        """What is wrong now, if anything is."""
        vectors = _encoded(snapshot)
        if not np.array_equal(vectors, self.vectors):
            return "the encoder answers the golden query otherwise than at start"
        if not np.array_equal(_maxima(snapshot, vectors, self.rows), self.maxima):
            return "the scorer answers the golden pair otherwise than the definition"
        return None


def golden_pair(snapshot: Snapshot) -> GoldenPair:
    """The golden pair of a bundle just opened, its maxima by the NumPy definition.

    Raises `BadBundle` where the scorer finds others.
    """
    vectors = _encoded(snapshot)
    bundle = snapshot.bundle
    shape = (GOLDEN_ROWS, bundle.rows, bundle.row_bytes)
    rows = np.random.default_rng(0).integers(0, 256, shape, np.uint8)  # extremes included
    maxima = integer_maxima(quantise_query(vectors).steps, rows, bits=bundle.codec.bits)
    golden = GoldenPair(vectors, rows, maxima)
    fault = golden.fault(snapshot)
    if fault is not None:
        raise BadBundle(f"bundle {bundle.bundle_id}: {fault}")
    return golden


class SelfCheck:
    """The outcome of the newest check, and how old it is."""

    def __init__(self, *, interval: float, clock: Clock = time.monotonic) -> None:
        self._limit = max(OVERDUE * interval, AT_LEAST)
        self._clock = clock
        self._passed_at = clock()
        self._fault: str | None = None

    @property
    def age(self) -> float:
        """Seconds since a check passed."""
        return self._clock() - self._passed_at

    @property
    def is_wrong(self) -> bool:
        """Whether answers are known to be wrong: then none may be given."""
        return self._fault is not None

    @property
    def fault(self) -> str | None:
        """Why the service is not ready, if it is not."""
        if self._fault is not None:
            return self._fault
        return None if self.age <= self._limit else f"no check passed for {self.age:.0f} s"

    def run(self, golden: GoldenPair, snapshot: Snapshot) -> None:
        """Check now; takes a query's time and belongs in a thread."""
        self._fault = golden.fault(snapshot)
        if self._fault is None:
            self._passed_at = self._clock()


def _encoded(snapshot: Snapshot) -> Float32[np.ndarray, "tokens dim"]:
    limit = snapshot.bundle.max_query_tokens
    return snapshot.encoder.encode(GOLDEN_QUERY, limit=limit).vectors


def _maxima(
    snapshot: Snapshot,
    vectors: Float32[np.ndarray, "tokens dim"],
    rows: UInt8[np.ndarray, "items rows row_bytes"],
) -> Int32[np.ndarray, "items tokens"]:
    scored = snapshot.scorer.score(
        quantise_query(vectors), rows, np.arange(len(rows), dtype=np.int64)
    )
    return scored.maxima
