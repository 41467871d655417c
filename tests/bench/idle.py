"""From start to a Ready node, and what an idle server with one node costs: memory, processor, disk."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hosts.cluster import Cluster

from bench import processes
from bench.figure import Figure, middle

STARTS = 5  # after the first, which makes certificates and a database
SETTLE_SECONDS = 10
MINUTE = 60


def run(cluster: Cluster) -> Iterator[Figure]:
    first, *again = [start(cluster, last=number == STARTS) for number in range(STARTS + 1)]
    yield Figure("first start to API ready", first[0], "s")
    yield Figure("first start to Ready node", first[1], "s")
    yield middle("start to API ready", [api for api, _ in again], "s")
    yield middle("start to Ready node", [node for _, node in again], "s")
    server = cluster.programs[1]
    time.sleep(SETTLE_SECONDS)
    pids = processes.roles(server.process.pid)
    memory = {role: processes.pss_mb(pid) for role, pid in pids.items()}
    for role, pid in pids.items():
        yield Figure(
            f"memory idle, {role}", memory[role], "MB PSS", f"{processes.rss_mb(pid):.1f} MB resident"
        )
    yield Figure(
        "memory idle, server (parent, api, control)", sum(memory.values()) - memory["agent"], "MB PSS"
    )
    yield Figure("memory idle, all", sum(memory.values()), "MB PSS")
    yield from _minute(pids)


def start(cluster: Cluster, *, last: bool) -> tuple[float, float]:
    """Seconds to an API that is ready, and to a node that this start made Ready. Unless it is the last, the
    server is stopped again, and its node made one that isn't Ready."""
    began = time.monotonic()
    server = cluster.server(1)
    cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok", pause=0.02)
    api = time.monotonic() - began
    cluster.wait_for("a Ready node", cluster.ready_nodes, seconds=60, pause=0.02)
    node = time.monotonic() - began
    if not last:
        cluster.api("/api/v1/nodes/h1", "--request", "DELETE")
        server.stop()
    return api, node


def _minute(pids: dict[str, int]) -> Iterator[Figure]:
    """What they do in a minute when nobody asks for anything."""
    written = {role: processes.written_bytes(pid) for role, pid in pids.items()}
    used = {role: processes.cpu_seconds(pid) for role, pid in pids.items()}
    time.sleep(MINUTE)
    kilobytes = [(processes.written_bytes(pid) - written[role]) / 1000 for role, pid in pids.items()]
    yield Figure("written to disk, idle with one node", sum(kilobytes), "kB/min")
    seconds = [processes.cpu_seconds(pid) - used[role] for role, pid in pids.items()]
    yield Figure("processor, idle with one node", 100 * sum(seconds) / MINUTE, "% core")
