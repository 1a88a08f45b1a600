"""deploy/compose.yaml by the Compose specification's schema, and by what must hold of it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE = Path("deploy/compose.yaml")
CHECKER = Path(sys.executable).parent / "check-jsonschema"


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    words = [str(CHECKER), "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.slow
def test_compose_is_what_the_specification_asks_for() -> None:
    """By the schema the Compose specification publishes."""
    done = checked(COMPOSE)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_specifications_schema_notices_a_misspelt_key(tmp_path: Path) -> None:
    """A check that cannot fail would say nothing."""
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE.read_text().replace("stop_grace_period", "stop_grace"))

    assert checked(path).returncode == 1


def test_what_is_mounted_from_the_repository_is_there() -> None:
    """Relative paths that no variable names exist beside the file."""
    mounts = [
        volume.split(":")[0]
        for service in services().values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]

    assert len(mounts) >= 5
    assert all((COMPOSE.parent / mount).exists() for mount in mounts), mounts


def test_every_variable_has_a_default_and_is_in_the_example() -> None:
    """`docker compose up` works without a file; the example names what there is."""
    text = COMPOSE.read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    with_default = set(re.findall(r"\$\{([A-Z_]+):?-", text))
    example = set(re.findall(r"^([A-Z_]+)=", Path("deploy/example.env").read_text(), re.M))

    assert used == with_default
    assert example <= used
    assert {name for name in used - example if not name.endswith("_IMAGE")} == set()


def test_containers_are_locked_and_only_balancer_and_grafana_are_reachable() -> None:
    """Read-only roots without capabilities; ports on this machine's loopback by default."""
    for name, service in services().items():
        if name != "llm":  # vLLM compiles kernels into its own root
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
        assert ("ports" in service) == (name in ("balancer", "grafana")), name
        for port in service.get("ports", ()):
            assert "127.0.0.1" in port


def test_replicas_have_time_to_drain() -> None:
    """The grace period is longer than the default drain delay and timeout together."""
    for name in ("service-a", "service-b"):
        assert int(services()[name]["stop_grace_period"].removesuffix("s")) > 35
