"""A drain, a preemption and a lost host on three hosts, and what `mini8s why` says at each step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from hosts.cluster import MINI8S, Cluster
from space import Obj, Space, container, space

NAMES = ("h1", "h2", "h3")
LEASE = "--kubelet-arg=node-lease-duration-seconds=8"  # renewed far more often than the server is patient


@pytest.fixture(scope="module")
def three_hosts(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(3), image_archives) as cluster:
        cluster.server(1, "--node-monitor-grace-period=11", LEASE)
        cluster.wait_ready("h1")
        for number in (2, 3):
            cluster.agent(number, LEASE)
        cluster.wait_ready(*NAMES)
        yield cluster


@pytest.fixture(scope="module")
def here(three_hosts: Cluster) -> Iterator[Space]:
    with space(three_hosts, "why") as made:
        yield made


def why(here: Space, what: str) -> str:
    """What it says, as root on the server's host."""
    host = here.cluster.hosts[1]
    said = host.call(MINI8S, "why", what, f"--namespace={here.name}", f"--data-dir={host.data}").stdout
    print(f"$ mini8s why {what}\n{said}")
    return said


def deployment(name: str, replicas: int, cpu: str, **spec: Any) -> Obj:
    room = {"requests": {"cpu": cpu}}
    pod = {"containers": [container("sleep 1000", resources=room)], "terminationGracePeriodSeconds": 0} | spec
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def says(here: Space, what: str, pattern: str) -> None:
    here.cluster.wait_for(f"{what} to say {pattern}", lambda: re.search(pattern, why(here, what)), pause=0.5)


def test_a_drain_that_a_budget_holds_up(here: Space) -> None:
    here.apply(deployment("web", 3, "10m"))
    here.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    says(here, "deploy/web", r"\Adeployment/web: all 3 replicas are available\n\Z")
    here.kubectl("drain", "h3", "--ignore-daemonsets", "--timeout=120s")
    says(here, "node/h3", "it is cordoned: it keeps its pods and takes no new ones")
    here.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    assert {pod["spec"]["nodeName"] for pod in here.get("pods")["items"]} <= {"h1", "h2"}


def test_a_pod_that_makes_others_give_way(here: Space) -> None:
    """h2 has room for one: the important one comes, and who had to go says why it waits."""
    cores = here.cluster.get("node", "h2")["status"]["allocatable"]["cpu"]
    most = f"{int(float(cores) * 1000) - 300}m"
    on = {"nodeSelector": {"kubernetes.io/hostname": "h2"}}
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
    here.apply(important | {"metadata": {"name": "important"}})
    try:
        here.apply(deployment("small", 1, most, **on))
        here.kubectl("rollout", "status", "deployment/small", "--timeout=120s")
        here.apply(deployment("large", 1, most, priorityClassName="important", **on))
        here.kubectl("rollout", "status", "deployment/large", "--timeout=120s")
        says(here, "deploy/small", r"no node will do: 0/3 nodes are available: .*1 Insufficient cpu")
        here.cluster.wait_for(
            "the event", lambda: any(one["reason"] == "Preempted" for one in here.get("events")["items"])
        )
    finally:
        here.kubectl("delete", "priorityclass", "important")
        here.kubectl("delete", "deployment", "small", "large", "--ignore-not-found")


def test_a_host_that_is_lost(here: Space) -> None:
    here.kubectl("uncordon", "h3")
    here.apply(deployment("kept", 1, "10m", nodeSelector={"kubernetes.io/hostname": "h3"}))
    here.kubectl("rollout", "status", "deployment/kept", "--timeout=120s")
    here.cluster.hosts[3].cut()
    try:
        says(here, "deploy/kept", r"its host is not heard of.*\n +node/h3: it is lost: its agent has said ")
    finally:
        here.cluster.hosts[3].mend()
    says(here, "deploy/kept", "its only replica is available")
