"""NodeRestriction and OwnerReferencesPermissionEnforcement: what a node, or somebody with few rights, may not
write although it may write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, decoded, deployment, pod

from mini8s.objects import node_labels
from mini8s.objects.errors import Forbidden, NotFound
from mini8s.objects.kinds import (
    CONFIGMAPS,
    CSIDRIVERS,
    CSINODES,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    SERVICEACCOUNTS,
    Kind,
    Obj,
)
from mini8s.registry.base import Context, DeleteOptions, User

N1 = User("system:node:n1", ("system:nodes", "system:authenticated"))
MIRROR = {"kubernetes.io/config.mirror": "x"}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for name in ("n1", "n2"):
        taint = {"key": "a", "effect": "NoSchedule"}
        made.create(NODES, {"metadata": {"name": name}, "spec": {"taints": [taint]}})
        made.create(PODS, pod(f"on-{name}", nodeName=name))
    return made


class Node:
    """The verbs, as n1 says them."""

    def __init__(self, cluster: Cluster, user: User = N1) -> None:
        self.cluster, self.user = cluster, user

    def ctx(self) -> Context:
        return Context(self.user, self.cluster.clock.now(), may=lambda *_: False)

    def create(self, kind: Kind, obj: Obj, namespace: str = "default") -> Obj:
        space = namespace if kind.namespaced else ""
        return decoded(self.cluster.machine.create(self.ctx(), kind, space, obj))

    def patch(self, kind: Kind, name: str, patch: Any, subresource: str = "") -> Obj:
        value, _ = self.cluster.machine.patch(
            self.ctx(),
            kind,
            "default" if kind.namespaced else "",
            name,
            patch,
            "application/merge-patch+json",
            subresource=subresource,
        )
        return decoded(value)

    def delete(self, kind: Kind, name: str) -> None:
        self.cluster.machine.delete(self.ctx(), kind, "default", name, DeleteOptions())

    def token(self, account: str = "default", audiences: Sequence[str] = (), **bound: Any) -> Any:
        spec: Obj = {"audiences": list(audiences)}
        if bound:
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", **bound}
        return self.cluster.machine.create_subresource(
            self.ctx(), SERVICEACCOUNTS, "default", account, "token", {"spec": spec}
        )


@pytest.fixture
def node(cluster: Cluster) -> Node:
    return Node(cluster)


@pytest.mark.parametrize(
    ("label", "forbidden"),
    [
        ("rack", False),
        ("example.com/rack", False),
        ("kubernetes.io/hostname", False),
        ("topology.kubernetes.io/zone", False),
        ("node.kubernetes.io/anything", False),
        ("deep.kubelet.kubernetes.io/x", False),
        ("node-role.kubernetes.io/control-plane", True),
        ("kubernetes.io/other", True),
        ("x.k8s.io/y", True),
        ("node-restriction.kubernetes.io/secure", True),
        ("example.com.node-restriction.kubernetes.io/secure", True),
        ("nothing-of-kubernetes.io/x", False),
    ],
)
def test_labels(label: str, forbidden: bool) -> None:
    assert bool(node_labels.forbidden([label])) is forbidden


def test_a_node_writes_about_itself(node: Node) -> None:
    new = Node(node.cluster, User("system:node:n3", N1.groups))
    made = new.create(NODES, {"metadata": {"name": "n3", "labels": {"kubernetes.io/os": "linux"}}})
    assert made["spec"]["podCIDR"]
    assert node.patch(NODES, "n1", {"metadata": {"labels": {"rack": "7"}}})["metadata"]["labels"]
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert node.patch(NODES, "n1", status, "status")["status"]["conditions"]


@pytest.mark.parametrize(
    ("name", "patch", "message"),
    [
        ("n2", {"metadata": {"labels": {"a": "b"}}}, 'node "n1" is not allowed to modify node "n2"'),
        (
            "n1",
            {
                "metadata": {
                    "labels": {"node-restriction.kubernetes.io/a": "b", "node-role.kubernetes.io/c": ""}
                }
            },
            'node "n1" is not allowed to modify labels: node-restriction.kubernetes.io/a, node-role',
        ),
        ("n1", {"spec": {"taints": []}}, 'node "n1" is not allowed to modify taints'),
        (
            "n1",
            {
                "metadata": {
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "u"}]
                }
            },
            'node "n1" is not allowed to modify ownerReferences',
        ),
    ],
)
def test_what_it_may_not_say_of_nodes(node: Node, name: str, patch: Obj, message: str) -> None:
    for subresource in ("", "status"):
        if "spec" in patch and subresource:
            continue  # of which a status update takes no notice
        with pytest.raises(Forbidden) as refused:
            node.patch(NODES, name, patch, subresource)
        assert message in refused.value.message


def test_it_registers_nobody_else_and_with_no_label_that_others_trust(node: Node) -> None:
    with pytest.raises(Forbidden, match='node "n1" is not allowed to modify node "n3"'):
        node.create(NODES, {"metadata": {"name": "n3"}})
    new = Node(node.cluster, User("system:node:n3", N1.groups))
    label = {"node-role.kubernetes.io/control-plane": ""}
    with pytest.raises(Forbidden, match="is not allowed to set the following labels: node-role"):
        new.create(NODES, {"metadata": {"name": "n3", "labels": label}})


def test_pods(node: Node) -> None:
    assert node.patch(PODS, "on-n1", {"status": {"phase": "Running"}}, "status")["status"]["phase"]
    with pytest.raises(Forbidden, match="can only update pod status for pods with spec"):
        node.patch(PODS, "on-n2", {"status": {"phase": "Running"}}, "status")
    with pytest.raises(Forbidden, match="cannot update labels through pod status"):
        node.patch(PODS, "on-n1", {"metadata": {"labels": {"app": "db"}}}, "status")
    with pytest.raises(
        Forbidden, match='unexpected operation "UPDATE", node "n1" can only create and delete'
    ):
        node.patch(PODS, "on-n1", {"metadata": {"labels": {"app": "db"}}})
    with pytest.raises(
        Forbidden, match="unexpected pod subresource \"ephemeralcontainers\", only 'status' and"
    ):
        node.patch(PODS, "on-n1", {"spec": {}}, "ephemeralcontainers")
    with pytest.raises(Forbidden, match="can only delete pods with spec"):
        node.delete(PODS, "on-n2")
    node.delete(PODS, "on-n1")


def mirror(cluster: Cluster, owner: Obj | None = None, **spec: Any) -> Obj:
    uid = cluster.get(NODES, "n1")["metadata"]["uid"]
    said = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True} | (owner or {})
    made = pod("mirror", nodeName="n1", **spec)
    made["metadata"] |= {"annotations": MIRROR, "ownerReferences": [said]}
    return made


def test_a_mirror_pod(node: Node) -> None:
    assert "serviceAccountName" not in node.create(PODS, mirror(node.cluster))["spec"]


@pytest.mark.parametrize(
    ("owner", "spec", "message"),
    [
        ({"name": "n2"}, {}, "with an owner reference set to itself"),
        ({"controller": False}, {}, "with a controller owner reference set to itself"),
        ({"blockOwnerDeletion": True}, {}, "must not set blockOwnerDeletion on an owner reference"),
        ({"uid": "old"}, {}, "node n1 UID mismatch: expected uid-"),
        ({}, {"nodeName": "n2"}, "can only create pods with spec.nodeName set to itself"),
        ({}, {"serviceAccountName": "default"}, "can not create pods that reference a service account"),
        ({}, {"imagePullSecrets": [{"name": "s"}]}, "can not create pods that reference secrets"),
        (
            {},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
            "can not create pods that reference configmaps",
        ),
        (
            {},
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            "can not create pods that reference persistentvolumeclaims",
        ),
    ],
)
def test_what_a_mirror_pod_may_not_have(node: Node, owner: Obj, spec: Obj, message: str) -> None:
    made = mirror(node.cluster, owner)
    made["spec"] |= spec
    with pytest.raises(Forbidden) as refused:
        node.create(PODS, made)
    assert message in refused.value.message


def test_it_makes_no_other_pods(node: Node) -> None:
    with pytest.raises(Forbidden, match='node "n1" can only create mirror pods'):
        node.create(PODS, pod("more", nodeName="n1"))


def test_leases_and_csi_nodes(node: Node) -> None:
    node.cluster.create(NAMESPACES, {"metadata": {"name": "kube-node-lease"}})
    assert node.create(LEASES, {"metadata": {"name": "n1"}}, "kube-node-lease")
    with pytest.raises(
        Forbidden, match="can only access node lease with the same name as the requesting node"
    ):
        node.create(LEASES, {"metadata": {"name": "n2"}}, "kube-node-lease")
    with pytest.raises(Forbidden, match='can only access leases in the "kube-node-lease" system namespace'):
        node.create(LEASES, {"metadata": {"name": "n1"}})
    with pytest.raises(Forbidden, match="can only access CSINode with the same name"):
        node.create(CSINODES, {"metadata": {"name": "n2"}, "spec": {"drivers": []}})


def test_tokens_are_for_its_own_pods(node: Node) -> None:
    node.cluster.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}})
    uids = {name: node.cluster.get(PODS, name)["metadata"]["uid"] for name in ("on-n1", "on-n2")}
    assert node.token(name="on-n1", uid=uids["on-n1"])["status"]["token"]
    for bound, message in (
        ({}, "node requested token not bound to a pod"),
        ({"name": "n1", "kind": "Node"}, "node requested token not bound to a pod"),
        ({"name": "on-n1"}, "node requested token with a pod binding without a uid"),
        ({"name": "on-n1", "uid": "x"}, "does not match the UID in record"),
        ({"name": "on-n2", "uid": uids["on-n2"]}, "token bound to a pod scheduled on a different node"),
    ):
        with pytest.raises(Forbidden) as refused:
            node.token(**bound)
        assert message in refused.value.message
    with pytest.raises(NotFound):
        node.token(name="gone", uid="x")


def test_audiences_are_those_that_the_pods_volumes_name(node: Node) -> None:
    cluster = node.cluster
    cluster.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}})
    cluster.create(CSIDRIVERS, {"metadata": {"name": "d"}, "spec": {"tokenRequests": [{"audience": "disk"}]}})
    claimed = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "d", "volumeHandle": "h"},
    }
    cluster.create(PERSISTENTVOLUMES, {"metadata": {"name": "v"}, "spec": volume})
    cluster.create(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "c"}, "spec": claimed | {"volumeName": "v"}})
    sources = [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]
    volumes = [
        {"name": "own", "projected": {"sources": sources}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
    ]
    cluster.create(PODS, pod("web", nodeName="n1", volumes=volumes))
    bound = {"name": "web", "uid": cluster.get(PODS, "web")["metadata"]["uid"]}
    for audience in ("vault", "disk"):
        assert node.token(audiences=[audience], **bound)["spec"]["audiences"] == [audience]
    assert node.token(**bound)
    with pytest.raises(Forbidden, match='"other" not found in pod spec volume, system:node:n1 is not author'):
        node.token(audiences=["other"], **bound)
    with pytest.raises(Forbidden, match="node may only request 0 or 1 audiences"):
        node.token(audiences=["vault", "disk"], **bound)


def owned(cluster: Cluster, **more: Any) -> Obj:
    uid = cluster.get(DEPLOYMENTS, "web")["metadata"]["uid"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid, **more}


@pytest.mark.parametrize(
    ("allowed", "blocks", "message"),
    [
        ({"delete configmaps"}, False, ""),
        ({"delete configmaps", "update deployments/finalizers"}, True, ""),
        (set(), False, "cannot set an ownerRef on a resource you can't delete: , <nil>"),
        ({"delete configmaps"}, True, "refers to a resource you can't set finalizers on: , <nil>"),
    ],
)
def test_owner_references(cluster: Cluster, allowed: set[str], blocks: bool, message: str) -> None:
    cluster.create(DEPLOYMENTS, deployment())
    cluster.create(CONFIGMAPS, config_map())

    def may(verb: str, kind: Kind, _space: str, _name: str, subresource: str) -> bool:
        return f"{verb} {kind.plural}" + (f"/{subresource}" if subresource else "") in allowed

    ctx = Context(User("jane"), cluster.clock.now(), may=may)
    said = {"metadata": {"ownerReferences": [owned(cluster, blockOwnerDeletion=blocks)]}}

    def patch(body: Obj) -> None:
        merge = "application/merge-patch+json"
        cluster.machine.patch(ctx, CONFIGMAPS, "default", "settings", body, merge)

    patch({"data": {"a": "b"}})  # owners are not touched
    if not message:
        patch(said)
        return
    with pytest.raises(Forbidden) as refused:
        patch(said)
    assert message in refused.value.message


def test_a_new_object_may_have_any_owner_that_it_does_not_hold_back(cluster: Cluster) -> None:
    cluster.create(DEPLOYMENTS, deployment())
    ctx = Context(User("jane"), cluster.clock.now(), may=lambda *_: False)
    for blocks in (False, True):
        made = config_map(f"c-{str(blocks).lower()}")
        made["metadata"]["ownerReferences"] = [owned(cluster, blockOwnerDeletion=blocks)]
        if not blocks:
            cluster.machine.create(ctx, CONFIGMAPS, "default", made)
            continue
        with pytest.raises(Forbidden, match="cannot set blockOwnerDeletion"):
            cluster.machine.create(ctx, CONFIGMAPS, "default", made)
