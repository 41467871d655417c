"""Deployments and ReplicaSets, who owns whom, and what namespaces allow, with real pods, as Kubernetes' own
pages tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from beginnings import begin, begins_with, begun
from hosts.cluster import Cluster
from space import Obj, Space, config_map, container, pod
from workloads import claim, condition, named, rolled_out, told, until, workload

APPS = "apis/apps/v1"
HASH = "pod-template-hash"


@pytest.fixture(scope="module")
def cluster(one_host: Cluster, request: pytest.FixtureRequest) -> Cluster:
    begin(one_host, request)
    return one_host


@pytest.fixture
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with begun(cluster, request) as made:
        yield made


def deployment(name: str, replicas: int, **spec: Any) -> Obj:
    return workload("Deployment", name, replicas=replicas, **spec)


def rolling(surge: int, unavailable: int) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def sizes(here: Space) -> list[int]:
    """Of the ReplicaSets, the oldest first."""
    found = here.all("replicasets", group=APPS)
    revision = "deployment.kubernetes.io/revision"
    return [
        one["spec"]["replicas"]
        for one in sorted(found, key=lambda one: int(one["metadata"]["annotations"][revision]))
    ]


def hashes(here: Space) -> set[str]:
    """Of the templates that there are pods of."""
    return {one["metadata"]["labels"][HASH] for one in named(here, "web").values()}


def alter(here: Space, what: str, **spec: Any) -> None:
    here.kubectl("patch", what, f"--patch={json.dumps({'spec': spec})}")


def template(**said: Any) -> Obj:
    """A change of the one container."""
    return {"spec": {"containers": [{"name": "main"} | said]}}


def owners(obj: Obj) -> list[str]:
    return [ref["name"] for ref in obj["metadata"].get("ownerReferences", ())]


# ---- the page "Deployments"


@begins_with(deployment("web", 3, strategy=rolling(1, 0), revisionHistoryLimit=1))
def test_a_roll_out_that_gets_nowhere_is_told_and_undone(here: Space) -> None:
    web = "deployment/web"
    rolled_out(here, web)
    ill = template(readinessProbe={"exec": {"command": ["false"]}})
    alter(here, web, progressDeadlineSeconds=2, template=ill)
    until(here, web, "condition=Progressing=False")
    (name,) = [
        one["metadata"]["name"] for one in here.all("replicasets", group=APPS) if one["spec"]["replicas"] == 1
    ]
    assert condition(here.get(web), "Progressing")[1:] == (
        "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.',
    )  # fmt: skip
    assert "exceeded its progress deadline" in here.refused("rollout", "status", web)
    assert (sizes(here), condition(here.get(web), "Available")[0]) == ([3, 1], "True")
    alter(here, web, replicas=6, progressDeadlineSeconds=600)
    here.cluster.wait_for("both to grow by their share", lambda: sizes(here) == [5, 2])

    here.kubectl("rollout", "undo", web)
    rolled_out(here, web)
    assert sizes(here) == [0, 6]
    alter(here, web, replicas=1, template=template(env=[{"name": "A", "value": "1"}]))
    rolled_out(here, web)
    here.cluster.wait_for("the oldest to be forgotten", lambda: sizes(here) == [0, 1])
    history = here.kubectl("rollout", "history", web).split()
    assert history[-4:] == ["3", "<none>", "4", "<none>"]
    assert "unable to find" in here.refused("rollout", "undo", web, "--to-revision=2")
    here.kubectl("rollout", "undo", web, "--to-revision=3")
    rolled_out(here, web)
    assert here.kubectl("rollout", "history", web).split()[-4:] == ["4", "<none>", "5", "<none>"]


@begins_with(deployment("web", 2, strategy={"type": "Recreate"}))
def test_recreate_has_never_two_versions(here: Space) -> None:
    rolled_out(here, "deployment/web")
    old = hashes(here)
    here.kubectl("set", "env", "deployment/web", "A=1")

    def replaced() -> bool:
        found = hashes(here)
        assert len(found) <= 1, "an old one and a new one"
        return not found & old and len(named(here, "web")) == 2

    here.cluster.wait_for("others", replaced, pause=0.02)
    rolled_out(here, "deployment/web")


@begins_with(deployment("web", 1))
def test_a_paused_one_gathers_changes(here: Space) -> None:
    web = "deployment/web"
    rolled_out(here, web)
    here.kubectl("rollout", "pause", web)
    here.kubectl("set", "env", web, "A=1")
    here.kubectl("set", "env", web, "B=2")
    here.kubectl("scale", web, "--replicas=2")
    until(here, web, "jsonpath={.status.readyReplicas}=2")
    assert sizes(here) == [2]
    here.kubectl("rollout", "resume", web)
    rolled_out(here, web)
    assert sizes(here) == [0, 2]


# ---- the pages "ReplicaSet" and "ReplicationController"

KINDS = ("ReplicaSet", "ReplicationController")


def sleeper(name: str) -> Obj:
    """A pod of nobody's that has the labels of that workload's."""
    made = pod(f"lone-{name}", container("sleep 1000"))
    made["metadata"]["labels"] = {"app": name}
    return made


def pods_of(kind: str, name: str) -> Obj:
    labels = {"app": name}
    selector = {"matchLabels": labels} if kind == "ReplicaSet" else labels
    return workload(kind, name, replicas=2, selector=selector)


@begins_with(*map(sleeper, ("rs", "rc")), pods_of("ReplicaSet", "rs"), pods_of("ReplicationController", "rc"))
def test_sets_take_in_let_go_and_leave_behind(here: Space) -> None:
    for name in ("rs", "rc"):
        what, lone = f"{name}/{name}", f"lone-{name}"
        until(here, what, "jsonpath={.status.readyReplicas}=2")
        here.cluster.wait_for("two of them", lambda: len(named(here, name)) == 2)  # noqa: B023
        assert owners(here.pod(lone)) == [name], "taken in, for its labels"
        here.kubectl("label", "pod", lone, "app=debug", "--overwrite")
        here.cluster.wait_for("it to be let go", lambda: owners(here.pod(lone)) == [])  # noqa: B023
        here.cluster.wait_for("another in its place", lambda: len(named(here, name)) == 2)  # noqa: B023
        until(here, what, "jsonpath={.status.readyReplicas}=2")
        cheap = max(named(here, name))
        here.kubectl("annotate", "pod", cheap, "controller.kubernetes.io/pod-deletion-cost=-1")
        here.kubectl("scale", what, "--replicas=1")
        here.kubectl("wait", "--for=delete", f"pod/{cheap}", "--timeout=120s")
        (left,) = named(here, name)
        here.kubectl("delete", what, "--cascade=orphan")
        here.cluster.wait_for("it to be nobody's", lambda: owners(here.pod(left)) == [])  # noqa: B023
        assert here.pod(left)["status"]["phase"] == "Running"


# ---- the pages "Garbage Collection", "Owners and Dependents", "Use Cascading Deletion"


def owned(name: str, by: Obj, *, block: bool = True, **metadata: Any) -> Obj:
    ref = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": by["metadata"]["name"],
        "uid": by["metadata"]["uid"],
    }
    made = config_map(name)
    made["metadata"] |= {"ownerReferences": [ref | {"blockOwnerDeletion": block}]} | metadata
    return made


@begins_with(*(deployment(name, 1) for name in ("background", "foreground", "orphan")))
def test_what_becomes_of_dependents(here: Space) -> None:
    cascades = ("background", "foreground", "orphan")
    for name in cascades:
        rolled_out(here, f"deployment/{name}")
    for name in cascades:
        here.kubectl("delete", "deployment", name, f"--cascade={name}", "--wait=false")
    for name in ("background", "foreground"):
        here.cluster.wait_for(f"all of {name} to go", lambda: not named(here, name))  # noqa: B023
    here.cluster.wait_for("all to be gone", lambda: here.all("deployments", group=APPS) == [])
    (left,) = here.all("replicasets", group=APPS)
    assert left["metadata"]["labels"]["app"] == "orphan"
    assert owners(left) == []
    (running,) = named(here, "orphan").values()
    assert (running["status"]["phase"], owners(running)) == ("Running", [left["metadata"]["name"]])


@begins_with(*(config_map(name) for name in ("held", "free", "round")))
def test_who_blocks_whose_end(here: Space) -> None:
    held, free, circle = (here.get("configmap", name) for name in ("held", "free", "round"))
    kept = {"finalizers": ["example.com/kept"]}
    here.apply(
        owned("of-held", held, **kept), owned("of-free", free, block=False, **kept), owned("trip", circle)
    )
    trip = here.get("configmap", "trip")
    ref = owned("round", trip)["metadata"]["ownerReferences"]
    here.kubectl(
        "patch", "configmap", "round", f"--patch={json.dumps({'metadata': {'ownerReferences': ref}})}"
    )
    for name in ("held", "free", "round"):
        here.kubectl("delete", "configmap", name, "--cascade=foreground", "--wait=false")

    def left() -> set[str]:
        return {one["metadata"]["name"] for one in here.all("configmaps")} - {"kube-root-ca.crt"}

    here.cluster.wait_for("who can to go", lambda: left() == {"held", "of-held", "of-free"})
    assert here.get("configmap", "held")["metadata"]["finalizers"] == ["foregroundDeletion"]
    for name in ("of-held", "of-free"):
        here.kubectl("patch", "configmap", name, '--patch={"metadata": {"finalizers": null}}')
    here.cluster.wait_for("all to be gone", lambda: left() == set())

    far = here.cluster.get("configmap", "--namespace=kube-system", "kube-root-ca.crt")
    here.apply(owned("stray", far))
    here.cluster.wait_for("word of it", lambda: told(here, "OwnerRefInvalidNamespace"))
    here.cluster.wait_for("it to be gone", lambda: left() == set())


# ---- the pages "Namespaces", "Resource Quotas", "Limit Ranges", "Configure Service Accounts for Pods"


def test_a_namespace_says_what_it_waits_for(here: Space) -> None:
    team, cluster = f"{here.name}-2", here.cluster
    cluster.kubectl("create", "namespace", team)
    there = Space(cluster, team)
    kept = config_map("kept")
    kept["metadata"]["finalizers"] = ["example.com/kept"]
    there.apply(kept, config_map("plain"), pod("web", container("sleep 1000")))
    cluster.wait_for("its account", lambda: len(there.all("serviceaccounts")) == 1)
    uid = there.all("serviceaccounts")[0]["metadata"]["uid"]
    there.kubectl("delete", "serviceaccount", "default")
    cluster.wait_for(
        "another", lambda: [one for one in there.all("serviceaccounts") if one["metadata"]["uid"] != uid]
    )

    cluster.kubectl("delete", "namespace", team, "--wait=false")
    namespace = f"namespace/{team}"
    until(there, namespace, "condition=NamespaceFinalizersRemaining")
    cluster.wait_for(
        "all else to go", lambda: [one["metadata"]["name"] for one in there.all("configmaps")] == ["kept"]
    )
    found = cluster.get(namespace)
    assert found["status"]["phase"] == "Terminating"
    said = "Some content in the namespace has finalizers remaining: example.com/kept in 1 resource instances"
    assert condition(found, "NamespaceFinalizersRemaining") == ("True", "SomeFinalizersRemain", said)
    refused = there.refused("create", "configmap", "late")
    assert f"unable to create new content in namespace {team} because it is being terminated" in refused
    there.kubectl("patch", "configmap", "kept", '--patch={"metadata": {"finalizers": null}}')
    cluster.kubectl("wait", "--for=delete", namespace, "--timeout=120s")


def quota(name: str, hard: Obj, **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": hard} | spec,
    }


@begins_with(
    quota("few", {"pods": "2", "count/deployments.apps": "1"}),
    quota("plain", {"pods": "0"}, scopes=["NotBestEffort"]),
    deployment("web", 2, strategy=rolling(1, 0)),
)
def test_a_quota_stops_a_roll_out_until_there_is_more(here: Space) -> None:
    web = "deployment/web"
    rolled_out(here, web)
    here.kubectl("set", "env", web, "A=1")
    until(here, web, "condition=ReplicaFailure")
    why = "is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2"
    said = condition(here.get(web), "ReplicaFailure")
    assert said[:2] == ("True", "FailedCreate")
    assert said[2].endswith(why)
    here.cluster.wait_for(
        "word of it", lambda: any(message.endswith(why) for message in told(here, "FailedCreate"))
    )
    assert condition(here.get(web), "Available")[0] == "True"
    assert "exceeded quota: few" in here.refused("create", "deployment", "other", "--image=x")
    alter(here, "quota/few", hard={"pods": "3"})
    rolled_out(here, web)
    assert condition(here.get(web), "ReplicaFailure") == ("", "", "")
    until(here, "quota/few", "jsonpath={.status.used.pods}=2")
    sized = pod("sized", container("sleep 1000", resources={"requests": {"cpu": "1m"}}))
    assert "exceeded quota: plain" in here.refused("apply", "--filename=-", stdin=json.dumps(sized))
    assert here.get("quota", "plain")["status"]["used"] == {"pods": "0"}


LIMITS = [
    {
        "type": "Container",
        "default": {"memory": "64Mi"},
        "defaultRequest": {"cpu": "10m", "memory": "16Mi"},
        "max": {"memory": "128Mi"},
    },
    {"type": "PersistentVolumeClaim", "min": {"storage": "16Mi"}},
]
RANGE = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range"}, "spec": {"limits": LIMITS}}


@begins_with(RANGE)
def test_a_limit_range_fills_in_and_refuses(here: Space) -> None:
    here.apply(pod("plain", container("sleep 1000")))
    here.wait_phase("plain", "Running")
    found = here.pod("plain")
    assert found["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"memory": "64Mi"},
    }
    assert found["status"]["qosClass"] == "Burstable"
    big = pod("big", container("sleep 1000", resources={"limits": {"memory": "1Gi"}}))
    said = here.refused("apply", "--filename=-", stdin=json.dumps(big))
    assert "maximum memory usage per Container is 128Mi, but limit is 1Gi" in said
    said = here.refused("apply", "--filename=-", stdin=json.dumps(claim("small", "1Mi")))
    assert "minimum storage usage per PersistentVolumeClaim is 16Mi, but request is 1Mi" in said
