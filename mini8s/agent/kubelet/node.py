"""PURE: the Node object: what this host is, has and suffers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mini8s.agent.kubelet.host import HostFacts, Pressure
from mini8s.agent.runtime.base import EngineInfo, Image
from mini8s.config import KUBERNETES_VERSION
from mini8s.objects import conditions
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time

MOST_PODS = 110
MOST_IMAGES = 50  # upstream's nodeStatusMaxImages
EVICTION_MEMORY = 100 << 20  # upstream's memory.available<100Mi: below it pods are in danger
LEAST_DISK, LEAST_INODES, LEAST_PIDS = 0.10, 0.05, 0.10
_STATED = ("addresses", "capacity", "allocatable", "images", "nodeInfo")
OURS = ("NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure", "Ready")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """`engine` is None, and `engine_trouble` says why, while the container engine doesn't answer."""

    name: str
    ip: str
    host: HostFacts
    pressure: Pressure
    now: datetime
    engine: EngineInfo | None = None
    engine_trouble: str = ""
    network_trouble: str = ""
    images: Sequence[Image] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Obj] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def node(facts: NodeFacts) -> Obj:
    """The object to register."""
    spec: Obj = {"taints": list(facts.taints)} if facts.taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": facts.name,
            "labels": labels(facts),
            "annotations": dict(facts.annotations),
        },
        "spec": spec,
        "status": status(facts, {}),
    }


def labels(facts: NodeFacts) -> dict[str, str]:
    own = {"arch": facts.host.architecture, "os": "linux"}
    return {
        **{f"beta.kubernetes.io/{key}": value for key, value in own.items()},
        **{f"kubernetes.io/{key}": value for key, value in own.items()},
        "kubernetes.io/hostname": facts.name,
        **facts.labels,
    }


def capacity(host: HostFacts) -> dict[str, str]:
    return {
        "cpu": str(host.cpus),
        "memory": f"{host.memory // 1024}Ki",
        "ephemeral-storage": f"{host.storage // 1024}Ki",
        "pods": str(MOST_PODS),
    }


def allocatable(host: HostFacts) -> dict[str, str]:
    """What is left when the host keeps what it needs to live: 100Mi of memory, a tenth of the disk."""
    return {
        **capacity(host),
        "memory": f"{max(0, host.memory - EVICTION_MEMORY) // 1024}Ki",
        "ephemeral-storage": str(host.storage * 9 // 10),
    }


def status(facts: NodeFacts, old: Obj) -> Obj:
    """The whole status. In `old`, conditions of others are kept, and times of those that didn't change."""
    return {
        "addresses": [
            {"type": "InternalIP", "address": facts.ip},
            {"type": "Hostname", "address": facts.name},
        ],
        "capacity": capacity(facts.host),
        "allocatable": allocatable(facts.host),
        "conditions": _conditions(facts, old.get("conditions") or ()),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "images": _images(facts.images),
        "nodeInfo": _info(facts, old.get("nodeInfo") or {}),
    }


def differs(old: Obj, new: Obj) -> bool:
    """Whether a status says more than that time went by."""
    return _timeless(old) != _timeless(new)


def _timeless(status: Obj) -> Obj:
    bare = [{**one, "lastHeartbeatTime": ""} for one in status.get("conditions") or ()]
    kept = {key: status.get(key) for key in _STATED}
    return {**kept, "conditions": sorted(bare, key=lambda one: str(one["type"]))}


def _images(images: Sequence[Image]) -> list[Obj]:
    named = [image for image in images if image.names]
    biggest = sorted(named, key=lambda image: (-image.size_bytes, image.id))[:MOST_IMAGES]
    return [{"names": sorted(image.names), "sizeBytes": image.size_bytes} for image in biggest]


def _info(facts: NodeFacts, old: Obj) -> Obj:
    host, engine = facts.host, facts.engine
    runtime = f"{engine.name}://{engine.version}" if engine else old.get("containerRuntimeVersion", "")
    return {
        "architecture": host.architecture,
        "bootID": host.boot_id,
        "containerRuntimeVersion": runtime,
        "kernelVersion": host.kernel,
        "kubeProxyVersion": KUBERNETES_VERSION,
        "kubeletVersion": KUBERNETES_VERSION,
        "machineID": host.machine_id,
        "operatingSystem": "linux",
        "osImage": host.os_image,
        "systemUUID": host.machine_id,
    }


def _conditions(facts: NodeFacts, old: Sequence[Obj]) -> list[Obj]:
    found, now = list(old), format_time(facts.now)
    for name, judgement in _judged(facts).items():
        found = conditions.set_condition(found, name, *judgement, facts.now)
    return [{**one, "lastHeartbeatTime": now} if one["type"] in OURS else one for one in found]


def _judged(facts: NodeFacts) -> dict[str, tuple[str, str, str]]:
    left = facts.pressure
    disk = left.disk_free_share < LEAST_DISK or left.inodes_free_share < LEAST_INODES
    return {
        "NetworkUnavailable": _network(facts.network_trouble),
        "MemoryPressure": _pressure("Memory", "memory", left.memory_available < EVICTION_MEMORY),
        "DiskPressure": _disk_pressure(disk),
        "PIDPressure": _pressure("PID", "PID", left.pids_free_share < LEAST_PIDS),
        "Ready": _ready(facts),
    }


def _pressure(word: str, text: str, is_under: bool) -> tuple[str, str, str]:
    if is_under:
        return "True", f"KubeletHasInsufficient{word}", f"kubelet has insufficient {text} available"
    return "False", f"KubeletHasSufficient{word}", f"kubelet has sufficient {text} available"


def _disk_pressure(is_under: bool) -> tuple[str, str, str]:
    if is_under:
        return "True", "KubeletHasDiskPressure", "kubelet has disk pressure"
    return "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"


def _network(trouble: str) -> tuple[str, str, str]:
    if trouble:
        return "True", "NoRouteCreated", trouble
    return "False", "RouteCreated", "mini8s has set up the pod network"


def _ready(facts: NodeFacts) -> tuple[str, str, str]:
    if facts.engine_trouble:
        return "False", "KubeletNotReady", f"container runtime is down: {facts.engine_trouble}"
    if facts.network_trouble:
        return "False", "KubeletNotReady", f"container runtime network not ready: {facts.network_trouble}"
    return "True", "KubeletReady", "kubelet is posting ready status"
