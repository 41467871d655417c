"""StatefulSets, DaemonSets, drains, taints and lost hosts on real Docker and two hosts, as Kubernetes' own
pages tell it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beginnings import begin, begins_with, begun
from hosts import Hosts
from hosts.cluster import Cluster
from space import Obj, Space, container, pod
from workloads import SLEEPS, claim, condition, named, rolled_out, until, workload

from mini8s.objects.time import parse_time

LEASE_SECONDS, GRACE_SECONDS = 8, 11  # of a node's lease, and the server's patience with one
LEASE = f"--kubelet-arg=node-lease-duration-seconds={LEASE_SECONDS}"
APPS = "apis/apps/v1"
H2 = {"kubernetes.io/hostname": "h2"}
ROOM = {"room": "here"}  # h2 has it from the beginning
NEVER_READY = {"exec": {"command": ["false"]}}


@pytest.fixture(scope="module")
def two_hosts(hosts: Hosts, image_archives: list[Path], request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, f"--node-monitor-grace-period={GRACE_SECONDS}", LEASE)
        cluster.wait_ready("h1")
        cluster.agent(2, LEASE)
        cluster.wait_ready("h1", "h2")
        cluster.kubectl("label", "node", "h2", "room=here")
        begin(cluster, request)
        yield cluster


@pytest.fixture
def here(two_hosts: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with begun(two_hosts, request) as made:
        yield made


def rolling(**said: Any) -> Obj:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": said}}


def hashes(here: Space, app: str) -> dict[str, str]:
    """The revision of each pod that stays."""
    return {
        name: found["metadata"]["labels"]["controller-revision-hash"]
        for name, found in named(here, app).items()
        if "deletionTimestamp" not in found["metadata"]
    }


def nodes(here: Space, app: str) -> set[str]:
    """Where its pods are."""
    return {found["spec"].get("nodeName", "") for found in named(here, app).values()}


def change(here: Space, what: str, value: str) -> None:
    """Another template, by a variable."""
    here.kubectl("set", "env", what, f"CHANGED={value}")


def stored(**spec: Any) -> Obj:
    """A StatefulSet `db` whose pods have a volume each."""
    mounts = [{"name": "www", "mountPath": "/www"}]
    template = {"containers": [container(SLEEPS, volumeMounts=mounts)]}
    return workload(
        "StatefulSet", "db", template, serviceName="db", volumeClaimTemplates=[claim("www")], **spec
    )


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "db"},
    "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 80}]},
}


@begins_with(SERVICE, stored(replicas=2))
def test_a_stateful_set_keeps_names_order_and_storage(here: Space) -> None:
    rolled_out(here, "statefulset/db")
    pods = named(here, "db")
    ready = next(one for one in pods["db-0"]["status"]["conditions"] if one["type"] == "Ready")
    assert pods["db-1"]["metadata"]["creationTimestamp"] >= ready["lastTransitionTime"]
    assert here.exec("db-0", "hostname") == "db-0\n"
    address = pods["db-1"]["status"]["podIP"]
    assert address in here.exec("db-0", f"nslookup db-1.db.{here.name}.svc.cluster.local")

    here.exec("db-0", "echo kept >/www/file")
    here.kubectl("delete", "pod", "db-0")
    here.kubectl("wait", "--for=condition=Ready", "pod/db-0", "--timeout=120s")
    assert here.exec("db-0", "cat /www/file") == "kept\n"

    here.kubectl("scale", "statefulset/db", "--replicas=1")
    here.kubectl("wait", "--for=delete", "pod/db-1", "--timeout=120s")
    assert "www-db-1" in here.kubectl("get", "pvc"), "claims outlive their pods"

    uid = here.pod("db-0")["metadata"]["uid"]
    here.kubectl("delete", "statefulset/db", "--cascade=orphan")
    here.apply(stored(replicas=1))
    rolled_out(here, "statefulset/db")
    assert here.pod("db-0")["metadata"]["uid"] == uid, "taken over as it is"


@begins_with(
    stored(
        replicas=2,
        podManagementPolicy="Parallel",
        ordinals={"start": 5},
        persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete", "whenDeleted": "Delete"},
    ),
    workload(
        "StatefulSet",
        "ill",
        {"containers": [container(SLEEPS, readinessProbe=NEVER_READY)]},
        replicas=2,
        podManagementPolicy="Parallel",
    ),
)
def test_a_stateful_set_all_at_once_whose_storage_goes_with_it(here: Space) -> None:
    here.wait_phase("ill-1", "Running")
    assert condition(here.pod("ill-0"), "Ready")[0] == "False", "in parallel nobody waits for the one before"
    here.kubectl("scale", "statefulset/ill", "--replicas=0")
    here.kubectl("wait", "--for=delete", "pod/ill-0", "pod/ill-1", "--timeout=120s")

    rolled_out(here, "statefulset/db")
    assert set(named(here, "db")) == {"db-5", "db-6"}
    here.kubectl("scale", "statefulset/db", "--replicas=1")
    here.kubectl("wait", "--for=delete", "pvc/www-db-6", "--timeout=120s")
    assert [one["metadata"]["name"] for one in here.all("persistentvolumeclaims")] == ["www-db-5"]
    here.kubectl("delete", "statefulset/db")
    here.kubectl("wait", "--for=delete", "pvc/www-db-5", "--timeout=120s")


@begins_with(workload("StatefulSet", "web", replicas=2, **rolling(partition=1)))
def test_a_stateful_set_is_updated_in_parts_by_hand_and_back(here: Space) -> None:
    """The page's "Partitioned rolling updates", "On delete" and "Rolling back"."""
    web = "statefulset/web"
    rolled_out(here, web)
    first = hashes(here, "web")["web-0"]
    change(here, web, "once")
    rolled_out(here, web)
    second = hashes(here, "web")["web-1"]
    assert hashes(here, "web") == {"web-0": first, "web-1": second}
    assert first != second
    here.kubectl("delete", "pod", "web-0")
    until(here, "pod/web-0", "condition=Ready")
    assert hashes(here, "web")["web-0"] == first, "below the partition the old template counts"
    here.kubectl("patch", web, f"--patch={json.dumps({'spec': rolling(partition=0)})}")
    rolled_out(here, web)
    assert hashes(here, "web") == {"web-0": second, "web-1": second}

    by_hand = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    here.kubectl("patch", web, f"--patch={json.dumps({'spec': by_hand})}")
    here.kubectl("rollout", "undo", web)
    here.cluster.wait_for("the first revision to be wanted", lambda: wanted(here, web) == first)
    here.kubectl("delete", "pod", "web-1")
    until(here, "pod/web-1", "condition=Ready")
    assert hashes(here, "web") == {"web-0": second, "web-1": first}


def wanted(here: Space, what: str) -> str:
    return str(here.get(what)["status"]["updateRevision"])


@begins_with(
    workload("DaemonSet", "picky", {"nodeSelector": {"disk": "ssd"}}),
    workload("DaemonSet", "log", **rolling(maxSurge=1, maxUnavailable=0)),
    workload("DaemonSet", "hand", updateStrategy={"type": "OnDelete"}),
)
def test_a_daemon_set_follows_labels_surges_and_waits_for_hands(here: Space) -> None:
    cluster = here.cluster
    assert named(here, "picky") == {}
    cluster.kubectl("label", "node", "h2", "disk=ssd")
    cluster.wait_for("a pod where the label is", lambda: nodes(here, "picky") == {"h2"})
    cluster.kubectl("label", "node", "h2", "disk-")
    cluster.wait_for("the pod to go with the label", lambda: not named(here, "picky"))

    rolled_out(here, "daemonset/log")
    before = hashes(here, "log")
    ill = {"containers": [{"name": "main", "readinessProbe": NEVER_READY}]}
    here.kubectl("patch", "daemonset/log", f"--patch={json.dumps({'spec': {'template': {'spec': ill}}})}")
    cluster.wait_for("a new one beside an old one", lambda: len(hashes(here, "log")) == 3)
    assert before.items() < hashes(here, "log").items(), "an old one goes when the new one is ready"
    here.kubectl("rollout", "undo", "daemonset/log")
    cluster.wait_for("all to be as they were", lambda: hashes(here, "log") == before)
    assert here.kubectl("rollout", "history", "daemonset/log").split()[-4:] == ["2", "<none>", "3", "<none>"]

    until(here, "daemonset/hand", "jsonpath={.status.numberReady}=2")
    old = hashes(here, "hand")
    change(here, "daemonset/hand", "yes")
    cluster.wait_for(
        "it to be seen", lambda: len(here.all("controllerrevisions", "app=hand", group=APPS)) == 2
    )
    assert hashes(here, "hand") == old
    (chosen,) = [name for name, one in named(here, "hand").items() if one["spec"]["nodeName"] == "h2"]
    here.kubectl("delete", "pod", chosen)
    cluster.wait_for("another", lambda: len(hashes(here, "hand")) == 2)
    (kept,) = old.keys() & hashes(here, "hand").keys()
    assert hashes(here, "hand")[kept] == old[kept]
    assert len(set(hashes(here, "hand").values())) == 2


def budget(name: str, **spec: Any) -> Obj:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}} | spec,
    }


@begins_with(
    workload("Deployment", "web", {"nodeSelector": ROOM}, replicas=2),
    budget("web"),
    pod("lone", container("sleep 1000"), nodeSelector=H2),
)
def test_a_drain_lets_go_one_after_the_other(here: Space) -> None:
    """The pages "Safely Drain a Node" and "Specifying a Disruption Budget for your Application"."""
    rolled_out(here, "deployment/web")
    here.wait_phase("lone", "Running")
    until(here, "pdb/web", "jsonpath={.status.disruptionsAllowed}=1")
    here.cluster.kubectl("label", "node", "h1", "room=here")
    seen = []
    try:
        drain = here.cluster.kubectl_command(
            "drain", "h2", "--pod-selector=app=web", "--timeout=120s", "--ignore-daemonsets"
        )
        process = here.cluster.hosts[1].popen(*drain, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                seen.append(here.get("deployment", "web")["status"].get("availableReplicas", 0))
            assert process.wait() == 0
        finally:
            process.kill()
            process.wait()
        assert min(seen) >= 1, "never both"
        rolled_out(here, "deployment/web")
        assert nodes(here, "web") == {"h1"}
        said = here.refused("drain", "h2", "--pod-selector=app=lone", "--ignore-daemonsets")
        assert "cannot delete" in said
        assert here.pod("lone")["status"]["phase"] == "Running"
    finally:
        here.cluster.kubectl("uncordon", "h2")


ILL = {"containers": [container(SLEEPS, readinessProbe=NEVER_READY)]}


@begins_with(
    budget("held"),
    workload("Deployment", "held", ILL),
    budget("free", unhealthyPodEvictionPolicy="AlwaysAllow"),
    workload("Deployment", "free", ILL),
)
def test_ill_pods_go_when_their_budget_lets_them(here: Space) -> None:
    """The page's "Unhealthy Pod Eviction Policy"."""
    for name, code in (("held", 429), ("free", 201)):
        until(here, f"pdb/{name}", "jsonpath={.status.expectedPods}=1")
        here.cluster.wait_for("it to run", lambda: running(here, name))  # noqa: B023
        (pod,) = running(here, name)
        path = f"/api/v1/namespaces/{here.name}/pods/{pod}/eviction"
        answer = json.loads(here.cluster.api(path, "--json", json.dumps({"metadata": {"name": pod}})))
        assert answer.get("code", 201) == code, answer


def running(here: Space, app: str) -> list[str]:
    return [name for name, one in named(here, app).items() if one["status"]["phase"] == "Running"]


TAINT = {"key": "leave", "operator": "Exists", "effect": "NoExecute"}


@begins_with(
    pod("now", container("sleep 1000"), nodeSelector=H2),
    pod("soon", container("sleep 1000"), nodeSelector=H2, tolerations=[TAINT | {"tolerationSeconds": 3}]),
    pod("never", container("sleep 1000"), nodeSelector=H2, tolerations=[TAINT]),
)
def test_a_taint_ends_pods_after_what_they_tolerate(here: Space) -> None:
    """The page "Taints and Tolerations"."""
    for name in ("now", "soon", "never"):
        here.wait_phase(name, "Running")
    here.cluster.kubectl("taint", "node", "h2", "leave=x:NoExecute")
    try:
        here.kubectl("wait", "--for=delete", "pod/now", "pod/soon", "--timeout=120s")
        when = {
            event["involvedObject"]["name"]: parse_time(event["firstTimestamp"])
            for event in here.all("events")
            if event["reason"] == "TaintManagerEviction"
        }
        assert when.keys() == {"now", "soon"}
        assert (when["soon"] - when["now"]).total_seconds() >= 2  # of three, in whole seconds
        assert here.pod("never")["status"]["phase"] == "Running"
    finally:
        here.cluster.kubectl("taint", "node", "h2", "leave-")


@begins_with(workload("DaemonSet", "log"))
def test_a_daemon_set_has_one_pod_on_each_host_that_fits(here: Space) -> None:
    cluster = here.cluster
    cluster.wait_for("a pod on each host", lambda: nodes(here, "log") == {"h1", "h2"})
    rolled_out(here, "daemonset/log")
    cluster.kubectl("taint", "node", "h2", "mine=x:NoExecute")
    try:
        cluster.wait_for("the pod to leave h2", lambda: nodes(here, "log") == {"h1"})
    finally:
        cluster.kubectl("taint", "node", "h2", "mine-")
    cluster.wait_for("a pod on h2 again", lambda: nodes(here, "log") == {"h1", "h2"})
    cluster.kubectl("cordon", "h2")
    try:
        change(here, "daemonset/log", "yes")
        rolled_out(here, "daemonset/log")
    finally:
        cluster.kubectl("uncordon", "h2")
    assert nodes(here, "log") == {"h1", "h2"}, "daemons go where others may not"


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
