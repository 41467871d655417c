"""Where a pod can go because of its volumes, and how it waits for those that are made for it."""

from __future__ import annotations

from typing import Any

import pytest

from mini8s.client.informer import Informers
from mini8s.objects import claims, meta
from mini8s.objects.errors import Conflict
from mini8s.objects.kinds import (
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STORAGECLASSES,
    Obj,
)
from mini8s.scheduler.runner import Scheduler
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi, FakeEvents

WATCHED = (NODES, PODS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES)


class World:
    def __init__(self) -> None:
        self.api, self.events, self.clock = FakeApi(), FakeEvents(), FakeClock()
        self._informers = Informers(self.api, Stop())
        self.scheduler = Scheduler(
            rest=self.api, informers=self._informers, clock=self.clock, stop=Stop(), recorder=self.events
        )
        for name in ("a", "b"):
            self.node(name)
        self.api.create(
            STORAGECLASSES,
            {
                "metadata": {"name": "local-path"},
                "provisioner": claims.PROVISIONER,
                "volumeBindingMode": "WaitForFirstConsumer",
            },
        )

    def node(self, name: str) -> None:
        status = {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}
        metadata = {"name": name, "labels": {claims.HOST_NAME: name}}
        self.api.create(NODES, {"metadata": metadata, "spec": {}, "status": status})

    def pod(self, name: str = "web", cpu: str = "100m", *, volumes: Any = None) -> None:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        volumes = volumes or [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
        spec = {"containers": [container], "volumes": volumes}
        self.api.create(PODS, {"metadata": {"namespace": "default", "name": name}, "spec": spec})

    def claim(self, name: str = "data", storage_class: str = "local-path", **more: Any) -> Obj:
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        metadata = {"namespace": "default", "name": name}
        return self.api.create(PERSISTENTVOLUMECLAIMS, {"metadata": metadata, "spec": spec | more})

    def volume(self, name: str, on: str, **more: Any) -> None:
        term = {"matchExpressions": [{"key": claims.HOST_NAME, "operator": "In", "values": [on]}]}
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local-path",
            "capacity": {"storage": "1Gi"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        }
        self.api.create(PERSISTENTVOLUMES, {"metadata": {"name": name}, "spec": spec | more})

    def bind(self, name: str, volume: str) -> None:
        """What the claims' controller does."""
        change = {
            "spec": {"volumeName": volume},
            "metadata": {"annotations": {claims.BIND_COMPLETED: "yes"}},
        }
        self.api.patch(PERSISTENTVOLUMECLAIMS, "default", name, change)

    def cycle(self) -> None:
        for kind in WATCHED:
            informer = self._informers.of(kind)
            informer._version = ""
            informer.step()
        self.scheduler.step()

    def where(self, name: str = "web") -> str:
        return str(self.api.get(PODS, "default", name)["spec"].get("nodeName", ""))

    def selected(self, name: str = "data") -> str:
        found = self.api.get(PERSISTENTVOLUMECLAIMS, "default", name)
        return meta.annotations(found).get(claims.SELECTED_NODE, "")

    def refused(self) -> str:
        """Why the pod was not placed."""
        return str(self.events.said[-1][3])


@pytest.fixture
def world() -> World:
    return World()


def test_a_pod_goes_where_its_bound_volume_is(world: World) -> None:
    world.volume("pv", "b")
    world.claim()
    world.bind("data", "pv")
    world.pod()
    world.cycle()
    assert world.where() == "b"


@pytest.mark.parametrize("on", ["nowhere"])
def test_a_volume_that_no_node_reaches(world: World, on: str) -> None:
    world.volume("pv", on)
    world.claim()
    world.bind("data", "pv")
    world.pod()
    world.cycle()
    assert world.refused() == (
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )


def test_what_is_said_of_claims_that_are_not_ready(world: World) -> None:
    world.pod()
    world.cycle()
    assert world.refused() == '0/2 nodes are available: persistentvolumeclaim "data" not found.'
    world.claim(storage_class="")
    world.clock.step(400)
    world.cycle()
    assert world.refused() == ("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    world.bind("data", "gone")
    world.clock.step(400)
    world.cycle()
    assert "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)" in world.refused()
    scratch = [{"name": "s", "ephemeral": {"volumeClaimTemplate": {}}}]
    world.pod("two", volumes=scratch)
    world.cycle()
    assert (
        'waiting for ephemeral volume controller to create the persistentvolumeclaim "two-s"'
        in world.refused()
    )


def test_a_node_is_chosen_and_kept_until_the_volume_is_made_there(world: World) -> None:
    world.claim()
    world.pod(cpu="900m")
    world.cycle()
    assert (world.where(), world.selected()) == ("", "a")
    world.pod("other", cpu="900m", volumes=[{"name": "e", "emptyDir": {}}])
    world.cycle()
    assert world.where("other") == "b", "the room on a is the first pod's"
    world.cycle()
    assert world.where() == ""
    world.volume("pv", "a")
    world.bind("data", "pv")
    world.cycle()
    assert world.where() == "a", "at once, without a back-off"


def test_a_node_that_was_chosen_before_stays_chosen(world: World) -> None:
    """By a scheduler before this one, say."""
    world.claim()
    chosen = {"metadata": {"annotations": {claims.SELECTED_NODE: "b"}}}
    world.api.patch(PERSISTENTVOLUMECLAIMS, "default", "data", chosen)
    world.pod()
    world.cycle()
    world.volume("pv", "b")
    world.bind("data", "pv")
    world.cycle()
    assert world.where() == "b"
    assert world.selected() == "b"


def test_a_node_that_was_taken_back_is_looked_for_anew(world: World) -> None:
    world.claim()
    world.pod()
    world.cycle()
    world.api.patch(
        PERSISTENTVOLUMECLAIMS, "default", "data", {"metadata": {"annotations": {claims.SELECTED_NODE: None}}}
    )
    world.api.patch(NODES, "", "a", {"spec": {"unschedulable": True}})
    world.clock.step(6)
    world.cycle()
    world.clock.step(2)
    world.cycle()
    assert world.selected() == "b"


def test_a_volume_that_is_there_is_taken_before_one_is_made(world: World) -> None:
    world.volume("pv", "b")
    made = world.claim()
    world.api.patch(NODES, "", "a", {"spec": {"unschedulable": True}})
    world.pod()
    world.cycle()
    found = world.api.get(PERSISTENTVOLUMES, "", "pv")
    assert found["spec"]["claimRef"]["uid"] == meta.uid(made)
    assert world.selected() == ""
    world.bind("data", "pv")
    world.cycle()
    assert world.where() == "b"


def test_two_claims_of_a_pod_take_two_volumes(world: World) -> None:
    none = {"metadata": {"name": "static"}, "provisioner": claims.NO_PROVISIONER}
    world.api.create(STORAGECLASSES, none | {"volumeBindingMode": "WaitForFirstConsumer"})
    for name in ("one", "two"):
        world.claim(name, "static")
    wanted = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("one", "two")]
    world.pod(volumes=wanted)
    world.volume("pv1", "a", storageClassName="static")
    world.volume("pv2", "b", storageClassName="static")
    world.cycle()
    assert "2 node(s) didn't find available persistent volumes to bind" in world.refused()
    world.volume("pv3", "b", storageClassName="static")
    world.clock.step(2)
    world.cycle()
    claimed = {
        meta.name(one) for one in world.api.list(PERSISTENTVOLUMES).items if one["spec"].get("claimRef")
    }
    assert claimed == {"pv2", "pv3"}


def test_a_write_that_comes_too_late_is_tried_anew(world: World) -> None:
    world.claim()
    world.pod()
    world.api.fail_next("patch", Conflict("somebody was faster"))
    world.cycle()
    assert world.selected() == ""
    world.clock.step(2)
    world.cycle()
    assert world.selected() == "a"


def test_a_claim_for_one_pod_is_not_shared(world: World) -> None:
    world.volume("pv", "a")
    world.claim(accessModes=["ReadWriteOncePod"])
    world.bind("data", "pv")
    world.pod()
    world.cycle()
    world.pod("second")
    world.cycle()
    assert (
        "1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod"
        in world.refused()
    )
