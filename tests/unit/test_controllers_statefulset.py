"""StatefulSets: names and order, storage, updates from the top, and never two pods of one number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from depth import DEPTH, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.kinds.statefulset import identity
from mini8s.controllers.kinds.statefulset.controller import StatefulSets
from mini8s.objects import errors, meta, pods
from mini8s.objects.kinds import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS, Obj
from tests.fakes.world import NAMESPACE, World, pod, stateful_set, template

CLAIMED = [{"metadata": {"name": "www"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.fixture
def world() -> Iterator[World]:
    world = World([StatefulSets])
    yield world
    world.close()


def status(world: World) -> Obj:
    return dict(world.get(STATEFULSETS, "web")["status"])


def change(world: World, **spec: object) -> None:
    world.api.patch(STATEFULSETS, NAMESPACE, "web", {"spec": spec})
    world.settle()


def rolling(**said: object) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": said}


def started(world: World, **spec: object) -> None:
    """One with all its pods running."""
    world.api.create(STATEFULSETS, stateful_set(**spec))  # type: ignore[arg-type]
    run(world)


def run(world: World, rounds: int = 20) -> None:
    for _ in range(rounds):
        world.settle()
        world.run_pods()
    world.settle()


def images(world: World) -> str:
    """The last letter of each pod's image, by number: `1` old, `2` new, `x` on its way out."""
    found = sorted(world.all(PODS), key=lambda one: int(meta.name(one).rpartition("-")[2]))
    return "".join("x" if meta.deleting(one) else one["spec"]["containers"][0]["image"][-1] for one in found)


def fail(world: World, name: str, phase: str = "Failed") -> None:
    world.api.patch_status(PODS, NAMESPACE, name, {"status": {"phase": phase}})
    world.settle()


# ---- names, order, events


def test_one_after_the_other_each_when_the_last_is_available(world: World) -> None:
    world.api.create(STATEFULSETS, stateful_set())
    seen = []
    for _ in range(4):
        world.settle()
        seen.append(world.names(PODS))
        world.run_pods()
    assert seen == [["web-0"], ["web-0", "web-1"], ["web-0", "web-1", "web-2"], ["web-0", "web-1", "web-2"]]
    said = [f"SuccessfulCreate: create Pod web-{n} in StatefulSet web successful" for n in range(3)]
    assert world.told() == said
    world.settle()
    revision = world.names(CONTROLLERREVISIONS)[0]
    assert status(world) == {
        "observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3,
        "currentReplicas": 3, "updatedReplicas": 3, "currentRevision": revision, "updateRevision": revision,
        "collisionCount": 0,
    }  # fmt: skip


def test_a_pod_has_its_name_everywhere(world: World) -> None:
    started(world, replicas=1, ordinals={"start": 5}, volumeClaimTemplates=CLAIMED)
    made = world.get(PODS, "web-5")
    assert meta.labels(made) == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-5",
        "apps.kubernetes.io/pod-index": "5",
        "controller-revision-hash": world.names(CONTROLLERREVISIONS)[0],
    }
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("web-5", "web")
    assert made["spec"]["volumes"] == [{"name": "www", "persistentVolumeClaim": {"claimName": "www-web-5"}}]
    (found,) = world.all(PERSISTENTVOLUMECLAIMS)
    assert (meta.name(found), meta.labels(found), meta.owners(found)) == ("www-web-5", {"app": "web"}, [])


def test_all_at_once_when_parallel(world: World) -> None:
    world.api.create(STATEFULSETS, stateful_set(**PARALLEL))
    world.settle()
    assert world.names(PODS) == ["web-0", "web-1", "web-2"]
    world.run_pods()
    change(world, replicas=0)
    assert images(world) == "xxx"


@pytest.mark.parametrize(("management", "count"), [(PARALLEL, 500), ({}, 1)])
def test_of_however_many_no_more_than_a_round_is_begun(world: World, management: Obj, count: int) -> None:
    """The most that an int32 holds: nothing may be made of each of them."""
    spec = {"replicas": 2**31 - 1, "volumeClaimTemplates": CLAIMED} | management
    world.api.create(STATEFULSETS, stateful_set(**spec))  # type: ignore[arg-type]
    for _ in range(2):  # its revision, then its pods
        world.observe()
        world.runners[0].step(0)
    assert len(world.names(PODS)) == len(world.names(PERSISTENTVOLUMECLAIMS)) == count


def test_scales_down_one_at_a_time_from_the_top(world: World) -> None:
    started(world)
    change(world, replicas=1)
    assert images(world) == "11x"
    world.run_pods()
    world.settle()
    assert images(world) == "1x"
    run(world)
    assert images(world) == "1"


def test_does_not_scale_down_past_an_ill_pod_but_takes_it_itself(world: World) -> None:
    started(world, replicas=4)
    world.set_ready("web-2", False)
    world.set_ready("web-3", False)
    change(world, replicas=2)
    assert images(world) == "1111"
    world.set_ready("web-2", True)
    world.settle()
    assert images(world) == "111x"


def test_an_ill_pod_stops_scaling_up(world: World) -> None:
    started(world, replicas=2)
    world.set_ready("web-0", False)
    change(world, replicas=3)
    assert images(world) == "11"


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_ended_is_made_again_when_it_is_gone(world: World, phase: str) -> None:
    started(world)
    before = meta.uid(world.get(PODS, "web-1"))
    fail(world, "web-1", phase)
    run(world, 2)
    assert meta.uid(world.get(PODS, "web-1")) != before
    assert status(world)["readyReplicas"] == 3


def test_a_pod_on_its_way_out_is_waited_for(world: World) -> None:
    started(world)
    world.api.delete(PODS, NAMESPACE, "web-1")
    world.settle()
    assert images(world) == "1x1"
    assert "waits for web-1" in world.runners[0].sentences["default/web"]
    run(world, 2)
    assert images(world) == "111"


def test_min_ready_seconds_hold_the_next_up(world: World) -> None:
    world.api.create(STATEFULSETS, stateful_set(minReadySeconds=10))
    world.settle()
    world.run_pods()
    world.step(9)
    assert world.names(PODS) == ["web-0"]
    assert (status(world)["readyReplicas"], status(world)["availableReplicas"]) == (1, 0)
    world.step(1)
    assert world.names(PODS) == ["web-0", "web-1"]


def test_a_refused_pod_is_an_event_and_tried_again(world: World) -> None:
    world.api.create(STATEFULSETS, stateful_set())
    world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="pods")
    world.observe()
    for _ in range(2):
        world.runners[0].step(0)
        world.observe()
    what = "create Pod web-0 in StatefulSet web failed error: exceeded quota"
    assert world.told() == [f"FailedCreate: {what}"]
    world.step(1)
    assert world.names(PODS) == ["web-0"]


# ---- updates


def test_updates_from_the_top_each_when_the_last_is_available(world: World) -> None:
    started(world)
    seen = []
    change(world, template=template("web:v2"))
    for _ in range(8):
        seen.append(images(world))
        world.run_pods()
        world.settle()
    assert [one for n, one in enumerate(seen) if not n or seen[n - 1] != one] == [
        "11x", "112", "1x2", "122", "x22", "222",
    ]  # fmt: skip
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


def test_below_the_partition_pods_stay_and_come_back_as_they_were(world: World) -> None:
    started(world, updateStrategy=rolling(partition=2))
    change(world, template=template("web:v2"))
    run(world)
    assert images(world) == "112"
    assert (status(world)["currentReplicas"], status(world)["updatedReplicas"]) == (2, 1)
    for name in ("web-0", "web-2"):
        world.api.delete(PODS, NAMESPACE, name, grace_seconds=0)
        run(world)
    assert images(world) == "112"
    change(world, updateStrategy=rolling(partition=0))
    run(world)
    assert images(world) == "222"


def test_on_delete_waits_for_somebody_to_delete(world: World) -> None:
    started(world, updateStrategy={"type": "OnDelete"})
    change(world, template=template("web:v2"))
    run(world, 3)
    assert images(world) == "111"
    world.api.delete(PODS, NAMESPACE, "web-1", grace_seconds=0)
    run(world, 3)
    assert images(world) == "121"


def test_max_unavailable_says_how_many_at_once(world: World) -> None:
    started(world, replicas=5, updateStrategy=rolling(partition=1, maxUnavailable=2), **PARALLEL)
    change(world, template=template("web:v2"))
    assert images(world) == "111xx"
    run(world)
    assert images(world) == "12222"


def test_a_broken_update_waits_for_the_pod_to_be_deleted_by_hand(world: World) -> None:
    """Known of upstream: in order, a pod that never gets ready is not replaced by a mended template."""
    started(world)
    change(world, template=template("web:v2"))
    world.run_pods(only=meta.deleting)
    world.settle()
    world.run_pods(ready=False, only=lambda one: meta.name(one) == "web-2")
    change(world, template=template("web:v3"))
    assert images(world) == "112"
    world.api.delete(PODS, NAMESPACE, "web-2", grace_seconds=0)
    run(world)
    assert images(world) == "333"


def test_an_update_is_not_over_while_there_are_pods_beyond(world: World) -> None:
    started(world)
    change(world, template=template("web:v2"))
    world.run_pods(only=meta.deleting)
    world.settle()
    world.set_ready("web-1", False)
    change(world, replicas=1)
    assert (images(world), status(world)["updatedReplicas"], status(world)["readyReplicas"]) == ("112", 1, 1)
    assert status(world)["currentRevision"] != status(world)["updateRevision"]
    run(world)
    assert images(world) == "2"
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


# ---- revisions


def revisions(world: World) -> dict[int, str]:
    return {
        one["revision"]: one["data"]["spec"]["template"]["spec"]["containers"][0]["image"][-1]
        for one in world.all(CONTROLLERREVISIONS)
    }


def test_an_old_template_gets_the_highest_number(world: World) -> None:
    started(world)
    for image in ("web:v2", "web:v1"):
        change(world, template=template(image))
        run(world)
    assert revisions(world) == {2: "2", 3: "1"}
    first = world.all(CONTROLLERREVISIONS)[0]
    assert first["data"]["spec"]["template"]["$patch"] == "replace"
    assert (meta.controller_ref(first) or {})["kind"] == "StatefulSet"


def test_history_is_kept_up_to_its_limit_but_what_pods_live_by(world: World) -> None:
    started(world, revisionHistoryLimit=1, updateStrategy=rolling(partition=2))
    for number in range(2, 7):
        change(world, template=template(f"web:v{number}"))
        run(world, 4)
    assert sorted(revisions(world).values()) == ["1", "5", "6"]


def test_a_name_that_another_template_has_means_a_new_name(world: World) -> None:
    world.api.create(STATEFULSETS, stateful_set())
    world.settle()
    (taken,) = world.all(CONTROLLERREVISIONS)
    taken["data"]["spec"]["template"]["spec"]["hostNetwork"] = True
    world.api.update(CONTROLLERREVISIONS, taken)
    world.settle()
    world.step(1)
    assert status(world)["collisionCount"] == 1
    assert len(revisions(world)) == 2


# ---- whose pods


def test_adopts_only_what_has_its_names(world: World) -> None:
    for name in ("web-0", "web-01", "other", "db-0"):
        world.api.create(PODS, pod(name, labels={"app": "web"}))
    started(world, replicas=1)
    assert [meta.name(one) for one in world.all(PODS) if meta.controller_ref(one)] == ["web-0"]


def test_two_with_one_selector_leave_each_other_s_pods_alone(world: World) -> None:
    started(world, replicas=2)
    world.api.create(STATEFULSETS, stateful_set("web-2", replicas=2))
    run(world)
    assert world.names(PODS) == ["web-0", "web-1", "web-2-0", "web-2-1"]
    world.writes()
    for key in ("default/web", "default/web-2"):
        world.runners[0].queue.add(key)
    world.settle()
    assert world.writes() == []


# ---- storage


def policy(deleted: str, scaled: str) -> Obj:
    return {"whenDeleted": deleted, "whenScaled": scaled}


def owners(world: World, claim: str) -> list[str]:
    return [ref["kind"] for ref in meta.owners(world.get(PERSISTENTVOLUMECLAIMS, claim))]


def test_claims_stay_when_pods_go(world: World) -> None:
    started(world, replicas=2, volumeClaimTemplates=CLAIMED)
    change(world, replicas=0)
    run(world)
    assert (world.names(PODS), world.names(PERSISTENTVOLUMECLAIMS)) == ([], ["www-web-0", "www-web-1"])


@pytest.mark.parametrize(
    ("deleted", "scaled", "kept", "gone"),
    [
        ("Retain", "Retain", [], []),
        ("Delete", "Retain", ["StatefulSet"], ["StatefulSet"]),
        ("Retain", "Delete", [], ["Pod"]),
        ("Delete", "Delete", ["StatefulSet"], ["Pod"]),
    ],
)
def test_claims_belong_to_whom_the_policy_says(
    world: World, deleted: str, scaled: str, kept: list[str], gone: list[str]
) -> None:
    started(
        world,
        replicas=2,
        volumeClaimTemplates=CLAIMED,
        persistentVolumeClaimRetentionPolicy=policy(deleted, scaled),
    )
    change(world, replicas=1)
    assert (owners(world, "www-web-0"), owners(world, "www-web-1")) == (kept, gone)
    change(world, persistentVolumeClaimRetentionPolicy=policy("Retain", "Retain"))
    assert owners(world, "www-web-0") == []


def test_a_claim_that_goes_with_the_last_pod_is_waited_for(world: World) -> None:
    started(
        world,
        replicas=2,
        volumeClaimTemplates=CLAIMED,
        persistentVolumeClaimRetentionPolicy=policy("Retain", "Delete"),
    )
    change(world, replicas=1)
    run(world, 3)
    change(world, replicas=2)
    assert world.names(PODS) == ["web-0"]
    world.api.delete(PERSISTENTVOLUMECLAIMS, NAMESPACE, "www-web-1")  # as the garbage collector does
    run(world, 3)
    assert world.names(PODS) == ["web-0", "web-1"]
    assert world.names(PERSISTENTVOLUMECLAIMS) == ["www-web-0", "www-web-1"]


def test_another_s_claim_is_left_alone(world: World) -> None:
    ref = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x", "controller": True}
    world.api.create(
        PERSISTENTVOLUMECLAIMS,
        {"metadata": {"namespace": NAMESPACE, "name": "www-web-0", "ownerReferences": [ref]}, "spec": {}},
    )
    started(
        world,
        replicas=1,
        volumeClaimTemplates=CLAIMED,
        persistentVolumeClaimRetentionPolicy=policy("Delete", "Delete"),
    )
    assert owners(world, "www-web-0") == ["X"]


# ---- laws

steps = st.lists(
    st.one_of(
        st.tuples(st.just("scale"), st.integers(0, 5)),
        st.tuples(st.just("image"), st.integers(1, 3)),
        st.tuples(st.just("start"), st.integers(0, 2)),
        st.tuples(st.just("run"), st.integers(0, 7)),
        st.tuples(st.just("ill"), st.integers(0, 7)),
        st.tuples(st.just("end"), st.integers(0, 7)),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.just("gone"), st.integers(0, 7)),
    ),
    max_size=14,
)


@settings(derandomize=DEPTH == 1, max_examples=examples(40))
@given(steps, st.booleans(), st.integers(1, 3), st.integers(0, 3))
def test_it_never_has_two_of_a_number_keeps_its_bounds_and_comes_to_rest(
    moves: list[tuple[str, int]], parallel: bool, unavailable: int, partition: int
) -> None:
    """`alive` is what really runs: a pod until its kubelet has said that it is gone."""
    world = World([StatefulSets])
    try:
        strategy = rolling(partition=partition, maxUnavailable=unavailable)
        spec: Obj = {"updateStrategy": strategy} | (PARALLEL if parallel else {})
        world.api.create(STATEFULSETS, stateful_set(**spec))
        alive: dict[str, str] = {}
        for move, value in moves:
            world.settle()
            world.writes()
            act(world, alive, move, value)
            world.settle()
            check(world, alive, unavailable, parallel)
        run(world, 60)
        owner = world.get(STATEFULSETS, "web")
        numbers = list(identity.numbers(owner))
        assert sorted(world.names(PODS)) == sorted(f"web-{n}" for n in numbers)
        assert status(world).get("readyReplicas", 0) == len(numbers)
        image = owner["spec"]["template"]["spec"]["containers"][0]["image"]
        rest = [world.get(PODS, f"web-{n}") for n in numbers[partition:]]
        assert {one["spec"]["containers"][0]["image"] for one in rest} <= {image}
        world.writes()
        world.runners[0].queue.add("default/web")
        world.settle()
        assert world.writes() == []
    finally:
        world.close()


def act(world: World, alive: dict[str, str], move: str, value: int) -> None:
    match move:
        case "scale":
            world.api.patch(STATEFULSETS, NAMESPACE, "web", {"spec": {"replicas": value}})
        case "image":
            world.api.patch(STATEFULSETS, NAMESPACE, "web", {"spec": {"template": template(f"web:v{value}")}})
        case "start":
            world.api.patch(STATEFULSETS, NAMESPACE, "web", {"spec": {"ordinals": {"start": value}}})
        case _:
            for one in world.all(PODS):
                if meta.name(one) == f"web-{value}":
                    touch(world, alive, move, one)


def touch(world: World, alive: dict[str, str], move: str, one: Obj) -> None:
    name, node = meta.name(one), pods.node_name(one)
    if move == "run" and not meta.deleting(one) and not pods.is_terminal(one):
        assert alive.setdefault(name, meta.uid(one)) == meta.uid(one), f"{name} runs already"
        world.run_pods(only=lambda other: meta.name(other) == name)
    elif move == "ill" and node:
        world.set_ready(name, False)
    elif move == "end" and node:
        alive.pop(name, None)
        world.api.patch_status(PODS, NAMESPACE, name, {"status": {"phase": "Failed"}})
    elif move == "delete":
        world.api.delete(PODS, NAMESPACE, name)
    elif move == "gone" and meta.deleting(one):
        alive.pop(name, None)
        world.api.delete(PODS, NAMESPACE, name, grace_seconds=0)


def check(world: World, alive: dict[str, str], unavailable: int, parallel: bool) -> None:
    """Nothing is made again while it runs, and in order no more is taken down than may be."""
    calls = [call for call in world.api.calls if call.kind is PODS]
    created = [call.name for call in calls if call.verb == "create"]
    assert not set(created) & set(alive), "made again while it still ran"
    assert len(created) == len(set(created))
    deleted = [call for call in calls if call.verb == "delete" and call.body["grace"] is None]
    assert parallel or len(deleted) <= unavailable + 1  # one is the test's own
