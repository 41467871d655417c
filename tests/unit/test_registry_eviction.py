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


def test_the_preconditions_of_a_deletion_hold(cluster: Cluster) -> None:
    running(cluster, 1)
    with pytest.raises(Conflict, match="UID in precondition: other"):
        evict(cluster, "web-0", preconditions={"uid": "other"})
    with pytest.raises(NotFound):
        evict(cluster, "nobody")
    said = {"metadata": {"name": "y"}}
    with pytest.raises(BadRequest, match="name in URL does not match"):
        cluster.machine.create_subresource(cluster.ctx(), PODS, "default", "web-0", "eviction", said)


@pytest.mark.parametrize("spec", [{"minAvailable": 2}, {"maxUnavailable": 1}, {"minAvailable": "50%"}])
def test_a_budget_lets_go_as_many_as_it_says(cluster: Cluster, spec: Obj) -> None:
    running(cluster, 3)
    budget(cluster, **spec)
    evict(cluster, "web-0")
    with pytest.raises(TooManyRequests) as refused:
        evict(cluster, "web-1")
    assert refused.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert (
        refused.value.causes[0].message == "The disruption budget b needs 2 healthy pods and has 2 currently"
    )
    assert not deleting(cluster, "web-1")


def test_a_promise_counts_before_the_pod_goes(cluster: Cluster) -> None:
    running(cluster, 3)
    budget(cluster, minAvailable=2)
    now = {"disruptedPods": {"web-0": "2026-01-01T00:00:00Z"}}
    cluster.patch(DISRUPTIONBUDGETS, "b", {"status": now}, subresource="status")
    with pytest.raises(TooManyRequests):
        evict(cluster, "web-1")


def test_a_dry_run_promises_nothing(cluster: Cluster) -> None:
    running(cluster, 2)
    made = budget(cluster, minAvailable=1)
    evict(cluster, "web-0", dryRun=["All"])
    assert not deleting(cluster, "web-0")
    assert cluster.get(DISRUPTIONBUDGETS, "b") == made


def test_a_budget_that_somebody_keeps_is_taken_at_its_word(cluster: Cluster) -> None:
    running(cluster, 2)
    budget(cluster, minAvailable=2)
    said = {"observedGeneration": 1, "disruptionsAllowed": 1}
    cluster.patch(DISRUPTIONBUDGETS, "b", {"status": said}, subresource="status")
    evict(cluster, "web-0")
    status = cluster.get(DISRUPTIONBUDGETS, "b")["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["web-0"])
    with pytest.raises(TooManyRequests):
        evict(cluster, "web-1")


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_who_does_not_run_needs_no_permission(cluster: Cluster, phase: str) -> None:
    running(cluster, 1, phase=phase)
    budget(cluster, minAvailable=1)
    evict(cluster, "web-0")


@pytest.mark.parametrize(("policy", "goes"), [("AlwaysAllow", True), ("IfHealthyBudget", False)])
def test_who_is_not_ready_by_the_budgets_policy(cluster: Cluster, policy: str, *, goes: bool) -> None:
    running(cluster, 1, conditions=[])
    budget(cluster, minAvailable=1, unhealthyPodEvictionPolicy=policy)
    if goes:
        evict(cluster, "web-0")
        return
    with pytest.raises(TooManyRequests):
        evict(cluster, "web-0")


def test_two_budgets_of_one_pod_are_too_many(cluster: Cluster) -> None:
    running(cluster, 1)
    budget(cluster, minAvailable=0)
    cluster.create(DISRUPTIONBUDGETS, {"metadata": {"name": "c"}, "spec": {"selector": {}}})
    with pytest.raises(InternalError, match="more than one PodDisruptionBudget"):
        evict(cluster, "web-0")
