"""The overlays, rendered by kubectl: valid by their schemas, and safe by what they say."""

import copy
from typing import Any

import kubernetes_validate
import pytest
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

from tests.deploy.rendered import OVERLAYS, environment, found, pods, rendered

pytestmark = pytest.mark.network  # needs kubectl

VERSIONS = ("1.30", "1.34")  # sidecars, sleep and so on have been there that long
OURS = {"monitoring.coreos.com/v1"}
MODELS = {
    "ServiceMonitor": prometheus_operator.ServiceMonitor,
    "PrometheusRule": prometheus_operator.PrometheusRule,
}
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def check_custom(resource: dict[str, Any]) -> None:
    """Raise where a resource is not what its definition's model takes, unknown fields included."""
    model = MODELS[resource["kind"]].model_validate(resource)
    read = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert read == resource, "a field the definition does not know was dropped"


@each_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_every_resource_is_what_kubernetes_schemas_ask_for(overlay: str, version: str) -> None:
    """Strictly: a field the schema does not know is an error."""
    ordinary = [one for one in rendered(overlay) if one["apiVersion"] not in OURS]

    assert ordinary
    for resource in ordinary:
        kubernetes_validate.validate(resource, version, strict=True)


@each_overlay
def test_custom_resources_are_what_their_definitions_ask_for(overlay: str) -> None:
    """By models made of the Prometheus operator's own definitions."""
    custom = [one for one in rendered(overlay) if one["apiVersion"] in OURS]

    assert bool(custom) == (overlay != "canary")
    for resource in custom:
        check_custom(resource)


def test_the_checks_notice_a_misspelt_field() -> None:
    """A check that cannot fail would say nothing."""
    deployment = copy.deepcopy(found("cpu", "Deployment", "relevance"))
    deployment["spec"]["replica"] = 2
    rule = copy.deepcopy(found("cpu", "PrometheusRule"))
    rule["spec"]["groups"][0]["rules"][0]["expression"] = "up"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)
    with pytest.raises(AssertionError, match="dropped"):
        check_custom(rule)


@each_overlay
def test_no_container_may_be_root_write_its_root_or_gain_rights(overlay: str) -> None:
    """Every pod would pass the `restricted` standard its namespace enforces."""
    for name, pod in pods(overlay).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"], name
            assert rights["allowPrivilegeEscalation"] is False, name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name


@each_overlay
def test_secrets_are_named_and_never_written_down(overlay: str) -> None:
    """No Secret is rendered, and no variable that is one has a value."""
    assert all(one["kind"] != "Secret" for one in rendered(overlay))
    for name, pod in pods(overlay).items():
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            for one in container.get("env", ()):
                is_secret = any(w in one["name"] for w in ("KEY", "PASSWORD", "AUTH", "REDIS_URL"))
                assert not (is_secret and "value" in one), (name, one)


@each_overlay
def test_a_pod_has_time_to_drain(overlay: str) -> None:
    """The grace period is longer than preStop, drain delay and drain timeout together."""
    name = "relevance-canary" if overlay == "canary" else "relevance"
    told = environment(overlay, name)
    pod = pods(overlay)[f"Deployment/{name}"]
    (asleep,) = (
        int(c["lifecycle"]["preStop"]["exec"]["command"][1])
        for c in pod["containers"]
        if "lifecycle" in c
    )

    drain = float(told["ELLM_DRAIN_DELAY"]) + float(told["ELLM_DRAIN_TIMEOUT"])

    assert pod["terminationGracePeriodSeconds"] > asleep + drain


@each_overlay
def test_what_a_pod_refers_to_is_rendered_or_comes_from_outside(overlay: str) -> None:
    """Claims, accounts and config maps are there; a canary shares what is the stable one's."""
    beside = rendered("cpu") if overlay == "canary" else ()
    names = {(one["kind"], one["metadata"]["name"]) for one in (*rendered(overlay), *beside)}
    for pod in pods(overlay).values():
        assert ("ServiceAccount", pod["serviceAccountName"]) in names
        for volume in pod.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names
        for container in pod["containers"]:
            for source in container.get("envFrom", ()):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names


@pytest.mark.parametrize("overlay", ["cpu", "cuda", "redis-cluster"])
def test_one_refresh_writes_at_a_time(overlay: str) -> None:
    """The cluster starts no second job; the store's lock is the store's."""
    job = found(overlay, "CronJob", "relevance-refresh")

    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_stable_and_canary_never_own_each_others_pods_and_share_a_service() -> None:
    """Selectors are disjoint by track, and the Service's knows no track."""
    selectors = [
        found(overlay, "Deployment", name)["spec"]["selector"]["matchLabels"]
        for overlay, name in (("cpu", "relevance"), ("canary", "relevance-canary"))
    ]
    service = found("cpu", "Service", "relevance")["spec"]["selector"]

    assert [one["relevance/track"] for one in selectors] == ["stable", "canary"]
    assert all(service.items() <= one.items() for one in selectors)


def test_the_autoscaler_goes_by_queue_depth_and_processor() -> None:
    """Both signals, and a metric that the service exports (test_live_metrics has its name)."""
    scaler = found("cpu", "HorizontalPodAutoscaler")["spec"]
    by = {
        one.get("pods", one.get("resource"))["metric"]["name"]
        if "pods" in one
        else one["resource"]["name"]
        for one in scaler["metrics"]
    }

    assert by == {"relevance_queue_depth", "cpu"}
    assert scaler["scaleTargetRef"]["name"] == "relevance"
    assert scaler["minReplicas"] >= 2


def test_replicas_of_the_redis_overlay_share_no_volume() -> None:
    """Each has a store of its own, filled before it serves and followed from then on."""
    pod = pods("redis-cluster")["Deployment/relevance"]
    store = next(volume for volume in pod["volumes"] if volume["name"] == "store")

    assert "emptyDir" in store
    assert "persistentVolumeClaim" not in store
    assert [one["args"][:2] for one in pod["initContainers"]] == [["redis", "fill"]]
    assert ["redis", "follow"] in [one["args"][:2] for one in pod["containers"]]
