"""Pods: admission, binding, what may change, and what kubectl prints of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.objects.errors import BadRequest, Conflict, Forbidden, Invalid, MethodNotAllowed
from mini8s.objects.kinds import CONFIGMAPS, PODS, SERVICEACCOUNTS, Obj
from mini8s.registry.kinds import pod_words

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def bind(cluster: Cluster, node: str = "n1", **metadata: Any) -> Any:
    said = {"metadata": {"name": "web", **metadata}, "target": {"kind": "Node", "name": node}}
    return cluster.machine.create_subresource(cluster.ctx(), PODS, "default", "web", "binding", said)


def test_admission(cluster: Cluster) -> None:
    spec = cluster.create(PODS, pod())["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["tolerations"] == [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    ]


def test_admission_leaves_what_is_said(cluster: Cluster) -> None:
    cluster.create(SERVICEACCOUNTS, {"metadata": {"name": "robot"}})
    spec = cluster.create(
        PODS,
        pod(
            tolerations=[{"operator": "Exists"}],
            serviceAccountName="robot",
            priorityClassName="system-node-critical",
        ),
    )["spec"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert (spec["serviceAccountName"], spec["priority"]) == ("robot", 2000001000)


def test_priorities_that_are_not_there(cluster: Cluster) -> None:
    with pytest.raises(Forbidden, match="no PriorityClass with name gold was found"):
        cluster.create(PODS, pod(priorityClassName="gold"))
    with pytest.raises(Forbidden, match=r"the integer value of priority \(7\) must not be provided"):
        cluster.create(PODS, pod(priority=7))


def test_a_new_pod_is_pending(cluster: Cluster) -> None:
    made = cluster.create(PODS, pod() | {"status": {"phase": "Running"}})
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_binding(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    assert bind(cluster, annotations={"why": "room"}) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
    bound = cluster.get(PODS, "web")
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"why": "room"}
    assert bound["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]
    with pytest.raises(Conflict) as refused:
        bind(cluster, "n2")
    assert refused.value.message == (
        'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"'
    )


def test_bindings_that_are_none(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    with pytest.raises(Invalid, match=r"target.name: Required value"):
        bind(cluster, "")
    with pytest.raises(BadRequest, match="does not match the name on the URL"):
        bind(cluster, name="other")
    with pytest.raises(Conflict, match="Precondition failed"):
        bind(cluster, uid="other")
    with pytest.raises(MethodNotAllowed):
        cluster.machine.create_subresource(cluster.ctx(), CONFIGMAPS, "default", "x", "binding", {})
    with pytest.raises(MethodNotAllowed):
        cluster.update(PODS, pod(), "binding")


def test_a_pod_that_is_going_is_not_bound(cluster: Cluster) -> None:
    gated = pod() | {"metadata": {"name": "web", "finalizers": ["x.io/y"]}}
    cluster.create(PODS, gated)
    cluster.delete(PODS, "web")
    with pytest.raises(Conflict, match="pod web is being deleted, cannot be assigned to a host"):
        bind(cluster)


def test_what_may_change(cluster: Cluster) -> None:
    made = cluster.create(PODS, pod(activeDeadlineSeconds=60))
    patch: Obj = {
        "metadata": {"labels": {"new": "label"}},
        "spec": {
            "activeDeadlineSeconds": 30,
            "containers": [{**made["spec"]["containers"][0], "image": "busybox:2"}],
            "tolerations": [*made["spec"]["tolerations"], {"key": "a", "operator": "Exists"}],
        },
    }
    assert cluster.patch(PODS, "web", patch)["metadata"]["generation"] == 2


def test_a_pods_own_manifest_can_be_put_again(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    bind(cluster)
    bound = cluster.get(PODS, "web")
    assert cluster.update(PODS, pod()) == bound
    newer = cluster.update(PODS, pod(containers=[{"name": "main", "image": "busybox:2"}]))
    assert newer["spec"]["nodeName"] == "n1"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hostNetwork": True}, "spec: Forbidden: pod updates may not change fields other than `spec.cont"),
        ({"nodeName": "n2"}, "changed: nodeName"),
        ({"activeDeadlineSeconds": 90}, "must be less than or equal to previous value"),
        ({"activeDeadlineSeconds": None}, "must not update from a positive integer to nil value"),
        ({"tolerations": []}, "existing toleration can not be modified except its tolerationSeconds"),
        ({"containers": [{"name": "a", "image": "b"}] * 2}, "pod updates may not add or remove containers"),
        ({"schedulingGates": [{"name": "x"}]}, "only deletion is allowed, but found new scheduling gate"),
    ],
)
def test_what_may_not(cluster: Cluster, spec: Obj, said: str) -> None:
    cluster.create(PODS, pod(activeDeadlineSeconds=60, tolerations=[{"key": "a", "operator": "Exists"}]))
    with pytest.raises(Invalid) as refused:
        cluster.patch(PODS, "web", {"spec": spec})
    assert said in refused.value.message


def test_the_kubelet_writes_the_status_and_no_more(cluster: Cluster) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u"}
    cluster.create(PODS, pod() | {"metadata": {"name": "web", "ownerReferences": [owner]}})
    told = cluster.patch(
        PODS,
        "web",
        {
            "metadata": {"ownerReferences": None, "annotations": {"a": "b"}},
            "spec": {"nodeName": "n9"},
            "status": {"phase": "Running"},
        },
        subresource="status",
    )
    assert told["metadata"]["ownerReferences"] == [owner]
    assert told["metadata"]["annotations"] == {"a": "b"}
    assert "nodeName" not in told["spec"]
    assert told["status"] == {"phase": "Running", "qosClass": "BestEffort"}


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
CRASH = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:50Z"}}


def state(name: str = "main", *, now: Obj, ready: bool = False, restarts: int = 0, last: Any = None) -> Obj:
    found = {"name": name, "state": now, "ready": ready, "restartCount": restarts}
    return found | ({"lastState": last} if last else {})


def shown(spec: Obj | None = None, *, deleted: bool = False, **status: Any) -> tuple[str, str, str]:
    found = pod(**(spec or {})) | {"status": status}
    if deleted:
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return pod_words.ready(found), pod_words.word(found), pod_words.restarts(found, NOW)


READY = [{"type": "Ready", "status": "True"}]
INIT = {"initContainers": [{"name": "first"}, {"name": "second"}]}
SIDECAR = {"initContainers": [{"name": "side", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("pod_said", "expected"),
    [
        ({"phase": "Pending"}, ("0/1", "Pending", "0")),
        (
            {"phase": "Running", "conditions": READY, "containerStatuses": [state(now=RUNNING, ready=True)]},
            ("1/1", "Running", "0"),
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    state(now={"waiting": {"reason": "CrashLoopBackOff"}}, restarts=3, last=CRASH)
                ],
            },
            ("0/1", "CrashLoopBackOff", "3 (10s ago)"),
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [state(now={"terminated": {"reason": "Completed"}})]},
            ("0/1", "Completed", "0"),
        ),
        (
            {"phase": "Failed", "containerStatuses": [state(now={"terminated": {"exitCode": 3}})]},
            ("0/1", "ExitCode:3", "0"),
        ),
        (
            {"phase": "Failed", "containerStatuses": [state(now={"terminated": {"signal": 9}})]},
            ("0/1", "Signal:9", "0"),
        ),
        ({"phase": "Failed", "reason": "Evicted"}, ("0/1", "Evicted", "0")),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            ("0/1", "SchedulingGated", "0"),
        ),
        (
            {"spec": INIT, "phase": "Pending", "initContainerStatuses": [state("first", now=RUNNING)]},
            ("0/1", "Init:0/2", "0"),
        ),
        (
            {
                "spec": INIT,
                "phase": "Pending",
                "initContainerStatuses": [
                    state("first", now={"terminated": {"exitCode": 0}}),
                    state("second", now={"waiting": {"reason": "ImagePullBackOff"}}, restarts=2, last=CRASH),
                ],
            },
            ("0/1", "Init:ImagePullBackOff", "2 (10s ago)"),
        ),
        (
            {"spec": INIT, "phase": "Pending", "initContainerStatuses": [state("first", now=CRASH)]},
            ("0/1", "Init:Error", "0"),
        ),
        (
            {
                "spec": INIT,
                "phase": "Running",
                "conditions": READY,
                "initContainerStatuses": [
                    state("first", now={"terminated": {"exitCode": 0}}, restarts=4),
                    state("second", now={"terminated": {"exitCode": 0}}),
                ],
                "containerStatuses": [state(now=RUNNING, ready=True)],
            },
            ("1/1", "Running", "0"),
        ),
        (
            {
                "spec": SIDECAR,
                "phase": "Running",
                "conditions": READY,
                "initContainerStatuses": [
                    state("side", now=RUNNING, ready=True, restarts=1, last=CRASH) | {"started": True}
                ],
                "containerStatuses": [state(now=RUNNING, ready=True)],
            },
            ("2/2", "Running", "1 (10s ago)"),
        ),
        (
            {"deleted": True, "phase": "Running", "containerStatuses": [state(now=RUNNING, ready=True)]},
            ("1/1", "Terminating", "0"),
        ),
        ({"deleted": True, "phase": "Running", "reason": "NodeLost"}, ("0/1", "Unknown", "0")),
        ({"deleted": True, "phase": "Succeeded"}, ("0/1", "Succeeded", "0")),
    ],
)
def test_words(pod_said: Any, expected: tuple[str, str, str]) -> None:
    assert shown(**pod_said) == expected


def test_what_a_status_says_of_the_spec_does_not_count_but_must_be_of_its_types(cluster: Cluster) -> None:
    made = cluster.create(PODS, pod())
    said = made | {"status": {"phase": "Running"}, "spec": made["spec"] | {"enableServiceLinks": 1}}
    with pytest.raises(BadRequest, match="cannot unmarshal number into field spec"):
        cluster.update(PODS, said, "status")
    said["spec"] = made["spec"] | {"nodeName": "n9"}
    said["metadata"] = made["metadata"] | {"labels": {"new": "label"}}
    kept = cluster.update(PODS, said, "status")
    assert (kept["spec"], kept["metadata"]["labels"]) == (made["spec"], {"new": "label"})
    ended = cluster.update(PODS, kept | {"status": {"phase": "Succeeded"}}, "status")
    assert list(ended) == list(made), "the order of the parts stays"
    with pytest.raises(BadRequest, match=r"status.phase"):
        cluster.update(PODS, ended | {"status": {"phase": 7}}, "status")
