"""PURE: whether the host runs short of something, and which pod has to go first.

The order is that of Kubernetes' page on node-pressure eviction: what the host itself can give back first,
then one pod at a time: who uses more than it asked for, by priority, by how much more. Words are the
kubelet's (`pkg/kubelet/eviction`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mini8s.agent.kubelet.settings import KubeletSettings, Threshold
from mini8s.objects import pods, quantity, taints
from mini8s.objects.kinds import Obj

MEMORY, DISK, PID = "MemoryPressure", "DiskPressure", "PIDPressure"
CRITICAL = 2_000_000_000  # priority of system-cluster-critical and above
_CONDITIONS = {"memory": MEMORY, "nodefs": DISK, "imagefs": DISK, "pid": PID}
_RESOURCES = {"available": "ephemeral-storage", "inodesFree": "inodes"}
_MEMORY_TAINT = {"key": "node.kubernetes.io/memory-pressure", "effect": taints.NO_SCHEDULE}


@dataclass(frozen=True, slots=True)
class Observed:
    """A signal's value and the most it can be."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class State:
    """What one look hands to the next, monotonic times: since when thresholds are crossed, and when a
    condition was last seen."""

    since: Mapping[Threshold, float] = field(default_factory=dict)
    seen: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`conditions` are the node's; `due` the thresholds for which something has to go now, the one to see to
    first in front."""

    state: State
    conditions: frozenset[str] = frozenset()
    due: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """What one container uses, in bytes and inodes."""

    name: str
    memory: int = 0
    disk: int = 0
    inodes: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod, with what it uses: `disk` and `inodes` include its volumes on the node's disk."""

    pod: Obj
    containers: tuple[Used, ...] = ()
    memory: int = 0
    disk: int = 0
    inodes: int = 0
    processes: int = 0
    volumes: Mapping[str, int] = field(default_factory=dict)  # bytes by volume name


def judge(settings: KubeletSettings, observed: Mapping[str, Observed], state: State, now: float) -> Judgement:
    crossed = [one for one in settings.eviction if _crossed(one, observed, before=one in state.since)]
    since = {one: state.since.get(one, now) for one in crossed}
    seen = dict(state.seen) | dict.fromkeys(map(condition, crossed), now)
    held = settings.pressure_transition_seconds
    seen = {about: at for about, at in seen.items() if at == now or now - at < held}
    due = [one for one in crossed if one.hard or now - since[one] >= (one.grace_seconds or 0)]
    return Judgement(State(since, seen), frozenset(seen), tuple(sorted(due, key=_urgency)))


def _crossed(one: Threshold, observed: Mapping[str, Observed], *, before: bool) -> bool:
    found = observed.get(one.signal)
    if found is None:
        return False
    least = one.least.of(found.capacity)
    if before:
        least += one.reclaim.of(found.capacity)
    return found.available < least


def condition(one: Threshold) -> str:
    return _CONDITIONS[one.signal.partition(".")[0]]


def resource(signal: str) -> str:
    """As events and messages call what runs short."""
    place, _, what = signal.partition(".")
    return {"memory": "memory", "pid": "pids"}.get(place) or _RESOURCES[what]


def _urgency(one: Threshold) -> tuple[bool, bool]:
    """Memory first: a host without any may not come to anything else."""
    return condition(one) != MEMORY, not one.hard


def ranked(candidates: Iterable[Candidate], signal: str) -> list[Candidate]:
    """Who goes first. Critical pods never do."""
    order = {"memory": _by_memory, "pids": _by_processes, "inodes": _by_inodes}.get(
        resource(signal), _by_disk
    )
    return sorted((one for one in candidates if not critical(one.pod)), key=order)


def critical(pod: Obj) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    return priority(pod) >= CRITICAL or annotations.get("kubernetes.io/config.source", "api") != "api"


def priority(pod: Obj) -> int:
    return int(pod["spec"].get("priority") or 0)


def _by_memory(one: Candidate) -> tuple[bool, int, int]:
    over = one.memory - _requested(one.pod, "memory")
    return over <= 0, priority(one.pod), -over


def _by_disk(one: Candidate) -> tuple[bool, int, int]:
    over = one.disk - _requested(one.pod, "ephemeral-storage")
    return over <= 0, priority(one.pod), -over


def _by_inodes(one: Candidate) -> tuple[bool, int, int]:
    """Nobody can ask for inodes, so all use more than that."""
    return one.inodes <= 0, priority(one.pod), -one.inodes


def _by_processes(one: Candidate) -> tuple[int, int]:
    return priority(one.pod), -one.processes


def _requested(pod: Obj, what: str) -> int:
    return pods.needed(pod["spec"], "requests", what)


def message(one: Threshold, observed: Observed, evicted: Candidate) -> str:
    what = resource(one.signal)
    least, available = (_amount(what, n) for n in (one.least.of(observed.capacity), observed.available))
    said = f"The node was low on resource: {what}. Threshold quantity: {least}, available: {available}. "
    for used, asked in _overdrawn(evicted, what):
        said += (
            f"Container {used[0]} was using {_amount(what, used[1])}, request is {asked}, "
            f"has larger consumption of {what}. "
        )
    return said


def _overdrawn(evicted: Candidate, what: str) -> Iterable[tuple[tuple[str, int], str]]:
    """Containers that use more than they asked for, with what they asked for."""
    spec = evicted.pod["spec"]
    stated = {one["name"]: one for one in (*(spec.get("initContainers") or ()), *spec["containers"])}
    for used in evicted.containers if what in {"memory", "ephemeral-storage"} else ():
        resources = (stated.get(used.name) or {}).get("resources") or {}
        asked = str((resources.get("requests") or {}).get(what) or "0")
        amount = used.memory if what == "memory" else used.disk
        if amount > quantity.value(asked):
            yield (used.name, amount), asked


def _amount(what: str, number: int) -> str:
    return quantity.format_binary(number) if what in {"memory", "ephemeral-storage"} else str(number)


def beyond_limits(one: Candidate) -> str:
    """Why a pod has to go for what it keeps on the disk itself, "" when it needn't: a volume of limited size
    first, then the pod's limit, then a container's."""
    for volume in one.pod["spec"].get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and quantity.value(limit) and one.volumes.get(volume["name"], 0) > quantity.value(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    total = pods.needed(one.pod["spec"], "limits", "ephemeral-storage")
    if total and one.disk > total:
        shown = quantity.format_binary(total)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    limits = {container["name"]: _limit(container) for container in one.pod["spec"]["containers"]}
    for used in one.containers:
        limit = limits.get(used.name)
        if limit and used.disk > quantity.value(limit):
            return f'Container {used.name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def is_limited(pod: Obj) -> bool:
    """Whether what the pod keeps on the disk has to be counted."""
    sizes = [(one.get("emptyDir") or {}).get("sizeLimit") for one in pod["spec"].get("volumes") or ()]
    return any(sizes) or any(map(_limit, pod["spec"]["containers"]))


def _limit(container: Obj) -> str:
    limits = (container.get("resources") or {}).get("limits") or {}
    return str(limits.get("ephemeral-storage") or "")


def refused(pod: Obj, conditions: frozenset[str]) -> str:
    """Why a pod that comes now is not begun, "" when it is: to a host short of memory only those are let in
    that asked for some, to one short of disk or processes nobody."""
    if not conditions or critical(pod):
        return ""
    tolerates = taints.tolerates(pod["spec"].get("tolerations") or (), _MEMORY_TAINT)
    if conditions == {MEMORY} and (tolerates or pods.qos_class(pod["spec"]) != "BestEffort"):
        return ""
    return f"The node had condition: [{', '.join(sorted(conditions))}]. "


def exceeded(observed: Mapping[str, Observed], one: Threshold) -> bool:
    """Whether it still is, after the host gave back what it could."""
    return _crossed(one, observed, before=True)
