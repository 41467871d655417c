"""The scheduler's cycle over the API in memory: binds, says why not, tries again when something changes."""

from __future__ import annotations

from typing import Any

import pytest

from mini8s.client.informer import Informers
from mini8s.objects import kinds
from mini8s.objects.errors import Conflict, ServiceUnavailable
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import Placed, PodFacts, Refused
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.facts import pod_facts
from mini8s.scheduler.runner import Scheduler
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi


class Events:
    def __init__(self) -> None:
        self.said: list[str] = []

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        self.said.append(f"{type} {reason} {obj['metadata']['name']}: {message}")


class World:
    """An API in memory, the scheduler on it, and informers that are stepped by hand."""

    def __init__(self) -> None:
        self.api, self.events, self.clock = FakeApi(), Events(), FakeClock()
        self._informers = Informers(self.api, Stop())
        self.scheduler = Scheduler(
            rest=self.api, informers=self._informers, clock=self.clock, stop=Stop(), recorder=self.events
        )

    def node(self, name: str, cpu: str = "1", **spec: Any) -> None:
        status = {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"}}
        self.api.create(kinds.NODES, {"metadata": {"name": name}, "spec": spec, "status": status})

    def pod(self, name: str, cpu: str = "600m", **spec: Any) -> None:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        metadata = {"namespace": "default", "name": name}
        self.api.create(kinds.PODS, {"metadata": metadata, "spec": {"containers": [container]} | spec})

    def cycle(self) -> None:
        """Let the informers see everything, then let the scheduler work."""
        for kind in (kinds.NODES, kinds.PODS):
            informer = self._informers.of(kind)
            informer._version = ""
            informer.step()
        self.scheduler.step()

    def where(self, name: str) -> str:
        found: str = self.api.get(kinds.PODS, "default", name)["spec"].get("nodeName", "")
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_pod_gets_a_node_and_an_event_says_so(world: World) -> None:
    world.node("a")
    world.pod("web")
    world.cycle()
    assert world.where("web") == "a"
    assert world.events.said == ["Normal Scheduled web: Successfully assigned default/web to a"]


def test_one_picture_does_not_give_the_same_room_away_twice(world: World) -> None:
    world.node("a")
    world.node("b")
    world.pod("one")
    world.pod("two")
    world.cycle()
    assert {world.where("one"), world.where("two")} == {"a", "b"}


def test_room_that_was_given_a_moment_ago_stays_given_while_the_informer_is_behind(world: World) -> None:
    world.node("a")
    world.pod("one")
    world.cycle()
    world.pod("two")
    world.scheduler._queue.add(_facts(world, "two"))  # the pod is seen, the binding of "one" is not yet
    world.scheduler.step()
    assert world.where("two") == ""


def _facts(world: World, name: str) -> Any:
    return pod_facts(world.api.get(kinds.PODS, "default", name))


def test_why_not_is_an_event_and_a_condition_and_is_written_once(world: World) -> None:
    world.node("a", cpu="500m")
    world.pod("web")
    world.cycle()
    sentence = (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert world.events.said == [f"Warning FailedScheduling web: {sentence}"]
    [condition] = world.api.get(kinds.PODS, "default", "web")["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"], condition["message"]) == (
        "PodScheduled",
        "False",
        "Unschedulable",
        sentence,
    )
    writes = len(world.api.calls)
    world.clock.step(400)
    world.cycle()
    assert len(world.api.calls) == writes


def test_a_new_node_lets_a_refused_pod_in(world: World) -> None:
    world.pod("web")
    world.cycle()
    world.node("a")
    world.clock.step(2)
    world.cycle()
    assert world.where("web") == "a"


def test_a_binding_that_fails_is_tried_again_after_a_pause(world: World) -> None:
    world.node("a")
    world.pod("web")
    world.api.fail_next("bind", ServiceUnavailable("away"))
    world.cycle()
    assert world.where("web") == ""
    world.clock.step(1.5)
    world.cycle()
    assert world.where("web") == "a"


def test_a_lost_race_for_a_pod_gives_its_room_back(world: World) -> None:
    world.node("a")
    world.pod("web")
    world.api.fail_next("bind", Conflict("pod web is already assigned to node b"))
    world.cycle()
    world.api.delete(kinds.PODS, "default", "web", grace_seconds=0)
    world.pod("other")
    world.cycle()
    assert world.where("other") == "a"


def test_pods_of_another_scheduler_are_left_alone(world: World) -> None:
    world.node("a")
    world.pod("web", schedulerName="mine")
    world.cycle()
    assert world.where("web") == ""


def test_a_pod_that_trips_a_plugin_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_well = Decider.decide

    def decide(self: Decider, pod: PodFacts) -> Placed | Refused:
        if pod.name == "odd":
            raise KeyError("operator")
        return decide_well(self, pod)

    monkeypatch.setattr(Decider, "decide", decide)
    world.node("a")
    world.pod("odd")
    world.pod("web")
    world.cycle()
    assert (world.where("odd"), world.where("web")) == ("", "a")


def test_a_node_may_count_its_pods_in_thousands(world: World) -> None:
    world.node("a")
    world.api.patch_status(kinds.NODES, "", "a", {"status": {"allocatable": {"pods": "1k"}}})
    world.pod("web")
    world.cycle()
    assert world.where("web") == "a"


def test_a_gated_pod_waits_for_its_gates(world: World) -> None:
    world.node("a")
    world.pod("web", schedulingGates=[{"name": "x.io/y"}])
    world.cycle()
    assert (world.where("web"), world.events.said) == ("", [])
    world.api.patch(kinds.PODS, "default", "web", {"spec": {"schedulingGates": None}})
    world.cycle()
    assert world.where("web") == "a"


def test_a_pod_that_minds_others_is_tried_again_when_one_comes(world: World) -> None:
    world.node("a", cpu="4")
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
    node = world.api.get(kinds.NODES, "", "a")
    node["metadata"]["labels"] = {"kubernetes.io/hostname": "a"}
    world.api.update(kinds.NODES, node)
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world.pod("web", affinity=affinity)
    world.cycle()
    assert "didn't match pod affinity rules" in world.events.said[-1]
    metadata = {"namespace": "default", "name": "db", "labels": {"app": "db"}}
    world.api.create(kinds.PODS, {"metadata": metadata, "spec": {"containers": [], "nodeName": "a"}})
    world.clock.step(2.0)
    world.cycle()
    assert world.where("web") == "a"


def test_who_waits_for_company_is_told_of_who_was_placed_here(world: World) -> None:
    """Of a pod that this scheduler placed, the informer has no news to tell."""
    world.node("a", cpu="4")
    node = world.api.get(kinds.NODES, "", "a")
    world.api.update(kinds.NODES, node | {"metadata": node["metadata"] | {"labels": {"host": "a"}}})
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "host"}
    world.pod("web", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    world.cycle()
    assert world.where("web") == ""
    world.clock.step(5.0)
    container = {"name": "c", "image": "i"}
    metadata = {"namespace": "default", "name": "db", "labels": {"app": "db"}}
    world.api.create(kinds.PODS, {"metadata": metadata, "spec": {"containers": [container]}})
    world.cycle()
    world.cycle()
    assert (world.where("db"), world.where("web")) == ("a", "a")


def test_what_was_found_for_one_pod_holds_only_for_those_alike(world: World) -> None:
    """Nothing moves between the two decisions of the second cycle."""
    world.node("a")
    world.pod("low", priority=1)
    world.cycle()
    world.pod("stray", priority=10, nodeSelector={"x": "y"})
    world.pod("high", priority=5)
    world.cycle()
    assert "deletionTimestamp" in world.api.get(kinds.PODS, "default", "low")["metadata"]


def test_a_pod_that_is_being_deleted_is_not_placed(world: World) -> None:
    world.pod("web")
    world.cycle()
    world.api.patch(kinds.PODS, "default", "web", {"metadata": {"finalizers": ["x.io/y"]}})
    world.api.delete(kinds.PODS, "default", "web", grace_seconds=0)
    world.cycle()
    world.node("a")
    world.clock.step(20.0)
    world.cycle()
    assert world.where("web") == ""


def test_a_pod_of_higher_priority_makes_another_give_way(world: World) -> None:
    world.node("a")
    world.pod("low", priority=1)
    world.cycle()
    world.pod("high", priority=10)
    world.cycle()
    low = world.api.get(kinds.PODS, "default", "low")
    assert "deletionTimestamp" in low["metadata"]
    assert low["status"]["conditions"][0]["reason"] == "PreemptionByScheduler"
    assert world.api.get(kinds.PODS, "default", "high")["status"]["nominatedNodeName"] == "a"
    assert [said.split(":")[0] for said in world.events.said[1:]] == [
        "Warning FailedScheduling high",
        "Normal Preempted low",
    ]
    world.clock.step(2.0)
    world.cycle()
    assert world.where("high") == ""
    world.api.delete(kinds.PODS, "default", "low", grace_seconds=0)
    world.cycle()
    assert world.where("high") == "a"
