"""StatefulSets, DaemonSets and lost hosts on real Docker and two hosts, as Kubernetes' own pages tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from hosts.cluster import Cluster
from space import Obj, Space, container, space_of

LEASE_SECONDS, GRACE_SECONDS = 8, 11  # of a node's lease, and the server's patience with one
LEASE = f"--kubelet-arg=node-lease-duration-seconds={LEASE_SECONDS}"


@pytest.fixture(scope="module")
def two_hosts(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, f"--node-monitor-grace-period={GRACE_SECONDS}", LEASE)
        cluster.wait_ready("h1")
        cluster.agent(2, LEASE)
        cluster.wait_ready("h1", "h2")
        yield cluster


@pytest.fixture
def here(two_hosts: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(two_hosts, request) as made:
        yield made


def workload(kind: str, name: str, template: Obj, **spec: Any) -> Obj:
    """`template`: what its pods' spec says besides their one container. A grace of none would take a
    StatefulSet's pod out of the API before its host has ended it, as upstream's documentation warns."""
    pod = {"containers": [container("sleep 1000")], "terminationGracePeriodSeconds": 1} | template
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        }
        | spec,
    }


def named(here: Space, app: str) -> dict[str, Obj]:
    return {pod["metadata"]["name"]: pod for pod in here.get("pods", f"--selector=app={app}")["items"]}


def rolled_out(here: Space, what: str) -> None:
    here.kubectl("rollout", "status", what, "--timeout=120s")


def test_a_stateful_set_keeps_names_order_and_storage(here: Space) -> None:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db"},
        "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 80}]},
    }
    mounts = [{"name": "www", "mountPath": "/data"}]
    made = workload(
        "StatefulSet",
        "db",
        {"containers": [container("sleep 1000", volumeMounts=mounts)]},
        serviceName="db",
        replicas=2,
        volumeClaimTemplates=[{"metadata": {"name": "www"}, "spec": wish}],
    )
    here.apply(service, made)
    rolled_out(here, "statefulset/db")
    pods = named(here, "db")
    ready = next(one for one in pods["db-0"]["status"]["conditions"] if one["type"] == "Ready")
    assert pods["db-1"]["metadata"]["creationTimestamp"] >= ready["lastTransitionTime"]
    assert here.exec("db-0", "hostname") == "db-0\n"
    address = pods["db-1"]["status"]["podIP"]
    assert address in here.exec("db-0", f"nslookup db-1.db.{here.name}.svc.cluster.local")

    here.exec("db-0", "echo kept >/data/file")
    here.kubectl("delete", "pod", "db-0")
    here.kubectl("wait", "--for=condition=Ready", "pod/db-0", "--timeout=120s")
    assert here.exec("db-0", "cat /data/file") == "kept\n"

    here.kubectl("scale", "statefulset/db", "--replicas=1")
    here.kubectl("wait", "--for=delete", "pod/db-1", "--timeout=120s")
    assert "www-db-1" in here.kubectl("get", "pvc"), "claims outlive their pods"

    uid = here.pod("db-0")["metadata"]["uid"]
    here.kubectl("delete", "statefulset/db", "--cascade=orphan")
    here.apply(made)
    rolled_out(here, "statefulset/db")
    assert here.pod("db-0")["metadata"]["uid"] == uid, "taken over as it is"


def test_a_daemon_set_has_one_pod_on_each_host_that_fits(here: Space) -> None:
    here.apply(workload("DaemonSet", "log", {}))
    rolled_out(here, "daemonset/log")
    assert {pod["spec"]["nodeName"] for pod in named(here, "log").values()} == {"h1", "h2"}
    cluster = here.cluster

    def nodes() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in named(here, "log").values()}

    cluster.kubectl("taint", "node", "h2", "mine=x:NoExecute")
    try:
        cluster.wait_for("the pod to leave h2", lambda: nodes() == {"h1"})
    finally:
        cluster.kubectl("taint", "node", "h2", "mine-")
    cluster.wait_for("a pod on h2 again", lambda: nodes() == {"h1", "h2"})
    cluster.kubectl("cordon", "h2")
    try:
        here.kubectl("set", "env", "daemonset/log", "CHANGED=yes")
        rolled_out(here, "daemonset/log")
    finally:
        cluster.kubectl("uncordon", "h2")
    assert nodes() == {"h1", "h2"}, "daemons go where others may not"


def runs(here: Space, uid: str) -> bool:
    """Whether h2's engine runs a container of a pod."""
    labels = (f"label=mini8s.io/pod-uid={uid}", "label=mini8s.io/container")
    flags = [f"--filter={label}" for label in labels]
    return bool(here.cluster.hosts[2].docker("ps", "--quiet", *flags).strip())


def succeeded(here: Space, name: str, uid: str) -> None:
    """Wait for another pod of that name."""

    def found() -> bool:
        return bool(here.pod(name).get("metadata", {}).get("uid", uid) != uid)

    here.cluster.wait_for(f"another {name}", found)


def test_a_lost_host_s_pods_are_kept_fenced_or_replaced(here: Space) -> None:
    unreachable = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    policies = ("keep", "fence", "replace")
    cluster = here.cluster
    cluster.kubectl("cordon", "h1")
    for policy in policies:
        made = workload(
            "StatefulSet", policy, {"tolerations": [unreachable | {"tolerationSeconds": 1}]}, replicas=1
        )
        made["metadata"]["annotations"] = {"mini8s.io/on-node-lost": policy}
        here.apply(made)
    for policy in policies:
        rolled_out(here, f"statefulset/{policy}")
    cluster.kubectl("uncordon", "h1")
    uids = {policy: here.pod(f"{policy}-0")["metadata"]["uid"] for policy in policies}
    assert all(runs(here, uid) for uid in uids.values())

    cluster.hosts[2].cut()
    try:
        succeeded(here, "fence-0", uids["fence"])
        assert not runs(here, uids["fence"]), "it still ran when its successor came"
        here.wait_phase("fence-0", "Running")
        assert here.pod("fence-0")["spec"]["nodeName"] == "h1"
        deleted = "deletionTimestamp"
        cluster.wait_for("the other to be marked", lambda: deleted in here.pod("replace-0")["metadata"])
        assert here.pod("replace-0")["metadata"]["uid"] == uids["replace"], "nobody knows that it ended"
        kept = here.pod("keep-0")
        assert deleted not in kept["metadata"]
        assert runs(here, uids["keep"])
        assert runs(here, uids["replace"])
    finally:
        cluster.hosts[2].mend()
    cluster.wait_ready("h2")
    here.kubectl("wait", "--for=condition=Ready", "pod/keep-0", "--timeout=120s")
    assert here.pod("keep-0")["metadata"]["uid"] == uids["keep"]
    succeeded(here, "replace-0", uids["replace"])
