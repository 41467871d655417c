"""NodeResourcesFit: what a pod requests must fit beside what the node's pods have requested already."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import NodeState, PodFacts


def resources_fit(pod: PodFacts, node: NodeState) -> Sequence[str]:
    """Every reason that applies, as each may need another cure."""
    total, room = node.requested + pod.requests, node.allocatable
    reasons = []
    if total.pods > room.pods:
        reasons.append("Too many pods")
    if pod.requests.cpu and total.cpu > room.cpu:
        reasons.append("Insufficient cpu")
    if pod.requests.memory and total.memory > room.memory:
        reasons.append("Insufficient memory")
    for name, amount in sorted(pod.requests.others.items()):
        if amount and total.others[name] > room.others.get(name, 0):
            reasons.append(f"Insufficient {name}")
    return reasons
