"""What answering a request took, as one value a request fills and telemetry reads afterwards.

Counting and exporting it is telemetry's, which sees no text: `ranked` is emptied before.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64


class Stage(StrEnum):
    """Where a request's time goes, in order; each is a label of the stage histogram."""

    PARSE = "parse"
    ENCODE = "encode"  # tokenise and encode the query; nothing on a hit of the query cache
    FETCH = "fetch"
    ENCODE_ITEMS = "encode_items"
    SCORE = "score"
    EXPLAIN = "explain"
    SERIALISE = "serialise"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One query's ranking as the pair log takes it: `order` leads from the best to the last."""

    query: str
    ids: Sequence[str]
    scores: Float64[np.ndarray, " candidates"]
    order: Int64[np.ndarray, " shown"]


@dataclass(slots=True)
class Work:
    """One request's work; lives in one thread at a time.

    `cache_hits` and `cache_misses` count looked-up queries, `statuses` candidates by status,
    `scores` are those given, `degraded` the reasons this request met, `teacher` its state where
    one was asked, `asked` every teacher asked with its state (`llm timeout`). `tokens` counts the
    queries' and those encoded for this request; cached items cost none. `ranked` is held until the
    request is answered, for the pair log.
    """

    seconds: dict[Stage, float] = field(default_factory=dict)
    cache_hits: int = 0
    cache_misses: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    scores: list[Float64[np.ndarray, " candidates"]] = field(default_factory=list)
    degraded: tuple[str, ...] = ()
    teacher: str | None = None
    asked: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    ranked: list[Ranked] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Add the time of a block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + taken

    def take_over(self, other: "Work") -> None:
        """Add what another thread's work for the same request took."""
        for stage, taken in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + taken
        self.cache_hits += other.cache_hits
        self.cache_misses += other.cache_misses
        self.statuses.update(other.statuses)
        self.scores += other.scores
        self.degraded += other.degraded
        self.teacher = other.teacher or self.teacher
        self.asked.update(other.asked)
        self.tokens += other.tokens
        self.ranked += other.ranked


class Telemetry(Protocol):
    """Takes each answered request's work; must not raise and must be quick."""

    def record(self, route: str, work: Work) -> None:
        """Count one answered request of `route`."""
        ...
