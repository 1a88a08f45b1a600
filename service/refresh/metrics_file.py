"""What the last refresh did, as a file that Prometheus' node exporter shows (textfile collector).

A refresh is gone before anyone could scrape it. The file is replaced whole, and when a refresh
failed still says when one last succeeded. Serving's own metrics are `service.telemetry.metrics`'.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from relevance.atomic import write_text

if TYPE_CHECKING:
    from service.refresh.job import RefreshReport

NAMESPACE = "relevance_refresh"
SUCCESS = f"{NAMESPACE}_last_success_timestamp_seconds"


@dataclass
class Outcome:
    """What is known of a refresh so far; `report` stays None where it fails."""

    began: float = field(default_factory=time.time)
    report: "RefreshReport | None" = None


@contextmanager
def told_to(path: Path | None) -> Iterator[Outcome]:
    """Write the block's outcome to `path` when it ends, however it ends; to nowhere without one."""
    outcome = Outcome()
    try:
        yield outcome
    finally:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, metrics_text(outcome, ended=time.time(), before=last_success(path)))


def metrics_text(outcome: Outcome, *, ended: float, before: float) -> str:
    """The file's content; times are seconds since the epoch, `before` is the success before this.

    Gauges throughout: each describes the last run, and counters of a process that ends would
    begin at nought again.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(name, text, namespace=NAMESPACE, registry=registry).set(value)

    report = outcome.report
    gauge("last_run_timestamp_seconds", "When the last refresh ended.", ended)
    gauge("last_run_succeeded", "Whether the last refresh succeeded.", float(report is not None))
    success = before if report is None else ended
    gauge("last_success_timestamp_seconds", "When one last succeeded; 0: never.", success)
    gauge("last_run_seconds", "How long the last refresh took.", ended - outcome.began)
    if report is not None:
        found = report.plan.differences
        gauge("items", "Items of the catalogue.", report.plan.items)
        gauge("encoded_items", "Items encoded.", report.encoded)
        gauge("written_bytes", "Bytes of embeddings written.", report.bytes)
        changes = Gauge(
            "changed_items", "Items by change.", ["change"], namespace=NAMESPACE, registry=registry
        )
        changes.labels("added").set(found.added)
        changes.labels("text").set(found.changed_text)
        changes.labels("fields").set(found.changed_fields)
        changes.labels("removed").set(len(found.removed))
    return generate_latest(registry).decode()


def last_success(path: Path) -> float:
    """When a refresh last succeeded as the file says, else 0: a damaged file tells nothing."""
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return 0.0
    values = (s.value for family in families for s in family.samples if s.name == SUCCESS)
    return next(values, 0.0)
