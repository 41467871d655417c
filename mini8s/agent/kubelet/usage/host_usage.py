"""PURE: what the kernel's files say of the whole host: processor time, memory, network interfaces, processes.

Sources: proc(5), and for what counts as available the signals of Kubernetes' node-pressure eviction.
"""

from __future__ import annotations

from dataclasses import dataclass

PROCESS_LIMITS = ("sys/kernel/pid_max", "sys/kernel/threads-max")  # below /proc
TICKS = 100  # USER_HZ, the unit of /proc/stat on every Linux that runs containers
_USED = slice(1, 4), slice(6, 8)  # user, nice, system; irq, softirq


@dataclass(frozen=True, slots=True)
class HostReading:
    """Bytes, but for what says otherwise."""

    cpu_ns: int
    memory: int
    working_set: int
    rss: int
    faults: int
    major_faults: int
    capacity: int
    swap: int
    swap_free: int
    booted: float  # Unix time

    @property
    def available(self) -> int:
        """The signal memory.available."""
        return max(0, self.capacity - self.working_set)


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    rx_bytes: int
    rx_errors: int
    tx_bytes: int
    tx_errors: int


def host_reading(stat: str, meminfo: str, vmstat: str) -> HostReading:
    memory, faults = memory_figures(meminfo), _pairs(vmstat)
    lines = {words[0]: words for words in map(str.split, stat.splitlines()) if words}
    ticks = sum(int(word) for part in _USED for word in lines["cpu"][part])
    used = memory["MemTotal"] - memory["MemFree"]
    return HostReading(
        cpu_ns=ticks * (1_000_000_000 // TICKS),
        memory=used,
        working_set=max(0, used - memory["Inactive(file)"]),
        rss=memory["AnonPages"],
        faults=faults["pgfault"],
        major_faults=faults["pgmajfault"],
        capacity=memory["MemTotal"],
        swap=memory["SwapTotal"] - memory["SwapFree"],
        swap_free=memory["SwapFree"],
        booted=float(lines["btime"][1]),
    )


def memory_available(meminfo: str) -> tuple[int, int]:
    """The signal memory.available, and all there is: what is not in a working set."""
    memory = memory_figures(meminfo)
    used = memory["MemTotal"] - memory["MemFree"]
    return memory["MemTotal"] - max(0, used - memory["Inactive(file)"]), memory["MemTotal"]


def processes(loadavg: str, pid_max: str, threads_max: str) -> tuple[int, int]:
    """How many processes and threads there are, and how many there can be."""
    return int(loadavg.split()[3].partition("/")[2]), min(int(pid_max), int(threads_max))


def memory_figures(meminfo: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    lines = (line.split() for line in meminfo.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}


def interfaces(net_dev: str) -> list[Interface]:
    """/proc/PID/net/dev: the interfaces of a network namespace, but for the loopback."""
    found = []
    for line in net_dev.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if name.strip() != "lo":
            found.append(Interface(name.strip(), numbers[0], numbers[2], numbers[8], numbers[10]))
    return found


def default_interface(route: str) -> str:
    """/proc/net/route: the interface of the default route, "" when there is none."""
    rows = [line.split() for line in route.splitlines()[1:]]
    return next((row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"), "")


def _pairs(text: str) -> dict[str, int]:
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) == 2}
