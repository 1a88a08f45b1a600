"""Write what is derived: Grafana's dashboards, and the alert rules as the operator's resource.

    python deploy/render.py            # writes
    python deploy/render.py --check    # writes nothing; exit code 1 where a file is not up to date

The sources are `grafana/dashboards.toml` and `prometheus/rules.yml`. Needs PyYAML.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
WIDTH, HEIGHT, PER_ROW = 8, 8, 3
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def derived() -> dict[Path, str]:
    """Each derived file and what should stand in it."""
    described = tomllib.loads((HERE / "grafana/dashboards.toml").read_text(encoding="utf-8"))
    files = {
        HERE / f"grafana/dashboards/{name}.json": json.dumps(dashboard(name, one), indent=1) + "\n"
        for name, one in described.items()
    }
    return {**files, HERE / "kubernetes/base/prometheus-rule.yaml": rule_resource()}


def dashboard(name: str, described: dict[str, Any]) -> dict[str, Any]:
    """A dashboard in Grafana's JSON model."""
    return {
        "uid": f"relevance-{name}",
        "title": described["title"],
        "tags": ["relevance"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource_variable(), _job_variable()]},
        "annotations": {"list": []},
        "panels": [_panel(at, one) for at, one in enumerate(described["panels"])],
    }


def rule_resource() -> str:
    """A PrometheusRule with the groups of rules.yml."""
    rules = yaml.safe_load((HERE / "prometheus/rules.yml").read_text(encoding="utf-8"))
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "relevance"},
        "spec": {"groups": rules["groups"]},
    }
    note = "# Written by deploy/render.py from deploy/prometheus/rules.yml.\n"
    return note + yaml.safe_dump(resource, sort_keys=False, width=100)


def _panel(at: int, described: dict[str, Any]) -> dict[str, Any]:
    row, column = divmod(at, PER_ROW)
    return {
        "id": at + 1,
        "type": "timeseries",
        "title": described["title"],
        "description": described["tells"],
        "datasource": DATASOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": described["unit"], "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": list(_targets(described["queries"])),
    }


def _targets(queries: list[list[str]]) -> Iterator[dict[str, Any]]:
    for number, (legend, expression) in enumerate(queries):
        yield {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "expr": expression,
            "legendFormat": legend,
        }


def _datasource_variable() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}


def _job_variable() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "Service",
        "type": "query",
        "datasource": DATASOURCE,
        "query": "label_values(relevance_ready_workers, job)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def main() -> int:
    """Write, or with --check compare."""
    stale = [p for p, text in derived().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path}: not up to date\nhint: python deploy/render.py\n")
        return int(bool(stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(derived()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
