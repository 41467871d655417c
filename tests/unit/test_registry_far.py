"""Numbers that no date and no integer takes, and pods that are held back."""

from __future__ import annotations

import pytest
from fakes.cluster import Cluster, deployment, pod

from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import DEPLOYMENTS, PODS


@pytest.mark.parametrize("asked", [None, 2**62])
def test_a_grace_beyond_all_dates_is_a_lifetime(asked: int | None) -> None:
    cluster = Cluster()
    cluster.create(PODS, pod("a", nodeName="n", terminationGracePeriodSeconds=2**62))
    cluster.delete(PODS, "a", grace_seconds=asked)
    assert cluster.get(PODS, "a")["metadata"]["deletionGracePeriodSeconds"] == 10**9


def test_a_share_of_too_many_digits_is_none() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "9" * 5000 + "%", "maxUnavailable": 1}}
    with pytest.raises(ApiError, match="a valid percent string"):
        Cluster().create(DEPLOYMENTS, deployment(strategy=strategy))


def test_a_gated_pod_says_that_it_waits() -> None:
    made = Cluster().create(PODS, pod("a", schedulingGates=[{"name": "x.io/y"}]))
    [condition] = made["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("PodScheduled", "SchedulingGated")
