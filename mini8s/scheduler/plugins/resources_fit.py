"""NodeResourcesFit: what a pod requests must fit beside what the node's pods have requested already, and how
full a node should be (kube-scheduler's scoring strategies, of cpu, memory and the number of pods)."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import NodeState, PodFacts

DEFAULT_CPU = 100  # millicores and bytes that a pod without requests counts as, so that such pods spread too
DEFAULT_MEMORY = 200 * 1024 * 1024


def resources_fit(pod: PodFacts, node: NodeState) -> Sequence[str]:
    """Every reason that applies, as each may need another cure."""
    wanted, used, room = pod.requests, node.requested, node.allocatable
    reasons = []
    if used.pods + wanted.pods > room.pods:
        reasons.append("Too many pods")
    if wanted.cpu and used.cpu + wanted.cpu > room.cpu:
        reasons.append("Insufficient cpu")
    if wanted.memory and used.memory + wanted.memory > room.memory:
        reasons.append("Insufficient memory")
    for name, amount in sorted(wanted.others.items()) if wanted.others else ():
        if amount and used.others.get(name, 0) + amount > room.others.get(name, 0):
            reasons.append(f"Insufficient {name}")
    return reasons


def least_allocated(pod: PodFacts, node: NodeState) -> float:
    return 100.0 * (1.0 - sum(shares(pod, node)) / 3)


def most_allocated(pod: PodFacts, node: NodeState) -> float:
    return 100.0 * sum(shares(pod, node)) / 3


def shares(pod: PodFacts, node: NodeState) -> tuple[float, float, float]:
    """Of cpu, memory and places for pods, what will be taken with this pod: 0 to 1."""
    used, room, wanted = node.requested, node.allocatable, pod.requests
    return (
        _share(used.cpu + (wanted.cpu or DEFAULT_CPU), room.cpu),
        _share(used.memory + (wanted.memory or DEFAULT_MEMORY), room.memory),
        _share(used.pods + 1, room.pods),
    )


def _share(used: int, total: int) -> float:
    return min(1.0, used / total) if total else 1.0
