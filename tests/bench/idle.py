"""From start to a Ready node, and what an idle server with one node costs: memory, processor, disk."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hosts.cluster import Cluster

from bench import processes
from bench.figure import Figure

SETTLE_SECONDS = 10
MINUTE = 60


def run(cluster: Cluster) -> Iterator[Figure]:
    began = time.monotonic()
    server = cluster.server(1)
    cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok", pause=0.02)
    yield Figure("start to API ready", time.monotonic() - began, "s")
    cluster.wait_for("a Ready node", cluster.ready_nodes, seconds=60, pause=0.02)
    yield Figure("start to Ready node", time.monotonic() - began, "s")
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


def _minute(pids: dict[str, int]) -> Iterator[Figure]:
    """What they do in a minute when nobody asks for anything."""
    written = {role: processes.written_bytes(pid) for role, pid in pids.items()}
    used = {role: processes.cpu_seconds(pid) for role, pid in pids.items()}
    time.sleep(MINUTE)
    kilobytes = [(processes.written_bytes(pid) - written[role]) / 1000 for role, pid in pids.items()]
    yield Figure("written to disk, idle with one node", sum(kilobytes), "kB/min")
    seconds = [processes.cpu_seconds(pid) - used[role] for role, pid in pids.items()]
    yield Figure("processor, idle with one node", 100 * sum(seconds) / MINUTE, "% core")
