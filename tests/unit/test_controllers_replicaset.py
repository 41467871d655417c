"""ReplicaSets: as many pods as wanted, whose they are, which go first, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.claims import Claims
from mini8s.controllers.executor import batches
from mini8s.controllers.kinds.replicaset import Facts, ReplicaSets, ReplicationControllers, plan
from mini8s.controllers.ranking import first_to_go
from mini8s.objects import errors, meta
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import PODS, REPLICASETS, REPLICATIONCONTROLLERS, Obj
from mini8s.objects.time import format_time
from tests.fakes.world import NAMESPACE, World, pod, replica_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    world = World([ReplicaSets])
    yield world
    world.close()


def status(world: World) -> Obj:
    return dict(world.get(REPLICASETS, "web")["status"])


def scale(world: World, replicas: int) -> None:
    world.api.patch(REPLICASETS, NAMESPACE, "web", {"spec": {"replicas": replicas}})
    world.settle()


def test_creates_what_is_missing_and_says_so(world: World) -> None:
    made = world.api.create(REPLICASETS, replica_set())
    world.settle()
    names = world.names(PODS)
    assert len(names) == 3
    first = world.get(PODS, names[0])
    assert first["metadata"]["ownerReferences"] == [meta.new_controller_ref(made, REPLICASETS)]
    assert (first["spec"]["containers"], meta.labels(first)) == (
        [{"name": "c", "image": "web:v1"}],
        {"app": "web"},
    )
    assert sorted(world.told()) == sorted(f"SuccessfulCreate: Created pod: {name}" for name in names)
    assert status(world) == {"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}
    world.run_pods()
    world.settle()
    assert status(world) == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "observedGeneration": 1,
    }


def test_a_replication_controller_does_the_same_by_its_own_selector() -> None:
    world = World([ReplicationControllers])
    spec = replica_set()["spec"] | {"selector": {"app": "web"}}
    world.api.create(PODS, pod("orphan", labels={"app": "web"}))
    made = world.api.create(
        REPLICATIONCONTROLLERS, {"metadata": {"namespace": NAMESPACE, "name": "web"}, "spec": spec}
    )
    world.settle()
    ref = meta.new_controller_ref(made, REPLICATIONCONTROLLERS)
    assert [meta.owners(one) for one in world.all(PODS)] == [[ref]] * 3
    assert world.get(REPLICATIONCONTROLLERS, "web")["status"]["replicas"] == 3
    world.close()


def test_a_settled_one_writes_nothing(world: World) -> None:
    world.api.create(REPLICASETS, replica_set())
    world.settle()
    world.run_pods()
    world.settle()
    world.writes()
    for _ in range(3):
        for key in ("default/web",):
            world.runners[0].queue.add(key)
        world.step(60)
    assert world.writes() == []


def test_a_stale_cache_never_creates_twice(world: World) -> None:
    world.api.create(REPLICASETS, replica_set())
    world.observe()
    for _ in range(5):
        world.runners[0].queue.add("default/web")
        world.runners[0].step(0)  # the caches hear nothing of the pods
    assert len(world.names(PODS)) == 3
    world.settle()
    assert len(world.names(PODS)) == 3


def test_half_the_news_of_a_deletion_deletes_no_more(world: World) -> None:
    """With one of two gone the other would no longer be the first to go: its node has fewer now."""
    world.api.create(REPLICASETS, replica_set(replicas=4))
    world.settle()
    for name, where in zip(world.names(PODS), ("n1", "n1", "n2", "n2"), strict=True):
        world.api.bind(NAMESPACE, name, where)
    world.settle()
    world.api.patch(REPLICASETS, NAMESPACE, "web", {"spec": {"replicas": 2}})
    world.informers.of(REPLICASETS).step()
    answer = world.api.delete
    status = {"kind": "Status", "status": "Success"}
    world.api.delete = lambda *args, **more: answer(*args, **more) and status  # type: ignore[method-assign]
    for _ in range(3):
        world.runners[0].queue.add("default/web")
        world.runners[0].step(0)
        gone = next(call.name for call in world.api.calls if call.verb == "delete")
        world.informers.of(PODS).cache.remove(NAMESPACE, gone)
        world.informers.of(REPLICASETS).step()
    assert sum(call.verb == "delete" for call in world.api.calls) == 2


def test_lost_news_hold_a_key_up_only_for_a_while(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.api.create(REPLICASETS, replica_set())
    world.observe()
    world.runners[0].step(0)
    world.clock.step(31)
    world.runners[0].queue.add("default/web")
    world.runners[0].step(0)
    assert "no news of its own writes" in caplog.text


def test_replaces_pods_that_end_or_leave_without_waiting_for_them(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=2))
    world.settle()
    world.run_pods()
    leaving, failing = world.names(PODS)
    world.api.delete(PODS, NAMESPACE, leaving)
    world.api.patch_status(PODS, NAMESPACE, failing, {"status": {"phase": "Failed"}})
    world.settle()
    assert len(world.names(PODS)) == 4
    assert status(world)["replicas"] == 2


def test_scales_down_by_deleting(world: World) -> None:
    world.api.create(REPLICASETS, replica_set())
    world.settle()
    world.told()
    before = set(world.names(PODS))
    scale(world, 1)
    gone = before - set(world.names(PODS))
    assert len(gone) == 2
    assert sorted(world.told()) == sorted(f"SuccessfulDelete: Deleted pod: {name}" for name in gone)


def test_adopts_orphans_and_releases_what_it_no_longer_selects(world: World) -> None:
    world.api.create(PODS, pod("orphan", labels={"app": "web"}))
    world.api.create(PODS, pod("stranger", labels={"app": "db"}))
    made = world.api.create(REPLICASETS, replica_set(replicas=2))
    world.settle()
    assert len(world.names(PODS)) == 3
    assert (meta.controller_ref(world.get(PODS, "orphan")) or {})["uid"] == meta.uid(made)
    world.api.patch(PODS, NAMESPACE, "orphan", {"metadata": {"labels": {"app": "debug"}}})
    world.settle()
    assert meta.owners(world.get(PODS, "orphan")) == []
    assert len(world.names(PODS)) == 4


def test_adopts_nothing_for_one_that_is_gone_meanwhile(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=1))
    world.observe()
    world.api.delete(REPLICASETS, NAMESPACE, "web")
    world.api.create(PODS, pod("orphan", labels={"app": "web"}))
    world.informers.of(PODS).step()
    world.runners[0].step(0)
    assert meta.owners(world.get(PODS, "orphan")) == []


def test_adopts_nothing_for_a_namesake(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=1))
    world.observe()
    world.api.delete(REPLICASETS, NAMESPACE, "web")
    world.api.create(REPLICASETS, replica_set(replicas=1))
    world.api.create(PODS, pod("orphan", labels={"app": "web"}))
    world.informers.of(PODS).step()
    world.runners[0].step(0)
    assert meta.owners(world.get(PODS, "orphan")) == []


def test_a_deleted_one_leaves_its_pods_alone(world: World) -> None:
    world.api.create(REPLICASETS, replica_set())
    world.settle()
    world.api.delete(REPLICASETS, NAMESPACE, "web", propagation="Foreground")
    world.api.delete(PODS, NAMESPACE, world.names(PODS)[0])
    world.settle()
    assert len(world.names(PODS)) == 2


def test_a_refused_creation_is_a_condition_an_event_and_one_request(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=8))
    world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="pods")
    world.observe()
    world.runners[0].step(0)
    assert world.names(PODS) == []
    assert world.told() == ["FailedCreate: Error creating: exceeded quota"]
    (failure,) = status(world)["conditions"]
    assert (failure["type"], failure["status"], failure["reason"], failure["message"]) == (
        "ReplicaFailure", "True", "FailedCreate", "exceeded quota",
    )  # fmt: skip
    world.step(1)
    assert len(world.names(PODS)) == 8
    assert "conditions" not in status(world)


def test_nothing_is_told_when_the_namespace_ends(world: World) -> None:
    world.api.create(REPLICASETS, replica_set())
    ends = errors.Forbidden("no", causes=[Cause("metadata.namespace", "ends", "NamespaceTerminating")])
    world.api.fail_next("create", ends, plural="pods")
    world.observe()
    world.runners[0].step(0)
    assert world.told() == []


def test_available_comes_after_the_minimum_of_readiness(world: World) -> None:
    world.api.create(REPLICASETS, replica_set(replicas=1, minReadySeconds=10))
    world.settle()
    world.run_pods()
    world.settle()
    assert (status(world)["readyReplicas"], status(world).get("availableReplicas")) == (1, None)
    world.step(9)
    assert status(world).get("availableReplicas") is None
    world.step(1)
    assert status(world)["availableReplicas"] == 1


def test_batches_double() -> None:
    sizes = [len(batch) for batch in batches([None] * 20)]  # type: ignore[list-item]
    assert sizes == [1, 2, 4, 8, 5]


def made(name: str, **facts: object) -> Obj:
    """A pod for the ranking: node, phase, ready (seconds since), cost, restarts, age."""
    defaults = {"node": "n1", "phase": "Running", "ready": 100, "cost": 0, "restarts": 0, "age": 1000}
    given = defaults | facts
    found = pod(name, node=str(given["node"]))
    found["metadata"] |= {
        "uid": name,
        "creationTimestamp": format_time(NOW - timedelta(seconds=int(str(given["age"])))),
        "annotations": {"controller.kubernetes.io/pod-deletion-cost": str(given["cost"])},
    }
    ready = {"type": "Ready", "status": "True"}
    if given["ready"] is None:
        ready["status"] = "False"
    else:
        ready["lastTransitionTime"] = format_time(NOW - timedelta(seconds=int(str(given["ready"]))))
    found["status"] = {
        "phase": given["phase"],
        "conditions": [ready],
        "containerStatuses": [{"restartCount": given["restarts"]}],
    }
    return found


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        (made("a", node="", ready=None), made("b", phase="Pending", ready=None)),
        (made("a", phase="Pending"), made("b", phase="Unknown")),
        (made("a", phase="Unknown"), made("b", phase="Running")),
        (made("b", ready=None), made("a", ready=1)),
        (made("b", cost=-1), made("a", ready=1)),
        (made("b", node="full", ready=1000), made("a", ready=1)),
        (made("b", ready=10), made("a", ready=100)),
        (made("a", ready=100), made("b", ready=101)),  # about the same age: by uid
        (made("b", restarts=3, ready=None), made("a", ready=None)),
        (made("b", ready=None, age=10), made("a", ready=None, age=1000)),
    ],
)  # fmt: skip
def test_who_goes_first(goes: Obj, stays: Obj) -> None:
    nodes = {"full": 2, "n1": 1}
    for found in ([goes, stays], [stays, goes]):
        assert first_to_go(found, 1, nodes, NOW) == [goes]


pods_made = st.lists(
    st.builds(
        lambda phase, ready, leaving: (phase, ready, leaving),
        st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(pods_made, st.integers(0, 8))
def test_a_plan_reaches_the_number_in_one_round_and_then_rests(
    found: list[tuple[str, bool, bool]], replicas: int
) -> None:
    owner = replica_set(replicas=replicas)
    owner["metadata"] |= {"uid": "u", "resourceVersion": "1", "generation": 1}
    mine = []
    for number, (phase, ready, leaving) in enumerate(found):
        one = made(f"p{number}", phase=phase, ready=5 if ready else None)
        one["metadata"] |= {"resourceVersion": "1"} | ({"deletionTimestamp": "x"} if leaving else {})
        mine.append(one)
    first = plan(Facts(owner, Claims(tuple(mine)), {}), NOW, burst=500)
    for action in first.actions:
        for part in getattr(action, "actions", ()):
            if hasattr(part, "obj"):
                new = made(f"new{len(mine)}", phase="Pending", ready=None, node="")
                mine.append(new)
            else:
                mine = [one for one in mine if meta.name(one) != part.name]
    facts = Facts(owner, Claims(tuple(mine)), {})
    assert len(facts.active) == replicas
    second = plan(facts, NOW, burst=500)
    owner["status"] = {**owner.get("status", {}), **status_of(second)}
    assert plan(facts, NOW, burst=500).actions == ()


def status_of(found: object) -> Obj:
    change: Obj = {}
    for action in getattr(found, "actions", ()):
        assert not hasattr(action, "actions"), "a second plan changes pods"
        change |= action.patch["status"]
    return change
