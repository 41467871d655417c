"""PURE: the Node object: what this host is, has and suffers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mini8s.agent.kubelet.node import eviction
from mini8s.agent.kubelet.node.host import HostFacts
from mini8s.agent.kubelet.settings import DEFAULTS, KubeletSettings
from mini8s.agent.network.base import Ips
from mini8s.agent.runtime.records import EngineInfo, Image
from mini8s.config import KUBERNETES_VERSION
from mini8s.objects import conditions, quantity
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time

_STATED = ("addresses", "capacity", "allocatable", "images", "nodeInfo")
_TOLD = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_EVENTS = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}
OURS = ("NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure", "Ready")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """`pressures` are conditions of the evictor's that hold. `engine` is None, and `engine_trouble` says why,
    while the container engine doesn't answer."""

    name: str
    ips: Ips
    host: HostFacts
    now: datetime
    settings: KubeletSettings = DEFAULTS
    pressures: frozenset[str] = frozenset()
    shutting_down: bool = False
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


def capacity(host: HostFacts, settings: KubeletSettings) -> dict[str, str]:
    return {
        "cpu": str(host.cpus),
        "memory": f"{host.memory // 1024}Ki",
        "ephemeral-storage": f"{host.storage // 1024}Ki",
        "pods": str(settings.max_pods),
        **{name: quantity.format_binary(size) for name, size in host.huge_pages.items()},
    }


def allocatable(host: HostFacts, settings: KubeletSettings) -> dict[str, str]:
    """What pods may ask for: not what is reserved for the host and for the agent, nor what has to be left
    before pods are evicted."""
    memory = host.memory - sum(host.huge_pages.values()) - _kept("memory", host.memory, settings)
    storage = host.storage - _kept("ephemeral-storage", host.storage, settings)
    cpu = 1000 * host.cpus - sum(quantity.milli(one.get("cpu", "0")) for one in _reserved(settings))
    return {
        **capacity(host, settings),
        "cpu": quantity.format_decimal_milli(max(0, cpu)),
        "memory": f"{max(0, memory) // 1024}Ki",
        "ephemeral-storage": str(max(0, storage)),
    }


def _kept(resource: str, most: int, settings: KubeletSettings) -> int:
    signal = {"memory": "memory.available", "ephemeral-storage": "nodefs.available"}[resource]
    hard = [one.least.of(most) for one in settings.eviction if one.signal == signal and one.hard]
    return sum(quantity.value(one.get(resource, "0")) for one in _reserved(settings)) + max(hard, default=0)


def _reserved(settings: KubeletSettings) -> tuple[Mapping[str, str], ...]:
    return settings.kube_reserved, settings.system_reserved


def status(facts: NodeFacts, old: Obj) -> Obj:
    """The whole status. In `old`, conditions of others are kept, and times of those that didn't change."""
    return {
        "addresses": [
            *({"type": "InternalIP", "address": one} for one in facts.ips),
            {"type": "Hostname", "address": facts.name},
        ],
        "capacity": capacity(facts.host, facts.settings),
        "allocatable": allocatable(facts.host, facts.settings),
        "conditions": _conditions(facts, old.get("conditions") or ()),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "images": _images(facts.images, facts.settings.most_images),
        "nodeInfo": _info(facts, old.get("nodeInfo") or {}),
    }


def changes(old: Obj, new: Obj) -> list[str]:
    """Reasons of events about conditions that are not what they were."""
    before = {one["type"]: one["status"] for one in old.get("conditions") or ()}
    return [
        _EVENTS[one["type"], one["status"]]
        for one in new["conditions"]
        if one["type"] in _TOLD and before.get(one["type"]) != one["status"]
    ]


def differs(old: Obj, new: Obj) -> bool:
    """Whether a status says more than that time went by."""
    return _timeless(old) != _timeless(new)


def _timeless(status: Obj) -> Obj:
    """Also without what the server writes otherwise than we do: quantities, and lists of nothing."""
    bare = [{**one, "lastHeartbeatTime": ""} for one in status.get("conditions") or ()]
    kept = {key: status.get(key) or None for key in _STATED}
    amounts = {
        key: {name: quantity.canonical(amount) for name, amount in (status.get(key) or {}).items()}
        for key in ("capacity", "allocatable")
    }
    return {**kept, **amounts, "conditions": sorted(bare, key=lambda one: str(one["type"]))}


def _images(images: Sequence[Image], most: int) -> list[Obj]:
    named = [image for image in images if image.names]
    biggest = sorted(named, key=lambda image: (-image.size_bytes, image.id))[: None if most < 0 else most]
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
        "systemUUID": host.system_uuid or host.machine_id,
    }


def _conditions(facts: NodeFacts, old: Sequence[Obj]) -> list[Obj]:
    found, now = list(old), format_time(facts.now)
    for name, judgement in _judged(facts).items():
        found = conditions.set_condition(found, name, *judgement, facts.now)
    return [{**one, "lastHeartbeatTime": now} if one["type"] in OURS else one for one in found]


def _judged(facts: NodeFacts) -> dict[str, tuple[str, str, str]]:
    return {
        "NetworkUnavailable": _network(facts.network_trouble),
        "MemoryPressure": _pressure("Memory", "memory", eviction.MEMORY in facts.pressures),
        "DiskPressure": _disk_pressure(eviction.DISK in facts.pressures),
        "PIDPressure": _pressure("PID", "PID", eviction.PID in facts.pressures),
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
    if facts.shutting_down:
        return "False", "KubeletNotReady", "node is shutting down"
    if facts.engine_trouble:
        return "False", "KubeletNotReady", f"container runtime is down: {facts.engine_trouble}"
    if facts.network_trouble:
        return "False", "KubeletNotReady", f"container runtime network not ready: {facts.network_trouble}"
    return "True", "KubeletReady", "kubelet is posting ready status"
