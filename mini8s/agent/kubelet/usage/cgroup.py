"""PURE: what cgroup files say of a container, in both versions of the interface.

Sources: the kernel's Documentation/admin-guide/cgroup-v1/{cpuacct,memory}.rst and cgroup-v2.rst. The working
set is what Kubernetes calls so: all that is charged, without the file pages that the kernel would drop first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNLIMITED = 1 << 60  # version 1 says "no limit" by the greatest number of whole pages


@dataclass(frozen=True, slots=True)
class Reading:
    """Processor time in nanoseconds since the start, memory in bytes. `limit` is 0 when there is none."""

    cpu_ns: int
    memory: int
    working_set: int
    rss: int
    faults: int
    major_faults: int
    swap: int = 0
    limit: int = 0
    processes: int = 0


def files(membership: str, container_id: str) -> dict[str, str] | None:
    """Where a container's figures are, below /sys/fs/cgroup: part → path. `membership` is /proc/PID/cgroup of
    its main process, which may have made groups of its own below the container's; None when that process is
    another's by now."""
    groups: dict[str, str] = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        whole, found, _ = path.partition(container_id)
        if found:
            rest = path[len(whole) + len(found) :].partition("/")[0]
            groups |= dict.fromkeys(controllers.split(","), f"{whole}{found}{rest}".lstrip("/"))
    if "memory" in groups and "cpuacct" in groups:
        return _version_1(groups)
    return _version_2(groups[""]) if "" in groups else None


def _version_1(groups: Mapping[str, str]) -> dict[str, str]:
    found = {
        "cpuacct.usage": f"cpuacct/{groups['cpuacct']}/cpuacct.usage",
        "memory.usage": f"memory/{groups['memory']}/memory.usage_in_bytes",
        "memory.stat": f"memory/{groups['memory']}/memory.stat",
    }
    if "pids" in groups:
        found["pids"] = f"pids/{groups['pids']}/pids.current"
    return found


def _version_2(group: str) -> dict[str, str]:
    names = {
        "cpu.stat": "cpu.stat",
        "memory.usage": "memory.current",
        "memory.stat": "memory.stat",
        "memory.max": "memory.max",
        "memory.swap": "memory.swap.current",
        "pids": "pids.current",
    }
    return {part: f"{group}/{name}" for part, name in names.items()}


def reading(texts: Mapping[str, str]) -> Reading:
    """The figures, from what those files said. A file that the kernel does without says nothing. Raises
    ValueError, KeyError."""
    usage, stat = int(texts["memory.usage"]), _numbers(texts["memory.stat"])
    processes = int(texts.get("pids") or 0)
    if "cpu.stat" in texts:
        most = texts.get("memory.max", "").strip()
        return Reading(
            cpu_ns=_numbers(texts["cpu.stat"])["usage_usec"] * 1000,
            memory=usage,
            working_set=max(0, usage - stat["inactive_file"]),
            rss=stat["anon"],
            faults=stat["pgfault"],
            major_faults=stat["pgmajfault"],
            swap=int(texts.get("memory.swap") or 0),
            limit=int(most) if most.isdigit() else 0,
            processes=processes,
        )
    limit = stat["hierarchical_memory_limit"]
    return Reading(
        cpu_ns=int(texts["cpuacct.usage"]),
        memory=usage,
        working_set=max(0, usage - stat["total_inactive_file"]),
        rss=stat["total_rss"],
        faults=stat["total_pgfault"],
        major_faults=stat["total_pgmajfault"],
        swap=stat.get("total_swap", 0),
        limit=0 if limit >= UNLIMITED else limit,
        processes=processes,
    )


def together(readings: list[Reading]) -> Reading:
    """A pod's figures from its containers'; it has a limit when each of them has one."""
    limits = [one.limit for one in readings]
    return Reading(
        cpu_ns=sum(one.cpu_ns for one in readings),
        memory=sum(one.memory for one in readings),
        working_set=sum(one.working_set for one in readings),
        rss=sum(one.rss for one in readings),
        faults=sum(one.faults for one in readings),
        major_faults=sum(one.major_faults for one in readings),
        swap=sum(one.swap for one in readings),
        limit=sum(limits) if all(limits) else 0,
        processes=sum(one.processes for one in readings),
    )


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in pairs if len(words) == 2}
