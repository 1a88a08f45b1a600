"""The Kubernetes overlays as the real kubectl renders them."""

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

OVERLAYS = ("cpu", "cuda", "redis-cluster", "canary")
FOLDER = Path("deploy/kubernetes/overlays")


@functools.cache
def rendered(overlay: str) -> tuple[dict[str, Any], ...]:
    """Every resource of an overlay."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / overlay)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def found(overlay: str, kind: str, name: str | None = None) -> dict[str, Any]:
    """The one resource of a kind (and name)."""
    (one,) = (
        resource
        for resource in rendered(overlay)
        if resource["kind"] == kind and name in (None, resource["metadata"]["name"])
    )
    return one


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    """The pod specification of every workload, by `Kind/name`."""
    return {
        f"{one['kind']}/{one['metadata']['name']}": _pod(one)
        for one in rendered(overlay)
        if one["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob")
    }


def environment(overlay: str, deployment: str) -> dict[str, str]:
    """What a service container is told: its config maps' and its own plain variables."""
    container = found(overlay, "Deployment", deployment)["spec"]["template"]["spec"]["containers"][
        0
    ]
    told: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        told |= found(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return told | {one["name"]: one["value"] for one in container["env"] if "value" in one}


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return dict(spec["template"]["spec"])
