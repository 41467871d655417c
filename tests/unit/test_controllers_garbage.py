"""Owners and dependents, namespaces and their content, default service accounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.deployment.controller import Deployments
from mini8s.controllers.kinds.garbage import GarbageCollector
from mini8s.controllers.kinds.namespace import Namespaces
from mini8s.controllers.kinds.replicaset import ReplicaSets
from mini8s.controllers.kinds.serviceaccount import ServiceAccounts
from mini8s.controllers.runner import SEEN_WITHIN_SECONDS
from mini8s.objects import conditions, meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICEACCOUNTS,
    Obj,
)
from tests.fakes.world import NAMESPACE, World, deployment, pod


@pytest.fixture
def world() -> Iterator[World]:
    world = World([Deployments, ReplicaSets, GarbageCollector])
    yield world
    world.close()


def start(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment(replicas=2))
    world.settle()
    world.run_pods()
    world.settle()
    world.writes()


def config(name: str, *owners: Obj, block: bool = False) -> Obj:
    refs = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": meta.name(owner),
            "uid": meta.uid(owner),
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return {"metadata": {"namespace": NAMESPACE, "name": name, "ownerReferences": refs}}


def test_a_settled_graph_writes_nothing(world: World) -> None:
    start(world)
    world.step(1000)
    assert world.writes() == []


def test_dependents_follow_in_the_background(world: World) -> None:
    start(world)
    world.api.delete(DEPLOYMENTS, NAMESPACE, "web")
    world.settle()
    assert world.names(REPLICASETS) == []
    assert all(map(meta.deleting, world.all(PODS)))
    assert len(world.all(PODS)) == 2


def test_in_the_foreground_the_owner_goes_last(world: World) -> None:
    start(world)
    world.api.delete(DEPLOYMENTS, NAMESPACE, "web", propagation="Foreground")
    world.settle()
    assert meta.deleting(world.get(DEPLOYMENTS, "web"))
    assert all(map(meta.deleting, world.all(REPLICASETS)))
    assert all(map(meta.deleting, world.all(PODS)))
    world.run_pods()
    world.settle()
    world.step(1)  # a lost race is tried again soon
    assert (world.names(PODS), world.names(REPLICASETS), world.names(DEPLOYMENTS)) == ([], [], [])


def test_orphans_stay_without_their_owner(world: World) -> None:
    start(world)
    world.api.delete(DEPLOYMENTS, NAMESPACE, "web", propagation="Orphan")
    world.settle()
    world.step(1)
    assert world.names(DEPLOYMENTS) == []
    (left,) = world.all(REPLICASETS)
    assert meta.owners(left) == []
    assert not any(map(meta.deleting, world.all(PODS)))


def test_a_dependent_with_another_owner_only_loses_the_reference(world: World) -> None:
    one, two = (world.api.create(CONFIGMAPS, config(name)) for name in ("one", "two"))
    world.api.create(CONFIGMAPS, config("child", one, two))
    world.settle()
    world.api.delete(CONFIGMAPS, NAMESPACE, "one")
    world.settle()
    assert [ref["name"] for ref in meta.owners(world.get(CONFIGMAPS, "child"))] == ["two"]
    world.api.delete(CONFIGMAPS, NAMESPACE, "two")
    world.settle()
    assert world.names(CONFIGMAPS) == []


def test_a_dependent_of_an_owner_that_never_was_goes(world: World) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "nobody"}}
    world.api.create(CONFIGMAPS, config("child", ghost))
    world.settle()
    assert world.names(CONFIGMAPS) == []


def test_a_namesake_of_the_owner_is_not_the_owner(world: World) -> None:
    owner = world.api.create(CONFIGMAPS, config("owner"))
    world.api.create(CONFIGMAPS, config("child", owner))
    world.settle()
    world.api.delete(CONFIGMAPS, NAMESPACE, "owner")
    world.api.create(CONFIGMAPS, config("owner"))
    world.settle()
    assert world.names(CONFIGMAPS) == ["owner"]


def test_a_cache_that_is_behind_takes_no_children(world: World) -> None:
    owner = world.api.create(CONFIGMAPS, config("owner"))
    secret = {"metadata": config("child", owner)["metadata"]}
    world.api.create(SECRETS, secret)
    informers = {informer.kind: informer for informer in world.informers._informers.values()}
    informers[SECRETS].step()
    runner = world.runners[-1]
    runner.step(0)
    assert world.names(SECRETS) == ["child"]


def test_owners_of_unknown_kinds_count_as_present(world: World) -> None:
    child = config("child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "u"}
    ]
    world.api.create(CONFIGMAPS, child)
    world.settle()
    assert world.names(CONFIGMAPS) == ["child"]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("block", [True, False])
@pytest.mark.parametrize("propagation", ["Foreground", "Background"])
def test_a_circle_of_owners_goes_as_a_whole(world: World, length: int, block: bool, propagation: str) -> None:
    """Each would wait for the next to go first."""
    names = [f"c{number}" for number in range(length)]
    made = [world.api.create(CONFIGMAPS, config(name)) for name in names]
    for name, owner in zip(names, [made[-1], *made], strict=False):
        refs = config(name, owner, block=block)["metadata"]["ownerReferences"]
        world.api.patch(CONFIGMAPS, NAMESPACE, name, {"metadata": {"ownerReferences": refs}})
    world.settle()
    assert world.names(CONFIGMAPS) == names
    world.api.delete(CONFIGMAPS, NAMESPACE, "c0", propagation=propagation)
    world.settle()
    assert world.names(CONFIGMAPS) == []


def test_an_owner_in_another_namespace_is_none_and_that_is_told(world: World) -> None:
    world.api.create(NAMESPACES, {"metadata": {"name": "far"}})
    owner = config("owner")
    owner["metadata"]["namespace"] = "far"
    owner = world.api.create(CONFIGMAPS, owner)
    world.settle()
    world.told()
    world.api.create(CONFIGMAPS, config("child", owner))
    world.settle()
    assert world.names(CONFIGMAPS) == ["owner"]
    ref = f"v1/ConfigMap, namespace: default, name: owner, uid: {meta.uid(owner)}"
    assert world.told() == [
        f'OwnerRefInvalidNamespace: ownerRef [{ref}] does not exist in namespace "default"'
    ]


def test_what_is_in_no_namespace_can_have_no_owner_in_one_and_that_is_told(world: World) -> None:
    refs = config("x", world.api.create(CONFIGMAPS, config("owner")))["metadata"]["ownerReferences"]
    world.api.create(NODES, {"metadata": {"name": "n1", "ownerReferences": refs}, "spec": {}})
    world.settle()
    assert world.names(NODES) == ["n1"]
    (told,) = world.told()
    assert told.startswith("OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: , name: owner")


def test_a_reference_that_does_not_block_does_not_hold_the_owner(world: World) -> None:
    owner = world.api.create(CONFIGMAPS, config("owner"))
    held = config("child", owner)
    held["metadata"]["finalizers"] = ["x"]
    world.api.create(CONFIGMAPS, held)
    world.settle()
    world.api.delete(CONFIGMAPS, NAMESPACE, "owner", propagation="Foreground")
    world.settle()
    assert world.names(CONFIGMAPS) == ["child"]
    assert meta.deleting(world.get(CONFIGMAPS, "child"))


def test_a_namespace_takes_its_content_along() -> None:
    world = World([Namespaces, ServiceAccounts])
    for name in ("team", "other"):
        world.api.create(NAMESPACES, {"metadata": {"name": name}})
        for kind in (CONFIGMAPS, SECRETS):
            world.api.create(kind, {"metadata": {"namespace": name, "name": "c"}})
    running = pod("p", node="n1")
    running["metadata"]["namespace"] = "team"
    world.api.create(PODS, running)
    world.settle()
    world.api.delete(NAMESPACES, "", "team")
    world.settle()
    world.step(1)
    world.step(3)
    going = world.api.get(NAMESPACES, "", "team")
    assert going["status"]["phase"] == "Terminating"
    left = conditions.get(going, "NamespaceContentRemaining") or {}
    assert (left["status"], left["reason"], left["message"]) == (
        "True", "SomeResourcesRemain", "Some resources are remaining: pods. has 1 resource instances",
    )  # fmt: skip
    world.writes()
    world.step(10)
    assert world.writes() == []
    world.api.delete(PODS, "team", "p", grace_seconds=0)
    world.settle()
    with pytest.raises(NotFound):
        world.api.get(NAMESPACES, "", "team")
    assert {meta.namespace(obj) for obj in world.all(CONFIGMAPS)} == {"other"}
    world.close()


def test_finalizers_in_a_namespace_are_named() -> None:
    world = World([Namespaces])
    world.api.create(NAMESPACES, {"metadata": {"name": "team"}})
    held: Obj = {"metadata": {"namespace": "team", "name": "c", "finalizers": ["x.com/y"]}}
    world.api.create(CONFIGMAPS, held)
    world.api.delete(NAMESPACES, "", "team")
    world.settle()
    world.step(3)
    left = conditions.get(world.api.get(NAMESPACES, "", "team"), "NamespaceFinalizersRemaining") or {}
    assert (
        left["message"]
        == "Some content in the namespace has finalizers remaining: x.com/y in 1 resource instances"
    )
    world.close()


def test_every_namespace_has_its_default_account() -> None:
    world = World([ServiceAccounts])
    world.settle()
    assert world.names(SERVICEACCOUNTS) == ["default"]
    world.api.delete(SERVICEACCOUNTS, NAMESPACE, "default")
    world.settle()
    assert world.names(SERVICEACCOUNTS) == ["default"]
    world.close()


def test_what_is_gone_is_not_remembered_for_ever(world: World) -> None:
    [collector] = [runner for runner in world.runners if runner.name == "garbage"]
    for name in ("a", "b", "c"):
        owner = world.api.create(CONFIGMAPS, config(name))
        world.api.create(CONFIGMAPS, config(f"of-{name}", owner))
        world.settle()
        world.api.delete(CONFIGMAPS, NAMESPACE, name)
        world.settle()
        world.step(2 * SEEN_WITHIN_SECONDS + 1)
    assert world.names(CONFIGMAPS) == []
    assert len(collector._fences) == 1
