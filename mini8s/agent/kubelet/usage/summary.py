"""PURE: `/stats/summary`, the kubelet's own account of its node and pods.

The shape is the Summary API's (kubelet/pkg/apis/stats/v1alpha1). `windowSeconds` beside `usageNanoCores` is
ours: over how long that was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mini8s.agent.kubelet.usage.cgroup import Reading
from mini8s.agent.kubelet.usage.disk_usage import Space, Taken
from mini8s.agent.kubelet.usage.host_usage import HostReading, Interface
from mini8s.agent.kubelet.usage.storage import Filesystems, PodStorage, VolumeStorage
from mini8s.agent.kubelet.usage.usage import ContainerUsage, PodUsage, Rate, Snapshot
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """What is on the disk. Pods by uid."""

    filesystems: Filesystems
    pods: Mapping[str, PodStorage] = field(default_factory=dict)


def summary(
    node: str, snapshot: Snapshot, pod_of: Callable[[str], Obj | None], storage: StorageFacts | None
) -> Obj:
    """`pod_of` finds a pod by uid; without `storage` only processor, memory and network are told."""
    time = format_time(snapshot.now)
    told = [(pod_of(one.pod.uid), one) for one in snapshot.pods]
    return {
        "node": _node(node, snapshot, storage, time),
        "pods": [_pod(pod, one, storage, time) for pod, one in told if pod is not None and one.containers],
    }


def _node(name: str, snapshot: Snapshot, storage: StorageFacts | None, time: str) -> Obj:
    host = snapshot.host
    found: Obj = {
        "nodeName": name,
        "startTime": format_time(datetime.fromtimestamp(host.booted, UTC)),
        "cpu": _cpu(host.cpu_ns, snapshot.rate, time),
        "memory": _memory(host, host.available, time),
        "swap": {"time": time, "swapAvailableBytes": host.swap_free, "swapUsageBytes": host.swap},
        **_network(snapshot.network, snapshot.default, time),
    }
    if storage is not None:
        files = storage.filesystems
        image = _filesystem(files.image, time)
        found |= {"fs": _filesystem(files.node, time), "runtime": {"imageFs": image, "containerFs": image}}
    return found


def _pod(pod: Obj, used: PodUsage, storage: StorageFacts | None, time: str) -> Obj:
    whole, began = used.reading, (pod.get("status") or {}).get("startTime")
    found: Obj = {
        "podRef": {"name": meta.name(pod), "namespace": meta.namespace(pod), "uid": meta.uid(pod)},
        "startTime": began or pod["metadata"].get("creationTimestamp"),
        "containers": [_container(one, storage, used.pod.uid, time) for one in used.containers],
        "cpu": _cpu(whole.cpu_ns, used.rate, time),
        "memory": _memory(whole, _left(whole), time),
        "swap": {"time": time, "swapUsageBytes": whole.swap},
        "process_stats": {"process_count": whole.processes},
    }
    if used.network and not pod["spec"].get("hostNetwork"):
        found |= _network(used.network, used.network[0].name, time)
    held = storage.pods.get(used.pod.uid) if storage else None
    if storage and held:
        found["volume"] = [_volume(one, meta.namespace(pod), time) for one in held.volumes]
        found["ephemeral-storage"] = _taken(held.ephemeral, storage.filesystems.node, time)
    return found


def _container(used: ContainerUsage, storage: StorageFacts | None, uid: str, time: str) -> Obj:
    one, reading = used.container, used.reading
    found: Obj = {
        "name": one.name,
        "startTime": format_time(parse_time(one.started_at)),
        "cpu": _cpu(reading.cpu_ns, used.rate, time),
        "memory": _memory(reading, _left(reading), time),
        "swap": {"time": time, "swapUsageBytes": reading.swap},
    }
    held = storage.pods.get(uid, PodStorage()).containers.get(one.id) if storage else None
    if storage and held:
        found["logs"] = _taken(held.logs, storage.filesystems.image, time)
        if held.root is not None:
            found["rootfs"] = _taken(held.root, storage.filesystems.image, time)
    return found


def _cpu(counter_ns: int, rate: Rate | None, time: str) -> Obj:
    found: Obj = {"time": time, "usageCoreNanoSeconds": counter_ns}
    if rate is not None:
        found |= {"usageNanoCores": rate.nanocores, "windowSeconds": round(rate.seconds, 3)}
    return found


def _memory(used: Reading | HostReading, available: int | None, time: str) -> Obj:
    left = {} if available is None else {"availableBytes": available}
    return {
        "time": time,
        **left,
        "usageBytes": used.memory,
        "workingSetBytes": used.working_set,
        "rssBytes": used.rss,
        "pageFaults": used.faults,
        "majorPageFaults": used.major_faults,
    }


def _left(used: Reading) -> int | None:
    return max(0, used.limit - used.working_set) if used.limit else None


def _network(found: Sequence[Interface], default: str, time: str) -> Obj:
    listed = [_interface(one) for one in found]
    first = next((one for one in listed if one["name"] == default), None)
    return {"network": {"time": time, **(first or {}), "interfaces": listed}} if listed else {}


def _interface(one: Interface) -> Obj:
    return {
        "name": one.name,
        "rxBytes": one.rx_bytes,
        "rxErrors": one.rx_errors,
        "txBytes": one.tx_bytes,
        "txErrors": one.tx_errors,
    }


def _filesystem(space: Space, time: str) -> Obj:
    return _taken(Taken(space.used, space.inodes - space.inodes_free), space, time)


def _taken(taken: Taken, space: Space, time: str) -> Obj:
    return {
        "time": time,
        "availableBytes": space.available,
        "capacityBytes": space.capacity,
        "usedBytes": taken.bytes,
        "inodesFree": space.inodes_free,
        "inodes": space.inodes,
        "inodesUsed": taken.inodes,
    }


def _volume(one: VolumeStorage, namespace: str, time: str) -> Obj:
    claim = {"pvcRef": {"name": one.claim, "namespace": namespace}} if one.claim else {}
    return {"name": one.name, **claim, **_taken(one.taken, one.space, time)}
