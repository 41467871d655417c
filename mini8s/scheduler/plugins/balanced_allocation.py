"""NodeResourcesBalancedAllocation: cpu and memory of a node should run out together."""

from __future__ import annotations

from mini8s.scheduler.base import NodeState, PodFacts
from mini8s.scheduler.plugins.resources_fit import shares


def balanced_allocation(pod: PodFacts, node: NodeState) -> float:
    """Upstream's standard deviation of the two shares; a pod without requests is no matter of balance."""
    if not pod.requests.cpu and not pod.requests.memory:
        return 0.0
    cpu, memory, _ = shares(pod, node)
    return 100.0 * (1.0 - abs(cpu - memory) / 2)
