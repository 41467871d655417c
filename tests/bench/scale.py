"""Ten thousand pods on five thousand hollow nodes, from a Deployment's manifest to Running, through the API;
and what a thousand idle nodes cost. The server runs without an agent of its own, the nodes are one process
beside it: they and this program share the machine's processors, so seconds of processor stand beside the
wall's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from hosts.cluster import MINI8S, Cluster

from bench import placing, processes
from bench.figure import Figure, quantile
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, PODS, Obj

NODES = int(os.environ.get("MINI8S_BENCH_NODES", "5000"))
PODS_WANTED = int(os.environ.get("MINI8S_BENCH_PODS", "10000"))
IDLE_NODES = 1_000
IDLE_SECONDS = int(os.environ.get("MINI8S_BENCH_IDLE", "60"))
WAIT_SECONDS = 600
ASK_SECONDS = 0.05
ROLES = ("api", "control")
FLAGS = ("--disable-agent", "--disable=servicelb", "--cluster-cidr=10.128.0.0/9", "--log-level=warning")
# the pod range has room for 32,768 nodes; nobody sends to it: hollow nodes have no network


def run(cluster: Cluster) -> Iterator[Figure]:
    server = cluster.server(1, *FLAGS)
    cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok")
    host = cluster.hosts[1]
    rest = Rest(Endpoint(unix_socket=str(host.data / "server" / "api.sock")), user_agent="bench")
    yield from _idle(cluster, server.process.pid, min(IDLE_NODES, NODES))
    nodes = Nodes(cluster, NODES)  # the first thousand of them are known
    try:
        yield from nodes.registered()
        pids = {**processes.roles(server.process.pid, ROLES), "nodes": nodes.pid}
        yield from _deployment(rest, pids)
        yield from placing.run(rest, pids, PODS_WANTED)
    finally:
        nodes.stop()


class Nodes:
    """A process of hollow nodes on the first host."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        self._cluster, self._count = cluster, count
        host = cluster.hosts[1]
        self._log = (host.folder / "hollow.log").open("ab")
        self._began = time.monotonic()
        command = (MINI8S, "agent", "--runtime=hollow", f"--count={count}")
        self._process = host.popen(*command, stdout=self._log, stderr=self._log, start_new_session=True)
        self.pid = self._process.pid

    def registered(self) -> Iterator[Figure]:
        def ready() -> bool:
            return len(self._cluster.ready_nodes()) >= self._count

        self._cluster.wait_for(f"{self._count} nodes", ready, seconds=WAIT_SECONDS, pause=1)
        took = time.monotonic() - self._began
        yield Figure(f"{self._count} hollow nodes, from start to Ready", took, "s")
        yield Figure(f"memory, process of {self._count} hollow nodes", processes.pss_mb(self.pid), "MB PSS")

    def stop(self) -> None:
        """One that has much left to say is not waited for."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _idle(cluster: Cluster, parent: int, count: int) -> Iterator[Figure]:
    nodes = Nodes(cluster, count)
    try:
        yield from nodes.registered()
        pids = {**processes.roles(parent, ROLES), "nodes": nodes.pid}
        used = {role: processes.cpu_seconds(pid) for role, pid in pids.items()}
        time.sleep(IDLE_SECONDS)
        for role, pid in pids.items():
            share = 100 * (processes.cpu_seconds(pid) - used[role]) / IDLE_SECONDS
            yield Figure(f"processor, {count} idle nodes, {role}", share, "% core")
    finally:
        nodes.stop()


def _deployment(rest: Rest, pids: dict[str, int]) -> Iterator[Figure]:
    used = {role: processes.cpu_seconds(pid) for role, pid in pids.items()}
    asked = Asked(rest)
    began = time.monotonic()
    rest.create(DEPLOYMENTS, _manifest())
    placed = running = 0.0
    while not running:
        time.sleep(1)
        status = rest.get(DEPLOYMENTS, "default", "web").get("status") or {}
        if not placed and _placed(rest):
            placed = time.monotonic() - began
        if status.get("readyReplicas", 0) >= PODS_WANTED:
            running = time.monotonic() - began
        if time.monotonic() - began > WAIT_SECONDS:
            raise AssertionError(f"after {WAIT_SECONDS} s the Deployment says {status}")
    seconds = asked.stop()
    yield Figure(f"{PODS_WANTED} pods, from the manifest to all placed", placed or running, "s")
    yield Figure("pods placed", PODS_WANTED / (placed or running), "1/s")
    yield Figure(f"{PODS_WANTED} replicas, from the manifest to Ready", running, "s")
    yield Figure("API meanwhile, GET, p99", 1000 * quantile(seconds, 0.99), "ms", f"n={len(seconds)}")
    for role, pid in pids.items():
        yield Figure(f"processor for it, {role}", processes.cpu_seconds(pid) - used[role], "s")
    memory = {role: processes.pss_mb(pid) for role, pid in pids.items()}
    for role, value in memory.items():
        yield Figure(f"memory then, {role}", value, "MB PSS")
    yield Figure("memory then, api and control", memory["api"] + memory["control"], "MB PSS")


def _placed(rest: Rest) -> bool:
    """Whether all have a node, told by how many have none."""
    waiting = rest.request(
        "GET", PODS.path("default"), query={"fieldSelector": "spec.nodeName=", "limit": "1"}
    )
    made = rest.request("GET", PODS.path("default"), query={"limit": "1"})
    left = json.loads(made.body)["metadata"].get("remainingItemCount", 0)
    return not json.loads(waiting.body)["items"] and left + 1 >= PODS_WANTED


class Asked:
    """Somebody who reads one object, again and again."""

    def __init__(self, rest: Rest) -> None:
        self._rest, self._over = rest, threading.Event()
        self._seconds: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> list[float]:
        self._over.set()
        self._thread.join()
        return self._seconds

    def _run(self) -> None:
        while not self._over.wait(ASK_SECONDS):
            began = time.monotonic()
            try:
                self._rest.get(CONFIGMAPS, "default", "kube-root-ca.crt")
            except ApiError as error:
                print(f"bench: {error}", file=sys.stderr)
            self._seconds.append(time.monotonic() - began)


def _manifest() -> Obj:
    container = {
        "name": "main",
        "image": "web:1",
        "resources": {"requests": {"cpu": "100m", "memory": "100M"}},
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"replicas": PODS_WANTED, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
