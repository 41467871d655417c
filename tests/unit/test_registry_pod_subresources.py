"""pods/ephemeralcontainers and pods/resize: the only changes of a running pod's containers."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.objects.errors import Forbidden, Invalid
from mini8s.objects.kinds import LIMITRANGES, NAMESPACES, PODS, RESOURCEQUOTAS, SERVICES, Obj

EPHEMERAL, RESIZE = "ephemeralcontainers", "resize"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def debugger(name: str = "debugger", **more: Any) -> Obj:
    return {"name": name, "image": "busybox:1", **more}


def debug(cluster: Cluster, *containers: Obj) -> Obj:
    patch = {"spec": {"ephemeralContainers": list(containers)}}
    return cluster.patch(PODS, "web", patch, type="strategic-merge-patch", subresource=EPHEMERAL)


def sized(requests: Obj | None = None, limits: Obj | None = None, **more: Any) -> Obj:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"name": "main", "image": "busybox:1", "resources": resources, **more}


def resize(cluster: Cluster, requests: Obj | None = None, limits: Obj | None = None, **more: Any) -> Obj:
    container = {"name": "main", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}
    return cluster.patch(
        PODS, "web", {"spec": {"containers": [container]}}, type="strategic-merge-patch", subresource=RESIZE
    )


def causes(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in refused.value.causes]


def test_a_debugger_joins_a_running_pod_and_nothing_else_changes(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    sent = cluster.get(PODS, "web")
    sent["spec"] |= {"ephemeralContainers": [debugger(targetContainerName="main")], "priority": 7}
    sent["metadata"]["labels"] = {"app": "other"}
    made = cluster.update(PODS, sent, EPHEMERAL)
    assert made["spec"]["ephemeralContainers"][0] == {
        "name": "debugger",
        "image": "busybox:1",
        "targetContainerName": "main",
        "imagePullPolicy": "IfNotPresent",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    assert (made["spec"]["priority"], made["metadata"]["labels"]) == (0, {"app": "web"})
    assert made["metadata"]["generation"] == 2
    again = debug(cluster, debugger("second"))
    assert {item["name"] for item in again["spec"]["ephemeralContainers"]} == {"debugger", "second"}


def test_a_pod_with_a_debugger_can_still_be_labelled(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    debug(cluster, debugger())
    assert cluster.patch(PODS, "web", {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"]["a"] == "b"


@pytest.mark.parametrize(
    ("container", "field", "message"),
    [
        (debugger("main"), "spec.ephemeralContainers[0].name", 'Duplicate value: "main"'),
        (debugger(image=""), "spec.ephemeralContainers[0].image", "Required value"),
        (
            debugger(targetContainerName="x"),
            "spec.ephemeralContainers[0].targetContainerName",
            'Not found: "x"',
        ),
        (
            debugger(ports=[{"containerPort": 80}]),
            "spec.ephemeralContainers[0].ports",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            debugger(resources={"limits": {"cpu": "1"}}),
            "spec.ephemeralContainers[0].resources",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
    ],
)
def test_what_a_debugger_may_not_have(cluster: Cluster, container: Obj, field: str, message: str) -> None:
    cluster.create(PODS, pod())
    with pytest.raises(Invalid) as refused:
        debug(cluster, container)
    assert (field, message) in causes(refused)


def test_a_debugger_stays_as_it_is(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    debug(cluster, debugger())
    with pytest.raises(Invalid, match='existing ephemeral containers "debugger" may not be changed'):
        debug(cluster, debugger(image="busybox:2"))
    sent = cluster.get(PODS, "web")
    del sent["spec"]["ephemeralContainers"]
    with pytest.raises(Invalid, match='existing ephemeral containers "debugger" may not be removed'):
        cluster.update(PODS, sent, EPHEMERAL)
    with pytest.raises(Invalid, match="cannot be set on create"):
        cluster.create(PODS, pod("new", ephemeralContainers=[debugger()]))


def test_a_debugger_keeps_to_the_namespaces_security_standard(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    label = {"pod-security.kubernetes.io/enforce": "baseline"}
    cluster.patch(NAMESPACES, "default", {"metadata": {"labels": label}})
    with pytest.raises(Forbidden, match="violates PodSecurity"):
        debug(cluster, debugger(securityContext={"privileged": True}))


def test_a_resize_changes_cpu_and_memory_and_nothing_else(cluster: Cluster) -> None:
    cluster.create(PODS, pod(containers=[sized({"cpu": "100m", "memory": "64Mi"})]))
    made = resize(cluster, {"cpu": "200m", "memory": "96Mi"}, image="other:1")
    container = made["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "200m", "memory": "96Mi"}}
    assert (container["image"], made["metadata"]["generation"]) == ("busybox:1", 2)


RESTART = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
BURST = ({"cpu": "100m", "memory": "64Mi"}, {"memory": "128Mi"})


@pytest.mark.parametrize(
    ("requests", "limits", "field", "message"),
    [
        (
            {"cpu": "1", "memory": "1Gi"},
            {"cpu": "1", "memory": "1Gi"},
            "spec",
            'Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing',
        ),
        (
            {"cpu": "100m", "memory": "64Mi"},
            {"memory": "100Mi"},
            "spec.containers[0].resources.limits[memory]",
            "Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer",
        ),
        (
            {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Gi"},
            {"memory": "128Mi"},
            "spec",
            "Forbidden: only cpu and memory resources are mutable",
        ),
        (
            {"cpu": "100m", "memory": "256Mi"},
            {"memory": "128Mi"},
            "spec.containers[0].resources.requests",
            'Invalid value: "256Mi": must be less than or equal to memory limit of 128Mi',
        ),
    ],
)
def test_what_a_resize_may_not_do(
    cluster: Cluster, requests: Obj, limits: Obj, field: str, message: str
) -> None:
    cluster.create(PODS, pod(containers=[sized(*BURST)]))
    with pytest.raises(Invalid) as refused:
        resize(cluster, requests, limits)
    assert (field, message) in causes(refused)


def test_a_resize_takes_nothing_away(cluster: Cluster) -> None:
    cluster.create(PODS, pod(containers=[sized(*BURST)]))
    sent = cluster.get(PODS, "web")
    del sent["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    with pytest.raises(Invalid, match="resource requests cannot be removed"):
        cluster.update(PODS, sent, RESIZE)
    sent = cluster.get(PODS, "web")
    sent["spec"]["containers"].append({"name": "more", "image": "i"})
    with pytest.raises(Invalid, match="containers may not be added or removed on resize"):
        cluster.update(PODS, sent, RESIZE)


def test_what_runs_before_the_others_is_not_resized_but_a_sidecar_is(cluster: Cluster) -> None:
    first = {"name": "first", "image": "i"}
    beside = {"name": "beside", "image": "i", "restartPolicy": "Always"}
    cluster.create(PODS, pod(initContainers=[first, beside], containers=[sized(*BURST)]))
    for place, allowed in ((1, True), (0, False)):
        sent = cluster.get(PODS, "web")
        sent["spec"]["initContainers"][place]["resources"] = {"requests": {"cpu": "50m"}}
        if allowed:
            made = cluster.update(PODS, sent, RESIZE)["spec"]["initContainers"][place]
            assert made["resources"] == {"requests": {"cpu": "50m"}}
            continue
        with pytest.raises(Invalid, match="resources for non-sidecar init containers are immutable"):
            cluster.update(PODS, sent, RESIZE)


def test_less_memory_needs_a_restart(cluster: Cluster) -> None:
    cluster.create(PODS, pod(containers=[sized(*BURST, resizePolicy=RESTART)]))
    made = resize(cluster, {}, {"memory": "100Mi"})
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"memory": "100Mi"}
    with pytest.raises(Invalid, match="only cpu and memory resources are mutable"):
        resize(cluster, resizePolicy=[{"resourceName": "memory", "restartPolicy": "NotRequired"}])


def test_a_node_that_cannot_resize_is_not_asked_to(cluster: Cluster) -> None:
    cluster.create(PODS, pod(containers=[sized(*BURST)]))
    running = {"name": "main", "state": {"running": {}}}
    cluster.patch(PODS, "web", {"status": {"containerStatuses": [running]}}, subresource="status")
    with pytest.raises(Invalid, match="Pod running on node without support for resize"):
        resize(cluster, {"cpu": "200m"})
    able = running | {"resources": {}}
    cluster.patch(PODS, "web", {"status": {"containerStatuses": [able]}}, subresource="status")
    assert resize(cluster, {"cpu": "200m"})["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "200m"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"resourceName": "disk", "restartPolicy": "NotRequired"}, 'supported values: "cpu", "memory"'),
        ({"resourceName": "cpu"}, "Required value"),
        ({"resourceName": "cpu", "restartPolicy": "RestartContainer"}, "must be 'NotRequired' when"),
    ],
)
def test_resize_policies(cluster: Cluster, policy: Obj, message: str) -> None:
    container = {"name": "main", "image": "i", "resizePolicy": [policy]}
    with pytest.raises(Invalid, match=message):
        cluster.create(PODS, pod(containers=[container], restartPolicy="Never"))


def test_a_resize_keeps_to_quota_and_limits(cluster: Cluster) -> None:
    cluster.create(PODS, pod(containers=[sized({"cpu": "100m", "memory": "64Mi"})]))
    cluster.create(RESOURCEQUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "300m"}}})
    assert resize(cluster, {"cpu": "300m"})
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: requests\.cpu=400m, used"):
        resize(cluster, {"cpu": "400m"})
    limits = {"limits": [{"type": "Container", "min": {"cpu": "200m"}}]}
    cluster.create(LIMITRANGES, {"metadata": {"name": "l"}, "spec": limits})
    with pytest.raises(Forbidden, match="minimum cpu usage per Container is 200m, but request is 100m"):
        resize(cluster, {"cpu": "100m"})


def test_a_service_that_opens_ports_later_counts_then(cluster: Cluster) -> None:
    hard = {"services.nodeports": "0"}
    cluster.create(RESOURCEQUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    cluster.create(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: services\.nodeports=1"):
        cluster.patch(SERVICES, "web", {"spec": {"type": "NodePort"}})
