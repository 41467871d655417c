"""DaemonSets: which nodes, one pod each, and updates within their bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from depth import DEPTH, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.kinds.daemonset.controller import DaemonSets
from mini8s.controllers.kinds.daemonset.failures import Failures
from mini8s.controllers.kinds.daemonset.placing import Fit, fit, target
from mini8s.objects import meta, pods
from mini8s.objects.kinds import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS, Obj
from tests.fakes.world import NAMESPACE, World, daemon_set, node, pod, template

NAMES = ("n1", "n2", "n3", "n4")
TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


@pytest.fixture
def world() -> Iterator[World]:
    world = made()
    yield world
    world.close()


def made() -> World:
    world = World([DaemonSets])
    for name in NAMES:
        world.api.create(NODES, labelled(name))
    return world


def labelled(name: str, taints: tuple[Obj, ...] = (), **labels: str) -> Obj:
    found = node(name, taints=list(taints))
    found["metadata"]["labels"] = labels
    return found


def status(world: World) -> Obj:
    return dict(world.get(DAEMONSETS, "web")["status"])


def change(world: World, **spec: object) -> None:
    world.api.patch(DAEMONSETS, NAMESPACE, "web", {"spec": spec})
    world.settle()


def run(world: World, rounds: int = 12) -> None:
    for _ in range(rounds):
        world.settle()
        place(world)
    world.settle()


def place(world: World, *, ready: bool = True) -> None:
    for name in NAMES:
        world.run_pods(ready=ready, node=name, only=lambda one, name=name: target(one) == name)  # type: ignore[misc]


def started(world: World, **spec: object) -> None:
    world.api.create(DAEMONSETS, daemon_set(**spec))
    run(world)


def images(world: World) -> str:
    """The last letter of the images on each node, in their order; `x` for what is on its way out."""
    found: dict[str, list[str]] = {}
    for one in sorted(world.all(PODS), key=lambda one: str(one["metadata"]["creationTimestamp"])):
        letter = "x" if meta.deleting(one) else one["spec"]["containers"][0]["image"][-1]
        found.setdefault(target(one), []).append(letter)
    return " ".join("".join(sorted(found.get(name, ["-"]))) for name in NAMES)


def rolling(**said: object) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0} | said}


# ---- where


def test_a_pod_for_every_node_that_only_that_node_takes(world: World) -> None:
    world.api.create(DAEMONSETS, daemon_set())
    world.settle()
    assert images(world) == "1 1 1 1"
    first = world.all(PODS)[0]
    (revision,) = world.all(CONTROLLERREVISIONS)
    mark = meta.labels(revision)["controller-revision-hash"]
    assert meta.labels(first) == {"app": "web", "controller-revision-hash": mark}
    assert meta.name(revision) == f"web-{mark}"
    terms = first["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = terms["nodeSelectorTerms"]
    assert [one["key"] for one in term["matchFields"]] == ["metadata.name"]
    assert len(first["spec"]["tolerations"]) == 6
    run(world)
    assert status(world) == {
        "observedGeneration": 1, "currentNumberScheduled": 4, "desiredNumberScheduled": 4,
        "numberMisscheduled": 0, "numberReady": 4, "numberAvailable": 4, "updatedNumberScheduled": 4,
    }  # fmt: skip


def test_an_adopted_pod_that_is_not_placed_yet_is_left_to_the_scheduler(world: World) -> None:
    started(world)
    world.api.create(PODS, pod("orphan", labels={"app": "web"}))
    run(world)
    found = world.get(PODS, "orphan")
    assert ((meta.controller_ref(found) or {})["kind"], meta.deleting(found)) == ("DaemonSet", False)


def test_nodes_come_and_go(world: World) -> None:
    started(world)
    world.api.delete(NODES, "", "n4")
    world.settle()
    assert status(world)["desiredNumberScheduled"] == 3
    world.api.create(NODES, labelled("n4"))
    run(world)
    assert images(world) == "1 1 1 1"


def test_a_pod_on_its_way_to_a_node_that_is_gone_goes(world: World) -> None:
    world.api.create(DAEMONSETS, daemon_set())
    world.settle()
    world.api.delete(NODES, "", "n4")
    world.settle()
    assert images(world) == "1 1 1 -"


def test_a_label_decides(world: World) -> None:
    spec = template()
    spec["spec"]["nodeSelector"] = {"disk": "ssd"}
    started(world, template=spec)
    assert images(world) == "- - - -"
    world.api.patch(NODES, "", "n2", {"metadata": {"labels": {"disk": "ssd"}}})
    run(world)
    assert images(world) == "- 1 - -"
    world.api.patch(NODES, "", "n2", {"metadata": {"labels": {"disk": "hdd"}}})
    world.settle()
    assert images(world) == "- x - -"


def required(key: str, *values: str) -> Obj:
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": terms}}


STARTS, STAYS, NOT = Fit(True, True), Fit(False, True), Fit(False, False)


@pytest.mark.parametrize(
    ("spec", "where", "expected"),
    [
        ({}, labelled("n"), STARTS),
        ({"nodeName": "n"}, labelled("n"), STARTS),
        ({"nodeName": "m"}, labelled("n"), NOT),
        ({"nodeSelector": {"a": "b"}}, labelled("n", a="b"), STARTS),
        ({"nodeSelector": {"a": "b"}}, labelled("n"), NOT),
        (required("a", "b"), labelled("n", a="b"), STARTS),
        (required("a", "b"), labelled("n", a="c"), NOT),
        ({}, labelled("n", (TAINT,)), STAYS),
        ({"tolerations": [{"key": "dedicated", "operator": "Exists"}]}, labelled("n", (TAINT,)), STARTS),
        ({}, labelled("n", (TAINT | {"effect": "NoExecute"},)), NOT),
        ({}, labelled("n", (TAINT | {"effect": "PreferNoSchedule"},)), STARTS),
        *(
            ({}, labelled("n", ({"key": f"node.kubernetes.io/{key}", "effect": effect},)), expected)
            for key, effect, expected in (
                ("not-ready", "NoExecute", STARTS),
                ("unreachable", "NoExecute", STARTS),
                ("unreachable", "NoSchedule", STAYS),
                ("disk-pressure", "NoSchedule", STARTS),
                ("memory-pressure", "NoSchedule", STARTS),
                ("pid-pressure", "NoSchedule", STARTS),
                ("unschedulable", "NoSchedule", STARTS),
                ("network-unavailable", "NoSchedule", STAYS),
            )
        ),
        (
            {"hostNetwork": True},
            labelled("n", ({"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"},)),
            STARTS,
        ),
    ],
)
def test_which_nodes(spec: Obj, where: Obj, expected: Fit) -> None:
    owner = daemon_set()
    owner["spec"]["template"]["spec"] |= spec
    assert fit(owner, where) == expected


def test_a_tainted_node_keeps_its_pod_and_gets_no_new_one(world: World) -> None:
    started(world)
    world.api.patch(NODES, "", "n1", {"spec": {"taints": [TAINT]}})
    world.settle()
    assert (images(world), status(world)["numberMisscheduled"]) == ("1 1 1 1", 1)
    name = next(meta.name(one) for one in world.all(PODS) if target(one) == "n1")
    world.api.delete(PODS, NAMESPACE, name, grace_seconds=0)
    world.settle()
    assert images(world) == "- 1 1 1"


# ---- too many, and ended


def test_ended_pods_are_replaced_and_failing_ones_later_each_time(world: World) -> None:
    started(world)
    world.told()

    def fail(phase: str = "Failed") -> str:
        name = next(meta.name(one) for one in world.all(PODS) if target(one) == "n1")
        world.api.patch_status(PODS, NAMESPACE, name, {"status": {"phase": phase}})
        world.settle()
        return name

    name = fail()
    what = f"Found failed daemon pod default/{name} on node n1, will try to kill it"
    assert f"FailedDaemonPod: {what}" in world.told()
    assert images(world) == "1 1 1 1"
    place(world)
    second = fail()
    assert second in world.names(PODS), "replaced at once again"
    world.step(1.1)
    assert second not in world.names(PODS)
    place(world)
    name = fail("Succeeded")
    assert name not in world.names(PODS)
    what = f"Found succeeded daemon pod default/{name} on node n1, will try to delete it"
    assert f"SucceededDaemonPod: {what}" in world.told()


def test_failures_wait_twice_as_long_each_time_and_are_forgotten() -> None:
    failures, waits, now = Failures(), [], 0.0
    for _ in range(12):
        failures.note("a", "n", now)
        waits.append(failures.waiting("a", now)["n"])
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert failures.waiting("a", now) == {}
    failures.note("a", "m", now)
    failures.note("a", "n", now + 1801)
    assert failures.waiting("a", now + 1801) == {"n": 1}
    assert list(failures._known["a"]) == ["n"], "what is long past is not kept"
    failures.forget("a")
    assert failures.waiting("a", now + 1801) == {}


def test_of_two_on_one_node_the_younger_goes(world: World) -> None:
    started(world)
    world.clock.step(5)
    world.api.create(PODS, pod("orphan", node="n1", labels={"app": "web"}))
    world.settle()
    assert meta.deleting(world.get(PODS, "orphan"))
    assert images(world) == "1x 1 1 1"


# ---- updates


def test_updates_one_node_after_the_other(world: World) -> None:
    started(world, updateStrategy=rolling(maxUnavailable=1))
    change(world, template=template("web:v2"))
    assert Counter(images(world).split()) == {"1": 3, "x": 1}
    place(world)
    world.settle()
    assert Counter(images(world).split()) == {"1": 3, "2": 1}
    run(world)
    assert images(world) == "2 2 2 2"
    assert status(world)["updatedNumberScheduled"] == 4


def test_percentages_are_rounded_up(world: World) -> None:
    started(world, updateStrategy=rolling(maxUnavailable="26%"))
    change(world, template=template("web:v2"))
    assert Counter(images(world).split()) == {"1": 2, "x": 2}


def test_pods_that_are_not_available_are_replaced_at_once(world: World) -> None:
    started(world, updateStrategy=rolling(maxUnavailable=1))
    for one in world.all(PODS)[:2]:
        world.set_ready(meta.name(one), False)
    change(world, template=template("web:v2"))
    assert Counter(images(world).split()) == {"1": 2, "x": 2}


def test_a_pod_that_failed_is_not_available_whatever_it_said_last(world: World) -> None:
    started(world, updateStrategy=rolling(maxUnavailable=1))
    for _ in range(2):  # the second one stays for its back-off
        name = next(meta.name(one) for one in world.all(PODS) if target(one) == "n4")
        world.api.patch_status(PODS, NAMESPACE, name, {"status": {"phase": "Failed"}})
        world.settle()
        place(world)
    change(world, template=template("web:v2"))
    assert images(world) == "1 1 1 2"


def test_a_surge_brings_the_new_one_before_the_old_one_goes(world: World) -> None:
    started(world, updateStrategy=rolling(maxSurge=1))
    change(world, template=template("web:v2"))
    assert Counter(images(world).split()) == {"1": 3, "12": 1}
    place(world)
    world.settle()
    assert "2x" in images(world)
    run(world)
    assert images(world) == "2 2 2 2"


def test_a_surge_on_an_ill_pod_replaces_it(world: World) -> None:
    started(world, updateStrategy=rolling(maxSurge=1))
    for one in world.all(PODS)[:2]:
        world.set_ready(meta.name(one), False)
    change(world, template=template("web:v2"))
    assert Counter(images(world).split())["2x"] == 2


def test_on_delete_waits_for_somebody_to_delete(world: World) -> None:
    started(world, updateStrategy={"type": "OnDelete"})
    change(world, template=template("web:v2"))
    run(world, 3)
    assert images(world) == "1 1 1 1"
    name = next(meta.name(one) for one in world.all(PODS) if target(one) == "n2")
    world.api.delete(PODS, NAMESPACE, name, grace_seconds=0)
    run(world, 3)
    assert images(world) == "1 2 1 1"


def test_min_ready_seconds_hold_the_next_node_up(world: World) -> None:
    started(world, updateStrategy=rolling(maxUnavailable=1), minReadySeconds=10)
    world.step(10)
    change(world, template=template("web:v2"))
    run(world, 3)
    assert Counter(images(world).split()) == {"1": 3, "2": 1}
    assert (status(world)["numberReady"], status(world)["numberAvailable"]) == (4, 3)
    world.step(10)
    run(world, 3)
    assert Counter(images(world).split()) == {"1": 2, "2": 2}


def test_revisions_are_numbered_and_forgotten(world: World) -> None:
    started(world, revisionHistoryLimit=1)
    for image in ("web:v2", "web:v3", "web:v2"):
        change(world, template=template(image))
        run(world)
    assert sorted(one["revision"] for one in world.all(CONTROLLERREVISIONS)) == [3, 4]


def test_all_pods_selected_is_refused_in_words(world: World) -> None:
    world.api.create(DAEMONSETS, daemon_set(selector={}))
    world.settle()
    what = "This daemon set is selecting all pods. A non-empty selector is required."
    assert world.told() == [f"SelectingAll: {what}"]


def test_two_with_one_selector_leave_each_other_s_pods_alone(world: World) -> None:
    started(world)
    world.api.create(DAEMONSETS, daemon_set("other"))
    run(world)
    assert images(world) == "11 11 11 11"
    world.writes()
    for key in ("default/web", "default/other"):
        world.runners[0].queue.add(key)
    world.settle()
    assert world.writes() == []


# ---- laws

moves = st.lists(
    st.tuples(
        st.sampled_from(["image", "ready", "ill", "end", "delete", "gone", "taint", "untaint"]),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(derandomize=DEPTH == 1, max_examples=examples(40))
@given(
    moves, st.sampled_from([{"maxUnavailable": 1}, {"maxUnavailable": 2}, {"maxSurge": 1}, {"maxSurge": 2}])
)
def test_an_update_keeps_its_bounds_and_comes_to_rest(found: list[tuple[str, int]], share: Obj) -> None:
    world = made()
    try:
        started(world, updateStrategy=rolling(**share))
        for move, value in found:
            before = well(world)
            world.writes()
            act(world, move, value)
            lost = before - well(world)
            world.settle()
            bounded(world, share, before - lost)
        for name in NAMES:
            world.api.patch(NODES, "", name, {"spec": {"taints": None}})
        for _ in range(10):
            world.step(1000)
            run(world, 3)
        image = world.get(DAEMONSETS, "web")["spec"]["template"]["spec"]["containers"][0]["image"][-1]
        assert images(world) == " ".join([image] * 4)
        world.writes()
        world.runners[0].queue.add("default/web")
        world.settle()
        assert world.writes() == []
    finally:
        world.close()


def well(world: World) -> int:
    """On how many nodes is a pod that serves?"""
    fine = {target(one) for one in world.all(PODS) if pods.is_ready(one) and pods.is_active(one)}
    return len(fine)


def bounded(world: World, share: Obj, before: int) -> None:
    """What was serving goes no lower than the update may take it, and no node has more than two pods."""
    wanted = sum(not one["spec"].get("taints") for one in world.all(NODES))
    assert well(world) >= min(before, wanted - share.get("maxUnavailable", 0)), images(world)
    staying = Counter(target(one) for one in world.all(PODS) if pods.is_active(one))
    assert max(staying.values(), default=0) <= (2 if share.get("maxSurge") else 1)
    assert sum(count == 2 for count in staying.values()) <= share.get("maxSurge", 0)


def act(world: World, move: str, value: int) -> None:
    if move == "image":
        world.api.patch(DAEMONSETS, NAMESPACE, "web", {"spec": {"template": template(f"web:v{value}")}})
    elif move in {"taint", "untaint"}:
        taints = [TAINT] if move == "taint" else None
        world.api.patch(NODES, "", NAMES[value], {"spec": {"taints": taints}})
    else:
        for one in [one for one in world.all(PODS) if target(one) == NAMES[value]]:
            touch(world, move, one)


def touch(world: World, move: str, one: Obj) -> None:
    name = meta.name(one)
    if move == "gone" and meta.deleting(one):
        world.api.delete(PODS, NAMESPACE, name, grace_seconds=0)
    elif move == "delete" and not meta.deleting(one):
        world.api.delete(PODS, NAMESPACE, name)
    elif move == "ready" and not pods.is_terminal(one) and not meta.deleting(one):
        world.run_pods(node=target(one), only=lambda other: meta.name(other) == name)
    elif move == "ill" and pods.node_name(one):
        world.set_ready(name, False)
    elif move == "end" and pods.node_name(one):
        world.api.patch_status(PODS, NAMESPACE, name, {"status": {"phase": "Failed"}})
