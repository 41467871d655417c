"""What `mini8s why` says of each trouble that people have, from what the API shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mini8s.cli.causes import ANSWERS
from mini8s.objects import kinds, meta
from mini8s.objects.kinds import Kind, Obj


class Shown:
    """A cluster that is a list of objects."""

    def __init__(self, *objects: Obj) -> None:
        self._objects = objects

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        return next((obj for obj in self.list(kind, namespace) if meta.name(obj) == name), None)

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        return [obj for obj in self._objects if obj["kind"] == kind.kind and meta.namespace(obj) == namespace]

    def events(self, obj: Obj) -> Sequence[Obj]:
        return [
            one
            for one in self._objects
            if one["kind"] == "Event"
            and one["involvedObject"] == {"kind": obj["kind"], "name": meta.name(obj)}
        ]


def made(kind: str, name: str, status: Obj | None = None, **spec: Any) -> Obj:
    space = {} if kind in {"Node", "StorageClass", "PersistentVolume"} else {"namespace": "default"}
    return {
        "kind": kind,
        "metadata": {"name": name, "uid": f"{kind}-{name}", **space},
        "spec": spec,
        "status": status or {},
    }


def with_meta(obj: Obj, **more: Any) -> Obj:
    return obj | {"metadata": obj["metadata"] | more}


def condition(kind: str, status: str, message: str = "", reason: str = "") -> Obj:
    return {"type": kind, "status": status, "message": message, "reason": reason}


def event(about: Obj, reason: str, message: str) -> Obj:
    involved = {"kind": about["kind"], "name": meta.name(about)}
    return {
        "kind": "Event",
        "metadata": {"name": reason, "namespace": "default"},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
    }


def owned(obj: Obj, owner: Obj, **labels: str) -> Obj:
    refs = [{"kind": owner["kind"], "uid": meta.uid(owner), "name": meta.name(owner), "controller": True}]
    return with_meta(obj, ownerReferences=refs, labels=labels)


WELL = made("Node", "a", {"conditions": [condition("Ready", "True")]})
LOST = made("Node", "a", {"conditions": [condition("Ready", "Unknown")]})
LEASE = {
    "kind": "Lease",
    "metadata": {"name": "a", "namespace": "kube-node-lease"},
    "spec": {"renewTime": "2026-01-01T00:00:00Z"},
}


def running(name: str = "p", ready: str = "True", container: Obj | None = None, **spec: Any) -> Obj:
    state = {"name": "c", "ready": ready == "True", "state": {"running": {}}} | (container or {})
    status = {"phase": "Running", "conditions": [condition("Ready", ready)], "containerStatuses": [state]}
    return made("Pod", name, status, nodeName="a", containers=[{"name": "c"}], **spec)


def waiting(reason: str, message: str, **more: Any) -> Obj:
    return {"state": {"waiting": {"reason": reason, "message": message}}, "ready": False, **more}


UNPLACED = made(
    "Pod",
    "p",
    {"conditions": [condition("PodScheduled", "False", "0/1 nodes are available: 1 Insufficient cpu.")]},
)
GONE = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
NO_CLAIM = with_meta(UNPLACED) | {
    "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
}
CORDONED = WELL | {"spec": {"unschedulable": True}}


@pytest.mark.parametrize(
    ("pod", "others", "said"),
    [
        (running(), [WELL], "pod/p: it runs on a and is ready"),
        (UNPLACED, [WELL], "pod/p: no node will do: 0/1 nodes are available: 1 Insufficient cpu"),
        (
            UNPLACED,
            [CORDONED],
            (
                "pod/p: no node will do: 0/1 nodes are available: 1 Insufficient cpu\n"
                "  node/a: it is cordoned: it keeps its pods and takes no new ones"
            ),
        ),
        (
            NO_CLAIM,
            [],
            (
                "pod/p: no node will do: 0/1 nodes are available: 1 Insufficient cpu\n"
                "  persistentvolumeclaim/data: it does not exist"
            ),
        ),
        (
            UNPLACED | {"status": UNPLACED["status"] | {"nominatedNodeName": "a"}},
            [],
            "pod/p: it waits until others have made room for it on a",
        ),
        (
            made("Pod", "p", schedulingGates=[{"name": "x.io/y"}]),
            [],
            "pod/p: it waits until somebody removes its gates: x.io/y",
        ),
        (
            made("Pod", "p", schedulerName="mine"),
            [],
            "pod/p: mine has not looked at it yet, or there is no such scheduler",
        ),
        (
            running(),
            [LOST, LEASE],
            (
                "pod/p: its host is not heard of; it is replaced when it no longer tolerates that\n"
                "  node/a: it is lost: its agent has said nothing since 2026-01-01T00:00:00Z"
            ),
        ),
        (
            with_meta(running(), annotations={"mini8s.io/on-node-lost": "keep"}),
            [LOST, LEASE],
            (
                "pod/p: it is its host's, which keeps it, and comes back with it\n"
                "  node/a: it is lost: its agent has said nothing since 2026-01-01T00:00:00Z"
            ),
        ),
        (running(), [], "pod/p: it is of node a, which is not there any more"),
        (
            running(ready="False", container=waiting("ErrImagePull", "manifest unknown")),
            [WELL],
            "pod/p: container c can't start: ErrImagePull: manifest unknown",
        ),
        (
            running(
                ready="False",
                container=waiting("CrashLoopBackOff", "back-off 10s", lastState=GONE, restartCount=3),
            ),
            [WELL],
            "pod/p: container c ended with 137 (OOMKilled), 3 times now, and is tried again: back-off 10s",
        ),
        (
            running(ready="False", container={"ready": False}),
            [
                WELL,
                event(
                    running(), "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500"
                ),
            ],
            (
                "pod/p: container c runs, and its readiness probe says that it is not ready "
                "(Readiness probe failed: HTTP probe failed with statuscode: 500)"
            ),
        ),
        (
            running(ready="False", container={"ready": False, "started": False}),
            [WELL],
            "pod/p: container c has not started up: its startup probe has not succeeded yet",
        ),
        (
            running(ready="False", container={"ready": True}, readinessGates=[{"conditionType": "x.io/lb"}]),
            [WELL],
            "pod/p: it waits for its readiness gate x.io/lb",
        ),
        (
            running(ready="False", container=waiting("ContainerCreating", "")),
            [
                WELL,
                event(
                    running(),
                    "FailedMount",
                    'MountVolume.SetUp failed for volume "c" : no "x"',
                ),
            ],
            'pod/p: it can\'t start on a yet: MountVolume.SetUp failed for volume "c" : no "x"',
        ),
        (
            made(
                "Pod", "p", {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
            ),
            [],
            "pod/p: it has failed: Evicted: The node was low on memory",
        ),
        (
            made("Pod", "p", {"phase": "Failed", "containerStatuses": [{"name": "c", "state": GONE}]}),
            [],
            "pod/p: it has failed: container c ended with 137 (OOMKilled)",
        ),
        (
            with_meta(running(), deletionTimestamp="2026-01-01T00:00:30Z", finalizers=["x.io/y"]),
            [WELL],
            "pod/p: it is deleted since 2026-01-01T00:00:30Z, and waits for the finalizers x.io/y",
        ),
    ],
)
def test_pods(pod: Obj, others: Sequence[Obj], said: str) -> None:
    assert "\n".join(ANSWERS[kinds.PODS](Shown(pod, *others), pod).lines()) == said


DEPLOYMENT = made(
    "Deployment", "web", {"availableReplicas": 1, "updatedReplicas": 2, "replicas": 2}, replicas=2
)
REPLICAS = owned(made("ReplicaSet", "web-1", {"availableReplicas": 1}, replicas=2), DEPLOYMENT)
FULL = "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"


def test_a_deployment_leads_to_the_pod_that_ails_and_further() -> None:
    first = owned(running("web-a"), REPLICAS)
    second = owned(with_meta(UNPLACED, name="web-b"), REPLICAS)
    cordoned = WELL | {"spec": {"unschedulable": True}}
    world = Shown(DEPLOYMENT, REPLICAS, first, second, cordoned)
    assert list(ANSWERS[kinds.DEPLOYMENTS](world, DEPLOYMENT).lines()) == [
        "deployment/web: 1 of 2 replicas is available",
        "  replicaset/web-1: 1 of 2 pods is available",
        "    pod/web-b: no node will do: 0/1 nodes are available: 1 Insufficient cpu",
        "      node/a: it is cordoned: it keeps its pods and takes no new ones",
    ]


@pytest.mark.parametrize(
    ("kind", "obj", "others", "said"),
    [
        (
            kinds.DEPLOYMENTS,
            DEPLOYMENT | {"status": {"conditions": [condition("ReplicaFailure", "True", FULL)]}},
            [],
            f"deployment/web: pods can't be made: {FULL}",
        ),
        (
            kinds.DEPLOYMENTS,
            DEPLOYMENT | {"status": {"availableReplicas": 2, "updatedReplicas": 2, "replicas": 2}},
            [],
            "deployment/web: all 2 replicas are available",
        ),
        (
            kinds.DEPLOYMENTS,
            made(
                "Deployment", "web", {"updatedReplicas": 0, "availableReplicas": 2}, replicas=2, paused=True
            ),
            [],
            "deployment/web: its rollout is paused: resume it to go on",
        ),
        (
            kinds.DEPLOYMENTS,
            with_meta(DEPLOYMENT, generation=3) | {"status": {"observedGeneration": 2}},
            [],
            "deployment/web: its controller has not seen its newest change yet",
        ),
        (
            kinds.STATEFULSETS,
            made("StatefulSet", "db", {"replicas": 1, "availableReplicas": 0}, replicas=3),
            [],
            (
                "statefulset/db: 0 of 3 pods are available, 3 pods still to be made; "
                "each pod waits for the one before"
            ),
        ),
        (
            kinds.DAEMONSETS,
            made("DaemonSet", "log", {"desiredNumberScheduled": 0}),
            [CORDONED],
            (
                "daemonset/log: no node is meant to run it: selector, affinity and taints leave none\n"
                "  node/a: it is cordoned: it keeps its pods and takes no new ones"
            ),
        ),
        (
            kinds.JOBS,
            made(
                "Job",
                "sum",
                {"conditions": [condition("Failed", "True", "Job has reached the specified backoff limit")]},
            ),
            [],
            "job/sum: it has failed: Job has reached the specified backoff limit",
        ),
        (
            kinds.JOBS,
            made("Job", "sum", {"conditions": [condition("Complete", "True")], "succeeded": 3}),
            [],
            "job/sum: it is done: 3 pods succeeded",
        ),
        (
            kinds.SERVICES,
            made("Service", "web"),
            [],
            "service/web: it selects no pods, and nobody has written endpoints for it",
        ),
        (
            kinds.SERVICES,
            made("Service", "web", selector={"app": "web"}),
            [with_meta(running(), labels={"app": "wbe"})],
            "service/web: no pod is labelled app=web\n  pod/p: it is labelled app=wbe",
        ),
        (
            kinds.SERVICES,
            made("Service", "web", selector={"app": "web"}),
            [with_meta(UNPLACED, labels={"app": "web"})],
            (
                "service/web: none of the 1 pod that it selects is ready\n"
                "  pod/p: no node will do: 0/1 nodes are available: 1 Insufficient cpu"
            ),
        ),
        (
            kinds.SERVICES,
            made("Service", "web", selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}]),
            [with_meta(running(), labels={"app": "web"}), WELL],
            "service/web: no container of its pods calls a port http",
        ),
        (
            kinds.SERVICES,
            made("Service", "web", clusterIP="10.43.0.9", ports=[{"port": 80}]),
            [
                {
                    "kind": "EndpointSlice",
                    "metadata": {"name": "web-1", "namespace": "default"},
                    "ports": [{"port": 80}],
                    "endpoints": [{"conditions": {"ready": True}}, {"conditions": {"ready": False}}],
                }
            ],
            "service/web: it answers at 10.43.0.9 on 80 with 1 ready pod",
        ),
        (
            kinds.PERSISTENTVOLUMECLAIMS,
            made("PersistentVolumeClaim", "data", {"phase": "Pending"}, storageClassName="fast"),
            [],
            (
                'persistentvolumeclaim/data: its storage class "fast" does not exist, '
                "and no volume that is there fits"
            ),
        ),
        (
            kinds.PERSISTENTVOLUMECLAIMS,
            made("PersistentVolumeClaim", "data", {"phase": "Pending"}, storageClassName="slow"),
            [made("StorageClass", "slow") | {"volumeBindingMode": "WaitForFirstConsumer"}],
            (
                "persistentvolumeclaim/data: it waits for a pod that uses it "
                '(class "slow" is WaitForFirstConsumer)'
            ),
        ),
        (
            kinds.PERSISTENTVOLUMECLAIMS,
            made("PersistentVolumeClaim", "data", {"phase": "Bound"}, volumeName="pv"),
            [],
            "persistentvolumeclaim/data: its volume pv is gone, and with it what was on it",
        ),
        (
            kinds.NODES,
            made("Node", "a", {"conditions": [condition("Ready", "False", "container runtime is down")]}),
            [],
            "node/a: it is not ready: container runtime is down",
        ),
    ],
)
def test_others(kind: Kind, obj: Obj, others: Sequence[Obj], said: str) -> None:
    assert "\n".join(ANSWERS[kind](Shown(obj, *others), obj).lines()) == said


def test_many_of_a_kind_are_counted() -> None:
    pods = [owned(with_meta(UNPLACED, name=f"web-{number}"), REPLICAS) for number in range(9)]
    lines = list(ANSWERS[kinds.REPLICASETS](Shown(REPLICAS, *pods, WELL), REPLICAS).lines())
    assert lines[1:] == [
        "  pod/web-0 and 8 more: no node will do: 0/1 nodes are available: 1 Insufficient cpu"
    ]
