"""ResourceQuotas: what is used, as it comes and goes, and no more often than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes.cluster import service
from fakes.jobs import end

from mini8s.controllers.kinds.resourcequota import ResourceQuotas
from mini8s.objects.kinds import (
    CONFIGMAPS,
    JOBS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
    Obj,
)
from tests.fakes.jobs import job
from tests.fakes.world import NAMESPACE, World, pod


@pytest.fixture
def world() -> Iterator[World]:
    world = World([ResourceQuotas])
    yield world
    world.close()


def quota(world: World, hard: Obj, **spec: Any) -> None:
    metadata = {"namespace": NAMESPACE, "name": "q"}
    world.api.create(RESOURCEQUOTAS, {"metadata": metadata, "spec": {"hard": hard} | spec})
    world.settle()


def used(world: World) -> Obj:
    found: Obj = world.get(RESOURCEQUOTAS, "q")["status"]["used"]
    return found


def sized(name: str, **parts: Any) -> Obj:
    made = pod(name)
    made["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "64Mi"},
    }
    made["spec"] |= parts
    return made


def named(name: str, **parts: Any) -> Obj:
    return {"metadata": {"namespace": NAMESPACE, "name": name}} | parts


def test_what_is_there_is_used(world: World) -> None:
    claim = {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}
    world.api.create(PODS, sized("a"))
    world.api.create(PODS, sized("b"))
    world.api.create(JOBS, job())
    world.api.create(CONFIGMAPS, named("c"))
    world.api.create(SERVICES, named("s", spec=service(type="NodePort")["spec"]))
    world.api.create(PERSISTENTVOLUMECLAIMS, named("p", spec=claim))
    hard = {
        "pods": "4", "requests.cpu": "1", "cpu": "1", "limits.cpu": "4", "requests.memory": "1Gi",
        "count/jobs.batch": "2", "configmaps": "9", "services": "2", "services.nodeports": "3",
        "services.loadbalancers": "0", "requests.storage": "5Gi", "secrets": "1", "resourcequotas": "1",
        "fast.storageclass.storage.k8s.io/requests.storage": "2Gi", "count/pods": "10",
    }  # fmt: skip
    quota(world, hard)
    assert world.get(RESOURCEQUOTAS, "q")["status"]["hard"] == hard
    assert used(world) == {
        "pods": "2", "requests.cpu": "200m", "cpu": "200m", "limits.cpu": "2", "requests.memory": "128Mi",
        "count/jobs.batch": "1", "configmaps": "1", "services": "1", "services.nodeports": "1",
        "services.loadbalancers": "0", "requests.storage": "1Gi", "secrets": "0", "resourcequotas": "1",
        "fast.storageclass.storage.k8s.io/requests.storage": "1Gi", "count/pods": "2",
    }  # fmt: skip


def test_what_ends_or_goes_is_used_no_more(world: World) -> None:
    quota(world, {"pods": "4", "requests.cpu": "1"})
    for name in ("a", "b", "c"):
        world.api.create(PODS, sized(name))
    world.step(1)
    assert used(world) == {"pods": "3", "requests.cpu": "300m"}
    end(world, world.get(PODS, "a"))
    world.api.delete(PODS, NAMESPACE, "b")
    world.step(1)
    assert used(world) == {"pods": "1", "requests.cpu": "100m"}
    world.api.patch(RESOURCEQUOTAS, NAMESPACE, "q", {"spec": {"hard": {"requests.cpu": None}}})
    world.step(1)
    assert world.get(RESOURCEQUOTAS, "q")["status"] == {"hard": {"pods": "4"}, "used": {"pods": "1"}}


def test_many_changes_are_one_count_a_second(world: World) -> None:
    quota(world, {"pods": "100"})
    world.writes()
    for number in range(20):
        world.api.create(PODS, sized(f"p{number}"))
        world.settle()
    world.step(1)
    assert [call for call in world.writes() if "resourcequotas" in call] == ["update resourcequotas q status"]
    assert used(world) == {"pods": "20"}
    world.step(60)
    world.runners[0].queue.add("default/q")
    world.settle()
    assert world.writes() == []


TERMINATING: Obj = {"activeDeadlineSeconds": 5}
URGENT: Obj = {"priorityClassName": "urgent"}
ELSEWHERE: Obj = {
    "affinity": {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["other"]}]}
    }
}


@pytest.mark.parametrize(
    ("scope", "then"),
    [
        ("Terminating", 1),
        ("NotTerminating", 4),
        ("BestEffort", 1),
        ("NotBestEffort", 4),
        ("CrossNamespacePodAffinity", 1),
        ({"scopeName": "PriorityClass", "operator": "In", "values": ["urgent"]}, 1),
        ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["urgent"]}, 4),
        ({"scopeName": "PriorityClass", "operator": "Exists"}, 1),
        ({"scopeName": "PriorityClass", "operator": "DoesNotExist"}, 4),
    ],
)
def test_scopes(world: World, scope: Any, then: int) -> None:
    world.api.create(PODS, pod("best-effort"))
    for number, parts in enumerate(({}, TERMINATING, URGENT, ELSEWHERE)):
        world.api.create(PODS, sized(f"p{number}", **parts))
    said = {"scopes": [scope]} if isinstance(scope, str) else {"scopeSelector": {"matchExpressions": [scope]}}
    quota(world, {"pods": "9"}, **said)
    assert used(world) == {"pods": str(then)}
