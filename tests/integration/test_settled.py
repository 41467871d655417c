"""A settled cluster writes nothing: every controller has had its say, and none has another word for it."""

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


def revision(api: ApiProcess) -> int:
    """The store's: whatever anybody writes raises it."""
    return int(api.ask("GET", "/api/v1/namespaces?limit=1")[1]["metadata"]["resourceVersion"])


def ready(api: ApiProcess) -> int:
    pods = api.ask("GET", "/api/v1/namespaces/default/pods")[1]["items"]
    said = [{one["type"]: one["status"] for one in pod["status"].get("conditions", ())} for pod in pods]
    return sum(one.get("Ready") == "True" for one in said)


def test_a_settled_cluster_writes_nothing(tmp_path: Path) -> None:
    """Hollow kubelets have no leases to renew, so that nothing at all may be written."""
    with hollow.running(tmp_path) as api:
        for group, plural, obj in THERE:
            status, answer = api.ask("POST", f"/{group}/namespaces/default/{plural}", obj)
            assert status == 201, answer
        until = time.monotonic() + SECONDS
        while ready(api) != PODS:
            assert time.monotonic() < until, "the pods never ran"
            time.sleep(0.1)
        before = -1
        while (now := revision(api)) != before:
            assert time.monotonic() < until, "it never comes to rest"
            before = now
            time.sleep(QUIET_SECONDS)
