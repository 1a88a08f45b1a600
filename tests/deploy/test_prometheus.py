"""Rules and configuration by promtool, and what is derived from them."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path("deploy/prometheus/rules.yml")
TESTS = sorted(Path("deploy/prometheus").glob("*_test.yml"))
RUNBOOKS = Path("docs/runbooks")
needs_promtool = pytest.mark.network


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)


def alerts() -> dict[str, Any]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


@needs_promtool
def test_promtool_reads_the_rules() -> None:
    """Every expression parses, every template renders."""
    done = promtool("check", "rules", RULES)

    assert done.returncode == 0, done.stderr


@needs_promtool
def test_alerts_fire_on_what_they_are_for_and_on_nothing_else() -> None:
    """Synthetic series, evaluated by Prometheus itself."""
    done = promtool("test", "rules", *TESTS)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_notices_an_alert_that_never_fires(tmp_path: Path) -> None:
    """A check that cannot fail would say nothing."""
    (tmp_path / "rules.yml").write_text(RULES.read_text().replace("or absent(", "or topk(0, "))
    cases = yaml.safe_load(Path("deploy/prometheus/rules_test.yml").read_text())
    (absent,) = (one for one in cases["tests"] if one["name"] == "the service is not even there")
    (tmp_path / "test.yml").write_text(yaml.safe_dump(cases | {"tests": [absent]}))

    done = promtool("test", "rules", tmp_path / "test.yml")

    assert done.returncode != 0
    assert "RelevanceDown" in done.stdout + done.stderr


@needs_promtool
def test_promtool_reads_the_configuration_of_compose() -> None:
    """Its files but the secret are there, too."""
    done = promtool("check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml")

    assert done.returncode == 0, done.stderr


def test_every_alert_is_tested_to_fire() -> None:
    """For each there is a case in which it is expected."""
    cases = [
        one
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for one in test["alert_rule_test"]
    ]

    assert {one["alertname"] for one in cases if one["exp_alerts"]} == set(alerts())


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The annotation names a page, and no page is left over."""
    named = {name: rule["annotations"]["runbook"] for name, rule in alerts().items()}

    assert named == {name: f"{RUNBOOKS}/{name}.md" for name in named}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(named)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_how_to_look_and_what_to_do(page: Path) -> None:
    """Three headings in this order, with words under each."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.M)

    assert parts[0].startswith(f"# {page.stem}\n")
    assert parts[1::2] == ["Meaning", "Look", "Do"]
    assert all(len(text.split()) >= 10 for text in parts[2::2])


def test_severities_are_two() -> None:
    """Somebody is woken, or reads it in the morning."""
    assert {rule["labels"]["severity"] for rule in alerts().values()} == {"page", "ticket"}


def test_what_is_derived_is_up_to_date() -> None:
    """Dashboards and the operator's resource say what their sources say."""
    done = subprocess.run(
        [sys.executable, "deploy/render.py", "--check"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


def test_the_operators_resource_holds_the_same_groups() -> None:
    """In a cluster the alerts are those that promtool tested."""
    resource = yaml.safe_load(Path("deploy/kubernetes/base/prometheus-rule.yaml").read_text())

    assert resource["spec"]["groups"] == copy.deepcopy(yaml.safe_load(RULES.read_text())["groups"])
