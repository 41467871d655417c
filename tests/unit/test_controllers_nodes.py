"""Nodes that go quiet and return, and what becomes of their pods."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.nodelifecycle import NodeLifecycle, disrupted
from mini8s.controllers.kinds.podgc import PodGc
from mini8s.controllers.kinds.replicaset import ReplicaSets
from mini8s.controllers.kinds.tainteviction import TaintEviction
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import LEASES, NODES, PODS, REPLICASETS, Obj
from mini8s.objects.time import format_micro
from tests.fakes.world import NAMESPACE, World, node, pod, replica_set

TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


@pytest.fixture
def world() -> Iterator[World]:
    world = World([NodeLifecycle, TaintEviction, PodGc, ReplicaSets])
    for name in ("n1", "n2"):
        world.api.create(NODES, node(name))
        world.api.create(LEASES, lease(world, name))
    world.settle()
    world.writes()
    yield world
    world.close()


def lease(world: World, name: str) -> Obj:
    return {
        "metadata": {"namespace": "kube-node-lease", "name": name},
        "spec": {"holderIdentity": name, "renewTime": format_micro(world.clock.now())},
    }


def beat(world: World, *names: str) -> None:
    for name in names:
        spec = {"renewTime": format_micro(world.clock.now())}
        world.api.patch(LEASES, "kube-node-lease", name, {"spec": spec})


def pass_time(world: World, seconds: int, *alive: str) -> None:
    """Time in which these nodes go on beating."""
    for _ in range(seconds // 10):
        world.clock.step(10)
        beat(world, *alive)
        world.settle()


def ready(obj: Obj) -> Obj:
    return conditions.get(obj, "Ready") or {}


def taints(world: World, name: str) -> list[str]:
    return [f"{one['key']}:{one['effect']}" for one in world.get(NODES, name)["spec"].get("taints") or ()]


def test_nodes_that_beat_cost_no_writes(world: World) -> None:
    pass_time(world, 300, "n1", "n2")
    assert [said for said in world.writes() if "leases" not in said] == []


def test_a_silent_node_is_unknown_tainted_and_its_pods_are_not_ready(world: World) -> None:
    world.api.create(PODS, pod("p", node="n2", tolerations=TOLERATIONS))
    world.set_ready("p", True)
    world.settle()
    pass_time(world, 30, "n1")
    assert ready(world.get(NODES, "n2"))["status"] == "True"
    pass_time(world, 20, "n1")
    lost = ready(world.get(NODES, "n2"))
    assert (lost["status"], lost["reason"], lost["message"]) == (
        "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.",
    )  # fmt: skip
    assert taints(world, "n2") == [
        "node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"
    ]  # fmt: skip
    assert ready(world.get(PODS, "p"))["status"] == "False"
    assert sorted(world.told()) == [
        "NodeNotReady: Node is not ready", "NodeNotReady: Node n2 status is now: NodeNotReady"
    ]  # fmt: skip
    assert (ready(world.get(NODES, "n1"))["status"], taints(world, "n1")) == ("True", [])
    world.writes()
    pass_time(world, 100, "n1")
    assert [said for said in world.writes() if "leases" not in said] == []


def returns(world: World, name: str) -> None:
    """What an agent does when it is back."""
    beat(world, name)
    world.api.patch_status(NODES, "", name, {"status": node(name)["status"]})
    world.settle()


def test_a_node_that_returns_loses_its_taints(world: World) -> None:
    pass_time(world, 50, "n1")
    returns(world, "n2")
    assert taints(world, "n2") == []
    pass_time(world, 100, "n1", "n2")
    assert taints(world, "n2") == []


def test_pods_leave_a_lost_node_after_their_toleration_and_are_replaced(world: World) -> None:
    spec = replica_set(replicas=1)
    spec["spec"]["template"]["spec"]["tolerations"] = TOLERATIONS
    world.api.create(REPLICASETS, spec)
    world.settle()
    first = world.names(PODS)[0]
    world.run_pods(node="n2")
    pass_time(world, 330, "n1")
    assert not meta.deleting(world.get(PODS, first))
    pass_time(world, 20, "n1")
    leaving = world.get(PODS, first)
    assert meta.deleting(leaving)
    assert (conditions.get(leaving, "DisruptionTarget") or {})["reason"] == "DeletionByTaintManager"
    assert f"TaintManagerEviction: Marking for deletion Pod {NAMESPACE}/{first}" in world.told()
    assert len(world.names(PODS)) == 2


def test_pods_stay_when_their_node_is_back_in_time(world: World) -> None:
    world.api.create(PODS, pod("p", node="n2", tolerations=TOLERATIONS))
    pass_time(world, 100, "n1")
    returns(world, "n2")
    pass_time(world, 400, "n1", "n2")
    assert not meta.deleting(world.get(PODS, "p"))


def test_pods_that_tolerate_nothing_leave_at_once_and_those_that_tolerate_all_stay(world: World) -> None:
    world.api.create(PODS, pod("none", node="n2"))
    world.api.create(PODS, pod("all", node="n2", tolerations=[{"operator": "Exists"}]))
    world.api.patch(NODES, "", "n2", {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}})
    world.settle()
    assert [meta.name(one) for one in world.all(PODS) if meta.deleting(one)] == ["none"]


def lost_pod(world: World, policy: str, name: str = "p", **spec: object) -> None:
    made = pod(name, node="n2", tolerations=TOLERATIONS, terminationGracePeriodSeconds=10, **spec)
    made["metadata"]["annotations"] = {"mini8s.io/on-node-lost": policy}
    world.api.create(PODS, made)
    world.set_ready(name, True)
    world.settle()


def test_kept_pods_stay_but_are_not_ready(world: World) -> None:
    lost_pod(world, "keep")
    pass_time(world, 5000, "n1")
    found = world.get(PODS, "p")
    assert (ready(found)["status"], meta.deleting(found)) == ("False", False)
    beat(world, "n2")
    assert not meta.deleting(world.get(PODS, "p"))


def test_kept_pods_leave_for_another_taint(world: World) -> None:
    lost_pod(world, "keep")
    world.api.patch(NODES, "", "n2", {"spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]}})
    world.settle()
    assert meta.deleting(world.get(PODS, "p"))


def test_fenced_pods_go_for_good_when_their_host_must_have_stopped_them(world: World) -> None:
    """The toleration is over at 340 s; the lease, half of it and the pod's grace at 70 s."""
    lost_pod(world, "fence")
    pass_time(world, 330, "n1")
    assert not meta.deleting(world.get(PODS, "p"))
    pass_time(world, 10, "n1")
    assert "p" not in world.names(PODS)


def test_fenced_pods_wait_for_their_host_however_little_they_tolerate(world: World) -> None:
    lost_pod(world, "fence")
    for one in TOLERATIONS:
        assert one["tolerationSeconds"] == 300
    world.api.patch(PODS, NAMESPACE, "p", {"spec": {"tolerations": []}})
    pass_time(world, 60, "n1")
    assert "unreachable" in "".join(taints(world, "n2"))
    assert not meta.deleting(world.get(PODS, "p"))
    pass_time(world, 10, "n1")
    assert "p" not in world.names(PODS)


def test_a_fenced_pod_of_a_host_that_renews_its_lease_stays_however_ill_the_host_is(world: World) -> None:
    lost_pod(world, "fence")
    said = [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]
    world.api.patch_status(NODES, "", "n2", {"status": {"conditions": said}})
    pass_time(world, 1000, "n1", "n2")
    assert "not-ready" in "".join(taints(world, "n2"))
    assert not meta.deleting(world.get(PODS, "p"))


def test_a_fenced_pod_that_is_deleted_meanwhile_goes_when_its_host_has_stopped_it(world: World) -> None:
    lost_pod(world, "fence")
    pass_time(world, 50, "n1")
    world.api.delete(PODS, NAMESPACE, "p")
    pass_time(world, 10, "n1")
    assert meta.deleting(world.get(PODS, "p"))
    pass_time(world, 10, "n1")
    assert "p" not in world.names(PODS)


def test_a_lost_pod_of_no_policy_is_marked_and_stays_until_somebody_is_sure(world: World) -> None:
    lost_pod(world, "replace")
    pass_time(world, 5000, "n1")
    assert meta.deleting(world.get(PODS, "p"))
    out = [{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]
    world.api.patch(NODES, "", "n2", {"spec": {"taints": [*world.get(NODES, "n2")["spec"]["taints"], *out]}})
    world.settle()
    assert "p" not in world.names(PODS)


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_is_set_changes_no_wait(world: World, jump: int) -> None:
    lost_pod(world, "replace")
    pass_time(world, 50, "n1")  # tainted at 40
    world.clock.set_wall(jump)
    pass_time(world, 280, "n1")
    assert not meta.deleting(world.get(PODS, "p"))
    pass_time(world, 10, "n1")
    assert meta.deleting(world.get(PODS, "p"))


def test_a_persons_taints_are_kept_and_counted_from_when_they_were_seen(world: World) -> None:
    world.api.patch(NODES, "", "n2", {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}})
    brief = [{"key": "x", "operator": "Exists", "tolerationSeconds": 30}]
    world.api.create(PODS, pod("p", node="n2", tolerations=brief))
    pass_time(world, 20, "n1", "n2")
    assert not meta.deleting(world.get(PODS, "p"))
    pass_time(world, 20, "n1", "n2")
    assert meta.deleting(world.get(PODS, "p"))
    pass_time(world, 50, "n1")
    assert "x:NoExecute" in taints(world, "n2")
    assert len(taints(world, "n2")) == 3


def test_a_node_that_says_it_is_not_ready_is_tainted_so(world: World) -> None:
    world.api.patch_status(NODES, "", "n2", {"status": node("n2", "False")["status"]})
    world.settle()
    assert taints(world, "n2") == [
        "node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"
    ]  # fmt: skip


def test_pressure_and_cordon_are_taints(world: World) -> None:
    status = node("n2")["status"]
    status["conditions"].append({"type": "DiskPressure", "status": "True"})
    world.api.patch_status(NODES, "", "n2", {"status": status})
    world.api.patch(NODES, "", "n2", {"spec": {"unschedulable": True}})
    world.settle()
    assert taints(world, "n2") == [
        "node.kubernetes.io/disk-pressure:NoSchedule", "node.kubernetes.io/unschedulable:NoSchedule"
    ]  # fmt: skip


def test_when_all_are_lost_no_pod_is_moved(world: World) -> None:
    world.api.create(PODS, pod("p", node="n2"))
    world.settle()
    pass_time(world, 100)
    assert taints(world, "n1") == taints(world, "n2") == ["node.kubernetes.io/unreachable:NoSchedule"]
    assert not meta.deleting(world.get(PODS, "p"))
    returns(world, "n1")
    pass_time(world, 20, "n1")
    assert "node.kubernetes.io/unreachable:NoExecute" in taints(world, "n2")
    assert meta.deleting(world.get(PODS, "p"))


@pytest.mark.parametrize(
    ("lost", "of", "expected"),
    [(0, 1, False), (1, 1, True), (1, 2, False), (2, 3, False), (3, 5, True), (3, 6, False), (5, 9, True)],
)
def test_how_many_are_too_many(lost: int, of: int, expected: bool) -> None:
    assert disrupted(lost, of) is expected


def test_a_node_that_never_spoke_is_given_more_time() -> None:
    world = World([NodeLifecycle])
    world.api.create(NODES, node("n1"))
    world.api.create(NODES, {"metadata": {"name": "new"}, "spec": {}})
    world.settle()
    pass_time(world, 50)
    assert ready(world.get(NODES, "new")) == {}
    pass_time(world, 20)
    assert ready(world.get(NODES, "new"))["reason"] == "NodeStatusNeverUpdated"
    world.close()


def test_the_patience_is_a_setting() -> None:
    world = World([NodeLifecycle], ControllerSettings(node_grace_seconds=4))
    world.api.create(NODES, node("n1"))
    world.settle()
    world.step(3)
    assert ready(world.get(NODES, "n1"))["status"] == "True"
    world.step(1)
    assert ready(world.get(NODES, "n1"))["status"] == "Unknown"
    world.close()


def test_pods_of_a_deleted_node_are_removed_after_a_while(world: World) -> None:
    world.api.create(PODS, pod("p", node="n2"))
    world.settle()
    world.api.delete(NODES, "", "n2")
    world.settle()
    world.step(20)
    assert world.names(PODS) == ["p"]
    world.step(20)
    assert world.names(PODS) == []


def test_deleted_pods_that_never_had_a_node_are_removed(world: World) -> None:
    held = pod("p")
    held["metadata"]["finalizers"] = ["x"]
    world.api.create(PODS, held)
    world.api.delete(PODS, NAMESPACE, "p")
    world.settle()
    world.api.patch(PODS, NAMESPACE, "p", {"metadata": {"finalizers": None}})
    world.settle()
    assert world.names(PODS) == []


def test_pods_of_a_node_out_of_service_are_let_go(world: World) -> None:
    world.api.create(PODS, pod("p", node="n2"))
    world.api.delete(PODS, NAMESPACE, "p")
    world.settle()
    out = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute", "value": "nodeshutdown"}
    world.api.patch(NODES, "", "n2", {"spec": {"taints": [out]}})
    world.settle()
    assert world.names(PODS) == []


def test_only_so_many_ended_pods_are_kept() -> None:
    world = World([PodGc], ControllerSettings(terminated_pod_threshold=2))
    world.api.create(NODES, node("n1"))
    for number in range(4):
        world.api.create(PODS, pod(f"p{number}", node="n1"))
        world.api.patch_status(PODS, NAMESPACE, f"p{number}", {"status": {"phase": "Succeeded"}})
        world.clock.step(1)
    world.settle()
    assert world.names(PODS) == ["p2", "p3"]
    world.close()


def test_all_nodes_are_looked_at_only_when_what_is_believed_of_them_changes() -> None:
    world = World([NodeLifecycle])
    changed = NodeLifecycle(world.context).sources[0].changed
    names = [f"n{number}" for number in range(5)]

    def said(name: str, status: str) -> Obj:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}

    def turned(name: str, before: str, after: str) -> set[str]:
        return set(changed(said(name, before), said(name, after)))

    for name in names:
        changed(None, world.api.create(NODES, said(name, "True")))
    world.observe()
    world.close()
    assert [turned(name, "True", "Unknown") for name in ("n0", "n1")] == [{"n0"}, {"n1"}]
    assert turned("n2", "True", "Unknown") == set(names), "more than half are lost"
    assert turned("n3", "True", "Unknown") == {"n3"}
    assert turned("n3", "Unknown", "True") == {"n3"}
    assert turned("n2", "Unknown", "True") == set(names)
