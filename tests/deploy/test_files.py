"""Shell scripts, the balancer's configuration, locks, and names that stand in several files."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.settings import Settings

SCRIPTS = sorted([*Path("deploy").rglob("*.sh"), Path(".ci/run")])
LOCKS = {  # lock: the extras it holds
    "service": ("service", "tracing"),
    "service-cuda": ("service-gpu", "tracing"),
    "teacher": ("teacher",),
    "trainer": ("trainer", "exporter"),
    "trainer-cuda": ("trainer", "exporter"),
}
SETTING_FILES = (
    "deploy/kubernetes/base/workload/settings.env",
    "deploy/systemd/settings.env",
    "deploy/compose.yaml",
    *map(str, Path("deploy").glob("service*.Dockerfile")),
)


@pytest.mark.network
@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_shellcheck_finds_nothing(script: Path) -> None:
    """Every shell script of deployment and CI."""
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.network
def test_shell_inside_manifests_is_checked_too(tmp_path: Path) -> None:
    """The one script that a manifest carries."""
    job = next(
        one
        for one in yaml.safe_load_all(
            Path("deploy/kubernetes/overlays/redis-cluster/redis.yaml").read_text()
        )
        if one["kind"] == "Job"
    )
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["sh", "-euc"]
    (tmp_path / "init.sh").write_text("#!/bin/sh\n" + container["args"][0])

    done = subprocess.run(["shellcheck", str(tmp_path / "init.sh")], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.network
def test_haproxy_reads_its_configuration() -> None:
    """With the variables compose.yaml gives it, but addresses that resolve here."""
    told = yaml.safe_load(Path("deploy/compose.yaml").read_text())
    names = told["services"]["balancer"]["environment"]
    environment = {name: re.sub("service-[ab]", "127.0.0.1", one) for name, one in names.items()}

    done = subprocess.run(
        ["haproxy", "-c", "-f", "deploy/haproxy/haproxy.cfg"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "ALERT" not in done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize("file", SETTING_FILES)
def test_every_variable_of_ours_is_a_setting(file: str) -> None:
    """The service refuses names nobody knows: a misspelt one would keep it from starting."""
    names = set(re.findall(r"\bELLM_([A-Z_]+)\s*[=:]", Path(file).read_text()))

    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_extras_ask_for(lock: str) -> None:
    """Each requirement at a version it allows; `deploy/lock.sh` writes locks anew."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"]]
    for extra in LOCKS[lock]:
        asked += project["optional-dependencies"][extra]
    locked = read_lock(f"deploy/locks/{lock}.txt")

    for requirement in map(Requirement, asked):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name}: not in {lock}.txt; run deploy/lock.sh"
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_the_versions_that_are_tested(lock: str) -> None:
    """Where constraints.txt pins a package, an image has that version."""
    locked = read_lock(f"deploy/locks/{lock}.txt")
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", Path("constraints.txt").read_text(), re.M))
    both = {canonicalize_name(name): pin for name, pin in pinned.items()}

    differing = {n: (v, both[n]) for n, v in locked.items() if n in both and both[n] != v}
    assert differing == {}, "run deploy/lock.sh"


@pytest.mark.parametrize("lock", ["build", *LOCKS])
def test_everything_in_a_lock_has_a_hash_and_no_host(lock: str) -> None:
    """pip holds every file to its hash, wherever it comes from."""
    text = Path(f"deploy/locks/{lock}.txt").read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.M)[1:]

    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_what_serves_and_what_judges_has_no_torch() -> None:
    """Only the trainer's locks hold it."""
    having = {lock for lock in LOCKS if "torch" in read_lock(f"deploy/locks/{lock}.txt")}

    assert having == {"trainer", "trainer-cuda"}


def read_lock(path: str) -> dict[str, str]:
    """Versions by canonical name."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s\\;]+)", Path(path).read_text(), re.M)
    return {canonicalize_name(name): version for name, version in found}
