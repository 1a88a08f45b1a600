"""How a judging job goes: pairs a second, time left, tokens, prefix-cache hits, projected cost.

It counts and projects; where it is shown is the command's business.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from teacher.online.llm.judge import Judged
from teacher.online.llm.wire import Usage

PAPER_SECONDS_PER_1000 = 432.0  # ELLM-rele with chain of thought on one H20 (paper)
_HOUR = 3600.0
_HITS = re.compile(
    r"^vllm:prefix_cache_(hits|queries)(?:_total)?(?:\{[^}]*\})? ([0-9.eE+]+)$", re.M
)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a job costs: of a million tokens read and written, and of an hour of all engines."""

    input_million: float = 0.0
    output_million: float = 0.0
    hour: float = 0.0

    def cost(self, usage: Usage, seconds: float) -> float:
        """What so many tokens and seconds cost together."""
        read, written = usage.prompt / 1e6, usage.completion / 1e6
        tokens = read * self.input_million + written * self.output_million
        return tokens + seconds / _HOUR * self.hour


@dataclass(frozen=True, slots=True)
class CacheReading:
    """Tokens an engine looked up in its prefix cache and found there, since it started."""

    queries: float = 0.0
    hits: float = 0.0

    def since(self, earlier: "CacheReading") -> float | None:
        """The share found since an earlier reading; None where nothing was looked up."""
        queries = self.queries - earlier.queries
        return (self.hits - earlier.hits) / queries if queries > 0 else None


def read_cache(metrics: Iterable[str]) -> CacheReading:
    """What engines' Prometheus texts say of their prefix caches, summed up."""
    sums = {"queries": 0.0, "hits": 0.0}
    for text in metrics:
        for name, value in _HITS.findall(text):
            sums[name] += float(value)
    return CacheReading(sums["queries"], sums["hits"])


class Meter:
    """Counts what a run does of a job of `total` pairs, `already` of which were done before."""

    def __init__(
        self,
        total: int,
        *,
        already: int = 0,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.already = total, already
        self.pairs = 0
        self.usage = Usage()
        self.faults: Counter[str] = Counter()
        self.cache_hits: float | None = None
        self._prices = prices or Prices()
        self._clock = clock
        self._began = clock()

    def add(self, judged: Judged) -> None:
        """A pair was judged."""
        self.pairs += 1
        self.usage += judged.usage
        if judged.fault is not None:
            self.faults[judged.fault] += 1

    def resume(self, pairs: int) -> None:
        """So many pairs were found judged in the journal of an earlier run."""
        self.already += pairs

    def add_shard(self, pairs: int, usage: Usage, faults: Counter[str]) -> None:
        """A shard was judged elsewhere."""
        self.pairs += pairs
        self.usage += usage
        self.faults.update(faults)

    @property
    def seconds(self) -> float:
        """How long this run has taken."""
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Pairs a second of this run; 0 before the first."""
        return self.pairs / self.seconds if self.pairs and self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the whole job is done at this rate; None before the first pair."""
        left = self.total - self.already - self.pairs
        return left / self.rate if self.rate else None

    @property
    def projected_cost(self) -> float | None:
        """What the whole job costs, as this run's pairs did; None before the first."""
        if not self.pairs:
            return None
        return self._prices.cost(self.usage, self.seconds) * self.total / self.pairs

    def line(self) -> str:
        """The figures in a line."""
        parts = [f"{self.already + self.pairs:,}/{self.total:,} pairs", f"{self.rate:.1f} pairs/s"]
        if self.seconds_left is not None:
            parts.append(f"{_clock_text(self.seconds_left)} left")
        if self.pairs:
            read, written = self.usage.prompt / self.pairs, self.usage.completion / self.pairs
            parts.append(f"{read:.0f}+{written:.0f} tokens a pair")
        if self.cache_hits is not None:
            parts.append(f"prefix cache {self.cache_hits:.0%}")
        if self.projected_cost:
            parts.append(f"{self.projected_cost:,.2f} for the whole job")
        if self.faults:
            parts.append(", ".join(f"{n} {why}" for why, n in sorted(self.faults.items())))
        return ", ".join(parts)

    def content(self) -> dict[str, object]:
        """The figures as plain data."""
        each = max(self.pairs, 1)
        return {
            "pairs": self.pairs,
            "seconds": self.seconds,
            "pairs_per_second": self.rate,
            "seconds_per_1000_pairs": 1000 / self.rate if self.rate else None,
            "paper_seconds_per_1000_pairs": PAPER_SECONDS_PER_1000,
            "prompt_tokens_per_pair": self.usage.prompt / each,
            "completion_tokens_per_pair": self.usage.completion / each,
            "cached_tokens_per_pair": self.usage.cached / each,
            "prefix_cache_hit_rate": self.cache_hits,
            "projected_cost": self.projected_cost,
            "faults": dict(self.faults),
        }


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
