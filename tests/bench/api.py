"""Requests a second: create, get and list, over TLS with kept-alive connections, clients on the same
machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from hosts.cluster import Cluster

from bench.figure import Figure, rate

SECONDS = 4
LISTED = 1000
RUNS = (("create", 1), ("create", 16), ("create", 64), ("get", 16), ("list", 4))


def run(cluster: Cluster) -> Iterator[Figure]:
    cluster.server(1, "--disable-agent")
    cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok")
    cluster.kubectl("create", "configmap", "load", "--from-literal=x=" + "y" * 1800)
    for verb, connections in RUNS:
        if verb == "list":
            _leave(cluster, LISTED)
        name = f"{verb}{f' of {LISTED} objects' if verb == 'list' else ''}, TLS, {connections} at a time"
        yield rate(name, load(cluster, verb, connections), SECONDS)


def load(cluster: Cluster, verb: str, connections: int) -> list[float]:
    """Run the load on the host; the seconds that each answer took. Raises HostError when a request failed."""
    host = cluster.hosts[1]
    server = host.data / "server"
    command = [sys.executable, "-m", "bench.load", verb, str(connections), str(SECONDS), str(server), host.ip]
    said = host.run(*command, env={"PYTHONPATH": ":".join(sys.path)}, timeout=SECONDS + 60)
    took: list[float] = json.loads(said)
    return took


def _leave(cluster: Cluster, count: int) -> None:
    """Keep a namespace with so many objects to list."""
    cluster.kubectl("create", "namespace", "listed")
    items = "\n---\n".join(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"listed-{number}", "namespace": "listed"},
                "data": {"x": "y" * 1200},
            }
        )
        for number in range(count)
    )
    cluster.kubectl("create", "--filename=-", stdin=items, timeout=300)
