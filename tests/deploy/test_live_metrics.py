"""Dashboards and rules against what the service, a refresh and the follower really export.

A real Prometheus scrapes a live service and node exporter's view of a refresh's file, evaluates our
rules, and is asked every query of every dashboard.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.experiments.counts import ExperimentCounts
from service.redis_tier.following import _metrics as follower_metrics
from service.refresh.job import RefreshReport
from service.refresh.metrics_file import Outcome, metrics_text, told_to
from service.refresh.refresh import refresh
from service.run_folder import Phase, RunFolder, WorkerState
from service.telemetry.metrics import Metrics
from tests.service.live_service import HOST, PATIENCE, eventually, free_port, live_service
from tests.service.make_bundle import make_bundle

DASHBOARDS = sorted(Path("deploy/grafana/dashboards").glob("*.json"))
RULES = Path("deploy/prometheus/rules.yml")
NAME = re.compile(r"\brelevance_[a-z_]+\b")
LABELS = {"relevance_track"}  # begins as our metrics do
PAIR = {"bundle": "b", "generation": "g", "sequence": 0, "created": 1.0, "degraded": ("x",)}
SELECTOR = re.compile(r"\b(relevance_[a-z_]+)\{([^}]*)\}")
SCRAPED = {"job", "instance", "le", "relevance_track", "quantile"}
# Metrics that show only after something that does not happen to a healthy service.
EVENTS = (
    "refused_total", "degraded", "teacher", "variant_", "shadow_", "pair_log", "experiment_plans",
    "change_lag", "changes_total", "relevance:failed",
)  # fmt: skip


def panel_queries() -> list[str]:
    return [
        target["expr"].replace("$__rate_interval", "20s").replace('"$job"', '".*"')
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]


def rule_queries() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@contextmanager
def running(words: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Watched:
    """A live Prometheus over live exporters."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}/api/v1"

    def ask(self, query: str) -> list[Any]:
        """The samples a query gives; fails where Prometheus does not understand it."""
        reply = httpx.get(f"{self.url}/query", params={"query": query}, timeout=PATIENCE)
        return list(reply.raise_for_status().json()["data"]["result"])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = tmp_path_factory.mktemp("watched")
    with told_to(root / "metrics/refresh.prom") as outcome:
        outcome.report = refreshed(root)
    exporter, prometheus = free_port(), free_port()
    exporter_words = [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={root / 'metrics'}",
        "--web.disable-exporter-metrics",
        f"--web.listen-address={HOST}:{exporter}",
    ]
    with live_service(root / "store", root / "log", workers=2) as service:
        targets = {"relevance": service.port, "relevance-refresh": exporter}
        (root / "rules.yml").write_text(RULES.read_text())
        (root / "prometheus.yml").write_text(configuration(targets))
        prometheus_words = [
            "prometheus",
            f"--config.file={root / 'prometheus.yml'}",
            f"--storage.tsdb.path={root / 'data'}",
            f"--web.listen-address={HOST}:{prometheus}",
        ]
        found = Watched(prometheus)
        with (
            running(exporter_words, root / "exporter.log"),
            running(prometheus_words, root / "prometheus.log"),
        ):
            eventually(lambda: len(found.ask("up == 1")) == 2)
            wanted = 'rate(relevance_request_seconds_count{route="/score"}[20s]) > 0'

            def is_seen() -> bool:
                service.post("/score", {"query": "red lamp", "item_ids": ["a", "b"]})
                return bool(found.ask(wanted)) and bool(found.ask("relevance:slow:ratio_rate6h"))

            eventually(is_seen)
            yield found


def configuration(targets: dict[str, int]) -> str:
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}"]}]}
        for job, port in targets.items()
    ]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return yaml.safe_dump({"global": every, "rule_files": ["rules.yml"], "scrape_configs": jobs})


@pytest.mark.slow
@pytest.mark.network
def test_every_query_of_every_dashboard_is_understood_and_shows_something(watched: Watched) -> None:
    """What shows nothing on a healthy service is named, and only that."""
    queries = panel_queries()
    unseen = {query for query in queries if not any(event in query for event in EVENTS)}

    def all_were_seen() -> bool:
        """A scrape that a busy machine missed hides a series until the next one."""
        unseen.difference_update([query for query in unseen if watched.ask(query)])
        return not unseen

    assert all(isinstance(watched.ask(query), list) for query in queries)
    eventually(all_were_seen, lacking=lambda: sorted(unseen))


@pytest.mark.slow
@pytest.mark.network
def test_rules_are_loaded_and_nothing_fires_on_a_healthy_service(watched: Watched) -> None:
    """Prometheus evaluates all of them without an error."""
    groups = httpx.get(f"{watched.url}/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(rules) == len(rule_queries())
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def exported(root: Path) -> dict[str, set[str]]:
    """Every metric of ours with its labels, whether or not anything has happened yet."""
    run = RunFolder(root / "run")
    run.make()
    seen = {"process_id": os.getpid(), "phase": Phase.READY, "ready": True, "seen": time.time()}
    run.write(WorkerState(**seen, **PAIR))
    metrics, port = Metrics(run), free_port()
    ExperimentCounts(metrics.registry)
    follower_metrics(port)
    found = {
        name: {*getattr(collector, "_labelnames", ())}
        for name, collector in metrics.registry._names_to_collectors.items()
    }
    texts = [
        metrics.text().decode(),
        httpx.get(f"http://{HOST}:{port}/metrics").text,
        metrics_text(Outcome(report=refreshed(root)), ended=1.0, before=0.0),
    ]
    for text in texts:
        for family in text_string_to_metric_families(text):
            found.setdefault(family.name, set())
            found.setdefault(f"{family.name}_total", set())
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def refreshed(root: Path) -> RefreshReport:
    make_bundle(root / "bundle")
    (root / "items.csv").write_text("item_id,title\na,oak desk\nb,red lamp\n")
    return refresh(
        bundle=root / "bundle", items=root / "items.csv", store=root / "store", workers=1
    )


def test_queries_and_rules_name_what_is_exported_and_labels_it_has(tmp_path: Path) -> None:
    """Every metric of ours in any query, every label it is selected by."""
    known = exported(tmp_path)
    queries = [*panel_queries(), *rule_queries()]
    selected = [found for query in queries for found in SELECTOR.findall(query)]
    names = {name for query in queries for name in NAME.findall(query)} - LABELS

    assert len(names) > 20
    assert names <= set(known)
    for name, matchers in selected:
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name] | SCRAPED, name


def test_the_autoscalers_metric_is_exported(tmp_path: Path) -> None:
    """What the autoscaler goes by."""
    text = Path("deploy/kubernetes/base/autoscaler.yaml").read_text()

    assert set(re.findall(r"name: (relevance_\w+)", text)) <= set(exported(tmp_path))
