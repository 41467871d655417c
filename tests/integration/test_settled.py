"""A settled cluster writes nothing: every controller has had its say, and none has another word for it. Nor
does one that is asked for what can't be: that is told in Kubernetes' words, and then it is quiet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from integration import hollow
from integration.api_process import ApiProcess

QUIET_SECONDS, SECONDS = 2.0, 120.0
REPLICAS = 2
Obj = dict[str, Any]


def workload(name: str, **spec: Any) -> Obj:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}}
    return of(name, **({"selector": {"matchLabels": labels}, "template": template} | spec))


def of(name: str, **spec: Any) -> Obj:
    return {"metadata": {"name": name}, "spec": spec}


APPS, BATCH, CORE = "apis/apps/v1", "apis/batch/v1", "api/v1"
ONCE = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}]}}}
BUDGET = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
THERE: list[tuple[str, str, Obj]] = [
    (APPS, "deployments", workload("web", replicas=REPLICAS)),
    (APPS, "replicasets", workload("set", replicas=REPLICAS)),
    (APPS, "statefulsets", workload("db", replicas=REPLICAS, serviceName="db", minReadySeconds=1)),
    (APPS, "daemonsets", workload("log", minReadySeconds=1)),
    (CORE, "replicationcontrollers", workload("old", replicas=REPLICAS, selector={"app": "old"})),
    (CORE, "services", of("web", selector={"app": "web"}, ports=[{"port": 80}])),
    (BATCH, "jobs", of("once", **ONCE)),
    (BATCH, "cronjobs", of("new-year", schedule="0 0 1 1 *", jobTemplate={"spec": ONCE})),
    ("apis/policy/v1", "poddisruptionbudgets", of("web", **BUDGET)),
]
PODS = 5 * REPLICAS + 1  # a DaemonSet on two nodes, and the Job


SCALING = "apis/autoscaling/v2"
LABELS = {"app": "fight"}


def pods_of(labels: Obj, **spec: Any) -> Obj:
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c:1"} | spec]}}


HUGE = pods_of({"app": "huge"}, resources={"requests": {"cpu": "99"}})
NOWHERE = pods_of({"app": "nowhere"})
NOWHERE["spec"]["nodeSelector"] = {"no": "where"}
FIGHT = {"selector": {"matchLabels": LABELS}, "template": pods_of(LABELS)}
PARTS = {"type": "RollingUpdate", "rollingUpdate": {"partition": 7}}
LOST = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nothing"}
WISH = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
ILL: list[tuple[str, str, Obj]] = [
    (CORE, "resourcequotas", of("few", hard={"count/replicasets.apps": "9", "pods": "6"})),
    (APPS, "deployments", workload("huge", replicas=1, template=HUGE)),
    (APPS, "replicasets", workload("one", replicas=1, **FIGHT)),
    (APPS, "replicasets", workload("other", replicas=1, **FIGHT)),
    (APPS, "statefulsets", workload("part", replicas=2, serviceName="part", updateStrategy=PARTS)),
    (APPS, "statefulsets", workload("none", replicas=0, serviceName="none")),
    (APPS, "deployments", workload("many", replicas=9)),
    (APPS, "daemonsets", workload("nowhere", template=NOWHERE)),
    (BATCH, "cronjobs", of("never", schedule="0 0 30 2 *", jobTemplate={"spec": ONCE})),
    ("apis/policy/v1", "poddisruptionbudgets", of("web", **BUDGET)),
    (SCALING, "horizontalpodautoscalers", of("lost", scaleTargetRef=LOST, maxReplicas=2)),
    (CORE, "persistentvolumeclaims", of("data", storageClassName="none", **WISH)),
]
TOLD = {
    ("huge", "FailedScheduling", "0/2 nodes are available: 2 Insufficient cpu."),
    (
        "never",
        "InvalidSchedule",
        "invalid schedule: 0 0 30 2 * : time difference between two schedules is less than 1 second",
    ),
    (
        "many",
        "FailedCreate",
        "is forbidden: exceeded quota: few, requested: pods=1, used: pods=6, limited: pods=6",
    ),
    ("web", "NoPods", "No matching pods found"),
    ("lost", "FailedGetScale", 'deployments.apps "nothing" not found'),
    ("data", "ProvisioningFailed", 'storageclass.storage.k8s.io "none" not found'),
    ("hen", "OwnerRefInvalidNamespace", "does not exist in namespace"),
}


def told(api: ApiProcess) -> set[tuple[str, str, str]]:
    """Those of TOLD that were."""
    events = api.ask("GET", "/api/v1/namespaces/ill/events")[1]["items"]
    said = [(one["involvedObject"]["name"], one["reason"], one["message"]) for one in events]
    return {
        (name, reason, words)
        for name, reason, words in TOLD
        if any(about.startswith(name) and why == reason and words in message for about, why, message in said)
    }


def circle(api: ApiProcess) -> None:
    """Two that own each other; and one whose owner is said to be there, and is elsewhere."""
    uids = {}
    for space, name in (("ill", "egg"), ("ill", "chick"), ("default", "farm")):
        made = {"metadata": {"name": name}}
        uids[name] = api.ask("POST", f"/api/v1/namespaces/{space}/configmaps", made)[1]["metadata"]["uid"]
    for name, owner in (("egg", "chick"), ("chick", "egg")):
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uids[owner]}
        path = f"/api/v1/namespaces/ill/configmaps/{name}"
        found = api.ask("GET", path)[1]
        found["metadata"]["ownerReferences"] = [ref]
        assert api.ask("PUT", path, found)[0] == 200
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "farm", "uid": uids["farm"]}
    hen = {"metadata": {"name": "hen", "ownerReferences": [ref]}}
    assert api.ask("POST", "/api/v1/namespaces/ill/configmaps", hen)[0] == 201


def revision(api: ApiProcess) -> int:
    """The store's: whatever anybody writes raises it."""
    return int(api.ask("GET", "/api/v1/namespaces?limit=1")[1]["metadata"]["resourceVersion"])


def ready(api: ApiProcess) -> int:
    pods = api.ask("GET", "/api/v1/namespaces/default/pods")[1]["items"]
    said = [{one["type"]: one["status"] for one in pod["status"].get("conditions", ())} for pod in pods]
    return sum(one.get("Ready") == "True" for one in said)


def ask(api: ApiProcess, space: str, objects: list[tuple[str, str, Obj]]) -> None:
    for group, plural, obj in objects:
        status, answer = api.ask("POST", f"/{group}/namespaces/{space}/{plural}", obj)
        assert status == 201, answer


def rests(api: ApiProcess) -> None:
    """Until nothing at all is written for a while. Hollow kubelets have no leases to renew."""
    until, before = time.monotonic() + SECONDS, -1
    while (now := revision(api)) != before:
        assert time.monotonic() < until, "it never comes to rest"
        before = now
        time.sleep(QUIET_SECONDS)


def test_a_settled_cluster_writes_nothing(tmp_path: Path) -> None:
    with hollow.running(tmp_path) as api:
        ask(api, "default", THERE)
        until = time.monotonic() + SECONDS
        while ready(api) != PODS:
            assert time.monotonic() < until, "the pods never ran"
            time.sleep(0.1)
        rests(api)
        api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "ill"}})
        ask(api, "ill", ILL)
        circle(api)
        until = time.monotonic() + SECONDS
        while missing := TOLD - told(api):
            assert time.monotonic() < until, missing
            time.sleep(0.1)
        rests(api)
