"""PodDisruptionBudgets: how many pods there should be, are, and may go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.kinds.deployment.controller import Deployments
from mini8s.controllers.kinds.disruptionbudget import DisruptionBudgets
from mini8s.controllers.kinds.replicaset import ReplicaSets
from mini8s.objects import meta
from mini8s.objects.kinds import DEPLOYMENTS, DISRUPTIONBUDGETS, JOBS, PODS, REPLICASETS, Obj
from mini8s.objects.time import format_time
from tests.fakes.jobs import job
from tests.fakes.world import NAMESPACE, World, deployment, pod, replica_set, template


@pytest.fixture
def world() -> Iterator[World]:
    world = World([Deployments, ReplicaSets, DisruptionBudgets])
    yield world
    world.close()


def budget(world: World, **spec: Any) -> None:
    said = {"selector": {"matchLabels": {"app": "web"}}} | spec
    metadata = {"namespace": NAMESPACE, "name": "b"}
    world.api.create(DISRUPTIONBUDGETS, {"metadata": metadata, "spec": said})
    world.settle()


def status(world: World) -> Obj:
    return dict(world.get(DISRUPTIONBUDGETS, "b")["status"])


def numbers(world: World) -> tuple[int, int, int, int]:
    """Expected, healthy, desired, allowed."""
    parts = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
    expected, healthy, desired, allowed = (status(world)[part] for part in parts)
    return expected, healthy, desired, allowed


def condition(world: World) -> tuple[str, str, int]:
    (found,) = status(world)["conditions"]
    assert found["type"] == "DisruptionAllowed"
    return found["status"], found["reason"], found["observedGeneration"]


@pytest.mark.parametrize(
    ("spec", "then"),
    [
        ({"minAvailable": 2}, (4, 4, 2, 2)),
        ({"minAvailable": "50%"}, (4, 4, 2, 2)),
        ({"minAvailable": "51%"}, (4, 4, 3, 1)),
        ({"maxUnavailable": 1}, (4, 4, 3, 1)),
        ({"maxUnavailable": "30%"}, (4, 4, 2, 2)),
        ({"maxUnavailable": 0}, (4, 4, 4, 0)),
        ({"maxUnavailable": 9}, (4, 4, 0, 4)),
        ({"minAvailable": 9}, (4, 4, 9, 0)),
        ({}, (4, 4, 1, 3)),
    ],
)
def test_how_many_may_go(world: World, spec: Obj, then: tuple[int, ...]) -> None:
    world.api.create(DEPLOYMENTS, deployment(replicas=4))
    world.settle()
    world.run_pods()
    budget(world, **spec)
    assert numbers(world) == then
    enough = then[3] > 0
    assert condition(world) == (str(enough), "SufficientPods" if enough else "InsufficientPods", 1)
    world.writes()
    world.runners[2].queue.add("default/b")
    world.step(60)
    assert world.writes() == []


def test_it_follows_its_pods_and_their_owner_s_size(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=4))
    budget(world, maxUnavailable=1)
    assert numbers(world) == (4, 0, 3, 0)
    world.run_pods()
    world.settle()
    assert numbers(world) == (4, 4, 3, 1)
    world.set_ready(world.names(PODS)[0], False)
    world.settle()
    assert numbers(world) == (4, 3, 3, 0)
    world.api.patch(REPLICASETS, NAMESPACE, "web", {"spec": {"replicas": 8}})
    world.settle()
    assert numbers(world) == (8, 3, 7, 0)


def test_a_deployment_that_rolls_wants_no_more_than_it_says(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment(replicas=4))
    world.settle()
    world.run_pods()
    budget(world, maxUnavailable=1)
    world.api.patch(DEPLOYMENTS, NAMESPACE, "web", {"spec": {"template": template("web:v2")}})
    world.settle()
    assert sum(one["spec"]["replicas"] for one in world.all(REPLICASETS)) == 5
    assert numbers(world)[0] == 4


def test_a_promise_counts_for_two_minutes(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=3))
    world.settle()
    world.run_pods()
    budget(world, minAvailable=1)
    promised = {world.names(PODS)[0]: format_time(world.clock.now())}
    change = {"status": {"disruptedPods": promised, "disruptionsAllowed": 1}}
    world.api.patch_status(DISRUPTIONBUDGETS, NAMESPACE, "b", change)
    world.step(119)
    assert (numbers(world)[1:], status(world)["disruptedPods"]) == ((2, 1, 1), promised)
    world.told()
    world.step(1)
    assert (numbers(world)[1:], status(world).get("disruptedPods")) == ((3, 1, 2), None)
    assert world.told() == ["NotDeleted: Pod was expected by PDB default/b to be deleted but it wasn't"]


def test_a_pod_that_goes_keeps_no_promise(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=3))
    world.settle()
    world.run_pods()
    budget(world, minAvailable=1)
    name = world.names(PODS)[0]
    change = {"status": {"disruptedPods": {name: format_time(world.clock.now())}}}
    world.api.patch_status(DISRUPTIONBUDGETS, NAMESPACE, "b", change)
    world.api.delete(PODS, NAMESPACE, name)
    world.settle()
    assert status(world).get("disruptedPods") is None
    assert numbers(world) == (4, 2, 1, 1)


def test_of_owners_without_a_size_nothing_can_be_said(world: World) -> None:
    owner = world.api.create(JOBS, job())
    found = pod("p", labels={"app": "web"})
    found["metadata"]["ownerReferences"] = [meta.new_controller_ref(owner, JOBS)]
    world.api.create(PODS, found)
    world.run_pods()
    budget(world, maxUnavailable=1)
    why = "jobs.batch does not implement the scale subresource"
    assert (condition(world), status(world)["disruptionsAllowed"]) == (("False", "SyncFailed", 1), 0)
    what = f"Failed to calculate the number of expected pods: {why}"
    assert world.told() == [f"CalculateExpectedPodCountFailed: {what}"]
    world.api.patch(DISRUPTIONBUDGETS, NAMESPACE, "b", {"spec": {"maxUnavailable": None, "minAvailable": 0}})
    world.settle()
    assert (numbers(world), condition(world)) == ((1, 1, 0, 1), ("True", "SufficientPods", 2))


def test_pods_of_nobody_and_no_pods_at_all_are_told(world: World) -> None:
    budget(world, maxUnavailable=1)
    assert (numbers(world), world.told()) == ((0, 0, 0, 0), ["NoPods: No matching pods found"])
    world.api.create(PODS, pod("p", labels={"app": "web"}))
    world.run_pods()
    world.settle()
    assert numbers(world) == (0, 1, 0, 0)
    assert world.told()[0].startswith("UnmanagedPods: Pods selected by this PodDisruptionBudget")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 6), st.sampled_from(["minAvailable", "maxUnavailable"]), st.integers(0, 100), st.data())
def test_it_never_lets_go_of_what_must_stay(
    replicas: int, part: str, share: int, data: st.DataObject
) -> None:
    world = World([ReplicaSets, DisruptionBudgets])
    world.api.create(REPLICASETS, replica_set(replicas=replicas))
    world.settle()
    world.run_pods()
    for name in world.names(PODS):
        world.set_ready(name, data.draw(st.booleans()))
    budget(world, **{part: f"{share}%"})
    _, healthy, desired, allowed = numbers(world)
    assert 0 <= allowed <= healthy
    assert allowed == 0 or healthy - allowed >= desired
    world.close()
