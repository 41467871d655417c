"""Other amounts of cpu and memory for containers that run: what is done, what waits and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.node_agent import NodeAgent, container, pod

from mini8s.agent.kubelet.allocation import Pending, allocate
from mini8s.agent.kubelet.isolation.resources import shrinks_quota
from mini8s.agent.runtime.specs import Resources
from mini8s.objects import conditions
from mini8s.objects.kinds import PODS, Obj


def amounts(cpu: str, memory: str = "64Mi") -> Obj:
    same = {"cpu": cpu, "memory": memory}
    return {"requests": same, "limits": same}


@pytest.fixture
def agent(tmp_path: Path) -> NodeAgent:
    """A node of two processors and 4 GiB."""
    return NodeAgent(tmp_path)


def resize(agent: NodeAgent, uid: str, resources: Obj) -> float | None:
    changed = agent.api.get(PODS, "default", "web")
    changed["spec"]["containers"][0]["resources"] = resources
    agent.api.update(PODS, changed)
    return agent.sync(uid)


def said(agent: NodeAgent, kind: str) -> tuple[str, str]:
    found = conditions.get({"status": agent.status()}, kind) or {}
    return found.get("reason", ""), found.get("message", "")


def has(agent: NodeAgent) -> Resources | None:
    return agent.runtime.newest("c").resources


def test_a_container_gets_other_amounts_while_it_runs(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", resources=amounts("100m"))))
    before = agent.runtime.newest("c")
    assert resize(agent, uid, amounts("500m", "128Mi")) is None
    assert has(agent) == Resources(cpu_shares=512, cpu_quota_us=50_000, memory_bytes=128 << 20)
    found = agent.container()
    assert found["resources"] == amounts("500m", "128Mi")
    assert found["allocatedResources"] == {"cpu": "500m", "memory": "128Mi"}
    assert (found["restartCount"], agent.runtime.newest("c").id) == (0, before.id)
    assert conditions.get({"status": agent.status()}, "PodResizeInProgress") is None
    calls = len(agent.runtime.calls)
    agent.start()
    agent.sync(uid)
    assert {verb for verb, _ in agent.runtime.calls[calls:]} == {"pod"}


def test_a_policy_of_restart_restarts(agent: NodeAgent) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    uid = agent.create(pod("web", container("c", resources=amounts("100m"), resizePolicy=policy)))
    resize(agent, uid, amounts("200m"))
    assert agent.container()["restartCount"] == 0
    resize(agent, uid, amounts("200m", "32Mi"))
    assert agent.container()["restartCount"] == 1
    assert ("web", "Normal", "Killing", "Container c resize requires restart") in agent.events.said
    assert has(agent) == Resources(cpu_shares=204, cpu_quota_us=20_000, memory_bytes=32 << 20)


def test_more_than_the_node_has_waits_for_ever_and_changes_nothing(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", resources=amounts("100m"))))
    resize(agent, uid, amounts("3"))
    reason = ("Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000")
    assert said(agent, "PodResizePending") == reason
    assert agent.container()["resources"] == amounts("100m")
    agent.start()
    agent.runtime.end(agent.runtime.newest("c").id, 1)
    agent.sync(uid)
    assert agent.container()["restartCount"] == 1
    assert has(agent) == Resources(cpu_shares=102, cpu_quota_us=10_000, memory_bytes=64 << 20)
    resize(agent, uid, amounts("1"))
    assert conditions.get({"status": agent.status()}, "PodResizePending") is None
    assert agent.container()["resources"] == amounts("1")


def test_an_engine_that_refuses_is_told_and_asked_again(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", resources=amounts("100m"))))
    agent.runtime.refuse_resize = "device or resource busy"
    resize(agent, uid, amounts("200m"))
    assert said(agent, "PodResizeInProgress") == ("Error", "device or resource busy")
    assert agent.container()["resources"] == amounts("100m")
    agent.runtime.refuse_resize = ""
    agent.clock.step(2)
    agent.sync(uid)
    assert agent.container()["resources"] == amounts("200m")
    assert conditions.get({"status": agent.status()}, "PodResizeInProgress") is None


def given(name: str, resources: Obj, had: Obj | None = None, **status: Any) -> Obj:
    made = pod(name, container("c", resources=resources))
    made["metadata"]["uid"] = name
    if had is not None:
        status["containerStatuses"] = [{"name": "c", "resources": had}]
    return made | {"status": status}


NODE = {"cpu": "2", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("mine", "others", "pending"),
    [
        (given("a", amounts("1")), [given("b", amounts("2"))], None),
        (given("a", amounts("1"), amounts("1")), [given("b", amounts("2"))], None),
        (given("a", amounts("1"), amounts("500m")), [given("b", amounts("1"))], None),
        (
            given("a", amounts("1"), amounts("500m")),
            [given("b", amounts("1500m"))],
            "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000",
        ),
        (given("a", amounts("1"), amounts("500m")), [given("b", amounts("2"), amounts("1"))], None),
        (given("a", amounts("1"), amounts("500m")), [given("b", amounts("2"), phase="Succeeded")], None),
        (given("a", amounts("1000m"), amounts("1")), [given("b", amounts("2"))], None),
    ],
)
def test_who_has_to_wait(mine: Obj, others: list[Obj], pending: str | None) -> None:
    found = allocate(mine, [mine, *others], NODE)
    assert found.pending == (Pending("Deferred", pending) if pending else None)
    holder = mine["status"]["containerStatuses"] if pending else mine["spec"]["containers"]
    assert found.pod["spec"]["containers"][0]["resources"] == holder[0]["resources"]


def test_which_group_is_told_first() -> None:
    none, less, more = (Resources(cpu_quota_us=number) for number in (0, 100, 200))
    assert shrinks_quota(less, more)
    assert shrinks_quota(less, none)
    assert not shrinks_quota(more, less)
    assert not shrinks_quota(none, less)
