"""Deployments and ReplicaSets on a fake API: roll-outs step by step, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.deployment.controller import Deployments
from mini8s.controllers.kinds.replicaset import ReplicaSets
from mini8s.objects import errors, meta
from mini8s.objects.kinds import DEPLOYMENTS, PODS, REPLICASETS, Obj
from tests.fakes.world import NAMESPACE, World, deployment, replica_set, template

REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture
def world() -> Iterator[World]:
    world = World([Deployments, ReplicaSets])
    yield world
    world.close()


def start(world: World, **spec: object) -> None:
    """A Deployment whose pods all run."""
    world.api.create(DEPLOYMENTS, deployment(**spec))  # type: ignore[arg-type]
    finish(world)
    world.told()


def finish(world: World, rounds: int = 60) -> None:
    """Let pods become ready one by one until nothing changes."""
    world.settle()
    for _ in range(rounds):
        waiting = [pod for pod in world.all(PODS) if meta.deleting(pod) or not ready(pod)]
        if not waiting:
            return
        going = {meta.name(pod) for pod in waiting if meta.deleting(pod)} or {meta.name(waiting[0])}
        world.run_pods(only=lambda pod, going=going: meta.name(pod) in going)  # type: ignore[misc]
        world.clock.step(1)
        world.settle()
    raise AssertionError("not finished")


def ready(pod: Obj) -> bool:
    return bool((pod.get("status") or {}).get("conditions"))


def number(obj: Obj) -> str:
    return meta.annotations(obj)[REVISION]


def status(world: World) -> Obj:
    return dict(world.get(DEPLOYMENTS, "web")["status"])


def condition(world: World, type: str) -> Obj:
    return next((item for item in status(world)["conditions"] if item["type"] == type), {})


def change(world: World, spec: Obj) -> None:
    world.api.patch(DEPLOYMENTS, NAMESPACE, "web", {"spec": spec})


def update(world: World, image: str) -> None:
    change(world, {"template": template(image)})


def newest(world: World) -> Obj:
    return max(world.all(REPLICASETS), key=lambda one: int(number(one)))


def test_makes_a_replica_set_and_follows_it(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment())
    world.settle()
    (made,) = world.all(REPLICASETS)
    mark = meta.labels(made)["pod-template-hash"]
    assert meta.name(made) == f"web-{mark}"
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": mark}}
    assert meta.labels(world.all(PODS)[0]) == {"app": "web", "pod-template-hash": mark}
    assert meta.annotations(made) == {
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert number(world.get(DEPLOYMENTS, "web")) == "1"
    assert f"ScalingReplicaSet: Scaled up replica set {meta.name(made)} from 0 to 3" in world.told()
    assert (condition(world, "Progressing")["reason"], condition(world, "Available")["status"]) == (
        "ReplicaSetUpdated", "False",
    )  # fmt: skip
    finish(world)
    assert {key: value for key, value in status(world).items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    progress, available = condition(world, "Progressing"), condition(world, "Available")
    assert (progress["status"], progress["reason"], progress["message"]) == (
        "True", "NewReplicaSetAvailable", f'ReplicaSet "{meta.name(made)}" has successfully progressed.',
    )  # fmt: skip
    assert (available["status"], available["reason"], available["message"]) == (
        "True", "MinimumReplicasAvailable", "Deployment has minimum availability.",
    )  # fmt: skip


def test_a_settled_one_writes_nothing(world: World) -> None:
    start(world)
    world.writes()
    for _ in range(3):
        for runner in world.runners:
            for name in ("web", *world.names(REPLICASETS)):
                runner.queue.add(f"{NAMESPACE}/{name}")
        world.step(700)
    assert world.writes() == []


def test_a_rolling_update_steps_as_upstream_does(world: World) -> None:
    """Each write of a size, not only where it settles."""
    start(world)
    update(world, "web:v2")
    world.writes()
    finish(world)
    assert written_sizes(world) == ["3/0", "3/1", "2/1", "2/2", "1/2", "1/3", "0/3"]


def written_sizes(world: World) -> list[str]:
    """The sizes old/new after each write of the two ReplicaSets of a Deployment of 3."""
    old, new = 3, 0
    seen = ["3/0"]
    name = meta.name(newest(world))
    for call in world.api.calls:
        if call.kind is not REPLICASETS or call.subresource:
            continue
        size = (call.body.get("spec") or {}).get("replicas")
        if size is None:
            continue
        old, new = (old, size) if call.name == name else (size, new)
        if seen[-1] != f"{old}/{new}":
            seen.append(f"{old}/{new}")
    return seen


def test_pods_that_never_come_hold_a_roll_out_and_the_deadline_says_so(world: World) -> None:
    start(world, progressDeadlineSeconds=60)
    update(world, "web:broken")
    world.settle()
    name = meta.name(newest(world))
    assert [one["spec"]["replicas"] for one in world.all(REPLICASETS) if meta.name(one) != name] == [3]
    assert condition(world, "Progressing")["reason"] == "ReplicaSetUpdated"
    world.step(59)
    assert condition(world, "Progressing")["status"] == "True"
    world.step(5)
    late = condition(world, "Progressing")
    assert (late["status"], late["reason"], late["message"]) == (
        "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.',
    )  # fmt: skip
    world.writes()
    world.step(600)
    assert world.writes() == []
    finish(world)
    assert condition(world, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_an_undo_finds_the_old_one_and_gives_it_the_next_number(world: World) -> None:
    start(world)
    update(world, "web:v2")
    finish(world)
    update(world, "web:v1")
    finish(world)
    second, first = sorted(world.all(REPLICASETS), key=number)
    assert [container["image"] for container in first["spec"]["template"]["spec"]["containers"]] == ["web:v1"]
    assert (number(first), number(second)) == ("3", "2")
    assert meta.annotations(first)["deployment.kubernetes.io/revision-history"] == "1"
    assert number(world.get(DEPLOYMENTS, "web")) == "3"
    assert first["spec"]["replicas"] == 3


def test_old_replica_sets_beyond_the_limit_go(world: World) -> None:
    start(world, revisionHistoryLimit=1)
    for version in range(2, 5):
        update(world, f"web:v{version}")
        finish(world)
    assert sorted(number(one) for one in world.all(REPLICASETS)) == ["3", "4"]


def test_recreate_waits_for_the_last_old_pod(world: World) -> None:
    start(world, strategy={"type": "Recreate"})
    update(world, "web:v2")
    world.settle()
    assert len(world.names(REPLICASETS)) == 1
    assert all(map(meta.deleting, world.all(PODS)))
    world.run_pods(only=meta.deleting)
    world.settle()
    finish(world)
    assert newest(world)["spec"]["replicas"] == 3
    assert status(world)["updatedReplicas"] == status(world)["replicas"] == 3


def test_a_paused_one_scales_but_does_not_roll(world: World) -> None:
    start(world)
    change(world, {"paused": True})
    update(world, "web:v2")
    world.settle()
    assert len(world.names(REPLICASETS)) == 1
    paused = condition(world, "Progressing")
    assert (paused["status"], paused["reason"]) == ("Unknown", "DeploymentPaused")
    change(world, {"replicas": 5})
    finish(world)
    assert len(world.names(PODS)) == 5
    change(world, {"paused": None})
    finish(world)
    assert (len(world.names(REPLICASETS)), newest(world)["spec"]["replicas"]) == (2, 5)
    assert condition(world, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_scaling_is_one_step(world: World) -> None:
    start(world)
    name = world.names(REPLICASETS)[0]
    for replicas, event in ((4, "up"), (3, "down")):
        before = world.get(REPLICASETS, name)["spec"]["replicas"]
        change(world, {"replicas": replicas})
        finish(world)
        assert (
            f"ScalingReplicaSet: Scaled {event} replica set {name} from {before} to {replicas}"
            in world.told()
        )
    change(world, {"replicas": 0})
    finish(world)
    assert world.names(PODS) == []
    assert condition(world, "Available")["status"] == "True"


def test_scaling_in_mid_roll_out_keeps_the_mix(world: World) -> None:
    start(world, replicas=10, strategy=rolling(3, 2))
    update(world, "web:v2")
    world.settle()
    sizes = {number(one): one["spec"]["replicas"] for one in world.all(REPLICASETS)}
    assert sizes == {"1": 8, "2": 5}
    change(world, {"replicas": 15})
    world.settle()
    sizes = {number(one): one["spec"]["replicas"] for one in world.all(REPLICASETS)}
    assert sizes == {"1": 11, "2": 7}  # the documentation's example of proportional scaling


def rolling(surge: int | str, unavailable: int | str) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_a_taken_name_means_another(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment(replicas=1))
    world.settle()
    taken = world.names(REPLICASETS)[0]
    world.api.delete(DEPLOYMENTS, NAMESPACE, "web")
    world.api.delete(REPLICASETS, NAMESPACE, taken)
    world.settle()
    stranger = replica_set(taken, 0, selector={"matchLabels": {"app": "other"}})
    stranger["spec"]["template"] = template("other", app="other")
    world.api.create(REPLICASETS, stranger)
    world.api.create(DEPLOYMENTS, deployment(replicas=1))
    world.settle()
    world.step(1)
    assert status(world)["collisionCount"] == 1
    assert len(world.names(REPLICASETS)) == 2


def test_a_refused_replica_set_is_a_condition_and_an_event(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment())
    world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="replicasets")
    world.observe()
    world.runners[0].step(0)
    progress = condition(world, "Progressing")
    assert (progress["status"], progress["reason"]) == ("False", "ReplicaSetCreateError")
    assert any(
        said.startswith("ReplicaSetCreateError: Failed to create new replica set") for said in world.told()
    )
    finish(world)
    assert condition(world, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_a_failing_replica_set_shows_at_the_deployment(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment())
    for _ in range(2):
        world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="pods")
    world.settle()
    failure = condition(world, "ReplicaFailure")
    assert (failure["reason"], failure["message"]) == ("FailedCreate", "exceeded quota")
    world.step(1)
    finish(world)
    assert condition(world, "ReplicaFailure") == {}


def test_adopts_a_replica_set_with_its_template(world: World) -> None:
    orphan = replica_set("orphan", 3)
    orphan["metadata"]["labels"] = {"app": "web"}
    world.api.create(REPLICASETS, orphan)
    world.api.create(DEPLOYMENTS, deployment())
    finish(world)
    assert world.names(REPLICASETS) == ["orphan"]
    assert number(world.get(REPLICASETS, "orphan")) == "1"


def test_annotations_and_min_ready_seconds_are_passed_on(world: World) -> None:
    start(world)
    world.api.patch(
        DEPLOYMENTS,
        NAMESPACE,
        "web",
        {"metadata": {"annotations": {"note": "hi"}}, "spec": {"minReadySeconds": 7}},
    )
    world.settle()
    (found,) = world.all(REPLICASETS)
    assert (meta.annotations(found)["note"], found["spec"]["minReadySeconds"]) == ("hi", 7)


def test_an_empty_selector_is_told_and_left_alone(world: World) -> None:
    world.api.create(DEPLOYMENTS, deployment(selector={}))
    world.settle()
    assert world.told() == [
        "SelectingAll: This deployment is selecting all pods. A non-empty selector is required."
    ]
    assert world.names(REPLICASETS) == []
