"""How long pods take to start, against bare `docker run` of the same image in the same run (`bare.py` says of
which Docker), and what a full node costs its agent while nothing happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from hosts import Host
from hosts.cluster import Cluster
from hosts.door import Door

from bench import bare, processes
from bench.figure import Figure, middle, quantile

ROUNDS = 40
REPLICAS = 50
FULL = 110  # pods on a node, the kubelet's own limit
SETTLE_SECONDS = 20  # after it the last statuses, events and leftovers of the starts are through
MINUTE = 60
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONTAINER = {"name": "main", "image": bare.IMAGE, "command": list(bare.COMMAND)}
POD = "pod, from its creation to Running"


def run(cluster: Cluster) -> Iterator[Figure]:
    cluster.server(1)
    cluster.wait_ready("h1")
    host = cluster.hosts[1]
    stock = bare.stock_host(host, sorted((host.data / "agent" / "images").glob("*.tar")))
    cluster.wait_for("the image", lambda: "mini8s-busybox" in host.docker("images"))
    yield from starts(cluster, stock)
    seconds = deployment(cluster, REPLICAS)
    yield Figure(f"{REPLICAS} replicas to Ready", seconds, "s", f"{REPLICAS / seconds:.1f} pods/s")
    yield from full_node(cluster)


def starts(cluster: Cluster, stock: Host) -> Iterator[Figure]:
    """All in turn, so that they meet the same machine."""
    host = cluster.hosts[1]
    pod_run(cluster, "bench-first")  # brings the sandbox's image
    calls = bare.Calls(host)
    took: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for what, seconds in (
            (POD, pod_run(cluster, f"bench-{number}")),
            ("docker run, Docker as installed", bare.docker_run(stock)),
            ("docker run --network=none", bare.docker_run(host, "--network=none")),
            ("docker run without any network set up", bare.docker_run(host)),
            ("Docker's calls for sandbox and container", calls.pair()),
            ("Docker's calls for a container in another's network", calls.one()),
        ):
            took.setdefault(what, []).append(seconds)
    for what, runs in took.items():
        yield middle(what, runs, "s")
    pods = took.pop(POD)
    for what, runs in took.items():
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            ratio = quantile(pods, share) / quantile(runs, share)
            yield Figure(f"pod against {what}, {name}", ratio, "ratio")


def pod_run(cluster: Cluster, name: str) -> float:
    """From the request that creates it to the event that says it runs."""
    door = open_door(cluster)
    pod = {
        "metadata": {"name": name},
        "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 0},
    }
    began = time.monotonic()
    made = ask(door, "POST", PODS, pod)
    version = made["metadata"]["resourceVersion"]
    path = f"{PODS}?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={version}&timeoutSeconds=60"
    door.request("GET", path)
    answer = door.getresponse()
    seconds = next(
        time.monotonic() - began for pod in changes(answer) if pod["status"].get("phase") == "Running"
    )
    door.close()
    ask(open_door(cluster), "DELETE", f"{PODS}/{name}")
    cluster.wait_for(
        "the end of its containers", lambda: not cluster.hosts[1].docker("ps", "--all", "--quiet")
    )
    return seconds


def full_node(cluster: Cluster) -> Iterator[Figure]:
    """What the agent uses in a minute in which nothing is asked of it."""
    deployment(cluster, FULL - REPLICAS)
    time.sleep(SETTLE_SECONDS)
    pid = processes.roles(cluster.programs[1].process.pid)["agent"]
    written, used = processes.written_bytes(pid), processes.cpu_seconds(pid)
    time.sleep(MINUTE)
    written, used = processes.written_bytes(pid) - written, processes.cpu_seconds(pid) - used
    memory = f"{processes.rss_mb(pid):.1f} MB resident"
    yield Figure(f"agent's memory with {FULL} idle pods", processes.pss_mb(pid), "MB PSS", memory)
    yield Figure(f"agent's processor with {FULL} idle pods", 100 * used / MINUTE, "% core")
    yield Figure(f"agent's writes with {FULL} idle pods", written / 1000, "kB/min")


def deployment(cluster: Cluster, replicas: int) -> float:
    """From the request that creates a Deployment until all replicas are Ready."""
    name = f"bench-{replicas}"
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    door = open_door(cluster)
    began = time.monotonic()
    ask(door, "POST", DEPLOYMENTS, {"metadata": {"name": name}, "spec": spec})

    def all_ready() -> bool:
        return bool(ask(door, "GET", f"{DEPLOYMENTS}/{name}")["status"].get("readyReplicas") == replicas)

    cluster.wait_for("all replicas", all_ready, seconds=300)
    door.close()
    return time.monotonic() - began


def open_door(cluster: Cluster) -> Door:
    return Door(cluster.hosts[1].data / "server" / "api.sock", timeout=120)


def ask(door: Door, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    content = json.dumps(body) if body else None
    door.request(method, path, content, {"Content-Type": "application/json"})
    return json.loads(door.getresponse().read())


def changes(answer: HTTPResponse) -> Iterator[dict[str, Any]]:
    """The objects of a watch's events."""
    for line in answer:
        yield json.loads(line)["object"]
