"""PURE: the control group that holds all containers of a pod, and what the kernel is told about it.

As the kubelet's: a pod's processor weight is what its containers ask for together, its memory and quota are
limited when each of them is. There are no groups of QoS classes in between: weights of all pods compare
directly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.isolation.resources import LEAST_QUOTA_US, LEAST_SHARES
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj

FOLDER = "kubepods"
PERIOD_US = 100_000
_MOST_SHARES = 262_144
_GUARANTEED, _BEST_EFFORT = -997, 1000  # oom_score_adj, kubelet's pkg/kubelet/qos/policy.go


@dataclass(frozen=True, slots=True)
class PodCgroup:
    """`parent` is what the engine is told. 0 is no limit."""

    parent: str
    cpu_shares: int
    cpu_quota_us: int
    memory_bytes: int
    pids: int

    def v1(self) -> Mapping[tuple[str, str], str]:
        """(controller, file) → value."""
        return {
            ("cpu", "cpu.shares"): str(self.cpu_shares),
            ("cpu", "cpu.cfs_quota_us"): str(self.cpu_quota_us or -1),
            ("memory", "memory.limit_in_bytes"): str(self.memory_bytes or -1),
            ("pids", "pids.max"): str(self.pids or "max"),
        }

    def v2(self) -> Mapping[str, str]:
        """File → value; the weight as runc converts shares (1 … 10000)."""
        weight = 1 + (self.cpu_shares - LEAST_SHARES) * 9999 // (_MOST_SHARES - LEAST_SHARES)
        return {
            "cpu.weight": str(weight),
            "cpu.max": f"{self.cpu_quota_us or 'max'} {PERIOD_US}",
            "memory.max": str(self.memory_bytes or "max"),
            "pids.max": str(self.pids or "max"),
        }

    def systemd(self) -> Mapping[str, str]:
        """Properties of the slice (systemd.resource-control(5)); the quota is in percent of a processor."""
        weight = self.v2()["cpu.weight"]
        return {
            "CPUWeight": weight,
            "CPUQuota": f"{self.cpu_quota_us * 100 / PERIOD_US:g}%" if self.cpu_quota_us else "",
            "MemoryMax": str(self.memory_bytes or "infinity"),
            "TasksMax": str(self.pids or "infinity"),
        }


def pod_cgroup(pod: Obj, policy: Policy) -> PodCgroup:
    spec = pod["spec"]
    cpu, _ = pods.requests(spec)
    cpu_most, memory_most = _whole(spec, "cpu"), _whole(spec, "memory")
    return PodCgroup(
        parent(meta.uid(pod), policy),
        cpu_shares=min(_MOST_SHARES, max(LEAST_SHARES, cpu * 1024 // 1000)),
        cpu_quota_us=max(LEAST_QUOTA_US, cpu_most * PERIOD_US // 1000) if cpu_most else 0,
        memory_bytes=memory_most,
        pids=policy.pod_max_pids,
    )


def parent(uid: str, policy: Policy) -> str:
    """How the engine's control group driver wants it named: a path, or a slice."""
    if policy.cgroup_driver == "systemd":
        return f"{FOLDER}-pod{uid.replace('-', '_')}.slice"
    return f"{policy.cgroup_root.rstrip('/')}/{FOLDER}/pod{uid}"


def oom_score_adj(pod: Obj, container: Obj, policy: Policy) -> int:
    """Who goes first when the host runs out of memory: who asked for little (the kubelet's formula:
    1000 minus the share of the host's memory that was asked for, in thousandths)."""
    qos = pods.qos_class(pod["spec"])
    if qos == "Guaranteed" or pod["spec"].get("priorityClassName") == "system-node-critical":
        return _GUARANTEED if policy.may_spare else 0
    if qos == "BestEffort":
        return _BEST_EFFORT
    asked = pods.container_needs(container, "requests", "memory")
    score = 1000 - 1000 * asked // max(1, policy.memory_bytes)
    return min(_BEST_EFFORT - 1, max(3, score))


def _whole(spec: Obj, resource: str) -> int:
    """What all containers together may take; 0 when one of them has no limit."""
    running = [*spec["containers"], *filter(pods.is_sidecar, spec.get("initContainers") or ())]
    if not all(pods.container_needs(one, "limits", resource) for one in running):
        return 0
    return pods.needed(spec, "limits", resource)
