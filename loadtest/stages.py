"""What the server says each stage of a request took, from two looks at its `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from relevance.errors import Unavailable

STAGES = "relevance_stage_seconds"
CACHE = "relevance_query_cache_total"
Sample = tuple[str, str]  # a metric's name and its one label


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample with at most one label, by name and label."""

    values: Mapping[Sample, float]

    def since(self, before: "Scrape") -> "Scrape":
        """What was added between two looks."""
        return Scrape(
            {key: value - before.values.get(key, 0.0) for key, value in self.values.items()}
        )

    @property
    def stage_ms(self) -> dict[str, float]:
        """Mean milliseconds of each stage that ran."""
        sums, counts = f"{STAGES}_sum", f"{STAGES}_count"
        return {
            stage: self.values[sums, stage] / count * 1000
            for (name, stage), count in self.values.items()
            if name == counts and count
        }

    @property
    def hit_rate(self) -> float:
        """Share of queries found in the cache; NaN where none was looked up."""
        hit, miss = (self.values.get((CACHE, outcome), 0.0) for outcome in ("hit", "miss"))
        return hit / (hit + miss) if hit + miss else float("nan")


def scrape(port: int, *, host: str = "127.0.0.1") -> Scrape:
    """A look at a running service's metrics; raises `Unavailable` where they cannot be had."""
    try:
        reply = httpx.get(f"http://{host}:{port}/metrics", timeout=10.0).raise_for_status()
    except httpx.HTTPError as fault:
        raise Unavailable(f"/metrics of port {port}: {fault}") from fault
    return read_metrics(reply.text)


def read_metrics(text: str) -> Scrape:
    """Samples of Prometheus's text format; histograms' buckets are left out."""
    return Scrape(
        {
            (sample.name, next(iter(sample.labels.values()), "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if len(sample.labels) < 2
        }
    )
