"""Evictions: a budget is kept, also by several at once, and what disrupts nobody needs no permission."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.objects.errors import BadRequest, Conflict, InternalError, NotFound, TooManyRequests
from mini8s.objects.kinds import DISRUPTIONBUDGETS, PODS, Obj

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
SELECTOR = {"matchLabels": {"app": "web"}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def running(cluster: Cluster, count: int, **status: Any) -> None:
    for index in range(count):
        name = f"web-{index}"
        obj = pod(name, nodeName="n")
        obj["metadata"]["labels"] = {"app": "web"}
        cluster.create(PODS, obj)
        cluster.patch(PODS, name, {"status": READY | status}, subresource="status")


def budget(cluster: Cluster, **spec: Any) -> Obj:
    said = {"metadata": {"name": "b"}, "spec": {"selector": SELECTOR} | spec}
    return cluster.create(DISRUPTIONBUDGETS, said)


def evict(cluster: Cluster, name: str, **options: Any) -> Obj:
    said: Obj = {"metadata": {"name": name}, "deleteOptions": options}
    return dict(cluster.machine.create_subresource(cluster.ctx(), PODS, "default", name, "eviction", said))


def deleting(cluster: Cluster, name: str) -> bool:
    return "deletionTimestamp" in cluster.get(PODS, name)["metadata"]


def test_without_a_budget_it_is_a_deletion(cluster: Cluster) -> None:
    running(cluster, 1)
    assert evict(cluster, "web-0", gracePeriodSeconds=7)["status"] == "Success"
    assert cluster.get(PODS, "web-0")["metadata"]["deletionGracePeriodSeconds"] == 7


def test_the_pod_says_who_ends_it(cluster: Cluster) -> None:
    running(cluster, 1)
    version = cluster.get(PODS, "web-0")["metadata"]["resourceVersion"]
    evict(cluster, "web-0", preconditions={"resourceVersion": version})
    found = cluster.get(PODS, "web-0")["status"]["conditions"][-1]
    assert (found["type"], found["status"], found["reason"], found["message"]) == (
        "DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting",
    )  # fmt: skip
    with pytest.raises(Conflict):
        evict(cluster, "web-0", preconditions={"resourceVersion": version})


def test_the_preconditions_of_a_deletion_hold(cluster: Cluster) -> None:
    running(cluster, 1)
    with pytest.raises(Conflict, match="UID in precondition: other"):
        evict(cluster, "web-0", preconditions={"uid": "other"})
    with pytest.raises(NotFound):
        evict(cluster, "nobody")
    said = {"metadata": {"name": "y"}}
    with pytest.raises(BadRequest, match="name in URL does not match"):
        cluster.machine.create_subresource(cluster.ctx(), PODS, "default", "web-0", "eviction", said)


def keep(cluster: Cluster, **status: Any) -> None:
    """What the controller would have written."""
    seen = {"observedGeneration": 1} | status
    cluster.patch(DISRUPTIONBUDGETS, "b", {"status": seen}, subresource="status")


def refused(cluster: Cluster, name: str) -> TooManyRequests:
    with pytest.raises(TooManyRequests) as found:
        evict(cluster, name)
    assert not deleting(cluster, name)
    assert found.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert found.value.causes[0].reason == "DisruptionBudget"
    return found.value


def test_a_budget_lets_go_as_many_as_its_status_says(cluster: Cluster) -> None:
    running(cluster, 3)
    budget(cluster, minAvailable=2)
    keep(cluster, disruptionsAllowed=1, desiredHealthy=2, currentHealthy=2)
    evict(cluster, "web-0")
    status = cluster.get(DISRUPTIONBUDGETS, "b")["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["web-0"])
    why = refused(cluster, "web-1").causes[0].message
    assert why == "The disruption budget b needs 2 healthy pods and has 2 currently"


def test_one_that_was_not_seen_yet_lets_nobody_go(cluster: Cluster) -> None:
    running(cluster, 1)
    budget(cluster, minAvailable=0)
    found = refused(cluster, "web-0")
    assert found.causes[0].message == "The disruption budget b is still being processed by the server."
    assert found.retry_after == 10


def test_one_that_cannot_be_counted_lets_nobody_go(cluster: Cluster) -> None:
    running(cluster, 1)
    budget(cluster, maxUnavailable=1)
    failed = {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"}
    keep(cluster, conditions=[failed | {"lastTransitionTime": "2026-01-01T00:00:00Z"}])
    why = refused(cluster, "web-0").causes[0].message
    said = "does not allow evicting pods currently because it failed sync: no scale"
    assert why == f"The disruption budget b {said}"


def test_a_dry_run_promises_nothing(cluster: Cluster) -> None:
    running(cluster, 2)
    budget(cluster, minAvailable=1)
    keep(cluster, disruptionsAllowed=1)
    made = cluster.get(DISRUPTIONBUDGETS, "b")
    evict(cluster, "web-0", dryRun=["All"])
    assert not deleting(cluster, "web-0")
    assert cluster.get(DISRUPTIONBUDGETS, "b") == made


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_who_does_not_run_needs_no_permission(cluster: Cluster, phase: str) -> None:
    running(cluster, 1, phase=phase)
    budget(cluster, minAvailable=1)
    evict(cluster, "web-0")


@pytest.mark.parametrize(("policy", "goes"), [("AlwaysAllow", True), ("IfHealthyBudget", False)])
def test_who_is_not_ready_by_the_budgets_policy(cluster: Cluster, policy: str, *, goes: bool) -> None:
    running(cluster, 1, conditions=[])
    budget(cluster, minAvailable=1, unhealthyPodEvictionPolicy=policy)
    keep(cluster, desiredHealthy=1, currentHealthy=0)
    if goes:
        evict(cluster, "web-0")
        return
    refused(cluster, "web-0")
    keep(cluster, desiredHealthy=1, currentHealthy=1)
    evict(cluster, "web-0")


def test_two_budgets_of_one_pod_are_too_many(cluster: Cluster) -> None:
    running(cluster, 1)
    budget(cluster, minAvailable=0)
    cluster.create(DISRUPTIONBUDGETS, {"metadata": {"name": "c"}, "spec": {"selector": {}}})
    with pytest.raises(InternalError, match="more than one PodDisruptionBudget"):
        evict(cluster, "web-0")
