"""HorizontalPodAutoscalers: what the figures ask for, how fast it is followed, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.controllers.kinds.autoscaler.controller import Autoscalers
from mini8s.controllers.kinds.autoscaler.demand import Demand, Figure, Load, Tolerance, demand, figures
from mini8s.controllers.kinds.autoscaler.pace import History, pace
from mini8s.controllers.kinds.replicaset import ReplicaSets
from mini8s.objects import errors, meta
from mini8s.objects.kinds import AUTOSCALERS, PODMETRICS, PODS, REPLICASETS, Obj
from mini8s.objects.time import format_time
from tests.fakes.world import NAMESPACE, World, replica_set, template

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = format_time(NOW - timedelta(hours=1))


def pod(name: str, *, phase: str = "Running", ready: str | None = "True", since: str = LONG_AGO) -> Obj:
    status: Obj = {"phase": phase, "startTime": since}
    if ready:
        status["conditions"] = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}]}, "status": status}


def load(used: Sequence[int | None], *, request: int | None = 1000, **facts: Any) -> Load:
    """A pod for each number, in thousandths of what it uses; None: no figure."""
    found = facts.pop("pods", None) or [pod(f"p{index}") for index in range(len(used))]
    known = {
        f"p{index}": Figure(value, NOW, timedelta(seconds=30))
        for index, value in enumerate(used)
        if value is not None
    }
    asked = None if request is None else {meta.name(one): request for one in found}
    return Load(found, known, asked, facts.get("resource", "cpu"), facts.get("replicas", len(used)), NOW)


@pytest.mark.parametrize(
    ("given", "target", "wanted"),
    [
        (load([900, 900]), 50, Demand(4, 900, 90)),
        (load([100, 100, 100, 100]), 50, Demand(1, 100, 10)),
        (load([540, 540]), 50, Demand(2, 540, 54)),  # within 10 %
        (load([460, 460]), 50, Demand(2, 460, 46)),
        (load([560, 560]), 50, Demand(3, 560, 56)),
        (load([600, 600, 600], request=None), 200, Demand(9, 600)),
        # of whom nothing is known: idle on the way up, busy on the way down
        (load([900, None]), 50, Demand(2, 900, 90)),
        (load([1200, 1200, None]), 50, Demand(5, 1200, 120)),
        (load([100, None]), 50, Demand(2, 100, 10)),
        (load([100, 100, 100, None]), 50, Demand(3, 100, 10)),
        # what was assumed of others turns no direction round
        (load([100, 100, None], replicas=1), 50, Demand(1, 100, 10)),
        # who is not there yet, or no more
        (load([900, 900], pods=[pod("p0"), pod("p1", phase="Pending", ready=None)]), 50, Demand(2, 900, 90)),
        (load([900, 900], pods=[pod("p0"), pod("p1", phase="Failed")]), 50, Demand(2, 900, 90)),
        (load([900, 900], pods=[pod("p0"), pod("p1", ready="False")]), 50, Demand(2, 900, 90)),
        (load([900, 900], pods=[pod("p0"), pod("p1", since=format_time(NOW))]), 50, Demand(2, 900, 90)),
        (load([900, 900], pods=[pod("p0"), pod("p1", ready="False")], resource="memory"), 50,
         Demand(4, 900, 90)),
    ],
)  # fmt: skip
def test_what_the_figures_ask_for(given: Load, target: int, wanted: Demand) -> None:
    assert demand(given, target, Tolerance()) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (load([]), "no pods returned by selector while calculating replica count"),
        (load([None]), r"did not receive metrics for targeted pods \(pods might be unready\)"),
        (load([1], request=0), "no metrics returned matched known pods"),
    ],
)
def test_what_cannot_be_judged(given: Load, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        demand(given, 50, Tolerance())


def test_a_pod_with_half_of_its_figures_has_none() -> None:
    one = {"metadata": {"name": "p"}, "containers": [{"name": "c", "usage": {"cpu": "1"}}]}
    two = {"metadata": {"name": "q"}, "containers": [*one["containers"], {"name": "d", "usage": {}}]}
    assert list(figures([one, two], "cpu", "", NOW)) == ["p"]
    assert list(figures([one, two], "cpu", "c", NOW)) == ["p", "q"]


FOUR = {"type": "Pods", "value": 4, "periodSeconds": 60}
HALF = {"type": "Percent", "value": 50, "periodSeconds": 60}
READY = "ReadyForNewScale"


def rules(**behavior: Any) -> Obj:
    return {"minReplicas": 2, "maxReplicas": 20, "behavior": behavior}


@pytest.mark.parametrize(
    ("spec", "history", "current", "wanted", "then"),
    [
        ({"maxReplicas": 20}, History(), 3, 9, (6, READY, "ScaleUpLimit")),
        ({"maxReplicas": 5}, History(), 3, 9, (5, READY, "TooManyReplicas")),
        ({"maxReplicas": 9, "minReplicas": 2}, History(), 3, 1, (2, READY, "TooFewReplicas")),
        ({"maxReplicas": 9}, History(((-299, 5),)), 6, 2, (5, "ScaleDownStabilized", "DesiredWithinRange")),
        ({"maxReplicas": 9}, History(((-301, 5),)), 6, 2, (2, READY, "DesiredWithinRange")),
        (rules(scaleUp={"policies": [FOUR, HALF]}), History(), 4, 20, (8, READY, "ScaleUpLimit")),
        (rules(scaleUp={"policies": [FOUR, HALF], "selectPolicy": "Min"}), History(), 4, 20,
         (6, READY, "ScaleUpLimit")),
        (rules(scaleUp={"policies": [FOUR], "selectPolicy": "Disabled"}), History(), 4, 20,
         (4, READY, "ScaleUpLimit")),
        (rules(scaleUp={"policies": [FOUR]}), History((), ((-30, 3),)), 7, 20, (8, READY, "ScaleUpLimit")),
        (rules(scaleUp={"policies": [FOUR]}), History((), ((-61, 3),)), 7, 20, (11, READY, "ScaleUpLimit")),
        (rules(scaleUp={"policies": [FOUR], "stabilizationWindowSeconds": 60}), History(((-9, 5),)), 4, 8,
         (5, "ScaleUpStabilized", "DesiredWithinRange")),
        (rules(scaleDown={"policies": [HALF], "stabilizationWindowSeconds": 0}), History(), 9, 2,
         (4, READY, "ScaleDownLimit")),
        (rules(scaleDown={"policies": [FOUR, HALF], "selectPolicy": "Min", "stabilizationWindowSeconds": 0}),
         History(), 10, 2, (6, READY, "ScaleDownLimit")),
        (rules(scaleDown={"policies": [FOUR], "selectPolicy": "Disabled"}), History(), 9, 2,
         (9, READY, "ScaleDownLimit")),
    ],
)  # fmt: skip
def test_how_fast(spec: Obj, history: History, current: int, wanted: int, then: tuple[Any, ...]) -> None:
    found = pace(spec, history, current, wanted, 0.0)
    assert (found.replicas, found.able[0], found.limited[0]) == then
    assert found.is_limited == (then[2] != "DesiredWithinRange")


@given(
    st.integers(1, 30), st.integers(0, 30), st.integers(0, 60), st.integers(0, 200),
    st.lists(st.tuples(st.floats(-400, -1), st.integers(0, 60)), max_size=5),
)  # fmt: skip
def test_the_size_stays_in_its_bounds(
    least: int, room: int, current: int, wanted: int, said: list[tuple[float, int]]
) -> None:
    current = min(max(current, least), least + room)
    found = pace(
        {"minReplicas": least, "maxReplicas": least + room}, History(tuple(said)), current, wanted, 0
    )
    assert least <= found.replicas <= least + room


@pytest.fixture
def world() -> Iterator[World]:
    world = World([Autoscalers, ReplicaSets])
    yield world
    world.close()


CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}


def start(world: World, *, replicas: int = 2, metrics: Sequence[Obj] = (CPU,), **spec: Any) -> None:
    made = template()
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    world.api.create(REPLICASETS, replica_set(replicas=replicas, template=made))
    target = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"}
    said = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 10, "metrics": list(metrics)} | spec
    world.api.create(AUTOSCALERS, {"metadata": {"namespace": NAMESPACE, "name": "h"}, "spec": said})
    world.settle()
    world.told()


def use(world: World, cpu: str) -> None:
    """Every pod runs since long and uses so much."""
    for name in world.names(PODS):
        status = pod(name)["status"] | {"startTime": format_time(world.clock.now() - timedelta(hours=1))}
        world.api.patch_status(PODS, NAMESPACE, name, {"status": status})
    for old in world.names(PODMETRICS):
        world.api.delete(PODMETRICS, NAMESPACE, old)
    for one in world.all(PODS):
        usage = [{"name": "c", "usage": {"cpu": cpu, "memory": "1Mi"}}]
        metadata = {"namespace": NAMESPACE, "name": meta.name(one), "labels": meta.labels(one)}
        now = format_time(world.clock.now())
        world.api.create(PODMETRICS, {"metadata": metadata, "timestamp": now, "containers": usage})


def status(world: World) -> Obj:
    found = dict(world.get(AUTOSCALERS, "h")["status"])
    conditions = found.pop("conditions")
    return found | {"is": {item["type"]: (item["status"], item["reason"]) for item in conditions}}


def size(world: World) -> int:
    return int(world.get(REPLICASETS, "web")["spec"]["replicas"])


def test_it_follows_the_load_up_at_once_and_down_after_a_while(world: World) -> None:
    start(world)
    use(world, "90m")
    world.step(15)
    assert size(world) == 4
    why = "cpu resource utilization (percentage of request) above target"
    assert "SuccessfulRescale: New size: 4; reason: " + why in world.told()
    said = status(world)
    assert (said["currentReplicas"], said["desiredReplicas"], said["lastScaleTime"]) == (
        2, 4, "2026-01-01T00:00:15Z",
    )  # fmt: skip
    assert said["currentMetrics"] == [
        {"type": "Resource", "resource": {"name": "cpu",
         "current": {"averageUtilization": 90, "averageValue": "90m"}}}
    ]  # fmt: skip
    assert said["is"] == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    use(world, "10m")
    world.step(15)
    assert (size(world), status(world)["is"]["AbleToScale"]) == (4, ("True", "ScaleDownStabilized"))
    for _ in range(20):
        world.step(15)
    assert size(world) == 1
    assert "SuccessfulRescale: New size: 1; reason: All metrics below target" in world.told()


def test_while_nothing_changes_nothing_is_written(world: World) -> None:
    start(world)
    use(world, "50m")
    world.step(15)
    world.writes()
    for _ in range(4):
        world.step(15)
    assert world.writes() == []


@pytest.mark.parametrize(
    ("spec", "replicas", "then", "why"),
    [
        ({"maxReplicas": 3}, 5, 3, "Current number of replicas above Spec.MaxReplicas"),
        ({"minReplicas": 3}, 1, 3, "Current number of replicas below Spec.MinReplicas"),
    ],
)
def test_bounds_need_no_figures(world: World, spec: Obj, replicas: int, then: int, why: str) -> None:
    start(world, replicas=replicas, **spec)
    assert (size(world), status(world)["is"]["AbleToScale"]) == (then, ("True", "SucceededRescale"))


def test_a_target_of_no_replicas_is_left_alone(world: World) -> None:
    start(world, replicas=0)
    assert status(world)["is"]["ScalingActive"] == ("False", "ScalingDisabled")
    assert size(world) == 0


CUSTOM = (
    "unable to fetch metrics from custom metrics API: "
    "no custom metrics API (custom.metrics.k8s.io) registered"
)
NO_FIGURE = "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
EXTERNAL = (
    "unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: "
    "no external metrics API (external.metrics.k8s.io) registered"
)
NO_KIND = "unable to determine resource for scale target reference: no matches for kind"


@pytest.mark.parametrize(
    ("metric", "reason", "message"),
    [
        (CPU, "FailedGetResourceMetric", f"failed to get cpu utilization: {NO_FIGURE}"),
        ({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {}}}, "FailedGetPodsMetric",
         f"unable to get metric rps: {CUSTOM}"),
        ({"type": "Object", "object": {"metric": {"name": "rps"}, "target": {},
          "describedObject": {"kind": "Ingress", "name": "i"}}}, "FailedGetObjectMetric",
         f"unable to get metric rps: {CUSTOM} on Ingress default/i"),
        ({"type": "External", "external": {"metric": {"name": "queue"}, "target": {}}},
         "FailedGetExternalMetric", EXTERNAL),
    ],
)  # fmt: skip
def test_a_metric_that_says_nothing(world: World, metric: Obj, reason: str, message: str) -> None:
    start(world, metrics=[metric])
    world.step(15)
    assert status(world)["is"]["ScalingActive"] == ("False", reason)
    told = world.told()
    assert f"{reason}: {message}" in told
    (summary,) = [said for said in told if said.startswith("FailedComputeMetricsReplicas")]
    assert summary.startswith(
        "FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get "
    )
    if metric is CPU:
        assert summary.endswith(f"failed to get cpu resource metric value: {message}")
    assert size(world) == 2


def test_the_hungriest_metric_counts_and_one_that_fails_takes_nothing_away(world: World) -> None:
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {
        "type": "AverageValue", "averageValue": "512Ki"}}}  # fmt: skip
    broken = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {}}}
    start(world, metrics=[CPU, memory, broken])
    use(world, "50m")
    world.step(15)
    assert (size(world), status(world)["is"]["ScalingActive"][0]) == (4, "True")
    use(world, "1m")
    world.api.patch(AUTOSCALERS, NAMESPACE, "h", {"spec": {"metrics": [CPU, broken]}})
    for _ in range(25):
        world.step(15)
    assert (size(world), status(world)["is"]["ScalingActive"]) == (4, ("False", "FailedGetPodsMetric"))


def test_one_container_of_each_pod(world: World) -> None:
    source = CPU["resource"] | {"container": "c"}  # type: ignore[operator]
    start(world, metrics=[{"type": "ContainerResource", "containerResource": source}])
    use(world, "100m")
    world.step(15)
    assert size(world) == 4
    (said,) = status(world)["currentMetrics"]
    assert said["containerResource"]["container"] == "c"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"kind": "ReplicaSet", "name": "no"}, 'replicasets.apps "no" not found'),
        ({"kind": "Gadget", "name": "g"}, f'{NO_KIND} "Gadget" in version "apps/v1"'),
        ({"kind": "DaemonSet", "name": "d"}, "the server could not find the requested resource"),
    ],
)  # fmt: skip
def test_a_target_that_is_none(world: World, target: Obj, said: str) -> None:
    start(world, scaleTargetRef={"apiVersion": "apps/v1"} | target)
    world.step(15)
    assert status(world)["is"] == {"AbleToScale": ("False", "FailedGetScale")}
    assert world.told() == [f"FailedGetScale: {said}"]


def test_a_size_that_is_refused_is_told(world: World) -> None:
    start(world)
    use(world, "90m")
    world.api.fail_next("patch", errors.Forbidden("no"), plural="replicasets")
    world.observe()
    world.clock.step(15)
    world.runners[0].step(0)
    assert status(world)["is"]["AbleToScale"] == ("False", "FailedUpdateScale")
    (told,) = [said for said in world.told() if "Rescale" in said]
    assert told.startswith("FailedRescale: New size: 4; reason: cpu resource utilization")


def test_a_size_that_was_refused_counts_against_no_limit(world: World) -> None:
    start(world, behavior={"scaleUp": {"policies": [FOUR]}})
    use(world, "90m")
    for _ in range(3):
        world.api.fail_next("patch", errors.Forbidden("no"), plural="replicasets")
    for _ in range(4):
        world.clock.step(15)
        world.observe()
        world.runners[0].step(0)
    world.settle()
    assert [said.partition(":")[0] for said in world.told() if "Rescale" in said] == [
        "FailedRescale", "FailedRescale", "FailedRescale", "SuccessfulRescale",
    ]  # fmt: skip
    assert size(world) == 4


def test_two_for_one_target_do_nothing(world: World) -> None:
    start(world)
    use(world, "90m")
    other = world.get(AUTOSCALERS, "h")
    world.api.create(AUTOSCALERS, {"metadata": {"namespace": NAMESPACE, "name": "i"}, "spec": other["spec"]})
    world.step(15)
    assert status(world)["is"]["ScalingActive"] == ("False", "AmbiguousSelector")
    assert size(world) == 2
